"""What is done when memory runs out in the middle of the work: tell it from other errors, and give back what can be."""

from __future__ import annotations

import gc
import sys

from pose3d_ros.errors import OutOfMemoryError

# What libraries say that have no exception of their own for it: PyTorch's CPU allocator, ONNX Runtime, OpenCV.
WORDS = (
    "bad allocation",
    "can't allocate memory",
    "failed to allocate memory",
    "out of memory",
    "insufficient memory",
    "bad_alloc",
)
# So many failures after each other are no accident any more.
OFTEN = 3


class MemoryShortage:
    """Counts the frame sets in a row that were lost to missing memory, and says what would mend it."""

    def __init__(self) -> None:
        self._row = 0

    def over(self) -> None:
        """A frame set went well."""
        self._row = 0

    def explained(self, error: Exception) -> Exception:
        """The same error, but for one that means missing memory: then what to say of it, after giving memory back."""
        if not out_of_memory(error):
            return error
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        # The calls that failed still hold what they had made.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        free()
        self._row += 1
        words = f"out of memory ({cause}): the frame set was dropped and its memory given back"
        if self._row >= OFTEN:
            words += (
                f"; {self._row} times in a row: set precision:=half (GPU), a smaller max_detections or a smaller "
                "detector (movenet-multipose), take fewer cameras, or end what else uses the memory"
            )
        return OutOfMemoryError(words)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that no memory was left, on the GPU or beside it."""
    if isinstance(error, MemoryError):
        return True
    # torch.OutOfMemoryError, ONNX Runtime's and OpenCV's exceptions, without importing any of them.
    words = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(one in words for one in WORDS)


def free() -> None:
    """Give back what nothing refers to any more, the GPU's cached memory too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
