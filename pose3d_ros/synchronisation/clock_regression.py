"""The regression of clock_offsets.py: residuals between cameras on velocities in their images.

Joints are triangulated from all views; their residuals, less what a shift of the joint explains (for two views the
epipolar residual remains), are regressed on their velocities in the images, with Huber weights. Joints with larger
residuals have lower weights. A wrong calibration also gives residuals, whether people move or not: every camera has its
own constant that is affine in the image, so only residuals proportional to the velocity count. NumPy, float64.
Axes: T times, V views, J joints, N = T J of all people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from pose3d_ros.structures import Camera, Floats

# The rate at which keypoints are compared, and half the widths of the local lines for positions and velocities. A
# stride takes a second, a detector's errors last 0.2 s. The best of 5 to 15 Hz, 0.1 to 0.3 s and 0.3 to 0.6 s on
# simulated walkers; 15 Hz gains nothing.
COMPARED_HZ, KERNEL_S, SPEED_KERNEL_S = 10.0, 0.15, 0.5
# Velocities of a standing person are noise; a person faster than one can run indoors is a jump, as when ids change.
WALKING_M_S, FASTEST_M_S = 0.4, 3.0
# Prior of the constants: px, and px per unit of ideal coordinates (a rotation about the optical axis by 0.6 degrees).
CONSTANT_PX, GRADIENT_PX = 10.0, 10.0
# Samples of a joint 1 / COMPARED_HZ apart are correlated, because a detector's errors last: this many count as one.
ALIKE = 6.0
# A keypoint's error, px per axis; Huber weights fall beyond DELTA of them.
SIGMA_PX, DELTA = 4.0, 2.0
# Offset between the block numbers of consecutive people.
MAX_SECONDS = 100_000
# A joint's error is estimated from its samples and from so many of all joints.
PRIOR_SAMPLES = 10.0


@dataclass(frozen=True, eq=False)
class Samples:
    """Joints at common times: residual, design and projection, ready for the regression."""

    residual: Floats  # (N, 2V) px
    design: Floats  # (N, 2V, K) px/s, then px: offsets of the views but the first, then constants
    block: NDArray[np.intp]  # (N,) number of the person and second
    freedom: Floats  # (N,) 2 V - 3 with V the views of the joint
    noise: Floats  # (N, V-1, V-1) (px/s)^2: mean contribution of the velocities' noise to design' design
    joint: NDArray[np.intp]  # (N,)


def local_lines(at_s: Floats, stamps_s: Floats, xy: Floats, weight: Floats, width_s: float) -> tuple[Floats, Floats]:
    """Position and velocity at times (T,) of samples (S, J, 2) by local lines: (T, J, 2) each, NaN if undetermined.

    Weights are Epanechnikov's kernel times the samples' weights (S, J) > 0; NaN joints are ignored.
    """
    away = stamps_s[None] - at_s[:, None]  # (T, S)
    kernel = np.maximum(1.0 - (away / width_s) ** 2, 0.0)
    visible: Floats = np.asarray(np.isfinite(xy).all(-1), dtype=np.float64)  # (S, J)
    counts = visible * weight
    values = np.where(visible[..., None] > 0, counts[..., None] * xy, 0.0).reshape(len(stamps_s), -1)  # (S, 2J)
    sums: list[Floats] = [kernel * away**n @ counts for n in range(3)]
    s0, s1, s2 = sums  # (T, J)
    y0, y1 = ((kernel * away**n @ values).reshape(*s0.shape, 2) for n in range(2))
    spread = s0 * s2 - s1**2
    # A line needs at least three samples, on both sides of the time.
    count = (kernel > 0).astype(np.float64) @ visible
    fixed = (count >= 3) & (np.abs(s1) < 0.5 * width_s * s0) & (spread > 1e-12)
    safe: Floats = np.asarray(np.where(fixed, spread, np.nan))[..., None]
    position: Floats = (s2[..., None] * y0 - s1[..., None] * y1) / safe
    speed: Floats = (s0[..., None] * y1 - s1[..., None] * y0) / safe
    return position, speed


class _Points(NamedTuple):
    """N joints at common times, triangulated."""

    A: Floats  # (N, 2V, 3) px/m: derivative of the images by the joint's position
    inverse: Floats  # (N, 3, 3) of A'A
    residual: Floats  # (N, 2V) px
    good: NDArray[np.bool_]  # (N,) in front of all cameras

    def select(self, chosen: NDArray[np.bool_]) -> _Points:
        return _Points(self.A[chosen], self.inverse[chosen], self.residual[chosen], self.good[chosen])


def compare(
    cameras: Sequence[Camera], position: Floats, speed: Floats, visible: NDArray[np.bool_], seconds: Floats, number: int
) -> Samples | None:
    """Residuals and design of one person's joints while walking; None if the person does not walk.

    position (T, J, V, 2) in ideal coordinates and speed, per second, are valid where visible (T, J, V), in two views or
    more; seconds (T, J): the second of each; number identifies the person.
    """
    shape, views = position.shape[:2], len(cameras)
    focal = np.array([0.5 * (camera.K[0, 0] + camera.K[1, 1]) for camera in cameras])
    rows = np.flatnonzero(visible.any(-1).ravel())
    weight = np.where(visible.reshape(-1, views)[rows], focal, 0.0)[..., None]  # (N, V, 1) ideal -> px
    x, v = (np.where(weight > 0, one.reshape(-1, views, 2)[rows], 0.0) for one in (position, speed))
    points = _triangulate(cameras, x, weight)
    v_px = (v * weight).reshape(len(rows), 2 * views)
    velocity = np.einsum("nij,nrj,nr->ni", points.inverse, points.A, v_px)  # (N, 3) m/s
    body = np.full((shape[0] * shape[1], 3), np.nan)
    body[rows] = np.where(points.good[:, None], velocity, np.nan)
    walks = np.broadcast_to(_walks(body.reshape(*shape, 3))[:, None], shape).ravel()[rows]
    chosen: NDArray[np.bool_] = points.good & walks
    if not chosen.any():
        return None
    points = points.select(chosen)
    velocity, used = velocity[chosen], weight[chosen] > 0
    freedom = 2.0 * used[..., 0].sum(-1) - 3.0
    miss = ((v_px[chosen] - np.einsum("nri,ni->nr", points.A, velocity)) ** 2).sum(-1)
    # The median of chi-squared residuals gives the variance of the velocities, (px/s)^2.
    variance = float(np.median(miss / (2.0 * gammaincinv(freedom / 2.0, 0.5))))
    return Samples(
        residual=points.residual,
        design=_design(points, velocity, x[chosen], used),
        block=seconds.ravel()[rows][chosen].astype(np.intp) + number * MAX_SECONDS,
        freedom=freedom,
        noise=variance * _noise(points, views),
        joint=rows[chosen] % shape[1],
    )


def _triangulate(cameras: Sequence[Camera], x: Floats, weight: Floats) -> _Points:
    """Joints from ideal coordinates x (N, V, 2); weight (N, V, 1) px, 0 where the joint is not visible."""
    R = np.stack([camera.cam_from_world[:3, :3] for camera in cameras])
    t = np.stack([camera.cam_from_world[:3, 3] for camera in cameras])
    count, views = x.shape[:2]
    # (R_12 - x R_3) X = x t_3 - t_12, by least squares in ideal coordinates times depth; then one step in px.
    left = (R[None, :, :2] - x[..., None] * R[None, :, 2:]) * (weight[..., None] > 0)  # (N, V, 2, 3)
    right = (x * t[None, :, 2:] - t[None, :, :2]) * (weight > 0)
    depth = np.ones((count, views))
    for _ in range(3):
        A = (left * (weight / depth[..., None])[..., None]).reshape(count, 2 * views, 3)
        b = (right * weight / depth[..., None]).reshape(count, 2 * views)
        H = np.einsum("nri,nrj->nij", A, A)
        H[:, [0, 1, 2], [0, 1, 2]] += 1e-9 * np.trace(H, axis1=1, axis2=2)[:, None] + 1e-12
        inverse = np.linalg.inv(H)
        X = np.einsum("nij,nrj,nr->ni", inverse, A, b)
        depth = np.einsum("vj,nj->nv", R[:, 2], X) + t[:, 2]
        good: NDArray[np.bool_] = np.asarray((depth > 0.1).all(-1))
        depth = np.where(depth > 0.1, depth, 1.0)
    return _Points(A, inverse, b - np.einsum("nri,ni->nr", A, X), good)


def _walks(velocity: Floats) -> NDArray[np.bool_]:
    """When (T,) a person walks whose joints have velocities (T, J, 3) m/s, NaN where unknown.

    Uses the mean of the joints: a swinging arm is no walk.
    """
    valid = np.asarray(np.isfinite(velocity).all(-1))
    mean = np.where(valid[..., None], velocity, 0.0).sum(1) / np.maximum(valid.sum(1), 1)[:, None]
    body_m_s = np.linalg.norm(mean, axis=-1)
    reach = round(2.0 * SPEED_KERNEL_S * COMPARED_HZ)  # samples that share images with a jump
    jumped = np.convolve(body_m_s > FASTEST_M_S, np.ones(2 * reach + 1), "full")[reach : reach + len(body_m_s)] > 0
    return np.asarray((body_m_s >= WALKING_M_S) & (valid.sum(1) >= 4) & ~jumped)


def _design(points: _Points, velocity: Floats, x: Floats, used: NDArray[np.bool_]) -> Floats:
    """(N, 2V, K) of velocities (N, 3) m/s and coordinates x (N, V, 2) in the views used (N, V, 1)."""
    count, views = x.shape[:2]
    image_velocity = np.einsum("nri,ni->nr", points.A, velocity).reshape(count, views, 2)
    design = np.zeros((count, views, 2, views - 1 + 6 * views))
    for view in range(views):
        if view:
            design[:, view, :, view - 1] = -image_velocity[:, view]
        affine = np.concatenate([np.ones((count, 1)), x[:, view]], axis=-1) * used[:, view]
        start = views - 1 + 6 * view
        design[:, view, 0, start : start + 3] = affine
        design[:, view, 1, start + 3 : start + 6] = affine
    # The part that a shift of the joint cannot explain: P = 1 - A (A'A)^-1 A'.
    flat = design.reshape(count, 2 * views, -1)
    left: Floats = flat - points.A @ (points.inverse @ (points.A.swapaxes(1, 2) @ flat))
    return left


def _noise(points: _Points, views: int) -> Floats:
    """(N, V-1, V-1): mean contribution of unit noise in the velocities to design' design."""
    parts = points.A.reshape(-1, views, 2, 3)
    share = np.einsum("nvri,nvrj->nvij", parts, parts) @ points.inverse[:, None]
    noise = -np.einsum("nvij,nwji->nvw", share, share)
    noise[:, range(views), range(views)] += np.trace(share, axis1=2, axis2=3)
    return np.asarray(noise[:, 1:, 1:])


