"""HumanPose3DArray there and back, through the wire format too."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from people import J, a_pose
from rclpy.serialization import deserialize_message, serialize_message
from timing import cpu_s

from pose3d_ros.errors import InputError
from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import PERSON_ARRAYS, Floor, PersonState, unknown_body


def to_msg(pose, **more):
    fields = {"camera_stamps_ns": {"left": 2_000_000_000, "right": 1_990_000_000}, "calibration_hash": "0a1b", **more}
    return conversions.pose_to_msg(pose, **fields)


@pytest.mark.parametrize("wire", [False, True], ids=["in memory", "serialised"])
@pytest.mark.parametrize("people", [0, 1, 3])
def test_pose_round_trip_is_exact(people, wire):
    pose = a_pose(people, absent=[(0, 10), (0, 16)] if people else ())
    msg = to_msg(pose)
    if wire:
        msg = deserialize_message(serialize_message(msg), HumanPose3DArray)
    back = conversions.pose_from_msg(msg)
    for name in PERSON_ARRAYS:
        np.testing.assert_array_equal(getattr(back, name), getattr(pose, name), err_msg=name)
    np.testing.assert_array_equal(back.floor.plane, pose.floor.plane)
    np.testing.assert_array_equal(back.floor.covariance, pose.floor.covariance)
    assert (back.ids, back.skeleton, back.frame_id, back.stamp_ns) == (
        pose.ids, pose.skeleton, pose.frame_id, pose.stamp_ns,
    )  # fmt: skip


def test_absent_joint_is_nan_with_confidence_zero_never_a_zero_coordinate():
    joint = to_msg(a_pose(1, absent=[(0, 4)])).people[0].joints[4]
    assert np.isnan([joint.position.x, joint.position.y, joint.position.z, joint.reprojection_px]).all()
    assert np.isnan(joint.covariance).all()
    assert (joint.confidence, joint.n_views, joint.source) == (0.0, 0, joint.SOURCE_ABSENT)


def test_what_is_not_known_of_bodies_is_nan_in_the_message_never_zero():
    pose = replace(a_pose(1, floor=None), **unknown_body(1, J))
    msg = to_msg(pose)
    (person,), joint = msg.people, msg.people[0].joints[2]
    turned = joint.orientation
    assert np.isnan([turned.x, turned.y, turned.z, turned.w, *joint.orientation_std]).all()
    assert np.isnan([person.stature, person.stature_std, *person.foot_contact]).all()
    assert np.isnan([*msg.floor_plane, *msg.floor_covariance]).all()
    assert conversions.pose_from_msg(msg).floor is None


def test_floor_that_a_program_left_at_its_zeros_is_not_known():
    assert (
        conversions.pose_from_msg(HumanPose3DArray(skeleton="h36m_17", joint_names=list(H36M_17.joint_names))).floor
        is None
    )


@pytest.mark.parametrize("plane", [[0, 0, 2, 1], [0, 0, 1, np.inf]])
def test_floor_or_orientation_of_no_plane_or_rotation_is_rejected(plane):
    with pytest.raises(InputError, match=r"floor: plane is .* expected a unit normal and a finite d"):
        Floor(np.array(plane), np.eye(3))
    msg = to_msg(a_pose(1))
    msg.people[0].joints[3].orientation.w = 3.0
    with pytest.raises(InputError, match=r"orientation holds .* expected unit quaternions x, y, z, w, or NaN"):
        conversions.pose_from_msg(msg)


def test_person_confidence_is_the_mean_of_present_joints():
    pose = a_pose(1, absent=[(0, 0), (0, 1)])
    assert to_msg(pose).people[0].confidence == pytest.approx(pose.score[0, 2:].mean())
    nobody_seen = to_msg(a_pose(1, absent=[(0, j) for j in range(J)]))
    assert nobody_seen.people[0].confidence == 0.0


def test_message_has_header_cameras_and_skeleton():
    msg = to_msg(a_pose(states=[PersonState.OCCLUDED, PersonState.LOST]), processing_latency_s=0.125)
    assert (msg.header.frame_id, msg.skeleton, msg.joint_names[0]) == ("world", "h36m_17", "Pelvis")
    assert [conversions.stamp_to_ns(stamp) for stamp in msg.camera_stamps] == [2_000_000_000, 1_990_000_000]
    assert msg.camera_names == ["left", "right"]
    assert msg.stamp_spread == pytest.approx(0.01)
    assert (msg.processing_latency, msg.calibration_hash) == (0.125, "0a1b")
    assert [person.state for person in msg.people] == [msg.people[0].STATE_OCCLUDED, msg.people[0].STATE_LOST]


def test_latency_that_was_not_measured_is_nan():
    assert np.isnan(to_msg(a_pose()).processing_latency)


def test_message_of_another_skeleton_is_rejected_with_its_name():
    msg = to_msg(a_pose())
    msg.skeleton = "body_99"
    with pytest.raises(InputError, match="'body_99', expected one of h36m_17, coco_17"):
        conversions.pose_from_msg(msg)
    msg = to_msg(a_pose())
    msg.joint_names = [*reversed(msg.joint_names)]
    with pytest.raises(InputError, match="same version"):
        conversions.pose_from_msg(msg)


def test_person_with_too_few_joints_is_rejected_with_the_id():
    msg = to_msg(a_pose())
    msg.people[1].joints = msg.people[1].joints[:-1]
    with pytest.raises(InputError, match="'2' has 16 joints, expected 17"):
        conversions.pose_from_msg(msg)


def test_three_people_are_written_as_fast_as_their_message_is_copied_without_field_checks(monkeypatch):
    from geometry_msgs.msg import _point, _vector3

    import pose3d_ros.msg._human_pose3_d as human
    import pose3d_ros.msg._joint3_d as joint

    for module in (human, joint, _point, _vector3):
        monkeypatch.setattr(module, "ros_python_check_fields", "")
    pose = a_pose(3)
    # Measured: in half the time of the copy.
    assert cpu_s(to_msg, pose, repeats=10) < 3 * cpu_s(copy.deepcopy, to_msg(pose), repeats=10)


def test_message_does_not_share_memory_with_the_pose():
    pose = a_pose(1)
    msg = to_msg(pose)
    before = pose.covariance.copy()
    msg.people[0].joints[0].covariance[:] = 9.0
    assert (pose.covariance == before).all()
