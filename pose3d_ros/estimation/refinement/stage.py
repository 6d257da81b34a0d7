"""The learned stage of the multi-view estimator: PoseRN on the keypoints, CV-UGCN on the pose, each behind gates.

It stands between triangulation and tracking. There people are whole and their cameras known, and no memory is touched
yet: ids, velocities and predictions then come from refined joints, as they would from better triangulated ones. After
tracking, a refined pose would disagree with its own velocity, and joints that the network fills in could not be weighed
against those that the tracker predicts.

NumPy, float64; torch is loaded with the weights only. Axes: V views, G people, J joints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.observation import Grouped2D, present, triangulated
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.fusion import fused
from pose3d_ros.estimation.refinement.gates import (
    Refusal,
    Refusals,
    fit_worse,
    gate_refinement,
    outliers,
    reprojection_px,
)
from pose3d_ros.estimation.refinement.plan import Network, RefinePlan, decide, find, wanted
from pose3d_ros.estimation.refinement.training_domain import MIN_JOINTS, TRAINED_JOINTS, RigRange
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.structures import Camera, Floats, JointSource, Rig

if TYPE_CHECKING:
    from pose3d_ros.detection.detector import Detector

# No camera saw a filled-in joint: below any that was seen, by choice; its covariance says how sure it is.
FILLED_SCORE = 0.25

# Triangulates again what some cameras see: Eq. 3 as the estimator has it.
Triangulate = Callable[[Sequence[Camera], Grouped2D], Observed3D]


class KeypointRefiner(Protocol):
    """2D in, 2D out: PoseRN is one."""

    def __call__(self, cameras: Sequence[Camera], xyz: Floats, xy: Floats) -> Floats:
        """Better keypoints (V, G, J, 2) px than xy, which triangulate to xyz (G, J, 3) m."""
        ...


class PoseRefiner(Protocol):
    """3D in, 3D out: CV-UGCN is one."""

    def serves(self, views: int) -> bool:
        """Whether people seen by so many cameras can be refined."""
        ...

    def __call__(self, cameras: Sequence[Camera], seen: Grouped2D, observed: Observed3D) -> tuple[Floats, Floats]:
        """Refined (G, J, 3) m, NaN where there is no answer, and its covariance (G, J, 3, 3) m^2."""
        ...


@dataclass(frozen=True, eq=False)
class Refined:
    """What came of it: accepted joints are REFINED, the others as they were."""

    observed: Observed3D
    refused: Mapping[str, int] = field(default_factory=dict)  # joints kept as triangulated, by Refusal


def load_refinement(options: EstimatorOptions, detector: Detector | None = None) -> Refinement | None:
    """The networks that the options ask for, on the GPU that the detector says it runs on, else on the CPU.

    None where the options say none. Raises WeightsError or InputError where one cannot be had.
    """
    if options.refine == "none":
        return None
    device = str(getattr(detector, "device", "cpu"))
    # A network may know better where an unsure joint is, so max_std_m judges what it leaves.
    triangulate = partial(triangulated, min_views=options.min_views, max_std_m=np.inf)
    device = device if device.startswith("cuda") else "cpu"
    return Refinement(options.refine, options.posern_weights, options.cvugcn_weights, triangulate, device)


class Refinement:
    """The networks that the options ask for, loaded, and the plan for the rig and detector at hand.

    refine, posern_weights and cvugcn_weights as in EstimatorOptions. triangulate is pass 2 of PoseRN. Raises
    WeightsMissingError, WeightsCorruptError or InputError where a network that refine names cannot be had.
    """

    def __init__(
        self, refine: str, posern_weights: str, cvugcn_weights: str, triangulate: Triangulate, device: str = "cpu"
    ) -> None:
        self._refine, self._triangulate, self._device = refine, triangulate, device
        self._posern = find("posern", refine, posern_weights)
        self._cvugcn = find("cvugcn", refine, cvugcn_weights)
        self._keypoints = self._keypoint_refiner(self._posern)
        self._poses = self._pose_refiner(self._cvugcn)

    def plan(self, rig: Rig, detector: str) -> RefinePlan:
        """What to do for this rig and the detector of this name."""
        return decide(self._refine, rig, detector, self._posern, self._cvugcn)

    def __call__(self, plan: RefinePlan, cameras: Sequence[Camera], seen: Grouped2D, observed: Observed3D) -> Refined:
        """Refine people observed by these cameras; ids, order and number of people stay."""
        counts: Counter[str] = Counter()
        if len(observed) and self._keypoints is not None and wanted(plan.method, "posern"):
            seen, observed, refusal = debiased(self._keypoints, self._triangulate, cameras, seen, observed)
            counts.update(_counts(refusal))
        if len(observed) and self._poses is not None and wanted(plan.method, "cvugcn"):
            limits = self._cvugcn.range if self._refine == "auto" else None
            observed, refusal = refined(self._poses, cameras, seen, observed, limits)
            counts.update(_counts(refusal))
        return Refined(observed, dict(counts))

    def _keypoint_refiner(self, network: Network) -> KeypointRefiner | None:
        if network.loaded is None:
            return None
        from pose3d_ros.estimation.refinement.networks import PoseRNRefiner

        return PoseRNRefiner(network.loaded, self._device)

    def _pose_refiner(self, network: Network) -> PoseRefiner | None:
        if network.loaded is None:
            return None
        from pose3d_ros.estimation.refinement.networks import CvUgcnRefiner

        return CvUgcnRefiner(network.loaded, self._device)


def debiased(
    refiner: KeypointRefiner, triangulate: Triangulate, cameras: Sequence[Camera], seen: Grouped2D, observed: Observed3D
) -> tuple[Grouped2D, Observed3D, Refusals]:
    """PoseRN's pass 2: keypoints, people and Refusal (G, J); whatever is refused keeps its keypoints and its place."""
    xy = refiner(cameras, observed.xyz, seen.xy)
    better = seen.moved(np.where(np.isfinite(xy), xy, seen.xy))
    again = triangulate(cameras, better)
    placed = present(observed.xyz)
    refusal = gate_refinement(observed, again.xyz, cameras, better)
    worse = fit_worse(observed, again, cameras, seen, better)
    refusal[worse[:, None] & placed] = Refusal.KEYPOINTS
    moved = (np.nan_to_num(better.xy) != np.nan_to_num(seen.xy)).any(axis=(0, -1))
    taken = (refusal == Refusal.NONE) & placed & moved
    result = _merged(observed, again.xyz, again.covariance, taken, cameras, seen)
    return better.moved(np.where(taken[..., None], better.xy, seen.xy)), result, refusal


