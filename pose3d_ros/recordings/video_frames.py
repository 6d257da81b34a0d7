"""A user's videos, one per camera, as moments in order; each video is decoded ahead in its own thread.

Frames are matched by the time stamps of their containers, never by their numbers, unless --fps gives the rate.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.files.door import expanded
from pose3d_ros.files.media import open_video
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.recordings.footage import video_size
from pose3d_ros.recordings.frame_source import ABSENT, WHOLE, Cut, check_ends, clock_words, common_ns, kept_moments
from pose3d_ros.recordings.matched_times import matched, nearest_index
from pose3d_ros.recordings.playback import run_ahead
from pose3d_ros.recordings.stamps import even_rate_hz
from pose3d_ros.recordings.video_times import SAME_RATE, Stamps, VideoTimes, frames_at, video_times
from pose3d_ros.structures import FrameSet, Rig

AHEAD = 3  # frames that each video is decoded ahead
# Encoders drop or repeat a last frame: counts that differ by no more are the same.
SAME_COUNT = 2
SHOWN_GAPS = 3
ROUNDED_MS = 1.0  # what Matroska rounds times to


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """Synchronised videos as a FrameSource; a camera without a frame at a moment is absent in its set."""

    name: str
    rig: Rig
    videos: Mapping[str, Path]
    times: Mapping[str, VideoTimes]  # by camera: when its frames were taken, since its first
    stamps_ns: Stamps  # (N, V) of each moment's frames in the recording, ABSENT where a camera has none
    frames: NDArray[np.int64]  # (N, V) their numbers in the videos
    offsets_s: Mapping[str, float]
    notes: tuple[str, ...] = ()  # what a user should know of the videos' times
    drifts_ppm: Mapping[str, float] = field(default_factory=dict)

    @property
    def moments_ns(self) -> Stamps:
        """(N,) capture stamp of each moment: its newest image's time in the recording."""
        newest: Stamps = self.stamps_ns.max(axis=1)
        return newest

    @property
    def fps(self) -> float:
        """Moments a second of capture time, those that are missing counted."""
        return (
            even_rate_hz(self.moments_ns) if len(self) > 1 else 1e9 / min(one.period_ns for one in self.times.values())
        )

    @property
    def t0_ns(self) -> int:
        """Capture stamp of the first moment."""
        return int(self.moments_ns[0])

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def at(self, moments_ns: Stamps) -> VideoFrames:
        """The moments nearest to these times (N,) ns; raises InputError where there is none within a frame's time."""
        own = self.moments_ns
        nearest = nearest_index(own, moments_ns)
        far = np.abs(own[nearest] - moments_ns) > max(one.period_ns for one in self.times.values())
        if far.any():
            raise InputError(
                f"the videos last from {own[0] / 1e9:.3f} to {own[-1] / 1e9:.3f} s and have no images at "
                f"{moments_ns[far.argmax()] / 1e9:.3f} s of the keypoints: cut the keypoints with --start and --end"
            )
        return replace(self, stamps_ns=self.stamps_ns[nearest], frames=self.frames[nearest])

    def read(self, start: int = 0) -> Iterator[FrameSet]:
        """Moments from number start on; raises FootageError for a video that ends before its container says."""
        threads = []
        for v, (camera, path) in enumerate(self.videos.items()):
            wanted = self.frames[start:, v]
            threads.append(run_ahead(frames_at(path, self.times[camera], wanted[wanted != ABSENT]), _unchanged, AHEAD))
        lost = dict.fromkeys(self.videos, 0)
        try:
            for k in range(start, len(self)):
                images = {}
                for v, (camera, thread) in enumerate(zip(self.videos, threads, strict=True)):
                    if self.frames[k, v] == ABSENT:
                        continue
                    image = self._next(thread, camera, k)
                    if image is not None:
                        images[camera] = image
                        continue
                    lost[camera] += 1
                    if lost[camera] == 1:
                        text = f"{self.videos[camera]}: frame {self.frames[k, v]} does not decode: it is skipped"
                        warnings.warn(text, stacklevel=2)
                if not images:
                    raise FootageError(f"no image at {self._seconds(k)} s can be decoded: cut the videos before it")
                names = list(self.videos)
                yield FrameSet(images, {name: int(self.stamps_ns[k, names.index(name)]) for name in images})
        finally:
            for thread in threads:
                thread.close()

    def identity(self) -> dict[str, Any]:
        """Names, sizes in bytes and offsets of the videos, and how their frames are taken."""
        files = {
            camera: f"{path.name} of {path.stat().st_size} bytes, "
            + clock_words(self.offsets_s.get(camera, 0.0), self.drifts_ppm.get(camera, 0.0))
            for camera, path in self.videos.items()
        }
        step = self.frames[1] - self.frames[0] if len(self) > 1 else self.frames[0] * 0
        return {"videos": files, "first stamps": self.stamps_ns[0].tolist(), "steps": step.tolist()}

    def _next(self, thread: Iterator[NDArray[np.uint8] | None], camera: str, k: int) -> NDArray[np.uint8] | None:
        try:
            return next(thread)
        except StopIteration:
            frame, last = self.frames[k, list(self.videos).index(camera)], len(self.times[camera].at_ns) - 1
            raise FootageError(
                f"video {self.videos[camera]} ends before frame {frame}, expected frames to {last}: it is damaged or "
                "cut short. What came before is kept: give a repaired copy and --resume, or end before it with "
                f"--resume --end {self._seconds(k)}"
            ) from None

    def _seconds(self, k: int) -> str:
        """A time at which moment k is the first one left out by --end."""
        return f"{self.moments_ns[k] // 1000 / 1e6:.6f}"


