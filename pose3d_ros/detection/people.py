"""From joints in an image to people: joints outside the image are dropped, and so are duplicate people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.box_tracks import joint_box
from pose3d_ros.detection.boxes import oks, suppress
from pose3d_ros.detection.keypoint_head import FoundKeypoints
from pose3d_ros.detection.uncertainty import covariance
from pose3d_ros.structures import Keypoints2D, Skeleton

SAME_PERSON_OKS = 0.5  # COCO's "same person"


def people(joints: FoundKeypoints, skeleton: Skeleton, size_hw: tuple[int, ...], stamp_ns: int) -> Keypoints2D:
    """Add covariance and boxes to the joints; joints outside the image are missing (NaN, score 0)."""
    if not len(joints.xy):
        return Keypoints2D.empty(skeleton, stamp_ns)
    size_wh = np.array([size_hw[1], size_hw[0]])
    inside = ((joints.xy >= -0.5) & (joints.xy <= size_wh - 0.5)).all(axis=-1)  # False for NaN too
    inside = np.asarray(inside & np.isfinite(joints.score))
    xy = np.where(inside[..., None], joints.xy, np.nan)
    score = np.where(inside, joints.score, 0.0)
    boxes = np.array([joint_box(points, scores) for points, scores in zip(xy, score, strict=True)])
    spread = np.where(inside[..., None, None], covariance(score, joints.crop_scale, skeleton), np.nan)
    wh = boxes[:, 2:] - boxes[:, :2]
    return Keypoints2D(xy, score, skeleton, stamp_ns, spread, np.concatenate((boxes[:, :2], wh), axis=1))


def distinct(detections: Keypoints2D, admitted: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the indices of the admitted people (P,), without duplicates."""
    rows = np.flatnonzero(admitted)
    confident = detections.select(rows)
    assert confident.boxes is not None
    similarity = oks(confident.xy, confident.score, np.prod(confident.boxes[:, 2:], axis=1), detections.skeleton)
    return np.sort(rows[suppress(similarity, confident.score.mean(axis=1), SAME_PERSON_OKS)])


def replaced(detections: Keypoints2D, rows: Sequence[int], others: Keypoints2D) -> Keypoints2D:
    """Return the detections with others in the place of some rows."""
    parts = []
    for old, new in (
        (detections.xy, others.xy),
        (detections.score, others.score),
        (detections.covariance, others.covariance),
        (detections.boxes, others.boxes),
    ):
        assert old is not None
        assert new is not None
        part = old.copy()
        part[list(rows)] = new
        parts.append(part)
    xy, score, spread, boxes = parts
    return Keypoints2D(xy, score, detections.skeleton, detections.stamp_ns, spread, boxes)
