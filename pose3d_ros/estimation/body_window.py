"""One person's joints over a window of frames, from all views' keypoints, constant bones and a prior on acceleration.

Minimises, over joints x (K, N, 3) m and lengths (L,) m:  sum Huber(keypoints) + sum (|link| - length)^2 / 2 std^2
+ sum |acceleration|^2 dt / 2 density + what is known of lengths and of frames before (a quadratic), by Gauss-Newton on
banded normal equations (kernels/body.py). The acceleration is white noise in continuous time (the Wiener velocity
model of Bar-Shalom, Li & Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, Sec. 6.2.2), by
second differences over the time stamps, so any frame rate and gaps will do. NumPy, float64. Axes: K frames, V views,
N joints, L links.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular

from pose3d_ros import kernels
from pose3d_ros.geometry.triangulation import HUBER_DELTA
from pose3d_ros.structures import Floats

# Cholesky needs it for joints that no keypoint, bone or past holds: nothing that is measured notices.
RIDGE = 1e-2  # 1/m^2
MAX_STEPS = 12
STEP_M = 2e-3  # steps shorter than this end the iteration


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """One frame set's keypoints of one person; V cameras, N joints."""

    time_s: float
    rotation: Floats  # (V, 3, 3) camera from world
    translation: Floats  # (V, 3) m
    xy: Floats  # (V, 2, N) ideal coordinates
    whiten: Floats  # (V, 2, 2, N), 0 where there is no keypoint
    calibration_covariance: Floats  # (17, 3, 3) m^2 by which the cameras' errors move the joints of h36m_17
    # By how much longer than between the joints' estimates the links are on average, and spread of that, (L,) m:
    # errors across a link lengthen it, and the flex of the body.
    longer: Floats
    link_std: Floats
    share: float = 1.0  # weight of the keypoints, in (0, 1]: errors of frames close in time are alike


@dataclass(frozen=True, eq=False)
class Model:
    """What all people have in common: links (L, 2) between joints, the larger index first, and the density (N,)
    m^2/s^3 of the joints' acceleration.
    """

    pairs: NDArray[np.int64]
    density: Floats


@dataclass(frozen=True, eq=False)
class Past:
    """What is known of M frames and the lengths of links, as one Gaussian.

    information (3NM + L, 3NM + L) 1/m^2 about x (M, N, 3) m and lengths (L,) m; times_s (M,).
    """

    times_s: Floats
    x: Floats
    lengths: Floats
    information: Floats


@dataclass(frozen=True, eq=False)
class Solution:
    """The joints of a window, the past's frames first, and the lengths of the links."""

    x: Floats  # (K, N, 3) m
    lengths: Floats  # (L,) m
    lengths_covariance: Floats  # (L, L) m^2
    cost: float
    band: Floats  # Cholesky factor of the joints' part of the normal equations, as LAPACK's pbtrf gives it
    reach: Floats  # (3NK, L): by how much joints move with the lengths

    def covariance(self, frame: int, ahead: float = 0.0) -> Floats:
        """(3N, 3N) m^2 of the joints of a frame, or of where they are as many steps from the frame before later."""
        frames, joints = self.x.shape[:2]
        m = 3 * joints
        right = np.zeros((frames, m, m))
        right[frame] = (1.0 + ahead) * np.eye(m)
        if ahead:
            right[frame - 1] = -ahead * np.eye(m)
        weights = np.asfortranarray(right.reshape(-1, m))
        found, _ = lapack.dpbtrs(self.band, weights, lower=1)
        reach = weights.T @ self.reach
        covariance: Floats = weights.T @ found + reach @ self.lengths_covariance @ reach.T
        return covariance


