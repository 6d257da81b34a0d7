"""Derivatives of the residuals of a bundle adjustment over people, against numerical differences."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_walks import stiff_poses

from pose3d_ros.calibration.people_bundle import apply
from pose3d_ros.calibration.people_residuals import (
    DRIFT,
    FOCAL,
    K1,
    LINK_SPREAD,
    OFFSET,
    OWN,
    Evidence,
    Unknowns,
    links,
    observe,
    own_times,
    pixels,
)
from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.estimation.body import NAMES, PAIRS, PRIOR_LENGTHS_M
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.simulated_rigs import simulated_rig

MOMENTS, CLOCKS = 6, np.array([[0.0, 0.0], [0.3, 80.0]])
CAMERAS = simulated_rig("room2", 1, held_out=True).rig.cameras
LENSES = {
    "without distortion": CAMERAS[1],
    "plumb_bob": replace(CAMERAS[1], distortion=np.array([-0.2, 0.05, 1e-3, -2e-3, 0.01])),
    "skew": replace(CAMERAS[1], K=CAMERAS[1].K + np.array([[0.0, 5.0, 0.0], [0, 0, 0], [0, 0, 0]])),
    "equidistant": replace(CAMERAS[1], distortion_model="equidistant", distortion=np.array([-0.02, 0.005, 0.0, 0.0])),
}
STEPS = {OFFSET: 1e-4, DRIFT: 10.0, FOCAL: 1e-6, K1: 1e-6}


def scene(lens: str) -> tuple[Evidence, Unknowns]:
    """Two cameras, one person; keypoints move evenly, so that their velocities are known exactly."""
    cameras, rng = (CAMERAS[0], LENSES[lens]), np.random.default_rng(4)
    xyz = stiff_poses(MOMENTS, rng)
    times = np.arange(0.0, 8.0, 0.1)
    tracks = []
    for camera in cameras:
        start, speed = project(camera, xyz[0]), rng.normal(scale=40.0, size=(len(NAMES), 2))
        px = start + times[:, None, None] * speed
        tracks.append((ViewTrack(times, px, np.full(px.shape[:2], 4.0), np.full((*px.shape[:2], 3), np.nan)),))
    lengths = np.tile(PRIOR_LENGTHS_M, (1, 1))
    evidence = Evidence(
        (tuple(tracks),), np.zeros(MOMENTS, dtype=np.intp), np.linspace(2.0, 6.0, MOMENTS), np.ones((2, OWN)), cameras,
        CLOCKS, lengths, np.zeros((1, len(PAIRS), len(PAIRS))),
    )  # fmt: skip
    return evidence, Unknowns(cameras, CLOCKS, xyz, lengths)


def residual(evidence: Evidence, unknowns: Unknowns) -> np.ndarray:
    return pixels(evidence, observe(evidence, unknowns.clocks), unknowns, own=False).residual


def stepped(unknowns: Unknowns, number: int, by: float) -> Unknowns:
    step = np.zeros(2 * OWN + unknowns.lengths.size)
    step[number] = by
    return apply(unknowns, step, np.zeros(unknowns.xyz[..., 0].size * 3))


@pytest.mark.parametrize("lens", LENSES)
def test_pixels_have_the_derivatives_of_every_parameter_of_a_camera(lens):
    evidence, unknowns = scene(lens)
    found = pixels(evidence, observe(evidence, unknowns.clocks), unknowns, own=True)
    assert found.good.all()
    for own in range(OWN):
        if lens == "equidistant" and own == K1:
            np.testing.assert_array_equal(found.own[1, ..., own], 0.0)
            continue
        size = STEPS.get(own, 1e-6)
        more, less = (residual(evidence, stepped(unknowns, OWN + own, sign * size)) for sign in (1, -1))
        expected = -(more - less)[1] / (2 * size)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found.own[1, ..., own], expected, atol=2e-4 * scale, err_msg=f"parameter {own}")
        np.testing.assert_array_equal((more - less)[0], 0.0)  # the other camera's stay


@pytest.mark.parametrize("lens", LENSES)
def test_pixels_have_the_derivatives_of_joints(lens):
    evidence, unknowns = scene(lens)
    found = pixels(evidence, observe(evidence, unknowns.clocks), unknowns, own=False)
    assert found.own.size == 0
    for axis in range(3):
        by = np.zeros(3)
        by[axis] = 1e-6
        more, less = (residual(evidence, replace(unknowns, xyz=unknowns.xyz + sign * by)) for sign in (1, -1))
        np.testing.assert_allclose(found.per_m[..., axis], -(more - less) / 2e-6, rtol=1e-5, atol=1e-3)


def test_a_joint_behind_a_camera_has_no_residual_and_no_derivative():
    evidence, unknowns = scene("plumb_bob")
    xyz = unknowns.xyz.copy()
    back = np.linalg.inv(unknowns.cameras[1].cam_from_world)
    xyz[2, 3] = (back @ (0.0, 0.0, -1.0, 1.0))[:3]
    found = pixels(evidence, observe(evidence, unknowns.clocks), replace(unknowns, xyz=xyz), own=True)
    assert not found.good[1, 2, 3]
    assert found.good.sum() >= found.good.size - 2
    for one in (found.residual, found.per_m, found.own):
        np.testing.assert_array_equal(one[1, 2, 3], 0.0)


def test_links_have_their_residuals_and_derivatives():
    evidence, unknowns = scene("skew")
    found = links(evidence, unknowns)
    length = np.linalg.norm(unknowns.xyz[:, PAIRS[:, 0]] - unknowns.xyz[:, PAIRS[:, 1]], axis=-1)
    np.testing.assert_allclose(found.residual, (1.0 - length / PRIOR_LENGTHS_M) / LINK_SPREAD)
    step = 1e-6
    longer, shorter = (
        links(evidence, replace(unknowns, lengths=unknowns.lengths + sign * step)).residual for sign in (1, -1)
    )
    np.testing.assert_allclose(found.by_length, -(longer - shorter) / (2 * step), rtol=1e-5)
    for number, pair in enumerate(PAIRS.tolist()):
        for joint, sign in zip(pair, (1.0, -1.0), strict=True):
            for axis in range(3):
                off = np.zeros_like(unknowns.xyz)
                off[:, joint, axis] = step
                ahead, behind = (links(evidence, replace(unknowns, xyz=unknowns.xyz + s * off)).residual
                                 for s in (1, -1))  # fmt: skip
                expected = -(ahead - behind)[:, number] / (2 * step)
                np.testing.assert_allclose(sign * found.by_joint[:, number, axis], expected, atol=1e-4)


def test_a_camera_s_own_times_are_those_of_its_clock():
    own = np.array([0.0, 10.0, 900.0])
    np.testing.assert_allclose(own_times(0.37 + (1.0 + 50e-6) * own, np.array([0.37, 50.0])), own, atol=1e-9)
    # 50 ppm are 45 ms after 15 minutes.
    assert own_times(np.array([900.0]), np.array([0.0, 50.0]))[0] == pytest.approx(900.0 - 0.045, abs=1e-4)


def test_tracks_are_sampled_by_the_camera_s_clock():
    evidence, unknowns = scene("skew")
    found = observe(evidence, unknowns.clocks)
    for view, ((track,), clock) in enumerate(zip(evidence.tracks[0], CLOCKS, strict=True)):
        speed = (track.px[1] - track.px[0]) / (track.times_s[1] - track.times_s[0])
        expected = track.px[0] + own_times(evidence.at_s, clock)[:, None, None] * speed
        np.testing.assert_allclose(found.px[view], expected, atol=1e-6)
        np.testing.assert_allclose(found.speed[view], np.broadcast_to(speed, found.speed[view].shape), atol=1e-6)
        np.testing.assert_array_equal(found.variance[view], 4.0)
    assert not observe(evidence, np.array([[0.0, 0.0], [100.0, 0.0]])).given[1].any()
