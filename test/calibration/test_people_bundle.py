"""The bundle adjustment over people: it finds the truth from keypoints without errors, and keeps to what is known."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_walks import motion, stiff_poses, still_tracks, with_motion

from pose3d_ros.calibration.people_adjusted import adjust
from pose3d_ros.calibration.people_bundle import solve
from pose3d_ros.calibration.people_metric import keep_in_place
from pose3d_ros.calibration.people_residuals import FOCAL, K1, OFFSET, OWN
from pose3d_ros.calibration.people_scene import scene
from pose3d_ros.calibration.people_start import Start
from pose3d_ros.evaluation.calibration_errors import from_first, rotation_log
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.structures import Rig

TRUE = simulated_rig("room3", 1, held_out=True).rig
PLACE = range(6)
POSES = stiff_poses(12, np.random.default_rng(0))
DISTURBED = with_motion(
    with_motion(TRUE, "cam2", motion((0.05, -0.04, 0.03), (0.1, 0.2, -0.1))), "cam3", motion((-0.04, 0.03, 0.05))
)


def problem(start: Rig, std: dict[range | int, float], poses=POSES, std_px: float = 0.1):
    """Evidence and unknowns that start at a rig; std: priors of cameras but the first, other parameters are fixed."""
    tracks = still_tracks(TRUE.cameras, poses, std_px)
    own_std = np.zeros((len(start.cameras), OWN))
    for part, value in std.items():
        own_std[1:, part] = value
    person = {view: tuple(range(len(poses))) for view in range(len(start.cameras))}
    placed = tuple(camera.cam_from_world for camera in start.cameras)
    evidence, unknowns = scene(start.cameras, tracks, Start(placed, (0.0,) * len(placed), (person,), {}), own_std)
    once = np.isclose(evidence.at_s % 2.0, 0.2)  # in the middle of each pose
    evidence = replace(evidence, at_s=evidence.at_s[once], person=evidence.person[once])
    return evidence, replace(unknowns, xyz=unknowns.xyz[once])


def test_exact_keypoints_give_the_truth_from_a_disturbed_start():
    found = adjust(*problem(DISTURBED, {PLACE: np.inf}))
    estimate, true = from_first(Rig(found.unknowns.cameras)), from_first(TRUE)
    turned = [rotation_log(a @ b.T) for a, b in zip(estimate[:, :3, :3], true[:, :3, :3], strict=True)]
    assert np.rad2deg(np.linalg.norm(turned, axis=1)).max() < 1e-3
    # People alone have no scale.
    moved, meant = estimate[1:, :3, 3], true[1:, :3, 3]
    factor = (moved * meant).sum() / (moved * moved).sum()
    assert 0.8 < factor < 1.25
    assert (np.linalg.norm(factor * moved - meant, axis=1) / np.linalg.norm(meant, axis=1)).max() < 1e-4
    assert max(found.reprojection_px().values()) < 0.01


def test_a_fixed_camera_does_not_move_and_clocks_that_are_known_stay():
    evidence, unknowns = problem(DISTURBED, {PLACE: np.inf})
    evidence.own_std[2] = 0.0
    found, _, _ = solve(evidence, unknowns)
    for fixed in (0, 2):
        np.testing.assert_array_equal(found.cameras[fixed].K, unknowns.cameras[fixed].K)
        np.testing.assert_allclose(
            found.cameras[fixed].cam_from_world, unknowns.cameras[fixed].cam_from_world, atol=1e-12
        )
    np.testing.assert_allclose(found.clocks, 0.0, atol=1e-12)
    assert not np.allclose(found.cameras[1].cam_from_world, unknowns.cameras[1].cam_from_world, atol=1e-3)


def test_a_narrow_prior_holds_a_camera_where_it_was_and_a_wide_one_lets_it_go():
    place = DISTURBED.camera("cam3").centre
    off = [
        float(np.linalg.norm(adjust(*problem(DISTURBED, {PLACE: std})).unknowns.cameras[2].centre - place))
        for std in (1e-6, 0.1)
    ]
    assert off[0] < 1e-4
    assert off[1] > 0.05


def test_focal_length_and_distortion_that_are_only_guessed_are_found():
    K = TRUE.cameras[1].K.copy()
    K[[0, 1], [0, 1]] *= 1.1
    start = Rig((TRUE.cameras[0], replace(TRUE.cameras[1], K=K), TRUE.cameras[2]))
    found = adjust(*problem(start, {PLACE: np.inf, FOCAL: 0.3, K1: 0.05}, stiff_poses(24, np.random.default_rng(1))))
    lens = found.unknowns.cameras[1]
    assert lens.K[0, 0] / TRUE.cameras[1].K[0, 0] == pytest.approx(1.0, abs=2e-3)
    assert lens.distortion[0] == pytest.approx(0.0, abs=5e-3)


def test_a_person_s_track_that_fits_no_camera_is_left_out():
    evidence, unknowns = problem(TRUE, {PLACE: 0.1})
    tracks = list(evidence.tracks[0])
    wrong = tracks[1][3]
    swapped = replace(wrong, px=tracks[1][8].px)
    tracks[1] = (*tracks[1][:3], swapped, *tracks[1][4:])
    found = adjust(replace(evidence, tracks=(tuple(tracks),)), unknowns)
    assert [len(one) for one in found.evidence.tracks[0]] == [12, 11, 12]
    assert all(one is not swapped for one in found.evidence.tracks[0][1])


def test_a_clock_of_people_who_stand_still_stays_where_its_prior_has_it():
    found = adjust(*problem(TRUE, {OFFSET: 0.02}))
    np.testing.assert_allclose(found.unknowns.clocks[1:, 0], 0.0, atol=1e-3)
    std = np.sqrt(np.diag(found.covariance))[[OWN + OFFSET, 2 * OWN + OFFSET]]
    assert (std > 0.01).all()


def test_an_adjustment_that_moved_and_grew_as_a_whole_is_put_back():
    before = adjust(*problem(TRUE, {PLACE: 0.1}))
    step, factor = motion((0.1, -0.2, 0.3), (1.0, 2.0, -0.5)), 1.1
    grown = []
    for camera in before.unknowns.cameras:
        matrix = camera.cam_from_world @ step
        matrix[:3, 3] *= factor
        grown.append(camera.placed(matrix))
    back = np.linalg.inv(step)
    xyz = factor * (before.unknowns.xyz @ back[:3, :3].T + back[:3, 3])
    after = replace(before, unknowns=replace(before.unknowns, cameras=tuple(grown), xyz=xyz))
    found = keep_in_place(before, after)
    for camera, expected in zip(found.cameras, before.unknowns.cameras, strict=True):
        np.testing.assert_allclose(camera.cam_from_world, expected.cam_from_world, atol=1e-9)
    np.testing.assert_allclose(found.xyz, before.unknowns.xyz, atol=1e-9)
    assert not found.on_floor
