"""Orientations, the floor and contact of feet, from the 2D people of cameras."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_people import h36m_rig, seen
from walking_feet import STANCE, STRIDE_S, Walk

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.prediction import predicted
from pose3d_ros.skeletons import H36M_17

RIG = h36m_rig()
WALK = Walk((-1.8, 0.3), 0.2, 1.1)
FPS, COUNT = 25, 75


@pytest.fixture(scope="module")
def estimates():
    estimator, random = PoseEstimator(RIG, options=EstimatorOptions(refine="none")), np.random.default_rng(4)
    found = []
    for k in range(COUNT):
        body, _ = WALK.at(k / FPS)
        views = {c.name: seen(c, body[None], random, noise_px=2.0, stamp_ns=round(k * 1e9 / FPS)) for c in RIG.cameras}
        found.append(estimator.estimate_from_keypoints(views))
    return found


def test_trunk_of_a_walking_person_is_turned_as_the_person_walks(estimates):
    turned = Rotation.from_rotvec([0, 0, 0.2])
    for estimate in estimates[5:]:
        pose = estimate.pose
        for name in ("Pelvis", "Spine", "Thorax"):
            joint = H36M_17.index(name)
            off = (turned.inv() * Rotation.from_quat(pose.orientation[0, joint])).as_rotvec()
            assert (np.abs(off) < 5 * pose.orientation_std[0, joint]).all()
            assert (pose.orientation_std[0, joint] < 0.3).all()


def test_knee_bends_about_its_hinge_axis_in_the_swing(estimates):
    """The shank's frame is the thigh's, turned by +y: in the middle of the left foot's swing the knee is bent most."""
    k = round(FPS * STRIDE_S * (1 + 0.5 * (1 + STANCE)))
    pose = estimates[k].pose
    hip, knee = (Rotation.from_quat(pose.orientation[0, H36M_17.index(f"L{name}")]) for name in ("Hip", "Knee"))
    bend = (hip.inv() * knee).as_rotvec()
    assert bend[1] > 0.5
    assert np.abs(bend[[0, 2]]) == pytest.approx(0, abs=1e-6)


def test_floor_and_contact_come_with_the_pose(estimates):
    pose = estimates[-1].pose
    assert estimates[0].pose.floor is None
    assert pose.floor.normal[2] > np.cos(0.05)
    assert pose.floor.height(np.array([0.0, 0.3, 0.0])) == pytest.approx(0.0, abs=0.04)
    middles = [k for k in range(COUNT // 2, COUNT) if k / FPS / STRIDE_S % 1 == pytest.approx(STANCE / 2, abs=0.05)]
    swings = [k for k in range(COUNT // 2, COUNT) if k / FPS / STRIDE_S % 1 == pytest.approx(0.8, abs=0.05)]
    assert min(estimates[k].pose.foot_contact[0, 0] for k in middles) > 0.9
    assert max(estimates[k].pose.foot_contact[0, 0] for k in swings) < 0.1


def test_predicted_pose_is_turned_as_its_own_joints_are_and_says_nothing_of_contact(estimates):
    estimate = estimates[-1]
    ahead = predicted(estimate.pose, estimate.motion, 0.2)
    spine = H36M_17.index("Spine")
    corners = {name: ahead.xyz[0, H36M_17.index(name)] for name in ("LHip", "RHip", "LShoulder", "RShoulder")}
    up = corners["LShoulder"] + corners["RShoulder"] - corners["LHip"] - corners["RHip"]
    along = Rotation.from_quat(ahead.orientation[0, spine]).apply([0, 0, 1.0])
    assert along == pytest.approx(up / np.linalg.norm(up))
    assert np.isnan(ahead.foot_contact).all()
    assert ahead.floor is estimate.pose.floor
