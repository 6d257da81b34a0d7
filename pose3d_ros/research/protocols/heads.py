"""PCKh of MPII: the share of joints within a part of the head's size.

Andriluka et al. (CVPR 2014), Sec. 5: half of the head's size, by joint, left and right together; the total counts every
labelled joint alike but pelvis and thorax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets.mpii import JOINTS
from pose3d_ros.research.datasets.pose_sequence import LabelledImage
from pose3d_ros.structures import Floats

SHARE = 0.5
COLUMNS = {
    "head": ("HeadTop",), "shoulder": ("LShoulder", "RShoulder"), "elbow": ("LElbow", "RElbow"),
    "wrist": ("LWrist", "RWrist"), "hip": ("LHip", "RHip"), "knee": ("LKnee", "RKnee"), "ankle": ("LAnkle", "RAnkle"),
}  # fmt: skip
TOTAL = "total"
UNCOUNTED = ("Pelvis", "Thorax")


def pckh(images: Sequence[LabelledImage], estimate: Sequence[Floats], share: float = SHARE) -> Mapping[str, float]:
    """% by column and in all; estimates (P, 16, 2) px of each image's people in their order, NaN counts as wrong.

    Raises InputError for people without a head's size and for other numbers of estimates.
    """
    right, known = [], []
    for image, found in zip(images, estimate, strict=True):
        if found.shape != image.xy.shape:
            raise InputError(f"{image.file}: estimates are {found.shape}, expected {image.xy.shape} px")
        if not (image.scale > 0).all():
            raise InputError(f"{image.file} has a person without a head's size: give annot/gt_valid.mat as well")
        distance = np.linalg.norm(found - image.xy, axis=-1) / image.scale[:, None]
        right.append(distance <= share)  # False for NaN
        known.append(np.isfinite(image.xy).all(axis=-1))
    hits, labelled = np.concatenate(right), np.concatenate(known)
    columns = {**COLUMNS, TOTAL: tuple(name for name in JOINTS.joint_names if name not in UNCOUNTED)}
    return {name: _share(hits, labelled, [JOINTS.index(one) for one in joints]) for name, joints in columns.items()}


def _share(hits: NDArray[np.bool_], labelled: NDArray[np.bool_], joints: Sequence[int]) -> float:
    count = labelled[:, joints].sum()
    return 100 * float((hits & labelled)[:, joints].sum() / count) if count else float("nan")
