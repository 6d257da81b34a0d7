"""Where in each camera's next image the people are to be seen whom the tracker knows in three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose3d_ros.geometry.projection import project_views
from pose3d_ros.structures import Camera, Floats

# Who has fewer joints within the image is cut off too much to be found there.
LEAST_JOINTS = 6


def predicted_boxes(cameras: Sequence[Camera], xyz: Floats) -> dict[str, Floats]:
    """Boxes (K, 4) px (left, top, right, bottom) by camera around people's joints xyz (T, J, 3) m in its image."""
    xy = project_views(cameras, xyz)
    size_wh = np.array([camera.size_wh for camera in cameras])[:, None, None]
    within = np.asarray(((xy >= 0) & (xy < size_wh)).all(axis=-1))  # False for NaN too
    low = np.where(within[..., None], xy, np.inf).min(axis=2)
    high = np.where(within[..., None], xy, -np.inf).max(axis=2)
    boxes = np.concatenate((low, high), axis=-1)
    enough = within.sum(axis=2) >= LEAST_JOINTS
    return {camera.name: boxes[view, enough[view]] for view, camera in enumerate(cameras)}
