"""What goes on in threads while a test looks at something else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LIMIT_S = 600.0  # twice what pytest-timeout gives a test: a module's graph serves several


@contextmanager
def repeated(*turns: Callable[[], object]) -> Iterator[None]:
    """Call each again and again, in a thread of its own, until the block ends; then raise the first error."""
    stop, end_s, errors = threading.Event(), time.monotonic() + LIMIT_S, list[Exception]()

    def work(turn: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                assert time.monotonic() < end_s, f"went on for {LIMIT_S:.0f} s"
                turn()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(turn,)) for turn in turns]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
