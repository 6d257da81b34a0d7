"""One file a person: the formats that hold nothing but one body, C3D and BVH."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.writers.bvh_file import write_bvh
from pose3d_ros.recordings.writers.c3d_file import require_ezc3d, write_c3d
from pose3d_ros.recordings.writers.person_tracks import PersonTrack, person_tracks
from pose3d_ros.structures import Pose3D

PERSON_FORMATS: dict[str, Callable[[PersonTrack, Path], None]] = {"c3d": write_c3d, "bvh": write_bvh}


def check_formats(formats: Sequence[str]) -> None:
    """Raise DependencyError now for a format whose library is missing, not after hours of work."""
    if "c3d" in formats:
        require_ezc3d()


def write_person_files(
    poses: Iterable[Pose3D],
    folder: Path,
    formats: Sequence[str],
    placed: Callable[[Path], AbstractContextManager[Path]] = nullcontext,
) -> Iterator[str]:
    """Write people.<id>.<format> for all people; yields a line per person with the file, or the reason why not.

    placed(path) gives the place to write path at, and moves it there when it is whole.
    """
    if not formats:
        return
    for track in person_tracks(poses):
        done = []
        for one in formats:
            try:
                with placed(folder / f"{track.file_stem}.{one}") as path:
                    PERSON_FORMATS[one](track, path)
                done.append(f"{track.file_stem}.{one}")
            except InputError as error:
                done.append(f"no {track.file_stem}.{one} ({error})")
        yield f"{', '.join(done)}: {len(track.xyz) / track.rate_hz:.1f} s from {track.start_s:.3f} s on"
