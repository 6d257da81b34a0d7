"""Who solves: NumPy, or numba where it is installed and worth it. Both give the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from pose3d_ros.geometry import judgement, robust
from pose3d_ros.geometry.judgement import Triangulation
from pose3d_ros.geometry.sightings import Sightings
from pose3d_ros.structures import Floats

# Points from which numba is loaded unasked. Loading its compiled code takes about a second, in which NumPy solves
# about a million points linearly or 100,000 robustly; the very first time on a machine it compiles, for 10 s.
WORTH_LOADING = 100_000


@dataclass(frozen=True)
class Solver:
    """The functions of geometry/robust.py and geometry/judgement.py, or their compiled twins."""

    linear: Callable[[Sightings], Floats]
    linear_px: Callable[[Floats, Floats], Floats]
    fit: Callable[[Sightings, float], Floats]
    judge: Callable[[Sightings, Floats, float, float], Triangulation]


PORTABLE = Solver(robust.linear, robust.linear_px, robust.fit, judgement.judge)


@cache
def load_compiled() -> Solver | None:
    """The compiled solver, which every later call in this process then uses; None where numba does not work.

    A program that triangulates frame by frame calls this once at its start; the extra `fast` installs numba.
    """
    if find_spec("numba") is None:
        return None
    try:
        from pose3d_ros.geometry import compiled
    except ImportError:  # a numba that does not know this NumPy yet
        return None
    return Solver(compiled.linear, compiled.linear_px, compiled.fit, compiled.judge)


def solver_for(points: int) -> Solver:
    """The compiled solver if this process has it or so many points are worth loading it; else NumPy."""
    if points >= WORTH_LOADING or load_compiled.cache_info().currsize:
        return load_compiled() or PORTABLE
    return PORTABLE
