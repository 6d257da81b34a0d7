"""Whether feet stand on the floor, by the height and the speed of their ankles (NumPy, float64). Axes: F feet.

Two hypotheses with equal chances beforehand, each with normal densities of height and velocity, to which the
covariances of ankles and floor are added: what is not well measured says little.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.geometry.floor_plane import tilt_axes
from pose3d_ros.structures import Floats, Floor

# Std of ankles' height and of their speed along an axis in stance; mean and std of those of lifted ankles: they rise by
# 0.2 m and move at up to 4 m/s in a stride (Winter, Biomechanics and Motor Control of Human Movement).
STANDS_M, STANDS_M_S = 0.025, 0.1
LIFTED_M, LIFTED_STD_M, LIFTED_M_S = 0.2, 0.25, 1.0
# Log odds beyond which a probability in float32 is 0 or 1.
CLEAR = 50.0


def standing_probability(
    ankle: Floats, covariance: Floats, before: Floats, before_covariance: Floats, over_s: Floats, ankles: Floor
) -> Floats:
    """Probability (F,) that each foot stands.

    ankle (F, 3) m with covariance (F, 3, 3) m^2, and the same of before, over_s (F,) s ago; NaN over_s where it was not
    seen then: its height alone counts. ankles is the plane of standing people's ankles, not the floor.
    """
    e1, e2 = tilt_axes(ankles.normal)
    surface = np.column_stack([ankle @ e2, -ankle @ e1, np.ones(len(ankle))])  # d height / d (tilt_1, tilt_2, height)
    variance = np.einsum("i,fij,j->f", ankles.normal, covariance, ankles.normal)
    variance += np.einsum("fi,ij,fj->f", surface, ankles.covariance, surface)
    height = ankles.height(ankle)
    odds = _log_density(height, variance + STANDS_M**2) - _log_density(height - LIFTED_M, variance + LIFTED_STD_M**2)
    known = np.isfinite(over_s)
    for_s = np.where(known, over_s, 1.0)[:, None]
    velocity = np.where(known[:, None], (ankle - before) / for_s, 0.0)
    noise = np.where(known[:, None, None], (covariance + before_covariance) / for_s[..., None] ** 2, 0.0)
    speed = [_log_density_3d(velocity, noise + std**2 * np.eye(3)) for std in (STANDS_M_S, LIFTED_M_S)]
    odds += np.where(known, speed[0] - speed[1], 0.0)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -CLEAR, CLEAR))))


def _log_density(value: Floats, variance: Floats) -> Floats:
    """Logarithm of a normal density of mean 0, without its constant."""
    return np.asarray(-0.5 * (value**2 / variance + np.log(variance)))


def _log_density_3d(value: Floats, covariance: Floats) -> Floats:
    """The same of vectors (F, 3) with covariance (F, 3, 3)."""
    quadratic = (value * np.linalg.solve(covariance, value[..., None])[..., 0]).sum(-1)
    return np.asarray(-0.5 * (quadratic + np.linalg.slogdet(covariance)[1]))
