"""The viewer draws what is known, and only this machine can look."""

import socket

import numpy as np
import psutil
import pytest
from graph_for_tests import a_pose, own_context
from rclpy.parameter import Parameter

from pose3d_ros.ros import conversions
from pose3d_ros.ros.viewer import Viewer, drawing
from pose3d_ros.structures import Pose3D


def with_absent(pose, joint):
    xyz = pose.xyz.copy()
    xyz[0, pose.skeleton.index(joint)] = np.nan
    return Pose3D(**{**pose.__dict__, "xyz": xyz})


def test_an_absent_joint_takes_its_bones_with_it():
    whole = a_pose(1, 0.5)
    joints, bones = drawing(whole, 0)
    assert (joints.shape, bones.shape) == ((17, 3), (16, 2, 3))
    joints, bones = drawing(with_absent(whole, "LElbow"), 0)
    assert (joints.shape, bones.shape) == ((16, 3), (14, 2, 3))
    assert np.isfinite(bones).all()


def test_people_appear_and_vanish_on_a_page_that_only_this_machine_sees():
    pytest.importorskip("viser", reason="the live view needs viser: pip install 'pose3d_ros[view]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with own_context() as context:
        viewer = Viewer(context=context, parameter_overrides=[Parameter("port", value=port)])
        listening = [one.laddr for one in psutil.Process().net_connections("tcp") if one.status == "LISTEN"]
        assert [address.ip for address in listening if address.port == port] == ["127.0.0.1"]
        pose = a_pose(10**9, 0.5)
        message = conversions.pose_to_msg(pose, camera_stamps_ns={"left": 10**9}, calibration_hash="test")
        viewer._take_pose(message)
        assert sorted(viewer._drawn) == ["7"]
        message.people = []
        viewer._take_pose(message)
        assert not viewer._drawn
        viewer.close()
        viewer.destroy_node()
