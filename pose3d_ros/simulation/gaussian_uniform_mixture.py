"""A 2D error as a normal distribution with uniform outliers: AbsPoseLifter, Eq. 8, fitted by its Algorithm 1.

Chang, Moon, Lee, "Absolute 3D human pose lifting network from a single noisy 2D human pose" (1910.12029), Sec. 4.3.

    p(e) = gamma N(e | mu, Sigma) + (1 - gamma) p0,     p0 = 1 / 100^2 on [-50, 50]^2 px of a 256 px crop

Deviation: line 7 of Algorithm 1 is printed with gamma p0 in the numerator; memberships then do not sum to 1. It is
(1 - gamma) p0, as in its denominator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.errors import InputError
from pose3d_ros.structures import Floats

HALF_RANGE_PX = 50.0  # crop px
P0 = 1.0 / (2.0 * HALF_RANGE_PX) ** 2
GAMMA_0 = 0.9
# The likelihood never falls; below this gain a pass, relative to the number of errors, nothing moves any more.
TOLERANCE, MOST_PASSES = 1e-9, 500
# A standard deviation of 0.05 crop px: keeps Sigma from collapsing onto equal errors.
LEAST_VARIANCE = 0.05**2


@dataclass(frozen=True, eq=False)
class Mixture:
    """The error of one joint, crop px."""

    gamma: float  # share of the normal part
    mean: Floats  # (2,) crop px
    covariance: Floats  # (2, 2) crop px^2

    def density(self, error: ArrayLike) -> Floats:
        """Eq. 8 at errors (..., 2) crop px."""
        return (
            self.gamma * _normal(np.asarray(error, dtype=np.float64), self.mean, self.covariance)
            + (1.0 - self.gamma) * P0
        )


def fit_mixture(errors: ArrayLike) -> Mixture:
    """The mixture of largest likelihood of errors (N, 2) crop px, by EM from the paper's start.

    Errors beyond the uniform part's range count at its border. Raises InputError for fewer than ten errors.
    """
    all_of_them = np.asarray(errors, dtype=np.float64).reshape(-1, 2)
    error = np.clip(all_of_them[np.isfinite(all_of_them).all(axis=1)], -HALF_RANGE_PX, HALF_RANGE_PX)
    if len(error) < 10:
        raise InputError(f"a mixture cannot be fitted to {len(error)} errors: at least 10 are needed")
    gamma, mean, covariance = GAMMA_0, np.median(error, axis=0), _start(error)
    before = -np.inf
    for _ in range(MOST_PASSES):
        normal, uniform = gamma * _normal(error, mean, covariance), (1.0 - gamma) * P0
        member = normal / (normal + uniform)  # lines 6 and 7: the other membership is 1 - this
        likelihood = float(np.log(normal + uniform).mean())
        if likelihood - before < TOLERANCE:
            break
        before = likelihood
        weight = member.sum()
        gamma = float(weight / len(error))
        mean = member @ error / weight
        apart = error - mean
        covariance = np.einsum("n,na,nb->ab", member, apart, apart) / weight + LEAST_VARIANCE * np.eye(2)
    return Mixture(gamma, mean, covariance)


def _start(error: Floats) -> Floats:
    """A robust first covariance: outliers must not make the normal part so wide that it holds them."""
    spread = 1.4826 * np.median(np.abs(error - np.median(error, axis=0)), axis=0)
    return np.diag(np.maximum(spread, 0.1) ** 2)


def _normal(error: Floats, mean: Floats, covariance: Floats) -> Floats:
    apart = error - mean
    square = np.einsum("...a,ab,...b->...", apart, np.linalg.inv(covariance), apart)
    density: Floats = np.exp(-0.5 * square) / (2.0 * np.pi * np.sqrt(np.linalg.det(covariance)))
    return density
