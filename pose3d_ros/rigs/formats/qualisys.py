"""Qualisys Track Manager's calibration (.qca.txt, an XML file): world in mm with z up, K in 1/64 px.

Lengths of the intrinsics are in 1/64 px from the sensor's corner, so the corner of fov_video is subtracted from the
principal point. The distortion coefficients have no unit and are used unchanged: Pose2Sim also divides them by 64, but
OpenCV's calibration of the checkerboards in its sample gives k1 = -0.053, k2 = 0.151 for cam01, where the file has
-0.046, 0.140. The transform is world_from_camera, its rotation by columns, its translation in mm.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.files.documents import xml_root
from pose3d_ros.files.door import RIG, read_text
from pose3d_ros.rigs.formats.entries import check_no_skew, plain_polynomial
from pose3d_ros.structures import Camera, Floats, Rig

# Qualisys' camera faces along -z with y up; the optical frame of REP-103 is that frame rotated by pi about x.
_OPTICAL_FROM_QUALISYS = np.diag([1.0, -1.0, -1.0])
_SUBPIXELS = 64
# QTM spells it "tangental".
_LENS = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3")
_BY_COLUMNS = tuple(f"r{row}{column}" for row in "123" for column in "123")
_FIX = "write rig, ros or opencv, which can"


def is_qualisys(text: str) -> bool:
    """Whether a text looks like a Qualisys calibration."""
    return "<calibration" in text


def rig_from_qualisys(path: Path | str, sizes_wh: Mapping[str, tuple[int, int]] | None = None) -> Rig:
    """Load the rig of a Qualisys calibration: world in m, z up, frame "world".

    sizes_wh, in px by camera name, are the videos' sizes: one that differs from the calibrated size is assumed to be
    scaled to fit and centred between black bars (letterboxed). Cameras not in sizes_wh are left out.
    Raises CalibrationError for a file that is not such a calibration.
    """
    rig = read_qualisys({str(path): read_text(path, RIG)})
    if sizes_wh is None:
        return rig
    for name in sizes_wh:
        if name not in rig.names:
            raise CalibrationError(f"{path} has no camera {name!r}: it has {', '.join(rig.names)}")
    return Rig(tuple(_letterboxed(rig.camera(name), size) for name, size in sizes_wh.items()))


def read_qualisys(files: Mapping[str, str]) -> Rig:
    """Read the rig of the file's text: world in m, z up, frame "world"; raises CalibrationError."""
    ((where, text),) = files.items()
    root = xml_root(text, where, RIG)
    entries = root.findall("cameras/camera")
    if not entries:
        raise CalibrationError(f"{where} has no <cameras><camera>: export .qca.txt from QTM")
    return Rig(tuple(_camera(where, str(entry.get("serial")), entry) for entry in entries))


def write_qualisys(rig: Rig) -> dict[str, str]:
    """Write the .qca.txt of a rig; rejects fisheye, rational lenses and skew."""
    root = ElementTree.Element("calibration", type="regular", source="pose3d_ros")
    cameras = ElementTree.SubElement(root, "cameras")
    for camera in rig.cameras:
        check_no_skew("qualisys", camera, _FIX)
        lens = plain_polynomial("qualisys", camera, 5, _FIX)
        width, height = camera.size_wh
        entry = ElementTree.SubElement(
            cameras, "camera", {"active": "1", "avg-residual": "0", "model": "video", "serial": camera.name}
        )
        for view in ("fov_marker", "fov_marker_max", "fov_video", "fov_video_max"):
            ElementTree.SubElement(entry, view, left="0", top="0", right=str(width - 1), bottom=str(height - 1))
        world_from_camera = np.linalg.inv(_OPTICAL_FROM_QUALISYS @ camera.cam_from_world[:3, :3])
        centre_mm = -np.linalg.solve(camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]) * 1000
        pose = dict(zip((*_BY_COLUMNS, *"xyz"), (*world_from_camera.T.ravel(), *centre_mm), strict=True))
        ElementTree.SubElement(entry, "transform", {key: repr(float(value)) for key, value in pose.items()})
        intrinsic = {
            "focalLengthU": camera.K[0, 0] * _SUBPIXELS,
            "focalLengthV": camera.K[1, 1] * _SUBPIXELS,
            "centerPointU": camera.K[0, 2] * _SUBPIXELS,
            "centerPointV": camera.K[1, 2] * _SUBPIXELS,
            "skew": 0.0,
            "sensorMinU": 0.0,
            "sensorMinV": 0.0,
            "sensorMaxU": float((width - 1) * _SUBPIXELS),
            "sensorMaxV": float((height - 1) * _SUBPIXELS),
            **dict(zip(_LENS, lens, strict=True)),
        }
        ElementTree.SubElement(entry, "intrinsic", {key: repr(float(value)) for key, value in intrinsic.items()})
    ElementTree.indent(root)
    return {"Calib.qca.txt": '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"}


def _camera(where: str, name: str, entry: ElementTree.Element) -> Camera:
    """Read one <camera> element."""
    view = _numbers(where, name, entry, "fov_video", "left", "top", "right", "bottom")
    fx, fy, cx, cy = _numbers(
        where, name, entry, "intrinsic", "focalLengthU", "focalLengthV", "centerPointU", "centerPointV"
    ) / _SUBPIXELS  # fmt: skip
    optional = entry.find("intrinsic")
    if optional is not None and float(optional.get("skew", 0)):
        raise CalibrationError(
            f"{where}: camera {name!r} has skew {optional.get('skew')}, whose unit is unknown: set it to 0 if it is "
            "negligible, or calibrate without skew"
        )
    lens = _numbers(where, name, entry, "intrinsic", *_LENS[:4])
    k3 = float(optional.get(_LENS[4], 0)) if optional is not None else 0.0
    world_from_camera = _numbers(where, name, entry, "transform", *_BY_COLUMNS).reshape(3, 3).T
    centre = _numbers(where, name, entry, "transform", "x", "y", "z") / 1000  # m
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = _OPTICAL_FROM_QUALISYS @ world_from_camera.T
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ centre
    return Camera(
        name=name,
        size_wh=(int(view[2] - view[0]) + 1, int(view[3] - view[1]) + 1),
        K=np.array([[fx, 0, cx - view[0]], [0, fy, cy - view[1]], [0, 0, 1]]),
        distortion=np.append(lens, k3),
        cam_from_world=cam_from_world,
    )


def _letterboxed(camera: Camera, size_wh: tuple[int, int]) -> Camera:
    """Return the camera of an image scaled to fit into size_wh and centred there."""
    scale = min(new / old for new, old in zip(size_wh, camera.size_wh, strict=True))
    width, height = (round(old * scale) for old in camera.size_wh)
    left, top = (size_wh[0] - width) // 2, (size_wh[1] - height) // 2
    return camera.resized((width, height)).cropped(-left, -top, *size_wh)


def _numbers(where: str, name: str, entry: ElementTree.Element, element: str, *keys: str) -> Floats:
    """Return attributes of a child element as numbers."""
    child = entry.find(element)
    try:
        if child is None:
            raise KeyError(element)
        return np.array([float(child.attrib[key]) for key in keys])
    except (KeyError, ValueError) as error:
        raise CalibrationError(
            f"{where}: camera {name!r}: cannot read <{element}> {error}: export it again from QTM"
        ) from error
