"""The definition of kernels/solving.py: Huber-robust triangulation of N points at once (NumPy, float64).

PoseRN (Sayo et al., ICIP 2021), Eq. 3: X = argmin sum_c rho(w_c |proj(X, M_c) - x_c|), rho = Huber, with the
weight w inside rho. Here the residual is whitened (geometry/observations.py), so delta counts standard deviations.

symbol -> name: X xyz, e_c error (whitened, weighted), s_c = |e_c| size, rho'(s)/s = omega, J_c = de_c/dX (its
sign turned: -J below), delta delta.

Solved by Levenberg-Marquardt. Reweighted least squares (curvature omega J'J) hardly converges with two views;
the true curvature of rho(|e|) beyond delta, omega (I - e e'/s^2), leaves out the radial direction and makes the
steps Newton's. It may be singular, so it is damped with the reweighted one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry.observations import Observations
from pose3d_ros.kernels.constants import (
    DAMPING_DOWN,
    DAMPING_UP,
    DECREASE,
    DECREASE_FLOOR,
    FIRST_DAMPING,
    LAST_DAMPING,
    MAX_STEPS,
    SUSPICIOUS,
)
from pose3d_ros.structures import Floats

UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
LINEAR_BLOCK = 4096  # points whose sums stay in the second-level cache: 2048 to 8192 measure alike
BLOCK = 4096  # suspicious points tried from all pairs at once, to bound memory


@dataclass(frozen=True, eq=False)
class Linearised:
    """The objective around N points."""

    objective: Floats  # (N,), inf where a point lies behind a camera that sees it
    descent: Floats  # (3, N) minus its gradient
    curvature: Floats  # (3, 3, N) Gauss-Newton with Huber's own curvature
    information: Floats  # (3, 3, N) sum of omega J'J: Fisher information, less what Huber takes off


@dataclass(frozen=True, eq=False)
class Errors:
    """How far N points project from where they are seen."""

    whitened: Floats  # (V, 2, N) e, standard deviations times weight
    size: Floats  # (V, N) |e|
    projected: Floats  # (V, 2, N) x/z, y/z
    depth: Floats  # (V, N) m, 1 where not in front
    behind: NDArray[np.bool_]  # (N,) not in front of a camera that sees it


def errors(views: Observations, xyz: Floats) -> Errors:
    """The errors of xyz (3, N) m."""
    in_camera = views.rotation @ xyz + views.translation
    z = in_camera[:, 2]
    front = z > 0
    # Depth 1 where it does not matter: whiten is 0 there, or the objective inf.
    z = np.where(front, z, 1.0)
    p = in_camera[:, :2] / z[:, None]
    r = views.xy - p
    e = views.whiten[:, :, 0] * r[:, None, 0] + views.whiten[:, :, 1] * r[:, None, 1]
    behind = np.asarray((views.seen & ~front).any(axis=0))
    return Errors(e, np.sqrt(e[:, 0] ** 2 + e[:, 1] ** 2), p, z, behind)


def objective(views: Observations, xyz: Floats, delta: float) -> Floats:
    """Eq. 3's sum for xyz (3, N) m, (N,); inf behind a camera that sees the point."""
    return _objective(errors(views, xyz), delta)


def _objective(at: Errors, delta: float) -> Floats:
    inner = np.minimum(at.size, delta)
    rho = inner * (at.size - 0.5 * inner)  # s^2 / 2 up to delta, delta (s - delta / 2) beyond
    return np.where(at.behind, np.inf, rho.sum(axis=0))


def linearise(views: Observations, xyz: Floats, delta: float) -> Linearised:
    """Objective, gradient and curvature at xyz (3, N) m, with the analytic Jacobian."""
    at = errors(views, xyz)
    e, size = at.whitened, at.size
    J, omega = _jacobian(views, at), _omega(at, delta)
    pull = J[:, 0] * e[:, :1] + J[:, 1] * e[:, 1:]  # J'e, (V, 3, N)
    curvature = information = _information(J, omega)
    outer = size > delta
    if outer.any():
        radial = np.where(outer, omega / np.maximum(size, delta) ** 2, 0.0)
        curvature = information - np.einsum("van,vbn->abn", pull * radial[:, None], pull)
    return Linearised(
        objective=_objective(at, delta),
        descent=(pull * omega[:, None]).sum(axis=0),
        curvature=curvature,
        information=information,
    )


def information(views: Observations, at: Errors, delta: float) -> Floats:
    """Linearised.information where the errors are known, (3, 3, N)."""
    return _information(_jacobian(views, at), _omega(at, delta))


