"""Constant bones and motion against the truth of motion capture, in rigs and with noise as in all tables of multiview.

Motion is interpolated from 12 to 30 frames a second; keypoints are believed as much as they err (1.48 times the median
error an axis), weighed by score as in the estimator. Association is known. NumPy, float64. Axes: V views, P people,
T frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.stats import chi2
from tqdm import tqdm

from pose3d_ros.estimation.body import MADE
from pose3d_ros.estimation.body_frames import body_frames
from pose3d_ros.estimation.body_smoother import BodySmoother
from pose3d_ros.estimation.observation import Grouped2D, triangulate_people, weighed_by_score
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.estimation.two_sided import Frames, Part, two_sided
from pose3d_ros.evaluation.bench import Bench
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.evaluation.trials import NOISES
from pose3d_ros.geometry.observations import Observations
from pose3d_ros.simulation.simulated_rigs import SimulatedRig
from pose3d_ros.simulation.views import SimulatedViews, simulate
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Floats, JointSource, Pose3D

CAPTURED_HZ, RATE_HZ = 12.0, 30.0
FRAMES, FIRST = 90, 30  # of a window, and the first that counts: bones are learnt from its start
PEOPLE_SHARE = 64  # a window takes as long as so many single poses
LIMBS = [H36M_17.index(name) for name in LIMB_JOINTS]
COLUMNS = (
    "rig", "noise", "method", "mean mm", "median mm", "limbs > 100 mm, %", "in ellipsoid %", "acceleration mm",
    "joints %",
)  # fmt: skip
NOTE = (
    "Errors of the joints that were triangulated, for every row, after the first second of windows of three. Limbs: "
    "share of shoulders to wrists and hips to ankles. In ellipsoid: share of joints inside their 95 % region. "
    "Acceleration: median second difference of limb joints between frames; the truth has 3 mm. Joints: share of those "
    "that were triangulated and still are there."
)


@dataclass(frozen=True, eq=False)
class Windows:
    """P people over T frames as triangulated."""

    truth: Floats  # (P, T, 17, 3) m
    observed: list[tuple[Observed3D, Observations]]  # T

    @property
    def poses(self) -> list[Pose3D]:
        """The T poses of all people."""
        return [_pose(one, k) for k, (one, _) in enumerate(self.observed)]


def bodies(bench: Bench) -> Iterator[Table]:
    """Triangulated, without lag, three sets late and from both sides, by rig and noise."""
    held_out = bench.held_out
    rigs = {
        "Human3.6M, P1": ("h36m", held_out.pairs("P1", 1)[0]),
        **{family: (family, held_out.rigs(family, 1)[0]) for family in ("room2", "head530", "room3")},
    }
    rows: list[tuple[Cell, ...]] = []
    for (label, (family, rig)), noise in tqdm(
        [(item, noise) for item in rigs.items() for noise in NOISES], unit="rig", leave=False, disable=None
    ):
        windows = simulated(bench, family, rig, noise)
        plain = windows.poses
        there = np.asarray(np.isfinite(np.stack([pose.xyz for pose in plain], axis=1)).all(axis=-1))
        for method, poses in {"triangulated": plain, **smoothed(windows)}.items():
            rows.append((label, noise, method, *_figures(windows.truth, there, poses)))
    yield Table("bodies", "constant bones and motion, 30 frames a second", COLUMNS, rows, NOTE)


def simulated(bench: Bench, family: str, rig: SimulatedRig, noise: str) -> Windows:
    """Held-out people in motion before a rig."""
    held_out = bench.held_out
    rng = held_out.generator("bodies", rig.name, noise)
    captured = int(FRAMES * CAPTURED_HZ / RATE_HZ) + 2
    people = max(bench.request.people // PEOPLE_SHARE, 1)
    xyz = held_out.standing(rig, rng, people=people, length=captured)
    xyz = CubicSpline(np.arange(captured) / CAPTURED_HZ, xyz, axis=1)(np.arange(FRAMES) / RATE_HZ)
    views = simulate(xyz, rig, held_out.noise(family, rig, noise), rng, fps=RATE_HZ)
    return Windows(views.truth, triangulated(views))


def triangulated(views: SimulatedViews) -> list[tuple[Observed3D, Observations]]:
    """All people (W windows) frame by frame."""
    off = np.abs(views.xy_px - views.true_px)
    sigma_px = 1.4826 * float(np.nanmedian(off))
    found = []
    for k in range(views.truth.shape[1]):
        score = views.score[:, :, k]
        spread = np.broadcast_to(sigma_px**2 * np.eye(2), (*score.shape, 2, 2))
        keypoints = Grouped2D(views.xy_px[:, :, k], score, weighed_by_score(spread, score))
        found.append(triangulate_people(views.cameras, keypoints, min_views=2, max_std_m=np.inf))
    return found


def smoothed(windows: Windows) -> dict[str, list[Pose3D]]:
    """Poses by method; of a lag the last have no people."""
    poses: dict[str, list[Pose3D]] = {}
    frames: list[Frames] = []
    for name, lag in (("body, lag 0", 0), ("body, lag 3", 3)):
        smoother, by_stamp = BodySmoother(lag), {}
        for k, (observed, rays) in enumerate(windows.observed):
            pose = _pose(observed, k)
            made = dict(zip(pose.ids, body_frames(rays, observed, pose.stamp_ns), strict=True))
            late = smoother(pose, made)
            by_stamp[late.stamp_ns] = late
            if not lag:
                frames.append(smoother.frames(pose))
        poses[name] = list(by_stamp.values())
    first = poses["body, lag 0"]
    poses["body, two-sided"] = [pose for part in two_sided(lambda: iter([Part(first, frames)])) for pose in part]
    return poses


def _pose(observed: Observed3D, k: int) -> Pose3D:
    people = len(observed)
    present = np.isfinite(observed.xyz).all(axis=-1)
    return Pose3D(
        xyz=observed.xyz, velocity=np.zeros_like(observed.xyz), covariance=observed.covariance, score=observed.score,
        n_views=observed.n_views, reprojection_px=observed.reprojection_px,
        source=np.where(present, JointSource.TRIANGULATED, JointSource.ABSENT).astype(np.uint8),
        ids=tuple(str(one + 1) for one in range(people)), state=np.zeros(people, dtype=np.uint8),
        age_s=np.zeros(people), skeleton=H36M_17, frame_id="world", stamp_ns=round(k * 1e9 / RATE_HZ),
    )  # fmt: skip


def _figures(truth: Floats, there: NDArray[np.bool_], poses: list[Pose3D]) -> tuple[Cell, ...]:
    last = len(poses)
    xyz, spread = (np.stack([getattr(pose, name) for pose in poses], axis=1) for name in ("xyz", "covariance"))
    counted = (there[:, :last] & MADE)[:, FIRST:]
    miss = (xyz - truth[:, :last])[:, FIRST:]
    off = 1000.0 * np.linalg.norm(miss, axis=-1)
    known = counted & np.isfinite(off) & np.isfinite(spread[:, FIRST:]).all(axis=(-1, -2))
    limbs = known & np.isin(np.arange(H36M_17.size), LIMBS)
    some, C = miss[known], spread[:, FIRST:][known]
    inside = (some * np.linalg.solve(C, some[..., None])[..., 0]).sum(axis=-1) <= chi2.ppf(0.95, 3)
    second = 1000.0 * np.linalg.norm(np.diff(xyz[:, FIRST:][:, :, LIMBS], 2, axis=1), axis=-1)
    return (
        float(off[known].mean()), float(np.median(off[known])), 100.0 * float((off[limbs] > 100.0).mean()),
        100.0 * float(inside.mean()), float(np.nanmedian(second)), 100.0 * float(known.sum() / counted.sum()),
    )  # fmt: skip
