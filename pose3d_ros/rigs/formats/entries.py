"""Read numbers from other programs' files, and reject what a format cannot represent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from pose3d_ros.errors import CalibrationError, shown
from pose3d_ros.files import values
from pose3d_ros.files.documents import yaml_content
from pose3d_ros.files.door import RIG
from pose3d_ros.structures import Camera, Floats, Rig

# Extrinsics below this count as identity: 1e-9 m, or rad, is beyond the digits of any file.
AT_ORIGIN = 1e-9
MAX_SIDE_PX = 65_535  # of a JPEG


def yaml_mapping(where: str, text: str) -> dict[Any, Any]:
    """Return the mapping of a YAML file; raises CalibrationError with the file."""
    content = yaml_content(text, where, RIG)
    if not isinstance(content, dict):
        raise CalibrationError(f"{where} contains no mapping of keys, got {type(content).__name__}")
    return content


def numbers(where: str, mapping: Any, key: str, *shape: int) -> Floats:
    """Return mapping[key] as finite numbers of that shape; raises CalibrationError with the key and its value."""
    if not isinstance(mapping, Mapping) or key not in mapping:
        keys = ", ".join(map(shown, list(mapping)[:12])) if isinstance(mapping, Mapping) else shown(mapping)
        raise CalibrationError(f"{where} lacks {key!r}: it has {keys or 'nothing'}")
    try:
        array = values.numbers(mapping[key], *shape)
    except ValueError as error:
        expected = "a list of numbers" if shape == (-1,) else f"{int(np.prod(shape))} number(s)"
        raise CalibrationError(f"{where}: {key} is {shown(mapping[key])}, expected {expected}") from error
    if not np.isfinite(array).all():
        raise CalibrationError(f"{where}: {key} is {shown(mapping[key])}, expected finite numbers")
    return array


def plain_name(where: str, value: Any) -> str:
    """Return a camera's or frame's name; raises CalibrationError for an invalid one, such as null."""
    try:
        return values.name(value)
    except ValueError as error:
        raise CalibrationError(f"{where}: {error}") from error


def whole_size(where: str, size: Floats) -> tuple[int, int]:
    """Return width and height in px; raises CalibrationError unless they are integers in the range of images."""
    width, height = size.ravel()
    if width != round(width) or height != round(height):
        raise CalibrationError(f"{where}: image size {width} x {height} px, expected integers")
    if not 1 <= min(width, height) <= max(width, height) <= MAX_SIDE_PX:
        raise CalibrationError(
            f"{where}: image size {width:g} x {height:g} px must be positive, expected 1 to {MAX_SIDE_PX} px per side"
        )
    return int(width), int(height)


def opencv_lens(coefficients: Floats) -> tuple[str, Floats]:
    """Return the distortion model and coefficients of an OpenCV list k1 k2 p1 p2 [k3 [k4 k5 k6 [...]]]."""
    return ("plumb_bob" if len(coefficients) <= 5 else "rational_polynomial"), coefficients


def reject(format: str, camera: Camera, reason: str, fix: str) -> NoReturn:
    """Raise CalibrationError for a camera that a format cannot represent."""
    raise CalibrationError(f"{format} cannot represent camera {camera.name!r}: {reason}: {fix}")


def plain_polynomial(format: str, camera: Camera, longest: int, fix: str) -> Floats:
    """Return (longest,) coefficients k1 k2 p1 p2 [k3], zero-padded; rejects lenses with more."""
    if camera.distortion_model == "equidistant":
        reject(format, camera, "its lens is equidistant (fisheye)", fix)
    coefficients = np.zeros(14)
    coefficients[: len(camera.distortion)] = camera.distortion
    if coefficients[longest:].any():
        extra = "k3" if longest == 4 and not coefficients[5:].any() else camera.distortion_model
        reject(format, camera, f"its {extra} does not fit into {longest} distortion coefficients", fix)
    return coefficients[:longest]


def check_no_skew(format: str, camera: Camera, fix: str) -> None:
    """Reject a K with skew."""
    if camera.K[0, 1]:
        reject(format, camera, f"its K has a skew of {camera.K[0, 1]:g} px", fix)


def check_first_is_origin(format: str, rig: Rig) -> None:
    """Reject a rig whose world is not its first camera, for formats with relative extrinsics only."""
    first = rig.cameras[0]
    if np.abs(first.cam_from_world - np.eye(4)).max() > AT_ORIGIN:
        reject(
            format,
            first,
            f"its extrinsics are relative to the first camera, but {first.name!r} is not the origin of frame "
            f"{rig.frame_id!r}",
            f"express the rig in its frame (`--origin {first.name}`), or write rig, qualisys, pose2sim or anipose",
        )
