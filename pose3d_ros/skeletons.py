"""The skeletons pose3d_ros knows, and the one map between them.

human_pose_3d speaks h36m_17; detectors speak their own, which human_pose_3d/keypoints carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.structures import Floats, Keypoints2D, Skeleton, unchecked

H36M_17 = Skeleton(
    name="h36m_17",
    joint_names=(
        "Pelvis", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Spine", "Thorax",
        "Nose", "HeadTop", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
    left_right=((4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16)),
)  # fmt: skip

COCO_17 = Skeleton(
    name="coco_17",
    joint_names=(
        "Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow",
        "LWrist", "RWrist", "LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle",
    ),
    parents=(-1, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14),
    left_right=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
)  # fmt: skip

# OpenPose's orders. Its own Neck and MidHip were made for its training as the middle of the annotated shoulders and
# hips (Cao et al., TPAMI 2021), so they are what DERIVED makes of the two sides. They are not used: one definition then
# serves every detector, and a middle that is a network's guess would not carry the covariance of its two sides.
BODY_25 = Skeleton(
    name="body_25",
    joint_names=(
        "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip", "RHip", "RKnee",
        "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar", "LBigToe", "LSmallToe", "LHeel",
        "RBigToe", "RSmallToe", "RHeel",
    ),
    parents=(1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 19, 14, 11, 22, 11),
    left_right=(
        (5, 2), (6, 3), (7, 4), (12, 9), (13, 10), (14, 11), (16, 15), (18, 17), (19, 22), (20, 23), (21, 24),
    ),
)  # fmt: skip

# The order of OpenPose's later experimental model, COCO's with neck, top of the head (so HeadTop is known) and feet.
BODY_25B = Skeleton(
    name="body_25b",
    joint_names=(
        *COCO_17.joint_names, "UpperNeck", "HeadTop",
        "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
    ),
    parents=(-1, 0, 0, 1, 2, 17, 17, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14, 0, 17, 15, 19, 15, 16, 22, 16),
    left_right=(*COCO_17.left_right, (19, 22), (20, 23), (21, 24)),
)  # fmt: skip

# Fang et al., "AlphaPose", TPAMI 2022; its Head is the top of the head.
HALPE_26 = Skeleton(
    name="halpe_26",
    joint_names=(
        *COCO_17.joint_names, "HeadTop", "Neck", "MidHip",
        "LBigToe", "RBigToe", "LSmallToe", "RSmallToe", "LHeel", "RHeel",
    ),
    parents=(18, 0, 0, 1, 2, 18, 18, 5, 6, 7, 8, 19, 19, 11, 12, 13, 14, 18, 19, -1, 15, 16, 15, 16, 15, 16),
    left_right=(*COCO_17.left_right, (20, 21), (22, 23), (24, 25)),
)  # fmt: skip

# The hand of COCO-WholeBody and OpenPose: its root, then four joints of each finger, from the palm to the tip.
_HAND = (
    "HandRoot",
    *(f"{finger}{n}" for finger in ("Thumb", "Index", "Middle", "Ring", "Little") for n in (1, 2, 3, 4)),
)
_HAND_PARENTS = (-1, *(first + n - 1 if n else 0 for first in (1, 5, 9, 13, 17) for n in range(4)))

# The 68 points of iBUG's 300-W (Sagonas et al., 2013), with the parents along which they are drawn. Its order begins at
# the person's right; a pair of the two sides has one name here, so that the points of the left are counted backwards.
_FACE = {
    **{f"RJaw{n}": f"RJaw{n + 1}" if n < 8 else "Chin" for n in range(1, 9)},
    "Chin": "Nose",
    **{f"LJaw{n}": f"LJaw{n + 1}" if n < 8 else "Chin" for n in range(8, 0, -1)},
    **{f"RBrow{n}": f"RBrow{n + 1}" if n < 5 else "NoseBridge1" for n in range(1, 6)},
    **{f"LBrow{n}": f"LBrow{n + 1}" if n < 5 else "NoseBridge1" for n in range(5, 0, -1)},
    **{f"NoseBridge{n}": f"NoseBridge{n + 1}" if n < 4 else "Nose" for n in range(1, 5)},
    "RNostril1": "RNostril2", "RNostril2": "NoseBase", "NoseBase": "NoseBridge4",
    "LNostril2": "NoseBase", "LNostril1": "LNostril2",
    "REyelid1": "REyelid2", "REyelid2": "REyelid3", "REyelid3": "REyelid4", "REyelid4": "REye",
    "REyelid5": "REyelid4", "REyelid6": "REyelid5",
    "LEyelid4": "LEye", "LEyelid3": "LEyelid4", "LEyelid2": "LEyelid3", "LEyelid1": "LEyelid2",
    "LEyelid6": "LEyelid5", "LEyelid5": "LEyelid4",
    "RMouth1": "RMouth2", "RMouth2": "RMouth3", "RMouth3": "MouthTop", "MouthTop": "NoseBase",
    "LMouth3": "MouthTop", "LMouth2": "LMouth3", "LMouth1": "LMouth2",
    "LMouth4": "LMouth1", "LMouth5": "LMouth4", "MouthBottom": "Chin", "RMouth5": "RMouth4", "RMouth4": "RMouth1",
    "RLip1": "RLip2", "RLip2": "LipTop", "LipTop": "MouthTop", "LLip2": "LipTop", "LLip1": "LLip2",
    "LLip3": "LipBottom", "LipBottom": "MouthBottom", "RLip3": "LipBottom",
}  # fmt: skip


def _wholebody() -> Skeleton:
    """COCO-WholeBody: body, feet, face, left hand, right hand."""
    feet = ("BigToe", "SmallToe", "Heel")
    names = [*COCO_17.joint_names, *(side + toe for side in "LR" for toe in feet), *_FACE]
    parents = [*COCO_17.parents, *(names.index(f"{side}Ankle") for side in "LR" for _ in feet)]
    parents += [names.index(parent) for parent in _FACE.values()]
    for side in "LR":
        root = len(names)
        parents += [root + parent if parent >= 0 else names.index(f"{side}Wrist") for parent in _HAND_PARENTS]
        names += [side + joint for joint in _HAND]
    return Skeleton("wholebody_133", tuple(names), tuple(parents), pairs_by_name(names))


def pairs_by_name(joint_names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Left and right joints that differ in nothing but the letter L or R in front."""
    where = {name: joint for joint, name in enumerate(joint_names)}
    return tuple(
        (joint, where[f"R{name[1:]}"]) for name, joint in where.items() if name[0] == "L" and f"R{name[1:]}" in where
    )


