"""Errors of a calibration against ones that were put in."""

from dataclasses import replace

import numpy as np
import pytest

from pose3d_ros.calibration.people import Clock, PeopleCalibration
from pose3d_ros.evaluation.calibration_errors import (
    calibration_errors,
    clock_errors_ms,
    distances,
    from_first,
    rig_errors,
    rotation_log,
)
from pose3d_ros.evaluation.walking_people import WalkTruth
from pose3d_ros.simulation.simulated_rigs import h36m_rig, rotation_vector
from pose3d_ros.simulation.walkers import Clocks
from pose3d_ros.structures import Rig

RIG = h36m_rig("S9").rig
TRUTH = WalkTruth(RIG, Clocks(), np.arange(2.0), np.tile((0.0, 0.0, 0.9), (2, 1, 17, 1)), (1.7,))


def motion(turn=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0)):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_vector(turn), shift
    return matrix


def world_moved(rig, matrix):
    """The rig in another world."""
    return Rig(tuple(camera.placed(camera.cam_from_world @ matrix) for camera in rig.cameras))


def calibration(rig, std=0.01, clocks=None):
    return PeopleCalibration(
        rig=rig,
        covariance={name: std**2 * np.eye(6) for name in rig.names},
        clocks=clocks or {name: Clock() for name in rig.names},
        scale_std=0.0,
        tilt_std_rad=0.0,
        reprojection_px={},
    )


def errors(rig, **options):
    return calibration_errors(calibration(rig, **options), TRUTH, 30.0)


def test_a_rig_that_is_right_in_another_world_has_no_errors_but_the_floor_s():
    about = errors(world_moved(RIG, motion((0.0, 0.0, 1.0), (2.0, -1.0, 0.0))))
    for one in (about.place, about.unscaled, about.rotation_deg, about.squared, about.clock_ms):
        np.testing.assert_allclose(one, 0.0, atol=1e-6)
    assert about.scale == pytest.approx(0.0, abs=1e-9)
    assert about.tilt_deg == pytest.approx(0.0, abs=1e-6)
    assert about.height_m == pytest.approx(0.0, abs=1e-9)
    tilted = errors(world_moved(RIG, motion((0.02, 0.0, 0.0), (0.0, 0.0, 0.05))))
    assert tilted.tilt_deg == pytest.approx(np.rad2deg(0.02))
    assert abs(tilted.height_m) > 0.01


def test_a_scale_is_an_error_of_its_own():
    large = Rig(
        tuple(
            camera.placed(
                np.block([[camera.cam_from_world[:3, :3], 1.04 * camera.cam_from_world[:3, 3:]], [0, 0, 0, 1]])
            )
            for camera in RIG.cameras
        )
    )
    found = errors(large)
    assert found.scale == pytest.approx(0.04)
    np.testing.assert_allclose(found.place, 0.0, atol=1e-9)
    baselines = np.linalg.norm(from_first(RIG)[1:, :3, 3], axis=1)
    np.testing.assert_allclose(found.unscaled, 0.04 * baselines / distances(TRUTH)[1:])
    assert not found.wrong
    assert replace(found, scale=0.2).wrong


def test_a_turned_and_moved_camera_is_found_with_its_share_of_the_covariance():
    step = motion((0.0, 0.003, 0.0), (0.0, 0.0, 0.012))
    last = RIG.cameras[3]
    rig = Rig((*RIG.cameras[:3], last.placed(step @ last.cam_from_world)))
    found = errors(rig)
    np.testing.assert_allclose(found.rotation_deg, (0.0, 0.0, np.rad2deg(0.003)), atol=1e-6)
    np.testing.assert_allclose(found.squared, (0.0, 0.0, (0.3**2 + 1.2**2)), atol=1e-6)
    np.testing.assert_array_equal(found.inside, 1.0)
    np.testing.assert_array_equal(errors(rig, std=0.003).inside, (1.0, 1.0, 0.0))
    assert errors(Rig((*RIG.cameras[:3], last.placed(motion((0.0, 0.05, 0.0)) @ last.cam_from_world)))).wrong


def test_errors_in_one_world_hold_the_first_camera_too():
    step = motion((0.01, 0.0, 0.0), (0.02, 0.0, 0.0))
    first = RIG.cameras[0]
    rig = Rig((first.placed(step @ first.cam_from_world), *RIG.cameras[1:]))
    place, rotation = rig_errors(rig, RIG, distances(TRUTH))
    np.testing.assert_allclose(rotation, (np.rad2deg(0.01), 0.0, 0.0, 0.0), atol=1e-6)
    assert place[0] > 0.001
    np.testing.assert_allclose(place[1:], 0.0)


def test_distances_are_those_from_the_people():
    np.testing.assert_allclose(distances(TRUTH), [np.linalg.norm(one.centre - (0, 0, 0.9)) for one in RIG.cameras])


def test_clocks_are_compared_through_the_first_camera_s():
    two = RIG.names[1]
    truth = replace(TRUTH, clocks=Clocks({two: 0.37}, {two: 50.0}))
    plain = {name: Clock() for name in RIG.names}

    def off(clocks):
        return clock_errors_ms({**plain, **clocks}, truth, 900.0)

    np.testing.assert_allclose(off({two: Clock(0.37, drift_ppm=50.0)}), 0.0, atol=1e-6)
    np.testing.assert_allclose(off({two: Clock(0.372, drift_ppm=50.0)}), (2.0, 0.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(off({two: Clock(0.37)}), (45.0, 0.0, 0.0), atol=1e-6)
    shifted = {name: Clock(1.0) for name in RIG.names} | {two: Clock(1.37, drift_ppm=50.0)}
    np.testing.assert_allclose(off(shifted), 0.0, atol=1e-6)


@pytest.mark.parametrize("vector", [(0.0, 0.0, 0.0), (1e-9, 0.0, 0.0), (0.3, -0.2, 0.9), (0.0, 3.0, 0.0)])
def test_rotations_have_the_vector_that_made_them(vector):
    np.testing.assert_allclose(rotation_log(rotation_vector(vector)), vector, atol=1e-9)
