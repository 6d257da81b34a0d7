"""One slot for the newest item, and one thread that works on what lies in it.

The executor puts and goes on at once; what was not read yet is replaced, so a slow worker always
gets the newest frame set and no backlog grows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A slot of size one between two threads."""

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """Lay the item down; True if it replaced one that nobody had taken."""
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

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
