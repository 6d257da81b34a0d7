"""A pose to convert: people of random joints, some of them absent."""

from __future__ import annotations

import numpy as np

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floor, JointSource, PersonState, Pose3D

J = H36M_17.size

# A person who stands in the origin and looks along x: h36m_17's joints in m, REP-103 axes.
STANDING = np.array(
    [
        (0, 0, 0.9), (0, -0.1, 0.9), (0, -0.1, 0.5), (0, -0.1, 0.1), (0, 0.1, 0.9), (0, 0.1, 0.5), (0, 0.1, 0.1),
        (0, 0, 1.15), (0, 0, 1.4), (0.1, 0, 1.55), (0, 0, 1.7), (0, 0.2, 1.4), (0, 0.3, 1.1), (0, 0.3, 0.9),
        (0, -0.2, 1.4), (0, -0.3, 1.1), (0, -0.3, 0.9),
    ]
)  # fmt: skip


FLOOR = Floor(np.array([0.0, 0.6, 0.8, -0.25]), np.diag([1e-4, 2e-4, 3e-4]))


def a_pose(people=2, absent=(), states=None, stamp_ns=1_700_000_000_123_456_789, floor=FLOOR):
    """People 1 m apart along y; absent: (person, joint) pairs without a position."""
    rng = np.random.default_rng(3)
    xyz = np.stack([STANDING + np.array([0, p, 0]) for p in range(people)]) if people else np.zeros((0, J, 3))
    # Numbers that float32 holds, so that what the messages keep in float32 compares exactly.
    score = rng.uniform(0.3, 1, (people, J)).astype(np.float32).astype(float)
    reprojection = rng.uniform(0, 9, (people, J)).astype(np.float32).astype(float)
    root = rng.normal(size=(people, J, 3, 3)) * 0.01
    covariance = root @ root.swapaxes(-1, -2)
    velocity = rng.normal(size=(people, J, 3))
    n_views = rng.integers(2, 5, (people, J))
    source = rng.integers(1, 5, (people, J))
    orientation = rng.normal(size=(people, J, 4))
    orientation /= np.linalg.norm(orientation, axis=-1, keepdims=True)
    std = rng.uniform(0.01, 0.5, (people, J, 3)).astype(np.float32).astype(float)
    std[:, :, 2][:, ::3] = np.nan
    about_bodies = rng.uniform(0, 1, (people, 4)).astype(np.float32).astype(float)
    for p, j in absent:
        xyz[p, j], velocity[p, j], covariance[p, j], reprojection[p, j] = np.nan, np.nan, np.nan, np.nan
        score[p, j], n_views[p, j], source[p, j] = 0, 0, JointSource.ABSENT
        orientation[p, j], std[p, j] = np.nan, np.nan
    return Pose3D(
        xyz=xyz,
        velocity=velocity,
        covariance=covariance,
        score=score,
        n_views=n_views,
        reprojection_px=reprojection,
        source=source,
        ids=tuple(str(p + 1) for p in range(people)),
        state=states or [PersonState.VISIBLE] * people,
        age_s=[0.25] * people,
        skeleton=H36M_17,
        frame_id="world",
        stamp_ns=stamp_ns,
        orientation=orientation,
        orientation_std=std,
        stature_m=about_bodies[:, 0],
        stature_std_m=about_bodies[:, 1],
        foot_contact=about_bodies[:, 2:],
        floor=floor,
    )
