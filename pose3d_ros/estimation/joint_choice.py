"""Which views to believe where they disagree about a joint: hypotheses judged by keypoints, bone and motion.

A view's keypoint either errs as its covariance says or is an outlier, somewhere in the image of the person: of all
subsets of views that may be right, the one of the best fit to the keypoints, the bone to the joint nearer to the
trunk and where the person's motion leads is kept (the truncated quadratic of Black & Rangarajan, "On the unification
of line processes, outlier rejection, and robust statistics", IJCV 1996, minimised by trying all). NumPy, float64.
Axes: H subsets, V views, N joints.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros import kernels
from pose3d_ros.estimation.body import FLEX_M, JOINTS, NAMES, PAIRS, WEIGHTS, whole
from pose3d_ros.estimation.body_window import BodyFrame
from pose3d_ros.structures import Floats, JointSource, Pose3D

# Half a squared standard deviation that leaving a view out costs: 5 of them. Of 5, 8, 12.5 and 18 it is the one after
# which limbs of motion capture (noise b, c; two and three cameras) are wrong least often without leaving out more.
OUTLIER = 12.5
# Standard deviations of a keypoint from which on it is doubted, and of a joint from where motion leads.
SUSPECT = 3.0
SUSPECT_MOTION = 4.0
BONE_OFF = 0.4  # share of the person's own length by which a bone is off, from which on its far end is doubted
PREDICTED_STD_M = 0.1  # a joint that no keypoint tells is absent where bones and motion leave it less certain
# One view of two is believed where it leaves the joint as certain as this; otherwise both are, or none.
ONE_VIEW_STD_M = 0.5
UNKNOWN = 1e-6  # 1/m^2: nothing is known

_PARTS = {"Knee": "Hip", "Elbow": "Shoulder", "Ankle": "Knee", "Wrist": "Elbow"}
_ENDS = [(side + far, side + near) for far, near in _PARTS.items() for side in "LR"]
_FAR: NDArray[np.intp] = np.array([NAMES.index(far) for far, _ in _ENDS])
_NEAR: NDArray[np.intp] = np.array([NAMES.index(near) for _, near in _ENDS])
_LINK: NDArray[np.intp] = np.array(
    [PAIRS.tolist().index(sorted(ends, reverse=True)) for ends in zip(_FAR.tolist(), _NEAR.tolist(), strict=True)]
)
_TRUNK = [NAMES.index(side + name) for name in ("Hip", "Shoulder") for side in "LR"]


@cache
def _subsets(views: int, expected: bool) -> NDArray[np.bool_]:
    """(H, V): all views, each left out, each pair, none; of two never none, and one only where the motion is known."""
    counts = {views, views - 1, 2, 0} if views > 2 else {views, 1} if expected and views == 2 else {views}
    rows = [
        [view in some for view in range(views)]
        for count in sorted(counts, reverse=True)
        for some in combinations(range(views), count)
    ]
    return np.array(rows, dtype=np.bool_).reshape(-1, views)


def doubted(
    frame: BodyFrame, xyz: Floats, covariance: Floats, expected: Floats | None, unsure: Floats | None, lengths: Floats
) -> NDArray[np.bool_]:
    """Joints (N,) of which a keypoint, a bone or the motion says that xyz (N, 3) m of a covariance is wrong.

    expected (N, 3) m is where the motion leads, unsure (N,) m^2 the sum of its variances.
    """
    points = frame.rotation @ xyz.T + frame.translation[..., None]
    apart = frame.xy - points[:, :2] / points[:, 2:]
    off = np.einsum("vabn,vbn->van", frame.whiten, apart)
    doubt = ((off**2).sum(axis=1) > SUSPECT**2).any(axis=0)
    length = np.linalg.norm(xyz[_FAR] - xyz[_NEAR], axis=-1)
    doubt[_FAR] |= np.abs(length / lengths[_LINK] - 1.0) > BONE_OFF
    if expected is not None and unsure is not None:
        total = unsure + np.trace(covariance, axis1=-2, axis2=-1)
        doubt |= ((xyz - expected) ** 2).sum(axis=-1) > SUSPECT_MOTION**2 * total
    return np.asarray(doubt)


def chosen(
    frame: BodyFrame,
    doubt: NDArray[np.bool_],
    xyz: Floats,
    covariance: Floats,
    prediction: tuple[Floats, Floats] | None,
    lengths: Floats,
    lengths_covariance: Floats,
) -> tuple[BodyFrame, Floats]:
    """The frame without the keypoints that are outliers, and joints (N, 3) m to start with.

    xyz (N, 3) m of covariance (N, 3, 3) m^2 as triangulated; prediction: where the motion leads, and the covariance
    of that (N, 3, 3) m^2.
    """
    xyz, covariance, whiten = xyz.copy(), covariance.copy(), frame.whiten.copy()
    bones = dict(zip(_FAR.tolist(), zip(_NEAR.tolist(), _LINK.tolist(), strict=True), strict=True))
    for joint in [*_TRUNK, *_FAR.tolist()]:
        if not doubt[joint]:
            continue
        near, link = bones.get(joint, (-1, -1))
        if near >= 0 and not np.isfinite(xyz[near]).all():
            near = -1
        views = np.flatnonzero((whiten[..., joint] != 0).any(axis=(1, 2)))
        some = _subsets(len(views), prediction is not None)
        subsets = np.zeros((len(some), len(whiten)), dtype=np.bool_)
        subsets[:, views] = some
        start, information = (xyz[joint], UNKNOWN * np.eye(3))
        if prediction is not None:
            start, information = prediction[0][joint], np.linalg.inv(prediction[1][joint])
        best, _, place, known = kernels.joint_choice.best_subset(
            frame.rotation, frame.translation, kernels.plain(frame.xy[..., joint : joint + 1]),
            kernels.plain(whiten[..., joint : joint + 1]), subsets, kernels.plain(start), kernels.plain(start),
            kernels.plain(information), kernels.plain(xyz[near]), kernels.plain(covariance[near]),
            float(lengths[link]),
            float(FLEX_M[link] ** 2 + lengths_covariance[link, link]) if near >= 0 else np.inf, OUTLIER,
            ONE_VIEW_STD_M**-2,
        )  # fmt: skip
        if best < 0:
            continue
        whiten[..., joint] *= subsets[best][:, None, None]
        xyz[joint], covariance[joint] = place, np.linalg.inv(known)
    return replace(frame, whiten=whiten), xyz


def withdraw(pose: Pose3D, row: int, frame: BodyFrame, covariance: Floats) -> None:
    """Write into a person's row of a pose how many views a frame left each joint; one without any is predicted.

    covariance (3N, 3N) m^2 is of the joints. What is predicted and too uncertain is absent.
    """
    left = (frame.whiten != 0).any(axis=(1, 2)).sum(axis=0)
    before = pose.n_views[row, JOINTS]
    less = left < before
    if not less.any():
        return
    some, count = JOINTS[less], left[less]
    pose.score[row, some] *= (count + 1) / (before[less] + 1.0)  # the motion is one witness more
    pose.n_views[row, some] = count
    alone = np.zeros(len(NAMES), dtype=np.bool_)
    alone[less] = count == 0
    pose.source[row, JOINTS[alone]] = JointSource.PREDICTED
    pose.reprojection_px[row, JOINTS[alone]] = np.nan
    _, spread = whole(np.zeros((len(NAMES), 3)), covariance)
    affected = np.flatnonzero((WEIGHTS[:, alone] != 0).any(axis=1))
    absent = affected[np.linalg.eigvalsh(spread[affected])[:, -1] > PREDICTED_STD_M**2]
    for values in (pose.xyz, pose.velocity, pose.covariance, pose.reprojection_px):
        values[row, absent] = np.nan
    pose.score[row, absent] = 0.0
    pose.n_views[row, absent] = 0
    pose.source[row, absent] = JointSource.ABSENT