def open_videos(rig: Rig, videos: Mapping[str, Path], fps: float | None = None, cut: Cut = WHOLE) -> VideoFrames:
    """The videos by camera, checked against the rig and each other; fps overrules the time stamps of the files.

    Raises FootageError for a file that is no video, CalibrationError for one that is not of its camera's size,
    InputError for lengths that differ, videos that share no time, or an fps that cannot be right.
    """
    for camera, path in videos.items():
        width, height = video_size(path)
        check_image_size(rig.camera(camera), (height, width))
    times = {camera: video_times(path) for camera, path in videos.items()}
    at_ns = {camera: one.at_ns for camera, one in times.items()}
    periods = {camera: one.period_ns for camera, one in times.items()}
    if fps is not None:
        _check_rate(times, fps)
        periods = dict.fromkeys(times, 1e9 / fps)
        at_ns = {camera: np.round(np.arange(len(one)) * 1e9 / fps).astype(np.int64) for camera, one in at_ns.items()}
    elif not cut.offsets_s and cut.end_s is None:
        _check_counts(times)
    spans = {camera: (int(own[0]), int(own[-1] + periods[camera])) for camera, own in at_ns.items()}
    check_ends(spans, max(periods.values()), cut)
    shifted = {camera: common_ns(cut, camera, own) for camera, own in at_ns.items()}
    frames = matched(list(shifted.values()), list(periods.values()))
    stamps_ns = np.stack(
        [np.where(row == ABSENT, ABSENT, own[row]) for row, own in zip(frames.T, shifted.values(), strict=True)], axis=1
    )
    kept = kept_moments(stamps_ns.max(axis=1), cut)
    frames, stamps_ns = frames[kept], stamps_ns[kept]
    _check_company(list(videos), frames)
    notes = () if fps is not None else _notes(times, stamps_ns)
    used = rig.subset(list(videos))
    name = ", ".join(path.name for path in videos.values())
    return VideoFrames(
        name, used, dict(videos), times, stamps_ns, frames, dict(cut.offsets_s), notes, dict(cut.drifts_ppm)
    )


def assigned(rig: Rig, arguments: Sequence[str]) -> dict[str, Path]:
    """Videos by camera, in the rig's order; each is given as CAMERA=FILE, or as a file whose stem is the camera.

    Raises InputError for a camera that the rig lacks or that has two videos.
    """
    videos: dict[str, Path] = {}
    for argument in arguments:
        camera, sign, file = argument.partition("=")
        path = Path(file if sign else argument)
        if not sign or Path(argument).is_file():
            camera, path = Path(argument).stem, Path(argument)
        if camera not in rig.names:
            raise InputError(
                f"video {argument}: the rig has no camera {camera!r}, it has {', '.join(rig.names)}: rename the file "
                "to <camera>.<ending>, or give CAMERA=FILE"
            )
        if camera in videos:
            raise InputError(f"camera {camera!r} has two videos, {videos[camera]} and {path}: give one")
        videos[camera] = expanded(path)
    return {name: videos[name] for name in rig.names if name in videos}


