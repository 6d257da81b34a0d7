"""Tracked boxes of one camera: where people are expected next, and when to search the whole image again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.boxes import around, grown, iou, partners, share_inside
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
# A person whom the other cameras predict, but who is not detected there, is looked for again after 1, 2, 4, ... images,
# at most this many: a person behind a wall costs a crop in so many images. By choice.
MAX_PAUSE = 4

NO_BOXES: Floats = np.zeros((0, 4))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes of one image that may hold people: tracked ones first, then predicted ones, then detected ones."""

    boxes: Floats  # (P, 4) left, top, right, bottom px
    score: Floats  # (P,) of the box, from the latest search; 0 where that did not find it
    tracked: int  # number of tracked ones
    known: int  # number of tracked and predicted ones

    def first(self, count: int) -> Candidates:
        """At most so many."""
        return Candidates(self.boxes[:count], self.score[:count], min(self.tracked, count), min(self.known, count))


class BoxTracks:
    """Tracked boxes of one camera; search_due decides when the whole image is searched for people.

    Searched are the first image, then every `every`-th (times SEVERAL_CAMERAS_FACTOR with more than a few cameras),
    the image after a person was lost and again 2, 4, 8, ... images later until one is found, the image after
    search_soon, and every image without a tracked person. Where the other cameras predict a person whom this one does
    not track, the predicted box replaces the search that a loss, or an image without tracked people, would trigger; a
    search follows only if that fails. If that fails too, the predicted box is tried again after a pause that doubles
    each time.
    """

    def __init__(self, every: int, phase: int) -> None:
        """phase shifts the second search and exact detection, so that cameras that start together take turns."""
        self._every, self._phase = every, phase
        self._wait = 0
        self._shift = phase
        self._lost = self._replaces_search = False
        self._hurry = 0  # images between the last two searches for a lost person, 0 without one
        self._pause = self._gap = 0  # images until predicted boxes are tried again, of those between two trials
        self._first_predicted = self._last_predicted = 0  # the candidates between them are predicted boxes
        self._tracked = np.zeros((0, 4))  # left, top, right, bottom px
        self._score = np.zeros(0)  # of the candidates' boxes, then of the tracked ones
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

    def candidates(self, detected: Floats | None, predicted: Floats = NO_BOXES, cameras: int = 1) -> Candidates:
        """Return the candidates of the next image, one of `cameras`.

        detected: boxes and scores (N, 5), best first, if the image was searched; predicted (K, 4) px.
        """
        boxes = tracked = self._tracked
        self._pause = max(self._pause - 1, 0)
        if detected is not None or self._lost or not len(tracked) or not self._pause:
            boxes = np.concatenate((tracked, self._untracked(predicted)))
        self._first_predicted, self._last_predicted = len(tracked), len(boxes)
        self._replaces_search = detected is None and self._lost and len(boxes) > len(tracked)
        self._lost = False
        score = np.concatenate((self._score, np.zeros(len(boxes) - len(tracked))))
        if detected is None:
            self._wait -= 1
            self._score = score
            return Candidates(boxes, score, len(tracked), len(boxes))
        every = self._every * (SEVERAL_CAMERAS_FACTOR if cameras > FEW_CAMERAS else 1)
        self._wait = every - 1 - self._shift % every
        self._shift = 0
        if self._hurry:
            self._hurry = min(2 * self._hurry, every)
            self._wait = min(self._wait, self._hurry - 1)
        own = partners(boxes, detected[:, :4], SAME_PERSON_IOU)
        score = np.where(own >= 0, np.append(detected[:, 4], 0.0)[own], 0.0)
        new = detected[(iou(detected[:, :4], boxes) < SAME_PERSON_IOU).all(axis=1)]
        whole = ~parts(np.concatenate((boxes, new[:, :4])), np.concatenate((np.ones(len(boxes)), new[:, 4])))
        self._score = np.concatenate((score, new[:, 4]))[whole]
        found = np.concatenate((boxes, new[:, :4]))[whole]
        return Candidates(found, self._score, len(tracked), len(boxes))

    def _untracked(self, predicted: Floats) -> Floats:
        """Return the predicted boxes (K, 4) px that are no tracked person's, one to one: people may overlap."""
        return predicted[partners(predicted, self._tracked, SAME_PERSON_IOU) < 0]

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
        found = bool((kept >= len(self._tracked)).any())
        if self._replaces_search and not found:
            self.search_soon()
        tried = self._last_predicted - self._first_predicted
        if tried and ((kept >= self._first_predicted) & (kept < self._last_predicted)).sum() == tried:
            self._gap = self._pause = 0
        elif tried:
            self._gap = self._pause = min(max(2 * self._gap, 1), MAX_PAUSE)
        self._since, self._score = self._since[kept], self._score[kept]
        self._sure = better_half(score) >= SURE_SCORE
        boxes = [grown(joint_box(joints, scores), BODY_OVER_JOINTS) for joints, scores in zip(xy, score, strict=True)]
        self._tracked = np.array(boxes).reshape(-1, 4)
        self._lost = lost
        if lost:
            self._hurry = 1
        elif found:
            self._hurry = 0


def better_half(score: Floats) -> Floats:
    """Return the mean score (P,) of each person's better half of joints (P, J).

    COCO-WholeBody's face and hands do not count: a person who turns away has none.
    """
    if score.shape[1] == WHOLEBODY_133.size:
        score = score[:, :WHOLEBODY_BODY]
    return np.asarray(np.sort(score, axis=1)[:, -(score.shape[1] // 2) :].mean(axis=1))


def parts(boxes: Floats, score: Floats) -> NDArray[np.bool_]:
    """Return which boxes (N, 4), best first, score low and lie inside a better one."""
    inside = np.tril(share_inside(boxes, boxes) > PART_SHARE, k=-1).any(axis=1)
    return np.asarray(inside & (score < PART_SCORE))


def joint_box(xy: Floats, score: Floats) -> Floats:
    """Return the box (4,) px around a person's joints (J, 2): the confident ones, or else all visible ones, or zero."""
    min_score = JOINT_SCORE if (score >= JOINT_SCORE).sum() >= 2 else 1e-6
    return around(xy, score, min_score) if (score >= min_score).any() else np.zeros(4)