def _jacobian(views: Observations, at: Errors) -> Floats:
    """-de/dX, (V, 2, 3, N)."""
    # dp/dX = (R_xy - p R_z) / z
    R = views.rotation[..., None]
    dp = (R[:, :2] - at.projected[:, :, None] * R[:, 2:]) / at.depth[:, None, None]
    return views.whiten[:, :, :1] * dp[:, :1] + views.whiten[:, :, 1:] * dp[:, 1:]


def _omega(at: Errors, delta: float) -> Floats:
    return delta / np.maximum(at.size, delta) if np.isfinite(delta) else np.ones_like(at.size)


def _information(J: Floats, omega: Floats) -> Floats:
    """Sum of omega J'J."""
    total: Floats = np.einsum("vian,vibn->abn", J * omega[:, None, None], J)
    return total


def minimise(views: Observations, start: Floats, delta: float) -> Floats:
    """The best points (3, N) m found from start (3, N) m; never one with a larger objective than its start."""
    best: Floats = start.copy()
    active: NDArray[np.intp] = np.flatnonzero(np.isfinite(start).all(axis=0))
    some, xyz = views.take(active), start[:, active]
    here = linearise(some, xyz, delta)
    damping = np.full(len(active), FIRST_DAMPING)
    done = ~np.isfinite(here.objective)
    for _ in range(MAX_STEPS):
        if done.all():
            break
        if 2 * done.sum() > len(done):  # worth shrinking the batch
            best[:, active] = xyz
            left = np.flatnonzero(~done)
            active, some, xyz, damping = active[left], some.take(left), xyz[:, left], damping[left]
            here = _take(here, left)
            done = np.zeros(len(left), dtype=bool)
        step = solve(here.curvature + damping * here.information, here.descent)
        promised = (here.descent * step).sum(axis=0)
        there = linearise(some, xyz + step, delta)
        # Levenberg-Marquardt's gain: the decrease found over the decrease promised, half of descent . step.
        with np.errstate(invalid="ignore"):  # inf - inf: a point whose start lies behind a camera
            gain = (here.objective - there.objective) / np.maximum(0.5 * promised, 1e-300)
        better = np.asarray((there.objective <= here.objective) & ~done)
        xyz = np.where(better, xyz + step, xyz)
        here = _choose(better, there, here)
        factor = np.where(gain > 0.75, DAMPING_DOWN, np.where(gain > 0.25, 1.0, DAMPING_UP))
        damping = np.minimum(damping * factor, LAST_DAMPING)
        # Damping shortens the promise too; undone here, so that a rejected step does not pass for convergence.
        done |= promised * (1.0 + damping) <= DECREASE * here.objective + DECREASE_FLOOR
        done |= damping >= LAST_DAMPING
    best[:, active] = xyz
    return best


def _take(one: Linearised, points: NDArray[np.intp]) -> Linearised:
    return Linearised(
        one.objective[points], one.descent[:, points], one.curvature[..., points], one.information[..., points]
    )


def _choose(first: NDArray[np.bool_], there: Linearised, here: Linearised) -> Linearised:
    if first.all():
        return there
    return Linearised(
        np.where(first, there.objective, here.objective),
        np.where(first, there.descent, here.descent),
        np.where(first, there.curvature, here.curvature),
        np.where(first, there.information, here.information),
    )


def linear(views: Observations) -> Floats:
    """Least squares of the weighted direct linear transform in metric form, (3, N) m.

    Rows W (R_xy - xy R_z) X = W (xy t_z - t_xy) (Hartley & Zisserman, Sec. 12.2, inhomogeneous, which unlike the
    homogeneous form does not depend on the world's origin). W is the whitening, so an error counts in standard
    deviations, times depth.
    """
    A, b = _normal_equations(views)
    return solve(A.sum(axis=0), b.sum(axis=0))


def linear_px(projections: Floats, xy_px: Floats) -> Floats:
    """Plain linear solutions (N, 3) m of xy_px (V, N, 2) px through K [R | t] (V, 3, 4), without lenses or weights.

    Equal to linear for such cameras. A coordinate that is not finite is not seen; NaN below two views. Written out
    over the points and in blocks, so that NumPy works in the processor's cache.
    """
    P = projections[..., None]
    out = np.empty((xy_px.shape[1], 3))
    for start in range(0, len(out), LINEAR_BLOCK):
        px = np.ascontiguousarray(xy_px[:, start : start + LINEAR_BLOCK].transpose(0, 2, 1))  # (V, 2, n)
        seen = np.isfinite(px).all(axis=1)
        if not seen.all():
            px = np.where(seen[:, None], px, 0.0)
        A: list[Floats] = [np.zeros(())] * 9  # A'A's upper half and A'b
        for v in range(len(P)):
            for axis in range(2):
                x = px[v, axis]
                row = [P[v, axis, k] - x * P[v, 2, k] for k in range(3)]
                right = x * P[v, 2, 3] - P[v, axis, 3]
                if not seen[v].all():
                    row = [entry * seen[v] for entry in row]
                products = [row[a] * row[b] for a, b in UPPER] + [entry * right for entry in row]
                A = [whole + part for whole, part in zip(A, products, strict=True)]
        matrix = np.array([[A[0], A[1], A[2]], [A[1], A[3], A[4]], [A[2], A[4], A[5]]])
        found = solve(matrix, np.array(A[6:])).T
        out[start : start + LINEAR_BLOCK] = np.where((seen.sum(axis=0) >= 2)[:, None], found, np.nan)
    return out


