"""The bias of a detector: as large as said, attached to the body, mirrored, and only partly learnable."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_people import walker
from walkers_on_floor import people

from pose3d_ros.simulation.augmentation import mirrored
from pose3d_ros.simulation.detector_bias import (
    LEARNABLE,
    OF_DETECTOR,
    OF_PERSON,
    TEST_SEEDS,
    TRAIN_SEEDS,
    DetectorBias,
    body_frames,
    learnable_bias,
)
from pose3d_ros.simulation.detector_noise import other_side
from pose3d_ros.simulation.detector_residuals import BODY
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import h36m_rig, rotation_vector
from pose3d_ros.simulation.views import GIVEN, simulate
from pose3d_ros.structures import Camera

RIG = h36m_rig("S9")
COMMON = learnable_bias()


def test_offsets_are_10_to_40_mm_and_most_of_that_is_common():
    length = np.linalg.norm(DetectorBias.draw(TEST_SEEDS[0]).offset, axis=-1)
    assert length.min() > 0.005
    assert length.max() < 0.055
    many = np.stack([DetectorBias.draw(seed).offset for seed in range(300)])
    own = (many - COMMON.offset).var(axis=0).sum() + OF_PERSON / OF_DETECTOR * many.var(axis=0).sum()
    assert np.square(COMMON.offset).sum() / (np.square(COMMON.offset).sum() + own) == pytest.approx(0.7, abs=0.1)
    assert pytest.approx(1.0) == LEARNABLE + OF_DETECTOR + OF_PERSON


def test_tests_meet_other_detectors_than_training():
    assert not set(TRAIN_SEEDS) & set(TEST_SEEDS)
    assert np.abs(DetectorBias.draw(TRAIN_SEEDS[0]).offset - DetectorBias.draw(TEST_SEEDS[0]).offset).max() > 0.003


def test_offsets_turn_with_the_body():
    xyz = people(5, 3)
    turn = rotation_vector((0.3, -0.5, 1.1))
    np.testing.assert_allclose(body_frames(xyz @ turn.T), turn @ body_frames(xyz), atol=1e-9)


def test_frames_are_rotations_with_front_before_the_person():
    frames = body_frames(people(20, 3))
    np.testing.assert_allclose(frames @ frames.swapaxes(-1, -2), np.broadcast_to(np.eye(3), frames.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frames), 1.0)
    standing = body_frames(np.array(walker((0, 0), (0, 0), 0.0)))  # faces +x, left is +y
    np.testing.assert_allclose(standing[BODY.index("LHip")][:, 0], (1, 0, 0), atol=0.05)
    np.testing.assert_allclose(standing[BODY.index("LHip")][:, 1], (0, 1, 0), atol=0.05)


def test_mirrored_person_before_a_mirrored_camera_has_mirrored_shifts():
    flip = np.diag([-1.0, 1.0, 1.0])
    camera = RIG.rig.cameras[0]
    rotation = flip @ camera.cam_from_world[:3, :3] @ flip  # the image is mirrored too: its x turns round
    other = np.eye(4)
    other[:3, :3], other[:3, 3] = rotation, -rotation @ flip @ camera.centre
    xyz = people(20, 3)
    here = COMMON.shifts(xyz, [camera], np.random.default_rng(0))
    there = COMMON.shifts(mirrored(xyz), [Camera("m", camera.size_wh, camera.K, cam_from_world=other)],
                          np.random.default_rng(0))  # fmt: skip
    np.testing.assert_allclose(there[..., other_side(), :] * (-1, 1, 1), here, atol=1e-9)


def test_joint_definitions_agree_between_cameras_and_surfaces_do_not():
    definition = replace(COMMON, surface=np.zeros_like(COMMON.surface))
    shifts = definition.shifts(people(20, 3), RIG.rig.cameras, np.random.default_rng(0))
    np.testing.assert_allclose(shifts, np.broadcast_to(shifts[:1], shifts.shape), atol=1e-12)
    surface = replace(COMMON, offset=np.zeros_like(COMMON.offset))
    shifts = surface.shifts(people(20, 3), RIG.rig.cameras, np.random.default_rng(0))
    assert np.linalg.norm(shifts[0] - shifts[1], axis=-1).mean() > 0.005


def test_surface_shifts_lie_across_the_line_of_sight():
    surface = replace(COMMON, offset=np.zeros_like(COMMON.offset))
    for camera in RIG.rig.cameras:
        along = surface.shifts(people(20, 3), [camera], np.random.default_rng(0)) @ camera.cam_from_world[2, :3]
        np.testing.assert_allclose(along, 0, atol=1e-9)


def test_person_keeps_its_own_share_and_the_next_has_another():
    one = DetectorBias.draw(3)
    xyz = people(2, 1)
    xyz[1] = xyz[0]
    both = one.shifts(np.repeat(xyz, 4, axis=1), RIG.rig.cameras[:1], np.random.default_rng(0))[0]
    np.testing.assert_allclose(both[:, 1:], both[:, :-1], atol=1e-12)
    assert np.linalg.norm(both[0] - both[1], axis=-1).mean() > 0.003
    assert np.linalg.norm(one.scaled(0.0).shifts(xyz, RIG.rig.cameras, np.random.default_rng(0))) == 0


def test_bias_moves_keypoints_and_neither_labels_nor_truth():
    args = people(60, 3), RIG, GaussianNoise(0.0)
    plain = simulate(*args, np.random.default_rng(1), annotation_px=0.0)
    biased = simulate(*args, np.random.default_rng(1), annotation_px=0.0, bias=DetectorBias.draw(TEST_SEEDS[0]))
    np.testing.assert_array_equal(biased.truth, plain.truth)
    np.testing.assert_array_equal(biased.label_px, plain.label_px)
    np.testing.assert_array_equal(plain.biased_px, plain.true_px)
    np.testing.assert_allclose(biased.xy_px[..., GIVEN, :], biased.biased_px[..., GIVEN, :])
    total = (biased.biased_px - biased.true_px)[..., GIVEN, :]
    rest = (biased.biased_px - biased.learnable_px)[..., GIVEN, :]
    assert 2.0 < np.linalg.norm(total, axis=-1).mean() < 8.0  # 10 to 40 mm at 220 px/m
    assert 0.15 < np.square(rest).sum() / np.square(total).sum() < 0.5  # not learnable: 0.3 and the draw's luck
