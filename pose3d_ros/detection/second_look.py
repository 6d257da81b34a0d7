"""A second look at people whom the first one leaves unsure, and a person's score from box and keypoints.

A person is looked at again
- whose keypoints are weak: better half of joints below person_score + SURE_MARGIN, but not below HOPELESS;
- whose keypoints are, wholly or in part, another person's, who stands before them: that person is painted over.

The exact network then runs on the flipped crop and on a larger one. Keypoints of both are averaged where they agree.
Constants were chosen on rendered people (192 images of rooms, 728 boxes; docs/detectors.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.box_tracks import JOINT_SCORE, PART_SCORE, Candidates, better_half, joint_box
from pose3d_ros.detection.boxes import grown, iou, oks, suppress
from pose3d_ros.detection.crops import square
from pose3d_ros.detection.keypoint_head import FoundKeypoints, Image, KeypointHead
from pose3d_ros.detection.people import SAME_PERSON_OKS
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, Keypoints2D, Skeleton

# Lightning's keypoints of people below person_score 0.4 + 0.1 are 9.3 px off (mean), after the second look 6.4.
SURE_MARGIN = 0.1
# By Lightning's keypoints, 6 of 38 boxes from 0.15 to 0.25 gave the right person, 25 of 29 from 0.25 to 0.35.
HOPELESS = 0.25
# A box that is surer than the keypoints adds this share of the difference to the person's score. Boxes from 0.5 on with
# keypoints of 0.3 to 0.4 were of a person in 6 of 6 cases, boxes of 0.3 to 0.5 in 9 of 10.
BOX_SHARE = 1 / 3
# The larger crop, relative to the box: of 529 boxes 470 gave the right person at 1.3, 463 at 1, 457 at 0.85.
LARGER = 1.3
# Two looks agree on a joint that is nearer than this share of the person's size: mean error 6.35 px, 6.39 by the better
# look alone, 7.55 by the mean of all.
AGREE = 0.05
# Keypoints of two candidates that are more alike than this share joints: one of them may be a mixture of both people.
# By choice: 91.9 instead of 90.8 % of people in a room were found, for 2 % more runs of Thunder.
MIXED_OKS = 0.2
# A box that overlaps another person's box by more than this holds no further person: NanoDet's own threshold.
SAME_BOX_IOU = 0.6
# Least overlap of the box around a second look's joints with the candidate's box. Of people above person_score all 4 in
# tracked and all 7 in detected boxes were another person below 0.2; of people behind others 14 of 19 below 0.3.
IN_BOX, HIDDEN_IN_BOX = 0.2, 0.3
# Width of limbs that are painted over, relative to the person's size. By choice: about a thigh's.
LIMB = 0.09
GREY = 127
# Side of the patch that is flipped or painted over, relative to the box: larger than any head's crop of it.
PATCH = 2.2
TORSO = ("LShoulder", "RShoulder", "RHip", "LHip")


@dataclass(frozen=True)
class Wanted:
    """A candidate to look at again, and the candidate (if any) who stands before it."""

    row: int
    front: int | None = None
    replaces: bool = True  # whether the first look's keypoints are of no use: the front person's


def person_scores(score: Floats, box_score: Floats) -> Floats:
    """Scores (P,) of people from joint scores (P, J) and box scores (P,), 0 where no search found the box."""
    joints = better_half(score)
    out: Floats = joints + BOX_SHARE * np.clip(box_score - joints, 0.0, None) * (joints >= HOPELESS)
    return out


def wanted(detections: Keypoints2D, candidates: Candidates, person_score: float) -> list[Wanted]:
    """Which candidates of one image need a second look, from the keypoints that the first gave them.

    Boxes that were only detected hold no person behind another: 4 of 56 such looks found one, most boxes were a part of
    the other. Nor do those below PART_SCORE with keypoints below person_score: 2 of 14; 8 of 10 above.
    """
    assert detections.boxes is not None
    joints, boxes = better_half(detections.score), candidates.boxes
    likeness = oks(detections.xy, detections.score, np.prod(detections.boxes[:, 2:], axis=1), detections.skeleton)
    kept = suppress(likeness, detections.score.mean(axis=1), SAME_PERSON_OKS)
    weak = (joints >= HOPELESS) & (joints < person_score + SURE_MARGIN)
    known = np.arange(len(boxes)) < candidates.known
    weak &= known | (candidates.score >= PART_SCORE) | (joints >= person_score)
    out = []
    for place, row in enumerate(kept):  # best first
        mixed = likeness[row, kept[:place]] > MIXED_OKS
        if mixed.any() and known[row] and joints[row] >= HOPELESS:
            out.append(Wanted(int(row), int(kept[mixed.argmax()]), replaces=False))
        elif weak[row]:
            out.append(Wanted(int(row), replaces=not known[row]))
    taken = np.zeros(len(boxes), dtype=bool)
    for best in kept:
        alike = np.flatnonzero((likeness[best] > SAME_PERSON_OKS) & ~taken)
        taken[alike] = True
        if len(alike) < 2 or joints[best] < person_score:
            continue
        own = joint_box(detections.xy[best], detections.score[best])
        owner = int(alike[iou(own[None], boxes[alike])[0].argmax()])
        apart = iou(boxes[owner][None], boxes[alike])[0] < SAME_BOX_IOU
        out += [Wanted(int(row), owner) for row in alike[apart & known[alike]]]
    return out


def look_again(
    head: KeypointHead, images: Sequence[Image], boxes: Floats, fronts: Sequence[tuple[Floats, Floats] | None]
) -> FoundKeypoints:
    """Detect one person in each of N boxes (N, 4) px of N BGR images, by the flipped and by the larger crop.

    fronts: keypoints (J, 2) px and their scores (J,) of the person to paint over. A skeleton without left/right pairs
    is not flipped.
    """
    skeleton = head.skeleton
    patches = [_patch(image, box, front, skeleton) for image, box, front in zip(images, boxes, fronts, strict=True)]
    shift = np.array([corner for _, corner in patches])  # (N, 2) px
    inside = boxes - np.tile(shift, 2)
    width = np.array([[patch.shape[1]] for patch, _ in patches])
    looked = [patch for patch, _ in patches]
    if skeleton.left_right:
        looked += [np.ascontiguousarray(patch[:, ::-1]) for patch in looked]
        flipped = inside.copy()
        flipped[:, [0, 2]] = width - 1 - inside[:, [2, 0]]
        crops = np.concatenate((grown(inside, LARGER), flipped))
    else:
        crops = grown(inside, LARGER)
    found = head(looked, crops, np.ones(len(crops), dtype=bool))
    looks = (-1, len(boxes))
    xy, score = found.xy.reshape(*looks, *found.xy.shape[1:]).copy(), found.score.reshape(*looks, skeleton.size).copy()
    if skeleton.left_right:
        xy[1, ..., 0] = width - 1 - xy[1, ..., 0]
        sides = list(skeleton.other_side)
        xy[1], score[1] = xy[1][:, sides], score[1][:, sides]
    return combined(FoundKeypoints(xy + shift[:, None], score, found.crop_scale.reshape(looks)))


def astray(keypoints: FoundKeypoints, boxes: Floats, hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether second looks (N) found a person elsewhere than in the boxes (N, 4) px; hidden (N,): behind another."""
    found = np.array([joint_box(xy, score) for xy, score in zip(keypoints.xy, keypoints.score, strict=True)])
    share = np.diagonal(iou(found, boxes))
    return np.asarray(share < np.where(hidden, HIDDEN_IN_BOX, IN_BOX))


