"""Simulated walkers, and keypoints without errors, for the tests of calibration by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.estimation.body import JOINTS, NAMES
from pose3d_ros.evaluation.walking_people import WalkTruth, simulate_walkers
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.stick_figure import drawn_person
from pose3d_ros.mocap.walks import moments, standing
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import rotation_vector, simulated_rig
from pose3d_ros.simulation.views import mapped_truth
from pose3d_ros.structures import Camera, Rig

FPS = 10.0
SIGMA_PX = 2.0


def walk(
    family: str, number: int, seconds: float, seed: int = 0, sigma_px: float = SIGMA_PX, **options
) -> tuple[list[PeopleViews], WalkTruth]:
    """A recording before a held-out rig with noise (a); options as in simulate_walkers."""
    rig = simulated_rig(family, number, held_out=True)
    return simulate_walkers(rig, seconds, FPS, GaussianNoise(sigma_px), np.random.default_rng(seed), **options)


def motion(turn=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0)) -> np.ndarray:
    """(4, 4) of a rotation vector, rad, and a translation, m."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_vector(turn), shift
    return matrix


def with_motion(rig: Rig, name: str, step: np.ndarray) -> Rig:
    """The rig with one camera moved in its own frame."""
    cameras = (one.placed(step @ one.cam_from_world) if one.name == name else one for one in rig.cameras)
    return Rig(tuple(cameras), rig.frame_id)


def refocused(view: PeopleViews, factor: float) -> PeopleViews:
    """The same keypoints, taken for those of a lens with another focal length."""
    K = view.camera.K.copy()
    K[[0, 1], [0, 1]] *= factor
    return replace(view, camera=replace(view.camera, K=K))


def stiff_poses(count: int, rng: np.random.Generator) -> np.ndarray:
    """One body (count, 13, 3) m that stands in many places of a room, turned and tilted, and never bends."""
    person = drawn_person(rng, (1.7, 1.7))
    body = mapped_truth(standing(person, moments(0.0, 1.0), rng, (0.0, 0.0)).xyz[:1])[0, JOINTS]
    assert body.shape == (len(NAMES), 3)
    middle = body.mean(axis=0)
    turned = np.stack([rotation_vector((*rng.normal(scale=0.2, size=2), rng.uniform(-3, 3))) for _ in range(count)])
    places = middle + np.column_stack([rng.uniform(-1.2, 1.2, (count, 2)), np.zeros(count)])
    return np.einsum("kab,nb->kna", turned, body - middle) + places[:, None]


def still_tracks(cameras: Sequence[Camera], poses: np.ndarray, std_px: float = 1.0) -> list[list[ViewTrack]]:
    """By camera, a track of 0.4 s for each pose (K, 13, 3) m, which begins at 2 k s; keypoints have no error."""
    times = np.arange(0.0, 0.45, 0.1)
    tracks = []
    for camera in cameras:
        lifted = poses @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
        own = []
        for k, (pose, there) in enumerate(zip(poses, lifted, strict=True)):
            shape = len(times), 1, 1
            px = np.tile(project(camera, pose), shape)
            own.append(ViewTrack(2.0 * k + times, px, np.full(px.shape[:2], std_px**2), np.tile(there, shape)))
        tracks.append(own)
    return tracks
