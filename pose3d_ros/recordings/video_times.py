"""When each frame of a video was taken, by its container's time stamps; packets are read, no image is decoded.

The first frame is time 0. Containers without time stamps (AVI, raw streams) have a constant rate, and that is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.files.door import VIDEO
from pose3d_ros.files.media import first_bytes, open_video
from pose3d_ros.recordings.footage import unreadable, video_rate

Stamps = NDArray[np.int64]
# Matroska rounds to ms.
ROUNDING_NS = 1_000_000
# Rates are written as fractions (30000 / 1001) or rounded (29.97): these differ by less.
SAME_RATE = 0.01  # Hz
# An interval this many times the middle one is a gap: a frame at least is missing.
GAP = 1.5
# First bytes of containers that hold a rate and no time stamps: AVI, and raw MJPEG and H.264 or H.265 streams.
UNSTAMPED = (b"RIFF", b"\xff\xd8", b"\0\0\0\1", b"\0\0\1")


@dataclass(frozen=True, eq=False)
class VideoTimes:
    """The frames of one video."""

    at_ns: Stamps  # (N,) since the first frame, rising; as the decoder gives them with each image
    stamped: bool  # the container has time stamps

    @property
    def period_ns(self) -> float:
        """Mean interval between frames that follow each other without a gap; 1 s for fewer than two."""
        steps = np.diff(self.at_ns)
        if not len(steps):
            return 1e9
        middle = float(np.median(steps))
        return float(steps[np.abs(steps - middle) < (GAP - 1) * middle + 1].mean())

    @property
    def even(self) -> bool:
        """Whether the frames follow at a constant rate, to the rounding of the container's time."""
        ideal = np.arange(len(self.at_ns)) * self.period_ns
        return bool(np.abs(self.at_ns - ideal).max() <= 1.5 * ROUNDING_NS + 1e-6 * self.at_ns[-1])

    def gaps(self) -> list[tuple[int, int]]:
        """Times (ns) of the last frame before and the first after each gap."""
        steps = np.diff(self.at_ns)
        where = np.flatnonzero(steps > GAP * self.period_ns + ROUNDING_NS)
        return [(int(self.at_ns[k]), int(self.at_ns[k + 1])) for k in where]


def video_times(path: Path) -> VideoTimes:
    """The times of all frames; raises FootageError for a file that is no video or holds no frame."""
    capture = open_video(path, packets=True)
    at_ms: list[float] = []
    while capture.grab():
        at_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    capture.release()
    if len(set(at_ms)) < 2:  # OpenCV before 4.7 has no packet times: decode
        at_ms = []
        capture = open_video(path)
        while capture.grab():
            at_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        capture.release()
    if not at_ms:
        raise unreadable(path, "no frame decodes")
    # Packets come in the order of decoding, which is not that of the images where there are B-frames.
    at_ns = np.sort(np.round(np.array(at_ms) * 1e6).astype(np.int64))
    at_ns = at_ns[at_ns > -ROUNDING_NS // 2]  # cut off by the container's edit list: decoded, and never shown
    stamped = not first_bytes(path, VIDEO, 4).startswith(UNSTAMPED)
    if len(at_ns) > 1 and (np.diff(at_ns) <= 0).any():
        at_ns, stamped = np.round(np.arange(len(at_ns)) * 1e9 / video_rate(path)).astype(np.int64), False
    return VideoTimes(at_ns, stamped)


def frames_at(path: Path, times: VideoTimes, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8] | None]:
    """The images (H, W, 3) of the frames with these rising numbers; None for one that does not decode.

    Decodes from the beginning, since not every video can be entered exactly in the middle. Ends where the video does.
    """
    capture = open_video(path)
    clocked = times.stamped
    tolerance_ns = min(ROUNDING_NS, times.period_ns / 4)
    number, now_ns = -1, -np.inf
    try:
        for frame in wanted:
            goal = times.at_ns[frame] if clocked else frame
            while now_ns < goal - tolerance_ns if clocked else now_ns < goal:
                if not capture.grab():
                    return
                number += 1
                now_ns = capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6 if clocked else number
            ok, image = capture.retrieve() if now_ns <= goal + tolerance_ns else (False, None)
            yield np.asarray(image, dtype=np.uint8) if ok else None
    finally:
        capture.release()
