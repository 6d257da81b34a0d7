"""Residuals of a bundle adjustment over people, and their derivatives (NumPy, float64).

Axes: V cameras, P people, M moments of a person, N joints, L links. Residuals are pixels, and links that are as long at
every moment as the person's. A camera's own parameters are its motion (rotation rad, translation m, left of
cam_from_world), its clock (offset s, drift ppm), log focal length and k1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.estimation.body import FLEX_M, NAMES, PAIRS, PRIOR_LENGTHS_M
from pose3d_ros.geometry.distortion import distort_views
from pose3d_ros.structures import Camera, Floats

# Parameters of a camera: motion, then these.
OWN = 10
OFFSET, DRIFT, FOCAL, K1 = 6, 7, 8, 9
# What a detector makes of a constant bone: its keypoints are not always at the same place of a limb, m.
DETECTED_M = 0.02
# Standard deviation of a link over its length: residuals in m would favour small rigs.
LINK_SPREAD: Floats = np.hypot(FLEX_M, DETECTED_M) / PRIOR_LENGTHS_M
NEAREST_M = 0.2


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The variables of a bundle adjustment."""

    cameras: tuple[Camera, ...]
    clocks: Floats  # (V, 2): offset s, drift ppm; common time = offset + (1 + 1e-6 drift) * the camera's time
    xyz: Floats  # (M, N, 3) m
    lengths: Floats  # (P, L) m


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is observed, and what is known before."""

    tracks: tuple[tuple[tuple[ViewTrack, ...], ...], ...]  # by person and camera
    person: NDArray[np.intp]  # (M,)
    at_s: Floats  # (M,) common time
    own_std: Floats  # (V, OWN) prior of each camera's parameters about the next two; 0: fixed, inf: free
    about: tuple[Camera, ...]
    clocks_about: Floats  # (V, 2)
    lengths_mean: Floats  # (P, L) m
    lengths_information: Floats  # (P, L, L) 1/m^2


@dataclass(frozen=True, eq=False)
class Observed:
    """Samples of all tracks at the moments."""

    px: Floats  # (V, M, N, 2), NaN where not seen
    speed: Floats  # (V, M, N, 2) px per s
    variance: Floats  # (V, M, N) px^2

    @property
    def given(self) -> NDArray[np.bool_]:
        """(V, M, N) which keypoints are there."""
        return np.isfinite(self.variance)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Residuals and derivatives of keypoints, 0 where there is none or it is behind the camera."""

    residual: Floats  # (V, M, N, 2) px
    per_m: Floats  # (V, M, N, 2, 3) px/m of the joint
    own: Floats  # (V, M, N, 2, OWN) of the camera's parameters; empty if they were not asked for
    good: NDArray[np.bool_]  # (V, M, N)


@dataclass(frozen=True, eq=False)
class Links:
    """Residuals 1 - length / L of links, in their standard deviations, and derivatives."""

    residual: Floats  # (M, L)
    by_joint: Floats  # (M, L, 3) of the first joint; the second's is the negative
    by_length: Floats  # (M, L)


def observe(evidence: Evidence, clocks: Floats) -> Observed:
    """Sample all tracks at the moments by these clocks."""
    shape = len(clocks), len(evidence.at_s), len(NAMES)
    px, speed, variance = np.full((*shape, 2), np.nan), np.zeros((*shape, 2)), np.full(shape, np.nan)
    for number, by_view in enumerate(evidence.tracks):
        own = np.flatnonzero(evidence.person == number)
        for view, tracks in enumerate(by_view):
            times = own_times(evidence.at_s[own], clocks[view])
            for track in tracks:
                inside = (times >= track.times_s[0]) & (times <= track.times_s[-1])
                if inside.any():
                    there = own[inside]
                    px[view, there], speed[view, there], variance[view, there] = track.sample(times[inside])
    return Observed(px, speed, variance)


def own_times(at_s: Floats, clock: Floats) -> Floats:
    """A camera's own times of common times; clock (2,)."""
    times: Floats = (at_s - clock[0]) / (1.0 + 1e-6 * clock[1])
    return times


def pixels(evidence: Evidence, observed: Observed, unknowns: Unknowns, *, own: bool) -> Pixels:
    """Residuals and derivatives of all keypoints; own: also by the cameras' parameters."""
    shape = observed.px.shape
    residual, per_m = np.zeros(shape), np.zeros((*shape, 3))
    by_own = np.zeros((*shape, OWN)) if own else np.zeros(0)
    good = np.zeros(shape[:-1], dtype=bool)
    for v, camera in enumerate(unknowns.cameras):
        rotation, translation = camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]
        at = unknowns.xyz @ rotation.T + translation  # (M, N, 3)
        z = np.where(at[..., 2] > NEAREST_M, at[..., 2], np.nan)
        ideal = at[..., :2] / z[..., None]
        distorted, lens = (one[0] for one in distort_views([camera], ideal.reshape(1, -1, 2)))
        K = camera.K[:2, :2]
        px = (distorted @ K.T + camera.K[:2, 2]).reshape(shape[1:])
        pinhole = np.zeros((*shape[1:], 3))
        pinhole[..., 0, 0] = pinhole[..., 1, 1] = 1.0 / z
        pinhole[..., 2] = -ideal / z[..., None]
        in_camera = (K @ lens.reshape(*shape[1:], 2)) @ pinhole  # (M, N, 2, 3)
        good[v] = observed.given[v] & np.isfinite(px).all(-1) & np.isfinite(in_camera).all((-1, -2))
        here = good[v][..., None]
        in_camera = np.where(here[..., None], in_camera, 0.0)
        residual[v] = np.where(here, observed.px[v] - px, 0.0)
        per_m[v] = in_camera @ rotation
        if not own:
            continue
        by_own[v, ..., :3] = np.cross(at[..., None, :], in_camera)  # d(omega x p): in_camera . (omega x p)
        by_own[v, ..., 3:6] = in_camera
        by_own[v, ..., OFFSET] = observed.speed[v]
        by_own[v, ..., DRIFT] = 1e-6 * own_times(evidence.at_s, unknowns.clocks[v])[:, None, None] * observed.speed[v]
        by_own[v, ..., FOCAL] = px - camera.K[:2, 2]
        if camera.distortion_model != "equidistant":
            by_own[v, ..., K1] = (ideal * (ideal**2).sum(-1, keepdims=True)) @ K.T
        by_own[v] = np.where(here[..., None], by_own[v], 0.0)
    return Pixels(residual, per_m, by_own, good)


def links(evidence: Evidence, unknowns: Unknowns) -> Links:
    """Residuals and derivatives of all links of all moments."""
    L = unknowns.lengths[evidence.person]  # (M, L)
    away = unknowns.xyz[:, PAIRS[:, 0]] - unknowns.xyz[:, PAIRS[:, 1]]
    length = np.maximum(np.linalg.norm(away, axis=-1), 1e-6)
    return Links(
        (1.0 - length / L) / LINK_SPREAD,
        away / (length * L * LINK_SPREAD)[..., None],
        -length / (L**2 * LINK_SPREAD),
    )
