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
from pose3d_ros.mocap.walks import Walk, moments, standing
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import SimulatedRig, rotation_vector, simulated_rig
from pose3d_ros.simulation.views import mapped_truth
from pose3d_ros.simulation.walkers import Clocks, Film, filmed, span, walkers
from pose3d_ros.skeletons import H36M_17
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


def who_is_who(track: ViewTrack, camera: Camera, truth: WalkTruth) -> np.ndarray:
    """(T,) the number of the true person who is nearest to a track, image by image."""
    moment = np.abs(truth.clocks.common_s(camera.name, track.times_s)[:, None] - truth.t_s).argmin(axis=1)
    true_px = project(camera, truth.xyz[moment][:, :, JOINTS])  # (T, P, N, 2)
    return np.nanmedian(np.linalg.norm(true_px - track.px[:, None], axis=-1), axis=-1).argmin(axis=1)


def walking_films(family: str, number: int, seconds: float, seed: int = 0) -> tuple[list[Film], WalkTruth]:
    """What a detector finds of one walker before a held-out rig, all cameras by one clock."""
    one, rng = simulated_rig(family, number, held_out=True), np.random.default_rng(seed)
    return _filmed(one, walkers(one.floor, span(one, seconds, Clocks()), rng), seconds, rng)


def crouching_films(family: str, number: int, seconds: float, seed: int = 0) -> tuple[list[Film], WalkTruth]:
    """A person who goes about with bent knees all the time, so that no moment shows the vertical or the floor."""
    one, rng = simulated_rig(family, number, held_out=True), np.random.default_rng(seed)
    (upright,) = walkers(one.floor, span(one, seconds, Clocks()), rng)
    xyz = upright.xyz.copy()
    across = xyz[:, H36M_17.index("LHip")] - xyz[:, H36M_17.index("RHip")]
    ahead = np.cross(across, (0.0, 0.0, 1.0))
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    for side in "LR":
        hip, knee, ankle = (H36M_17.index(side + name) for name in ("Hip", "Knee", "Ankle"))
        thigh, shin = (np.linalg.norm(xyz[0, a] - xyz[0, b]) for a, b in ((hip, knee), (knee, ankle)))
        xyz[:, knee] = xyz[:, hip] + thigh * (0.9 * ahead - (0.0, 0.0, np.sqrt(1 - 0.9**2)))
        xyz[:, ankle] = xyz[:, knee] - (0.0, 0.0, shin)
    return _filmed(one, (replace(upright, xyz=xyz),), seconds, rng)


def _filmed(
    one: SimulatedRig, people: tuple[Walk, ...], seconds: float, rng: np.random.Generator
) -> tuple[list[Film], WalkTruth]:
    noise = GaussianNoise(SIGMA_PX)
    films = [filmed(camera, people, seconds, FPS, noise, rng) for camera in one.rig.cameras]
    xyz = mapped_truth(np.stack([person.xyz for person in people], axis=1))
    return films, WalkTruth(one.rig, Clocks(), people[0].t_s, xyz, tuple(person.stature_m for person in people))
