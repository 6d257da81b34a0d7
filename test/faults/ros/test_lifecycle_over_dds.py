"""The nodes' states over real DDS: from outside, a hundred times over, and after what goes wrong on the way."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from known_person import KnownDetector, ring
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.parameter import Parameter
from synthetic_cameras import Graph, KnownBody, KnownLifter, error_mm, graph, own_context

from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.ros import lifecycle
from pose3d_ros.ros.detector_node import DetectorNode
from pose3d_ros.ros.monocular_node import monocular_node
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.structures import FrameSet

SUCCESS, ERROR = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.ERROR
fails: dict[str, Exception] = {}


def _fail(frames: FrameSet) -> None:
    if "now" in fails:
        raise fails["now"]


@pytest.fixture(scope="module")
def one() -> Iterator[Graph]:
    """A managed multi-view node that was not configured yet."""
    with graph(ring("left", "right"), error=_fail, fixed_frame="world", autostart=False) as started:
        started.cameras.publish_transforms()
        yield started


def asked(one: Graph, kind: type, service: str, request: object) -> object:
    """What the node answers to a request that comes over DDS."""
    client = one.controller.create_client(kind, f"/multiview/{service}")
    one.play_until(client.service_is_ready, f"the service {service}")
    future = client.call_async(request)
    one.play_until(future.done, f"an answer of {service}")
    one.controller.destroy_client(client)
    return future.result()


def change(one: Graph, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(asked(one, ChangeState, "change_state", request).success)  # type: ignore[attr-defined]


def state(one: Graph) -> int:
    return int(asked(one, GetState, "get_state", GetState.Request()).current_state.id)  # type: ignore[attr-defined]


def set_together(one: Graph, **values: object) -> tuple[bool, str]:
    request = SetParametersAtomically.Request()
    request.parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    result = asked(one, SetParametersAtomically, "set_parameters_atomically", request).result  # type: ignore[attr-defined]
    return result.successful, result.reason


def activated(one: Graph) -> None:
    """Bring the node to active from whatever state it is in."""
    if state(one) == State.PRIMARY_STATE_UNCONFIGURED:
        assert change(one, Transition.TRANSITION_CONFIGURE)
    if state(one) == State.PRIMARY_STATE_INACTIVE:
        assert change(one, Transition.TRANSITION_ACTIVATE)


def test_a_managed_node_works_only_while_it_is_active(one: Graph) -> None:
    one.diagnosis_says("not configured: it processes no images until `ros2 lifecycle set /multiview configure`")
    assert one.controller.level == 1
    assert change(one, Transition.TRANSITION_CONFIGURE)
    one.diagnosis_says("inactive: it processes no images until")
    assert one.controller.poses == []
    assert change(one, Transition.TRANSITION_ACTIVATE)
    assert error_mm(one.poses_after(3)[-1], np.eye(4)) < 1.0
    assert {person.id for pose in one.controller.poses for person in pose.people} == {"1"}

    assert change(one, Transition.TRANSITION_DEACTIVATE)
    one.diagnosis_says("inactive")
    # The last message to subscribers: no person is seen, and no image says so.
    one.play_until(lambda: bool(one.controller.aged) and not one.controller.aged[-1].people, "an empty last message")
    assert state(one) == State.PRIMARY_STATE_INACTIVE
    heard = len(one.controller.poses)
    assert state(one) == State.PRIMARY_STATE_INACTIVE  # images have come meanwhile
    assert len(one.controller.poses) == heard
    assert change(one, Transition.TRANSITION_ACTIVATE)
    assert {person.id for person in one.poses_after(2)[-1].people} == {"2"}  # no id is given twice


def test_fault_parameter_updates_good_and_bad(one: Graph) -> None:
    """Fault: a request changes several parameters while the node runs, one of them to what cannot be.
    Sees: all or none change; a refusal says why, and for what is fixed at start how to change it.
    Recovers: with a request that is right; poses go on all the while, under the same ids.
    """
    activated(one)
    ids = {person.id for person in one.poses_after(2)[-1].people}
    assert set_together(one, max_std_m=0.25, smoothing="one_euro", publish_markers=False) == (True, "")
    assert (one.node.live.outputs.publish_markers, one.node.live.estimation.max_std_m) == (False, 0.25)

    refused, why = set_together(one, max_std_m=0.3, smoothing="cubic")
    assert (refused, "expected one of none, body, one_euro, kalman" in why) == (False, True)
    refused, why = set_together(one, lost_after_s=0.4, max_age_s=0.1)
    assert (refused, "must not be less than lost_after_s" in why) == (False, True)
    refused, why = set_together(one, publish_markers=True, cameras=["left", "front"])
    assert not refused
    assert "'cameras' cannot change now" in why
    assert "`ros2 lifecycle set /multiview` deactivate, cleanup, set it, then configure and activate" in why
    assert (one.node.live.outputs.publish_markers, one.node.live.estimation.max_std_m) == (False, 0.25)

    assert {person.id for person in one.poses_after(3)[-1].people} == ids
    assert set_together(one, max_std_m=0.001) == (True, "")  # 1 mm: no person is located so surely
    one.diagnosis_says("none has a pose")
    assert set_together(one, max_std_m=0.5, smoothing="none", publish_markers=True) == (True, "")
    one.poses_after(1)


def test_fault_out_of_memory_while_running(one: Graph) -> None:
    """Fault: the detector raises for want of memory in several frame sets after each other.
    Sees: no poses; ERROR "out of memory (...): the frame set was dropped", then with the options that need less.
    Recovers: by itself.
    """
    activated(one)
    one.poses_after(1)
    fails["now"] = MemoryError("no room for 2.00 GiB")
    try:
        one.diagnosis_says("out of memory (no room for 2.00 GiB): the frame set was dropped and its memory freed")
        one.diagnosis_says("times in a row: set precision:=half")
    finally:
        fails.clear()
    assert error_mm(one.poses_after(2)[-1], np.eye(4)) < 1.0
    one.diagnosis_says("running")


def test_fault_deactivated_with_images_under_way(one: Graph) -> None:
    """Fault: the node is deactivated, or deactivated and activated again, while images wait in its executor.
    Sees: no pose of those images, no error.
    Recovers: poses of new images as soon as it is active.
    """
    activated(one)
    one.poses_after(1)
    for _ in range(3):
        one.cameras.publish_set()
        time.sleep(0.2)  # they are in the executor by then
        taken = one.node._session._sets._grouper
        one.node.trigger_deactivate()
        for _ in range(40):
            one.executor.spin_once(timeout_sec=0.01)  # raised InvalidHandle, which ended the node
        assert taken.due_ns() is None
        one.node.trigger_activate()
        assert error_mm(one.poses_after(1)[-1], np.eye(4)) < 1.0


def test_fault_configuration_that_cannot_be(one: Graph) -> None:
    """Fault: a managed node is activated with a rig file that is not there.
    Sees: the transition fails, ERROR with the cause; the process stays, unconfigured.
    Recovers: fix it, set the parameter, configure and activate again.
    """
    activated(one)
    assert change(one, Transition.TRANSITION_DEACTIVATE)
    assert change(one, Transition.TRANSITION_CLEANUP)
    assert set_together(one, rig_file="/nowhere/rig.yaml", placement="file") == (True, "")
    assert not (change(one, Transition.TRANSITION_CONFIGURE) and change(one, Transition.TRANSITION_ACTIVATE))
    assert state(one) == State.PRIMARY_STATE_UNCONFIGURED
    one.diagnosis_says("not configured: ")
    assert "/nowhere/rig.yaml" in one.controller.message
    assert one.controller.level == 2
    assert set_together(one, rig_file="", placement="tf") == (True, "")
    activated(one)
    assert error_mm(one.poses_after(2)[-1], np.eye(4)) < 1.0


MAKE: dict[str, Callable[..., Node]] = {
    "multiview": lambda **given: PoseNode(KnownDetector(ring("left", "right")), **given),
    "monocular": lambda **given: monocular_node(
        KnownDetector(ring("camera")),
        PersonLifter(lifter=KnownLifter(KnownBody(ring("camera")))),  # type: ignore[arg-type]
        **given,
    ),
    "detector": lambda **given: DetectorNode(KnownDetector(ring("left", "right")), **given),
}


def held() -> tuple[int, int, int, int]:
    """Resident memory (bytes), threads of the process and of Python, open descriptors."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    of_process, of_python = len(os.listdir("/proc/self/task")), threading.active_count()
    return pages * os.sysconf("SC_PAGE_SIZE"), of_process, of_python, len(os.listdir("/proc/self/fd"))


