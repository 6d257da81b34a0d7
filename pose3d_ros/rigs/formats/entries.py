"""Reading numbers out of somebody else's file, and saying no to what a format cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from pose3d_ros.errors import CalibrationError, shown
from pose3d_ros.files import values
from pose3d_ros.files.documents import yaml_content
from pose3d_ros.files.door import RIG
from pose3d_ros.structures import Camera, Floats, Rig

# A placement nearer to none than this is none: 1e-9 m, or rad, is below what any file's digits carry.
AT_ORIGIN = 1e-9
MOST_SIDE_PX = 65_535  # a JPEG's


def yaml_mapping(where: str, text: str) -> dict[Any, Any]:
    """A YAML file's mapping; raises CalibrationError that names the file."""
    content = yaml_content(text, where, RIG)
    if not isinstance(content, dict):
        raise CalibrationError(f"{where} holds no mapping of keys, got {type(content).__name__}")
    return content


def numbers(where: str, mapping: Any, key: str, *shape: int) -> Floats:
    """mapping[key] as finite numbers of that shape; raises CalibrationError that names the key and what it holds."""
    if not isinstance(mapping, Mapping) or key not in mapping:
        has = ", ".join(map(shown, list(mapping)[:12])) if isinstance(mapping, Mapping) else shown(mapping)
        raise CalibrationError(f"{where} lacks {key!r}: it has {has or 'nothing'}")
    try:
        found = values.numbers(mapping[key], *shape)
    except ValueError as error:
        wanted = "a list of numbers" if shape == (-1,) else f"{int(np.prod(shape))} number(s)"
        raise CalibrationError(f"{where}: {key} is {shown(mapping[key])}, expected {wanted}") from error
    if not np.isfinite(found).all():
        raise CalibrationError(f"{where}: {key} is {shown(mapping[key])}, expected finite numbers")
    return found


def plain_name(where: str, value: Any) -> str:
    """A camera's or frame's name; raises CalibrationError for what is none, such as null."""
    try:
        return values.name(value)
    except ValueError as error:
        raise CalibrationError(f"{where}: {error}") from error


def whole_size(where: str, size: Floats) -> tuple[int, int]:
    """Width and height in px; raises CalibrationError unless they are whole, and an image can have them."""
    width, height = size.ravel()
    if width != round(width) or height != round(height):
        raise CalibrationError(f"{where}: image size {width} x {height} px, expected whole numbers")
    if not 1 <= min(width, height) <= max(width, height) <= MOST_SIDE_PX:
        raise CalibrationError(
            f"{where}: image size {width:g} x {height:g} px must be positive, expected 1 to {MOST_SIDE_PX} px a side"
        )
    return int(width), int(height)


def opencv_lens(coefficients: Floats) -> tuple[str, Floats]:
    """Distortion model and coefficients of an OpenCV list k1 k2 p1 p2 [k3 [k4 k5 k6 [...]]]."""
    return ("plumb_bob" if len(coefficients) <= 5 else "rational_polynomial"), coefficients


def refuse(format: str, camera: Camera, what: str, mend: str) -> NoReturn:
    """Say that a format cannot hold something of a camera."""
    raise CalibrationError(f"{format} cannot hold camera {camera.name!r}: {what}: {mend}")


def plain_polynomial(format: str, camera: Camera, longest: int, mend: str) -> Floats:
    """(longest,) coefficients k1 k2 p1 p2 [k3], zeros where the camera has none; refuses what needs more."""
    if camera.distortion_model == "equidistant":
        refuse(format, camera, "its lens is equidistant (fisheye)", mend)
    coefficients = np.zeros(14)
    coefficients[: len(camera.distortion)] = camera.distortion
    if coefficients[longest:].any():
        extra = "k3" if longest == 4 and not coefficients[5:].any() else camera.distortion_model
        refuse(format, camera, f"its {extra} has no place beside {longest} distortion coefficients", mend)
    return coefficients[:longest]


def check_no_skew(format: str, camera: Camera, mend: str) -> None:
    """Refuse a K with skew."""
    if camera.K[0, 1]:
        refuse(format, camera, f"its K has a skew of {camera.K[0, 1]:g} px", mend)


def check_first_is_origin(format: str, rig: Rig) -> None:
    """Refuse a rig whose world is not its first camera, for formats that only tell cameras relative to it."""
    first = rig.cameras[0]
    if np.abs(first.cam_from_world - np.eye(4)).max() > AT_ORIGIN:
        refuse(
            format,
            first,
            f"the format places cameras relative to the first one only, and {first.name!r} stands elsewhere in frame "
            f"{rig.frame_id!r}",
            f"tell the rig in its frame (`--origin {first.name}`), or write rig, qualisys, pose2sim or anipose",
        )
