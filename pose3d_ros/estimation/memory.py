"""What an estimator remembers between frame sets as bytes, so that a run that stopped goes on exactly where it was.

It is a pickle of this package's own small objects and NumPy arrays. Nothing else is let in when it is read: a file that
somebody else made cannot run code.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from pose3d_ros.errors import FootageError

_OWN = ("pose3d_ros.estimation.", "pose3d_ros.detection.", "pose3d_ros.structures")
# What arrays and scalars are pickled as, by NumPy 1 and 2.
_NUMPY = {
    ("numpy", "ndarray"), ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
}  # fmt: skip


def to_bytes(memory: Any) -> bytes:
    """An estimator's memory()."""
    return pickle.dumps(memory, protocol=4)


def from_bytes(data: bytes) -> Any:
    """What to_bytes took; raises FootageError for anything else."""
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise FootageError(f"the estimator's state cannot be read ({error}): start afresh with --overwrite") from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module.startswith(_OWN) or (module, name) in _NUMPY else None
        if found is None or (module.startswith(_OWN) and not (isinstance(found, type) and found.__module__ == module)):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an estimator's state")
        return found