def refined(
    refiner: PoseRefiner, cameras: Sequence[Camera], seen: Grouped2D, observed: Observed3D, limits: RigRange | None
) -> tuple[Observed3D, Refusals]:
    """CV-UGCN on people it can refine, fused with their triangulation: people and Refusal (G, J).

    limits: leave alone whom training did not know. A joint that is an outlier of its person counts as not triangulated,
    and its keypoints as not seen.
    """
    usable = usable_joints(observed)
    excluded = _excluded(refiner, cameras, seen, np.where(usable[..., None], observed.xyz, np.nan), limits)
    refusal = np.where(usable, excluded[:, None], Refusal.NONE).astype(np.uint8)
    rows = np.flatnonzero(excluded == Refusal.NONE)
    if not len(rows):
        return observed, refusal
    given, trusted = network_input(observed.select(rows), seen.select(rows), usable[rows])
    xyz, covariance = np.full_like(observed.xyz, np.nan), np.full_like(observed.covariance, np.nan)
    xyz[rows], covariance[rows] = refiner(cameras, trusted, given)
    xyz[:, ~TRAINED_JOINTS] = np.nan
    refusal[rows] = gate_refinement(given, xyz[rows], cameras, trusted)
    known = present(xyz) & present(covariance).all(axis=-1)
    refusal[usable & ~known & (refusal == Refusal.NONE)] = Refusal.NOT_FINITE
    taken = known & (refusal == Refusal.NONE)
    # Gates judge the network's own answer.
    xyz[rows], covariance[rows] = fused(given.xyz, given.covariance, xyz[rows], covariance[rows])
    result = _merged(observed, xyz, covariance, taken, cameras, seen)
    return _filled(result, taken & ~usable, observed.mean_score), refusal


def usable_joints(observed: Observed3D) -> NDArray[np.bool_]:
    """Which joints (G, J) a network is given: those that it knows and that are no outlier of their person."""
    usable = present(observed.xyz) & TRAINED_JOINTS
    return np.asarray(usable & ~outliers(np.where(usable[..., None], observed.xyz, np.nan)))


def network_input(observed: Observed3D, seen: Grouped2D, usable: NDArray[np.bool_]) -> tuple[Observed3D, Grouped2D]:
    """People and their keypoints as a network is given them: without the joints that are not usable (G, J)."""
    given = replace(
        observed,
        xyz=np.where(usable[..., None], observed.xyz, np.nan),
        covariance=np.where(usable[..., None, None], observed.covariance, np.nan),
    )
    return given, seen.without(present(observed.xyz) & ~usable)


def _excluded(
    refiner: PoseRefiner, cameras: Sequence[Camera], seen: Grouped2D, xyz: Floats, limits: RigRange | None
) -> Refusals:
    """Which people (G,) are left alone, and why."""
    placed = present(xyz)
    sees = seen.seen.any(axis=-1)  # (V, G)
    why = np.full(len(xyz), Refusal.NONE, dtype=np.uint8)
    for row, views in enumerate(sees.T):
        if placed[row].sum() < MIN_JOINTS:
            why[row] = Refusal.FEW_JOINTS
        elif not refiner.serves(int(views.sum())):
            why[row] = Refusal.VIEWS
        elif limits is not None:
            centres = np.stack([camera.centre for camera, used in zip(cameras, views, strict=True) if used])
            if not limits.knows(centres, xyz[row, placed[row]].mean(axis=0)):
                why[row] = Refusal.OUT_OF_RANGE
    return why


def _merged(
    observed: Observed3D,
    xyz: Floats,
    covariance: Floats,
    taken: NDArray[np.bool_],
    cameras: Sequence[Camera],
    seen: Grouped2D,
) -> Observed3D:
    """The people with the joints taken (G, J) refined."""
    return replace(
        observed,
        xyz=np.where(taken[..., None], xyz, observed.xyz),
        covariance=np.where(taken[..., None, None], covariance, observed.covariance),
        reprojection_px=np.where(taken, reprojection_px(xyz, cameras, seen), observed.reprojection_px),
        source=np.where(taken, JointSource.REFINED, observed.source).astype(np.uint8),
    )


def _filled(observed: Observed3D, which: NDArray[np.bool_], mean_score: Floats) -> Observed3D:
    """The people whose joints (G, J) were filled in: no camera saw them there; mean_score (G,) is the others'."""
    return replace(
        observed,
        score=np.where(which, FILLED_SCORE * mean_score[:, None], observed.score),
        n_views=np.where(which, 0, observed.n_views).astype(np.uint8),
        reprojection_px=np.where(which, np.nan, observed.reprojection_px),
    )


def _counts(refusal: Refusals) -> dict[str, int]:
    return {one.name.lower(): int((refusal == one).sum()) for one in Refusal if one and (refusal == one).any()}
