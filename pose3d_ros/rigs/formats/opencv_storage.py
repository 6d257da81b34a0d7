"""OpenCV's FileStorage (YAML, XML): a stereo pair as stereo_calib.cpp writes it, one camera as calibration.cpp does.

samples/cpp/stereo_calib.cpp: M1 D1 M2 D2 in intrinsics.yml, R T (and R1 R2 P1 P2 Q) in extrinsics.yml, with
X2 = R X1 + T in the unit of the board's squares, and no image size. samples/cpp/calibration.cpp: camera_matrix,
distortion_coefficients, image_width, image_height. In addition we write name1, name2, image_width, image_height and
fisheye_model, which OpenCV's programs ignore.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from pose3d_ros.errors import CalibrationError, shown
from pose3d_ros.files.documents import check_xml, check_yaml
from pose3d_ros.files.door import RIG
from pose3d_ros.rigs.formats.entries import check_first_is_origin, opencv_lens, reject, whole_size
from pose3d_ros.structures import Camera, Floats, Rig

MAX_ROWS = 1000  # a calibration's matrix has at most 14 columns, a list of image points some hundred rows


def is_opencv(text: str) -> bool:
    """Whether a text looks like a FileStorage."""
    return "!!opencv-matrix" in text or "<opencv_storage" in text


def read_opencv(files: Mapping[str, str], size_wh: tuple[int, int] | None = None) -> Rig:
    """Read the rig of a pair (M1 D1 M2 D2 R T in one or two files) or of one camera, in the first camera's frame.

    size_wh, in px, is required for files without a size, such as stereo_calib's. Lengths are assumed to be in m: give
    the board's squares in m when calibrating, or scale the rig. Raises CalibrationError with what is missing.
    """
    where = ", ".join(files)
    stored = _stored(files)
    size = _size(where, stored, size_wh)
    fisheye = bool(stored.get("fisheye_model"))
    if "M1" in stored or "M2" in stored:
        missing = [key for key in ("M1", "D1", "M2", "D2", "R", "T") if key not in stored]
        if missing:
            raise CalibrationError(
                f"{where} lacks {', '.join(missing)} of M1 D1 M2 D2 R T: give both intrinsics.yml and extrinsics.yml"
            )
        second = np.eye(4)
        rotation = _matrix(where, stored, "R", 3, 9)
        second[:3, :3] = rotation.reshape(3, 3) if rotation.size == 9 else cv2.Rodrigues(rotation)[0]
        second[:3, 3] = _matrix(where, stored, "T", 3).ravel()
        names = _names(stored, ["left", "right"])
        sizes = [size, _size(where, stored, size_wh, "2") if "image_width2" in stored else size]
        return Rig(
            tuple(
                _camera(where, stored, name, f"M{n}", f"D{n}", camera_size, fisheye, cam_from_first)
                for n, name, camera_size, cam_from_first in zip((1, 2), names, sizes, (np.eye(4), second), strict=True)
            ),
            frame_id=f"{names[0]}_optical",
        )
    (name,) = _names(stored, ["camera"])
    keys = ("camera_matrix", "distortion_coefficients")
    if not all(key in stored for key in keys):
        raise CalibrationError(f"{where} has {', '.join(stored)}, expected M1 D1 M2 D2 R T, or {' and '.join(keys)}")
    return Rig((_camera(where, stored, name, *keys, size, fisheye, np.eye(4)),), frame_id=f"{name}_optical")


def write_opencv(rig: Rig) -> dict[str, str]:
    """Write one YAML file of a camera or a pair in the first camera's frame; else raises CalibrationError."""
    if len(rig.cameras) > 2:
        raise CalibrationError(
            f"opencv supports one camera or a stereo pair, got {len(rig.cameras)} cameras ({', '.join(rig.names)}): "
            "write two with `--cameras A,B --origin A`, or write rig, kalibr or anipose"
        )
    check_first_is_origin("opencv", rig)
    first, last = rig.cameras[0], rig.cameras[-1]
    fisheye = first.distortion_model == "equidistant"
    if fisheye != (last.distortion_model == "equidistant"):
        reject(
            "opencv", last, "fisheye_model applies to both cameras, and these two differ", "write rig, ros or kalibr"
        )
    storage = cv2.FileStorage("rig.yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    for n, camera in enumerate(rig.cameras, start=1):
        storage.write(f"name{n}", camera.name)
        for key, pixels in zip(("image_width", "image_height"), camera.size_wh, strict=True):
            storage.write(key if n == 1 else f"{key}2", int(pixels))
        lens = camera.distortion if len(camera.distortion) else np.zeros(4 if fisheye else 5)
        single = len(rig.cameras) == 1
        storage.write("camera_matrix" if single else f"M{n}", camera.K)
        storage.write("distortion_coefficients" if single else f"D{n}", lens[None])
    storage.write("fisheye_model", int(fisheye))
    if first is not last:
        storage.write("R", last.cam_from_world[:3, :3].copy())
        storage.write("T", last.cam_from_world[:3, 3:].copy())
    return {"rig.yml": storage.releaseAndGetString()}


def _stored(files: Mapping[str, str]) -> dict[str, Any]:
    """Return the top-level matrices, numbers and strings of all files; anything else is None."""
    values: dict[str, Any] = {}
    for where, text in files.items():
        _check(where, text)
        try:
            storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
            root = storage.root()
            # Read at once: a node is invalid after its storage is closed.
            values.update({key: _value(root.getNode(key)) for key in root.keys()})  # noqa: SIM118  (not a mapping)
        except (cv2.error, SystemError) as error:
            raise CalibrationError(f"{where} is not an OpenCV FileStorage file: {error}") from error
    return values


def _check(where: str, text: str) -> None:
    """Raise CalibrationError for content on which OpenCV's reader would recurse, or allocate gigabytes."""
    if text.lstrip().startswith("<"):
        check_xml(text, where, RIG)
    else:
        check_yaml(re.sub(r"^\s*%YAML:?\s*1\.\d", "%YAML 1.1", text), where, RIG)
    for side, count in re.findall(r"\b(rows|cols)\b\W{1,6}(\d+)", text):
        if int(count) > MAX_ROWS:
            raise CalibrationError(f"{where}: a matrix has {side} {shown(int(count))}, expected at most {MAX_ROWS}")


def _value(node: cv2.FileNode) -> Any:
    if node.isString():
        return node.string()
    if node.isInt() or node.isReal():
        return node.real()
    return node.mat() if node.isMap() else None


def _matrix(where: str, stored: Mapping[str, Any], key: str, *sizes: int) -> Floats:
    """Return a matrix with one of these numbers of elements."""
    values = stored[key]
    if not isinstance(values, np.ndarray) or values.size not in sizes or not np.isfinite(values).all():
        expected = " or ".join(map(str, sizes))
        raise CalibrationError(f"{where}: {key} is {shown(values)}, expected a matrix of {expected} finite numbers")
    return np.asarray(values, dtype=np.float64)


def _names(stored: Mapping[str, Any], defaults: list[str]) -> list[str]:
    return [str(stored.get(f"name{n}", default)) for n, default in enumerate(defaults, start=1)]


def _size(where: str, stored: Mapping[str, Any], size_wh: tuple[int, int] | None, suffix: str = "") -> tuple[int, int]:
    stored_size = [stored.get(f"image_{side}{suffix}") for side in ("width", "height")]
    if all(isinstance(pixels, float) and np.isfinite(pixels) and pixels for pixels in stored_size):
        return whole_size(where, np.array(stored_size))
    if size_wh is None:
        raise CalibrationError(f"{where} has no image size: give it with `--size WIDTHxHEIGHT` in px")
    return size_wh


def _camera(
    where: str,
    stored: Mapping[str, Any],
    name: str,
    matrix: str,
    lens: str,
    size_wh: tuple[int, int],
    fisheye: bool,
    cam_from_world: Floats,
) -> Camera:
    K = _matrix(where, stored, matrix, 9).reshape(3, 3)
    coefficients = _matrix(where, stored, lens, 4, 5, 8, 12, 14).ravel()
    model, coefficients = ("equidistant", coefficients) if fisheye else opencv_lens(coefficients)
    return Camera(name, size_wh, K, model, coefficients, cam_from_world)
