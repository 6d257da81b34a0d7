"""A person's body: which joints and bones it has, what is known of their lengths before a person is seen, its stature.

NumPy, float64. Axes: N = 13 joints that a detector sees, L = 16 links between them. Joints of h36m_17 that are means of
these (skeletons.DERIVED) follow them; HeadTop belongs to no link.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.body_window import Model
from pose3d_ros.skeletons import DERIVED, H36M_17
from pose3d_ros.structures import Floats, JointSource, Pose3D

NAMES = (
    "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Nose",
    "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
)  # fmt: skip
HEAD_TOP, NOSE = H36M_17.index("HeadTop"), H36M_17.index("Nose")
JOINTS: NDArray[np.intp] = np.array([H36M_17.index(name) for name in NAMES])
# (N,) m^2/s^3: mean square of the second differences of motion capture (CMU, 52,157 frames at 12 per second) times
# their spacing, 0.4 for the trunk, 1.3 for knees and elbows, 2 for wrists and ankles; 25 times that, since 12 frames
# per second average the quick part of a movement away and lag costs more than jitter.
_DENSITY = {"Hip": 10.0, "Knee": 33.0, "Ankle": 58.0, "Nose": 10.0, "Shoulder": 11.0, "Elbow": 34.0, "Wrist": 48.0}
DENSITY: Floats = np.array([_DENSITY[name.lstrip("LR")] for name in NAMES])
# Kinds of links: length as a share of the stature, its relative spread over people, spread of the length within one
# person, m. COCO points of 220 bodies of all ages from 10 (Anny), each in six poses of motion capture, and the joints
# of motion capture (CMU), which differ by up to a quarter: a detector's joints may be either. Limbs are constant.
_KINDS = {
    "thigh": (0.226, 0.06, 0.002), "shin": (0.237, 0.06, 0.002), "upper arm": (0.159, 0.07, 0.002),
    "forearm": (0.122, 0.12, 0.002), "hips": (0.112, 0.12, 0.002), "shoulders": (0.200, 0.09, 0.004),
    "side": (0.293, 0.06, 0.020), "diagonal": (0.330, 0.06, 0.015), "neck": (0.157, 0.10, 0.025),
}  # fmt: skip
_LINKS = (
    ("thigh", "RHip", "RKnee"), ("thigh", "LHip", "LKnee"), ("shin", "RKnee", "RAnkle"), ("shin", "LKnee", "LAnkle"),
    ("upper arm", "RShoulder", "RElbow"), ("upper arm", "LShoulder", "LElbow"),
    ("forearm", "RElbow", "RWrist"), ("forearm", "LElbow", "LWrist"),
    ("hips", "RHip", "LHip"), ("shoulders", "RShoulder", "LShoulder"),
    ("side", "RHip", "RShoulder"), ("side", "LHip", "LShoulder"),
    ("diagonal", "RHip", "LShoulder"), ("diagonal", "LHip", "RShoulder"),
    ("neck", "Nose", "LShoulder"), ("neck", "Nose", "RShoulder"),
)  # fmt: skip
PAIRS: NDArray[np.int64] = np.array([sorted(map(NAMES.index, link[1:]), reverse=True) for link in _LINKS])
FLEX_M: Floats = np.array([_KINDS[link[0]][2] for link in _LINKS])
# The covariance of joints holds errors that frames have in common, which do not turn a link: of what it says so much
# does, by how long links became in rooms and stereo heads of motion capture with noise (a) and (b).
TURNED = 0.4
# Lengths of which less than this share is unknown say how large a person is, where there are so many; people of 10
# years and more are within this factor of the mean.
SURE_SHARE, SURE_LINKS, ODD_SCALE = 0.2, 5, 1.4
# Of a link whose direction is not known at all the ends may seem to be in one place.
MOST_LONGER = 0.7
# People from 10 years on: mean and spread of their stature, m (WHO, by Anny).
STATURE_M, STATURE_STD_M = 1.66, 0.13
# Left and right of one person differ by 1 % (correlation of the deviations of the two sides).
SIDES = 0.98


def _prior() -> tuple[Floats, Floats]:
    """Mean (L + 1,) m and covariance of all lengths and, last, the stature."""
    share = np.array([_KINDS[link[0]][0] for link in _LINKS] + [1.0])
    spread = np.array([_KINDS[link[0]][1] for link in _LINKS] + [0.0])
    kind = np.array([*(link[0] for link in _LINKS), ""])
    alike = np.where(kind[:, None] == kind, SIDES, 0.0)
    np.fill_diagonal(alike, 1.0)
    relative = alike * np.outer(spread, spread) + (STATURE_STD_M / STATURE_M) ** 2
    mean = share * STATURE_M
    return mean, relative * np.outer(mean, mean)


MODEL = Model(PAIRS, DENSITY)
_MEAN, _COVARIANCE = _prior()
# (L,) m and (L, L) m^2: the lengths of a person never seen.
PRIOR_LENGTHS_M, PRIOR_COVARIANCE = _MEAN[:-1], _COVARIANCE[:-1, :-1]
_STATURE_OF_LENGTHS = np.linalg.solve(PRIOR_COVARIANCE, _COVARIANCE[:-1, -1])


def uncertain_links(lengths: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """How much longer links (L,) m are than between the estimates of their joints, and the spread of that, m.

    covariance (3N, 3N) m^2 is of the joints. If d is known with covariance C, |d| is tr C / 2|d| longer than its
    estimate on average, where C is across d, with variance tr C^2 / 2|d|^2 (second-order extended Kalman filter,
    Bar-Shalom, Li & Kirubarajan 2001, Sec. 10.3.2).
    """
    joints = len(NAMES)
    blocks = np.moveaxis(covariance.reshape(joints, 3, joints, 3), 1, 2)
    p, q = PAIRS.T
    C = blocks[p, p] + blocks[q, q] - blocks[p, q] - blocks[q, p]
    # Across all but the direction known best, which is taken for the link's.
    squared = np.linalg.eigvalsh(C)[:, 1:]
    longer = np.minimum(TURNED * squared.sum(axis=-1) / (2 * lengths), MOST_LONGER * lengths)
    return longer, np.sqrt(FLEX_M**2 + (squared**2).sum(axis=-1) / (2 * lengths**2))


def first_lengths(xyz: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Lengths (L,) m and covariance (L, L) m^2 of a person who is first seen as joints (N, 3) m of (N, 3, 3) m^2.

    Those of people, unless what is surely measured is far from any: a small child, or a rig in another unit.
    """
    p, q = PAIRS.T
    length = np.linalg.norm(xyz[p] - xyz[q], axis=-1)
    std = np.sqrt(np.trace(covariance[p] + covariance[q], axis1=-2, axis2=-1))
    sure = std < SURE_SHARE * length
    scale = float(np.median(length[sure] / PRIOR_LENGTHS_M[sure])) if sure.sum() >= SURE_LINKS else 1.0
    if 1 / ODD_SCALE < scale < ODD_SCALE:
        scale = 1.0
    return scale * PRIOR_LENGTHS_M, scale**2 * PRIOR_COVARIANCE


