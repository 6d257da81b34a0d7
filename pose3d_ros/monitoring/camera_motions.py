"""How far cameras have moved, from their observations of unknown points (NumPy, float64).

A small motion xi_c = (rotation rad, translation m) of camera c in its own frame shifts its image of a point p (in its
frame) by J_c xi_c = d(u, v)/dp (omega x p + nu). With X unknown the residuals of a point in all its views are

    r = J xi + J_X dX + noise,    P = 1 - J_X (J_X' J_X)^-1 J_X',    P r = P J xi + noise

and the normal equations H = sum J' P J, g = sum J' P r of many points are sums: those of each second can be kept,
added and solved again under every hypothesis of which camera has moved (the Schur complement of bundle adjustment:
Triggs et al., Bundle Adjustment - A Modern Synthesis, 2000, Sec. 6). They are expressed in the cameras' own frames, so
they do not change if all cameras move together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose3d_ros.geometry.observations import observations
from pose3d_ros.geometry.triangulation import linear_points
from pose3d_ros.structures import Camera, Floats

# Huber's threshold in robust standard deviations of the points' residuals.
HUBER_DELTA = 2.0
# A point nearer than this to a camera's plane has no meaningful residual, m.
LEAST_DEPTH_M = 0.1


@dataclass(frozen=True, eq=False)
class Motions:
    """The normal equations of the motions of V cameras from N points, each observed by some of them."""

    H: Floats  # (6 V, 6 V) px^2
    g: Floats  # (6 V,)
    squared_px: float  # sum of the squared residuals
    freedom: float  # 2 (views) - 3, over all points, each by its weight
    shift: Floats  # (V, 6, 6) sum of J_c' J_c: what a motion shifts in the image, px^2
    points: Floats  # (V,) weighted points of each camera

    def __add__(self, other: Motions) -> Motions:
        return Motions(
            self.H + other.H,
            self.g + other.g,
            self.squared_px + other.squared_px,
            self.freedom + other.freedom,
            self.shift + other.shift,
            self.points + other.points,
        )


@dataclass(frozen=True, eq=False)
class Residuals:
    """Residuals of N points, each observed by some of V cameras; NaN where it is not observed."""

    left_out_px: Floats  # (V, N) to the point from the other cameras; NaN for two views, which give only a line
    epipolar_px: Floats  # (V, V, N) from the line of the other camera's ray; NaN on the diagonal
    behind: Floats  # (N,) 1 where the rays meet behind a camera, else 0; NaN of fewer than two views


def measure(cameras: Sequence[Camera], xy: Floats, score: Floats) -> tuple[Motions, Residuals]:
    """Motions and residuals from keypoints xy (V, N, 2) px in the original images, score (V, N), 0 or NaN for none."""
    count = len(cameras)
    views = observations(cameras, xy, score, None, 1.0)
    two = views.n_views >= 2
    views = views.take(np.flatnonzero(two))
    xy, score = xy[:, two], score[:, two]
    visible = views.seen.astype(np.float64)  # (V, N)
    points = linear_points(cameras, xy, np.where(views.seen, score, 0.0)).T
    found = np.isfinite(points).all(axis=0)
    at = views.rotation @ np.where(found, points, 0.0) + views.translation  # (V, 3, N)
    depth = at[:, 2]
    front = found & ((depth > LEAST_DEPTH_M) | ~views.seen).all(axis=0)
    behind = np.where(found, 1.0 - front, 1.0)
    z = np.where(front & views.seen, depth, 1.0)
    use = visible * front
    ideal = at[:, :2] / z[:, None]
    zero = np.zeros_like(z)
    pinhole = np.stack([np.stack([1 / z, zero, -ideal[:, 0] / z], 1), np.stack([zero, 1 / z, -ideal[:, 1] / z], 1)], 1)
    lens = views.to_px * use[:, None, None]  # (V, 2, 2, N)
    per_m = np.einsum("vabn,vbcn->nvac", lens, pinhole, optimize=True)  # (N, V, 2, 3) px/m in the camera's frame
    px = np.einsum("vabn,vbn->nva", lens, views.xy - ideal)  # (N, V, 2)
    left_out = _left_out(px, per_m @ views.rotation, use.T)
    epipolar = _epipolar(views.rotation, views.translation[..., 0], views.xy, views.to_px, visible)

    weight = np.where(use > 0, score, 0.0).T  # (N, V)
    J = weight[..., None, None] * per_m
    cross = np.einsum("nvac,vcbn->nvab", J, _cross(at))
    own = np.concatenate([cross, J], axis=-1)  # (N, V, 2, 6)
    to_point = (J @ views.rotation).reshape(-1, 2 * count, 3)
    r = (weight[..., None] * px).reshape(-1, 2 * count)
    blocks = np.zeros((len(r), count, 2, count, 6))
    blocks[:, range(count), :, range(count)] = own.transpose(1, 0, 2, 3)
    design = blocks.reshape(len(r), 2 * count, 6 * count)
    inverse = _inverse(to_point.swapaxes(1, 2) @ to_point)
    both = np.concatenate([design, r[..., None]], axis=-1)
    both = both - to_point @ (inverse @ (to_point.swapaxes(1, 2) @ both))
    freedom = np.where(front, np.maximum(2.0 * use.sum(axis=0) - 3.0, 1.0), 1.0)
    size = np.sqrt((both[..., -1] ** 2).sum(axis=-1) / freedom)
    scale = max(1.4826 * float(np.median(size[front])), 1e-6) if front.any() else 1.0
    huber = np.minimum(1.0, HUBER_DELTA * scale / np.maximum(size, 1e-9)) * front
    flat = (both * np.sqrt(huber)[:, None, None]).reshape(-1, 6 * count + 1)
    product = flat.T @ flat
    motions = Motions(
        H=product[:-1, :-1],
        g=product[:-1, -1],
        squared_px=float(product[-1, -1]),
        freedom=float((huber * freedom).sum()),
        shift=np.einsum("n,nvai,nvaj->vij", huber, own, own, optimize=True),
        points=(huber * use).sum(axis=-1),
    )
    return motions, Residuals(left_out, epipolar, behind)


def none(count: int) -> Motions:
    """The motions of this many cameras without any point."""
    whole = 6 * count
    return Motions(np.zeros((whole, whole)), np.zeros(whole), 0.0, 0.0, np.zeros((count, 6, 6)), np.zeros(count))


def _left_out(px: Floats, to_point: Floats, use: Floats) -> Floats:
    """Residuals (V, N) px of each camera to the point from the others: r_c (1 - leverage)^-1."""
    J = to_point * use[..., None, None]  # (N, V, 2, 3)
    total = np.einsum("nvai,nvaj->nij", J, J, optimize=True)
    inverse = _inverse(total)
    # The points come from an algebraic fit; one Gauss-Newton step gives the residuals of least squares.
    step = (inverse @ np.einsum("nvai,nva->ni", J, px)[..., None])[..., 0]
    px = px - np.einsum("nvai,ni->nva", J, step)
    leverage = J @ (inverse[:, None] @ J.swapaxes(-1, -2))  # (N, V, 2, 2)
    enough = (use.sum(axis=-1) >= 3)[:, None] & (use > 0)
    left = np.where(enough[..., None, None], np.eye(2) - leverage, np.eye(2))
    determinant = left[..., 0, 0] * left[..., 1, 1] - left[..., 0, 1] * left[..., 1, 0]
    enough &= determinant > 1e-6
    safe = np.where(enough, determinant, 1.0)
    x = (left[..., 1, 1] * px[..., 0] - left[..., 0, 1] * px[..., 1]) / safe
    y = (left[..., 0, 0] * px[..., 1] - left[..., 1, 0] * px[..., 0]) / safe
    return np.asarray(np.where(enough, np.hypot(x, y), np.nan).T)


def _epipolar(rotation: Floats, translation: Floats, xy: Floats, to_px: Floats, visible: Floats) -> Floats:
    """Distance (V, V, N) px of camera a's keypoint from the epipolar line of camera b's ray: [a, b]."""
    turned = rotation[:, None] @ rotation.swapaxes(1, 2)[None]  # (V, V, 3, 3), a from b
    baseline = translation[:, None] - (turned @ translation[None, :, :, None])[..., 0]
    x, y, z = np.moveaxis(baseline, -1, 0)
    o = np.zeros_like(x)
    essential = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=-1).reshape(*x.shape, 3, 3) @ turned
    ray = np.concatenate([xy, np.ones_like(xy[:, :1])], axis=1)  # (V, 3, N)
    line = essential @ ray[None]  # (V, V, 3, N)
    length = np.sqrt(line[:, :, 0] ** 2 + line[:, :, 1] ** 2)
    focal = np.sqrt(np.abs(to_px[:, 0, 0] * to_px[:, 1, 1] - to_px[:, 0, 1] * to_px[:, 1, 0]))  # (V, N) px
    both = (visible[:, None] * visible[None] > 0) & (length > 1e-12)
    both[range(len(xy)), range(len(xy))] = False
    miss = np.abs((line * ray[:, None]).sum(axis=2)) / np.where(both, length, 1.0)
    return np.asarray(np.where(both, miss * focal[:, None], np.nan))


def _cross(p: Floats) -> Floats:
    """Matrices (V, 3, 3, N) with M omega = omega x p for points p (V, 3, N)."""
    x, y, z = p[:, 0], p[:, 1], p[:, 2]
    o = np.zeros_like(x)
    rows = ((o, z, -y), (-z, o, x), (y, -x, o))
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _inverse(A: Floats) -> Floats:
    """Inverse of (N, 3, 3) normal equations; a small multiple of the identity regularises those near rank 2."""
    trace = np.trace(A, axis1=1, axis2=2)
    inverse: Floats = np.linalg.inv(A + (1e-9 * trace + 1e-12)[:, None, None] * np.eye(3))
    return inverse
