"""Our rig.yaml: any rig, with every camera model. rigs/formats reads the files of other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pose3d_ros.errors import CalibrationError, InputError, shown
from pose3d_ros.files import values
from pose3d_ros.files.documents import yaml_content
from pose3d_ros.files.door import RIG, read_text, reading
from pose3d_ros.rigs.formats.entries import whole_size
from pose3d_ros.structures import Camera, Floats, Rig

_REQUIRED = ("name", "width", "height", "K", "cam_from_world")
_OPTIONAL = ("distortion_model", "distortion", "uncropped")


def load_rig(path: Path | str, cameras: Sequence[str] = ()) -> Rig:
    """Load the rig of a YAML file. With cameras, only these are read, in this order.

    Keys: frame_id, cameras: a list of {name, width, height in px, K: 9 numbers by rows in px,
    distortion_model, distortion, cam_from_world: 16 numbers by rows, translation in m, uncropped: for images cropped
    from larger ones, their left and top in the larger image, and its width and height, px}.
    Raises CalibrationError with the file, the camera and the key.
    """
    return rig_from_mapping(yaml_content(read_text(path, RIG), str(path), RIG), str(path), cameras)


def rig_from_mapping(content: Any, where: str, cameras: Sequence[str] = ()) -> Rig:
    """Read the rig of a mapping with load_rig's keys; `where` is its origin, for the CalibrationError."""
    if not isinstance(content, dict) or not isinstance(content.get("cameras"), list):
        raise CalibrationError(f"rig {where} has no list 'cameras': see config/rig_example.yaml for the form")
    unknown = [key for key in content if key not in ("frame_id", "cameras")]
    if unknown:
        raise CalibrationError(f"rig {where}: unknown key {shown(unknown[0])}: use frame_id and cameras")
    try:
        frame_id = values.name(content.get("frame_id", "world"))
        with reading(where, RIG):
            entries = _named(content["cameras"], cameras) if cameras else content["cameras"]
            return Rig(tuple(map(_camera, entries)), frame_id=frame_id)
    except (ValueError, CalibrationError) as error:
        raise CalibrationError(f"rig {where}: {error}") from error


def _named(entries: list[Any], cameras: Sequence[str]) -> list[Any]:
    """Return the entries of these cameras; raises InputError with the available ones."""
    by_name = {str(entry.get("name", "?")): entry for entry in entries if isinstance(entry, dict)}
    for name in cameras:
        if name not in by_name:
            raise InputError(f"the rig has no camera {name!r}: it has {', '.join(by_name)}")
    return [by_name[name] for name in cameras]


def save_rig(rig: Rig, path: Path | str) -> None:
    """Write the YAML file that load_rig reads."""
    Path(path).write_text(dump_rig(rig), encoding="utf-8")


def dump_rig(rig: Rig) -> str:
    """Return the text of that file."""
    return str(yaml.safe_dump(rig_to_mapping(rig), sort_keys=False, default_flow_style=None, width=110))


def rig_to_mapping(rig: Rig) -> dict[str, Any]:
    """Return the mapping that rig_from_mapping reads: plain numbers, strings and lists."""
    cameras = [
        {
            "name": camera.name,
            "width": camera.size_wh[0],
            "height": camera.size_wh[1],
            "K": camera.K.ravel().tolist(),
            "distortion_model": camera.distortion_model,
            "distortion": camera.distortion.tolist(),
            "cam_from_world": camera.cam_from_world.ravel().tolist(),
            **({"uncropped": list(camera.uncropped)} if camera.uncropped else {}),
        }
        for camera in rig.cameras
    ]
    return {"frame_id": rig.frame_id, "cameras": cameras}


def _camera(entry: Any) -> Camera:
    """Read one entry of a rig.yaml; raises InputError, CalibrationError."""
    if not isinstance(entry, dict):
        raise InputError(f"a camera must be a mapping with {', '.join(_REQUIRED)}, got {shown(entry)}")
    name = values.name(entry.get("name", "?"))
    missing = [key for key in _REQUIRED if key not in entry]
    unknown = [key for key in entry if key not in _REQUIRED + _OPTIONAL]
    if missing or unknown:
        problem = f"lacks {missing[0]!r}" if missing else f"has the unknown key {shown(unknown[0])}"
        raise InputError(f"camera {name!r} {problem}: keys are {', '.join(_REQUIRED + _OPTIONAL)}")

    def numbers(key: str, wanted: str, *shape: int) -> Floats:
        try:
            array = values.numbers(entry.get(key, []), *shape)
        except ValueError as error:
            raise InputError(f"camera {name!r}: {key} needs {wanted}, got {shown(entry[key])}") from error
        if not np.isfinite(array).all():
            raise InputError(f"camera {name!r}: {key} needs {wanted}, got {shown(entry[key])}")
        return array

    size = np.array([numbers(side, "a number of px") for side in ("width", "height")])
    return Camera(
        name=name,
        size_wh=whole_size(f"camera {name!r}", size),
        K=numbers("K", "9 numbers by rows", 3, 3),
        distortion_model=str(entry.get("distortion_model", "plumb_bob")),
        distortion=numbers("distortion", "a list of numbers", -1),
        cam_from_world=numbers("cam_from_world", "16 numbers by rows", 4, 4),
        uncropped=tuple(numbers("uncropped", "4 numbers of px", -1).tolist()),
    )
