"""Tracked boxes of one camera: where people are expected next, and when to search the whole image again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.boxes import around, grown, iou, share_inside
from pose3d_ros.skeletons import WHOLEBODY_133, WHOLEBODY_BODY
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats

# A detected box that overlaps a tracked one by less than this is another person.
SAME_PERSON_IOU = 0.3
# A detected box that is inside a better one by more than this is most likely a part of that person (an arm, the upper
# half), unless its score is higher. This halves the boxes per search on the footage, without losing people.
PART_SHARE = 0.7
PART_SCORE = 0.3
# Joints below this score do not shape the next box, if there are two better ones.
JOINT_SCORE = 0.2
# Joints are inside the body's outline: a person's box is larger than the box of the joints by about this factor.
BODY_OVER_JOINTS = 1.2
# With two networks (detector auto), the exact one is used for new people, then for each person in every n-th image. A
# person is sure if the better half of joints has this mean score: 19 of 20 people in the footage (MoveNet Lightning).
SURE_SCORE = 0.65
SURE_EVERY, UNSURE_EVERY = 32, 4
# With few cameras, errors in one do not average out, so the exact network is always used: cam03 and cam04 of the
# single-person footage then agree to 56.2 mm with the reference, to 58.9 at every 2nd image, and to 62.1 at every 32nd.
FEW_CAMERAS = 2
# With more cameras, each is searched less often by this factor: a person new to one of them triggers a search of all.
SEVERAL_CAMERAS_FACTOR = 2

NO_BOXES: Floats = np.zeros((0, 4))


class BoxTracks:
    """Tracked boxes of one camera; search_due decides when the whole image is searched for people.

    Searched are the first image, then every `every`-th (times SEVERAL_CAMERAS_FACTOR with more than a few cameras),
    the image after a person was lost, the image after search_soon, and every image without a tracked person. Where the
    other cameras predict a person whom this one does not track, the predicted box replaces the search that a loss, or
    an image without tracked people, would trigger; a search follows only if that fails.
    """

    def __init__(self, every: int, phase: int) -> None:
        """phase shifts the second search and exact detection, so that cameras that start together take turns."""
        self._every, self._phase = every, phase
        self._wait = 0
        self._shift = phase
        self._lost = self._replaces_search = False
        self._tracked = np.zeros((0, 4))  # left, top, right, bottom px
        self._sure = np.zeros(0, dtype=bool)  # of each
        self._since = np.zeros(0, dtype=np.intp)  # images since the exact network was used for each

    def state_dict(self) -> dict[str, Any]:
        """Images until the next search, its shift, losses, the tracked boxes and their scores."""
        return state_of(self, ("_every", "_phase"))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of another instance."""
        load_state(self, state, ("_every", "_phase"))

    def search_soon(self) -> None:
        """Search the next image."""
        self._wait = 0

    def search_due(self, predicted: Floats = NO_BOXES) -> bool:
        """Whether to search the next image; predicted (K, 4) px are boxes of people located by the other cameras."""
        return self._wait == 0 or ((self._lost or not len(self._tracked)) and not len(self._untracked(predicted)))

    def candidates(self, detected: Floats | None, predicted: Floats = NO_BOXES, cameras: int = 1) -> tuple[Floats, int]:
        """Return candidate boxes (P, 4) px, tracked ones first, and the number of tracked ones.

        detected: boxes and scores (N, 5), best first, if the image, one of `cameras`, was searched.
        """
        boxes = tracked = self._tracked
        if detected is not None or self._lost or not len(tracked):
            boxes = np.concatenate((tracked, self._untracked(predicted)))
        self._replaces_search = detected is None and self._lost and len(boxes) > len(tracked)
        self._lost = False
        if detected is None:
            self._wait -= 1
            return boxes, len(tracked)
        every = self._every * (SEVERAL_CAMERAS_FACTOR if cameras > FEW_CAMERAS else 1)
        self._wait = every - 1 - self._shift % every
        self._shift = 0
        new = (iou(detected[:, :4], boxes) < SAME_PERSON_IOU).all(axis=1)
        score = np.concatenate((np.ones(len(boxes)), detected[new, 4]))
        return without_parts(np.concatenate((boxes, detected[new, :4])), score), len(tracked)

    def _untracked(self, predicted: Floats) -> Floats:
        """Return the predicted boxes (K, 4) px that overlap no tracked one."""
        return predicted[(iou(predicted, self._tracked) < SAME_PERSON_IOU).all(axis=1)]

    def use_exact(self, count: int, cameras: int, spare: int = 0) -> NDArray[np.bool_]:
        """Choose which of the first `count` candidates of this image, one of `cameras`, get the exact network.

        A new box next to tracked ones is mostly not a person (a part of one, a coat), so it gets the exact network in
        the next image, if it is tracked then. In addition to those that are due, `spare` boxes that have waited longest
        get it too.
        """
        few = cameras <= FEW_CAMERAS
        unsure_every, sure_every = (1, 1) if few else (UNSURE_EVERY, SURE_EVERY)
        tracked = min(len(self._tracked), count)
        since = self._since[:tracked]
        exact = since >= np.where(self._sure[:tracked], sure_every, unsure_every) - 1
        exact[np.argsort(np.where(exact, -1, since), kind="stable")[::-1][:spare]] = True
        new = few or not tracked
        later = self._phase % sure_every if new else sure_every
        self._since = np.concatenate((np.where(exact, 0, since + 1), np.full(count - tracked, later)))
        return np.concatenate((exact, np.full(count - tracked, new)))

    def update(self, xy: Floats, score: Floats, kept: NDArray[np.intp], lost: bool) -> None:
        """Update with the detected people, xy (P, J, 2) px and score (P, J); lost: a tracked person is missing.

        kept (P,) are their indices among the candidates passed to use_exact.
        """
        if self._replaces_search and not (kept >= len(self._tracked)).any():
            self.search_soon()
        self._since = self._since[kept]
        self._sure = better_half(score) >= SURE_SCORE
        boxes = [grown(joint_box(joints, scores), BODY_OVER_JOINTS) for joints, scores in zip(xy, score, strict=True)]
        self._tracked = np.array(boxes).reshape(-1, 4)
        self._lost = lost


def better_half(score: Floats) -> Floats:
    """Return the mean score (P,) of each person's better half of joints (P, J).

    COCO-WholeBody's face and hands do not count: a person who turns away has none.
    """
    if score.shape[1] == WHOLEBODY_133.size:
        score = score[:, :WHOLEBODY_BODY]
    return np.asarray(np.sort(score, axis=1)[:, -(score.shape[1] // 2) :].mean(axis=1))


def without_parts(boxes: Floats, score: Floats) -> Floats:
    """Return boxes (N, 4), best first, without low-scoring ones inside a better one."""
    part = np.tril(share_inside(boxes, boxes) > PART_SHARE, k=-1).any(axis=1)
    return np.asarray(boxes[~part | (score >= PART_SCORE)])


def joint_box(xy: Floats, score: Floats) -> Floats:
    """Return the box (4,) px around a person's joints (J, 2): the confident ones, or else all visible ones, or zero."""
    min_score = JOINT_SCORE if (score >= JOINT_SCORE).sum() >= 2 else 1e-6
    return around(xy, score, min_score) if (score >= min_score).any() else np.zeros(4)
