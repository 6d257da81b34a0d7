"""The default detector on a real picture of two people (test/data/detection/README.md), moved about."""

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
    """A detector that has seen nothing yet, and counts its searches for people."""
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


def test_two_people_are_found_once_each_with_score_covariance_box_and_stamp(detector, image):
    found = detector(_frames(cam=image))["cam"]
    assert _holds(found, MAN)
    assert _holds(found, WOMAN)
    assert len(found) <= 3  # the bystander at the image's edge is 30 px wide
    assert found.skeleton.name == "coco_17"
    assert found.stamp_ns == 7
    assert (found.score.mean(axis=1) > 0.4)[:2].all()
    seen = found.score > 0
    assert (np.linalg.eigvalsh(found.covariance[seen]) > 0).all()
    assert np.isnan(found.xy[~seen]).all()


def test_every_camera_of_the_set_has_an_answer(detector, image):
    found = detector(_frames(left=image, right=np.zeros_like(image)))
    assert set(found) == {"left", "right"}
    assert len(found["right"]) == 0
    assert found["right"].covariance.shape == (0, 17, 2, 2)


def test_people_are_followed_without_searching_every_image(detector, image):
    for shift in range(6):
        moved = np.roll(image, 3 * shift, axis=1)
        found = detector(_frames(cam=moved))["cam"]
    assert _holds(found, MAN + np.array([15, 0, 15, 0]))
    assert len(detector.searches) <= 2


def test_a_new_person_is_found_within_the_search_period(detector, image):
    alone = _without(image, WOMAN)
    detector(_frames(cam=alone))
    assert not _holds(detector(_frames(cam=alone))["cam"], WOMAN)
    for _ in range(detector.options.search_every):
        found = detector(_frames(cam=image))["cam"]
    assert _holds(found, WOMAN)


def test_a_person_who_left_is_dropped_and_looked_for_at_once(detector, image):
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


def test_a_sure_new_person_in_one_camera_brings_a_search_of_the_others(detector, image):
    names = ("a", "b", "c", "d")
    alone = _without(image, WOMAN)
    detector(_frames(**dict.fromkeys(names, alone)))
    detector.searches.clear()
    found_in = ""
    for _ in range(20):
        detector.searches.clear()
        found = detector(_frames(**dict.fromkeys(names, image)))
        if found_in:
            break
        found_in = next((name for name in names if _holds(found[name], WOMAN)), "")
    assert found_in
    assert {*names} - {found_in} <= {*detector.searches}
    assert all(_holds(found[name], WOMAN) for name in names)


def test_who_is_lost_is_found_without_a_search_where_the_other_cameras_place_them(detector, image):
    detector(_frames(cam=image))
    detector(_frames(cam=_without(image, WOMAN)))
    detector.searches.clear()
    detector.set_predicted_boxes({"cam": WOMAN[None] + 3})
    assert _holds(detector(_frames(cam=image))["cam"], WOMAN)
    assert detector.searches == []


@pytest.mark.skipif(not bfloat16_runs(), reason="this CPU computes no bfloat16")
def test_half_precision_finds_the_same_people(shared, detector, image):
    full = TopDownDetector(device="cpu", options=DetectorOptions(precision="full"))(_frames(cam=image))["cam"]
    half = TopDownDetector(device="cpu", options=DetectorOptions(precision="half"))(_frames(cam=image))["cam"]
    assert len(full) == len(half)
    sure = full.score > 0.3
    assert np.median(np.linalg.norm(full.xy - half.xy, axis=-1)[sure]) <= 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds(detector, image):
    cpu = TopDownDetector(device="cpu", options=DetectorOptions(precision="full"))(_frames(cam=image))["cam"]
    gpu = TopDownDetector(device="cuda")(_frames(cam=image))["cam"]
    sure = cpu.score > 0.3
    assert np.median(np.linalg.norm(cpu.xy - gpu.xy, axis=-1)[sure]) <= 0.5


def test_joints_outside_the_image_are_absent(detector, image):
    cut = image[: int(WOMAN[1]) + 100]
    found = detector(_frames(cam=cut))["cam"]
    for xy in found.xy:
        inside = xy[np.isfinite(xy).all(axis=1)]
        assert (inside[:, 1] <= len(cut) - 0.5).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (3000, 2, 3)])
def test_an_image_thinner_than_a_pixel_of_the_search_shows_nobody(detector, shape):
    assert len(detector(_frames(cam=np.full(shape, 127, np.uint8)))["cam"]) == 0


def test_missing_weights_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="pose3d models fetch"):
        TopDownDetector()


def test_an_unknown_device_is_refused():
    with pytest.raises(InputError, match="use auto, cpu or cuda"):
        TopDownDetector(device="quantum")


def test_options_are_checked():
    with pytest.raises(OptionError, match="search_every"):
        DetectorOptions(search_every=0)
