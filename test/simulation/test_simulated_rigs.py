"""Virtual rigs: the published cameras, held-out rigs that training never draws, and the published error."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import synthetic_people

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate_linear
from pose3d_ros.simulation.simulated_rigs import (
    FAMILIES,
    H36M_HELD_OUT,
    H36M_SIGMA_PX,
    H36M_TRAIN,
    MONO,
    PAIRS,
    h36m_rig,
    look_at,
    miscalibrated,
    rotation_vector,
    simulated_rig,
)


def crowd(one, count, random):
    """Joints (count * 17, 3) m of people who stand where the rig expects them."""
    places = np.column_stack([one.floor.draw(count, random), np.zeros(count)])
    return (synthetic_people.STANDING + places[:, None]).reshape(-1, 3)


def test_shipped_calibrations_are_the_published_ones():
    published = json.loads((Path(__file__).parents[1] / "data" / "h36m_rigs.json").read_text())
    for subject in (*H36M_TRAIN, *H36M_HELD_OUT):
        ours, theirs = h36m_rig(subject).rig, synthetic_people.h36m_rig(subject)
        for a, b in zip(ours.cameras, theirs.cameras, strict=True):
            np.testing.assert_allclose(a.cam_from_world, b.cam_from_world, atol=1e-6)  # quaternions of 7 digits
            np.testing.assert_array_equal(a.K, b.K)
            np.testing.assert_array_equal(a.distortion, b.distortion)
    assert set(published["extrinsics"]) == {*H36M_TRAIN, *H36M_HELD_OUT}


def test_pairs_triangulate_to_the_published_error():
    """36.0 mm over P1 to P4 (CV-UGCN, Table 4) at 4.15 px an axis; the people's places are ours, hence 2 mm."""
    random = np.random.default_rng(5)
    errors = []
    for subject in H36M_HELD_OUT:
        four = h36m_rig(subject)
        xyz = crowd(four, 150, random)
        for pair in PAIRS:
            cameras = four.pair(pair).rig.cameras
            px = np.stack([project(camera, xyz) for camera in cameras])
            found = triangulate_linear(cameras, px + random.normal(scale=H36M_SIGMA_PX, size=px.shape)).xyz
            errors.append(np.linalg.norm(found - xyz, axis=-1).mean())
    assert 1000 * np.mean(errors) == pytest.approx(36.0, abs=2.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_held_out_rigs_are_never_drawn_for_training(family):
    train = {simulated_rig(family, n, held_out=False).rig.calibration_hash for n in range(60)}
    held_out = {simulated_rig(family, n, held_out=True).rig.calibration_hash for n in range(60)}
    assert len(train) == len(held_out) == 60
    assert not train & held_out


def test_rig_is_the_same_every_time_and_differs_from_the_next():
    a, b, c = (simulated_rig("room3", n, held_out=False).rig.calibration_hash for n in (4, 4, 5))
    assert a == b != c


def test_person_in_front_of_any_rig_fills_the_image_and_fits_into_it():
    random = np.random.default_rng(0)
    for family in FAMILIES:
        for number in range(5):
            one = simulated_rig(family, number, held_out=True)
            xyz = crowd(one, 40, random)
            for camera in one.rig.cameras:
                px = project(camera, xyz).reshape(40, 17, 2)
                inside = ((px >= 0) & (px <= np.array(camera.size_wh) - 1)).all(axis=-1)
                assert inside.mean() > 0.9
                assert np.ptp(px[..., 1], axis=1).mean() > 0.2 * camera.size_wh[1]


def test_heads_and_rooms_have_the_baselines_that_they_are_named_for():
    head = simulated_rig("head1060", 3, held_out=False).rig.cameras
    assert np.linalg.norm(head[0].centre - head[1].centre) == pytest.approx(0.12)
    assert head[0].centre[1] > head[1].centre[1]  # the left eye is on the left of a head that faces along x
    for number in range(20):
        room = simulated_rig("room4", number, held_out=False).rig.cameras
        apart = [np.linalg.norm(a.centre - b.centre) for a, b in pairwise(room)]
        assert min(apart) >= 1.0
        assert max(apart) <= 5.0


def test_wrong_calibration_differs_by_the_given_error():
    true = h36m_rig("S9").rig.cameras
    for a, b in zip(true, miscalibrated(true, np.random.default_rng(1)), strict=True):
        turn = a.cam_from_world[:3, :3] @ b.cam_from_world[:3, :3].T
        angle = np.rad2deg(np.arccos((np.trace(turn) - 1) / 2))
        assert 0.1 <= angle <= 0.3
        assert 0.002 <= np.linalg.norm(a.centre - b.centre) <= 0.005


def test_look_at_puts_the_target_on_the_axis_and_up_above():
    transform = look_at((3.0, -2.0, 1.4), (0.5, 0.5, 1.0))
    target = transform @ (0.5, 0.5, 1.0, 1.0)
    np.testing.assert_allclose(target[:2], 0, atol=1e-12)
    assert target[2] > 0
    assert (transform @ (0.5, 0.5, 1.5, 1.0))[1] < 0  # higher in the world is higher in the image, y down
    assert np.linalg.det(transform[:3, :3]) == pytest.approx(1.0)


def test_rotation_vector_turns_by_its_length():
    np.testing.assert_allclose(rotation_vector((0, 0, np.pi / 2)) @ (1, 0, 0), (0, 1, 0), atol=1e-12)


def test_unknown_families_rigs_and_pairs_are_rejected_with_the_available_ones():
    with pytest.raises(InputError, match="room4"):
        simulated_rig("office", 0, held_out=False)
    with pytest.raises(InputError, match="S11"):
        h36m_rig("S2")
    with pytest.raises(InputError, match="P1, P2"):
        h36m_rig("S9").pair("P7")


@pytest.mark.parametrize("held_out", [False, True])
def test_single_cameras_see_most_people_and_differ_in_lens_height_and_pitch(held_out):
    random = np.random.default_rng(3)
    focal, height, pitch, shares = [], [], [], []
    for number in range(6):
        one = simulated_rig(MONO, number, held_out=held_out)
        xyz = crowd(one, 50, random)
        for camera in one.rig.cameras:
            px = project(camera, xyz)
            shares.append(((px >= 0) & (px < camera.size_wh)).all(axis=-1).mean())
            focal.append(camera.K[0, 0])
            height.append(camera.centre[2])
            pitch.append(np.rad2deg(np.arcsin(camera.cam_from_world[2, 2])))
    assert np.mean(shares) > 0.6  # the rest is cut off by the border, or outside it
    assert min(focal) < 500
    assert max(focal) > 1200
    assert np.ptp(height) > 1.2
    assert np.ptp(pitch) > 25
