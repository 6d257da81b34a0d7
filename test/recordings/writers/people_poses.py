"""Made-up poses for tests of the files that they are written to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from synthetic_people import walker
from synthetic_poses import pose_at

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, PersonState, Pose3D

T0 = 1_700_000_000_000_000_000
RATE_HZ = 30.0
HEAD = H36M_17.index("HeadTop")


def pose_of(
    frame: int, ids: Sequence[str], *, xyz: Floats | None = None, states: Sequence[PersonState] | None = None
) -> Pose3D:
    """People who walk side by side, without HeadTop as detectors of COCO-17 see them; world z up, m."""
    people = len(ids)
    if xyz is None:
        xyz = np.array([walker((0, int(one)), (1.2, 0.1), frame / RATE_HZ) for one in ids]).reshape(people, 17, 3)
        xyz[:, HEAD] = np.nan
    present = np.isfinite(xyz).all(axis=-1)
    return pose_at(
        xyz, ids, T0 + round(frame * 1e9 / RATE_HZ), state=[PersonState.VISIBLE] * people if states is None else states,
        velocity=np.full_like(xyz, np.nan), score=np.where(present, 0.75, 0.0),
        covariance=np.where(present[..., None, None], np.diag([1e-4, 2e-4, 3e-4]), np.nan),
        reprojection_px=np.where(present, 1.5, np.nan),
    )  # fmt: skip