def combined(looks: FoundKeypoints) -> FoundKeypoints:
    """Combine L looks at N people, arrays (L, N, ...): the better look, averaged with the others where they agree."""
    strength = np.stack([better_half(score) for score in looks.score])
    people = np.arange(strength.shape[1])
    best = strength.argmax(axis=0)  # (N,)
    xy = looks.xy[best, people]
    size = np.array([(box[2:] - box[:2]).max() for box in map(joint_box, xy, looks.score[best, people])])
    near = np.linalg.norm(looks.xy - xy, axis=-1) <= AGREE * size[:, None]
    near[best, people] = True
    weight = near * np.maximum(looks.score, 1e-6)
    mean = (looks.xy * weight[..., None]).sum(axis=0) / weight.sum(axis=0)[..., None]
    return FoundKeypoints(mean, (looks.score * near).sum(axis=0) / near.sum(axis=0), looks.crop_scale[best, people])


def _patch(
    image: Image, box: Floats, front: tuple[Floats, Floats] | None, skeleton: Skeleton
) -> tuple[Image, tuple[int, int]]:
    """Return the part of the image about a box, without the person in front, and its upper left pixel."""
    crop = square(grown(box, PATCH))
    left, top = max(crop.left, 0), max(crop.top, 0)
    patch: Image = image[top : crop.top + crop.side, left : crop.left + crop.side]
    if front is not None:
        patch = without_person(patch, front[0] - (left, top), front[1], skeleton)
    return patch, (left, top)


def without_person(image: Image, xy: Floats, score: Floats, skeleton: Skeleton = COCO_17) -> Image:
    """Return a copy of the image in which a person, xy (J, 2) px and score (J,), is painted over."""
    out: Image = image.copy()
    known = (score >= JOINT_SCORE) & np.isfinite(xy).all(axis=-1)
    if not known.any():
        return out
    width = max(round(LIMB * float(np.ptp(xy[known], axis=0).max())), 2)
    at: NDArray[np.int32] = np.round(np.nan_to_num(xy)).astype(np.int32)
    torso = [joint for joint, name in enumerate(skeleton.joint_names) if name in TORSO and known[joint]]
    colour = (GREY, GREY, GREY)
    if len(torso) > 2:
        hull = cv2.convexHull(at[torso])
        cv2.fillConvexPoly(out, hull, colour)
        cv2.polylines(out, [hull], True, colour, width)
    for parent, joint in skeleton.bones:
        if known[parent] and known[joint]:
            cv2.line(out, tuple(at[parent].tolist()), tuple(at[joint].tolist()), colour, width)
    for joint in np.flatnonzero(known):
        radius = width if skeleton.joint_names[joint] == "Nose" else width // 2  # the whole head
        cv2.circle(out, tuple(at[joint].tolist()), radius, colour, -1)
    return out
