"""The rig of a running node: kept while nothing changes, rebuilt on a change, problems by camera."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.live_rig import CameraUpdate, LiveRig
from pose3d_ros.rigs.placement import missing_transform
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import Buffer
from pose3d_ros.ros.tf_look_up import KEPT_S, tf_look_up
from pose3d_ros.structures import Camera, Floats

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
NAMES = ("left", "right", "side")


def at(x: float) -> Floats:
    """A pose (4, 4) m on the x axis."""
    transform = np.eye(4)
    transform[0, 3] = x
    return transform


class Transforms:
    """world_from_camera by frame; any other transform is missing."""

    def __init__(self) -> None:
        self.world_from = {f"{name}_optical": at(float(n)) for n, name in enumerate(NAMES)}

    def __call__(self, target: str, source: str, stamp_ns: int) -> Floats:
        if target != "world" or source not in self.world_from:
            raise missing_transform(target, source, "unknown")
        return self.world_from[source]


def updates(*names: str, baseline_m: float = 0.0, K: Floats = K) -> dict[str, CameraUpdate]:
    by_name = {}
    for name in names:
        info = conversions.camera_info_to_msg(Camera("any", (640, 480), np.eye(3)), 0, f"{name}_optical")
        info.k, info.p = K.ravel(), np.c_[K, [-500.0 * baseline_m * NAMES.index(name), 0, 0]].ravel()
        by_name[name] = CameraUpdate(info, f"{name}_optical", 5)
    return by_name


def test_rig_is_kept_until_a_transform_or_a_calibration_changes() -> None:
    transforms = Transforms()
    live = LiveRig(NAMES, transforms, placement="tf", rectified=False, fixed_frame="world")
    first = live.update(updates(*NAMES))
    assert live.update(updates(*NAMES)) is first
    transforms.world_from["side_optical"] = at(5.0)
    moved = live.update(updates(*NAMES))
    assert moved.camera("side").centre == pytest.approx([5, 0, 0])
    zoomed = live.update(updates(*NAMES, K=np.diag([500.0, 500, 0]) + K))
    assert zoomed.camera("left").K[0, 0] == 1000.0
    assert len({first.calibration_hash, moved.calibration_hash, zoomed.calibration_hash}) == 3


def test_camera_without_a_transform_is_left_out_until_it_has_one() -> None:
    transforms = Transforms()
    live = LiveRig(NAMES, transforms, placement="tf", rectified=False, fixed_frame="world")
    side = transforms.world_from.pop("side_optical")
    assert live.update(updates(*NAMES)).names == ("left", "right")
    assert "'side_optical'" in live.problems["side"]
    transforms.world_from["side_optical"] = side
    assert live.update(updates(*NAMES)).names == NAMES
    assert not live.problems


def test_fault_late_transform_of_one_camera() -> None:
    """Fault: the transform of one camera that has been in use comes too late for a frame set.
    Sees: the camera is left out of this set with the cause; the rig and its calibration health stay.
    Recovers: with the next transform.
    Kind: K8
    Before: calibration health began again: a camera that was knocked was "as at the start" 26 s later.
    """
    transforms = Transforms()
    live = LiveRig(NAMES, transforms, placement="tf", rectified=False, fixed_frame="world")
    full = live.update(updates(*NAMES))
    side = transforms.world_from.pop("side_optical")
    assert live.update(updates(*NAMES)) is full
    assert "'side_optical'" in live.problems["side"]
    transforms.world_from["side_optical"] = side
    assert live.update(updates(*NAMES)) is full
    assert not live.problems
    transforms.world_from["side_optical"] = at(4.0)
    assert live.update(updates(*NAMES)).camera("side").centre == pytest.approx([4, 0, 0])
    transforms.world_from.clear()
    with pytest.raises(CalibrationError, match="left_optical"):
        live.update(updates(*NAMES))  # none of them is usable now


def test_camera_missing_from_one_set_stays_in_the_rig() -> None:
    live = LiveRig(NAMES, Transforms(), placement="tf", rectified=False, fixed_frame="world")
    full = live.update(updates(*NAMES))
    assert live.update(updates("left", "right")) is full


def test_auto_uses_tf_if_available_and_else_the_projection_matrices() -> None:
    by_tf = LiveRig(NAMES[:2], Transforms(), placement="auto", rectified=True, fixed_frame="world")
    assert by_tf.update(updates("left", "right", baseline_m=0.1)).frame_id == "world"
    assert by_tf.placement == "tf"
    transforms = Transforms()
    transforms.world_from = {}
    by_p = LiveRig(NAMES[:2], transforms, placement="auto", rectified=True)
    rig = by_p.update(updates("left", "right", baseline_m=0.1))
    assert by_p.placement == "projection"
    assert rig.frame_id == "left_optical"
    assert rig.camera("right").centre == pytest.approx([0.1, 0, 0])


def test_auto_waits_for_late_tf_before_it_uses_the_projection_matrices() -> None:
    transforms, now = Transforms(), [0.0]
    world_from, transforms.world_from = transforms.world_from, {}
    options = {"placement": "auto", "rectified": True, "fixed_frame": "world", "tf_patience_s": 2.0}
    live = LiveRig(NAMES[:2], transforms, **options, now_s=lambda: now[0])  # type: ignore[arg-type]
    with pytest.raises(CalibrationError, match="waiting for TF 2 s at most"):
        live.update(updates("left", "right", baseline_m=0.1))
    now[0], transforms.world_from = 1.9, world_from
    live.update(updates("left", "right", baseline_m=0.1))
    assert live.placement == "tf"
    transforms.world_from = {}
    now[0], never = 10.0, LiveRig(NAMES[:2], transforms, **{**options, "fixed_frame": ""}, now_s=lambda: now[0])  # type: ignore[arg-type]
    with pytest.raises(CalibrationError, match="waiting for TF"):
        never.update(updates("left", "right", baseline_m=0.1))
    now[0] = 12.1
    never.update(updates("left", "right", baseline_m=0.1))
    assert never.placement == "projection"


def test_stereo_head_from_projection_is_transformed_into_another_fixed_frame() -> None:
    live = LiveRig(NAMES[:2], Transforms(), placement="projection", rectified=True, fixed_frame="world")
    live._look_up.world_from["left_optical"] = at(7.0)  # type: ignore[attr-defined]
    rig = live.update(updates("left", "right", baseline_m=0.1))
    assert rig.frame_id == "world"
    assert rig.camera("right").centre == pytest.approx([7.1, 0, 0])


def test_two_of_three_cameras_at_one_position_are_a_warning() -> None:
    transforms = Transforms()
    transforms.world_from["side_optical"] = transforms.world_from["right_optical"]
    live = LiveRig(NAMES, transforms, placement="tf", rectified=False, fixed_frame="world")
    live.update(updates(*NAMES))
    assert any("'right' and 'side' have the same position" in warning for warning in live.warnings)


def test_too_few_cameras_are_rejected_with_every_cause() -> None:
    live = LiveRig(NAMES[:2], Transforms(), placement="tf", rectified=False, fixed_frame="world")
    left_and_right = updates("left", "right")
    with pytest.raises(CalibrationError, match="camera 'right': no camera_info received"):
        live.update({**left_and_right, "right": replace(left_and_right["right"], info=None)})


def transform_at(stamp_ns: int, x: float) -> TransformStamped:
    return conversions.transform_to_msg(at(x), "world", "cam", stamp_ns)


def test_look_up_waits_for_a_transform_that_arrives_after_its_image() -> None:
    buffer = Buffer()
    buffer.set_transform(transform_at(1_000_000_000, 0.0), "test")
    look_up = tf_look_up(buffer, 10.0, threading.Event())
    thread = threading.Timer(0.05, lambda: buffer.set_transform(transform_at(2_000_000_000, 2.0), "test"))
    thread.start()
    assert look_up("world", "cam", 1_500_000_000)[0, 3] == pytest.approx(1.0)
    thread.join()


def test_look_up_gives_up_after_a_timeout_and_at_once_for_an_unknown_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = Buffer()
    buffer.set_transform(transform_at(1_000_000_000, 0.0), "test")
    with pytest.raises(CalibrationError, match=r"from 'cam' to 'world'.*extrapolation"):
        tf_look_up(buffer, 0.02, threading.Event())("world", "cam", 1_500_000_000)
    unset = threading.Event()
    monkeypatch.setattr(unset, "wait", lambda timeout: pytest.fail("waited"))
    with pytest.raises(CalibrationError, match="does not exist"):
        tf_look_up(buffer, 60.0, unset)("world", "other", 1_500_000_000)


class CountingBuffer(Buffer):
    """Counts look-ups."""

    def __init__(self) -> None:
        super().__init__()
        self.look_ups = 0

    def lookup_transform(self, *arguments: Any, **named: Any) -> TransformStamped:
        self.look_ups += 1
        return super().lookup_transform(*arguments, **named)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the look-ups take for the time; it passes where a test says so."""
    one = SimpleNamespace(now_s=1000.0)
    monkeypatch.setattr("pose3d_ros.ros.tf_look_up.time", SimpleNamespace(monotonic=lambda: one.now_s))
    return one


