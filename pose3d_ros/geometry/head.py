"""Where the top of the head is and where the head faces, from nose, eyes and ears in space (float64).

People's heads have one shape but for their size: of the bodies below, of 10 to 75 years, sizes differ by 6 % (standard
deviation), the points of one head by 1 mm once it is scaled, the top by 4 mm. So a head is this shape, scaled, turned
and moved such that it fits its triangulated points best; the size has a prior, and the thorax keeps a head upright
whose face is hidden. What is not known well has a large covariance.

    minimise  sum_j |p_j - t - e^s R m_j|^2 in (C_j + R S_j R')  +  (s / SIZE_STD)^2      by Gauss-Newton

m_j, S_j are MODEL's; p_j, C_j the triangulated points and their covariances; e^s is the size. kernels/heads.py does it;
its definition in NumPy is test/definitions/heads.py.

The head's frame is right-handed, its origin in the middle of the ears: y points from the right ear to the left one, x
to the nose (made square to y), z to the top of the head. Of an upright head that looks straight on x points 6 degrees
down (Anny's mean adult; 5 in children, 8 in old people).

Axes: G people, J the points of HEAD_POINTS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose3d_ros import kernels
from pose3d_ros.structures import Floats

HEAD_POINTS = ("Nose", "LEye", "REye", "LEar", "REar", "Thorax")
# m_j, m in the head's frame, and the last row is the top of the head. Means over 160 of Anny's bodies (both sexes, 10
# to 75 years, WHO's statures) in 16 frames each of motion capture, mirrored; COCO's points are Anny's regressor's.
MODEL = np.array(
    [
        (0.1047, 0.0, 0.0), (0.0793, 0.0296, 0.0290), (0.0793, -0.0296, 0.0290), (0.0, 0.0738, 0.0),
        (0.0, -0.0738, 0.0), (-0.0115, 0.0, -0.2089), (-0.0095, 0.0, 0.1280),
    ]
)  # fmt: skip
# Standard deviations of the same along x, y, z, m. Points of the face differ by 1 mm between bodies; a detector's
# differ from them by its own definition (as simulation/detector_bias.SURFACE_M). The thorax is where the neck leaves
# it: motion capture, and heads that nod by 15, tilt by 8 and turn by 25 degrees (by choice) on it.
MODEL_STD = np.array([*[(0.010, 0.010, 0.010)] * 5, (0.043, 0.027, 0.014), (0.001, 0.001, 0.004)])
SIZE_STD = 0.06  # of those bodies' sizes
# Of nose, eyes and ears so many must be there, one of them an ear, and with the thorax so many points in all: eyes and
# nose alone lie too close together.
MIN_FACE, MIN_POINTS = 2, 3
# A head's turn has this std at most about each axis, rad: nothing is known of where one faces beyond it. Up to there 92
# % or more of tops lie in their 95 % ellipsoids (points off by 10 to 100 mm): a turn that uncertain spreads tops over a
# part of a sphere, so their covariance has the square of twice the turn's second order too.
MAX_TURN_STD = 1.0
# From the closed form the fourth step of Gauss-Newton moves tops by 0.02 mm (points off by 10 mm) to 0.2 mm (30 mm).
STEPS = 4
# A head is taken for none where its points miss the shape by more than 999 in 1,000 do by chance: so many standard
# deviations of a normal distribution, which kernels/heads.py makes a limit of chi squared.
MISFIT = 3.09


@dataclass(frozen=True, eq=False)
class Heads:
    """The heads of G people; NaN where too few points were there, or where they do not look like a head."""

    world_from_head: Floats  # (G, 3, 3)
    rotation_covariance: Floats  # (G, 3, 3) rad^2, of small turns about the head's own x, y, z
    top: Floats  # (G, 3) m
    top_covariance: Floats  # (G, 3, 3) m^2


def fit_heads(xyz: Floats, covariance: Floats) -> Heads:
    """Heads of points (G, 6, 3) m in the order of HEAD_POINTS, with covariances (G, 6, 3, 3) m^2; NaN where absent."""
    seen = np.asarray(np.isfinite(xyz).all(-1) & np.isfinite(covariance).all((-1, -2)))
    face = seen[:, :5].sum(-1)
    enough = (face >= MIN_FACE) & (face + seen[:, 5] >= MIN_POINTS) & (seen[:, 3] | seen[:, 4])
    points, spread = kernels.plain(xyz), kernels.plain(covariance)
    return Heads(
        *kernels.heads.fitted(
            *(points, spread, seen & enough[:, None], MODEL, MODEL_STD, SIZE_STD, STEPS, MISFIT, MAX_TURN_STD)
        )
    )


def head_orientation(heads: Heads) -> tuple[Floats, Floats]:
    """Quaternions xyzw (G, 4) of world_from_head, and std (G, 3) rad of small turns about the head's own x, y, z."""
    from scipy.spatial.transform import Rotation

    quaternion = np.full((len(heads.top), 4), np.nan)
    known = np.isfinite(heads.world_from_head).all((-1, -2))
    if known.any():
        quaternion[known] = Rotation.from_matrix(heads.world_from_head[known]).as_quat()
    return quaternion, np.sqrt(np.diagonal(heads.rotation_covariance, axis1=-2, axis2=-1))
