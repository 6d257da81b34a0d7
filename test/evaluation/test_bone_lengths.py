"""Which joints count where figures are of what cameras saw."""

from __future__ import annotations

import numpy as np
from synthetic_people import STANDING
from synthetic_poses import pose_at

from pose3d_ros.evaluation.bone_lengths import measured
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import JointSource

HEAD_TOP, WRIST = H36M_17.index("HeadTop"), H36M_17.index("LWrist")


def test_top_of_a_head_that_its_face_stands_for_is_not_measured() -> None:
    source = np.full((3, 17), JointSource.TRIANGULATED)
    n_views = np.full((3, 17), 3)
    source[0, HEAD_TOP], n_views[0, HEAD_TOP] = JointSource.REFINED, 0  # from nose, eyes and ears
    source[1, WRIST], n_views[1, WRIST] = JointSource.REFINED, 0  # filled in by a network
    source[2], n_views[2, HEAD_TOP] = JointSource.MONOCULAR, 0  # lifted
    found = measured(pose_at(np.stack([STANDING] * 3), ("1", "2", "3"), source=source, n_views=n_views))
    assert not found[0, HEAD_TOP]
    assert found.sum() == found.size - 1
