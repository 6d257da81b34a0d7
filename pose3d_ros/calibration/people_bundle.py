"""Bundle adjustment over cameras, clocks, lenses, people's joints and their bones (NumPy, float64).

Variables: of V cameras the motion (rotation rad, translation m, left of cam_from_world), the clock (offset s, drift
ppm), log focal length and k1; of P people the lengths of L links; of M moments of a person N joints. Residuals are
pixels, and links that are as long at every moment as the person's. Joints of a moment see each other only through
links, so they are eliminated moment by moment (Schur complement: Triggs et al., Bundle Adjustment - A Modern Synthesis,
2000, Sec. 6). Outliers are bounded by Geman-McClure's weights, whose scale falls from step to step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.estimation.body import FLEX_M, NAMES, PAIRS, PRIOR_LENGTHS_M
from pose3d_ros.geometry.distortion import distort_views
from pose3d_ros.structures import Camera, Floats

# Parameters of a camera: motion, offset, drift, log focal length, k1.
OWN = 10
OFFSET, DRIFT, FOCAL, K1 = 6, 7, 8, 9
# What a detector makes of a constant bone: its keypoints are not always at the same place of a limb, m.
DETECTED_M = 0.02
# Residuals in standard deviations at which weights fall to a quarter: first and last, and the factor from step to step.
FIRST_SCALE, LAST_SCALE, COOLING = 30.0, 3.0, 0.7
STEPS, CONVERGED, MOST_DAMPING = 60, 1e-5, 1e6
ROUNDS = 2  # after which the noise is known
NEAREST_M = 0.2
FIXED = 1e18  # information of what does not change


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
    own_std: Floats  # (V, OWN) prior of each camera's parameters about `about`; 0: fixed, inf: free
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


@dataclass(frozen=True, eq=False)
class Linear:
    """The normal equations of all variables: G of cameras and lengths, and 3N of the joints of each moment."""

    H: Floats  # (G, G) with priors
    g: Floats  # (G,)
    prior: Floats  # (G, G)
    A: Floats  # (M, 3N, 3N)
    b: Floats  # (M, 3N)
    C: Floats  # (M, 3N, G)
    cost: float
    kept: Floats  # (V, M, N) share of its weight that a keypoint keeps as no outlier; NaN where there is none
    rows: tuple[Floats, Floats, Floats, Floats]  # residual px, weight, own (V, M, N, 2, OWN), per_m (V, M, N, 2, 3)


@dataclass(frozen=True, eq=False)
class Reduced:
    """The normal equations without the joints, and how these follow: joints - to_joints @ step."""

    H: Floats  # (G, G)
    g: Floats  # (G,)
    joints: Floats  # (M, 3N)
    to_joints: Floats  # (M, 3N, G)


def observe(evidence: Evidence, clocks: Floats) -> Observed:
    """Sample all tracks at the moments by these clocks."""
    views, moments, joints = len(clocks), len(evidence.at_s), len(NAMES)
    px, speed = np.full((views, moments, joints, 2), np.nan), np.zeros((views, moments, joints, 2))
    variance = np.full((views, moments, joints), np.nan)
    for number, by_view in enumerate(evidence.tracks):
        own = np.flatnonzero(evidence.person == number)
        for view, tracks in enumerate(by_view):
            times = (evidence.at_s[own] - clocks[view, 0]) / (1.0 + 1e-6 * clocks[view, 1])
            for track in tracks:
                inside = (times >= track.times_s[0]) & (times <= track.times_s[-1])
                if inside.any():
                    there = own[inside]
                    px[view, there], speed[view, there], variance[view, there] = track.sample(times[inside])
    return Observed(px, speed, variance)


def solve(evidence: Evidence, unknowns: Unknowns) -> tuple[Unknowns, Linear, float]:
    """The best unknowns from a start, the normal equations there, and the noise over what the detector says."""
    noise, scale = 1.0, FIRST_SCALE
    for _ in range(ROUNDS):
        unknowns, linear, observed = _minimise(evidence, unknowns, noise, scale)
        noise, scale = noise_of(observed, linear), 2.0 * LAST_SCALE
    unknowns, linear, _ = _minimise(evidence, unknowns, noise, LAST_SCALE)
    return unknowns, linear, noise


def _minimise(
    evidence: Evidence, unknowns: Unknowns, noise: float, scale: float
) -> tuple[Unknowns, Linear, Observed]:
    """Levenberg-Marquardt steps until nothing changes or STEPS are done."""
    damping = 1e-3
    timed = bool((evidence.own_std[:, OFFSET : DRIFT + 1] > 0).any())
    observed = observe(evidence, unknowns.clocks)
    linear = linearise(evidence, observed, unknowns, noise, scale)
    for _ in range(STEPS):
        moved = apply(unknowns, *_step(linear, damping))
        observed_then = observe(evidence, moved.clocks) if timed else observed
        then = linearise(evidence, observed_then, moved, noise, scale)
        if then.cost > linear.cost:
            damping *= 8.0
            if damping > MOST_DAMPING:
                break
            continue
        small = linear.cost - then.cost <= CONVERGED * linear.cost
        unknowns, observed, linear, damping = moved, observed_then, then, max(0.2 * damping, 1e-9)
        if scale > LAST_SCALE:
            scale = max(LAST_SCALE, COOLING * scale)
            linear = linearise(evidence, observed, unknowns, noise, scale)
        elif small:
            break
    return unknowns, linear, observed


def noise_of(observed: Observed, linear: Linear) -> float:
    """Robust ratio of residuals to the standard deviations that the detector gives."""
    residual, weight, _, _ = linear.rows
    used = weight > 0
    size = np.sqrt((residual[used] ** 2).sum(-1) / observed.variance[used])
    # Of each joint's 2V residuals three go into its place; Rayleigh's median is 1.18 standard deviations.
    views = used.sum(axis=0)
    left = 1.0 - 1.5 / max(float(views[views > 0].mean()), 2.0)
    return float(np.median(size) / (1.18 * np.sqrt(left))) if len(size) else 1.0


def linearise(
    evidence: Evidence, observed: Observed, unknowns: Unknowns, noise: float, scale: float
) -> Linear:
    """The normal equations at these unknowns; noise multiplies the detector's standard deviations."""
    views, moments, joints = len(unknowns.cameras), len(unknowns.xyz), len(NAMES)
    people, links = unknowns.lengths.shape
    residual, own, per_m, good = _pixels(evidence.at_s, observed, unknowns)
    given = np.isfinite(observed.variance)
    seen = given & good
    seen &= seen.sum(axis=0) >= 2
    variance = np.where(seen, noise**2 * observed.variance, 1.0)
    residual = np.where(seen[..., None], residual, 0.0)
    squared = (residual**2).sum(-1) / variance
    robust = 1.0 / (1.0 + squared / scale**2) ** 2
    weight = np.where(seen, robust / variance, 0.0)
    # What is behind a camera costs as much as any outlier.
    cost = 0.5 * float(np.where(seen, squared / (1.0 + squared / scale**2), np.where(given, scale**2, 0.0)).sum())
    G = OWN * views + people * links
    size = 3 * joints
    H, g = np.zeros((G, G)), np.zeros(G)
    A, b, C = np.zeros((moments, size, size)), np.zeros((moments, size)), np.zeros((moments, size, G))
    blocks = np.einsum("vmn,vmnac,vmnad->mncd", weight, per_m, per_m, optimize=True)
    index = np.arange(joints)
    A.reshape(moments, joints, 3, joints, 3)[:, index, :, index] += blocks.transpose(1, 0, 2, 3)
    b += np.einsum("vmn,vmnac,vmna->mnc", weight, per_m, residual, optimize=True).reshape(moments, size)
    for v in range(views):
        part = slice(OWN * v, OWN * v + OWN)
        weighted = weight[v][..., None, None] * own[v]
        H[part, part] += np.einsum("mnai,mnaj->ij", weighted, own[v], optimize=True)
        g[part] += np.einsum("mnai,mna->i", weighted, residual[v], optimize=True)
        C[:, :, part] += np.einsum("mnai,mnac->mnci", weighted, per_m[v], optimize=True).reshape(moments, size, OWN)
    cost += _add_links(evidence, unknowns, A, b, C, H, g, OWN * views)
    prior, pull, more = _priors(evidence, unknowns, G)
    cost += more
    H += prior
    g += pull
    return Linear(H, g, prior, A, b, C, cost, np.where(seen, robust, np.nan), (residual, weight, own, per_m))


