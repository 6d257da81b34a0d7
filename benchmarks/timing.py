"""Times of several functions, taken in turn so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from pose3d_ros.structures import Floats

Name = TypeVar("Name", bound=Hashable)


def interleaved(
    functions: Mapping[Name, Callable[[], Any]],
    *,
    repeats: int,
    at_least_s: float = 0.0,
    clock: Callable[[], float] = time.process_time,
    progress: str = "",
) -> dict[Name, Floats]:
    """Seconds of one call of each function, name -> (repeats,).

    Each is called once before (caches, compilation). A repeat calls a function as often as takes at_least_s. The
    clock is the process's CPU time, of all its threads: what other processes take from a core does not count. Give
    time.perf_counter for what waits or runs elsewhere.
    """
    calls = {}
    for name, function in functions.items():
        for _ in range(2):  # the first call also fills caches; a slow function is not called for nothing
            started = clock()
            function()
            once = clock() - started
            if once > at_least_s:
                break
        calls[name] = max(1, int(np.ceil(at_least_s / max(once, 1e-9))))
    seconds: dict[Name, Floats] = {name: np.zeros(repeats) for name in functions}
    for repeat in tqdm(range(repeats), desc=progress, disable=not progress, leave=False):
        for name, function in functions.items():
            started = clock()
            for _ in range(calls[name]):
                function()
            seconds[name][repeat] = (clock() - started) / calls[name]
    return seconds
