"""The images of several cameras, each on its own clock: what calibration by people and synchronisation start from.

A set that read() gives has one image of each camera, for the detector to take at once; its images are not of one time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings.bag_recording import COMPRESSED, BagRecording, header_stamp_ns
from pose3d_ros.recordings.image_messages import bgr_from_compressed, bgr_from_raw
from pose3d_ros.recordings.playback import run_ahead
from pose3d_ros.recordings.video_times import VideoTimes, frames_at, video_times
from pose3d_ros.structures import FrameSet

Stamps = NDArray[np.int64]
Image = NDArray[np.uint8]
# Images a second to use: 99 % of the power of gait is below 6 Hz (Winter, Biomechanics and Motor Control of Human
# Movement), which 12 Hz samples; neighbouring images of faster cameras repeat the detector's errors and add little.
RATE_HZ = 15.0
AHEAD = 3  # images that each video is decoded ahead


class OwnClockImages(Protocol):
    """Images of several cameras."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Images by camera."""
        ...

    def read(self) -> Iterator[FrameSet]:
        """The next image of every camera that has one left."""
        ...

    def identity(self) -> dict[str, Any]:
        """What is equal where the same images are read again, ready for JSON."""
        ...


def every_nth(period_ns: float, every: int | None = None) -> int:
    """Which images to use of a camera with this interval, so that they follow at about RATE_HZ."""
    return every or max(1, round(1e9 / period_ns / RATE_HZ))


@dataclass(frozen=True, eq=False)
class VideosApart:
    """Videos that need not have equal lengths, rates or beginnings; time 0 is each one's first frame."""

    videos: Mapping[str, Path]
    times: Mapping[str, VideoTimes]
    steps: Mapping[str, int]  # every n-th frame

    @property
    def counts(self) -> Mapping[str, int]:
        """Images by camera."""
        return {camera: len(range(0, len(self.times[camera].at_ns), step)) for camera, step in self.steps.items()}

    def read(self) -> Iterator[FrameSet]:
        """The next image of every camera; one that does not decode is left out, with one warning a video."""
        threads = {camera: run_ahead(self._images(camera), _unchanged, AHEAD) for camera in self.videos}
        try:
            for row in zip_longest(*threads.values()):
                taken = {camera: one for camera, one in zip(threads, row, strict=True) if one is not None}
                yield FrameSet(
                    {camera: image for camera, (_, image) in taken.items()},
                    {camera: stamp for camera, (stamp, _) in taken.items()},
                )
        finally:
            for thread in threads.values():
                thread.close()

    def identity(self) -> dict[str, Any]:
        """Files and steps."""
        return {camera: [*file_identity(path), self.steps[camera]] for camera, path in self.videos.items()}

    def _images(self, camera: str) -> Iterator[tuple[int, Image]]:
        times, step = self.times[camera], self.steps[camera]
        numbers = range(0, len(times.at_ns), step)
        read = lost = 0
        for number, image in zip(numbers, frames_at(self.videos[camera], times, numbers), strict=False):
            read += 1
            if image is None:
                lost += 1
            else:
                yield int(times.at_ns[number]), image
        if lost or read < len(numbers):
            text = f"{lost} images do not decode" if lost else f"it ends after {read} of {len(numbers)} images"
            warnings.warn(f"{self.videos[camera]}: {text}: what is there is used", stacklevel=2)


@dataclass(frozen=True, eq=False)
class BagApart:
    """The images of a ROS recording by their headers' stamps."""

    bag: BagRecording
    topics: Mapping[str, str]  # by camera
    stamps_ns: Mapping[str, Stamps]  # of the images to use, rising

    @property
    def counts(self) -> Mapping[str, int]:
        """Images by camera."""
        return {camera: len(stamps) for camera, stamps in self.stamps_ns.items()}

    def read(self) -> Iterator[FrameSet]:
        """Images in order of recording, one of each camera at most; those that cannot be decoded are left out."""
        threads = run_ahead(self._images(), _unchanged, AHEAD)
        images: dict[str, Image] = {}
        stamps: dict[str, int] = {}
        try:
            for camera, stamp, image in threads:
                if camera in images:
                    yield FrameSet(images, stamps)
                    images, stamps = {}, {}
                images[camera], stamps[camera] = image, stamp
            if images:
                yield FrameSet(images, stamps)
        finally:
            threads.close()

    def identity(self) -> dict[str, Any]:
        """File, topics and stamps."""
        ends = {camera: [len(own), int(own[0]), int(own[-1])] for camera, own in self.stamps_ns.items() if len(own)}
        return {"bag": str(self.bag.path.resolve()), "topics": dict(self.topics), "stamps": ends}

    def _images(self) -> Iterator[tuple[str, int, Image]]:
        cameras = {topic: camera for camera, topic in self.topics.items()}
        wanted = {camera: set(stamps.tolist()) for camera, stamps in self.stamps_ns.items()}
        lost = 0
        for topic, _, raw in self.bag.messages(cameras):
            camera, stamp = cameras[topic], header_stamp_ns(raw)
            if stamp not in wanted[camera]:
                continue
            wanted[camera].remove(stamp)
            try:
                msg = self.bag.decode(topic, raw)
                image = bgr_from_compressed(msg) if self.bag.types[topic] == COMPRESSED else bgr_from_raw(msg)
            except (InputError, FootageError) as error:
                lost += 1
                if lost == 1:
                    warnings.warn(f"{self.bag.path.name}, {topic} at {stamp} ns: {error}", stacklevel=2)
                continue
            yield camera, stamp, image


def videos_apart(videos: Mapping[str, Path], every: int | None = None) -> VideosApart:
    """The videos by camera; every: use every n-th image (default: at about RATE_HZ). Raises FootageError."""
    times = {camera: video_times(path) for camera, path in videos.items()}
    return VideosApart(videos, times, {camera: every_nth(one.period_ns, every) for camera, one in times.items()})


def bag_apart(bag: BagRecording, topics: Mapping[str, str], every: int | None = None) -> BagApart:
    """A recording's images by camera; reads it once for the stamps. Raises FootageError, InputError."""
    cameras = {topic: camera for camera, topic in topics.items()}
    found: dict[str, list[int]] = {camera: [] for camera in topics}
    for topic, _, raw in bag.messages(cameras):
        found[cameras[topic]].append(header_stamp_ns(raw))
    stamps = {}
    for camera, own in found.items():
        rising = np.unique(np.array(own, dtype=np.int64))
        if len(rising) < 2:
            raise InputError(
                f"{bag.path.name}: {len(own)} images on {topics[camera]} have {len(rising)} different stamps, expected "
                "one for each image: have the driver stamp images with their capture time"
            )
        stamps[camera] = rising[:: every_nth(float(np.median(np.diff(rising))), every)]
    return BagApart(bag, topics, stamps)


def file_identity(path: Path) -> list[Any]:
    """Place, size and time of a file, or of the files of a folder."""
    files: Sequence[Path] = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [one.stat() for one in files]
    newest = max((one.st_mtime_ns for one in found), default=0)
    return [str(path.resolve()), sum(one.st_size for one in found), newest]


def _unchanged(item: Any) -> Any:
    return item
