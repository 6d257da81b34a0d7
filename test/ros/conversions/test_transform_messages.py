"""TF messages: matrices there and back, and the frames of people."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from people import J, a_pose
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.orientation import with_orientations
from pose3d_ros.ros import conversions
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import PersonState


def random_place(rng):
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix[:3, :3] *= np.sign(np.linalg.det(matrix[:3, :3]))
    matrix[:3, 3] = rng.normal(size=3)
    return matrix


def test_matrix_round_trip():
    rng = np.random.default_rng(5)
    for _ in range(30):
        matrix = random_place(rng)
        msg = conversions.transform_to_msg(matrix, "world", "left", 12)
        assert (msg.header.frame_id, msg.child_frame_id) == ("world", "left")
        assert conversions.stamp_to_ns(msg.header.stamp) == 12
        assert conversions.matrix_from_transform(msg) == pytest.approx(matrix, abs=1e-9)
        assert conversions.matrix_from_transform(msg.transform) == pytest.approx(matrix, abs=1e-9)


def test_quaternion_is_x_y_z_w_as_ros_has_it():
    quarter_turn_about_z = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    q = conversions.transform_to_msg(quarter_turn_about_z, "a", "b", 0).transform.rotation
    assert np.array([q.x, q.y, q.z, q.w]) * np.sign(q.w) == pytest.approx([0, 0, np.sqrt(0.5), np.sqrt(0.5)])


def test_transform_without_a_rotation_is_rejected():
    msg = TransformStamped()
    msg.transform.rotation.w = 0.0
    with pytest.raises(InputError, match="expected finite numbers and length 1"):
        conversions.matrix_from_transform(msg)


def test_matrix_with_nan_never_becomes_a_message():
    with pytest.raises(InputError, match="'world' from 'left'"):
        conversions.transform_to_msg(np.full((4, 4), np.nan), "world", "left", 0)


def test_every_present_joint_is_a_child_of_the_poses_frame():
    pose = a_pose(2, absent=[(0, 10)])
    messages = conversions.transforms_to_msgs(pose)
    children = [one.child_frame_id for one in messages]
    assert len(children) == len(set(children)) == (1 + J - 1) + (1 + J)
    assert "human_1_HeadTop" not in children
    assert {one.header.frame_id for one in messages} == {"world"}
    wrist = next(one for one in messages if one.child_frame_id == "human_2_LWrist")
    expected = np.eye(4)
    expected[:3, :3] = Rotation.from_quat(pose.orientation[1, H36M_17.index("LWrist")]).as_matrix()
    expected[:3, 3] = pose.xyz[1, H36M_17.index("LWrist")]
    assert conversions.matrix_from_transform(wrist) == pytest.approx(expected)
    assert conversions.stamp_to_ns(wrist.header.stamp) == pose.stamp_ns


def test_joint_without_an_orientation_has_the_axes_of_the_fixed_frame():
    pose = a_pose(1)
    pose.orientation[0, H36M_17.index("Nose")] = np.nan
    nose = next(one for one in conversions.transforms_to_msgs(pose) if one.child_frame_id == "human_1_Nose")
    assert conversions.matrix_from_transform(nose)[:3, :3] == pytest.approx(np.eye(3))


def test_body_frame_looks_forward_with_y_left_and_z_up():
    assert conversions.body_frame(a_pose(1), 0) == pytest.approx(
        np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.9], [0, 0, 0, 1]])
    )


def test_body_frame_turns_with_the_person():
    pose = a_pose(1)
    place = random_place(np.random.default_rng(6))
    moved = pose.xyz[0] @ place[:3, :3].T + place[:3, 3]
    object.__setattr__(pose, "xyz", moved[None])
    upright = np.eye(4)
    upright[2, 3] = 0.9
    assert conversions.body_frame(pose, 0) == pytest.approx(place @ upright)


def test_body_frame_has_the_axes_of_the_spine():
    pose = a_pose(1)
    rng = np.random.default_rng(7)
    object.__setattr__(pose, "xyz", pose.xyz + 0.05 * rng.normal(size=pose.xyz.shape))
    spine = with_orientations(pose).orientation[0, H36M_17.index("Spine")]
    body = conversions.body_frame(pose, 0)
    assert Rotation.from_quat(spine).as_matrix() == pytest.approx(body[:3, :3])
    assert body[:3, 3] == pytest.approx(pose.xyz[0, H36M_17.index("Pelvis")])


@pytest.mark.parametrize("missing", ["Pelvis", "LShoulder", "LHip", "RShoulder"])
def test_body_that_cannot_be_oriented_has_no_frame_but_its_joints_have(missing):
    pose = a_pose(1, absent=[(0, H36M_17.index(missing))])
    assert conversions.body_frame(pose, 0) is None
    children = [one.child_frame_id for one in conversions.transforms_to_msgs(pose)]
    assert "human_1" not in children
    assert len(children) == J - 1


def test_joints_in_one_point_have_no_body_frame():
    pose = a_pose(1)
    object.__setattr__(pose, "xyz", np.ones((1, J, 3)))
    assert conversions.body_frame(pose, 0) is None


def test_lost_people_are_not_on_tf():
    pose = a_pose(2, states=[PersonState.LOST, PersonState.OCCLUDED])
    assert {one.child_frame_id[:7] for one in conversions.transforms_to_msgs(pose)} == {"human_2"}


def test_nothing_on_tf_is_ever_nan():
    pose = a_pose(1, absent=[(0, j) for j in range(J)])
    assert conversions.transforms_to_msgs(pose) == []


def test_names_hold_letters_digits_and_underscores_only():
    assert conversions.frame_name("anna/left hand-ä") == "anna_left_hand__"
