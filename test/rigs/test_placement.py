"""Camera placement against analytic truth, and messages with the fix."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.placement import (
    consistent_sizes,
    extrinsics_from_projection,
    extrinsics_from_tf,
    missing_transform,
)
from pose3d_ros.structures import Camera

K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])


def _info(P: np.ndarray, R: np.ndarray | None = None) -> SimpleNamespace:
    rotation = np.zeros(9) if R is None else R.ravel()
    return SimpleNamespace(k=K.ravel(), p=P.ravel(), r=rotation, width=640, height=480)


def _stereo(baseline_m: float) -> tuple[SimpleNamespace, SimpleNamespace]:
    left, right = np.c_[K, np.zeros(3)], np.c_[K, np.array([-500.0 * baseline_m, 0, 0])]
    return _info(left), _info(right)


def test_projection_gives_the_right_camera_one_baseline_to_the_right() -> None:
    left, right = _stereo(0.12)
    right_from_left = extrinsics_from_projection("right", "left", {"left": left, "right": right})
    assert Camera("right", (640, 480), K, cam_from_world=right_from_left).centre == pytest.approx([0.12, 0, 0])
    assert np.array_equal(extrinsics_from_projection("left", "left", {"left": left}), np.eye(4))


def test_projection_and_r_give_the_rig_before_rectification() -> None:
    """cv2.stereoRectify computes R and P from a known rig; the rig is recovered from them."""
    turn = cv2.Rodrigues(np.array([0.02, -0.05, 0.01]))[0]
    shift = np.array([-0.2, 0.004, 0.01])
    R1, R2, P1, P2, *_ = cv2.stereoRectify(K, np.zeros(5), K, np.zeros(5), (640, 480), turn, shift[:, None])
    right_from_left = extrinsics_from_projection("right", "left", {"left": _info(P1, R1), "right": _info(P2, R2)})
    assert right_from_left[:3, :3] == pytest.approx(turn, abs=1e-9)
    assert right_from_left[:3, 3] == pytest.approx(shift, abs=1e-9)


def test_projection_without_a_baseline_is_rejected_with_the_fix() -> None:
    left, right = _stereo(0.0)
    with pytest.raises(CalibrationError, match=r"'right'.*P\[3\] = 0.*baseline is zero.*placement: tf"):
        extrinsics_from_projection("right", "left", {"left": left, "right": right})


def test_projection_with_an_empty_p_is_rejected() -> None:
    left, _ = _stereo(0.1)
    with pytest.raises(CalibrationError, match="baseline is zero"):
        extrinsics_from_projection("right", "left", {"left": left, "right": _info(np.zeros((3, 4)))})


def test_tf_looks_up_the_camera_in_the_fixed_frame_at_the_stamp() -> None:
    fixed_from_cam = np.eye(4)
    fixed_from_cam[:3, 3] = 1.0, 2.0, 3.0
    look_ups = []

    def look_up(target: str, source: str, stamp_ns: int) -> np.ndarray:
        look_ups.append((target, source, stamp_ns))
        return fixed_from_cam

    cam_from_fixed = extrinsics_from_tf("left", "left_optical", 42, "world", look_up)
    assert look_ups == [("world", "left_optical", 42)]
    assert Camera("left", (640, 480), K, cam_from_world=cam_from_fixed).centre == pytest.approx([1, 2, 3])
    assert np.array_equal(extrinsics_from_tf("left", "left_optical", 42, "left_optical", look_up), np.eye(4))


def test_image_without_frame_id_is_rejected() -> None:
    with pytest.raises(CalibrationError, match="empty header"):
        extrinsics_from_tf("left", "", 0, "world", lambda *_: np.eye(4))


def test_missing_transform_reports_both_frames_and_the_command() -> None:
    message = str(missing_transform("world", "right_optical", "frame does not exist."))
    assert "from 'right_optical' to 'world' (frame does not exist)" in message
    assert "static_transform_publisher" in message
    assert "--frame-id world --child-frame-id right_optical" in message


def test_camera_info_of_another_size_than_the_rig_file_is_reported() -> None:
    camera = Camera("left", (640, 480), K)
    no_roi = SimpleNamespace(width=0, height=0)
    same, other = (
        SimpleNamespace(width=w, height=h, roi=no_roi, binning_x=0, binning_y=1) for w, h in ((640, 480), (1280, 720))
    )
    assert consistent_sizes(camera, same) == ""
    assert "1280 x 720" in consistent_sizes(camera, other)
    assert consistent_sizes(camera, SimpleNamespace(**{**vars(other), "binning_x": 2})) == ""
