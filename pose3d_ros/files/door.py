"""The only place where files named by users are opened.

A path is checked before it is opened: a pipe would block for ever, a device never ends. It must be a
regular file that is not empty and not larger than its kind may be. All other modules that read users' files do it
through this folder; test/test_architecture.py holds them to it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pose3d_ros.errors import (
    CalibrationError,
    FootageError,
    InputError,
    OptionError,
    Pose3DError,
    WeightsCorruptError,
    shown,
)

MB = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name in messages, its maximum size, the error for invalid files, and the fix."""

    what: str
    most_mb: int  # 0: any size, it is read in pieces
    error: type[Pose3DError]
    fix: str


# Each is several times the largest file in use; its content in memory stays below 1 GB.
RIG = Kind("calibration", 4, CalibrationError, "give a calibration file, such as a rig.yaml")
PARAMETERS = Kind("parameter file", 4, InputError, "give a YAML file of ROS parameters")
PARAMETER = Kind("--param", 1, OptionError, "give it as NAME:=VALUE, for example smoothing:=one_euro")
KEYPOINTS = Kind("keypoints", 200, FootageError, "write the file again, or split the recording")
MARKERS = Kind("TRC file", 64, FootageError, "give a TRC file as OpenSim reads it")
CAPTURE = Kind("motion capture", 64, InputError, "give a whole .bvh file")
MOTION = Kind("motion data", 1000, InputError, "give an .npz in the form of docs/training.md")
RECORDING = Kind("recording", 1000, FootageError, "record it again")
LABELS = Kind("labelled detections", 1000, InputError, "give an .npz of detected_px, label_px, score and fps")
BLOCKS = Kind("noise blocks", 1000, InputError, "write them again with `pose3d fit-noise --blocks`")
NOISE = Kind("fitted noise", 4, InputError, "fit it again with `pose3d fit-noise`")
CHECKPOINT = Kind("checkpoint", 4000, InputError, "give best.ckpt or last.ckpt of `pose3d train`")
NETWORK = Kind("network", 4000, WeightsCorruptError, "copy it again from where it was trained")
RECIPE = Kind("recipe of", 1, InputError, "train the network again")
DETECTOR_MODEL = Kind("detector_model", 2000, InputError, "give a network's .onnx file")
PICTURE = Kind("picture", 256, InputError, "give a whole JPEG or PNG (videos: pose3d demo)")
VIDEO = Kind("video", 0, FootageError, "check the file")
BAG = Kind("recording", 0, FootageError, "give a rosbag2 folder, an .mcap or a .db3 file")
BAG_INDEX = Kind("recording's index", 16, FootageError, "make it again with `ros2 bag reindex`")
RUN_STATE = Kind("state of a run", 1000, FootageError, "start again with --overwrite")
TRUTH = Kind("truth of a rendered scene", 1000, FootageError, "render it again with `pose3d render`")
REPORT = Kind("player's report", 64, FootageError, "check its log")
POINTS = Kind("named points", 4, InputError, "give frame, and points: {NAME: {base: [x, y, z], rig: [x, y, z]}}")
TIMINGS = Kind("timings of backends", 1, InputError, "delete it: they are measured again")
KINDS = (
    RIG, PARAMETERS, PARAMETER, KEYPOINTS, MARKERS, CAPTURE, MOTION, RECORDING, LABELS, BLOCKS, NOISE, CHECKPOINT,
    NETWORK, RECIPE, DETECTOR_MODEL, PICTURE, VIDEO, BAG, BAG_INDEX, RUN_STATE, TRUTH,
    REPORT, POINTS, TIMINGS,
)  # fmt: skip


def expanded(path: Path | str) -> Path:
    """The path with ~ and ~user replaced by the home directory; raises InputError for an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{shown(str(path))} starts with ~ of an unknown user: give the path itself") from error


def refused(path: Path | str, kind: Kind, why: object) -> Pose3DError:
    """Return the error for an invalid file, with its name, the reason and the fix."""
    return kind.error(f"{kind.what} {path} cannot be read ({why}): {kind.fix}")


@contextmanager
def reading(where: Path | str, kind: Kind) -> Iterator[None]:
    """Convert any exception while interpreting a document's values to the kind's error."""
    try:
        yield
    except Pose3DError:
        raise
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        why = f"it has another form than expected: {type(error).__name__}{f': {what}' if what else ''}"
        raise refused(where, kind, why) from error


def checked(path: Path | str, kind: Kind) -> Path:
    """Check that a path is a regular file, not empty and not too large, without opening it; raises the kind's error."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise refused(shown(str(path)) if "\0" in str(path) else path, kind, _reason(error)) from error
    if not stat.S_ISREG(found.st_mode):
        raise refused(path, kind, f"it is {_nature(found.st_mode)}, expected a regular file")
    if found.st_size == 0:  # also the files of /proc, which may never end
        raise refused(path, kind, "it is empty")
    if kind.most_mb and found.st_size > kind.most_mb * MB:
        raise refused(path, kind, f"it has {found.st_size / MB:.0f} MB, expected {kind.most_mb} MB at most")
    return Path(path)


def read_bytes(path: Path | str, kind: Kind) -> bytes:
    """Read the whole file; raises the kind's error."""
    place = checked(path, kind)
    try:
        with place.open("rb") as file:
            # read(n) takes memory for n bytes at once, whatever the file holds.
            data = file.read(min(os.fstat(file.fileno()).st_size, kind.most_mb * MB) + 1)
    except OSError as error:
        raise refused(path, kind, _reason(error)) from error
    if len(data) > kind.most_mb * MB:  # it grows while it is read
        raise refused(path, kind, f"it has more than {kind.most_mb} MB")
    return data


def read_text(path: Path | str, kind: Kind, encoding: str = "utf-8-sig") -> str:
    """Read the whole file as text, with or without a byte-order mark, lines ended by \\n; raises the kind's error."""
    data = read_bytes(path, kind)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise refused(path, kind, "it is UTF-16, expected UTF-8: save it again as UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise refused(
            path, kind, f"byte {error.start} is {data[error.start]:#04x}, expected {encoding[:5].upper()} text"
        ) from error
    if "\0" in text:
        raise refused(path, kind, f"character {text.index(chr(0))} is NUL, expected text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _reason(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else str(getattr(error, "strerror", None) or error)


def _nature(mode: int) -> str:
    """Describe the type of a file system entry."""
    natures = (
        (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    )  # fmt: skip
    return next((what for test, what in natures if test(mode)), "no file")