def join(samples: Sequence[Samples]) -> Samples:
    """The samples of all people."""
    return Samples(*(np.concatenate([getattr(one, part.name) for one in samples]) for part in fields(Samples)))


def regress(samples: Samples, views: int) -> tuple[Floats, Floats]:
    """Offsets (V - 1,) s to add and their standard errors, by Huber weights per joint and blocks of seconds."""
    residual, design = samples.residual, samples.design
    N, rows, K = design.shape
    constants = np.tile([CONSTANT_PX, GRADIENT_PX, GRADIENT_PX], 2 * views)
    prior = np.r_[np.zeros(views - 1), ALIKE * (SIGMA_PX / constants) ** 2]
    flat, y = design.reshape(-1, K), residual.reshape(-1)
    weight = np.ones(N)
    for _ in range(5):
        w = np.repeat(weight, rows)[:, None]
        H = (flat * w).T @ flat + np.diag(prior)
        H[: views - 1, : views - 1] -= np.einsum("n,nvw->vw", weight, samples.noise)
        solution = np.linalg.lstsq(H, (flat * w).T @ y, rcond=None)[0]
        left = residual - design @ solution
        size = np.sqrt((left**2).sum(-1) / samples.freedom)
        scale, common = _scales(size, samples.joint)
        weight = np.minimum(1.0, DELTA * scale / np.maximum(size, 1e-9)) * (common / scale) ** 2
    inverse = np.linalg.pinv(H)
    score = np.einsum("nrk,nr,n->nk", design, left, weight)
    _, index = np.unique(samples.block, return_inverse=True)
    blocks = np.zeros((index.max() + 1, K))
    np.add.at(blocks, index, score)
    count = len(blocks)
    covariance = inverse @ (blocks.T @ blocks) @ inverse * count / max(count - 1, 1)
    return solution[: views - 1], np.sqrt(np.diag(covariance)[: views - 1])


def _scales(size: Floats, joint: NDArray[np.intp]) -> tuple[Floats, float]:
    """Standard deviations (N,) per joint of residuals of these sizes (N,), and that of all."""
    common = max(1.4826 * float(np.median(size)), 1e-6)
    squared = np.full(int(joint.max()) + 1, common**2)
    for one in np.unique(joint):
        own = size[joint == one]
        count = len(own) / (len(own) + PRIOR_SAMPLES)
        squared[one] = count * (1.4826 * float(np.median(own))) ** 2 + (1.0 - count) * common**2
    return np.asarray(np.sqrt(squared[joint])), common
