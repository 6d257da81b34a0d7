"""Bundle adjustment over cameras, clocks, lenses, people's joints and their bones (NumPy, float64).

Joints of a moment see each other only through links, so they are eliminated moment by moment (Schur complement: Triggs
et al., Bundle Adjustment - A Modern Synthesis, 2000, Sec. 6). Outliers are bounded by Geman-McClure's weights, whose
scale falls from step to step. A limb that two cameras hardly fix has a curved valley; one step of all variables would
be damped by the worst limb, so after a step of the cameras each moment's joints settle on their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pose3d_ros.calibration.people_equations import Joints, Linear, free, joint_equations, linearise
from pose3d_ros.calibration.people_residuals import DRIFT, FOCAL, K1, OFFSET, OWN, Evidence, Observed, Unknowns, observe
from pose3d_ros.estimation.body import NAMES
from pose3d_ros.structures import Camera, Floats

# Residuals in standard deviations at which weights fall to a quarter: first and last, and the factor from step to step.
FIRST_SCALE, LAST_SCALE, COOLING = 30.0, 1.0, 0.5
STEPS, CONVERGED, MOST_DAMPING = 60, 1e-5, 1e6
SETTLING = 3  # steps of each moment's joints after one of the cameras
ROUNDS = 2  # after which the noise is known
# Of a joint's noise: squares are cut off at so many usual standard deviations, and so many usual ones are added.
MOST_NOISY, PRIOR_COUNT = 5.0, 20
MEDIAN_CHI2_2 = 2.0 * np.log(2.0)  # median of chi squared of two numbers
# No step changes a lens by more, log focal length and k1.
LENS_STEP = 0.3, 0.1
# 1/m^2 to the joints' information: those that no two cameras show stay where they are.
LEAST_INFORMATION = 1e-3


@dataclass(frozen=True, eq=False)
class Reduced:
    """The normal equations without the joints, and how these follow: joints - to_joints @ step."""

    H: Floats  # (G, G)
    g: Floats  # (G,)
    joints: Floats  # (M, 3N)
    to_joints: Floats  # (M, 3N, G)


def solve(evidence: Evidence, unknowns: Unknowns) -> tuple[Unknowns, Linear, Floats]:
    """The best unknowns from a start, the normal equations there, and noise_of (N,) over what the detector says."""
    noise, scale = np.ones(len(NAMES)), FIRST_SCALE
    for _ in range(ROUNDS):
        unknowns, linear, observed = _minimise(evidence, unknowns, noise, scale)
        noise, scale = noise_of(observed, linear), 2.0 * LAST_SCALE
    unknowns, linear, _ = _minimise(evidence, unknowns, noise, LAST_SCALE)
    return unknowns, linear, noise


def _minimise(evidence: Evidence, unknowns: Unknowns, noise: Floats, scale: float) -> tuple[Unknowns, Linear, Observed]:
    """Levenberg-Marquardt steps until nothing changes or STEPS are done."""
    damping = 1e-4
    timed = bool((evidence.own_std[:, OFFSET : DRIFT + 1] > 0).any())
    observed = observe(evidence, unknowns.clocks)
    unknowns = _settled(evidence, observed, unknowns, noise, scale)
    linear = linearise(evidence, observed, unknowns, noise, scale)
    for _ in range(STEPS):
        moved = apply(unknowns, *_step(linear, damping))
        observed_then = observe(evidence, moved.clocks) if timed else observed
        moved = _settled(evidence, observed_then, moved, noise, scale, unknowns.xyz)
        then = linearise(evidence, observed_then, moved, noise, scale)
        if then.cost > linear.cost:
            damping *= 10.0
            if damping > MOST_DAMPING:
                break
            continue
        small = linear.cost - then.cost <= CONVERGED * linear.cost
        unknowns, observed, linear, damping = moved, observed_then, then, max(0.1 * damping, 1e-9)
        if scale > LAST_SCALE:
            scale = max(LAST_SCALE, COOLING * scale)
            linear = linearise(evidence, observed, unknowns, noise, scale)
        elif small:
            break
    return unknowns, linear, observed


def _settled(
    evidence: Evidence,
    observed: Observed,
    unknowns: Unknowns,
    noise: Floats,
    scale: float,
    before: Floats | None = None,
) -> Unknowns:
    """The unknowns after steps of each moment's joints; before (M, N, 3) m: where else they may be."""
    joints = joint_equations(evidence, observed, unknowns, noise, scale, own=False)
    if before is not None:
        other = replace(unknowns, xyz=before)
        there = joint_equations(evidence, observed, other, noise, scale, own=False)
        nearer = there.cost < joints.cost
        unknowns = replace(unknowns, xyz=np.where(nearer[:, None, None], before, unknowns.xyz))
        joints = _chosen(nearer, there, joints)
    damping = np.full(len(joints.cost), 1e-3)
    for _ in range(SETTLING):
        step = np.linalg.solve(_damped(joints.A, damping), joints.b[..., None])[..., 0]
        moved = replace(unknowns, xyz=unknowns.xyz + step.reshape(unknowns.xyz.shape))
        then = joint_equations(evidence, observed, moved, noise, scale, own=False)
        better = then.cost < joints.cost
        unknowns = replace(unknowns, xyz=np.where(better[:, None, None], moved.xyz, unknowns.xyz))
        joints = _chosen(better, then, joints)
        damping = np.where(better, 0.2 * damping, 20.0 * damping)
    return unknowns


