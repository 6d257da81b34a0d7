"""Compiles kernels and caches them on disk."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numba

from pose3d_ros.cache import cache_dir


def cache_folder(sources: Path = Path(__file__).parent) -> str:
    """The folder of compiled functions, by a hash of all sources: numba checks a function's own file only."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(sources.glob("[!_]*.py")):
        digest.update(path.read_bytes())
    # NUMBA_CACHE_DIR, where it is set, is for all of a user's programs.
    whole: Any = numba.config
    return str(Path(whole.CACHE_DIR or cache_dir() / "numba") / digest.hexdigest()[:12])


def kernel(signature: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile at once for the types of one signature, or load it from the cache; arrays must be contiguous.

    Where no folder can be written it is compiled for this process only. options go to numba.njit.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        config: Any = numba.config
        chosen, config.CACHE_DIR = config.CACHE_DIR, _FOLDER
        code = function.__code__
        function.__code__ = code.replace(co_filename=_kept_source(Path(code.co_filename)))
        try:
            return _njit(signature, cache=True, **_OPTIONS, **options)(function)
        except RuntimeError:
            return _njit(signature, **_OPTIONS, **options)(function)
        finally:
            config.CACHE_DIR = chosen

    return compiled


def _kept_source(source: Path) -> str:
    """A copy of a source next to what is compiled of it: numba knows it by path and time.

    So the same sources, installed or in several checkouts, are compiled once on a machine. The source itself where
    nothing can be kept.
    """
    kept = Path(_FOLDER) / source.name
    if not kept.is_file():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file:
                file.write(source.read_bytes())
            os.replace(file.name, kept)
        except OSError:
            return str(source)
    return str(kept)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """One process compiles, the others wait and load its result; without a writable cache each compiles itself."""
    try:
        folder = Path(_FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("wb")
    except OSError:
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def all_kept() -> bool:
    """Whether every kernel is in the cache."""
    return (Path(_FOLDER) / _ALL).is_file()


def keep_all() -> None:
    """Record that every kernel is in the cache; without a writable cache they are compiled each time."""
    with suppress(OSError):
        (Path(_FOLDER) / _ALL).touch()


def inner(function: Callable[..., Any]) -> Any:
    """Compile as part of the kernels that call it."""
    # What Python would call it through takes a third of the time to compile.
    return _njit(no_cpython_wrapper=True, **_OPTIONS)(function)


_njit: Any = numba.njit
_FOLDER = cache_folder()
_ALL = "all"  # an empty file
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}
