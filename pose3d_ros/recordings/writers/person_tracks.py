"""Each person's joints on an even grid of time, as C3D and BVH need them; one person in memory at a time."""

from __future__ import annotations

import re
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.stamps import even_rate_hz
from pose3d_ros.structures import Floats, PersonState, Pose3D, Skeleton


@dataclass(frozen=True, eq=False)
class PersonTrack:
    """One person from the first to the last frame in which they are VISIBLE."""

    person: str
    skeleton: Skeleton
    xyz: Floats  # (T, J, 3) m in the fixed frame, NaN where absent
    rate_hz: float  # frames a second
    first: int  # how many frames after the recording's first this one begins
    start_s: float  # the same in s

    @property
    def file_stem(self) -> str:
        """people.<id>, fit for a file's name."""
        return "people." + re.sub(r"[^A-Za-z0-9_-]", "_", self.person)


def person_tracks(poses: Iterable[Pose3D]) -> Iterator[PersonTrack]:
    """Return the tracks of all people, in order of appearance.

    Frames lie on an even grid that begins with the first pose; its rate is that of the poses, frames that are missing
    among them counted. A frame without a pose of the person is NaN. Positions wait in an unnamed temporary file, so
    that memory holds one person and 12 bytes for every other row. Raises InputError for stamps that do not rise and for
    poses of several skeletons.
    """
    numbers: dict[str, int] = {}
    stamps_ns, row_person, row_stamp_ns = array("q"), array("i"), array("q")
    skeleton: Skeleton | None = None
    with tempfile.TemporaryFile() as scratch:
        for pose in poses:
            skeleton = skeleton or pose.skeleton
            if pose.skeleton != skeleton:
                raise InputError(f"poses have the skeletons {skeleton.name!r} and {pose.skeleton.name!r}, expected one")
            if stamps_ns and pose.stamp_ns <= stamps_ns[-1]:
                raise InputError(f"a pose of {pose.stamp_ns} ns follows one of {stamps_ns[-1]} ns: they must rise")
            stamps_ns.append(pose.stamp_ns)
            for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
                row_person.append(numbers.setdefault(pose.ids[row], len(numbers)))
                row_stamp_ns.append(pose.stamp_ns)
                scratch.write(np.ascontiguousarray(pose.xyz[row], dtype=np.float64).tobytes())
        if skeleton is None or not numbers:
            return
        scratch.flush()
        rows = np.memmap(scratch, dtype=np.float64, mode="r", shape=(len(row_person), skeleton.size, 3))
        rate_hz = even_rate_hz(np.frombuffer(stamps_ns, dtype=np.int64))
        for person, number in numbers.items():
            chosen = np.flatnonzero(np.frombuffer(row_person, dtype=np.int32) == number)
            since_ns = np.frombuffer(row_stamp_ns, dtype=np.int64)[chosen] - stamps_ns[0]
            frames = np.round(since_ns * (rate_hz / 1e9)).astype(np.int64)
            first = int(frames[0])
            xyz = np.full((int(frames[-1]) - first + 1, skeleton.size, 3), np.nan)
            xyz[frames - first] = rows[chosen]
            yield PersonTrack(person, skeleton, xyz, rate_hz, first, first / rate_hz)