# Jin et al., "Whole-Body Human Pose Estimation in the Wild" (COCO-WholeBody), ECCV 2020.
WHOLEBODY_133 = _wholebody()
WHOLEBODY_BODY = 23  # of its joints, the body and the feet come first

SKELETONS = {skeleton.name: skeleton for skeleton in (H36M_17, COCO_17, HALPE_26, BODY_25, BODY_25B, WHOLEBODY_133)}

# The twelve joints that every skeleton defines alike enough to compare with a reference.
LIMB_JOINTS = (
    "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist",
    "LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle",
)  # fmt: skip

# Joints of h36m_17 that no detector gives, as weighted means of joints that they do give.
DERIVED: dict[str, dict[str, float]] = {
    "Pelvis": {"LHip": 0.5, "RHip": 0.5},
    "Thorax": {"LShoulder": 0.5, "RShoulder": 0.5},
    "Spine": {"LHip": 0.25, "RHip": 0.25, "LShoulder": 0.25, "RShoulder": 0.25},
}


def map_matrix(source: Skeleton, target: Skeleton) -> Floats:
    """Weights (J_target, J_source) that turn source joints into target joints.

    Rows sum to 1; a joint that cannot be derived (HeadTop from COCO) is a row of zeros.
    """
    weights = np.zeros((target.size, source.size))
    for row, name in enumerate(target.joint_names):
        recipe = {name: 1.0} if name in source.joint_names else DERIVED.get(name, {})
        if all(part in source.joint_names for part in recipe):
            for part, weight in recipe.items():
                weights[row, source.index(part)] = weight
    return weights


def remap(keypoints: Keypoints2D, target: Skeleton) -> Keypoints2D:
    """Keypoints in another skeleton, with propagated covariance.

    A derived joint is absent when any of its sources is; its score is the lowest of theirs, its
    covariance the weighted sum for independent errors, NaN where one of theirs is. Raises InputError when no
    joint maps.
    """
    if keypoints.skeleton == target:
        return keypoints
    weights, sources = _recipe(keypoints.skeleton, target)
    if not weights.any():
        raise InputError(f"no joint of {target.name!r} can be derived from skeleton {keypoints.skeleton.name!r}")
    # Joints (P, J + 1), the last of no person: what a joint is derived from, each as often as it takes to fill the row.
    score = np.zeros((len(keypoints), keypoints.skeleton.size + 1))
    score[:, :-1] = keypoints.score
    score = score[:, sources].min(axis=-1)
    xy = weights @ np.nan_to_num(keypoints.xy)
    xy[score == 0] = np.nan
    covariance = None
    if keypoints.covariance is not None:
        # A sum holds NaN where one of its parts does; of what is not a part 0 times NaN must not be NaN.
        known = np.zeros((len(score), keypoints.skeleton.size + 1), dtype=bool)
        known[:, :-1] = np.isfinite(keypoints.covariance).all(axis=(-1, -2))
        parts = np.where(known[:, :-1, None, None], keypoints.covariance, 0.0).reshape(
            len(score), keypoints.skeleton.size, 4
        )
        covariance = (weights**2 @ parts).reshape(*score.shape, 2, 2)
        covariance[(score == 0) | ~known[:, sources].all(axis=-1)] = np.nan
    return unchecked(
        Keypoints2D,
        xy=xy,
        score=score,
        skeleton=target,
        stamp_ns=keypoints.stamp_ns,
        covariance=covariance,
        boxes=keypoints.boxes,
    )


@lru_cache(maxsize=64)
def _recipe(source: Skeleton, target: Skeleton) -> tuple[Floats, NDArray[np.intp]]:
    """map_matrix, and the source joints of every target joint (K, most), repeated; J where there are none."""
    weights = map_matrix(source, target)
    parts = [np.flatnonzero(row) if row.any() else np.array([source.size]) for row in weights]
    most = max(len(one) for one in parts)
    return weights, np.stack([np.resize(one, most) for one in parts])
