"""The states of a managed node: what it does at each transition, and what becomes of one that fails.

https://design.ros2.org/articles/node_lifecycle.html
"""

from __future__ import annotations

import gc
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rclpy.lifecycle import LifecycleNode, ManagedEntity, TransitionCallbackReturn

from pose3d_ros.errors import Pose3DError, StillBusyError
from pose3d_ros.ros.mailbox import PATIENCE_S, Mailbox, end_worker

SUCCESS, ERROR = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.ERROR
Work = Callable[[], None]
# At the end of the program a worker is waited for no longer: ros2 launch sends SIGTERM after 5 s.
CLOSING_S = 1.0


class Lifecycle(ManagedEntity):
    """Does a node's work at each transition.

    configure loads what activate needs to run, deactivate and cleanup undo the two; they are called also after a
    failure half-way, so they must tolerate what is not there. A transition that fails is logged and leaves the node
    unconfigured; the process stays, and may be configured again.
    """

    def __init__(self, node: LifecycleNode, configure: Work, activate: Work, deactivate: Work, cleanup: Work) -> None:
        self._node = node
        self._configure, self._activate, self._deactivate, self._cleanup = configure, activate, deactivate, cleanup
        self._configured = self._active = False
        self._ended = self._froze = False
        self._failure: Exception | None = None
        self._why = ""
        self._busy: list[threading.Thread] = []  # workers that did not end when they were to
        self._patience_s = PATIENCE_S
        node.add_managed_entity(self)

    def start(self) -> None:
        """Configure and activate the node; raises what hindered it."""
        if self._node.trigger_configure() is SUCCESS:
            self._node.trigger_activate()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Shut the node down, whatever its state; work that does not end soon is left alone (running.py ends it)."""
        self._patience_s = CLOSING_S
        if not self._ended and self._node.context.ok():
            # A lifecycle manager hears of it; not without ROS, nor in the middle of a transition.
            with suppress(Exception):
                self._node.trigger_shutdown()
        self._release()

    def end_worker(self, mailbox: Mailbox[Any], thread: threading.Thread) -> None:
        """Stop a worker thread; raises StillBusyError, and begins nothing until it has ended, where it goes on."""
        try:
            end_worker(mailbox, thread, self._patience_s)
        except StillBusyError:
            self._busy.append(thread)
            raise

    def _refuse_while_busy(self) -> None:
        """Two workers must never share an estimator, a detector or a publisher."""
        self._busy = [one for one in self._busy if one.is_alive()]
        if self._busy:
            raise StillBusyError(
                f"the {self._busy[0].name} of before still works on its last frame set: try again once it has ended, "
                "or restart the node"
            )

    def standing(self) -> str:
        """Why the node does not work, in words; empty where it does."""
        name = self._node.get_fully_qualified_name()
        if self._active:
            return ""
        if self._ended:
            return "shut down: it processes no images; start it again"
        if self._configured:
            return f"inactive: it processes no images until `ros2 lifecycle set {name} activate`"
        if self._failure is not None:
            return f"not configured: {self._why}; fix that, then `ros2 lifecycle set {name} configure`"
        return f"not configured: it processes no images until `ros2 lifecycle set {name} configure`, and activate"

    @property
    def state(self) -> str:
        """active, inactive, unconfigured or finalized, as ROS names a managed node's states."""
        if self._active:
            return "active"
        return "finalized" if self._ended else "inactive" if self._configured else "unconfigured"

    @property
    def failed(self) -> bool:
        """Whether the last transition failed."""
        return self._failure is not None

    def fixed(self) -> str:
        """How to change what is read when the node is configured; empty where it may be changed now."""
        if not self._configured:
            return ""
        name = self._node.get_fully_qualified_name()
        return (
            f"it is read when the node is configured: restart the node with the new value, or `ros2 lifecycle set "
            f"{name}` {'deactivate, ' if self._active else ''}cleanup, set it, then configure and activate"
        )

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Load what is needed to run."""
        self._configured = True
        return self._attempt("configure", self._configure, begins=True)

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Begin to work."""
        self._active = True
        result = self._attempt("activate", self._activate, begins=True)
        if result is SUCCESS and not gc.get_freeze_count():
            # Half a million objects of PyTorch's are loaded by now. One round of the garbage collector over all of them
            # would hold up a pose by 60 to 100 ms, every few seconds.
            gc.collect()
            gc.freeze()
            self._froze = True
        return result

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stop working; what is under way is not published any more."""
        self._active = False
        self._thaw()
        return self._attempt("deactivate", self._deactivate)

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Free everything that was loaded."""
        self._configured = False
        return self._attempt("clean up", self._cleanup)

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Stop and free everything, for good."""
        self._ended = True
        return self._attempt("shut down", self._release)

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """After a failure: back to unconfigured, with nothing kept of what was half done."""
        self._release()
        return SUCCESS

    def _release(self) -> None:
        was_active, was_configured = self._active, self._configured
        self._active = self._configured = False
        self._thaw()
        for work in [self._deactivate] * was_active + [self._cleanup] * was_configured:
            try:
                work()
            except StillBusyError as error:
                self._node.get_logger().error(f"while ending: {error}")
            except Exception:
                self._node.get_logger().error(f"while ending: {traceback.format_exc()}")

    def _thaw(self) -> None:
        """Let the garbage collector see again what this node alone kept from it."""
        if self._froze:
            gc.unfreeze()
        self._froze = False

    def _attempt(self, what: str, work: Work, *, begins: bool = False) -> TransitionCallbackReturn:
        try:
            if begins:
                self._refuse_while_busy()
            work()
        except Exception as error:
            self._failure = error
            ours = isinstance(error, Pose3DError)
            self._why = str(error) if ours else f"{type(error).__name__}: {error}"
            self._node.get_logger().error(f"cannot {what}: {self._why if ours else traceback.format_exc()}")
            error.__traceback__ = None  # its frames hold what was half loaded
            return ERROR
        self._failure = None
        return SUCCESS