def free(linear: Linear) -> NDArray[np.bool_]:
    """(G,) parameters that are not fixed."""
    diagonal = np.diag(linear.H)
    return np.asarray((diagonal > 0) & (diagonal < FIXED / 10.0))


def reduced(linear: Linear, damping: float = 0.0) -> Reduced:
    """Eliminate the joints; damping is relative to the diagonal."""
    size = linear.A.shape[1]
    A = linear.A.copy()
    diagonal = np.einsum("mii->mi", linear.A)
    A[:, range(size), range(size)] += (damping + 1e-9) * diagonal + 1e-3
    solved = np.linalg.solve(A, np.concatenate([linear.C, linear.b[..., None]], axis=-1))
    to_joints, joints = solved[..., :-1], solved[..., -1]
    H = linear.H - np.tensordot(linear.C, to_joints, axes=([0, 1], [0, 1]))
    g = linear.g - np.tensordot(linear.C, joints, axes=([0, 1], [0, 1]))
    return Reduced(0.5 * (H + H.T), g, joints, to_joints)


def apply(unknowns: Unknowns, step: Floats, joints: Floats) -> Unknowns:
    """The unknowns after a step (G,) of the cameras and lengths and one (M, 3N) of the joints."""
    views = len(unknowns.cameras)
    own = step[: OWN * views].reshape(views, OWN)
    return Unknowns(
        tuple(_moved(camera, row) for camera, row in zip(unknowns.cameras, own, strict=True)),
        unknowns.clocks + own[:, OFFSET : DRIFT + 1],
        unknowns.xyz + joints.reshape(unknowns.xyz.shape),
        np.maximum(unknowns.lengths + step[OWN * views :].reshape(unknowns.lengths.shape), 0.01),
    )


