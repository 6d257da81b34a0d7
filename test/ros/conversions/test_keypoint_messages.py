"""Keypoints2DArray there and back in float32."""

from __future__ import annotations

import array

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from pose3d_ros.errors import InputError
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Keypoints2D


def float32(numbers):
    return np.asarray(numbers, np.float32).astype(float)


def some(people=2, skeleton=H36M_17, covariance=True, boxes=True):
    rng = np.random.default_rng(4)
    xy = float32(rng.uniform(0, 1900, (people, 17, 2)))
    score = float32(rng.uniform(0.1, 1, (people, 17)))
    spread = float32(rng.uniform(1, 4, (people, 17, 1, 1)) * np.eye(2))
    if people:
        xy[0, 10], score[0, 10], spread[0, 10] = np.nan, 0, np.nan
    return Keypoints2D(
        xy=xy,
        score=score,
        skeleton=skeleton,
        stamp_ns=1_700_000_000_000_000_001,
        covariance=spread if covariance else None,
        boxes=float32(rng.uniform(0, 500, (people, 4))) if boxes else None,
    )


def to_msg(keypoints, ids):
    return conversions.keypoints_to_msg(
        keypoints, ids, camera_name="left", frame_id="left_optical", size_wh=(1920, 1088), detector="movenet_thunder"
    )


@pytest.mark.parametrize("covariance", [True, False])
@pytest.mark.parametrize("boxes", [True, False])
@pytest.mark.parametrize("skeleton", [H36M_17, COCO_17])
def test_keypoints_round_trip_over_the_wire(skeleton, boxes, covariance):
    keypoints = some(2, skeleton, covariance, boxes)
    msg = deserialize_message(serialize_message(to_msg(keypoints, ["7", ""])), Keypoints2DArray)
    back, ids = conversions.keypoints_from_msg(msg)
    assert ids == ("7", "")
    assert (back.skeleton, back.stamp_ns) == (skeleton, keypoints.stamp_ns)
    np.testing.assert_array_equal(back.xy, keypoints.xy)
    np.testing.assert_array_equal(back.score, keypoints.score)
    for name in ("covariance", "boxes"):
        before, after = getattr(keypoints, name), getattr(back, name)
        assert (before is None) == (after is None)
        if before is not None:
            np.testing.assert_array_equal(after, before)


def test_empty_keypoints_round_trip():
    back, ids = conversions.keypoints_from_msg(to_msg(some(0), []))
    assert (len(back), ids) == (0, ())


def test_message_has_the_camera_and_the_detector():
    msg = to_msg(some(), ["1", "2"])
    assert (msg.camera_name, msg.header.frame_id, msg.detector) == ("left", "left_optical", "movenet_thunder")
    assert (msg.width, msg.height, msg.skeleton, len(msg.joint_names)) == (1920, 1088, "h36m_17", 17)
    assert msg.people[0].confidence == pytest.approx(some().score[0][some().score[0] > 0].mean())


def test_every_person_needs_an_id():
    with pytest.raises(InputError, match="2 people in the image of 'left' need one id each, got 1"):
        to_msg(some(), ["1"])


def test_arrays_of_wrong_length_are_rejected():
    msg = to_msg(some(), ["1", "2"])
    msg.people[1].scores = array.array("f", [0.5] * 16)
    with pytest.raises(InputError, match=r"person 1 in 'left'.*16.*expected 34, 17"):
        conversions.keypoints_from_msg(msg)
