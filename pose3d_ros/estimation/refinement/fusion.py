"""A joint's triangulation and a network's answer, combined by their covariances (NumPy, float64).

    z = z_t + K (z_n - z_t),   K = (C_t - X) (C_t + C_n - 2 X)^-1,   C = C_t - K (C_t - X)

is the best linear unbiased combination of two estimates with covariances C_t, C_n and a symmetric cross-covariance X
(Bar-Shalom and Campo 1986, "The effect of the common process noise on the two-sensor fused-track covariance"). The
network's input is the triangulation, so both err together. The more one is surer than the other, the less of the
other's error it has, and the smaller is their correlation:

    X = 2 c (C_t^-1 + C_n^-1)^-1

which is, along an axis, c times the harmonic mean of both variances: c is the correlation of two that are equally sure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.structures import Floats

# Of the shipped CV-UGCN on validation people, training rigs of three families, noise (a), (b), (c). Error relative to
# the network's, averaged over the nine, mean / median: c 0.5: +1.3 / -0.4 %; 0.6: +0.7 / -0.6; 0.7: +0.3 / -0.5; 0.8:
# +0.5 / +0.3; 0.9: +2.7 / +2.7. A constant correlation coefficient is worse at its best (0.5: +1.3 / +0.1 %): with the
# one of wide pairs a stereo head's depth would be moved beyond the network's. C_n stays as it comes: it is smaller
# relative to the errors than C_t (median squared distance on wide pairs 2.1 for 1.3, 1.0 for 0.5, 3.5 for 1.7), but
# triangulation has the longer tails, and twice C_n costs 5 % of the mean error.
CORRELATION = 0.7
SMALLEST = 1e-12  # m^2, keeps an inverse finite: 1 um


def fused(xyz: Floats, covariance: Floats, refined: Floats, refined_covariance: Floats) -> tuple[Floats, Floats]:
    """Joints (..., 3) m and covariances (..., 3, 3) m^2 of triangulation (xyz) and network (refined) together.

    The network's own where one of both is NaN.
    """
    both = _finite(xyz, covariance) & _finite(refined, refined_covariance)
    together, spread = refined.copy(), refined_covariance.copy()
    own, other = (one[both] + SMALLEST * np.eye(3) for one in (covariance, refined_covariance))
    common = 2 * CORRELATION * np.linalg.inv(np.linalg.inv(own) + np.linalg.inv(other))
    # Of symmetric matrices: K^T = (C_t + C_n - 2 X)^-1 (C_t - X).
    gain = np.swapaxes(np.linalg.solve(own + other - 2 * common, own - common), -1, -2)
    together[both] = xyz[both] + (gain @ (refined - xyz)[both][..., None])[..., 0]
    left = own - gain @ (own - common)
    spread[both] = 0.5 * (left + np.swapaxes(left, -1, -2))
    return together, spread


def _finite(xyz: Floats, covariance: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(xyz).all(axis=-1) & np.isfinite(covariance).all(axis=(-1, -2)))
