"""One slot for the newest item, and one thread that works on what lies in it.

The executor puts and goes on at once; what was not read yet is replaced, so a slow worker always
gets the newest frame set and no backlog grows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pose3d_ros.errors import StillBusyError

Item = TypeVar("Item")

# A worker that is to stop finishes its frame set: one takes up to 1 s on slow machines, and tens of seconds when a GPU
# hangs.
PATIENCE_S = 10.0


class Mailbox(Generic[Item]):
    """A slot of size one between two threads."""

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """Lay the item down; True if it replaced one that was not taken."""
        with self._filled:
            replaced = self._item is not None
            self._item = item
            self._filled.notify()
        return replaced

    def take(self) -> Item | None:
        """Wait for an item and empty the slot; None once the mailbox is closed."""
        with self._filled:
            self._filled.wait_for(lambda: self._closed or self._item is not None)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Let take() return None from now on; what lies in the slot is thrown away."""
        with self._filled:
            self._closed = True
            self._item = None
            self._filled.notify_all()


class Worker(threading.Thread):
    """A thread of start_worker."""


def start_worker(
    mailbox: Mailbox[Item], work: Callable[[Item], None], failed: Callable[[Exception], None], name: str
) -> threading.Thread:
    """A running thread that works on every item taken until the mailbox is closed.

    An exception of work goes to failed, and the thread goes on with the next item: one bad frame
    must not end a node.
    """

    def run() -> None:
        while (item := mailbox.take()) is not None:
            try:
                work(item)
            except Exception as error:
                failed(error)

    thread = Worker(target=run, name=name, daemon=True)
    thread.start()
    return thread


def end_worker(mailbox: Mailbox[Item], thread: threading.Thread, patience_s: float = PATIENCE_S) -> None:
    """Close the mailbox and wait for the thread; raises StillBusyError where it works on, for it may never end."""
    mailbox.close()
    thread.join(timeout=patience_s)
    if thread.is_alive():
        raise StillBusyError(f"the {thread.name} still works on its last frame set after {patience_s:g} s")


def busy_workers() -> list[str]:
    """Names of the worker threads of this process that run."""
    return [one.name for one in threading.enumerate() if isinstance(one, Worker)]
