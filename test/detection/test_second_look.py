"""Who is looked at again and what comes of it, with keypoint heads whose answers are known."""

import numpy as np
import pytest

from pose3d_ros.detection import second_look, top_down
from pose3d_ros.detection.box_tracks import Candidates
from pose3d_ros.detection.keypoint_head import FoundKeypoints
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.people import people
from pose3d_ros.detection.second_look import (
    HOPELESS,
    SURE_MARGIN,
    Wanted,
    astray,
    combined,
    look_again,
    person_scores,
    wanted,
)
from pose3d_ros.detection.top_down import TopDownDetector
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import FrameSet, Skeleton

PERSON_SCORE = DetectorOptions().person_score
SIZE_HW = (480, 640)
FRONT, REAR = np.array([[200.0, 100, 280, 400], [220.0, 60, 340, 380]])
# Where joints are in their person's box: no two in one place, left and right apart.
GRID = np.stack(np.divmod(np.arange(17), 5), axis=1) / 4.0


def _pose(box):
    """(17, 2) px, spread over a box."""
    return box[:2] + GRID[:, ::-1] * (box[2:] - box[:2])


class _DotHead:
    """Reads one bright dot a joint, the joint's number + 1 as blue, in its crop; gives the scores of the list."""

    name, skeleton, device, backend = "dots", COCO_17, "cpu", "torch"

    def __init__(self, scores):
        self.scores, self.runs, self.exact = list(scores), 0, []

    def __call__(self, images, boxes, exact):
        assert len(images) == len(boxes) == len(exact)
        self.runs += len(boxes)
        self.exact += exact.tolist()
        xy = np.zeros((len(boxes), 17, 2))
        for row, image in enumerate(images):
            for joint in range(17):
                y, x = np.nonzero((image[..., 0] == joint + 1) & (image[..., 1] == 255))
                xy[row, joint] = (x.mean(), y.mean()) if len(x) else np.nan
        score = np.array([np.full(17, self.scores.pop(0)) for _ in boxes]).reshape(-1, 17)
        return FoundKeypoints(xy, score, np.ones(len(boxes)))


def _dots(*poses):
    """An image with a dot for each joint."""
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    for pose in poses:
        for joint, (x, y) in enumerate(np.round(pose).astype(int)):
            if 0 <= x < SIZE_HW[1] and 0 <= y < SIZE_HW[0]:
                image[y, x] = (joint + 1, 255, 0)
    return image


def _first(poses, scores, skeleton=COCO_17):
    xy = np.array(poses)
    return people(
        FoundKeypoints(xy, np.repeat(np.array(scores)[:, None], 17, axis=1), np.ones(len(xy))), skeleton, SIZE_HW, 7
    )


def _candidates(boxes, score=None, known=0):
    boxes = np.array(boxes)
    return Candidates(boxes, np.full(len(boxes), 0.8) if score is None else np.array(score), known, known)


@pytest.mark.parametrize(
    ("score", "again"),
    [(HOPELESS - 0.01, False), (0.35, True), (PERSON_SCORE + SURE_MARGIN + 0.01, False), (0.9, False)],
)
def test_only_unsure_keypoints_are_looked_at_again(score, again):
    assert wanted(_first([_pose(FRONT)], [score]), _candidates([FRONT]), PERSON_SCORE) == ([Wanted(0)] if again else [])


def test_weak_box_with_weak_keypoints_is_worth_no_second_look_unless_known():
    detections = _first([_pose(FRONT)], [0.35])
    assert wanted(detections, _candidates([FRONT], [0.2]), PERSON_SCORE) == []
    assert wanted(detections, _candidates([FRONT], [0.0], known=1), PERSON_SCORE) == [Wanted(0, replaces=False)]


def test_known_box_that_gave_the_front_persons_keypoints_is_looked_at_again():
    """The front person's keypoints fit the second box, so the first one lacks its person."""
    detections = _first([_pose(FRONT), _pose(FRONT) + 1], [0.9, 0.8])
    assert wanted(detections, _candidates([REAR, FRONT], known=2), PERSON_SCORE) == [Wanted(0, front=1)]
    assert wanted(detections, _candidates([REAR, FRONT]), PERSON_SCORE) == []  # only detected
    assert wanted(detections, _candidates([FRONT + 3, FRONT], known=2), PERSON_SCORE) == []  # the same box


