"""A long recording on disk, in parts that appear whole or not at all: a run that stops can go on."""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from pose3d_ros.data.recording import Recording
from pose3d_ros.errors import InputError
from pose3d_ros.structures import Pose3D

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RecordingLog:
    """A folder of parts <first moment>.npz, each a Recording of the moments up to the next part."""

    def __init__(self, folder: Path) -> None:
        """Open what is there: parts from moment 0 on without a gap. Raises FootageError for a damaged one."""
        self.folder = folder
        self._parts: list[tuple[int, Path]] = []  # first moment, file
        self._length = 0
        for path in sorted(folder.glob("*.npz")):
            if not path.stem.isdigit() or int(path.stem) != self._length:
                continue
            self._parts.append((self._length, path))
            self._length += Recording.load(path).frame_sets_sent

    def __len__(self) -> int:
        """Moments that are kept."""
        return self._length

    def append(self, part: Recording) -> None:
        """Keep a part; raises InputError when the disk is full: what was kept before stays."""
        path = self.folder / f"{self._length:09d}.npz"
        partial = path.with_suffix(".partial")
        try:
            part.save(partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            if error.errno not in FULL:
                raise
            raise InputError(
                f"the disk of {self.folder} is full ({error.strerror}): the {self._length} moments so far are kept. "
                "Free some space and run the same command with --resume"
            ) from error
        self._parts.append((self._length, path))
        self._length += part.frame_sets_sent

    def parts(self) -> Iterator[Recording]:
        """The parts in order, one in memory at a time."""
        for _, path in self._parts:
            yield Recording.load(path)

    @property
    def poses(self) -> LoggedPoses:
        """One pose a moment."""
        return LoggedPoses([path for _, path in self._parts], [*(first for first, _ in self._parts), self._length])


class LoggedPoses(Sequence[Pose3D]):
    """The poses of a log as a sequence that holds one part in memory."""

    def __init__(self, files: list[Path], firsts: list[int]) -> None:
        """firsts: the first moment of each file, and one past the last of all."""
        self._files, self._firsts = files, firsts
        self._held: tuple[int, tuple[Pose3D, ...]] = (-1, ())

    def __len__(self) -> int:
        return self._firsts[-1]

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
        part = bisect_right(self._firsts, k) - 1
        if self._held[0] != part:
            self._held = part, Recording.load(self._files[part]).poses
        return self._held[1][k - self._firsts[part]]