def _normal_equations(views: Observations) -> tuple[Floats, Floats]:
    """Each view's A'A (V, 3, 3, N) and A'b (V, 3, N)."""
    R, t, xy, W = views.rotation[..., None], views.translation, views.xy, views.whiten
    plain = R[:, :2] - xy[:, :, None] * R[:, 2:]  # (V, 2, 3, N)
    right = xy * t[:, 2:] - t[:, :2]  # (V, 2, N)
    A = W[:, :, :1] * plain[:, :1] + W[:, :, 1:] * plain[:, 1:]
    b = W[:, :, 0] * right[:, None, 0] + W[:, :, 1] * right[:, None, 1]
    return np.einsum("vian,vibn->vabn", A, A), np.einsum("vian,vin->van", A, b)


def fit(views: Observations, delta: float) -> Floats:
    """Eq. 3's solution for every point, (3, N) m: the best of up to two starts.

    The first start is the linear solution. With an outlier among three or more views it can lie in a wrong basin
    or behind a camera, so where its residual is suspicious in any view, the linear solution of the one pair of
    views that fits ALL views best is a second start. The smaller objective wins, so none is worse than linear.
    """
    start = linear(views)
    # Two views: nothing tells which is wrong where they disagree, and a fit puts the worst points far away.
    several = np.flatnonzero(views.n_views >= 3)
    if len(several):
        start[:, several] = _fit_several(views.take(several), start[:, several], delta)
    return start


def _fit_several(views: Observations, start: Floats, delta: float) -> Floats:
    """fit of points that three views or more see, from the linear solution."""
    at = errors(views, start)
    wild = (at.size > SUSPICIOUS).any(axis=0) | at.behind
    again = np.flatnonzero(wild & (views.n_views >= 3))
    if len(again) == 0:
        return minimise(views, start, delta)
    count = start.shape[1]
    blocks = np.array_split(again, -(-len(again) // BLOCK))
    other = np.hstack([_pair_start(views.take(block), delta) for block in blocks])
    twice = views.take(np.concatenate([np.arange(count), again]))
    xyz = minimise(twice, np.hstack([start, other]), delta)
    value = objective(twice, xyz, delta)
    better = value[count:] < value[again]
    xyz[:, again[better]] = xyz[:, count:][:, better]
    return xyz[:, :count]


def _pair_start(views: Observations, delta: float) -> Floats:
    """For each point the linear solution of that pair of views whose objective over all views is smallest."""
    V, N = views.seen.shape
    first, second = np.triu_indices(V, k=1)
    A, b = _normal_equations(views)
    of_pairs = (A[first] + A[second]).transpose(1, 2, 0, 3), (b[first] + b[second]).transpose(1, 0, 2)
    xyz = solve(*of_pairs)  # (3, pairs, N), NaN for a pair that does not see the point
    repeated = views.take(np.tile(np.arange(N), len(first)))
    value = objective(repeated, xyz.reshape(3, -1), delta).reshape(-1, N)
    best: Floats = xyz[:, value.argmin(axis=0), np.arange(N)]
    return best


def solve(A: Floats, b: Floats) -> Floats:
    """x with A x = b for symmetric positive definite A (3, 3, N); b (3, N) or (3, 3, N), columns in axis 1.

    Written out as LDL' so that N solves are a few array operations; NaN where A is singular.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        d0 = A[0, 0]
        l10, l20 = A[0, 1] / d0, A[0, 2] / d0
        d1 = A[1, 1] - l10 * A[0, 1]
        below = A[1, 2] - l20 * A[0, 1]
        l21 = below / d1
        d2 = A[2, 2] - l20 * A[0, 2] - l21 * below
        y1 = b[1] - l10 * b[0]
        x2 = (b[2] - l20 * b[0] - l21 * y1) / d2
        x1 = y1 / d1 - l21 * x2
        x = np.array([b[0] / d0 - l10 * x1 - l20 * x2, x1, x2])
        return np.where(np.isfinite(x), x, np.nan)
