"""A long recording on disk, in parts that are written atomically, so that a stopped run can resume."""

from __future__ import annotations

import errno
import json
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from pose3d_ros.errors import FootageError, InputError, shown
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import RUN_STATE, read_bytes, read_text
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Pose3D

# No space, no quota, or a file larger than its file system or the user's limits allow.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RUN = "run.json"


class RecordingLog:
    """A folder of parts <first moment>-<one past the last>.npz, each a Recording.

    It also has run.json, the settings of the run, after.<moment>, the estimator's state after the last part, and of
    each part <...>.frames, the keypoints as smoothing takes them.
    """

    def __init__(self, folder: Path) -> None:
        """Open what is there: parts from moment 0 on without a gap."""
        self.folder = folder
        self._files: list[Path] = []
        self._bounds = [0]
        for path in sorted(folder.glob("*.npz")):
            bounds = re.fullmatch(r"(\d+)-(\d+)", path.stem)
            if bounds and int(bounds[1]) == self._bounds[-1]:
                self._files.append(path)
                self._bounds.append(int(bounds[2]))

    def __len__(self) -> int:
        """Number of stored moments."""
        return self._bounds[-1]

    def begin(self, run: Mapping[str, Any]) -> None:
        """Delete all parts, and store the settings of a new run, ready for JSON."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for pattern in ("*.npz", "*.frames", "after.*", "*.partial"):
            for path in self.folder.glob(pattern):
                path.unlink()
        self._files, self._bounds = [], [0]
        self._write(self.folder / RUN, (json.dumps(run, indent=2) + "\n").encode())

    def run(self) -> dict[str, Any] | None:
        """Return the settings passed to begin(); None if there is no run. Raises FootageError for a damaged file."""
        path = self.folder / RUN
        if not path.is_file():
            return None
        settings = json_content(read_text(path, RUN_STATE), str(path), RUN_STATE)
        if not isinstance(settings, dict):
            raise FootageError(f"{path} contains {shown(settings)}, expected a mapping: start again with --overwrite")
        return settings

    def append(self, part: Recording, state: bytes = b"", frames: bytes = b"") -> None:
        """Keep a part, the state after it, and what smoothing needs of its frames.

        Raises InputError when the disk is full: what was kept before stays.
        """
        before, after = len(self), len(self) + part.frame_sets_sent
        path = self.folder / f"{before:09d}-{after:09d}.npz"
        # The state first: a part is never there without it.
        self._write(self._state_file(after), state)
        self._write(_frames_file(path), frames)
        self._keep(path.with_suffix(".partial"), path, part.save)
        self._files.append(path)
        self._bounds.append(after)
        self._state_file(before).unlink(missing_ok=True)

    @property
    def state(self) -> bytes:
        """The state after the last part; raises FootageError where it is lost."""
        return read_bytes(self._state_file(len(self)), RUN_STATE)

    def parts(self) -> Iterator[Recording]:
        """The parts in order, one in memory at a time; raises FootageError for a damaged one."""
        return map(Recording.load, self._files)

    def frames(self) -> Iterator[bytes]:
        """What append was given of each part's frames, in order; raises FootageError where it is lost."""
        return (read_bytes(_frames_file(path), RUN_STATE) for path in self._files)

    @property
    def poses(self) -> LoggedPoses:
        """One pose a moment."""
        return LoggedPoses(tuple(self._files), tuple(self._bounds))

    def _state_file(self, moment: int) -> Path:
        return self.folder / f"after.{moment:09d}"

    def _write(self, path: Path, data: bytes) -> None:
        self._keep(path.with_suffix(path.suffix + ".partial"), path, lambda partial: partial.write_bytes(data))

    def _keep(self, partial: Path, path: Path, write: Any) -> None:
        """Write a file next to its final path, sync it to disk, and move it there."""
        try:
            write(partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            if error.errno not in FULL:
                raise
            raise InputError(
                f"the disk of {self.folder} is full ({error.strerror}): the {len(self)} frame sets so far are kept. "
                "Free some space and run the same command with --resume"
            ) from error


def _frames_file(part: Path) -> Path:
    """Next to a part."""
    return part.with_suffix(".frames")


class LoggedPoses(Sequence[Pose3D]):
    """The poses of a log as a sequence that holds one part in memory."""

    def __init__(self, files: tuple[Path, ...], bounds: tuple[int, ...]) -> None:
        """bounds: 0, and one past the last moment of each file."""
        self._files, self._bounds = files, bounds
        self._held: tuple[int, tuple[Pose3D, ...]] = (-1, ())

    def __len__(self) -> int:
        return self._bounds[-1]

    @overload
    def __getitem__(self, index: int) -> Pose3D: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pose3D]: ...
    def __getitem__(self, index: int | slice) -> Pose3D | list[Pose3D]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        k = index + len(self) if index < 0 else index
        if not 0 <= k < len(self):
            raise IndexError(f"pose {index} of {len(self)}")
        part = bisect_right(self._bounds, k) - 1
        if self._held[0] != part:
            self._held = part, Recording.load(self._files[part]).poses
        return self._held[1][k - self._bounds[part]]
