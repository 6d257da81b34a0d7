"""The loops of a frame set, compiled by numba: arrays in, arrays out, nothing of pose3d_ros but numbers.

`kernels.association.grouped(...)`: a part is loaded when it is first asked for, since numba takes half a second.
load() loads all of them. The first time on a machine each is compiled and kept in the cache (compiling.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARTS = (
    "lenses", "observations", "solving", "validation", "association", "left_right", "body", "joint_choice", "filtering",
    "tracking", "layers", "heads",
)  # fmt: skip


def load(first_time: Callable[[str], object] = lambda words: None) -> None:
    """Load every kernel, compiling those that are not in the cache: a node does so before its first frame set.

    first_time is given words for the user where they are compiled.
    """
    from pose3d_ros.kernels.compiling import all_kept, keep_all

    if not (kept := all_kept()):
        first_time("compiling the numeric kernels, once on this machine: this takes up to a minute or two")
    for part in PARTS:
        _part(part)
    if not kept:
        keep_all()


@contextmanager
def loading(first_time: Callable[[str], object] = lambda words: None) -> Iterator[None]:
    """load() while the block runs; before it where kernels are to be compiled, which takes the cores."""
    from pose3d_ros.kernels.compiling import all_kept

    if not all_kept() or all(f"{__name__}.{part}" in sys.modules for part in PARTS):
        load(first_time)
        yield
        return
    with ThreadPoolExecutor(1) as aside:
        loaded = aside.submit(load)
        yield
        loaded.result()


def plain(values: Any) -> NDArray[np.float64]:
    """An array as kernels take it: float64, contiguous and writable; a copy only where it is not."""
    found = np.ascontiguousarray(values, dtype=np.float64)
    return found if found.flags.writeable else found.copy()


def _part(name: str) -> Any:
    from pose3d_ros.kernels.compiling import one_at_a_time

    with one_at_a_time():
        return import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> Any:
    if name in PARTS:
        return _part(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
