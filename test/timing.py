"""CPU time of a function, to be compared with that of another one in the same run, never with a number of seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_s(function: Callable[..., object], *arguments: object, repeats: int = 5) -> float:
    """The least CPU time of this thread that a call takes: what else runs on the machine does not count."""
    times = []
    for _ in range(repeats):
        begin = time.thread_time()
        function(*arguments)
        times.append(time.thread_time() - begin)
    return min(times)
