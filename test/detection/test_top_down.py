"""The default detector on a real image of two people (test/data/detection/README.md), shifted in various ways."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose3d_ros.detection.boxes import iou
from pose3d_ros.detection.devices import bfloat16_runs
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.top_down import TopDownDetector
from pose3d_ros.errors import InputError, OptionError, WeightsMissingError
from pose3d_ros.structures import FrameSet

DATA = Path(__file__).parents[1] / "data" / "detection"
# The man and the woman of front_image.png, drawn by hand: left, top, right, bottom px.
MAN, WOMAN = np.array([[53.0, 71.0, 123.0, 253.0], [106.0, 170.0, 209.0, 376.0]])


@pytest.fixture(scope="module")
def shared(weights):
    return TopDownDetector(device="cpu")


@pytest.fixture
def detector(shared, monkeypatch):
    """A reset detector that counts its searches for people."""
    shared.reset()
    shared.searches = []
    search = shared._search
    monkeypatch.setattr(shared, "_search", lambda images: shared.searches.extend(images) or search(images))
    return shared


def _frames(**images):
    return FrameSet(images, dict.fromkeys(images, 7))


def _boxes(keypoints):
    return np.concatenate((keypoints.boxes[:, :2], keypoints.boxes[:, :2] + keypoints.boxes[:, 2:]), axis=1)


def _holds(keypoints, person):
    return len(keypoints) > 0 and iou(person[None], _boxes(keypoints)).max() > 0.5


def _without(image, person):
    """The image with a person painted over."""
    left, top, right, bottom = person.astype(int)
    cleared = image.copy()
    cleared[top - 8 : bottom + 8, left - 8 : right + 8] = image.mean(axis=(0, 1))
    return cleared


def test_two_people_are_detected_once_each_with_score_covariance_box_and_stamp(detector, image):
    detected = detector(_frames(cam=image))["cam"]
    assert _holds(detected, MAN)
    assert _holds(detected, WOMAN)
    assert len(detected) <= 3  # the bystander at the image's edge is 30 px wide
    assert detected.skeleton.name == "coco_17"
    assert detected.stamp_ns == 7
    assert (detected.score.mean(axis=1) > 0.4)[:2].all()
    visible = detected.score > 0
    assert (np.linalg.eigvalsh(detected.covariance[visible]) > 0).all()
    assert np.isnan(detected.xy[~visible]).all()


def test_every_camera_of_the_set_has_a_result(detector, image):
    detected = detector(_frames(left=image, right=np.zeros_like(image)))
    assert set(detected) == {"left", "right"}
    assert len(detected["right"]) == 0
    assert detected["right"].covariance.shape == (0, 17, 2, 2)


def test_people_are_tracked_without_searching_every_image(detector, image):
    for shift in range(6):
        moved = np.roll(image, 3 * shift, axis=1)
        detected = detector(_frames(cam=moved))["cam"]
    assert _holds(detected, MAN + np.array([15, 0, 15, 0]))
    assert len(detector.searches) <= 2


def test_new_person_is_detected_within_the_search_period(detector, image):
    alone = _without(image, WOMAN)
    detector(_frames(cam=alone))
    assert not _holds(detector(_frames(cam=alone))["cam"], WOMAN)
    for _ in range(detector.options.search_every):
        detected = detector(_frames(cam=image))["cam"]
    assert _holds(detected, WOMAN)


def test_person_who_left_is_dropped_and_searched_at_once(detector, image):
    detector(_frames(cam=image))
    gone = detector(_frames(cam=np.full_like(image, 128)))["cam"]
    assert len(gone) == 0
    assert _holds(detector(_frames(cam=image))["cam"], MAN)


def test_searches_of_several_cameras_fall_on_different_sets(detector, image):
    names = ("a", "b", "c", "d")
    per_set = []
    for _ in range(2 * detector.options.search_every):
        detector.searches.clear()
        detector(_frames(**dict.fromkeys(names, image)))
        per_set.append(len(detector.searches))
    assert per_set[0] == 4
    assert max(per_set[1:]) <= 2


def test_confident_new_person_in_one_camera_triggers_a_search_of_the_others(detector, image):
    names = ("a", "b", "c", "d")
    alone = _without(image, WOMAN)
    detector(_frames(**dict.fromkeys(names, alone)))
    detector.searches.clear()
    detected_in = ""
    for _ in range(20):
        detector.searches.clear()
        detected = detector(_frames(**dict.fromkeys(names, image)))
        if detected_in:
            break
        detected_in = next((name for name in names if _holds(detected[name], WOMAN)), "")
    assert detected_in
    assert {*names} - {detected_in} <= {*detector.searches}
    assert all(_holds(detected[name], WOMAN) for name in names)


def test_lost_person_is_detected_in_a_predicted_box_without_a_search(detector, image):
    detector(_frames(cam=image))
    detector(_frames(cam=_without(image, WOMAN)))
    detector.searches.clear()
    detector.set_predicted_boxes({"cam": WOMAN[None] + 3})
    assert _holds(detector(_frames(cam=image))["cam"], WOMAN)
    assert detector.searches == []


@pytest.mark.skipif(not bfloat16_runs(), reason="this CPU computes no bfloat16")
def test_half_precision_detects_the_same_people(shared, detector, image):
    full = TopDownDetector(device="cpu", options=DetectorOptions(precision="full"))(_frames(cam=image))["cam"]
    half = TopDownDetector(device="cpu", options=DetectorOptions(precision="half"))(_frames(cam=image))["cam"]
    assert len(full) == len(half)
    sure = full.score > 0.3
    assert np.median(np.linalg.norm(full.xy - half.xy, axis=-1)[sure]) <= 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_and_cpu_detect_the_same_people(detector, image):
    cpu = TopDownDetector(device="cpu", options=DetectorOptions(precision="full"))(_frames(cam=image))["cam"]
    gpu = TopDownDetector(device="cuda")(_frames(cam=image))["cam"]
    sure = cpu.score > 0.3
    assert np.median(np.linalg.norm(cpu.xy - gpu.xy, axis=-1)[sure]) <= 0.5


def test_joints_outside_the_image_are_absent(detector, image):
    cut = image[: int(WOMAN[1]) + 100]
    detected = detector(_frames(cam=cut))["cam"]
    for xy in detected.xy:
        inside = xy[np.isfinite(xy).all(axis=1)]
        assert (inside[:, 1] <= len(cut) - 0.5).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (3000, 2, 3)])
def test_image_thinner_than_a_search_pixel_gives_no_people(detector, shape):
    assert len(detector(_frames(cam=np.full(shape, 127, np.uint8)))["cam"]) == 0


def test_missing_weights_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="pose3d models fetch"):
        TopDownDetector()


def test_unknown_device_is_rejected():
    with pytest.raises(InputError, match="use auto, cpu or cuda"):
        TopDownDetector(device="quantum")


def test_options_are_checked():
    with pytest.raises(OptionError, match="search_every"):
        DetectorOptions(search_every=0)
