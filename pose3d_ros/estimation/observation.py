"""From groups of 2D people to people in space: weights, triangulation, scores. float64.

Axes: G groups, V views, J joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose3d_ros import kernels
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.association import grouped
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.geometry.camera_errors import camera_error_covariance, moved_points
from pose3d_ros.geometry.distortion import lenses_of, undistort_px
from pose3d_ros.geometry.observations import Observations
from pose3d_ros.geometry.triangulation import HUBER_DELTA, SIGMA_PX, Rejection
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D


@dataclass(frozen=True, eq=False)
class Grouped2D:
    """The 2D people of G groups before V cameras, as triangulation takes them."""

    xy: Floats  # (V, G, J, 2) px of the original images, NaN where a camera does not see the joint
    score: Floats  # (V, G, J), 0 there
    covariance: Floats | None  # (V, G, J, 2, 2) px^2 weighed by score; None where a detector gives none
    # Of xy: ideal coordinates (V, G, J, 2) and the lens's derivative (V, G, J, 2, 2), where they are known already.
    ideal: Floats | None = None
    lens: Floats | None = None

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which joints have a keypoint, (V, G, J)."""
        return np.asarray(present(self.xy) & (self.score > 0))

    @property
    def std_px(self) -> Floats:
        """What triangulation takes each keypoint to be off by, (V, G, J) px an axis; NaN where there is none."""
        if self.covariance is not None:
            variance = np.trace(self.covariance, axis1=-2, axis2=-1) / 2
            return np.asarray(np.sqrt(np.where(self.seen & (variance > 0), variance, np.nan)))
        return np.asarray(SIGMA_PX / np.where(self.seen, self.score, np.nan))

    def select(self, groups: NDArray[np.intp]) -> Grouped2D:
        """The chosen groups, in the order given."""
        return Grouped2D(*(None if one is None else one[:, groups] for one in self._all))  # type: ignore[arg-type]

    def of(self, views: Sequence[int]) -> Grouped2D:
        """What the chosen cameras see, in the order given."""
        chosen = list(views)
        return Grouped2D(*(None if one is None else one[chosen] for one in self._all))  # type: ignore[arg-type]

    def joints(self, joints: Sequence[int]) -> Grouped2D:
        """The chosen joints, in the order given."""
        chosen = list(joints)
        return Grouped2D(*(None if one is None else one[:, :, chosen] for one in self._all))  # type: ignore[arg-type]

    def without(self, joints: NDArray[np.bool_]) -> Grouped2D:
        """The same without all views' keypoints of some joints (G, J)."""
        xy, score = np.where(joints[..., None], np.nan, self.xy), np.where(joints, 0.0, self.score)
        return Grouped2D(xy, score, self.covariance)

    def moved(self, xy: Floats) -> Grouped2D:
        """The same with keypoints elsewhere."""
        return Grouped2D(xy, self.score, self.covariance)

    @property
    def _all(self) -> tuple[Floats | None, ...]:
        return self.xy, self.score, self.covariance, self.ideal, self.lens


@dataclass(frozen=True, eq=False)
class People2D:
    """The N 2D people of all cameras, one after another; a row more is of no person, for the index -1."""

    bounds: NDArray[np.intp]  # (V + 1,) where each camera's people begin, and N
    xy: Floats  # (N + 1, J, 2) px
    score: Floats  # (N + 1, J)
    covariance: Floats | None  # (N + 1, J, 2, 2) px^2 weighed by score; None where a detector gives none
    ideal: Floats | None = None  # (N + 1, J, 2) and
    lens: Floats | None = None  # (N + 1, J, 2, 2) as in Grouped2D

    @staticmethod
    def of(people: Sequence[Keypoints2D]) -> People2D:
        """One entry of people a camera, one common skeleton."""
        joints = people[0].skeleton.size
        no_person = np.full((1, joints, 2, 2), np.nan)
        score = np.concatenate([*(k.score for k in people), np.zeros((1, joints))])
        spreads = [k.covariance for k in people if k.covariance is not None]
        covariance = None
        if len(spreads) == len(people):
            covariance = weighed_by_score(np.concatenate([*spreads, no_person]), score)
        bounds = np.cumsum([0, *(len(k) for k in people)])
        return People2D(bounds, np.concatenate([*(k.xy for k in people), no_person[..., 0]]), score, covariance)

    @cached_property
    def view(self) -> NDArray[np.intp]:
        """Each person's camera, (N,)."""
        return np.repeat(np.arange(len(self.bounds) - 1), self.bounds[1:] - self.bounds[:-1])

    def undistorted(self, cameras: Sequence[Camera]) -> People2D:
        """The same with ideal coordinates."""
        ideal, lens = undistort_px(cameras, self.xy, np.append(self.view, 0))
        return replace(self, ideal=ideal, lens=lens)

    def grouped(self, rows: NDArray[np.intp]) -> Grouped2D:
        """The people by group, rows (G, V) of each group's people or -1."""
        index = rows.T
        some = (self.covariance, self.ideal, self.lens)
        return Grouped2D(self.xy[index], self.score[index], *(None if one is None else one[index] for one in some))

    def with_joints(self, order: NDArray[np.intp]) -> People2D:
        """The same with each person's joints in another order (N + 1, J)."""
        rows = np.arange(len(order))[:, None]
        some = (self.covariance, self.ideal, self.lens)
        moved = (None if one is None else one[rows, order] for one in some)
        return People2D(self.bounds, self.xy[rows, order], self.score[rows, order], *moved)


