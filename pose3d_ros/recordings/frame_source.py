"""Sources for offline estimation: moments in order, each with images or 2D people by camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.structures import FrameSet, Keypoints2D, Rig

Moment = FrameSet | Mapping[str, Keypoints2D]  # a camera that is missing is an absent key

# Lengths that differ by no more frames than this count as equal: encoders drop or repeat a last frame.
SAME_LENGTH = 2
ABSENT = -1  # the number of a frame that a camera does not have


class FrameSource(Protocol):
    """A recording of several cameras: videos, keypoint files, a bag."""

    @property
    def name(self) -> str:
        """Its name in messages and results."""
        ...

    @property
    def rig(self) -> Rig:
        """Its cameras, with extrinsics."""
        ...

    @property
    def fps(self) -> float:
        """Moments a second of capture time."""
        ...

    @property
    def t0_ns(self) -> int:
        """Capture stamp of the first moment."""
        ...

    @property
    def moments_ns(self) -> NDArray[np.int64]:
        """(N,) capture stamp of each moment, rising."""
        ...

    def __len__(self) -> int:
        """Number of moments."""
        ...

    def read(self, start: int = 0) -> Iterator[Moment]:
        """Moments start, start + 1, ...; the same ones whenever they are read."""
        ...

    def identity(self) -> dict[str, Any]:
        """What must be equal to resume a run, ready for JSON; excludes where it ends."""
        ...


@dataclass(frozen=True)
class Cut:
    """The part of a recording to use, and the cameras' clocks: common time = offset + (1 + 1e-6 drift) own time."""

    offsets_s: Mapping[str, float] = field(default_factory=dict)  # how much later than time 0 a camera began
    start_s: float | None = None
    end_s: float | None = None
    step: int = 1  # every n-th moment
    drifts_ppm: Mapping[str, float] = field(default_factory=dict)  # positive: the camera's clock is slow


WHOLE = Cut()


def common_ns(cut: Cut, camera: str, own_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times (N,) of a camera's own clock in common time."""
    late_ns = round(cut.offsets_s.get(camera, 0.0) * 1e9)
    drift_ns = np.round(own_ns * (1e-6 * cut.drifts_ppm.get(camera, 0.0))).astype(np.int64)
    common: NDArray[np.int64] = own_ns + late_ns + drift_ns
    return common


def clock_words(offset_s: float, drift_ppm: float) -> str:
    """A clock in the identity of a run."""
    return f"{offset_s:g} s late" + (f", {drift_ppm:g} ppm slow" if drift_ppm else "")


def check_ends(spans: Mapping[str, tuple[int, int]], period_ns: float, cut: Cut) -> None:
    """Reject cameras that may not have started together, or that share no time.

    spans: when each begins and ends on its own clock, ns. period_ns: of the slowest. Raises InputError where ends
    differ though neither an offset nor an end was given.
    """
    for camera in cut.offsets_s:
        if camera not in spans:
            raise InputError(f"--offset {camera}: unknown camera: available are {', '.join(spans)}")
    common = {camera: common_ns(cut, camera, np.array(span)).tolist() for camera, span in spans.items()}
    begins = {camera: first for camera, (first, _) in common.items()}
    ends = {camera: stop for camera, (_, stop) in common.items()}
    if min(ends.values()) <= max(begins.values()):
        listed = ", ".join(f"{camera} {begins[camera] / 1e9:g} to {ends[camera] / 1e9:g} s" for camera in spans)
        raise InputError(f"no moment is common to all cameras ({listed}): check --offset, --start and --end")
    if cut.offsets_s or cut.end_s is not None:
        return
    for what, at in (("begin", begins), ("end", ends)):
        if max(at.values()) - min(at.values()) > (SAME_LENGTH + 0.5) * period_ns:
            listed = ", ".join(f"{camera} at {at_ns / 1e9:.3f} s" for camera, at_ns in at.items())
            raise InputError(
                f"the cameras {what} at different times ({listed}; expected the same to "
                f"{SAME_LENGTH * period_ns / 1e9:.3f} s): were they started together? Give the delay of a camera "
                f"with --offset CAMERA=SECONDS; if all started at once, --offset {next(iter(spans))}=0 uses the part "
                "common to all; if frames were lost without a trace in the time stamps, no offset is right"
            )


def kept_moments(moments_ns: NDArray[np.int64], cut: Cut) -> NDArray[np.intp]:
    """Indices of the moments (N,) that a cut keeps; raises InputError where that is none."""
    low_ns = -1 if cut.start_s is None else round(cut.start_s * 1e9)
    high_ns = 2**63 - 1 if cut.end_s is None else round(cut.end_s * 1e9)
    kept = np.flatnonzero((moments_ns >= low_ns) & (moments_ns < high_ns))[:: cut.step]
    if not len(kept):
        lasts = f"{moments_ns[0] / 1e9:g} to {moments_ns[-1] / 1e9:g} s" if len(moments_ns) else "none"
        raise InputError(f"no moment is common to all cameras ({lasts}): check --offset, --start and --end")
    return kept
