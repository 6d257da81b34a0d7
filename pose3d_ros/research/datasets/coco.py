"""COCO keypoints: person_keypoints_val2017.json.

Lin et al., "Microsoft COCO: Common objects in context" (ECCV 2014). annotations: image_id, keypoints (51: x, y and v
of 17 joints, v = 0 not labelled, 1 hidden, 2 visible), num_keypoints, area px^2, bbox, iscrowd. Its coordinates are
those of pixels' corners in theory; its keypoints are whole numbers of pixels, the first 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.files.door import reading
from pose3d_ros.research.datasets.containers import ANNOTATIONS, json_file
from pose3d_ros.research.datasets.pose_sequence import LabelledImage
from pose3d_ros.skeletons import COCO_17

NAME, SITE = "COCO", "fetch it at https://cocodataset.org"
EXPECTED = "annotations/person_keypoints_val2017.json"


def read(path: Path) -> Iterator[LabelledImage]:
    """Images in the order of their ids, those without people too; raises InputError.

    The training split's file is larger than files/documents.py allows.
    """
    content = json_file(path)
    with reading(path, ANNOTATIONS):
        people: dict[int, list[dict[str, Any]]] = {int(image["id"]): [] for image in content["images"]}
        names = {int(image["id"]): str(image["file_name"]) for image in content["images"]}
        for person in content["annotations"]:
            people[int(person["image_id"])].append(person)
    for number in sorted(people):
        with reading(path, ANNOTATIONS):
            image = _image(names[number], number, people[number])
        yield image


def _image(file: str, number: int, people: list[dict[str, Any]]) -> LabelledImage:
    joints = np.array([one["keypoints"] for one in people], dtype=np.float64).reshape(len(people), COCO_17.size, 3)
    labelled = joints[..., 2] > 0
    return LabelledImage(
        file=file,
        number=number,
        skeleton=COCO_17,
        xy=np.where(labelled[..., None], joints[..., :2], np.nan),
        visible=joints[..., 2] == 2,
        scale=np.array([one["area"] for one in people], dtype=np.float64),
        boxes=np.array([one["bbox"] for one in people], dtype=np.float64).reshape(len(people), 4),
        crowd=np.array([bool(one.get("iscrowd")) for one in people], dtype=bool),
    )
