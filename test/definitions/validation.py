"""The definition of kernels/validation.py: what a triangulated point is worth (NumPy, float64)."""

from __future__ import annotations

import numpy as np
from definitions import robust
from numpy.typing import NDArray

from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.geometry.observations import Observations
from pose3d_ros.geometry.validation import Rejection, Triangulation
from pose3d_ros.kernels.constants import MIN_CONDITION
from pose3d_ros.structures import Floats


def validate(views: Observations, xyz: Floats, delta: float, max_std_m: float) -> Triangulation:
    """Covariance, reprojection and rejection of the solutions xyz (3, N) m; flat, of shape (N)."""
    n_views = views.n_views
    finite = np.isfinite(xyz).all(axis=0)
    points = np.where(finite, xyz, 0.0)
    at = robust.errors(views, points)
    information = robust.information(views, at, delta)
    usable = finite & ~at.behind & (n_views >= 2)
    eye = np.broadcast_to(np.eye(3)[:, :, None], information.shape)
    information = np.where(usable, information, eye)
    covariance = robust.solve(information, eye)
    flat, unsure = _weak(information, covariance, max_std_m)

    rejection = np.zeros(len(n_views), dtype=np.uint8)
    rejection[unsure] = Rejection.UNCERTAIN  # later lines outrank earlier ones
    rejection[at.behind] = Rejection.CHEIRALITY
    rejection[flat | ~finite | (_baseline(views) < MIN_BASELINE_M)] = Rejection.RANK
    rejection[n_views < 2] = Rejection.FEW_VIEWS
    lost = rejection > 0

    residual = views.xy - at.projected
    px = views.to_px[:, :, 0] * residual[:, None, 0] + views.to_px[:, :, 1] * residual[:, None, 1]
    squared = np.where(views.seen, (px**2).sum(axis=1), 0.0).sum(axis=0)
    rms = np.sqrt(squared / np.maximum(n_views, 1))
    return Triangulation(
        xyz=np.where(lost, np.nan, xyz).T,
        covariance=np.where(lost, np.nan, covariance).transpose(2, 0, 1),
        n_views=n_views,
        reprojection_px=np.where(lost, np.nan, rms),
        rejection=rejection,
    )


def _weak(information: Floats, inverse: Floats, max_std_m: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of N informations (3, 3, N) have no inverse, and which leave a standard deviation above max_std_m.

    The trace bounds the largest eigenvalue, of the information and of its inverse. Only where that does not settle
    it are the eigenvalues computed, which cost more than all the rest.
    """
    longest = inverse[0, 0] + inverse[1, 1] + inverse[2, 2]
    largest = information[0, 0] + information[1, 1] + information[2, 2]
    # Half: an inverse this close to MIN_CONDITION has only five digits.
    with np.errstate(invalid="ignore"):
        settled = (longest > 0) & (longest * largest < 0.5 / MIN_CONDITION) & (longest < 0.999 * max_std_m**2)
    flat, unsure = np.zeros(len(settled), dtype=bool), np.zeros(len(settled), dtype=bool)
    open_ = np.flatnonzero(~settled)
    if len(open_):
        eigenvalues = np.linalg.eigvalsh(information[..., open_].transpose(2, 0, 1))  # (N, 3), increasing
        flat[open_] = eigenvalues[:, 0] <= MIN_CONDITION * eigenvalues[:, 2]
        unsure[open_] = eigenvalues[:, 0] * max_std_m**2 < 1.0  # 1 / smallest information = largest variance
    return flat, unsure


def _baseline(views: Observations) -> Floats:
    """How far the centres of the cameras that see a point lie from their mean, times two at most, (N,) m."""
    share = views.seen / np.maximum(views.seen.sum(axis=0), 1)
    mean = views.centres.T @ share  # (3, N)
    apart = np.sqrt(((views.centres[..., None] - mean) ** 2).sum(axis=1))
    longest: Floats = 2 * (apart * views.seen).max(axis=0)
    return longest
