"""Two networks as one: each person by the one that is due, in the order of the boxes."""

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


class _Finder:
    """Gives every joint of a box the box's left edge as x, and its own score; remembers how many it was asked for."""

    skeleton, device, backend = COCO_17, "cpu", "torch"

    def __init__(self, name, score):
        self.name, self.score, self.asked = name, score, []

    def __call__(self, images, boxes, closely):
        assert len(images) == len(boxes) == len(closely)
        self.asked.append(len(boxes))
        left = boxes[:, :1]
        xy = np.stack((np.repeat(left, 17, axis=1), np.full((len(boxes), 17), 3.0)), axis=-1)
        return FoundKeypoints(xy, np.full((len(boxes), 17), self.score), left[:, 0] + self.score)


@pytest.mark.parametrize(
    "closely", [[], [True], [False], [False, True, True, False, True], [True, True], [False, False, False]]
)
def test_each_person_is_found_by_the_network_that_is_due(closely):
    light, exact = _Finder("light", 0.25), _Finder("exact", 0.75)
    boxes = np.arange(len(closely) * 4, dtype=float).reshape(-1, 4)
    found = LightAndExact(light, exact)([np.zeros((9, 9, 3), np.uint8)] * len(closely), boxes, np.array(closely, bool))
    assert found.xy[:, 0, 0].tolist() == boxes[:, 0].tolist()
    assert found.score[:, 0].tolist() == [0.75 if one else 0.25 for one in closely]
    assert found.crop_scale.tolist() == (boxes[:, 0] + found.score[:, 0]).tolist()
    assert (light.asked, exact.asked) == ([closely.count(False)], [closely.count(True)])


@pytest.fixture(scope="module")
def frames():
    image = cv2.imread(str(DATA / "front_image.png"))
    images = {name: np.roll(image, shift, axis=1) for shift, name in enumerate(("left", "middle", "right"))}
    return FrameSet(images, dict.fromkeys(images, 7))


def test_new_people_are_found_by_thunder_and_then_most_by_lightning(weights, frames):
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


def test_a_detector_goes_on_from_its_state_to_the_same_keypoints(weights, frames):
    """Also who is looked at closely when: the state is taken between two close looks."""
    whole, resumed = (make_detector(DetectorOptions(detector="auto"), "cpu") for _ in range(2))
    for _ in range(5):
        whole(frames)
    resumed.load_state_dict(whole.state_dict())
    for _ in range(SURE_EVERY):
        wanted, found = whole(frames), resumed(frames)
        for camera in frames.images:
            np.testing.assert_array_equal(found[camera].xy, wanted[camera].xy)
