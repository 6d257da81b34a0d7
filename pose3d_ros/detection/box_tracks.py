"""Where one camera's people are expected next, and when to search the whole image again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.boxes import around, grown, iou, share_inside
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats

# A found box that overlaps a followed one by less than this is another person.
SAME_PERSON_IOU = 0.3
# A found box that lies in a better one by more than this is most likely a part of that person (an arm, the upper half),
# unless it is this sure. This halves the boxes that a search gives on the footage; as many people are found.
PART_SHARE = 0.7
PART_SCORE = 0.3
# Joints below this score do not shape the next box, if there are two better ones.
JOINT_SCORE = 0.2
# Joints lie inside the body's outline: a person's box is about this much larger than the box of the joints.
BODY_OVER_JOINTS = 1.2
# With two networks (detector auto), who is looked at closely, by the more exact one: people who are new; then each
# person in every n-th image. Sure is whose better half of joints has this mean score: 19 of 20 people of the footage by
# MoveNet Lightning.
SURE_SCORE = 0.65
SURE_EVERY, UNSURE_EVERY = 32, 4
# Where few cameras see a person, errors in one do not average out, so all are always looked at closely: cam03 and cam04
# of the single-person footage agree to 56.2 mm with the reference then, to 58.9 at 2, and to 62.1 at 32.
FEW_CAMERAS = 2
# More cameras are searched this much more seldom each: a person who is new to one of them brings a search of all.
SEVERAL_SELDOM = 2

NO_BOXES: Floats = np.zeros((0, 4))


class BoxTracks:
    """One camera's followed boxes; to_search says when the image is searched for people.

    The first image is searched, then one in `every` (times SEVERAL_SELDOM where there are more than a few cameras), the
    image after a person was lost, and the one after search_soon. An image without a person to follow is always
    searched. Where the other cameras place a person whom this one does not follow (predicted), that place is looked at
    instead of the search that a loss, or an image without followed people, would bring, and a search follows only where
    that fails.
    """

    def __init__(self, every: int, phase: int) -> None:
        """phase shifts the second search and close look, so that cameras that start together have theirs in turn."""
        self._every, self._phase = every, phase
        self._wait = 0
        self._shift = phase
        self._lost = self._instead = False
        self._followed = np.zeros((0, 4))  # left, top, right, bottom px
        self._sure = np.zeros(0, dtype=bool)  # of each
        self._since = np.zeros(0, dtype=np.intp)  # images since each was looked at closely

    def state_dict(self) -> dict[str, Any]:
        """Images until the next search, its shift, losses, the followed boxes and how they were seen."""
        return state_of(self, ("_every", "_phase"))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state, ("_every", "_phase"))

    def search_soon(self) -> None:
        """Search the next image."""
        self._wait = 0

    def to_search(self, predicted: Floats = NO_BOXES) -> bool:
        """Whether the next image is to be searched; predicted (K, 4) px are people whom the other cameras place."""
        return self._wait == 0 or ((self._lost or not len(self._followed)) and not len(self._unseen(predicted)))

    def expected(self, found: Floats | None, predicted: Floats = NO_BOXES, cameras: int = 1) -> tuple[Floats, int]:
        """Boxes (P, 4) px to look into, those followed first, and how many those are.

        found are the boxes and scores (N, 5), best first, of an image, one of `cameras`, that was searched.
        """
        boxes = followed = self._followed
        if found is not None or self._lost or not len(followed):
            boxes = np.concatenate((followed, self._unseen(predicted)))
        self._instead = found is None and self._lost and len(boxes) > len(followed)
        self._lost = False
        if found is None:
            self._wait -= 1
            return boxes, len(followed)
        every = self._every * (SEVERAL_SELDOM if cameras > FEW_CAMERAS else 1)
        self._wait = every - 1 - self._shift % every
        self._shift = 0
        new = (iou(found[:, :4], boxes) < SAME_PERSON_IOU).all(axis=1)
        score = np.concatenate((np.ones(len(boxes)), found[new, 4]))
        return without_parts(np.concatenate((boxes, found[new, :4])), score), len(followed)

    def _unseen(self, predicted: Floats) -> Floats:
        """Those of the predicted (K, 4) px that are none of the followed."""
        return predicted[(iou(predicted, self._followed) < SAME_PERSON_IOU).all(axis=1)]

    def closely(self, count: int, cameras: int, spare: int = 0) -> NDArray[np.bool_]:
        """Which of the first `count` boxes that expected gave are looked at closely in this image, one of `cameras`.

        A box that is new where others are followed is most often no person (a part of one, a coat), so it is looked
        at closely in the image after this, if it is followed then. spare more than those whose turn it is, those who
        have waited the longest, are looked at closely too.
        """
        few = cameras <= FEW_CAMERAS
        often, seldom = (1, 1) if few else (UNSURE_EVERY, SURE_EVERY)
        known = min(len(self._followed), count)
        since = self._since[:known]
        close = since >= np.where(self._sure[:known], seldom, often) - 1
        close[np.argsort(np.where(close, -1, since), kind="stable")[::-1][:spare]] = True
        new = few or not known
        later = self._phase % seldom if new else seldom
        self._since = np.concatenate((np.where(close, 0, since + 1), np.full(count - known, later)))
        return np.concatenate((close, np.full(count - known, new)))

    def follow(self, xy: Floats, score: Floats, kept: NDArray[np.intp], lost: bool) -> None:
        """Take in the people that were seen, xy (P, 17, 2) px and score (P, 17); lost: one who was followed was not.

        kept (P,) are their numbers among the boxes that closely was asked for.
        """
        if self._instead and not (kept >= len(self._followed)).any():
            self.search_soon()
        self._since = self._since[kept]
        self._sure = better_half(score) >= SURE_SCORE
        boxes = [grown(joint_box(one, s), BODY_OVER_JOINTS) for one, s in zip(xy, score, strict=True)]
        self._followed = np.array(boxes).reshape(-1, 4)
        self._lost = lost


def better_half(score: Floats) -> Floats:
    """Mean score (P,) of each person's better half of joints (P, J)."""
    return np.asarray(np.sort(score, axis=1)[:, -(score.shape[1] // 2) :].mean(axis=1))


def without_parts(boxes: Floats, score: Floats) -> Floats:
    """Boxes (N, 4), best first, without the unsure ones that lie in a better one."""
    part = np.tril(share_inside(boxes, boxes) > PART_SHARE, k=-1).any(axis=1)
    return np.asarray(boxes[~part | (score >= PART_SCORE)])


def joint_box(xy: Floats, score: Floats) -> Floats:
    """Box (4,) px around a person's joints (J, 2): the surer ones, or all that are seen; zero if none is."""
    least = JOINT_SCORE if (score >= JOINT_SCORE).sum() >= 2 else 1e-6
    return around(xy, score, least) if (score >= least).any() else np.zeros(4)