def covariances(found: Solution) -> Floats:
    """(K, 3N, 3N) m^2 of the joints of every frame: the last block first, the others from it (Rauch, Tung & Striebel,
    "Maximum likelihood estimates of linear dynamic systems", AIAA Journal 1965), two frames to a block.
    """
    frames, joints = found.x.shape[:2]
    m, size = 3 * joints, 3 * found.x.shape[0] * joints
    out = np.empty((frames, m, m))
    later = np.zeros((0, 0))
    for first in reversed(range(0, frames, 2)):
        here, end = slice(first * m, min((first + 2) * m, size)), min((first + 4) * m, size)
        columns = here.stop - here.start
        block = np.zeros((end - here.start, columns))
        for k in range(min(2 * m + 1, len(block))):
            rows = np.arange(min(columns, len(block) - k))
            block[rows + k, rows] = found.band[k, here.start + rows]
        root = solve_triangular(block[:columns], np.eye(columns), lower=True, check_finite=False)
        gain = block[columns:] @ root
        later = root.T @ root + gain.T @ later @ gain
        for k in range(columns // m):
            own = slice(k * m, (k + 1) * m)
            out[first + k] = later[own, own]
    reach = found.reach.reshape(frames, m, -1)
    covariance: Floats = out + reach @ found.lengths_covariance @ np.moveaxis(reach, 1, 2)
    return covariance


def solve(frames: Sequence[BodyFrame], starts: Sequence[Floats], model: Model, past: Past) -> Solution:
    """The best joints and lengths, from the best of the joints (K, N, 3) m of the frames to start with."""
    at = partial(_equations, _arrays(frames, past), model, past)
    ends = [_minimised(at, np.concatenate([past.x, start]), past.lengths) for start in starts]
    x, lengths, at = min(ends, key=lambda end: float(end[2][0]))
    cost, _, _, normal, border, corner = at
    band = lapack.dpbtrf(normal, lower=1)[0]
    reach = lapack.dpbtrs(band, border, lower=1)[0]
    return Solution(x, lengths, np.linalg.inv(corner - border.T @ reach), cost, band, reach)


def cautious(found: Solution, past: Past, part: float) -> Solution:
    """The solution, had its frames said only this part of what they say of the lengths; joints follow the lengths.

    Errors of a detector are alike from frame to frame: taken as independent they would soon make lengths certain.
    """
    size = past.x.size
    whole = past.information
    before = whole[size:, size:] - whole[size:, :size] @ np.linalg.solve(whole[:size, :size], whole[:size, size:])
    gained = np.linalg.inv(found.lengths_covariance) - before
    covariance = np.linalg.inv(before + part * gained)
    lengths = past.lengths + part * covariance @ (gained + before) @ (found.lengths - past.lengths)
    x = found.x - (found.reach @ (lengths - found.lengths)).reshape(found.x.shape)
    return replace(found, x=x, lengths=lengths, lengths_covariance=0.5 * (covariance + covariance.T))


def in_front(frames: Sequence[BodyFrame], x: Floats) -> bool:
    """Whether joints x (K, N, 3) m, the frames' last, are in front of all cameras that see them."""
    for frame, joints in zip(reversed(frames), x[::-1], strict=False):
        depth = frame.rotation[:, 2] @ joints.T + frame.translation[:, 2, None]
        if (depth <= 0)[(frame.whiten != 0).any(axis=(1, 2))].any():
            return False
    return True


def marginalised(frame: BodyFrame, found: Solution, model: Model, past: Past) -> Past:
    """The past a frame later, which is the frame of the solution that follows the past's; the oldest is left out.

    The lengths are as certain as in the solution.
    """
    x = found.x[: len(past.x) + 1]
    _, g, _, normal, border, _ = _equations(_arrays([frame], past), model, past, x, found.lengths)
    m, size, L = 3 * x.shape[1], normal.shape[1], len(found.lengths)
    # The band's first 3N columns are the oldest frame's; nothing of theirs reaches beyond the third frame.
    gone, joints = kernels.body.split(normal, m)
    kept = size - m
    root = np.linalg.cholesky(gone[:m])
    reach = border[m:]
    right = np.column_stack([gone[m:].T, border[:m], g[0]])
    half = solve_triangular(root, right, lower=True, check_finite=False)
    across = half[:, :kept]
    joints = joints - across.T @ across
    reach = reach - across.T @ half[:, kept : kept + L]
    lean = g.ravel()[m:] - across.T @ half[:, -1]
    answers = np.linalg.solve(joints, np.column_stack([lean, reach]))
    x = x[1:] - answers[:, 0].reshape(x[1:].shape)
    information = np.empty((kept + L, kept + L))
    information[:kept, :kept] = 0.5 * (joints + joints.T)
    information[:kept, kept:], information[kept:, :kept] = reach, reach.T
    information[kept:, kept:] = np.linalg.inv(found.lengths_covariance) + reach.T @ answers[:, 1:]
    times_s = np.array([*past.times_s[1:], frame.time_s])
    return Past(times_s, x, found.lengths, information)


def equations(frames: Sequence[BodyFrame], x: Floats, lengths: Floats, model: Model, past: Past) -> tuple[Any, ...]:
    """Cost and normal equations at joints x (K, N, 3) m and lengths (L,) m, as kernels/body.py gives them."""
    return _equations(_arrays(frames, past), model, past, x, lengths)


def _equations(arrays: tuple[Floats, ...], model: Model, past: Past, x: Floats, lengths: Floats) -> tuple[Any, ...]:
    R, t, xy, W, share, times, longer, stds = arrays
    found: tuple[Any, ...] = kernels.body.normal_equations(
        x, lengths, R, t, xy, W, HUBER_DELTA, share, times, model.density, model.pairs, longer, stds,
        past.x, past.lengths, past.information, RIDGE,
    )  # fmt: skip
    return found


def _minimised(equations: Callable[..., tuple[Any, ...]], x: Floats, lengths: Floats) -> tuple[Any, ...]:
    """Joints, lengths and equations where the cost is least, by Gauss-Newton, damped where a step does not help."""
    at, damping = equations(x, lengths), 0.0
    for _ in range(MAX_STEPS):
        dx, dl = _steps(at, damping)
        trial = equations(x + dx.reshape(x.shape), lengths + dl)
        if trial[0] <= at[0]:
            x, lengths, at, damping = x + dx.reshape(x.shape), lengths + dl, trial, damping / 10
            if np.abs(dx).max() < STEP_M:
                break
        else:
            damping = max(10 * damping, 1e-3)
    return x, lengths, at


def _steps(at: tuple[Any, ...], damping: float) -> tuple[Floats, Floats]:
    """Where the quadratic about a point is least: steps of the joints (3NK,) and the lengths (L,)."""
    _, g, gl, normal, border, corner = at
    if damping:
        normal, corner = normal.copy(), corner + damping * np.diag(np.diag(corner))
        normal[0] *= 1.0 + damping
    band = lapack.dpbtrf(normal, lower=1)[0]
    found = lapack.dpbtrs(band, np.column_stack([-g.ravel(), border]), lower=1)[0]
    free, reach = found[:, 0], found[:, 1:]
    dl = np.linalg.solve(corner - border.T @ reach, -gl - border.T @ free)
    return free - reach @ dl, dl


def _arrays(frames: Sequence[BodyFrame], past: Past) -> tuple[Floats, ...]:
    """The kernel's R, t, xy, W, share, times, longer and stds; the past's frames hold no keypoints."""
    views, joints = max(len(one.rotation) for one in frames), past.x.shape[1]
    K, M = len(past.x) + len(frames), len(past.x)
    R, t = np.zeros((K, views, 3, 3)), np.zeros((K, views, 3))
    xy, W, share = np.zeros((K, views, 2, joints)), np.zeros((K, views, 2, 2, joints)), np.ones(K)
    longer, stds = np.zeros((K, len(past.lengths))), np.ones((K, len(past.lengths)))
    for k, one in enumerate(frames, M):
        longer[k], stds[k] = one.longer, one.link_std
        V = len(one.rotation)
        R[k, :V], t[k, :V], xy[k, :V], W[k, :V], share[k] = (
            one.rotation, one.translation, one.xy, one.whiten, one.share,
        )  # fmt: skip
    return R, t, xy, W, share, np.array([*past.times_s, *(one.time_s for one in frames)]), longer, stds
