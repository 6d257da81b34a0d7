"""From joints in an image to people: what lies outside is not seen, nobody is counted twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.box_tracks import better_half, joint_box
from pose3d_ros.detection.boxes import oks, suppress
from pose3d_ros.detection.keypoint_head import FoundKeypoints
from pose3d_ros.detection.uncertainty import covariance
from pose3d_ros.structures import Keypoints2D, Skeleton

SAME_PERSON_OKS = 0.5  # COCO's "same person"


def people(found: FoundKeypoints, skeleton: Skeleton, size_hw: tuple[int, ...], stamp_ns: int) -> Keypoints2D:
    """Keypoints with covariance and the box of their joints; joints outside the image are not seen."""
    if not len(found.xy):
        return Keypoints2D.empty(skeleton, stamp_ns)
    size_wh = np.array([size_hw[1], size_hw[0]])
    inside = ((found.xy >= -0.5) & (found.xy <= size_wh - 0.5)).all(axis=-1)  # False for NaN too
    inside = np.asarray(inside & np.isfinite(found.score))
    xy = np.where(inside[..., None], found.xy, np.nan)
    score = np.where(inside, found.score, 0.0)
    boxes = np.array([joint_box(one, s) for one, s in zip(xy, score, strict=True)])
    spread = np.where(inside[..., None, None], covariance(score, found.crop_scale, skeleton), np.nan)
    wh = boxes[:, 2:] - boxes[:, :2]
    return Keypoints2D(xy, score, skeleton, stamp_ns, spread, np.concatenate((boxes[:, :2], wh), axis=1))


def distinct(found: Keypoints2D, person_score: float) -> NDArray[np.intp]:
    """Indices of the people that are real (well seen in part at least), each once."""
    real = np.flatnonzero(better_half(found.score) >= person_score)
    some = found.select(real)
    assert some.boxes is not None
    alike = oks(some.xy, some.score, np.prod(some.boxes[:, 2:], axis=1), found.skeleton)
    return np.sort(real[suppress(alike, some.score.mean(axis=1), SAME_PERSON_OKS)])