def associated_rows(
    cameras: Sequence[Camera], people: People2D, expected: Floats, limit_mrad: float
) -> NDArray[np.intp]:
    """associate() of people that are undistorted, rows (G, V) of people or -1; h36m_17."""
    assert people.ideal is not None, "undistorted() comes first"
    view = people.view
    if not len(view):
        return np.zeros((0, len(cameras)), dtype=np.intp)
    return grouped(cameras, view, people.ideal[:-1], people.score[:-1], expected, H36M_17, limit_mrad)


def gathered(people: Sequence[Keypoints2D], groups: NDArray[np.intp]) -> Grouped2D:
    """The 2D people by group: one entry of people a camera, one common skeleton.

    groups (G, V): index of each person in each view, or -1.
    """
    flat = People2D.of(people)
    return flat.grouped(np.where(groups >= 0, groups + flat.bounds[:-1], -1))


def triangulated(cameras: Sequence[Camera], seen: Grouped2D, *, min_views: int, max_std_m: float) -> Observed3D:
    """Triangulate all joints; max_std_m as in geometry.triangulate.

    Joints seen by fewer than min_views cameras are left out.
    """
    return triangulate_people(cameras, seen, min_views=min_views, max_std_m=max_std_m)[0]


def triangulate_people(
    cameras: Sequence[Camera], seen: Grouped2D, *, min_views: int, max_std_m: float
) -> tuple[Observed3D, Observations]:
    """The same, and what the cameras say of the joints: calibration_shift needs it."""
    views, groups, joints = seen.score.shape
    ideal, lens, lenses = seen.ideal, seen.lens, lenses_of(cameras)
    if ideal is None or lens is None:
        ideal, lens = undistort_px(cameras, seen.xy.reshape(views, -1, 2))
    score = kernels.plain(seen.score).reshape(views, -1)
    covariance = np.empty((0, 0, 0, 0)) if seen.covariance is None else seen.covariance.reshape(views, -1, 2, 2)
    found, sights = kernels.validation.triangulated(
        lenses,
        ideal.reshape(views, -1, 2),
        lens.reshape(views, -1, 2, 2),
        score if seen.covariance is None else np.empty((0, 0)),
        kernels.plain(covariance),
        *(SIGMA_PX, HUBER_DELTA, float(max_std_m), MIN_BASELINE_M, True),
    )
    total = kernels.validation.scored(score, min_views, *found)
    xyz, spread, n_views, px, rejection = found
    shape = (groups, joints)
    observed = Observed3D(
        xyz=xyz.reshape(*shape, 3),
        covariance=spread.reshape(*shape, 3, 3),
        score=total.reshape(shape),
        n_views=n_views.reshape(shape),
        reprojection_px=px.reshape(shape),
        rejected=rejected(rejection),
    )
    return observed, Observations(lenses[7], lenses[8][..., None], lenses[9], *sights)