def test_static_transform_is_cached_and_refreshed_soon(
    clock: SimpleNamespace,
) -> None:
    buffer = CountingBuffer()
    buffer.set_transform_static(transform_at(0, 1.0), "test")
    look_up = tf_look_up(buffer, 0.0, threading.Event())
    assert [look_up("world", "cam", stamp_ns)[0, 3] for stamp_ns in range(50)] == [1.0] * 50
    assert buffer.look_ups < 5
    buffer.set_transform_static(transform_at(0, 2.0), "test")
    clock.now_s += 2 * KEPT_S
    assert look_up("world", "cam", 50)[0, 3] == 2.0


def test_moving_transform_is_looked_up_at_every_stamp_also_after_a_static_one(clock: SimpleNamespace) -> None:
    buffer = Buffer()
    look_up = tf_look_up(buffer, 0.0, threading.Event())
    for x in range(5):
        buffer.set_transform(transform_at(x + 1, float(x)), "test")
        assert look_up("world", "cam", x + 1)[0, 3] == x
    buffer.set_transform_static(transform_at(0, 7.0), "test")
    assert look_up("world", "cam", 9)[0, 3] == 7.0
    buffer.set_transform(transform_at(10, 8.0), "test")
    clock.now_s += 2 * KEPT_S
    assert look_up("world", "cam", 10)[0, 3] == 8.0


def test_fault_projection_matrix_of_nan() -> None:
    """Fault: a stereo driver's P has NaN instead of a camera's baseline.
    Sees: "camera 'side': its camera_info has Tx = P[3] = nan"; that camera is left out, the others continue.
    Recovers: by itself with a valid camera_info.
    """
    live = LiveRig(NAMES, Transforms(), placement="projection", rectified=True)
    valid, broken = updates(*NAMES, baseline_m=0.5), updates(*NAMES, baseline_m=0.5)
    broken["side"].info.p[3] = float("nan")
    assert live.update(broken).names == ("left", "right")
    assert "camera 'side': its camera_info has Tx = P[3] = nan" in live.problems["side"]
    assert live.update(valid).names == NAMES


def test_camera_with_a_nonrigid_transform_is_left_out() -> None:
    transforms = Transforms()
    transforms.world_from["side_optical"] = 2.0 * np.eye(4)
    live = LiveRig(NAMES, transforms, placement="tf", rectified=False, fixed_frame="world")
    assert live.update(updates(*NAMES)).names == ("left", "right")
    assert "camera 'side': cam_from_world is not a rigid transform" in live.problems["side"]
