"""How certain a joint should be, given where the cameras of a rig stand: what is far less certain is left out.

A limit in m that suits a stereo head admits wrists of half a metre where three cameras look. NumPy, float64. Axes:
V views, G people, J joints.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros import kernels
from pose3d_ros.estimation.observation import Grouped2D
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.projection import project_views
from pose3d_ros.structures import Camera, Floats

# A joint may be so many times less certain than the rig could see it. On motion capture with noise (c), limb joints
# from 3 times on are more than 0.1 m off as often as not, whatever the multiple; those above 10 times and within
# 0.5 m are 0.3 % of all (two of Human3.6M's cameras) or less.
TIMES = 10.0
SURE_M = 0.1  # a joint as certain as this stays, however well the rig could see it


def possible_std_m(cameras: Sequence[Camera], std_px: Floats, xyz: Floats) -> Floats:
    """Standard deviation (N,) m along the worst axis of points (N, 3) m in all cameras whose images have them.

    std_px (N,) an axis is that of their keypoints. inf where fewer than two cameras have the point.
    """
    px = project_views(cameras, xyz)
    information = np.zeros((len(xyz), 3, 3))
    for camera, image in zip(cameras, px, strict=True):
        inside = ((image >= 0) & (image <= np.array(camera.size_wh) - 1)).all(axis=-1)  # False where NaN
        rotation, point = camera.cam_from_world[:3, :3], xyz @ camera.cam_from_world[:3, :3].T
        point = point + camera.cam_from_world[:3, 3]
        x, y, z = np.moveaxis(point, -1, 0)
        slope = rotation[:2] - np.stack([x / z, y / z], axis=-1)[..., None] * rotation[2]  # (N, 2, 3)
        slope *= camera.K.diagonal()[:2, None] / (z * std_px)[:, None, None]
        information += np.where(inside[:, None, None], np.moveaxis(slope, 1, 2) @ slope, 0.0)
    least = np.linalg.eigvalsh(information)[:, 0]
    return np.asarray(np.where(least > 0, 1.0 / np.sqrt(np.where(least > 0, least, 1.0)), np.inf))


def uncertain_for_rig(cameras: Sequence[Camera], keypoints: Grouped2D, observed: Observed3D) -> NDArray[np.bool_]:
    """Joints (G, J) that are far less certain than the cameras could see them, with this person's median keypoint."""
    spread = kernels.plain(observed.covariance).reshape(-1, 3, 3)
    # A joint that a network filled in is as certain as the network says.
    wide = kernels.validation.wider(spread, SURE_M) & (observed.n_views.ravel() > 0)
    if wide.any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a person without keypoints has no joints
            std_px = np.nanmedian(keypoints.std_px, axis=(0, 2))
        rows = np.flatnonzero(wide)
        person = rows // observed.score.shape[1]
        possible = possible_std_m(cameras, std_px[person], observed.xyz.reshape(-1, 3)[rows])
        worst = np.sqrt(np.linalg.eigvalsh(spread[rows])[:, -1])
        wide[rows] = worst > TIMES * possible
    return np.asarray(wide.reshape(observed.score.shape))
