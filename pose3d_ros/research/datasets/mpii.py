"""MPII Human Pose: the owner's MATLAB file, and the JSON that later works share.

Andriluka et al., "2D human pose estimation: New benchmark and state of the art analysis" (CVPR 2014).
mpii_human_pose_v1_u12_1.mat: RELEASE.annolist of images, with annorect of people: x1 y1 x2 y2 of the head and
annopoints.point of x, y, id, is_visible; RELEASE.img_train. JSON (train.json, valid.json): a list of people with image,
joints (16, 2), joints_vis; heads are in gt_valid.mat, headboxes_src (2, 2, N). All pixels count from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import reading
from pose3d_ros.research.datasets.containers import ANNOTATIONS, cells, json_file, mat5
from pose3d_ros.research.datasets.pose_sequence import LabelledImage
from pose3d_ros.skeletons import pairs_by_name
from pose3d_ros.structures import Floats, Skeleton

NAME, SITE = "MPII Human Pose", "fetch it at http://human-pose.mpi-inf.mpg.de"
EXPECTED = "annot/valid.json (with annot/gt_valid.mat for PCKh), or mpii_human_pose_v1_u12_1.mat"
_NAMES = (
    "RAnkle", "RKnee", "RHip", "LHip", "LKnee", "LAnkle", "Pelvis", "Thorax", "UpperNeck", "HeadTop", "RWrist",
    "RElbow", "RShoulder", "LShoulder", "LElbow", "LWrist",
)  # fmt: skip
_PARENTS = (1, 2, 6, 6, 3, 4, -1, 6, 7, 8, 11, 12, 7, 7, 13, 14)
JOINTS = Skeleton("mpii_16", _NAMES, _PARENTS, pairs_by_name(_NAMES))
# The owner's evaluation: a head is 0.6 times the diagonal of its box.
HEAD_SHARE = 0.6


def read_json(path: Path, heads: Path | None = None) -> Iterator[LabelledImage]:
    """One person an image; heads: gt_valid.mat, without which scale is NaN. Raises InputError."""
    people = json_file(path)
    if not isinstance(people, list):
        raise InputError(f"{path} holds a {type(people).__name__}, expected a list of people: {ANNOTATIONS.fix}")
    sizes = np.full(len(people), np.nan) if heads is None else head_sizes(heads)
    if len(sizes) != len(people):
        raise InputError(f"{heads} has {len(sizes)} heads for {len(people)} people of {path}: give those of one split")
    for number, (person, size) in enumerate(zip(people, sizes, strict=True)):
        with reading(path, ANNOTATIONS):
            xy = np.array(person["joints"], dtype=np.float64).reshape(1, JOINTS.size, 2) - 1.0
            visible = np.array(person["joints_vis"], dtype=np.float64).reshape(1, -1) > 0
            yield _image(person["image"], number, np.where(visible[..., None], xy, np.nan), visible, [size])


def head_sizes(path: Path) -> Floats:
    """(N,) px of gt_valid.mat."""
    boxes = np.asarray(mat5(path, "headboxes_src")["headboxes_src"], dtype=np.float64)
    if boxes.ndim != 3 or boxes.shape[:2] != (2, 2):
        raise InputError(f"{path}: headboxes_src is {boxes.shape}, expected (2, 2, people)")
    sizes: Floats = HEAD_SHARE * np.linalg.norm(boxes[1] - boxes[0], axis=0)
    return sizes


def read_mat(path: Path, *, train: bool = True) -> Iterator[LabelledImage]:
    """Images of the release with labelled people, of its training images or of the others; raises InputError."""
    release = cells(mat5(path, "RELEASE")["RELEASE"])[0]
    with reading(path, ANNOTATIONS):
        images = cells(release["annolist"])
        for number in np.flatnonzero(np.ravel(release["img_train"]) == int(train)):
            image = images[number]
            people = [one for one in _structs(image.get("annorect")) if _points(one)]
            if people:
                yield _image(_structs(image["image"])[0]["name"], int(number), *_people(people))


def _people(people: list[dict[str, Any]]) -> tuple[Floats, Any, Floats]:
    xy = np.full((len(people), JOINTS.size, 2), np.nan)
    visible = np.zeros((len(people), JOINTS.size), dtype=bool)
    for row, person in enumerate(people):
        for point in _points(person):
            joint = int(_number(point["id"]))
            xy[row, joint] = _number(point["x"]) - 1.0, _number(point["y"]) - 1.0
            mark = point.get("is_visible", "1")  # a number, a text, or nothing
            visible[row, joint] = (
                str(mark) == "1" if isinstance(mark, str) else np.size(mark) == 0 or _number(mark) == 1
            )
    corners = np.array([[_number(one[name]) for name in ("x1", "y1", "x2", "y2")] for one in people])
    return xy, visible, HEAD_SHARE * np.linalg.norm(corners[:, 2:] - corners[:, :2], axis=1)


def _points(person: dict[str, Any]) -> list[dict[str, Any]]:
    """A person's labelled points; none of a person who is only counted."""
    labels = _structs(person.get("annopoints"))
    return _structs(labels[0].get("point")) if labels else []


def _structs(value: Any) -> list[dict[str, Any]]:
    """The structs of an array of them; an empty field is a matrix of numbers."""
    return list(np.ravel(value)) if isinstance(value, np.ndarray) and value.dtype == object else []


def _number(value: Any) -> float:
    return float(np.ravel(value)[0])


def _image(file: str, number: int, xy: Floats, visible: Any, heads: Any) -> LabelledImage:
    people = len(xy)
    boxes, crowd = np.full((people, 4), np.nan), np.zeros(people, dtype=bool)
    return LabelledImage(str(file), number, JOINTS, xy, visible, np.asarray(heads, np.float64), boxes, crowd)
