"""How far a calibration by people is from the truth (NumPy, float64).

Both are compared in the first camera's frame, which is where calibrations by people begin: other cameras' places, the
floor's normal, clocks. A rig of people alone has no scale but that of the people, so errors of places are taken after
one common factor, which is an error of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pose3d_ros.calibration.people import Clock, PeopleCalibration
from pose3d_ros.evaluation.walking_people import WalkTruth
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, Rig

PELVIS = H36M_17.index("Pelvis")
# Chi squared of 6 numbers, 95 %.
INSIDE_6 = 12.5916
# A rig that is this far off anywhere, of the distance, deg or in scale, is wrong: people are no longer where they are
# seen, or of the size that they have. People's statures have a std of 6 %.
WRONG_SHARE, WRONG_DEG, WRONG_SCALE = 0.05, 2.0, 0.15


@dataclass(frozen=True, eq=False)
class CalibrationErrors:
    """Of one calibration with V cameras."""

    place: Floats  # (V - 1,) of the cameras but the first, after a common factor, over their distance to the people
    unscaled: Floats  # (V - 1,) the same without that factor
    rotation_deg: Floats  # (V - 1,)
    scale: float  # how much too large the rig is, relative
    tilt_deg: float  # of the floor
    height_m: float  # of the first camera over the floor, estimate less truth, after the common factor
    squared: Floats  # (V - 1,) Mahalanobis' distance of rotation and place by the covariance, squared
    clock_ms: Floats  # (V - 1,) largest error of a camera's clock against the first camera's

    @property
    def wrong(self) -> bool:
        """Whether the rig is of no use."""
        far = (self.place > WRONG_SHARE).any() or (self.rotation_deg > WRONG_DEG).any()
        return bool(far or abs(self.scale) > WRONG_SCALE)

    @property
    def inside(self) -> Floats:
        """(V - 1,) 1 where the error is inside of its 95 % region, else 0."""
        return np.asarray(self.squared <= INSIDE_6, dtype=np.float64)


def calibration_errors(found: PeopleCalibration, truth: WalkTruth, duration_s: float) -> CalibrationErrors:
    """Errors of a calibration of the true rig's cameras, in their order; recordings last duration_s."""
    estimate, true = from_first(found.rig), from_first(truth.rig)
    moved, meant = estimate[1:, :3, 3], true[1:, :3, 3]
    factor = float((moved * meant).sum() / (moved * moved).sum())
    away = distances(truth)[1:]
    turned = estimate[1:, :3, :3] @ np.swapaxes(true[1:, :3, :3], 1, 2)
    vectors = np.stack([rotation_log(one) for one in turned]).reshape(-1, 3)
    # The covariance is of motions (rotation, translation) left of cam_from_first.
    step = np.concatenate([vectors, moved - np.einsum("vab,vb->va", turned, meant)], axis=1)
    spread = np.stack([found.covariance[camera.name] for camera in found.rig.cameras[1:]])
    return CalibrationErrors(
        place=np.linalg.norm(factor * moved - meant, axis=1) / away,
        unscaled=np.linalg.norm(moved - meant, axis=1) / away,
        rotation_deg=np.rad2deg(np.linalg.norm(vectors, axis=1)),
        scale=1.0 / factor - 1.0,
        tilt_deg=_angle_deg(_up(found.rig), _up(truth.rig)),
        height_m=float(factor * found.rig.cameras[0].centre[2] - truth.rig.cameras[0].centre[2]),
        squared=np.einsum("va,va->v", step, np.linalg.solve(spread, step[..., None])[..., 0]),
        clock_ms=clock_errors_ms(found.clocks, truth, duration_s),
    )


def rig_errors(rig: Rig, true: Rig, away: Floats) -> tuple[Floats, Floats]:
    """Errors in one world of all cameras' places, over their distances (V,) m to the people, and rotations, deg."""
    pairs = list(zip(rig.cameras, true.cameras, strict=True))
    place = np.array([np.linalg.norm(one.centre - other.centre) for one, other in pairs]) / away
    turns = [rotation_log(one.cam_from_world[:3, :3] @ other.cam_from_world[:3, :3].T) for one, other in pairs]
    return place, np.rad2deg(np.linalg.norm(turns, axis=-1))


def clock_errors_ms(clocks: Mapping[str, Clock], truth: WalkTruth, duration_s: float) -> Floats:
    """(V - 1,) ms: by how much a camera's moments are put at a wrong moment of the first camera's, at most."""
    own = np.array([0.0, duration_s])
    names = truth.rig.names

    def by_first(camera: str) -> Floats:
        """Times of the first camera's clock at which a camera's clock shows own, by the estimate less by the truth."""
        common = {name: clocks[name].offset_s + (1.0 + 1e-6 * clocks[name].drift_ppm) * own for name in clocks}
        rate = 1.0 + 1e-6 * clocks[names[0]].drift_ppm
        estimate = (common[camera] - clocks[names[0]].offset_s) / rate
        true_rate = 1.0 + 1e-6 * truth.clocks.drift_ppm.get(names[0], 0.0)
        true = (truth.clocks.common_s(camera, own) - truth.clocks.offset_s.get(names[0], 0.0)) / true_rate
        off: Floats = estimate - true
        return off

    return np.array([1000.0 * np.abs(by_first(name)).max() for name in names[1:]])


def from_first(rig: Rig) -> Floats:
    """cam_from_first (V, 4, 4) of all cameras."""
    matrices: Floats = np.stack([camera.cam_from_world for camera in rig.cameras])
    relative: Floats = matrices @ np.linalg.inv(matrices[0])
    return relative


def distances(truth: WalkTruth) -> Floats:
    """(V,) m: each camera's median distance from the people."""
    pelvises = truth.xyz[:, :, PELVIS].reshape(-1, 3)
    centres = np.array([camera.centre for camera in truth.rig.cameras])
    away: Floats = np.median(np.linalg.norm(pelvises[None] - centres[:, None], axis=-1), axis=1)
    return away


def rotation_log(rotation: Floats) -> Floats:
    """Axis times angle (3,) rad of a rotation (3, 3) by less than half a turn."""
    skew = (rotation - rotation.T) / 2.0
    axis = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    sine = float(np.linalg.norm(axis))
    angle = float(np.arctan2(sine, (np.trace(rotation) - 1.0) / 2.0))
    log: Floats = axis * (angle / sine if sine > 1e-12 else 1.0)
    return log


def _up(rig: Rig) -> Floats:
    """(3,) the floor's normal in the first camera's frame."""
    up: Floats = rig.cameras[0].cam_from_world[:3, 2]
    return up


def _angle_deg(one: Floats, other: Floats) -> float:
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))
