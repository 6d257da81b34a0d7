"""Cameras whose stamps do not meet are named with their distance, and lost images are not taken for that."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.ros.diagnostics import KEYPOINTS_FIX, Level, Record
from pose3d_ros.synchronisation.stamp_checks import StampChecks
from pose3d_ros.synchronisation.stamp_distances import Stream, none_agree, stamp_differences

PERIOD_NS = 33_333_333
STAMPS_NS = 1_700_000_000 * 10**9 + PERIOD_NS * np.arange(200)


def stream(name: str, by_ms: float = 0.0, lost: float = 0.0, every: int = 1) -> Stream:
    """A camera whose stamps are so much later, of whose images a share is lost."""
    kept = np.random.default_rng(len(name)).random(len(STAMPS_NS)) >= lost
    stamps = (STAMPS_NS + round(1e6 * by_ms))[kept][::every]
    return Stream(name, f"/{name}/image_raw", tuple(int(one) for one in stamps))


def test_fault_stamps_apart_and_images_lost() -> None:
    """Fault: cameras that do not keep step lose half of their images as well.
    Sees: ERROR "no poses yet: no two cameras' stamps agree: ... are 17 ms apart", then the loss.
    Recovers: by itself when the cameras are triggered at once.
    Kind: K7
    Before: "45% of the images on /left/image_raw are lost" alone.
    """
    streams = stream("left", lost=0.45), stream("right", 16.6, lost=0.45)
    checks = StampChecks()
    for n, stamp_ns in enumerate(streams[0].stamps_ns):
        checks.check(stamp_ns, stamp_ns, 0.033 * n)
    lost = checks.words("/left/image_raw", "images", 7.0)
    assert "lost" in lost[0]
    record = Record(apart=lambda: none_agree(streams, 0.01))
    record.heard(6.9)
    health = record.health(7.0, lost, {})
    assert health.level is Level.ERROR
    first, second = health.message.index("no two cameras' stamps agree"), health.message.index("are lost")
    assert first < second
    assert "/left/image_raw and /right/image_raw: their stamps are 17 ms apart" in health.message


@pytest.mark.parametrize(
    "streams",
    [
        (stream("left"), stream("right", 4.0)),
        (stream("left", lost=0.65), stream("right", lost=0.65)),
        (stream("left"), stream("right", every=2)),
        (stream("left", every=3), stream("right", 3.0, lost=0.3)),
    ],
    ids=["4 ms", "both lose two of three", "half the rate", "a third of the rate, and loss"],
)
def test_synchronous_cameras_agree_despite_losses(streams: tuple[Stream, Stream]) -> None:
    assert none_agree(streams, 0.01) == ""
    assert list(stamp_differences(streams, 0.01)) == []


def test_one_unsynchronised_camera_of_many_is_the_only_finding() -> None:
    streams = [stream(f"camera_{n}", 15.0 if n == 7 else 0.0) for n in range(12)]
    found = list(stamp_differences(streams, 0.01))
    assert len(found) == 1
    assert "camera_7" in {one.name for one in found[0][:2]}
    assert none_agree(streams, 0.01) == ""


def test_detectors_that_skip_each_others_images_must_keep_up() -> None:
    """Keypoints of every second image each, of one machine the even and of the other the odd ones."""
    even = Stream("left", "/left/keypoints_2d", tuple(int(one) for one in STAMPS_NS[::2]))
    odd = Stream("right", "/right/keypoints_2d", tuple(int(one) for one in STAMPS_NS[1::2]))
    words = none_agree((even, odd), 0.01, KEYPOINTS_FIX)
    assert "their stamps are 33 ms apart" in words
    assert "keep up with its camera" in words
    assert "PTP" not in words