def stature_m(lengths: Floats, covariance: Floats) -> tuple[float, float]:
    """A person's stature and its standard deviation, m, from lengths (L,) m of covariance (L, L) m^2."""
    gain = _STATURE_OF_LENGTHS
    rest = _COVARIANCE[-1, -1] - gain @ _COVARIANCE[:-1, -1]  # of people of equal bones
    mean = _MEAN[-1] + gain @ (lengths - PRIOR_LENGTHS_M)
    return float(mean), float(np.sqrt(rest + gain @ covariance @ gain))


def _weights() -> Floats:
    """(17, N) that make h36m_17 of the joints; zeros for HeadTop."""
    weights = np.zeros((H36M_17.size, len(NAMES)))
    for row, name in enumerate(H36M_17.joint_names):
        for part, weight in ({name: 1.0} if name in NAMES else DERIVED.get(name, {})).items():
            weights[row, NAMES.index(part)] = weight
    return weights


WEIGHTS: Floats = _weights()
MADE: NDArray[np.bool_] = np.asarray(WEIGHTS.any(axis=1))  # (17,) joints of h36m_17 that a body gives


def whole(xyz: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """h36m_17 (17, 3) m and (17, 3, 3) m^2 from joints (N, 3) m of covariance (3N, 3N) m^2; NaN for HeadTop."""
    joints = len(NAMES)
    spread = np.einsum("jn,namb,jm->jab", WEIGHTS, covariance.reshape(joints, 3, joints, 3), WEIGHTS, optimize=True)
    missing = ~MADE[:, None]
    return np.where(missing, np.nan, WEIGHTS @ xyz), np.where(missing[..., None], np.nan, spread)


def copied(pose: Pose3D) -> Pose3D:
    """The pose with copies of what place(), joint_choice.withdraw() and statures change."""
    names = (
        "xyz", "velocity", "covariance", "score", "n_views", "reprojection_px", "source", "stature_m", "stature_std_m",
    )  # fmt: skip
    return replace(pose, **{name: getattr(pose, name).copy() for name in names})


def place(
    pose: Pose3D, row: int, xyz: Floats, speed: Floats, covariance: Floats, calibration_covariance: Floats
) -> None:
    """Write a body's joints (N, 3) m, their velocity m/s and covariance (3N, 3N) m^2 into a person's row of a pose.

    Only joints that are there are moved, and none that a network filled in. calibration_covariance (17, 3, 3) m^2 is
    added.
    """
    joints, spread = whole(xyz, covariance)
    guessed = (pose.source[row] == JointSource.REFINED) & (pose.n_views[row] == 0)
    known = np.isfinite(pose.xyz[row]).all(axis=-1) & MADE & ~guessed
    pose.xyz[row, known], pose.velocity[row, known] = joints[known], (WEIGHTS @ speed)[known]
    if guessed[HEAD_TOP] and known[NOSE]:  # by the shape of heads
        pose.velocity[row, HEAD_TOP] = pose.velocity[row, NOSE]
    pose.covariance[row, known] = spread[known] + calibration_covariance[known]
