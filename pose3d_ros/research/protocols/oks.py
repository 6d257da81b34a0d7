"""COCO's average precision of keypoints, by object keypoint similarity (OKS).

Lin et al. (ECCV 2014); cocodataset.org, "Keypoint evaluation". OKS is the mean over labelled joints of
exp(-d^2 / (2 s^2 k^2)), with s^2 the person's area and k = 2 sigma of the joint. Per image the 20 best scored people
are matched in the order of their scores, each to the person left over whom it resembles most, people who count before
those who do not; a crowd takes any number. Precision is read at 101 recalls, thresholds are 0.50, 0.55, ..., 0.95.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.research.datasets.pose_sequence import LabelledImage
from pose3d_ros.structures import Floats

# Standard deviations of people's labels, COCO-17's order; in shares of the square root of the area.
SIGMAS: Floats = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
RECALLS: Floats = np.linspace(0, 1, 101)
MOST_PEOPLE = 20
# Areas in px^2 that count in each column.
AREAS = {"AP": (0.0, 1e10), "AP medium": (32.0**2, 96.0**2), "AP large": (96.0**2, 1e10)}


class Detected(NamedTuple):
    """The people found in one image."""

    xy: Floats  # (D, 17, 2) px
    score: Floats  # (D,)


class _Matches(NamedTuple):
    """Of the detections of all images, by the 10 thresholds."""

    score: Floats  # (D,)
    right: NDArray[np.bool_]  # (10, D)
    ignored: NDArray[np.bool_]  # (10, D)
    people: int


def oks_ap(images: Sequence[LabelledImage], detected: Sequence[Detected]) -> Mapping[str, float]:
    """AP, AP50, AP75, AP medium, AP large and AR, %; NaN where no person counts."""
    found = {name: _all_matches(images, detected, area) for name, area in AREAS.items()}
    curves = {name: _precisions(matches) for name, matches in found.items()}
    whole = curves["AP"]
    recall = _recalls(found["AP"])
    figures = {name: curve.mean() for name, curve in curves.items()}
    figures |= {"AP50": whole[0].mean(), "AP75": whole[5].mean(), "AR": recall.mean()}
    return {name: 100 * float(value) for name, value in figures.items()}


def similarity(found: Floats, true: Floats, area: Floats, boxes: Floats) -> Floats:
    """OKS (D, P) of detections (D, 17, 2) and people (P, 17, 2) px, NaN where not labelled.

    To people without labels (crowds), by the distance from the doubled box, as COCO's own evaluation does.
    """
    variance = (2 * SIGMAS) ** 2
    made = np.zeros((len(found), len(true)))
    for column, (pose, size, box) in enumerate(zip(true, area, boxes, strict=True)):
        labelled = np.isfinite(pose).all(axis=-1)
        if labelled.any():
            square = ((found - pose)[:, labelled] ** 2).sum(axis=-1)
        else:
            low, high = box[:2] - box[2:], box[:2] + 2 * box[2:]
            square = (np.maximum(0, np.maximum(low - found, found - high)) ** 2).sum(axis=-1)
            labelled = np.ones(len(SIGMAS), dtype=bool)
        made[:, column] = np.exp(-square / variance[labelled] / (size + np.spacing(1)) / 2).mean(axis=1)
    return made


def _all_matches(images: Sequence[LabelledImage], detected: Sequence[Detected], area: tuple[float, float]) -> _Matches:
    parts = [_matched(image, found, area) for image, found in zip(images, detected, strict=True)]
    score, right, ignored = (np.concatenate([part[field] for part in parts], axis=-1) for field in range(3))
    order = np.argsort(-score, kind="stable")
    return _Matches(score[order], right[:, order], ignored[:, order], sum(part.people for part in parts))


def _matched(image: LabelledImage, found: Detected, area: tuple[float, float]) -> _Matches:
    """Detections of one image in the order of their scores."""
    best = np.argsort(-found.score, kind="stable")[:MOST_PEOPLE]
    poses, score = found.xy[best], found.score[best]
    out = image.ignored | (image.scale < area[0]) | (image.scale > area[1])
    people = np.argsort(out, kind="stable")  # those who count first
    alike = similarity(poses, image.xy, image.scale, image.boxes)[:, people]
    out = out[people]
    right, ignored = (np.zeros((len(THRESHOLDS), len(poses)), dtype=bool) for _ in range(2))
    for level, threshold in enumerate(THRESHOLDS):
        taken = np.zeros(len(people), dtype=bool)
        for row in range(len(poses)):
            match = _best(alike[row], taken, out, threshold)
            if match >= 0:
                taken[match] = not image.crowd[people[match]]
                right[level, row], ignored[level, row] = not out[match], out[match]
    extent = poses.max(axis=1) - poses.min(axis=1) if len(poses) else np.zeros((0, 2))
    size = extent.prod(axis=1)
    outside = (size < area[0]) | (size > area[1])
    ignored |= ~right & outside
    return _Matches(score, right, ignored, int((~out).sum()))


def _best(alike: Floats, taken: NDArray[np.bool_], out: NDArray[np.bool_], threshold: float) -> int:
    """The person whom a detection resembles most, of those left over; -1: none reaches the threshold."""
    match, best = -1, min(threshold, 1 - 1e-10)
    for person in range(len(alike)):
        if taken[person]:
            continue
        if match >= 0 and not out[match] and out[person]:
            break  # a person who counts was found
        if alike[person] >= best:
            match, best = person, alike[person]
    return match


def _precisions(matches: _Matches) -> Floats:
    """(10, 101) precision at the recalls; NaN where no person counts."""
    if not matches.people:
        return np.full((len(THRESHOLDS), len(RECALLS)), np.nan)
    table = np.zeros((len(THRESHOLDS), len(RECALLS)))
    for level in range(len(THRESHOLDS)):
        right = matches.right[level]
        hits = np.cumsum(right)
        counted = np.cumsum(~matches.ignored[level])
        recall = hits / matches.people
        precision = hits / np.maximum(counted, np.spacing(1))
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        where = np.searchsorted(recall, RECALLS, side="left")
        table[level] = np.where(where < len(recall), np.append(falling, 0.0)[np.minimum(where, len(recall))], 0.0)
    return table


def _recalls(matches: _Matches) -> Floats:
    """(10,) of the people who count, found at each threshold."""
    return matches.right.sum(axis=1) / matches.people if matches.people else np.full(len(THRESHOLDS), np.nan)
