"""The plane on which feet stand, robustly, with covariance (NumPy, float64). Axes: N points, C candidates.

A candidate is judged by truncated squared residuals (MSAC: Torr and Zisserman, "MLESAC", CVIU 2000), the best one is
refined by Gauss-Newton over its inliers. A foot may stand above the floor, on a step, but never below it: residuals
below count on after those above are cut off. An error that the points of one person share widens the covariance only.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.structures import Floats

# Residuals, in standard deviations, that are cut off above and below the plane.
CUT_ABOVE, CUT_BELOW = 3.0, 6.0
# Planes through three points that are tried: with half of the points on the floor one in eight of them is a good one.
TRIPLETS = 150
# Ones that are steeper against the expected normal than so many of its standard deviations are not tried.
STEEPEST = 4.0
ITERATIONS = 8


def tilt_axes(normal: Floats) -> tuple[Floats, Floats]:
    """Unit vectors e1, e2 (3,) about which a plane with this unit normal tilts, as in msg/HumanPose3DArray."""
    first = np.eye(3)[1 if abs(normal[0]) > 0.9 else 0]
    e1 = first - (first @ normal) * normal
    e1 /= np.linalg.norm(e1)
    return e1, np.cross(normal, e1)


def fit_floor(
    points: Floats,
    covariance: Floats,
    up: Floats,
    up_std_rad: float,
    spread_m: float,
    groups: Floats,
    group_std_m: float,
) -> tuple[Floats, Floats, int]:
    """Plane (4,), covariance (3, 3) of its tilts and height, and how many points lie on it.

    points (N, 3) m with covariance (N, 3, 3) m^2 lie on the floor up to spread_m (std) or above it, and those of equal
    groups (N,) are off by the same amount, of group_std_m. The normal is up, a unit vector (3,), within up_std_rad on
    each axis.
    """
    centre = points.mean(axis=0)
    q = points - centre
    normal, height = _best_candidate(q, covariance, up, up_std_rad, spread_m)
    for _ in range(ITERATIONS):
        e1, e2 = tilt_axes(normal)
        variance = spread_m**2 + np.einsum("i,nij,j->n", normal, covariance, normal)
        residual = q @ normal - height
        z = residual / np.sqrt(variance)
        on = (z > -CUT_BELOW) & (z < CUT_ABOVE)
        rows = np.column_stack([-q @ e2, q @ e1, -np.ones(len(q))])  # d residual / d (tilt_1, tilt_2, height)
        weighted = rows * (on / variance)[:, None]
        off = np.array([-(normal - up) @ e2, (normal - up) @ e1, 0.0])  # tilts away from up
        prior = np.diag([up_std_rad**-2, up_std_rad**-2, 0.0])
        information = weighted.T @ rows + prior
        step = np.linalg.solve(information, -(weighted.T @ residual) - prior @ off)
        normal = normal - step[0] * e2 + step[1] * e1
        normal /= np.linalg.norm(normal)
        height += step[2]
        if np.abs(step).max() < 1e-9:
            break
    # Errors that residuals show and covariances do not count too.
    excess = float((z[on] ** 2).sum()) / max(int(on.sum()) - 1, 1)
    inverse = np.linalg.inv(information)
    pulls = np.array([weighted[groups == one].sum(axis=0) for one in np.unique(groups)]) * group_std_m
    about_centre = inverse * max(excess, 1.0) + inverse @ pulls.T @ pulls @ inverse
    e1, e2 = tilt_axes(normal)
    to_origin = np.array([[1.0, 0, 0], [0, 1.0, 0], [-e2 @ centre, e1 @ centre, 1.0]])
    plane = np.array([*normal, -(normal @ centre) - height])
    return plane, to_origin @ about_centre @ to_origin.T, int(on.sum())


def _best_candidate(
    q: Floats, covariance: Floats, up: Floats, up_std_rad: float, spread_m: float
) -> tuple[Floats, float]:
    """Normal (3,) and height m of the best plane across up through a point, or through three points."""
    normals, heights = np.tile(up, (len(q), 1)), q @ up
    if len(q) >= 3:
        chosen = np.random.default_rng(0).integers(0, len(q), (TRIPLETS, 3))
        a, b, c = (q[chosen[:, k]] for k in range(3))
        across = np.cross(b - a, c - a)
        length = np.linalg.norm(across, axis=1)
        across = across[length > 1e-6] / length[length > 1e-6, None]
        across *= np.sign(across @ up)[:, None]
        level = across @ up > np.cos(min(STEEPEST * up_std_rad, 1.0))
        normals = np.concatenate([normals, across[level]])
        heights = np.concatenate([heights, (a[length > 1e-6][level] * across[level]).sum(-1)])
    variance = spread_m**2 + np.einsum("ci,nij,cj->cn", normals, covariance, normals)
    z2 = (q @ normals.T - heights).T
    z2 = np.sign(z2) * z2**2 / variance
    cost = np.where(z2 > 0, np.minimum(z2, CUT_ABOVE**2), np.minimum(-z2, CUT_BELOW**2)).sum(axis=1)
    cost += ((normals - up) ** 2).sum(axis=1) / up_std_rad**2
    best = int(cost.argmin())
    return normals[best], float(heights[best])