def video_length(path: Path) -> int:
    """Return a video's nominal frame count; raises FootageError if it has none."""
    capture = open_video(path)
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    if frames <= 0:
        raise FootageError(
            f"video {path} has no frame count: copy it into a complete file, for example with "
            f"ffmpeg -i {path.name} -c copy whole.mp4"
        )
    return frames


def _check_rate(times: Mapping[str, VideoTimes], fps: float) -> None:
    """Reject --fps if frame numbers do not give the time: frames are missing, or the files' own times agree."""
    for camera, video in times.items():
        if video.stamped and not video.even:
            gap_s = np.diff(video.at_ns).max() / 1e9
            raise InputError(
                f"--fps {fps:g}: frames of {camera} are up to {gap_s:.3f} s apart and {video.period_ns / 1e9:.3f} s "
                "in the median, so their numbers give no time: omit --fps (and keypoint files) to use the time stamps"
            )
    rates = {camera: 1e9 / one.period_ns for camera, one in times.items()}
    counts = {camera: len(one.at_ns) for camera, one in times.items()}
    if max(rates.values()) - min(rates.values()) <= SAME_RATE:
        return
    if max(counts.values()) - min(counts.values()) > SAME_COUNT:
        listed = ", ".join(f"{camera} {counts[camera]} at {rates[camera]:.6g}/s" for camera in times)
        raise InputError(
            f"--fps {fps:g}: the videos have different counts of frames and rates ({listed}), so they were not "
            "recorded at one rate, or frames are missing: omit --fps to use the videos' time stamps"
        )


def _check_counts(times: Mapping[str, VideoTimes]) -> None:
    """Reject videos of one count and different rates: one of the files may be wrong, but it is unknown which."""
    counts = {len(one.at_ns) for one in times.values()}
    lasts_ns = [len(one.at_ns) * one.period_ns for one in times.values()]
    slowest_ns = max(one.period_ns for one in times.values())
    if len(counts) > 1 or max(lasts_ns) - min(lasts_ns) < slowest_ns or not all(one.even for one in times.values()):
        return
    listed = ", ".join(f"{camera} {1e9 / one.period_ns:.6g}" for camera, one in times.items())
    raise InputError(
        f"the videos have {max(counts)} frames each and different frame rates ({listed} frames/s): if all were "
        f"recorded at one rate and a file is wrong, give --fps RATE; if not, --offset {next(iter(times))}=0"
    )


def _check_company(names: Sequence[str], frames: NDArray[np.int64]) -> None:
    """Reject a camera that shares no moment with another one."""
    there = frames != ABSENT
    together = there & (there.sum(axis=1, keepdims=True) > 1)
    for v, name in enumerate(names):
        if not together[:, v].any():
            others = ", ".join(other for other in names if other != name)
            raise InputError(
                f"{name} has no frame within half a frame's time of those of {others}: check --offset, --start, --end, "
                f"or exclude {name} with --cameras"
            )


def _notes(times: Mapping[str, VideoTimes], stamps_ns: Stamps) -> tuple[str, ...]:
    """Describe different rates, gaps, files without time stamps, and frames that are in no set."""
    found = []
    rates = {camera: 1e9 / one.period_ns for camera, one in times.items()}
    there = stamps_ns != ABSENT
    spread_ms = (stamps_ns.max(axis=1) - np.where(there, stamps_ns, stamps_ns.max()).min(axis=1))[
        there.sum(axis=1) > 1
    ] / 1e6
    if max(rates.values()) - min(rates.values()) > SAME_RATE or spread_ms.max(initial=0.0) > ROUNDED_MS:
        listed = ", ".join(f"{camera} {rate:.6g}" for camera, rate in rates.items())
        found.append(
            f"frames/s: {listed}; frames are matched by time, {np.median(spread_ms):.1f} ms apart (median), at most "
            f"{spread_ms.max():.1f} ms"
        )
    for camera, one in times.items():
        if not one.stamped:
            found.append(f"{camera}: the file has no time stamps, a constant {rates[camera]:.6g} frames/s is assumed")
        if gaps := one.gaps():
            missing = sum(round((after - before) / one.period_ns) - 1 for before, after in gaps)
            listed = ", ".join(f"{before / 1e9:.3f} to {after / 1e9:.3f} s" for before, after in gaps[:SHOWN_GAPS])
            more = f" and {len(gaps) - SHOWN_GAPS} more" if len(gaps) > SHOWN_GAPS else ""
            found.append(f"{camera}: {missing} frames are missing ({listed}{more}): it is absent there")
    return tuple(found)


def _unchanged(image: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    return image
