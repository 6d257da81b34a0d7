"""Poses of people whose joints a test says, with everything else as a healthy estimator would publish it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import JointSource, Pose3D


def pose_at(xyz: ArrayLike, ids: Sequence[str] = ("1",), stamp_ns: int = 0, **changes: Any) -> Pose3D:
    """Visible people at xyz (P, 17, 3) m in `world`, triangulated from three views; joints of NaN are absent."""
    xyz = np.asarray(xyz, dtype=np.float64).reshape(len(ids), H36M_17.size, 3)
    present = np.isfinite(xyz).all(axis=-1)
    pose = Pose3D(
        xyz=xyz,
        velocity=np.zeros_like(xyz),
        covariance=np.where(present[..., None, None], 1e-4 * np.eye(3), np.nan),
        score=present.astype(np.float64),
        n_views=3 * present,
        reprojection_px=np.where(present, 1.0, np.nan),
        source=np.where(present, JointSource.TRIANGULATED, JointSource.ABSENT),
        ids=tuple(ids),
        state=np.zeros(len(ids), dtype=np.uint8),
        age_s=np.zeros(len(ids)),
        skeleton=H36M_17,
        frame_id="world",
        stamp_ns=stamp_ns,
    )
    return replace(pose, **changes)
