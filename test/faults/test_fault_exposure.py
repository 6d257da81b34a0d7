"""Images that show nothing are named, and dark or bright ones that show something are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pose3d_ros.monitoring.exposure import Exposure, ExposureCounts, exposure, exposure_warnings
from pose3d_ros.ros.diagnostics import Level, Record, Result
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Keypoints2D

Image = np.ndarray
SIZE = (480, 640, 3)
RNG = np.random.default_rng(0)


def noisy(mean: float, std: float) -> Image:
    """An even surface as a sensor sees it."""
    return np.clip(RNG.normal(mean, std, SIZE), 0, 255).astype(np.uint8)


def dark_room() -> Image:
    """Furniture between 8 and 60 of 255."""
    image = noisy(8, 3)
    image[200:400, 100:300] = noisy(60, 6)[:200, :200]
    return image


def night_with_a_lamp() -> Image:
    """One lamp of 20 x 20 px in a black night."""
    image = noisy(4, 2)
    image[50:70, 500:520] = 230
    return image


def bright_wall() -> Image:
    """A wall between 235 and 252."""
    return noisy(243, 4)


def person_before_a_white_wall() -> Image:
    """The wall is saturated, the person is not, 9 % of the image."""
    image = np.full(SIZE, 255, dtype=np.uint8)
    image[90:390, 280:370] = noisy(120, 20)[:300, :90]
    return image


NOTHING = {
    "covered lens": ("dark", lambda: np.zeros(SIZE, dtype=np.uint8)),
    "black of video range": ("dark", lambda: np.full(SIZE, 16, dtype=np.uint8)),
    "noise of a dark sensor": ("dark", lambda: noisy(8, 6)),
    "hot pixels": ("dark", lambda: _with_hot_pixels(noisy(4, 2))),
    "saturated": ("bright", lambda: np.full(SIZE, 255, dtype=np.uint8)),
    "nearly saturated": ("bright", lambda: noisy(254, 1)),
}
SOMETHING = {
    "dark room": dark_room,
    "night with a lamp": night_with_a_lamp,
    "bright wall": bright_wall,
    "person before a white wall": person_before_a_white_wall,
    "even grey": lambda: np.full(SIZE, 128, dtype=np.uint8),
}


def _with_hot_pixels(image: Image) -> Image:
    image[RNG.integers(0, 480, 30), RNG.integers(0, 640, 30)] = 255
    return image


@pytest.mark.parametrize("case", NOTHING)
def test_fault_images_that_show_nothing(case: str) -> None:
    """Fault: the images of one camera are nearly black (covered, unlit) or overexposed.
    Sees: after 2 s WARN "images of camera 'left' have been nearly black: is its lens covered, the light off, ...".
    Recovers: by itself with the first image that shows something.
    Kind: K3
    Before: "running, 0 people", level OK.
    """
    shows, make = NOTHING[case]
    record, other = Record(), dark_room()
    image = make()
    for k in range(9):
        assert record.health(0.25 * k, [], {}).level is not Level.WARN
        record.decoded(0.25 * k, {"left": image, "right": other})
        record.processed(0.25 * k, Result({}, 30.0, 0.0, 0, ("left", "right")))
    health = record.health(2.1, [], {})
    assert health.level is Level.WARN
    assert f"camera 'left' have been {'nearly black' if shows == 'dark' else 'overexposed'}" in health.message
    assert "right" not in health.message
    record.decoded(2.4, {"left": other, "right": other})
    record.processed(2.5, Result({}, 30.0, 0.0, 0, ("left", "right")))
    assert record.health(2.6, [], {}).level is Level.OK


@pytest.mark.parametrize("case", SOMETHING)
@pytest.mark.parametrize("view", [lambda image: image, lambda image: image[::4, ::4], lambda image: image[..., 0]])
def test_dark_and_bright_images_that_show_something_are_left_alone(case: str, view: Callable[[Image], Image]) -> None:
    assert exposure(view(SOMETHING[case]())) == ""


def test_one_image_alone_is_no_stream() -> None:
    watch, black = Exposure(), np.zeros(SIZE, dtype=np.uint8)
    for k in range(40):
        watch.add("left", black if k % 10 < 7 else dark_room(), 0.25 * k)
        assert not watch.faults(0.25 * k)
    watch.add("left", black, 60.0)  # a camera that was away
    assert not watch.faults(60.0)
    watch.add("left", Keypoints2D.empty(COCO_17), 60.3)
    assert not watch.faults(60.3)


def test_a_recording_names_the_camera_that_showed_nothing() -> None:
    parts = []
    for _ in range(2):
        counts = ExposureCounts()
        for k in range(8):
            counts.add("cam01", np.zeros(SIZE, dtype=np.uint8))
            counts.add("cam02", np.zeros(SIZE, dtype=np.uint8) if k < 3 else dark_room())
        parts.append(counts.counts)
    (warning,) = exposure_warnings(parts)
    assert warning.startswith("100% of the images of camera 'cam01' are nearly black")
