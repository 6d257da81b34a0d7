"""A bundle adjustment over people that has been solved, with its covariance (NumPy, float64)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.calibration.people_bundle import LEAST_INFORMATION, solve
from pose3d_ros.calibration.people_covariance import covariance
from pose3d_ros.calibration.people_equations import Linear
from pose3d_ros.calibration.people_residuals import FOCAL, OWN, Evidence, Unknowns, own_times
from pose3d_ros.structures import Floats

# Keypoints within two standard deviations keep so much of their weight; tracks of which the adjustment keeps less than
# the other share are another person's, or no person's: usual ones keep 0.3 to 0.5.
SURE, TAKEN = 0.04, 0.1


@dataclass(frozen=True, eq=False)
class Solved:
    """The best unknowns of an adjustment, and how certain they are."""

    evidence: Evidence
    unknowns: Unknowns
    linear: Linear
    noise: Floats  # (N,) residuals over what the detector expects of itself
    covariance: Floats  # (G, G) of the cameras' parameters and the lengths

    def reprojection_px(self) -> dict[str, float]:
        """Median distance of keypoints from the joints by camera, px."""
        weight = self.linear.joints.weight
        size = np.linalg.norm(self.linear.joints.pixels.residual, axis=-1)
        return {
            camera.name: float(np.median(size[v][weight[v] > 0])) if (weight[v] > 0).any() else float("nan")
            for v, camera in enumerate(self.unknowns.cameras)
        }

    def focal_std(self) -> dict[str, float]:
        """Relative standard deviations of focal lengths that were free, by camera."""
        return {
            camera.name: float(np.sqrt(self.covariance[OWN * v + FOCAL, OWN * v + FOCAL]))
            for v, camera in enumerate(self.unknowns.cameras)
            if self.evidence.own_std[v, FOCAL] > 0
        }

    @property
    def sure(self) -> NDArray[np.bool_]:
        """(M, N) joints that two cameras or more show without an outlier."""
        return np.asarray((np.nan_to_num(self.linear.joints.kept) > SURE).sum(axis=0) >= 2)

    def joint_covariance(self) -> Floats:
        """(M, N, 3, 3) of the joints for known cameras."""
        A = self.linear.joints.A
        size = A.shape[1]
        inverse = np.linalg.inv(
            A + (LEAST_INFORMATION + 1e-9 * np.trace(A, axis1=1, axis2=2))[:, None, None] * np.eye(size)
        )
        joints = np.arange(size // 3)
        # Robust weights are lower than the information by the share that usual keypoints keep.
        inverse = inverse * float(np.nanmedian(self.linear.joints.kept))
        return np.asarray(inverse.reshape(len(A), -1, 3, size // 3, 3)[:, joints, :, joints].swapaxes(0, 1))


def adjust(evidence: Evidence, unknowns: Unknowns) -> Solved:
    """Solve; tracks that do not fit are left out, and the rest is solved again."""
    solved, linear, noise = solve(evidence, unknowns)
    fewer = _without_misfits(evidence, solved.clocks, linear)
    if fewer is not evidence:
        evidence = fewer
        solved, linear, noise = solve(evidence, solved)
    return Solved(evidence, solved, linear, noise, covariance(evidence, linear))


def _without_misfits(evidence: Evidence, clocks: Floats, linear: Linear) -> Evidence:
    """The evidence without tracks of which hardly a keypoint fits by these clocks (V, 2); itself where all fit."""
    tracks = []
    for number, by_view in enumerate(evidence.tracks):
        own = np.flatnonzero(evidence.person == number)
        kept_views = []
        for v, own_tracks in enumerate(by_view):
            fitting, times = [], own_times(evidence.at_s[own], clocks[v])
            for track in own_tracks:
                first, last = track.span_s
                share = linear.joints.kept[v, own[(times >= first) & (times <= last)]]
                if np.isfinite(share).any() and np.nanmean(share) >= TAKEN:
                    fitting.append(track)
            kept_views.append(tuple(fitting))
        tracks.append(tuple(kept_views))
    kept = tuple(tracks)
    same = all(
        len(a) == len(b)
        for one, other in zip(kept, evidence.tracks, strict=True)
        for a, b in zip(one, other, strict=True)
    )
    return evidence if same else replace(evidence, tracks=kept)
