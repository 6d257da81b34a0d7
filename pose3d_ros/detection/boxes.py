"""Boxes around people, and the similarity of two boxes or two people. Boxes are left, top, right, bottom in px."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, Skeleton

# Standard deviation of careful annotators' clicks over the square root of a person's area, times two, for COCO's
# joints in order (COCO keypoint evaluation).
COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
    0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
)  # fmt: skip
# For joints outside COCO, such as toes and the neck: as for knees.
OTHER_SIGMA = 0.087
# Minimum score of a box around a person; low, because person_score rejects what is none. By choice.
MIN_BOX_SCORE = 0.15


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union (A, B) of boxes (A, 4) and (B, 4)."""
    shared = _shared_area(a, b)
    overlap: Floats = shared / np.maximum(_area(a)[:, None] + _area(b) - shared, 1e-9)
    return overlap


def share_inside(a: Floats, b: Floats) -> Floats:
    """Share (A, B) of each box of a (A, 4) that is inside each box of b (B, 4)."""
    share: Floats = _shared_area(a, b) / np.maximum(_area(a), 1e-9)[:, None]
    return share


def _shared_area(a: Floats, b: Floats) -> Floats:
    """Intersection area (A, B) px^2 of boxes."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return _area(np.concatenate((top_left, bottom_right), axis=-1))


def _area(box: Floats) -> Floats:
    """Area (...) px^2 of boxes (..., 4); 0 if a side is negative."""
    area: Floats = np.prod(np.clip(box[..., 2:] - box[..., :2], 0, None), axis=-1)
    return area


def suppress(similarity: Floats, score: Floats, threshold: float) -> NDArray[np.intp]:
    """Return indices to keep, best score first, with no pair above the threshold (non-maximum suppression).

    similarity is (N, N), score (N,).
    """
    kept: list[int] = []
    for index in np.argsort(-score, kind="stable"):
        if not any(similarity[index, other] > threshold for other in kept):
            kept.append(int(index))
    return np.array(kept, dtype=np.intp)


def partners(a: Floats, b: Floats, min_iou: float) -> NDArray[np.intp]:
    """Return for each box of a (A, 4) the index of its box in b (B, 4), one to one, -1 if none overlaps by min_iou."""
    overlap = iou(a, b)
    rows, columns = linear_sum_assignment(np.where(overlap < min_iou, 0.0, -overlap))
    matched = overlap[rows, columns] >= min_iou
    out = np.full(len(a), -1, dtype=np.intp)
    out[rows[matched]] = columns[matched]
    return out


def oks(xy: Floats, score: Floats, area: Floats, skeleton: Skeleton = COCO_17) -> Floats:
    """Object keypoint similarity (P, P) between people xy (P, J, 2) px; area (P,) px^2 of their boxes.

    Each joint is weighted by the lower of its two scores, so that guessed joints do not distinguish people.
    """
    weight = np.minimum(score[:, None], score[None, :])  # (P, P, J)
    squared = np.nan_to_num(((xy[:, None] - xy[None, :]) ** 2).sum(axis=-1))
    sigmas = dict(zip(COCO_17.joint_names, COCO_SIGMAS, strict=True))
    variance = (2 * np.array([sigmas.get(name, OTHER_SIGMA) for name in skeleton.joint_names])) ** 2
    scale = np.maximum(np.minimum(area[:, None], area[None, :]), 1.0)[..., None]
    similarities = np.exp(-squared / (2 * scale * variance))
    similarity: Floats = (similarities * weight).sum(axis=-1) / np.maximum(weight.sum(axis=-1), 1e-9)
    return similarity


def around(xy: Floats, score: Floats, min_score: float) -> Floats:
    """Return the box (4,) px around one person's joints (J, 2) with at least min_score."""
    joints = xy[score >= min_score]
    return np.concatenate((joints.min(axis=0), joints.max(axis=0)))


def grown(box: Floats, factor: float) -> Floats:
    """Return boxes (..., 4) scaled about their centres."""
    centre = (box[..., :2] + box[..., 2:]) / 2
    half = (box[..., 2:] - box[..., :2]) / 2 * factor
    return np.concatenate((centre - half, centre + half), axis=-1)
