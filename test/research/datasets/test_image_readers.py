"""MPII and COCO: files written here as they are published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets import coco, mpii


def test_mpii_json_counts_pixels_from_0_and_takes_heads_from_the_owner_file(tmp_path: Path) -> None:
    joints = [[joint + 1, 2 * joint + 1] for joint in range(16)]
    person = {"image": "005808361.jpg", "joints": joints, "joints_vis": [1] * 15 + [0], "center": [1, 1], "scale": 2}
    (tmp_path / "valid.json").write_text(json.dumps([person]))
    boxes = np.array([[[10.0], [20.0]], [[13.0], [24.0]]])  # 3 by 4 px: 5 px of diagonal
    savemat(tmp_path / "gt_valid.mat", {"headboxes_src": boxes})
    (image,) = mpii.read_json(tmp_path / "valid.json", tmp_path / "gt_valid.mat")
    assert image.xy[0, 3].tolist() == [3, 6]
    assert np.isnan(image.xy[0, 15]).all()
    assert not image.visible[0, 15]
    assert image.scale == pytest.approx([3.0])
    (plain,) = mpii.read_json(tmp_path / "valid.json")
    assert np.isnan(plain.scale).all()
    savemat(tmp_path / "gt_valid.mat", {"headboxes_src": np.zeros((2, 2, 3))})
    with pytest.raises(InputError, match="3 heads for 1 people"):
        list(mpii.read_json(tmp_path / "valid.json", tmp_path / "gt_valid.mat"))


def struct(rows: list[dict[str, object]]) -> np.ndarray:
    """A struct array of MATLAB's."""
    made = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for column, row in enumerate(rows):
        made[0, column] = tuple(row.values())
    return made


def test_mpii_release_file(tmp_path: Path) -> None:
    points = struct(
        [{"x": 11.0, "y": 21.0, "id": 9, "is_visible": 1}, {"x": 3.0, "y": 4.0, "id": 0, "is_visible": "0"}]
    )
    whole = {"x1": 1, "y1": 1, "x2": 4, "y2": 5, "annopoints": struct([{"point": points}])}
    counted = {"x1": 1, "y1": 1, "x2": 4, "y2": 5, "annopoints": np.zeros((0, 0))}
    images = [
        {"image": struct([{"name": "a.jpg"}]), "annorect": struct([whole, counted])},
        {"image": struct([{"name": "b.jpg"}]), "annorect": struct([whole])},
        {"image": struct([{"name": "c.jpg"}]), "annorect": np.zeros((0, 0))},
    ]
    release = {"annolist": struct(images), "img_train": np.array([[1, 0, 1]])}
    savemat(tmp_path / "mpii.mat", {"RELEASE": release})
    (image,) = mpii.read_mat(tmp_path / "mpii.mat")
    assert (image.file, image.number, len(image.xy)) == ("a.jpg", 0, 1)
    assert image.xy[0, 9].tolist() == [10, 20]
    assert image.visible[0].tolist() == [False] * 9 + [True] + [False] * 6
    assert np.isfinite(image.xy[0, :, 0]).sum() == 2
    assert image.scale == pytest.approx([3.0])
    assert [one.file for one in mpii.read_mat(tmp_path / "mpii.mat", train=False)] == ["b.jpg"]


def write_coco(path: Path) -> None:
    keypoints = np.zeros((17, 3))
    keypoints[0], keypoints[5] = (10, 20, 2), (30, 40, 1)
    base = {"area": 500.5, "bbox": [1, 2, 3, 4], "iscrowd": 0, "num_keypoints": 2}
    people = [
        {**base, "id": 1, "image_id": 7, "keypoints": keypoints.ravel().tolist()},
        {**base, "id": 2, "image_id": 7, "keypoints": [0] * 51},
        {**base, "id": 3, "image_id": 7, "keypoints": keypoints.ravel().tolist(), "iscrowd": 1},
    ]
    images = [{"id": 9, "file_name": "9.jpg"}, {"id": 7, "file_name": "7.jpg"}]
    path.write_text(json.dumps({"images": images, "annotations": people}))


def test_coco_images_come_in_order_with_people_who_do_not_count_marked(tmp_path: Path) -> None:
    write_coco(tmp_path / "val.json")
    first, second = coco.read(tmp_path / "val.json")
    assert (first.number, first.file, len(first.xy), len(second.xy)) == (7, "7.jpg", 3, 0)
    assert first.xy[0, 5].tolist() == [30, 40]
    assert np.isnan(first.xy[0, 1]).all()
    assert first.visible[0].nonzero()[0].tolist() == [0]
    assert first.ignored.tolist() == [False, True, True]
    assert first.scale[0] == 500.5
    (tmp_path / "cut.json").write_text(json.dumps({"images": []}))
    with pytest.raises(InputError, match=r"cut\.json cannot be read"):
        list(coco.read(tmp_path / "cut.json"))
