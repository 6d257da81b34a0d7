"""PoseRN's table on made-up scenes, whose detector errs in a known way."""

from __future__ import annotations

import numpy as np
import pytest
from rendered_people import by_row, changed, displaced, evaluated, made_up_scene, walkers
from synthetic_people import h36m_rig
from trained_for_tests import biased

from pose3d_ros.evaluation.bias_table import bias_table
from pose3d_ros.evaluation.rendered import true_detections
from pose3d_ros.simulation.detector_bias import joint_frames
from pose3d_ros.skeletons import H36M_17

STARTS = ([(-0.8, -0.4)], [(0.7, 0.5)], [(0.2, -0.6)])


def scenes(offset_m: np.ndarray) -> list:
    """Three scenes whose detector gives joints that lie elsewhere in the frames of the bones."""
    done = []
    for start in STARTS:
        scene = made_up_scene(h36m_rig(), walkers(start, 6))
        joints = scene.truth.joints_m
        shown = made_up_scene(scene.rig, joints + np.einsum("...jxk,jk->...jx", joint_frames(joints), offset_m))
        done.append(evaluated(scene, true_detections(shown)))
    return done


def test_offset_that_all_scenes_share_is_gone_with_the_constant_in_the_bones_frames():
    offset = np.zeros((H36M_17.size, 3))
    offset[[H36M_17.index(name) for name in ("LKnee", "RKnee", "LElbow", "RElbow")]] = (0.03, 0.0, 0.01)
    rows = by_row(bias_table(scenes(offset), biased()))
    before = rows["triangulated"]["mean mm"]
    assert before == pytest.approx(4 * 31.6 / 16, rel=0.15)  # of the 16 joints that a detector gives
    assert rows["best constant in the bones' frames"]["mean mm"] < 0.25 * before
    assert rows["best constant in the bones' frames"]["frames worse %"] == 0.0


def test_network_without_a_bias_changes_nothing_and_a_wrong_one_makes_frames_worse():
    done = scenes(np.zeros((H36M_17.size, 3)))
    unseen = [{name: one.select([]) for name, one in each.items()} for each in done[0].detected]
    done.append(evaluated(done[0].scene, unseen))  # whom no camera detects counts in no figure
    none, wrong = (by_row(bias_table(done, one)) for one in (biased(), biased((0.3, 0.0))))
    name = next(one for one in none if one.startswith("PoseRN"))
    assert none[name]["mean mm"] == pytest.approx(none["triangulated"]["mean mm"], abs=0.01)
    assert wrong[name]["mean mm"] > none[name]["mean mm"] + 5.0
    assert wrong[name]["frames worse %"] == 100.0


def test_constant_is_fitted_to_the_other_scenes_alone():
    """Of two scenes whose detector errs in one, the constant helps neither: it moves the other one's joints away."""
    first, second, _ = scenes(np.zeros((H36M_17.size, 3)))
    moved = [{name: displaced(one, np.array([8.0, 0.0])) for name, one in each.items()} for each in first.detected]
    rows = by_row(bias_table([evaluated(first.scene, moved), second], biased()))
    assert rows["best constant in the image"]["mean mm"] > 1.7 * rows["triangulated"]["mean mm"]


def test_bias_of_every_person_camera_and_joint_is_gone_when_it_is_known_exactly():
    """Two people whose keypoints are off differently in every camera."""
    scene = made_up_scene(h36m_rig(), walkers([(-0.8, -0.4), (0.7, 0.5)], 6))

    def of(moment, view, found):
        return displaced(found, np.array([[[6.0, 2.0 * view]], [[-6.0, 4.0 - view]]]))

    rows = by_row(bias_table([evaluated(scene, changed(true_detections(scene), of))], biased()))
    exact = rows["bias known exactly"]
    assert rows["triangulated"]["mean mm"] > 10.0
    assert exact["mean mm"] < 0.5  # middles in the images are not quite the images of the middles
    assert exact["frames worse %"] == 0.0


def test_noise_is_left_when_the_bias_is_known_exactly():
    """Errors that change sign from moment to moment have a median of zero: the oracle takes nothing off."""
    scene = made_up_scene(h36m_rig(), walkers([(-0.8, -0.4)], 7))

    def of(moment, view, found):
        return displaced(found, np.array([0.0 if moment == 0 else 8.0 * (-1) ** (moment + view), 0.0]))

    rows = by_row(bias_table([evaluated(scene, changed(true_detections(scene), of))], biased()))
    assert rows["bias known exactly"]["mean mm"] == pytest.approx(rows["triangulated"]["mean mm"], rel=1e-3)
    assert rows["triangulated"]["mean mm"] > 5.0