class Collector:
    """Stands in for gc, which other nodes of this process use too."""

    def __init__(self, frozen: int) -> None:
        self.frozen, self.calls = frozen, list[str]()

    def get_freeze_count(self) -> int:
        return self.frozen

    def collect(self) -> None:
        self.calls.append("collect")

    def freeze(self) -> None:
        self.calls.append("freeze")
        self.frozen = 1

    def unfreeze(self) -> None:
        self.calls.append("unfreeze")
        self.frozen = 0


@pytest.mark.parametrize("frozen", [0, 7])
def test_what_is_loaded_is_kept_from_the_garbage_collector_while_active(
    frozen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector(frozen)
    monkeypatch.setattr(lifecycle, "gc", collector)
    parameters = {"autostart": False, "monocular_fallback": "never", "refine": "none"}
    with own_context() as context:
        node = MAKE["multiview"](
            context=context, parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]
        )
        for step in ("configure", "activate", "deactivate", "activate"):
            assert getattr(node, f"trigger_{step}")() is SUCCESS, step
        node.close()
        node.destroy_node()
    # What others keep from it is left alone.
    assert collector.calls == ([] if frozen else ["collect", "freeze", "unfreeze"] * 2)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's /proc to count what is held")
@pytest.mark.parametrize("kind", MAKE)
def test_a_hundred_cycles_leave_nothing_behind(kind: str) -> None:
    parameters: dict[str, object] = {"autostart": False}
    if kind == "multiview":
        parameters |= {"monocular_fallback": "never", "refine": "none", "fixed_frame": "world"}
    with own_context() as context:
        node = MAKE[kind](
            context=context, parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]
        )
        node.get_logger().set_level(LoggingSeverity.WARN)
        gc.collect()
        gc.freeze()  # what imports made need not be searched in every cleanup
        try:
            after = []
            for _ in range(100):
                for step in ("configure", "activate", "deactivate", "cleanup"):
                    assert getattr(node, f"trigger_{step}")() is SUCCESS, step
                after.append(held())
        finally:
            gc.unfreeze()
            node.get_logger().set_level(LoggingSeverity.UNSET)  # a level outlives its node
            node.close()
            node.destroy_node()
    rss, *counts = np.array(after).T
    # A thread that has ended is still listed for a moment, so single counts may be one too high.
    assert all(np.median(count[-40:]) == np.median(count[20:60]) for count in counts), counts
    # In both halves: another thread of the test process may allocate once.
    grown = min(np.polyfit(np.arange(40), rss[begin : begin + 40], 1)[0] * 80 for begin in (20, 60))
    assert grown < 2e6, f"{grown / 1e6:.1f} MB in 80 cycles"  # one frame set that is kept is as much
