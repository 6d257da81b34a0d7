"""The newest item wins, and a failing piece of work does not end the worker."""

from __future__ import annotations

import queue
import threading

from pose3d_ros.ros.mailbox import Mailbox, start_worker


def test_the_newest_item_replaces_one_that_was_not_taken() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.put(1) is False
    assert mailbox.put(2) is True
    assert mailbox.take() == 2
    assert mailbox.put(3) is False


def test_worker_skips_what_came_while_it_was_busy() -> None:
    mailbox: Mailbox[int] = Mailbox()
    started, go_on = queue.Queue[int](), threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        started.put(item)
        go_on.wait(10)
        done.append(item)

    thread = start_worker(mailbox, work, lambda error: None, "test")
    mailbox.put(1)
    assert started.get(timeout=10) == 1
    for item in (2, 3, 4):
        mailbox.put(item)
    go_on.set()
    assert started.get(timeout=10) == 4
    mailbox.close()
    thread.join(10)
    assert not thread.is_alive()
    assert done == [1, 4]


def test_worker_reports_an_exception_and_goes_on() -> None:
    mailbox: Mailbox[int] = Mailbox()
    outcome = queue.Queue[object]()

    def work(item: int) -> None:
        outcome.put(10 // item)

    thread = start_worker(mailbox, work, outcome.put, "test")
    mailbox.put(0)
    assert isinstance(outcome.get(timeout=10), ZeroDivisionError)
    mailbox.put(5)
    assert outcome.get(timeout=10) == 2
    mailbox.close()
    thread.join(10)


def test_closing_wakes_a_waiting_worker() -> None:
    mailbox: Mailbox[int] = Mailbox()
    thread = start_worker(mailbox, lambda item: None, lambda error: None, "test")
    mailbox.close()
    thread.join(10)
    assert not thread.is_alive()
