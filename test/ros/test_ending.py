"""SIGINT is heard in every state of a program, also in one that Python cannot interrupt."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from known_person import KnownDetector, ring
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from synthetic_cameras import own_context

from pose3d_ros.errors import StillBusyError
from pose3d_ros.ros import lifecycle
from pose3d_ros.ros.mailbox import Mailbox, busy_workers, end_worker, start_worker
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.synchronisation.frame_sets import PayloadSet

# C code that no signal ends, as when weights are loaded; 1e9 rounds take minutes.
IN_C = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
IN_PYTHON = "while True: time.sleep(0.01)"
NOTICING = "while not ending.notice(): time.sleep(0.01)"


@contextmanager
def program(state: str, *, started: bool) -> Iterator[subprocess.Popen[str]]:
    """A program in this state that hears signals; it has said so."""
    code = f"""
import hashlib, sys, threading, time
from pose3d_ros.ros import ending as module
module.END_S = 0.9
ending = module.listen("node")
ending.started = {started}
try:
    threading.Timer(0.3, print, ["ready"], {{"flush": True}}).start()  # once the main thread is in the state
    {state}
except KeyboardInterrupt:
    print("unwound", flush=True)
sys.exit(0)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("state", "started", "code", "said"),
    [
        (IN_PYTHON, False, 0, "unwound"),  # while it starts, torch is imported, files are read
        (IN_C, False, 130, ""),  # while weights are loaded
        (NOTICING, True, 0, ""),  # while it works as it should
        (IN_PYTHON, True, 0, "unwound"),  # in a long callback
        (IN_C, True, 130, ""),
    ],
)
def test_fault_sigint_in_every_state(state: str, started: bool, code: int, said: str) -> None:
    """Fault: Ctrl-C while a node starts, loads weights, works, or is in the middle of a long callback.
    Sees: one line "SIGINT: ending" at once; the node has ended a second later, with 0, or with 130 where what was
    under way had to be abandoned; no traceback.
    Recovers: start it again.
    Kind: K8
    Before: not heard before the start was over, 20 s on a busy machine; launch escalated to SIGTERM and SIGKILL.
    """
    with program(state, started=started) as process:
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout.strip()) == (code, said), stderr
    # Where the main thread is free it may be gone before the line is written.
    assert stderr.startswith("node: SIGINT: ending; once more: at once\n") or said
    assert "Traceback" not in stderr


def test_fault_second_sigint_while_the_first_is_obeyed() -> None:
    """Fault: Ctrl-C a second time, while what is under way is being finished.
    Sees: the program ends at once, with 130.
    Recovers: start it again.
    Kind: K8
    Before: a second Ctrl-C was not heard either.
    """
    with program(f"module.END_S = 3600; {IN_C}", started=True) as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "ending" in process.stderr.readline()
        for _ in range(200):  # one Ctrl-C may come twice within 0.3 s
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
        assert process.returncode == 130


def test_a_worker_that_works_on_is_named() -> None:
    gate, begun = threading.Event(), threading.Event()
    mailbox: Mailbox[int] = Mailbox()

    def work(item: int) -> None:
        begun.set()
        gate.wait(60)

    thread = start_worker(mailbox, work, lambda error: None, "frame worker")
    mailbox.put(1)
    assert begun.wait(60)
    with pytest.raises(StillBusyError, match=r"the frame worker still works on its last frame set after 0\.01 s"):
        end_worker(mailbox, thread, 0.01)
    assert "frame worker" in busy_workers()
    gate.set()
    thread.join(60)
    end_worker(mailbox, thread, 0.01)


def test_fault_deactivated_while_a_frame_set_takes_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a node is deactivated while its worker does not come back from a frame set, then activated again.
    Sees: deactivate fails with "the frame worker still works on its last frame set after 10 s"; configure is refused
    with the reason; there are never two workers.
    Recovers: configure and activate once the worker has ended, or restart the node.
    Kind: K8
    Before: two workers on one estimator, and once SIGABRT.
    """
    success, error = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.ERROR
    monkeypatch.setattr(lifecycle, "PATIENCE_S", 0.05)
    gate, begun = threading.Event(), threading.Event()

    def hang(frames: object) -> None:
        begun.set()
        gate.wait(60)

    overrides = [Parameter("refine", value="none"), Parameter("monocular_fallback", value="never")]
    with own_context() as context:
        node = PoseNode(KnownDetector(ring("left", "right")), context=context, parameter_overrides=overrides)
        try:
            worker = node._worker
            monkeypatch.setattr(worker, "_process", hang)
            frame = SimpleNamespace(captured_s=0.0)
            worker._mailbox.put(PayloadSet({"left": frame}, {"left": 0}))  # type: ignore[dict-item]
            assert begun.wait(60)
            assert node.trigger_deactivate() is error
            assert "still works on its last frame set" in node._lifecycle.standing()
            assert node.trigger_configure() is error
            assert "of before still works" in node._lifecycle.standing()
            gate.set()
            worker._thread.join(60)
            assert node.trigger_configure() is success
            assert node.trigger_activate() is success
            assert node._worker is not worker
            assert node.trigger_deactivate() is success
        finally:
            gate.set()
            node.close()
            node.destroy_node()
