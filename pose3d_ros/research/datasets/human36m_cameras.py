"""Human3.6M's cameras: the release's metadata.xml, or cameras.h5 of Martinez et al.'s h36m.zip.

Ionescu et al., "Human3.6M: Large scale datasets and predictive methods for 3D human sensing in natural environments"
(PAMI 2014). A camera sees X at R (X - T), T in mm. metadata.xml holds 300 numbers, <w0>: 6 of each of 11 subjects for
each of 4 cameras (angles, T), then 9 of each camera (f, c, k1 k2 k3, p1 p2).

Deviation: the release's own projection leaves out the factor 2 of its tangential terms. Ours is OpenCV's; the two are
0.3 to 0.5 px apart in the middle 60 % of the image and 1.5 px in a corner. VideoPose3D lists p2 before p1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import reading
from pose3d_ros.research.datasets.containers import CALIBRATION, hdf5, xml_file
from pose3d_ros.research.datasets.pose_sequence import intrinsics, placed
from pose3d_ros.structures import Camera, Floats, Rig

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
SIZES_WH = {"54138969": (1000, 1002), "55011271": (1000, 1000), "58860488": (1000, 1000), "60457274": (1000, 1002)}
SUBJECTS = 11
MM = 1000.0


def read_rig(root: Path, subject: str) -> Rig | None:
    """A subject's cameras (S1 to S11) by whichever file lies in root; None without one. Raises InputError."""
    if (root / "metadata.xml").is_file():
        return metadata_rig(root / "metadata.xml", subject)
    if (root / "cameras.h5").is_file():
        return martinez_rig(root / "cameras.h5", subject)
    return None


def metadata_rig(path: Path, subject: str) -> Rig:
    """A subject's cameras by the release's metadata.xml."""
    found = xml_file(path).find("w0")
    text = "" if found is None else str(found.text)
    try:
        w0 = np.array(text.strip(" []").split(), dtype=np.float64)
    except ValueError:
        w0 = np.zeros(0)
    if w0.shape != (10 * 30,):
        raise InputError(f"{path}: <w0> has {len(w0)} numbers, expected 300: {CALIBRATION.fix}")
    places = w0[: 4 * SUBJECTS * 6].reshape(4, SUBJECTS, 6)[:, _number(subject) - 1]
    lenses = w0[4 * SUBJECTS * 6 :].reshape(4, 9)
    with reading(path, CALIBRATION):
        return Rig(
            tuple(
                _camera(name, _rotation(place[:3]), place[3:], lens[:2], lens[2:4], lens[4:7], lens[7:])
                for name, place, lens in zip(CAMERAS, places, lenses, strict=True)
            )
        )


def martinez_rig(path: Path, subject: str) -> Rig:
    """A subject's cameras by cameras.h5: groups subject9/camera1 of R, T, f, c, k, p."""
    cameras = []
    with hdf5(path, f"subject{_number(subject)}") as file:
        for number, name in enumerate(CAMERAS, 1):
            group = file[f"subject{_number(subject)}/camera{number}"]
            R, T, f, c, k, p = (np.asarray(group[field], dtype=np.float64) for field in ("R", "T", "f", "c", "k", "p"))
            cameras.append(_camera(name, R.reshape(3, 3).T, T, f, c, k, p))  # MATLAB wrote it: by columns
    return Rig(tuple(cameras))


def _camera(name: str, R: Floats, T_mm: Floats, f: Floats, c: Floats, k: Floats, p: Floats) -> Camera:
    (fx, fy), (cx, cy), (k1, k2, k3), (p1, p2) = f.ravel(), c.ravel(), k.ravel(), p.ravel()
    cam_from_world = placed(R, -R @ T_mm.ravel() / MM)
    return Camera(name, SIZES_WH[name], intrinsics(fx, fy, cx, cy), "plumb_bob", [k1, k2, p1, p2, k3], cam_from_world)  # type: ignore[arg-type]


def _rotation(angles: Floats) -> Floats:
    """About x, then y, then z, as the release multiplies them."""
    (a, b, c), (s, t, u) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -s], [0, s, a]])
    about_y = np.array([[b, 0, t], [0, 1, 0], [-t, 0, b]])
    about_z = np.array([[c, -u, 0], [u, c, 0], [0, 0, 1]])
    rotation: Floats = about_x @ about_y @ about_z
    return rotation


def _number(subject: str) -> int:
    number = int(subject[1:]) if subject[:1] == "S" and subject[1:].isdecimal() else 0
    if not 1 <= number <= SUBJECTS:
        raise InputError(f"Human3.6M has no subject {subject!r}: use S1 to S11")
    return number