def _chosen(which: NDArray[np.bool_], one: Joints, other: Joints) -> Joints:
    """The equations A, b and costs of one where which (M,), else of the other."""
    return replace(
        other,
        A=np.where(which[:, None, None], one.A, other.A),
        b=np.where(which[:, None], one.b, other.b),
        cost=np.where(which, one.cost, other.cost),
    )


def _damped(A: Floats, damping: Floats | float) -> Floats:
    """A (M, 3N, 3N) with its diagonal increased by the share damping, one or (M,)."""
    size = A.shape[1]
    A = A.copy()
    diagonal = np.einsum("mii->mi", A)
    A[:, range(size), range(size)] = diagonal * (1.0 + np.reshape(damping, (-1, 1)) + 1e-9) + LEAST_INFORMATION
    return A


def noise_of(observed: Observed, linear: Linear) -> Floats:
    """(N,) ratios of residuals, without outliers, to the standard deviations that the detector gives, by joint."""
    used = linear.joints.weight > 0
    size = (linear.joints.pixels.residual**2).sum(-1) / np.where(used, observed.variance, 1.0)  # (V, M, N)
    # Of each joint's 2V residuals three go into its place.
    views = used.sum(axis=0)
    left = 2.0 - 3.0 / max(float(views[views > 0].mean()), 2.0) if (views > 0).any() else 1.0
    middle = float(np.median(size[used])) / (MEDIAN_CHI2_2 / 2.0 * left) if used.any() else 1.0
    return np.array([np.sqrt(_clipped(size[:, :, n][used[:, :, n]], middle) / left) for n in range(size.shape[-1])])


def _clipped(squared: Floats, middle: float) -> float:
    """Mean of squares cut off at MOST_NOISY of the usual one; that one where there are hardly any."""
    usual = np.full(PRIOR_COUNT, middle)
    return float(np.minimum(np.r_[squared, usual], MOST_NOISY**2 * middle).mean())


def reduced(linear: Linear, damping: float = 0.0) -> Reduced:
    """Eliminate the joints; damping is relative to the diagonal."""
    rhs = np.concatenate([linear.C, linear.joints.b[..., None]], axis=-1)
    solved = np.linalg.solve(_damped(linear.joints.A, damping), rhs)
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
    """A step (G,) of the cameras and lengths, and (M, 3N) of the joints."""
    used = free(linear)
    step = np.zeros(len(used))
    one = reduced(linear, damping)
    H = one.H[np.ix_(used, used)]
    size = np.sqrt(np.maximum(np.diag(H), 1e-12))
    scaled = H / np.outer(size, size) + damping * np.eye(len(size))
    step[used] = np.linalg.solve(scaled, one.g[used] / size) / size
    return step, one.joints - one.to_joints @ step


def _moved(camera: Camera, own: Floats) -> Camera:
    """The camera after a step (OWN,)."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(own[:3]).as_matrix(), own[3:6]
    matrix = matrix @ camera.cam_from_world
    U, _, Vt = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = U @ Vt
    if own[FOCAL] == 0 and own[K1] == 0:
        return camera.placed(matrix)
    K, distortion = camera.K.copy(), camera.distortion
    K[:2, :2] *= np.exp(np.clip(own[FOCAL], -LENS_STEP[0], LENS_STEP[0]))
    if own[K1]:
        distortion = camera.distortion.copy() if len(camera.distortion) else np.zeros(5)
        distortion[0] += np.clip(own[K1], -LENS_STEP[1], LENS_STEP[1])
    return replace(camera, K=K, distortion=distortion, cam_from_world=matrix)
