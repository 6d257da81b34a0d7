"""Damaged files of data sets: an error of this package that names the file, or numbers; nothing else."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from pose3d_ros.errors import Pose3DError
from pose3d_ros.research.datasets import (
    coco,
    human36m_cameras,
    humaneva,
    mpi_inf_3dhp,
    mpii,
    panoptic,
    shelf_campus,
    total_capture,
)

EYE = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
PANOPTIC = {
    "name": "00_00",
    "type": "hd",
    "resolution": [64, 48],
    "K": EYE,
    "distCoef": [0] * 5,
    "R": EYE,
    "t": [1, 2, 3],
}
SHELF = {"k": [[0], [0], [0]], "p": [[0], [0]], "R": EYE, "T": [[1], [2], [3]], "fx": 9, "fy": 9, "cx": 1, "cy": 1}
PERSON = {"id": 1, "image_id": 5, "keypoints": [1, 2, 2] * 17, "area": 9.0, "bbox": [1, 2, 3, 4], "iscrowd": 0}
CALIBRATION = (
    "Skeletool Camera Calibration File V1.0\nname 0\n sensor 1 1\n size 64 48\n animated 0\n"
    " intrinsic 9 0 1 0 0 9 1 0 0 0 1 0 0 0 0 1\n extrinsic 1 0 0 0 0 1 0 0 0 0 1 9 0 0 0 1\n radial 0\n"
)
CAL = "1 1\n0 47 0 63\n9 9 1 1\n0\n1 0 0\n0 1 0\n0 0 1\n1 2 3\n"
TEXTS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "panoptic cameras": ("c.json", json.dumps({"cameras": [PANOPTIC]}), panoptic.read_rig),
    "panoptic bodies": ("b.json", json.dumps({"bodies": [{"id": 0, "joints19": [1.5] * 76}]}), panoptic.read_bodies),
    "shelf cameras": (
        "calibration_shelf.json", json.dumps({"0": SHELF}), lambda path: shelf_campus.read_rig(path.parent, "Shelf"),
    ),
    "coco": (
        "v.json", json.dumps({"images": [{"id": 5, "file_name": "5.jpg"}], "annotations": [PERSON]}),
        lambda path: list(coco.read(path)),
    ),
    "mpii": (
        "v.json", json.dumps([{"image": "a", "joints": [[1, 2]] * 16, "joints_vis": [1] * 16}]),
        lambda path: list(mpii.read_json(path)),
    ),
    "mpi_inf_3dhp cameras": ("camera.calibration", CALIBRATION, mpi_inf_3dhp.read_rig),
    "total_capture cameras": ("calibration.cal", CAL, total_capture.read_rig),
    "total_capture joints": (
        "gt_skel_gbl_pos.txt", "\t".join(total_capture.VICON) + "\n" + "1 2 3\t" * 21 + "\n",
        lambda path: total_capture.read_joints(path, 3),
    ),
    "humaneva camera": ("C1.cal", "9 9 1 1 0 0 0 0 0 0 1 0 0 0 1 0 0 0 1 1 2 3\n", humaneva.read_camera),
    "humaneva offset": ("a.ofs", "1\n2\n3\n", humaneva.read_offset),
    "human36m metadata": (
        "metadata.xml", f"<a><w0>[{'0.5 ' * 264}{'9 9 1 1 0 0 0 0 0 ' * 4}]</w0></a>",
        lambda path: human36m_cameras.metadata_rig(path, "S9"),
    ),
}  # fmt: skip


def cell(values: list[np.ndarray]) -> np.ndarray:
    made = np.empty((len(values), 1), dtype=object)
    made[:, 0] = values
    return made


def actors() -> np.ndarray:
    made = np.empty((1, 1), dtype=object)
    made[0, 0] = cell([np.zeros((14, 3)), np.zeros((1, 0))])
    return made


MATS: dict[str, tuple[str, dict[str, Any], Callable[[Path], Any]]] = {
    "mpi_inf_3dhp": (
        "annot.mat", {"annot2": cell([np.ones((1, 56))] * 2), "annot3": cell([np.ones((1, 84))] * 2)},
        lambda path: mpi_inf_3dhp.camera_poses(path, "annot3"),
    ),
    "shelf": ("actorsGT.mat", {"actor3D": actors()}, lambda path: shelf_campus.read_sequence(path.parent, "Shelf")),
    "mpii heads": ("gt_valid.mat", {"headboxes_src": np.ones((2, 2, 3))}, mpii.head_sizes),
}  # fmt: skip


def read(path: Path, reader: Callable[[Path], Any]) -> None:
    """Read; only errors of this package pass, and they are short."""
    message = ""
    try:
        reader(path)
    except Pose3DError as error:
        message = str(error)
    assert len(message) < 2000


@pytest.mark.parametrize("name", TEXTS)
def test_whole_texts_are_read(name: str, tmp_path: Path) -> None:
    file, text, reader = TEXTS[name]
    (tmp_path / file).write_text(text)
    assert reader(tmp_path / file) is not None


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_damaged_texts_end_with_one_error(name: str, data: st.DataObject) -> None:
    """A piece is replaced by another: a number, a word, brackets, nothing."""
    file, text, reader = TEXTS[name]
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 12))
    piece = data.draw(
        st.sampled_from(["", "-1", "nan", "1e999", "null", "[]", "{}", '"', "x", "\0", " ", "\n", "é", "]"])
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_text(text[:start] + piece + text[start + length :], encoding="utf-8")
        read(path, reader)


@pytest.mark.parametrize("name", MATS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_damaged_mat_files_end_with_one_error(name: str, data: st.DataObject) -> None:
    file, content, reader = MATS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        savemat(path, content)
        reader(path)
        raw = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw) // 2, 100]))]))
        read(path, reader)
