"""Scale and floor of an adjustment over people, or the place where a rig was before (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.calibration.people_adjusted import Solved
from pose3d_ros.calibration.people_covariance import at_scale
from pose3d_ros.calibration.people_floor import (
    LEAST_MOMENTS,
    NOSE_SPREAD,
    ankle_plane,
    floor_frame,
    lowered,
    statures,
    upright_moments,
    vertical,
)
from pose3d_ros.calibration.people_residuals import OWN
from pose3d_ros.calibration.people_scene import LEG_SPREAD, LEGS
from pose3d_ros.errors import CalibrationError
from pose3d_ros.estimation.body import STATURE_M, WEIGHTS
from pose3d_ros.geometry.alignment import rigid
from pose3d_ros.structures import Camera, Floats

# A camera's direction counts as much as its place where it is this far from people.
MARKS_M = 3.0
# Adults, half of them women: mean stature, m, and its relative spread (ANSUR 1988: 1.63 +- 0.064 and 1.76 +- 0.067).
ADULT_M, ADULT_SPREAD = 1.69, 0.055
# Where hardly a moment has all joints sure, this share of them is enough.
ENOUGH_JOINTS = 0.7


@dataclass(frozen=True, eq=False)
class Metric:
    """An adjustment in metres, and in a frame that means something."""

    solved: Solved
    cameras: tuple[Camera, ...]  # placed in the frame
    xyz: Floats  # (M, N, 3) m in the frame
    shape: Floats  # (G, G) covariance in metres, were the scale known
    per_scale: Floats  # (G,) derivative of the parameters by the logarithm of the scale
    scale_std: float  # relative
    tilt_std_rad: float  # of the floor, a horizontal axis; NaN where the frame is not the floor's
    statures_m: tuple[float, ...]

    @property
    def covariance(self) -> Floats:
        """(G, G) in metres, of the shape and of the scale."""
        return np.asarray(self.shape + self.scale_std**2 * np.outer(self.per_scale, self.per_scale))

    @property
    def on_floor(self) -> bool:
        """Whether a floor was found, and the frame put on it."""
        return bool(np.isfinite(self.tilt_std_rad))

    def people(self) -> Floats:
        """(M, 17, 3) m of h36m_17; NaN where joints were not sure, and of HeadTop."""
        known = np.where(self.solved.sure[..., None], self.xyz, np.nan)
        whole = np.einsum("jn,mnc->mjc", WEIGHTS, np.nan_to_num(known))
        missing = ((WEIGHTS > 0) @ np.isnan(known[..., 0]).T.astype(float)).T > 0
        return np.where((missing | ~WEIGHTS.any(axis=1))[..., None], np.nan, whole)


def put_on_floor(solved: Solved, stature_m: float | None, distance: tuple[str, str, float] | None) -> Metric:
    """The adjustment scaled, with the floor as z = 0 and the first camera above x = y = 0, looking along +x.

    Scale is by a distance (two cameras, m), or the stature of the tallest person, or people's in general. Where
    hardly a person stands upright the frame is that of the first camera.
    """
    cameras, xyz = solved.unknowns.cameras, solved.unknowns.xyz
    whole = solved.sure.all(axis=1)
    if whole.sum() < LEAST_MOMENTS:
        whole = solved.sure.mean(axis=1) > ENOUGH_JOINTS
    upright = whole & upright_moments(xyz)
    stands = upright.sum() >= LEAST_MOMENTS
    tall = statures(xyz[upright], solved.evidence.person[upright], vertical(xyz[upright])) if stands else {}
    factor, scale_std, mode = _scale(solved, tall, stature_m, distance)
    cameras = tuple(_scaled(camera, factor) for camera in cameras)
    xyz = factor * xyz
    shape, per_scale = _in_metres(solved, factor, mode)
    floor_from_world, tilt_std = np.eye(4), np.nan
    if stands:
        spread = factor**2 * solved.joint_covariance()[upright]
        plane, covariance = lowered(*ankle_plane(xyz[upright], spread, solved.evidence.person[upright]))
        floor_from_world, tilt_std = floor_frame(plane, cameras[0]), float(np.sqrt(np.trace(covariance[:2, :2]) / 2))
    inverse = np.linalg.inv(floor_from_world)
    return Metric(
        solved,
        tuple(camera.placed(camera.cam_from_world @ inverse) for camera in cameras),
        xyz @ floor_from_world[:3, :3].T + floor_from_world[:3, 3],
        shape,
        per_scale,
        scale_std,
        tilt_std,
        tuple(factor * one for one in tall.values()),
    )


def keep_in_place(before: Solved, after: Solved) -> Metric:
    """The adjustment after in the frame and at the scale of the one before.

    The cameras keep their mean distance from each other, and on the whole their places and directions: people cannot
    hold the frame, because the rig before puts them to wrong places. Raises CalibrationError where hardly a joint fits.
    """
    if (before.sure & after.sure).sum() < LEAST_MOMENTS:
        raise CalibrationError("people fit the rig too badly to correct it: calibrate it again")
    factor = _apart_m(before) / _apart_m(after)
    cameras = tuple(_scaled(camera, factor) for camera in after.unknowns.cameras)
    moved = rigid(_marks(cameras), _marks(before.unknowns.cameras))
    inverse = np.linalg.inv(moved.matrix)
    shape, per_scale = _in_metres(after, factor, _logarithm(after, _legs(after)))
    return Metric(
        after,
        tuple(camera.placed(camera.cam_from_world @ inverse) for camera in cameras),
        moved.apply(factor * after.unknowns.xyz),
        shape,
        per_scale,
        0.0,
        np.nan,
        (),
    )


def _marks(cameras: Sequence[Camera]) -> Floats:
    """(4 V, 3) m: the centre of each camera, and points MARKS_M from it along its axes."""
    return np.concatenate(
        [camera.centre + MARKS_M * np.vstack([np.zeros(3), camera.cam_from_world[:3, :3]]) for camera in cameras]
    )


def _apart_m(solved: Solved) -> float:
    centres = np.array([camera.centre for camera in solved.unknowns.cameras])
    return float(np.linalg.norm(centres[:, None] - centres, axis=-1).mean())


def _scaled(camera: Camera, factor: float) -> Camera:
    matrix = camera.cam_from_world.copy()
    matrix[:3, 3] *= factor
    return camera.placed(matrix)


def _scale(
    solved: Solved, tall: dict[int, float], stature_m: float | None, distance: tuple[str, str, float] | None
) -> tuple[float, float, Floats]:
    """The factor to metres, its relative standard deviation, and the scale's logarithm's derivative (G,)."""
    names = [camera.name for camera in solved.unknowns.cameras]
    if distance is not None:
        first, second, length_m = distance
        a, b = (solved.unknowns.cameras[names.index(name)] for name in (first, second))
        between = float(np.linalg.norm(a.centre - b.centre))
        gradient: Floats = np.zeros(len(solved.linear.g))
        for camera, other in ((a, b), (b, a)):
            away = (camera.centre - other.centre) / between**2
            gradient[OWN * names.index(camera.name) + 3 : OWN * names.index(camera.name) + 6] = (
                -away @ camera.cam_from_world[:3, :3].T
            )
        return length_m / between, 0.0, gradient
    mode = _logarithm(solved, _legs(solved))
    if not tall:
        # Legs are as long as those of people of STATURE_M.
        return (ADULT_M if stature_m is None else stature_m) / STATURE_M, LEG_SPREAD, mode
    if stature_m is not None:
        return stature_m / max(tall.values()), NOSE_SPREAD, mode
    factor = float(np.exp(np.mean([np.log(ADULT_M / one) for one in tall.values()])))
    return factor, float(np.hypot(ADULT_SPREAD / np.sqrt(len(tall)), NOSE_SPREAD)), mode


def _legs(solved: Solved) -> NDArray[np.intp]:
    people, links = solved.unknowns.lengths.shape
    return np.asarray(np.flatnonzero(np.tile(LEGS, people)) + len(solved.linear.g) - people * links)


def _logarithm(solved: Solved, columns: NDArray[np.intp]) -> Floats:
    """Derivative (G,) of the mean logarithm of lengths, given their columns."""
    lengths = solved.unknowns.lengths.ravel()[columns - len(solved.linear.g) + solved.unknowns.lengths.size]
    gradient: Floats = np.zeros(len(solved.linear.g))
    gradient[columns] = 1.0 / lengths / len(columns)
    return gradient


def _in_metres(solved: Solved, factor: float, gradient: Floats) -> tuple[Floats, Floats]:
    """Metric.shape and per_scale; gradient (G,) is of the logarithm of what fixes the scale."""
    shape = at_scale(solved.covariance, gradient)
    unit, per_scale = np.ones(len(shape)), np.zeros(len(shape))
    first_from_world = np.linalg.inv(solved.unknowns.cameras[0].cam_from_world)
    for v, camera in enumerate(solved.unknowns.cameras):
        own = slice(OWN * v + 3, OWN * v + 6)
        unit[own] = factor
        per_scale[own] = factor * (camera.cam_from_world @ first_from_world)[:3, 3]
    return np.asarray(shape * np.outer(unit, unit)), per_scale
