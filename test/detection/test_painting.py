"""Painting a person over, so that the one behind is left."""

import numpy as np

from pose3d_ros.detection.second_look import without_person
from pose3d_ros.skeletons import COCO_17


def test_painted_person_is_gone_and_the_rest_of_the_image_is_untouched():
    image = np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    pose = np.array([
        [240, 60], [245, 55], [235, 55], [252, 60], [228, 60], [265, 100], [215, 100], [275, 150], [205, 150],
        [280, 200], [200, 200], [255, 210], [225, 210], [255, 300], [225, 300], [255, 390], [225, 390],
    ], dtype=float)  # fmt: skip
    painted = without_person(image, pose, np.full(17, 0.9))
    changed = (painted != image).any(axis=-1)
    for parent, joint in [*COCO_17.bones, (5, 12), (6, 11)]:  # limbs and the torso's middle
        x, y = np.round((pose[parent] + pose[joint]) / 2).astype(int)
        assert changed[y - 3 : y + 4, x - 3 : x + 4].all()
    y, x = np.nonzero(changed)
    margin = 0.1 * 335
    assert (pose.min(axis=0) - margin <= (x.min(), y.min())).all()
    assert (pose.max(axis=0) + margin >= (x.max(), y.max())).all()
