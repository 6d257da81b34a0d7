"""The normal equations of a bundle adjustment over people, with its priors (NumPy, float64).

Axes as in people_residuals.py; G parameters of all cameras (OWN each) and lengths, then 3N coordinates a moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pose3d_ros.calibration.people_residuals import (
    DRIFT,
    FOCAL,
    K1,
    OFFSET,
    OWN,
    Evidence,
    Links,
    Observed,
    Pixels,
    Unknowns,
    links,
    pixels,
)
from pose3d_ros.estimation.body import NAMES, PAIRS
from pose3d_ros.structures import Floats

FIXED = 1e18  # information of what does not change


@dataclass(frozen=True, eq=False)
class Joints:
    """The normal equations of the 3N coordinates of each moment for given cameras."""

    A: Floats  # (M, 3N, 3N)
    b: Floats  # (M, 3N)
    cost: Floats  # (M,)
    weight: Floats  # (V, M, N) 1/px^2
    kept: Floats  # (V, M, N) share of its weight that a keypoint keeps as no outlier; NaN where there is none
    pixels: Pixels
    links: Links


@dataclass(frozen=True, eq=False)
class Linear:
    """The normal equations of all variables: G of cameras and lengths, and 3N of the joints of each moment."""

    H: Floats  # (G, G) with priors
    g: Floats  # (G,)
    prior: Floats  # (G, G)
    C: Floats  # (M, 3N, G)
    cost: float
    joints: Joints


def joint_equations(
    evidence: Evidence, observed: Observed, unknowns: Unknowns, noise: Floats, scale: float, *, own: bool
) -> Joints:
    """The normal equations of the joints; noise multiplies the detector's standard deviations."""
    moments, joints = unknowns.xyz.shape[:2]
    px = pixels(evidence, observed, unknowns, own=own)
    seen = px.good & (px.good.sum(axis=0) >= 2)
    variance = np.where(seen, noise**2 * observed.variance, 1.0)
    squared = (px.residual**2).sum(-1) / variance
    kept = 1.0 / (1.0 + squared / scale**2) ** 2
    weight = np.where(seen, kept / variance, 0.0)
    # What is behind a camera costs as much as any outlier.
    lost = np.where(observed.given, scale**2, 0.0)
    cost = 0.5 * np.where(seen, squared / (1.0 + squared / scale**2), lost).sum(axis=(0, 2))
    A = np.zeros((moments, joints, 3, joints, 3))
    index = np.arange(joints)
    A[:, index, :, index] += np.einsum("vmn,vmnac,vmnad->nmcd", weight, px.per_m, px.per_m, optimize=True)
    b = np.einsum("vmn,vmnac,vmna->mnc", weight, px.per_m, px.residual, optimize=True)
    link = links(evidence, unknowns)
    outer = link.by_joint[..., :, None] * link.by_joint[..., None, :]  # (M, L, 3, 3)
    pull = link.residual[..., None] * link.by_joint
    for number, (p, q) in enumerate(PAIRS.tolist()):
        A[:, p, :, p] += outer[:, number]
        A[:, q, :, q] += outer[:, number]
        A[:, p, :, q] -= outer[:, number]
        A[:, q, :, p] -= outer[:, number]
        b[:, p] += pull[:, number]
        b[:, q] -= pull[:, number]
    cost += 0.5 * (link.residual**2).sum(-1)
    size = 3 * joints
    return Joints(
        A.reshape(moments, size, size), b.reshape(moments, size), cost, weight, np.where(seen, kept, np.nan), px, link
    )


def linearise(evidence: Evidence, observed: Observed, unknowns: Unknowns, noise: Floats, scale: float) -> Linear:
    """The normal equations of everything."""
    views, (people, count) = len(unknowns.cameras), unknowns.lengths.shape
    joints = joint_equations(evidence, observed, unknowns, noise, scale, own=True)
    px, link, weight = joints.pixels, joints.links, joints.weight
    moments, size = joints.b.shape
    G = OWN * views + people * count
    H, g, C = np.zeros((G, G)), np.zeros(G), np.zeros((moments, size, G))
    for v in range(views):
        part = slice(OWN * v, OWN * v + OWN)
        weighted = weight[v][..., None, None] * px.own[v]
        H[part, part] += np.einsum("mnai,mnaj->ij", weighted, px.own[v], optimize=True)
        g[part] += np.einsum("mnai,mna->i", weighted, px.residual[v], optimize=True)
        C[:, :, part] += np.einsum("mnai,mnac->mnci", weighted, px.per_m[v], optimize=True).reshape(moments, size, OWN)
    C4, rows = C.reshape(moments, len(NAMES), 3, G), np.arange(moments)
    for number, (p, q) in enumerate(PAIRS.tolist()):
        column = OWN * views + evidence.person * count + number
        across = link.by_length[:, number, None] * link.by_joint[:, number]
        C4[rows, p, :, column] += across
        C4[rows, q, :, column] -= across
        np.add.at(H, (column, column), link.by_length[:, number] ** 2)
        np.add.at(g, column, link.by_length[:, number] * link.residual[:, number])
    prior, pull, more = _priors(evidence, unknowns, G)
    return Linear(H + prior, g + pull, prior, C, float(joints.cost.sum()) + more, joints)


def free(linear: Linear) -> NDArray[np.bool_]:
    """(G,) parameters that are not fixed."""
    diagonal = np.diag(linear.H)
    return np.asarray((diagonal > 0) & (diagonal < FIXED / 10.0))


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
    count = unknowns.lengths.shape[1]
    for n, (lengths, mean, known) in enumerate(
        zip(unknowns.lengths, evidence.lengths_mean, evidence.lengths_information, strict=True)
    ):
        part = slice(OWN * views + n * count, OWN * views + (n + 1) * count)
        information[part, part] = known
        gradient[part] = -known @ (lengths - mean)
        cost += 0.5 * float((lengths - mean) @ known @ (lengths - mean))
    return information, gradient, cost
