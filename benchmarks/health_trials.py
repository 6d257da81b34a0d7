"""Cameras moved, swapped or inverted, with real or simulated people, and the report of the calibration health.

A recording's people are replayed in a loop. A camera is moved by moving its keypoints: along every ray to the depth of
the person, and back into the moved camera. NumPy, float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from benchmarks.scene import PERSON
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.views import MIN_PERSON_JOINTS
from pose3d_ros.geometry.association import associate
from pose3d_ros.geometry.projection import project, rays
from pose3d_ros.monitoring.health import CalibrationHealth, CalibrationReport
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.detector_bias import DetectorBias
from pose3d_ros.simulation.detector_noise import training_noise
from pose3d_ros.simulation.simulated_rigs import SimulatedRig, rotation_vector, simulated_rig
from pose3d_ros.simulation.views import SimulatedViews, simulate
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Rig

# The rate at which calibration health samples frame sets, and of the simulated walks.
RATE_HZ = 5.0
# The baseline takes 10 s of people and a bit; then the camera moves.
MOVED_AT_S, LASTS_S = 14.0, 12.0
# Walking speed m/s, and the swing of legs and arms in m.
SPEED_M_S, STRIDE_M = 0.8, 1.4
SWING = np.zeros(17)
SWING[[2, 3, 5, 6, 12, 13, 15, 16]] = (0.15, 0.30, -0.15, -0.30, 0.10, 0.20, -0.10, -0.20)
# The depth of a person in one view only, m.
UNKNOWN_DEPTH_M = 4.0


@dataclass(frozen=True)
class Fault:
    """A fault from MOVED_AT_S on (a motion), or from the start (the others)."""

    name: str
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)  # about the camera's x (right), y (down), z (forward)
    shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    inverted: tuple[int, ...] = ()  # numbers of cameras
    swapped: tuple[int, ...] = ()

    def moved(self, camera: Camera) -> Camera:
        """The camera after the motion."""
        motion = np.eye(4)
        motion[:3, :3] = rotation_vector(np.deg2rad(self.rotation_deg))
        motion[:3, 3] = self.shift_m
        return camera.placed(motion @ camera.cam_from_world)


HEALTHY = Fault("healthy")
MOTIONS = (
    Fault("2 deg up or down", rotation_deg=(2.0, 0.0, 0.0)),
    Fault("2 deg left or right", rotation_deg=(0.0, 2.0, 0.0)),
    Fault("2 deg about its axis", rotation_deg=(0.0, 0.0, 2.0)),
    Fault("3 cm sideways", shift_m=(0.03, 0.0, 0.0)),
    Fault("3 cm up or down", shift_m=(0.0, 0.03, 0.0)),
    Fault("3 cm forward", shift_m=(0.0, 0.0, 0.03)),
    Fault("10 cm sideways", shift_m=(0.10, 0.0, 0.0)),
)


class Scene(Protocol):
    """People in view of cameras."""

    rig: Rig  # as calibrated

    def keypoints(self, number: int, moved: tuple[int, Fault] | None) -> dict[str, Keypoints2D]:
        """2D people by camera in a frame set, with at most one camera moved."""
        ...


class Replayed:
    """The people of a recording of `pose3d demo`, over and over."""

    def __init__(self, recording: Recording, cameras: Sequence[str] = ()) -> None:
        names = tuple(cameras) or recording.rig.names
        self.rig = recording.rig.subset(list(names))
        whole = recording.rig.names
        stamps = sorted(set.intersection(*(set(recording.keypoints[name]) for name in whole)))
        stamps = stamps[: recording.frames_per_loop]
        if not stamps:
            raise InputError("the recording holds no frame set that all cameras see: record it with `pose3d demo`")
        self._sets = [{name: recording.keypoints[name][stamp][0] for name in names} for stamp in stamps]
        estimator = PoseEstimator(recording.rig, options=EstimatorOptions(refine="none"))
        self._depths = []
        for stamp in stamps:
            estimate = estimator.estimate_from_keypoints({n: recording.keypoints[n][stamp][0] for n in whole})
            middle = dict(zip(estimate.pose.ids, np.nanmean(estimate.pose.xyz, axis=1), strict=True))
            self._depths.append({name: self._depth(name, estimate.ids[name], middle) for name in names})

    def __len__(self) -> int:
        return len(self._sets)

    def _depth(self, camera: str, ids: Sequence[str], middle: Mapping[str, Floats]) -> Floats:
        centre = self.rig.camera(camera).centre
        return np.array([np.linalg.norm(middle[n] - centre) if n in middle else UNKNOWN_DEPTH_M for n in ids])

    def keypoints(self, number: int, moved: tuple[int, Fault] | None) -> dict[str, Keypoints2D]:
        """See Scene."""
        frame = number % len(self._sets)
        keypoints = dict(self._sets[frame])
        if moved is not None:
            camera = self.rig.cameras[moved[0]]
            people = keypoints[camera.name]
            origin, direction = rays(camera, people.xy)
            points = origin + direction * self._depths[frame][camera.name][:, None, None]
            xy = people.xy + project(moved[1].moved(camera), points) - project(camera, points)
            keypoints[camera.name] = replace(people, xy=xy)
        return keypoints


class Walked:
    """A person who walks in a simulated rig, observed by a detector with fitted errors and biases.

    The calibration of the rig is wrong by 0.1 to 0.3 deg and 2 to 5 mm.
    """

    def __init__(self, family: str, number: int, cameras: int = 0, seed: int = 0, frames: int = 600) -> None:
        one = simulated_rig(family, number, held_out=True)
        if cameras:
            one = replace(one, rig=one.rig.subset(list(one.rig.names[:cameras])))
        self._one, self._family, self._seed = one, family, seed
        self._xyz = walk(one, frames)
        self._views = {(-1, HEALTHY): self._simulated(one.rig)}
        self.rig = replace(one.rig, cameras=self._views[-1, HEALTHY].cameras)

    def truth(self, number: int) -> Floats:
        """The joints (17, 3) m in a frame set."""
        return np.asarray(self._xyz[number])

    def _simulated(self, rig: Rig) -> SimulatedViews:
        # The same random numbers for every motion.
        rng, bias = np.random.default_rng(self._seed), DetectorBias.draw(self._seed)
        one, noise = replace(self._one, rig=rig), training_noise(self._family)
        return simulate(self._xyz[None], one, noise, rng, fps=RATE_HZ, bias=bias, calibration_error=True)

    def keypoints(self, number: int, moved: tuple[int, Fault] | None) -> dict[str, Keypoints2D]:
        """See Scene."""
        key = moved or (-1, HEALTHY)
        if key not in self._views:
            cameras = list(self._one.rig.cameras)
            cameras[key[0]] = key[1].moved(cameras[key[0]])
            self._views[key] = self._simulated(replace(self._one.rig, cameras=tuple(cameras)))
        views = self._views[key]
        xy, score = views.xy_px[:, 0, number], views.score[:, 0, number]
        return {
            name: Keypoints2D(xy[n][None], score[n][None], H36M_17)
            if (score[n] > 0).sum() >= 4
            else Keypoints2D.empty(H36M_17)
            for n, name in enumerate(self.rig.names)
        }


def walk(one: SimulatedRig, frames: int) -> Floats:
    """Joints (T, 17, 3) m of a person: around the middle of a room, or to and fro in front of a stereo head."""
    t = np.arange(frames) / RATE_HZ
    floor = one.floor
    heading = np.array([np.cos(floor.heading_rad), np.sin(floor.heading_rad)])
    if floor.near_m:
        middle, reach = (floor.near_m + floor.far_m) / 2, 0.35 * (floor.far_m - floor.near_m)
        along = middle + reach * np.sin(SPEED_M_S * t / reach)
        across = 0.4 * np.sin(0.37 * SPEED_M_S * t)
        place = floor.centre_m + along[:, None] * heading + across[:, None] * [-heading[1], heading[0]]
    else:
        # A circle of changing size, which covers most of the floor.
        radius = 0.7 * floor.far_m * (0.65 + 0.35 * np.sin(0.11 * t))
        turn = SPEED_M_S * t / (0.5 * floor.far_m)
        place = floor.centre_m + radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    going = np.gradient(place, axis=0)
    angle = np.arctan2(going[:, 1], going[:, 0])
    body = np.repeat(PERSON[None], frames, axis=0)
    body[..., 0] += SWING * np.sin(2 * np.pi * SPEED_M_S / STRIDE_M * t)[:, None]
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = body[..., 0] * c - body[..., 1] * s, body[..., 0] * s + body[..., 1] * c
    return np.stack([x + place[:, :1], y + place[:, 1:], body[..., 2]], axis=-1)


def sure(people: Keypoints2D, options: EstimatorOptions = EstimatorOptions()) -> Keypoints2D:
    """Without the joints and people whose score an estimator rejects."""
    weak = people.score < options.min_joint_score
    xy, score = np.where(weak[..., None], np.nan, people.xy), np.where(weak, 0.0, people.score)
    enough = (score > 0).sum(axis=-1) >= MIN_PERSON_JOINTS
    return replace(people, xy=xy, score=score).select(np.flatnonzero(enough))


@dataclass(frozen=True)
class Outcome:
    """The report of one fault."""

    report: CalibrationReport  # the first with a fault, or the last one
    after_s: float  # from the begin of the fault to the report; NaN without a report
    false_alarms: int  # frame sets before it with a fault


def trial(
    scene: Scene,
    fault: Fault = HEALTHY,
    camera: int = 1,
    *,
    seconds: float = MOVED_AT_S + LASTS_S,
    health: Callable[[CalibrationHealth], None] = lambda health: None,
) -> Outcome:
    """Replay a scene with a fault until it is reported; calls health with the instance before the start."""
    rig = scene.rig
    cameras = [
        one.placed(np.linalg.inv(one.cam_from_world)) if n in fault.inverted else one
        for n, one in enumerate(rig.cameras)
    ]
    watcher = CalibrationHealth(replace(rig, cameras=tuple(cameras)))
    health(watcher)
    moves = any((*fault.rotation_deg, *fault.shift_m))
    begins_s = MOVED_AT_S if moves else 0.0
    false, report = 0, CalibrationReport()
    for number in range(round(seconds * RATE_HZ)):
        now_s = number / RATE_HZ
        faulty = now_s >= begins_s and fault != HEALTHY
        keypoints = scene.keypoints(number, (camera, fault) if faulty and moves else None)
        if fault.swapped:
            a, b = (rig.names[n] for n in fault.swapped)
            keypoints[a], keypoints[b] = keypoints[b], keypoints[a]
        stamp_ns = round((1000.0 + now_s) * 1e9)
        people = [sure(keypoints[name]) for name in rig.names]
        watcher.update(cameras, people, associate(cameras, people), stamp_ns)
        report = watcher.report
        if report.fault and faulty:
            return Outcome(report, now_s - begins_s, false)
        false += bool(report.fault)
    return Outcome(report, float("nan"), false)