def without_uncertain(observed: Observed3D, max_std_m: float, also: NDArray[np.bool_] | None = None) -> Observed3D:
    """Leave out joints whose standard deviation along the worst axis exceeds max_std_m; seen ones are counted.

    So are others (G, J) that are too uncertain.

    What the cameras' errors add does not count: they move a person as a whole and leave the pose as it is.
    """
    joints = observed.score.shape
    unsure = kernels.validation.wider(kernels.plain(observed.covariance).reshape(-1, 3, 3), float(max_std_m))
    unsure = unsure.reshape(joints)
    if also is not None:
        unsure = unsure | also
    if not unsure.any():
        return observed
    lost = int((unsure & (observed.n_views > 0)).sum())
    uncertain = observed.rejected.get("uncertain", 0) + lost
    return replace(
        observed,
        xyz=np.where(unsure[..., None], np.nan, observed.xyz),
        covariance=np.where(unsure[..., None, None], np.nan, observed.covariance),
        score=np.where(unsure, 0.0, observed.score),
        n_views=np.where(unsure, 0, observed.n_views).astype(np.uint8),
        reprojection_px=np.where(unsure, np.nan, observed.reprojection_px),
        rejected={**observed.rejected, **({"uncertain": uncertain} if uncertain else {})},
    )


def calibration_shift(
    cameras: Sequence[Camera], seen: Grouped2D, observed: Observed3D, rays: Observations | None = None
) -> Floats:
    """Covariance (G, J, 3, 3) m^2 of people triangulated by cameras that are each off by 1 px; rays as they gave it."""
    if rays is None:
        score = seen.score if seen.covariance is None else None
        return camera_error_covariance(cameras, seen.xy, observed.xyz, score, seen.covariance, delta=HUBER_DELTA)
    points = kernels.plain(observed.xyz.reshape(-1, 3).T)
    return moved_points(rays, points, HUBER_DELTA).reshape(observed.covariance.shape)


def with_calibration_noise(observed: Observed3D, shift: Floats, calibration_px: float) -> Observed3D:
    """The people, as unsure as cameras leave them that are each off by calibration_px an axis, in addition to the
    keypoints.

    shift is what calibration_shift gave. A joint that a network filled in is moved as the person's others are, on
    average.
    """
    whole = calibration_px**2 * shift
    known = np.asarray(present(whole).all(axis=-1))[..., None, None]
    total = np.where(known, whole, 0.0).sum(axis=1, keepdims=True)
    return replace(
        observed, calibration_covariance=np.where(known, whole, total / np.maximum(known.sum(axis=1, keepdims=True), 1))
    )


def present(points: Floats) -> NDArray[np.bool_]:
    """Which points (..., 3) or (..., 2) are there: (...)."""
    return np.asarray(np.isfinite(points).all(axis=-1))


def rejected(rejection: NDArray[np.uint8]) -> dict[str, int]:
    """How many joints (N,) that some camera saw have no position, by the name of the Rejection; 0 where none saw it."""
    counts = np.bincount(rejection, minlength=len(Rejection)).tolist()
    return {reason.name.lower(): counts[reason] for reason in Rejection if reason and counts[reason]}


def weighed_by_score(covariance: Floats, score: Floats) -> Floats:
    """Covariances (..., J, 2, 2) px^2 for the robust fit: as sure as PoseRN's Eq. 3 makes them by their score.

    A calibrated covariance holds a detector's gross errors too, and so grows steeply as the score falls; Huber's
    function tolerates gross errors already. Within each 2D person the standard deviation goes with 1 / score, as
    in PoseRN, at the level of that person's covariances (median over the joints of standard deviation times
    score). On the demo's single person: 40.0 mm, against 42.1 mm with the covariances as they are.
    NaN where a covariance is not finite and positive, or the score is 0.
    """
    joints = score.shape[-1]
    flat = kernels.plain(covariance).reshape(-1, joints, 2, 2), kernels.plain(score).reshape(-1, joints)
    weighed: Floats = kernels.observations.weighed(*flat)
    return weighed.reshape(covariance.shape)


def joint_score(score: Floats) -> Floats:
    """Score of 3D joints from their 2D scores (V, ...), 0 where a view has none.

    Two views give the mean m of their scores; each further view confirms it independently:
    1 - (1 - m)^(n - 1). One view gives 0.
    """
    used = (score > 0).sum(0)
    mean = score.sum(0) / np.maximum(used, 1)
    return np.asarray(1.0 - (1.0 - mean) ** np.maximum(used - 1, 0))
