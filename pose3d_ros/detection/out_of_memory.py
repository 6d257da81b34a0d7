"""Handle out-of-memory errors: recognise them among other errors, and free what can be freed."""

from __future__ import annotations

import gc
import sys

from pose3d_ros.errors import OutOfMemoryError

# Messages of libraries without their own exception for it: PyTorch's CPU allocator, ONNX Runtime, OpenCV.
PHRASES = (
    "bad allocation",
    "can't allocate memory",
    "failed to allocate memory",
    "out of memory",
    "insufficient memory",
    "bad_alloc",
)
# From this many failures in a row on, the message names options that need less memory.
OFTEN = 3


class MemoryShortage:
    """Counts frame sets in a row that were lost to missing memory, and reports how to fix it."""

    def __init__(self) -> None:
        self._row = 0

    def over(self) -> None:
        """Reset the count after a frame set that succeeded."""
        self._row = 0

    def explained(self, error: Exception) -> Exception:
        """Return the error, or for missing memory an OutOfMemoryError with the fix, after freeing memory."""
        if not out_of_memory(error):
            return error
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        # The frames of the failed calls still reference their arrays.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        free()
        self._row += 1
        text = f"out of memory ({cause}): the frame set was dropped and its memory freed"
        if self._row >= OFTEN:
            text += (
                f"; {self._row} times in a row: set precision:=half (GPU), a smaller max_detections or a smaller "
                "detector (movenet-multipose), use fewer cameras, or stop other programs that use the memory"
            )
        return OutOfMemoryError(text)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that no memory was left, on the GPU or in RAM."""
    if isinstance(error, MemoryError):
        return True
    # torch.OutOfMemoryError, ONNX Runtime's and OpenCV's exceptions, without importing any of them.
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(phrase in text for phrase in PHRASES)


def free() -> None:
    """Free unreferenced memory, including the GPU's cache."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
