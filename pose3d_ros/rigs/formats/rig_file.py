"""Read any calibration file as a Rig, and write it; the format is recognised by the file's content."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from pose3d_ros.errors import CalibrationError, InputError, Pose3DError
from pose3d_ros.files.door import RIG, read_text, reading
from pose3d_ros.rigs.formats.anipose_toml import is_toml, read_toml, write_anipose, write_pose2sim
from pose3d_ros.rigs.formats.entries import yaml_mapping
from pose3d_ros.rigs.formats.kalibr import is_kalibr, read_kalibr, write_kalibr
from pose3d_ros.rigs.formats.opencv_storage import is_opencv, read_opencv, write_opencv
from pose3d_ros.rigs.formats.qualisys import is_qualisys, read_qualisys, write_qualisys
from pose3d_ros.rigs.formats.ros_camera_info import is_ros, read_ros, write_ros
from pose3d_ros.rigs.rig_yaml import dump_rig, rig_from_mapping
from pose3d_ros.structures import Camera, Floats, Rig

# Tolerance of a written file: the digits that conversion to mm, 1/64 px or Rodrigues vectors keeps.
TOLERANCE = 1e-6
_SUFFIXES = (".yaml", ".yml", ".toml", ".xml", ".txt")


@dataclass(frozen=True)
class RigFormat:
    """One file format: how it is recognised, read and written."""

    description: str
    recognises: Callable[[str], bool]
    read: Callable[[Mapping[str, str]], Rig]  # texts by file name
    write: Callable[[Rig], dict[str, str]]  # the same
    suffix: str


def _is_ours(text: str) -> bool:
    return re.search(r"^cameras\s*:", text, re.MULTILINE) is not None


def _read_ours(files: Mapping[str, str]) -> Rig:
    ((where, text),) = files.items()
    return rig_from_mapping(yaml_mapping(where, text), where)


# In the order in which a text is tested: the most distinctive formats first.
FORMATS: Mapping[str, RigFormat] = MappingProxyType(
    {
        "qualisys": RigFormat(
            "Qualisys Track Manager .qca.txt", is_qualisys, read_qualisys, write_qualisys, ".qca.txt"
        ),
        "opencv": RigFormat(
            "OpenCV FileStorage, one camera or a pair (M1 D1 M2 D2 R T)", is_opencv, read_opencv, write_opencv, ".yml"
        ),
        "pose2sim": RigFormat("Pose2Sim TOML", is_toml, read_toml, write_pose2sim, ".toml"),
        "anipose": RigFormat("Anipose TOML", is_toml, read_toml, write_anipose, ".toml"),
        "ros": RigFormat(
            "ROS camera_info, one camera or a stereo pair (a folder of two files)", is_ros, read_ros, write_ros, ".yaml"
        ),
        "kalibr": RigFormat("Kalibr camchain", is_kalibr, read_kalibr, write_kalibr, ".yaml"),
        "rig": RigFormat(
            "pose3d_ros rig.yaml: any camera", _is_ours, _read_ours, lambda rig: {"rig.yaml": dump_rig(rig)}, ".yaml"
        ),
    }
)


def read_rig(
    path: Path | str, *more: Path | str, size_wh: tuple[int, int] | None = None, cameras: Sequence[str] = ()
) -> Rig:
    """Read the rig of a calibration in any format of FORMATS, lengths in m.

    Several files, or a folder of them, are one rig if the format splits it (left.yaml and right.yaml, intrinsics.yml
    and extrinsics.yml). size_wh, in px, is for OpenCV files without a size. cameras: only these, in this order; a
    rig.yaml may contain others that cannot be used. The world is the file's: the first camera's optical frame for
    ros, kalibr and opencv. Raises CalibrationError with the file.
    """
    files = _texts([Path(path), *map(Path, more)])
    kinds = {where: format_of(where, text) for where, text in files.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{where} ({kind})" for where, kind in kinds.items())
        raise CalibrationError(f"files of different formats: {listed}: give files of one format")
    kind = next(iter(kinds.values()))
    if len(files) > 1 and kind not in ("ros", "opencv"):
        raise CalibrationError(f"{kind} has the whole rig in one file, got {', '.join(files)}: give one")
    try:
        with reading(", ".join(files), RIG):
            if kind == "rig":
                ((where, text),) = files.items()
                return rig_from_mapping(yaml_mapping(where, text), where, cameras)
            rig = read_opencv(files, size_wh) if kind == "opencv" else FORMATS[kind].read(files)
            return rig.subset(cameras) if cameras else rig
    except (InputError, CalibrationError) as error:
        where = ", ".join(files)
        message = str(error)
        raise CalibrationError(message if message.startswith(where) else f"{where}: {message}") from error


def write_rig(rig: Rig, path: Path | str, format: str = "rig") -> tuple[Path, ...]:
    """Write a rig; returns the files: `path`, or one per camera inside the folder `path` (a pair for ros).

    The text is read back first: nothing is written unless it gives the same cameras. Raises CalibrationError for what
    the format cannot represent, with the fix, and InputError for an unknown format.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}: use one of {', '.join(FORMATS)}")
    texts = FORMATS[format].write(rig)
    if len(texts) < len(rig.cameras) and format == "ros":
        raise CalibrationError(f"ros cannot name two files after cameras {', '.join(rig.names)}: rename one")
    _check_round_trip(format, rig, texts)
    path = Path(path)
    if len(texts) == 1:
        if path.is_dir():
            raise CalibrationError(f"{path} is a folder, {format} writes one file: give a file's path")
        targets = {path: next(iter(texts.values()))}
    else:
        if path.is_file():
            raise CalibrationError(f"{path} is a file, {format} writes {' and '.join(texts)}: give a folder")
        targets = {path / name: text for name, text in texts.items()}
    for target, text in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return tuple(targets)