def test_known_person_with_some_of_the_front_persons_keypoints_is_looked_at_again():
    mixed = _pose(REAR)
    mixed[:7] = _pose(FRONT)[:7]  # head and shoulders
    detections = _first([mixed, _pose(FRONT)], [0.7, 0.9])
    expected = [Wanted(0, front=1, replaces=False)]
    assert wanted(detections, _candidates([REAR, FRONT], known=2), PERSON_SCORE) == expected
    apart = _first([_pose(REAR) + 60, _pose(FRONT)], [0.7, 0.9])
    assert wanted(apart, _candidates([REAR + 60, FRONT], known=2), PERSON_SCORE) == []


def test_score_of_a_sure_box_raises_weak_keypoints_but_not_hopeless_ones():
    joints = np.repeat(np.array([[0.35], [0.35], [0.7], [0.1]]), 17, axis=1)
    scores = person_scores(joints, np.array([0.8, 0.0, 0.2, 0.9]))
    assert scores[0] > PERSON_SCORE
    np.testing.assert_allclose(scores[1:], [0.35, 0.7, 0.1])


@pytest.mark.parametrize("box", [FRONT, np.array([0.0, 100, 60, 400]), np.array([580.0, 300, 639, 479])])
def test_flipped_crop_comes_back_with_left_and_right_exchanged(box):
    """The head sees the flipped picture as it is: its left joints are the dots of the person's right ones."""
    pose = np.round(_pose(box))

    class Mirrored(_DotHead):
        def __call__(self, images, boxes, exact):
            found = super().__call__(images, boxes, exact)
            last = slice(len(boxes) // 2, None)  # the flipped ones: a network names sides by what it sees
            found.xy[last] = found.xy[last][:, list(COCO_17.other_side)]
            return found

    head = Mirrored([0.2, 0.8])  # the flipped look is the better one
    found = look_again(head, [_dots(pose)], box[None], [None])
    assert head.exact == [True, True]
    np.testing.assert_allclose(found.xy[0], pose, atol=1e-9)


def test_skeleton_without_sides_is_not_flipped():
    head = _DotHead([0.7])
    head.skeleton = Skeleton("chain", COCO_17.joint_names, (-1,) * 17, ())
    found = look_again(head, [_dots(_pose(FRONT))], FRONT[None], [None])
    assert head.runs == 1
    np.testing.assert_allclose(found.xy[0], np.round(_pose(FRONT)), atol=1e-9)


def test_looks_are_averaged_where_they_agree_and_the_better_one_counts_elsewhere():
    pose = _pose(FRONT)
    other = pose + np.array([2.0, 0.0])
    other[9] += 90  # a wrist on another person
    looks = FoundKeypoints(
        np.stack((pose, other))[:, None], np.stack((np.full(17, 0.6), np.full(17, 0.3)))[:, None], np.ones((2, 1))
    )
    found = combined(looks)
    np.testing.assert_allclose(found.xy[0, 9], pose[9])
    np.testing.assert_allclose(found.xy[0, 5], pose[5] + (2 * 0.3 / 0.9, 0.0))
    np.testing.assert_allclose(found.score[0, [5, 9]], [0.45, 0.6])


def test_joints_outside_the_candidates_box_are_astray():
    found = FoundKeypoints(np.stack((_pose(FRONT), _pose(FRONT + 300))), np.full((2, 17), 0.8), np.ones(2))
    assert astray(found, np.stack((FRONT, FRONT)), np.array([True, False])).tolist() == [False, True]


# The detector as a whole, with the boxes of a search and the head replaced.


class _Scripted:
    """Poses and scores by call: the first look's, then those of the second look, unflipped and flipped alike."""

    name, skeleton, device, backend = "scripted", COCO_17, "cpu", "torch"

    def __init__(self, *calls):
        self.calls, self.boxes, self.images = list(calls), [], []

    def __call__(self, images, boxes, exact):
        self.boxes.append(boxes)
        self.images.append(images)
        if not len(boxes):
            return FoundKeypoints(np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros(0))
        poses, scores = self.calls.pop(0)(images, boxes) if self.calls else ([_pose(box) for box in boxes], [0.9] * 9)
        score = np.repeat(np.array(scores[: len(boxes)])[:, None], 17, axis=1)
        return FoundKeypoints(np.array(poses), score, np.ones(len(boxes)))


def _of_boxes(score):
    return lambda images, boxes: ([_pose(box) for box in boxes], [score] * len(boxes))


def _centred(boxes, like):
    """A pose as large as the box `like` in the middle of each box; the last half are looks at the flipped person."""
    poses = []
    for row, middle in enumerate((boxes[:, :2] + boxes[:, 2:]) / 2):
        pose = _pose(like) - (like[:2] + like[2:]) / 2
        if row >= len(boxes) // 2:
            pose = (pose * (-1, 1))[list(COCO_17.other_side)]
        poses.append(middle + pose)
    return poses


def _inside(score):
    return lambda images, boxes: (_centred(boxes, FRONT), [score] * len(boxes))


@pytest.fixture
def detector_of(weights, monkeypatch):
    def make(head, *detected):
        detector = TopDownDetector("cpu", DetectorOptions(), head)
        boxes = np.array(detected).reshape(-1, 5)
        monkeypatch.setattr(detector, "_search", lambda images: dict.fromkeys(images, boxes))
        return detector

    return make


def _frames():
    return FrameSet({"cam": np.zeros((*SIZE_HW, 3), np.uint8)}, {"cam": 7})


def test_sure_person_costs_exactly_one_run(detector_of):
    head = _Scripted(_of_boxes(0.9))
    assert len(detector_of(head, [*FRONT, 0.3])(_frames())["cam"]) == 1
    assert [len(boxes) for boxes in head.boxes] == [1]


@pytest.mark.parametrize(
    ("box_score", "second", "admitted"),
    [(0.75, 0.35, True), (0.75, 0.2, False), (0.35, 0.35, False), (0.35, 0.6, True)],
)
def test_unsure_person_is_admitted_by_the_score_of_box_and_second_look(detector_of, box_score, second, admitted):
    head = _Scripted(_of_boxes(0.38), _inside(second))
    found = detector_of(head, [*FRONT, box_score])(_frames())["cam"]
    assert [len(boxes) for boxes in head.boxes] == [1, 2]
    assert len(found) == admitted
    if admitted:
        np.testing.assert_allclose(found.xy[0], _pose(FRONT), atol=1e-6)


def test_predicted_box_revives_the_person_hidden_behind_another(detector_of):
    """The head gives the front person while that one is in the picture; without, the rear one."""

    class Salient(_Scripted):
        painted = 0

        def __call__(self, images, boxes, exact):
            found = super().__call__(images, boxes, exact)
            for row, pose in enumerate(_centred(boxes, REAR)):
                if (images[row] == second_look.GREY).all(axis=-1).any():
                    self.painted += 1
                    found.xy[row] = pose
            return found

    head = Salient(*[lambda images, boxes: ([_pose(FRONT)] * len(boxes), [0.9] * len(boxes))] * 4)
    detector = detector_of(head, [*FRONT, 0.8])
    assert len(detector(_frames())["cam"]) == 1
    assert head.painted == 0
    detector.set_predicted_boxes({"cam": np.stack((FRONT, REAR))})
    found = detector(_frames())["cam"]
    assert head.painted == 2  # flipped and larger
    assert len(found) == 2
    rear = found.xy[np.argmin(np.abs(found.xy - _pose(REAR)).sum(axis=(1, 2)))]
    np.testing.assert_allclose(rear, _pose(REAR), atol=1e-6)


def test_second_look_at_the_border_keeps_joints_where_they_are(detector_of):
    """A person cut off by the border: the crop reaches beyond the image, the keypoints stay in its coordinates."""
    box = np.array([590.0, 180, 639, 479])

    def dots(images, boxes):
        return _DotHead([0.45] * len(boxes))(images, boxes, np.ones(len(boxes), bool)).xy, [0.45] * len(boxes)

    def flipped_dots(images, boxes):
        poses, scores = dots(images, boxes)
        poses[len(boxes) // 2 :] = poses[len(boxes) // 2 :][:, list(COCO_17.other_side)]
        return poses, scores

    head = _Scripted(dots, flipped_dots)
    detector = detector_of(head, [*box, 0.7])
    pose = np.round(_pose(box))
    found = detector(FrameSet({"cam": _dots(pose)}, {"cam": 7}))["cam"]
    assert [len(boxes) for boxes in head.boxes] == [1, 2]
    assert len(found) == 1
    np.testing.assert_allclose(found.xy[0], pose, atol=1e-6)


def test_second_look_elsewhere_leaves_a_tracked_person_as_before_and_drops_a_new_one(detector_of, monkeypatch):
    head = _Scripted(_of_boxes(0.45), _inside(0.8))
    detector = detector_of(head, [*FRONT, 0.8])
    monkeypatch.setattr(top_down, "astray", lambda keypoints, boxes, hidden: np.ones(len(boxes), bool))
    assert len(detector(_frames())["cam"]) == 0
    head = _Scripted(_of_boxes(0.9), _of_boxes(0.45), _inside(0.8))
    detector = detector_of(head, [*FRONT, 0.8])
    assert len(detector(_frames())["cam"]) == 1
    kept = detector(_frames())["cam"]
    assert len(kept) == 1
    np.testing.assert_allclose(kept.score[0], 0.45)