def _step(linear: Linear, damping: float) -> tuple[Floats, Floats]:
    used = free(linear)
    step = np.zeros(len(used))
    one = reduced(linear, damping)
    H = one.H[np.ix_(used, used)] + damping * np.diag(np.diag(linear.H)[used])
    size = np.sqrt(np.maximum(np.diag(H), 1e-12))
    step[used] = np.linalg.solve(H / np.outer(size, size), one.g[used] / size) / size
    return step, one.joints - one.to_joints @ step


def _moved(camera: Camera, own: Floats) -> Camera:
    """The camera after a step (OWN,)."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(own[:3]).as_matrix(), own[3:6]
    if own[FOCAL] == 0 and own[K1] == 0:
        return camera.placed(_orthogonal(matrix @ camera.cam_from_world))
    K = camera.K.copy()
    K[:2, :2] *= np.exp(np.clip(own[FOCAL], -0.3, 0.3))
    distortion = camera.distortion
    if own[K1]:
        distortion = camera.distortion.copy() if len(camera.distortion) else np.zeros(5)
        distortion[0] += np.clip(own[K1], -0.1, 0.1)
    return replace(
        camera, K=K, distortion=distortion, cam_from_world=_orthogonal(matrix @ camera.cam_from_world)
    )


def _orthogonal(matrix: Floats) -> Floats:
    U, _, Vt = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = U @ Vt
    return matrix


def _pixels(
    at_s: Floats, observed: Observed, unknowns: Unknowns
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Residuals (V, M, N, 2) px, derivatives of the image by the camera's own parameters (..., OWN) and by the joint."""
    shape = observed.px.shape
    residual = np.zeros(shape)
    own, per_m = np.zeros((*shape, OWN)), np.zeros((*shape, 3))
    good = np.zeros(shape[:-1], dtype=bool)
    for v, camera in enumerate(unknowns.cameras):
        rotation, translation = camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]
        at = unknowns.xyz @ rotation.T + translation  # (M, N, 3)
        z = np.where(at[..., 2] > NEAREST_M, at[..., 2], np.nan)
        ideal = at[..., :2] / z[..., None]
        distorted, lens = (one[0] for one in distort_views([camera], ideal.reshape(1, -1, 2)))
        K = camera.K[:2, :2]
        px = (distorted @ K.T + camera.K[:2, 2]).reshape(shape[1:])
        lens = K @ lens.reshape(*shape[1:], 2)
        zero = np.zeros_like(z)
        pinhole = np.stack(
            [np.stack([1 / z, zero, -ideal[..., 0] / z], -1), np.stack([zero, 1 / z, -ideal[..., 1] / z], -1)], -2
        )
        in_camera = lens @ pinhole  # (M, N, 2, 3)
        good[v] = np.isfinite(px).all(-1) & np.isfinite(in_camera).all((-1, -2))
        in_camera = np.where(good[v][..., None, None], in_camera, 0.0)
        x, y, depth = np.moveaxis(at, -1, 0)
        cross = np.stack(
            [np.stack([zero * 0, depth, -y], -1), np.stack([-depth, zero * 0, x], -1), np.stack([y, -x, zero * 0], -1)], -2
        )
        cross = np.where(good[v][..., None, None], cross, 0.0)
        own[v, ..., :3], own[v, ..., 3:6] = in_camera @ cross, in_camera
        own[v, ..., OFFSET] = observed.speed[v]
        own_s = (at_s - unknowns.clocks[v, 0]) / (1.0 + 1e-6 * unknowns.clocks[v, 1])
        own[v, ..., DRIFT] = 1e-6 * own_s[:, None, None] * observed.speed[v]
        own[v, ..., FOCAL] = np.where(good[v][..., None], px - camera.K[:2, 2], 0.0)
        if camera.distortion_model != "equidistant":
            bent = np.nan_to_num(ideal * (ideal**2).sum(-1, keepdims=True)) @ K.T
            own[v, ..., K1] = np.where(good[v][..., None], bent, 0.0)
        per_m[v] = in_camera @ rotation
        residual[v] = np.where(good[v][..., None], observed.px[v] - px, 0.0)
    return residual, own, per_m, good