def format_of(where: str, text: str) -> str:
    """Return the name of a text's format; raises CalibrationError with the supported ones."""
    for name, rig_format in FORMATS.items():
        if rig_format.recognises(text):
            return name
    supported = "; ".join(f"{name}: {rig_format.description}" for name, rig_format in FORMATS.items())
    raise CalibrationError(f"{where} is in no supported calibration format ({supported}): check the file")


def same_lens(a: Camera, b: Camera) -> bool:
    """Whether two lenses are the same function, up to trailing zeros."""
    fisheye = [camera.distortion_model == "equidistant" for camera in (a, b)]
    return fisheye[0] == fisheye[1] and np.allclose(_padded(a.distortion), _padded(b.distortion), rtol=1e-9, atol=1e-12)


def _padded(coefficients: Floats) -> Floats:
    return np.append(coefficients, np.zeros(14 - len(coefficients)))


def _check_round_trip(format: str, rig: Rig, texts: Mapping[str, str]) -> None:
    """Raise CalibrationError unless the texts read back as the rig's cameras."""
    try:
        back = FORMATS[format].read(texts)
    except Pose3DError as error:
        raise CalibrationError(f"{format} cannot represent this rig, it does not read back: {error}") from error
    if back.names != rig.names:
        raise CalibrationError(
            f"{format} cannot represent the camera names {rig.names}: they read back as {back.names}: rename them"
        )
    for ours, theirs in zip(rig.cameras, back.cameras, strict=True):
        rotation = ours.cam_from_world[:3, :3]
        # A rotation with few digits is not orthonormal, and reads back as the nearest rotation.
        rounding = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        reach = 1.0 + float(np.abs(ours.cam_from_world[:3, 3]).max())
        differs = {
            "image size": ours.size_wh != theirs.size_wh,
            "K": not np.allclose(ours.K, theirs.K, rtol=1e-9, atol=TOLERANCE),
            "distortion": not same_lens(ours, theirs),
            "placement": np.abs(ours.cam_from_world - theirs.cam_from_world).max() > (TOLERANCE + 2 * rounding) * reach,
        }
        lost = [quantity for quantity, different in differs.items() if different]
        if lost:
            raise CalibrationError(f"{format} cannot represent {lost[0]} of camera {ours.name!r}: write rig, which can")


def _texts(paths: list[Path]) -> dict[str, str]:
    """Return texts by file name; of a folder, those in a supported format."""
    texts = {}
    for path in paths:
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES) if path.is_dir() else [path]
        for file in files:
            text = read_text(file, RIG)
            if path.is_dir() and not any(rig_format.recognises(text) for rig_format in FORMATS.values()):
                continue  # reports and notes are in the same folder
            texts[str(file)] = text
        if path.is_dir() and not texts:
            raise CalibrationError(
                f"folder {path} contains no calibration: expected files such as left.yaml, right.yaml"
            )
    return texts
