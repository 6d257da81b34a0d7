"""What can be estimated offline: moments in order, each with images or 2D people by camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pose3d_ros.errors import InputError
from pose3d_ros.structures import FrameSet, Keypoints2D, Rig

Moment = FrameSet | Mapping[str, Keypoints2D]  # a camera that is missing is an absent key

# Lengths that differ by no more than this many frames are taken for one: encoders drop or repeat a last frame.
SAME_LENGTH = 2


class FrameSource(Protocol):
    """A recording of several cameras: videos, keypoint files, a bag."""

    @property
    def name(self) -> str:
        """What it is called in messages and results."""
        ...

    @property
    def rig(self) -> Rig:
        """The cameras that it has, placed."""
        ...

    @property
    def fps(self) -> float:
        """Moments a second of capture time."""
        ...

    @property
    def t0_ns(self) -> int:
        """Capture stamp of the first moment."""
        ...

    def __len__(self) -> int:
        """Number of moments."""
        ...

    def read(self, start: int = 0) -> Iterator[Moment]:
        """Moments start, start + 1, ...; the same ones whenever they are read."""
        ...

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed, ready for JSON; where it ends is no part of it."""
        ...


@dataclass(frozen=True)
class Cut:
    """Which part of a recording is wanted, and how the cameras' beginnings differ."""

    offsets_s: Mapping[str, float] = field(default_factory=dict)  # how much later than time 0 a camera began
    start_s: float | None = None
    end_s: float | None = None
    step: int = 1  # every n-th moment


WHOLE = Cut()


@dataclass(frozen=True)
class Timeline:
    """Which frame of each camera belongs to moment k: frame first + k step - late[camera].

    Time 0 is the first frame of a camera that is not late.
    """

    fps: float  # of the videos
    first: int  # frames after time 0
    step: int
    moments: int
    late: Mapping[str, int]  # frames after time 0 at which a camera began

    def frame(self, camera: str, k: int) -> int:
        """Number of the camera's frame at moment k."""
        return self.first + k * self.step - self.late[camera]

    def stamp_ns(self, k: int) -> int:
        """Capture stamp of moment k."""
        return round((self.first + k * self.step) * 1e9 / self.fps)


def timeline(spans: Mapping[str, tuple[int, int]], fps: float, cut: Cut = WHOLE) -> Timeline:
    """The moments that all cameras have.

    spans: first and one past the last frame of each camera. Raises InputError for cameras that do not overlap, or whose
    ends differ while nobody said that they began together (an offset, or an end).
    """
    for camera in cut.offsets_s:
        if camera not in spans:
            raise InputError(f"--offset {camera}: there is no such camera here: it has {', '.join(spans)}")
    late = {camera: round(cut.offsets_s.get(camera, 0.0) * fps) for camera in spans}
    ends = {camera: stop + late[camera] for camera, (_, stop) in spans.items()}
    begins = {camera: first + late[camera] for camera, (first, _) in spans.items()}
    if not cut.offsets_s and cut.end_s is None:
        for what, at in (("begin", begins), ("end", ends)):
            if max(at.values()) - min(at.values()) > SAME_LENGTH:
                listed = ", ".join(f"{camera} at frame {frame}" for camera, frame in at.items())
                raise InputError(
                    f"the cameras {what} at different times ({listed}; expected the same to {SAME_LENGTH} frames): "
                    "were they started together? Say how much later one began with --offset CAMERA=SECONDS; if all "
                    f"began at once, --offset {next(iter(spans))}=0 takes what all of them have"
                )
    first, stop = max(begins.values()), min(ends.values())
    if cut.start_s is not None:
        first = max(first, round(cut.start_s * fps))
    if cut.end_s is not None:
        stop = min(stop, round(cut.end_s * fps))
    moments = -(-(stop - first) // cut.step)
    if moments < 1:
        listed = ", ".join(f"{camera} {begins[camera] / fps:g} to {ends[camera] / fps:g} s" for camera in spans)
        raise InputError(f"there is no moment that all cameras have ({listed}): check --offset, --start and --end")
    return Timeline(fps, first, cut.step, moments, late)
