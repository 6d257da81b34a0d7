"""Two networks as one: each person by the chosen network, in the order of the boxes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.detection.box_tracks import SURE_EVERY
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.keypoint_head import FoundKeypoints, LightAndExact
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import FrameSet

DATA = Path(__file__).parents[1] / "data" / "detection"


class _FakeHead:
    """Returns the box's left edge as x of every joint, and its own score; records the number of boxes."""

    skeleton, device, backend = COCO_17, "cpu", "torch"

    def __init__(self, name, score):
        self.name, self.score, self.counts = name, score, []

    def __call__(self, images, boxes, use_exact):
        assert len(images) == len(boxes) == len(use_exact)
        self.counts.append(len(boxes))
        left = boxes[:, :1]
        xy = np.stack((np.repeat(left, 17, axis=1), np.full((len(boxes), 17), 3.0)), axis=-1)
        return FoundKeypoints(xy, np.full((len(boxes), 17), self.score), left[:, 0] + self.score)


@pytest.mark.parametrize(
    "use_exact", [[], [True], [False], [False, True, True, False, True], [True, True], [False, False, False]]
)
def test_each_person_is_detected_by_the_chosen_network(use_exact):
    light, exact = _FakeHead("light", 0.25), _FakeHead("exact", 0.75)
    boxes = np.arange(len(use_exact) * 4, dtype=float).reshape(-1, 4)
    detected = LightAndExact(light, exact)(
        [np.zeros((9, 9, 3), np.uint8)] * len(use_exact), boxes, np.array(use_exact, bool)
    )
    assert detected.xy[:, 0, 0].tolist() == boxes[:, 0].tolist()
    assert detected.score[:, 0].tolist() == [0.75 if flag else 0.25 for flag in use_exact]
    assert detected.crop_scale.tolist() == (boxes[:, 0] + detected.score[:, 0]).tolist()
    assert (light.counts, exact.counts) == ([use_exact.count(False)], [use_exact.count(True)])


@pytest.fixture(scope="module")
def frames():
    image = cv2.imread(str(DATA / "front_image.png"))
    images = {name: np.roll(image, shift, axis=1) for shift, name in enumerate(("left", "middle", "right"))}
    return FrameSet(images, dict.fromkeys(images, 7))


def test_new_people_are_detected_by_thunder_and_then_mostly_by_lightning(weights, frames):
    alone = {
        name: make_detector(DetectorOptions(detector=name), "cpu")(frames)["left"]
        for name in ("topdown", "movenet-lightning")
    }
    detector = make_detector(DetectorOptions(detector="auto"), "cpu")
    first, second = detector(frames)["left"], detector(frames)["left"]
    np.testing.assert_allclose(first.xy, alone["topdown"].xy, atol=0.05)
    assert len(second) == len(first)
    assert not np.allclose(second.xy, first.xy, atol=0.05, equal_nan=True)
    assert detector.name == "nanodet+movenet-auto"


def test_restored_detector_gives_the_same_keypoints(weights, frames):
    """Also when the exact network is used: the state is saved between two of its uses."""
    original, resumed = (make_detector(DetectorOptions(detector="auto"), "cpu") for _ in range(2))
    for _ in range(5):
        original(frames)
    resumed.load_state_dict(original.state_dict())
    for _ in range(SURE_EVERY):
        expected, detected = original(frames), resumed(frames)
        for camera in frames.images:
            np.testing.assert_array_equal(detected[camera].xy, expected[camera].xy)
