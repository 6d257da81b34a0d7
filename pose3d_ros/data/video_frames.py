"""A user's videos, one a camera, as moments in order; each video is decoded ahead in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.data.footage import read_video, video_rate, video_size
from pose3d_ros.data.frame_source import WHOLE, Cut, Timeline, timeline
from pose3d_ros.data.playback import run_ahead
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.files.media import open_video
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.structures import FrameSet, Rig

# Rates are written as fractions (30000 / 1001) or rounded (29.97): these differ by less.
SAME_RATE = 0.01  # Hz
AHEAD = 3  # frames that each video is decoded ahead


@dataclass(frozen=True)
class VideoFrames:
    """Synchronised videos as a FrameSource."""

    name: str
    rig: Rig
    videos: Mapping[str, Path]
    timeline: Timeline

    @property
    def fps(self) -> float:
        """Moments a second of capture time."""
        return self.timeline.fps / self.timeline.step

    @property
    def t0_ns(self) -> int:
        """Capture stamp of the first moment: time in the recording."""
        return self.timeline.stamp_ns(0)

    def __len__(self) -> int:
        return self.timeline.moments

    def read(self, start: int = 0) -> Iterator[FrameSet]:
        """Moments from number start on; raises FootageError for a video that ends before its header says."""
        line, step = self.timeline, self.timeline.step
        threads = [
            run_ahead(islice(read_video(path, line.frame(camera, start)), None, None, step), _as_it_is, AHEAD)
            for camera, path in self.videos.items()
        ]
        try:
            for k in range(start, len(self)):
                images = {
                    camera: self._next(thread, camera, k) for camera, thread in zip(self.videos, threads, strict=True)
                }
                yield FrameSet(images, dict.fromkeys(images, line.stamp_ns(k)))
        finally:
            for thread in threads:
                thread.close()

    def identity(self) -> dict[str, Any]:
        """Names, sizes in bytes and offsets of the videos, and how their frames are taken."""
        line = self.timeline
        files = {
            camera: f"{path.name} of {path.stat().st_size} bytes, {line.late[camera]} frames late"
            for camera, path in self.videos.items()
        }
        return {"videos": files, "fps": line.fps, "first frame": line.first, "stride": line.step}

    def _next(self, thread: Iterator[NDArray[np.uint8]], camera: str, k: int) -> NDArray[np.uint8]:
        image = next(thread, None)
        if image is None:
            path, last = self.videos[camera], self.timeline.frame(camera, len(self) - 1)
            raise FootageError(
                f"video {path} ends before frame {self.timeline.frame(camera, k)}, expected frames to {last}: it is "
                "damaged or cut short. What came before is kept: give a mended copy and --resume, or end before it "
                f"with --resume --end {self.timeline.stamp_ns(k) / 1e9:.3f}"
            )
        return image


def open_videos(rig: Rig, videos: Mapping[str, Path], fps: float | None = None, cut: Cut = WHOLE) -> VideoFrames:
    """The videos by camera, checked against the rig and each other; fps overrules what the files say.

    Raises FootageError for a file that is no video, CalibrationError for one that is not of its camera's size,
    InputError for rates or lengths that differ.
    """
    for camera, path in videos.items():
        width, height = video_size(path)
        check_image_size(rig.camera(camera), (height, width))
    rate = _common_rate(videos) if fps is None else fps
    line = timeline({camera: (0, video_length(path)) for camera, path in videos.items()}, rate, cut)
    used = rig.subset(list(videos))
    return VideoFrames(", ".join(path.name for path in videos.values()), used, dict(videos), line)


def assigned(rig: Rig, given: Sequence[str]) -> dict[str, Path]:
    """Videos by camera, in the rig's order; each is given as CAMERA=FILE, or as a file whose stem is the camera.

    Raises InputError for a camera that the rig lacks or that has two videos.
    """
    found: dict[str, Path] = {}
    for one in given:
        camera, sign, file = one.partition("=")
        path = Path(file if sign else one)
        if not sign or Path(one).is_file():
            camera, path = Path(one).stem, Path(one)
        if camera not in rig.names:
            raise InputError(
                f"video {one}: the rig has no camera {camera!r}, it has {', '.join(rig.names)}: rename the file to "
                "<camera>.<ending>, or give CAMERA=FILE"
            )
        if camera in found:
            raise InputError(f"camera {camera!r} has two videos, {found[camera]} and {path}: give one")
        found[camera] = path.expanduser()
    return {name: found[name] for name in rig.names if name in found}


def video_length(path: Path) -> int:
    """Number of frames that a video says it has; raises FootageError where it does not say."""
    capture = open_video(path)
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    if frames <= 0:
        raise FootageError(
            f"video {path} does not say how many frames it has: copy it into a whole file, for example with "
            f"ffmpeg -i {path.name} -c copy whole.mp4"
        )
    return frames


def _common_rate(videos: Mapping[str, Path]) -> float:
    rates = {camera: video_rate(path) for camera, path in videos.items()}
    if max(rates.values()) - min(rates.values()) > SAME_RATE:
        listed = ", ".join(f"{camera} {rate:.6g}" for camera, rate in rates.items())
        raise InputError(
            f"the videos have different frame rates ({listed} frames/s), expected one: convert them to one rate, or "
            "give --fps RATE if all were taken at the same rate and a file says otherwise"
        )
    return next(iter(rates.values()))


def _as_it_is(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image