def _add_links(
    evidence: Evidence, unknowns: Unknowns, A: Floats, b: Floats, C: Floats, H: Floats, g: Floats, first: int
) -> float:
    """Add the links of all moments to the normal equations; returns their cost."""
    joints, links = len(NAMES), len(PAIRS)
    A5 = A.reshape(len(A), joints, 3, joints, 3)
    b3, C4 = b.reshape(len(A), joints, 3), C.reshape(len(A), joints, 3, -1)
    cost, rows = 0.0, np.arange(len(A))
    for link, (p, q) in enumerate(PAIRS.tolist()):
        # 1 - length / L, with its exact derivative: residuals in m would favour small rigs.
        relative, L = np.hypot(FLEX_M[link], DETECTED_M) / PRIOR_LENGTHS_M[link], unknowns.lengths[evidence.person, link]
        weight = 1.0 / (relative * L) ** 2  # (M,)
        away = unknowns.xyz[:, p] - unknowns.xyz[:, q]
        length = np.maximum(np.linalg.norm(away, axis=-1), 1e-6)
        unit = away / length[:, None]
        residual, share = L - length, length / L
        outer = weight[:, None, None] * unit[:, :, None] * unit[:, None, :]
        for one, other, sign in ((p, p, 1), (q, q, 1), (p, q, -1), (q, p, -1)):
            A5[:, one, :, other] += sign * outer
        pull = (weight * residual)[:, None] * unit
        b3[:, p] += pull
        b3[:, q] -= pull
        column = first + evidence.person * links + link
        across = (weight * share)[:, None] * unit
        C4[rows, p, :, column] -= across
        C4[rows, q, :, column] += across
        np.add.at(H, (column, column), weight * share**2)
        np.add.at(g, column, -weight * share * residual)
        cost += 0.5 * float(weight @ residual**2)
    return cost


def _priors(evidence: Evidence, unknowns: Unknowns, size: int) -> tuple[Floats, Floats, float]:
    """Information (G, G), gradient (G,) and cost of what is known before."""
    views = len(unknowns.cameras)
    off: Floats = np.zeros((views, OWN))
    for v, (camera, about) in enumerate(zip(unknowns.cameras, evidence.about, strict=True)):
        moved = camera.cam_from_world @ np.linalg.inv(about.cam_from_world)
        off[v, :3], off[v, 3:6] = Rotation.from_matrix(moved[:3, :3]).as_rotvec(), moved[:3, 3]
        off[v, FOCAL] = np.log(camera.K[0, 0] / about.K[0, 0])
        before = about.distortion[0] if len(about.distortion) else 0.0
        off[v, K1] = (camera.distortion[0] if len(camera.distortion) else 0.0) - before
    off[:, OFFSET : DRIFT + 1] = unknowns.clocks - evidence.clocks_about
    std = evidence.own_std
    information = np.zeros((size, size))
    own = np.where(std > 0, 1.0 / np.maximum(std, 1e-12) ** 2, FIXED)
    information[range(OWN * views), range(OWN * views)] = own.ravel()
    gradient = np.zeros(size)
    gradient[: OWN * views] = np.where(std > 0, -own * off, 0.0).ravel()
    cost = 0.5 * float(np.where(std > 0, own * off**2, 0.0).sum())
    links = unknowns.lengths.shape[1]
    for n, (lengths, mean, known) in enumerate(
        zip(unknowns.lengths, evidence.lengths_mean, evidence.lengths_information, strict=True)
    ):
        part = slice(OWN * views + n * links, OWN * views + (n + 1) * links)
        information[part, part] = known
        gradient[part] = -known @ (lengths - mean)
        cost += 0.5 * float((lengths - mean) @ known @ (lengths - mean))
    return information, gradient, cost
