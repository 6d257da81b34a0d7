"""Rigs on disk: our rig.yaml, and Qualisys Track Manager's calibration files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.structures import Camera, Floats, Rig

_REQUIRED = ("name", "width", "height", "K", "cam_from_world")
_OPTIONAL = ("distortion_model", "distortion")

# Qualisys' camera frame looks along -z with y up; the optical frame of REP-103 is that turned by pi about x.
_OPTICAL_FROM_QUALISYS = np.diag([1.0, -1.0, -1.0])


def load_rig(path: Path | str) -> Rig:
    """The rig of a YAML file.

    Keys: frame_id, cameras: a list of {name, width, height in px, K: 9 numbers by rows in px,
    distortion_model, distortion, cam_from_world: 16 numbers by rows, translation in m}.
    Raises CalibrationError that names the file, the camera and the key.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(f"rig {path} cannot be read ({error.strerror}): give the path of a rig.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CalibrationError(f"rig {path} is not valid YAML: {error}") from error
    return rig_from_mapping(content, where=str(path))


def rig_from_mapping(content: Any, where: str) -> Rig:
    """The rig of a mapping with load_rig's keys; `where` names its origin in the CalibrationError."""
    if not isinstance(content, dict) or not isinstance(content.get("cameras"), list):
        raise CalibrationError(f"rig {where} has no list 'cameras': see config/rig_example.yaml for the form")
    unknown = [key for key in content if key not in ("frame_id", "cameras")]
    if unknown:
        raise CalibrationError(f"rig {where}: unknown key {unknown[0]!r}: use frame_id and cameras")
    try:
        return Rig(tuple(map(_camera, content["cameras"])), frame_id=str(content.get("frame_id", "world")))
    except (InputError, CalibrationError) as error:
        raise CalibrationError(f"rig {where}: {error}") from error


def save_rig(rig: Rig, path: Path | str) -> None:
    """Write the YAML file that load_rig reads."""
    text = yaml.safe_dump(rig_to_mapping(rig), sort_keys=False, default_flow_style=None, width=110)
    Path(path).write_text(text, encoding="utf-8")


def rig_to_mapping(rig: Rig) -> dict[str, Any]:
    """The mapping that rig_from_mapping reads: plain numbers, strings and lists."""
    cameras = [
        {
            "name": camera.name,
            "width": camera.size_wh[0],
            "height": camera.size_wh[1],
            "K": camera.K.ravel().tolist(),
            "distortion_model": camera.distortion_model,
            "distortion": camera.distortion.tolist(),
            "cam_from_world": camera.cam_from_world.ravel().tolist(),
        }
        for camera in rig.cameras
    ]
    return {"frame_id": rig.frame_id, "cameras": cameras}


def rig_from_qualisys(path: Path | str, sizes_wh: Mapping[str, tuple[int, int]] | None = None) -> Rig:
    """The rig of a Qualisys calibration (.qca.txt, an XML file): world in m, z up, frame "world".

    sizes_wh, in px by camera name, are the videos' sizes: one that differs from the calibrated size is taken as
    scaled to fit and centred between black bars (letterboxed). Cameras that sizes_wh does not name are left out.

    Lengths of the intrinsics are in 1/64 px from the sensor's corner, so the principal point loses the
    corner of fov_video. The distortion coefficients have no unit and are taken as they are: Pose2Sim
    divides them by 64 too, but OpenCV's calibration of the checkerboards beside this file gives
    k1 = -0.053, k2 = 0.151 for cam01, where the file says -0.046, 0.140.
    The transform is world_from_camera, its rotation by columns, its translation in mm.

    Raises CalibrationError for a file that is not such a calibration.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise CalibrationError(f"{path} is not a Qualisys calibration ({error}): export .qca.txt from QTM") from error
    entries = {str(entry.get("serial")): entry for entry in root.iterfind("cameras/camera")}
    wanted = dict.fromkeys(entries) if sizes_wh is None else sizes_wh
    for name in wanted:
        if name not in entries:
            raise CalibrationError(f"{path} has no camera {name!r}: it has {', '.join(entries) or 'none'}")
    return Rig(tuple(_qualisys_camera(name, entries[name], size) for name, size in wanted.items()))


def _camera(entry: Any) -> Camera:
    """One entry of a rig.yaml; raises InputError, CalibrationError."""
    if not isinstance(entry, dict):
        raise InputError(f"a camera must be a mapping with {', '.join(_REQUIRED)}, got {entry!r}")
    name = str(entry.get("name", "?"))
    missing = [key for key in _REQUIRED if key not in entry]
    unknown = [key for key in entry if key not in _REQUIRED + _OPTIONAL]
    if missing or unknown:
        what = f"lacks {missing[0]!r}" if missing else f"has the unknown key {unknown[0]!r}"
        raise InputError(f"camera {name!r} {what}: keys are {', '.join(_REQUIRED + _OPTIONAL)}")

    def numbers(key: str, wanted: str, *shape: int) -> Floats:
        try:
            values = np.asarray(entry.get(key, ()), dtype=np.float64).reshape(shape)
        except (TypeError, ValueError) as error:
            raise InputError(f"camera {name!r}: {key} needs {wanted}, got {entry[key]!r}") from error
        if not np.isfinite(values).all():
            raise InputError(f"camera {name!r}: {key} needs {wanted}, got {entry[key]!r}")
        return values

    return Camera(
        name=name,
        size_wh=(int(numbers("width", "a number of px")), int(numbers("height", "a number of px"))),
        K=numbers("K", "9 numbers by rows", 3, 3),
        distortion_model=str(entry.get("distortion_model", "plumb_bob")),
        distortion=numbers("distortion", "a list of numbers", -1),
        cam_from_world=numbers("cam_from_world", "16 numbers by rows", 4, 4),
    )


def _qualisys_camera(name: str, entry: ElementTree.Element, size_wh: tuple[int, int] | None) -> Camera:
    """One <camera> element."""
    view = _numbers(name, entry, "fov_video", "left", "top", "right", "bottom")
    fx, fy, cx, cy = _numbers(
        name, entry, "intrinsic", "focalLengthU", "focalLengthV", "centerPointU", "centerPointV"
    ) / 64  # fmt: skip
    # QTM spells it "tangental".
    distortion = _numbers(
        name, entry, "intrinsic",
        "radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2",
    )  # fmt: skip
    by_columns = [f"r{row}{column}" for row in "123" for column in "123"]
    world_from_camera = _numbers(name, entry, "transform", *by_columns).reshape(3, 3).T
    centre = _numbers(name, entry, "transform", "x", "y", "z") / 1000  # m
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = _OPTICAL_FROM_QUALISYS @ world_from_camera.T
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ centre
    calibrated = (int(view[2] - view[0]) + 1, int(view[3] - view[1]) + 1)
    camera = Camera(
        name=name,
        size_wh=calibrated,
        K=np.array([[fx, 0, cx - view[0]], [0, fy, cy - view[1]], [0, 0, 1]]),
        distortion=np.append(distortion, 0.0),
        cam_from_world=cam_from_world,
    )
    return camera if size_wh is None else _letterboxed(camera, size_wh)


def _letterboxed(camera: Camera, size_wh: tuple[int, int]) -> Camera:
    """The camera of an image scaled to fit into size_wh and centred there."""
    scale = min(new / old for new, old in zip(size_wh, camera.size_wh, strict=True))
    width, height = (round(old * scale) for old in camera.size_wh)
    left, top = (size_wh[0] - width) // 2, (size_wh[1] - height) // 2
    return camera.resized((width, height)).cropped(-left, -top, *size_wh)


def _numbers(name: str, entry: ElementTree.Element, element: str, *keys: str) -> Floats:
    """Attributes of a child element as numbers."""
    child = entry.find(element)
    try:
        if child is None:
            raise KeyError(element)
        return np.array([float(child.attrib[key]) for key in keys])
    except (KeyError, ValueError) as error:
        raise CalibrationError(f"Qualisys camera {name!r}: cannot read <{element}> {error}: export it again") from error
