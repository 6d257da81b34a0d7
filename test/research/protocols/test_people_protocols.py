"""PCP, PCKh and Panoptic's figures by hand; COCO's average precision by its owners' own library."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets import mpii, panoptic, shelf_campus
from pose3d_ros.research.datasets.pose_sequence import LabelledImage, PoseSequence
from pose3d_ros.research.protocols.heads import pckh
from pose3d_ros.research.protocols.limbs import pcp
from pose3d_ros.research.protocols.oks import Detected, oks_ap
from pose3d_ros.research.protocols.people import found_people
from pose3d_ros.research.protocols.scored import Scored
from pose3d_ros.skeletons import COCO_17


def standing() -> np.ndarray:
    """(14, 3) m: a body whose limbs have lengths of 0.4 m and more."""
    pose = np.zeros((14, 3))
    places = {"RAnkle": (0.2, 0), "RKnee": (0.2, 0.4), "RHip": (0.2, 0.8), "LHip": (-0.2, 0.8), "LKnee": (-0.2, 0.4),
              "LAnkle": (-0.2, 0), "RWrist": (0.3, 0.6), "RElbow": (0.3, 1.0), "RShoulder": (0.3, 1.4),
              "LShoulder": (-0.3, 1.4), "LElbow": (-0.3, 1.0), "LWrist": (-0.3, 0.6), "HeadBottom": (0, 1.6),
              "HeadTop": (0, 2.0)}  # fmt: skip
    for name, (x, z) in places.items():
        pose[shelf_campus.JOINTS.index(name)] = x, 0, z
    return pose


def shelf(xyz: np.ndarray) -> PoseSequence:
    return PoseSequence("Shelf", "Shelf", "all", shelf_campus.JOINTS, xyz, np.arange(len(xyz)))


def test_a_limb_is_right_up_to_half_of_its_length() -> None:
    truth = shelf(np.stack([[standing()], [standing()]]))
    estimate = truth.xyz.copy()
    # Ankles 0.3 and 0.5 m off: the lower legs, 0.4 m long, have mean errors of 0.15 m (right) and 0.25 m (wrong).
    estimate[0, 0, shelf_campus.JOINTS.index("RAnkle"), 1] = 0.3
    estimate[0, 0, shelf_campus.JOINTS.index("LAnkle"), 1] = 0.5
    estimate[1, 0, shelf_campus.JOINTS.index("HeadTop")] = np.nan
    found = pcp(Scored(truth, estimate))
    assert found.actors == pytest.approx([90])  # 18 of 20
    assert found.limbs["lower legs"] == pytest.approx(75)
    assert found.limbs["head"] == pytest.approx(50)
    assert found.limbs["torso"] == 100


def test_estimates_come_in_any_order_and_number() -> None:
    here, there = standing(), standing() + np.array([5, 0, 0])
    absent = np.full((14, 3), np.nan)
    truth = shelf(np.stack([[here, there, absent], [here, there, absent]]))
    estimate = np.stack([[there, absent, here, here + 9], [absent, absent, here, absent]])
    found = pcp(Scored(truth, estimate))
    # In the second frame the nearest estimate to the second actor is the first actor's, 5 m away.
    assert found.actors[:2] == pytest.approx([100, 50])
    assert np.isnan(found.actors[2])
    assert found.average == pytest.approx(75)
    none = pcp(Scored(truth, np.full((2, 0, 14, 3), np.nan)))
    assert none.average == 0


def test_panoptic_counts_a_person_once() -> None:
    size = panoptic.JOINTS.size
    people = np.stack([np.zeros((size, 3)), np.full((size, 3), 2.0)])[None]
    truth = PoseSequence("test", "a", "all", panoptic.JOINTS, people, np.arange(1))
    # 30 mm off, a second estimate of the same person 10 mm off but less sure, one far from both; the other is missed.
    estimate = np.array([[0.03, 0, 0], [0.01, 0, 0], [9, 9, 9]])[:, None] + np.zeros((size, 3))
    found = found_people([Scored(truth, estimate[None])], [np.array([[0.9, 0.8, 0.7]])])
    assert found.mpjpe_mm == pytest.approx(30)
    assert found.recall == pytest.approx(50)
    assert found.precision[50] == pytest.approx(50)
    # Below 25 mm only the second in rank is right: precision 1/2 at recall 1/2.
    assert found.precision[25] == pytest.approx(25)
    assert found_people([Scored(truth, estimate[None])], [np.array([[0.1, 0.8, 0.7]])]).mpjpe_mm == pytest.approx(10)


def mpii_image(scale: float) -> LabelledImage:
    xy = np.zeros((1, 16, 2))
    xy[0, mpii.JOINTS.index("LAnkle")] = np.nan
    seen, boxes = np.ones((1, 16), dtype=bool), np.full((1, 4), np.nan)
    return LabelledImage("a.jpg", 0, mpii.JOINTS, xy, seen, np.array([scale]), boxes, np.zeros(1, dtype=bool))


def test_pckh_counts_half_of_the_head_and_only_labelled_joints() -> None:
    estimate = np.zeros((1, 16, 2))
    estimate[0, mpii.JOINTS.index("LWrist")] = (10, 0)  # just right
    estimate[0, mpii.JOINTS.index("RWrist")] = (10.1, 0)
    estimate[0, mpii.JOINTS.index("LAnkle")] = (99, 0)  # not labelled
    estimate[0, mpii.JOINTS.index("Pelvis")] = (99, 0)  # in no column
    estimate[0, mpii.JOINTS.index("LHip")] = np.nan
    found = pckh([mpii_image(20.0)], [estimate])
    assert (found["wrist"], found["ankle"], found["hip"], found["head"]) == (50, 100, 50, 100)
    assert found["total"] == pytest.approx(100 * 11 / 13)
    with pytest.raises(InputError, match=r"without a head's size: give annot/gt_valid\.mat"):
        pckh([mpii_image(np.nan)], [estimate])
    with pytest.raises(InputError, match=r"a\.jpg: estimates are \(2, 16, 2\)"):
        pckh([mpii_image(20.0)], [np.zeros((2, 16, 2))])


def coco_scene(seed: int) -> tuple[list[LabelledImage], list[Detected]]:
    """Images of people near and far, crowds, people without labels, and detections of some of them and of none."""
    rng = np.random.default_rng(seed)
    images, detected = [], []
    for number in range(1, 5):
        people = int(rng.integers(0, 5))
        side = rng.uniform(20, 200, people)
        place = rng.uniform(0, 400, (people, 2))
        xy = np.round(place[:, None] + side[:, None, None] * rng.uniform(0, 1, (people, 17, 2)))
        xy[rng.random((people, 17)) < 0.3] = np.nan
        crowd = rng.random(people) < 0.15
        xy[crowd | (rng.random(people) < 0.15)] = np.nan
        boxes = np.c_[place, side, side]
        images.append(
            LabelledImage(f"{number}.jpg", number, COCO_17, xy, np.isfinite(xy[..., 0]), side**2, boxes, crowd)
        )
        noise = rng.uniform(0, 0.4, (people, 1, 1)) * side[:, None, None]
        near = np.where(np.isfinite(xy), xy, place[:, None] + side[:, None, None] / 2) + noise * rng.normal(
            size=xy.shape
        )
        found = np.concatenate([near, near[:1] + 3, rng.uniform(0, 400, (int(rng.integers(0, 3)), 17, 2))])
        detected.append(Detected(np.round(found, 2), rng.permutation(len(found)) / 10 + 0.05))
    return images, detected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000))
def test_average_precision_is_that_of_coco(seed: int) -> None:
    pytest.importorskip("pycocotools", reason="pip install pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, detected = coco_scene(seed)
    annotations, results = [], []
    for image, found in zip(images, detected, strict=True):
        for xy, area, box, crowd in zip(image.xy, image.scale, image.boxes, image.crowd, strict=True):
            known = np.isfinite(xy[:, 0])
            keypoints = np.c_[np.nan_to_num(xy), 2 * known].ravel().tolist()
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image.number, "category_id": 1, "keypoints": keypoints,
                 "num_keypoints": int(known.sum()), "area": area, "bbox": box.tolist(), "iscrowd": int(crowd)}
            )  # fmt: skip
        for xy, score in zip(found.xy, found.score, strict=True):
            keypoints = np.c_[xy, np.ones(17)].ravel().tolist()
            results.append({"image_id": image.number, "category_id": 1, "keypoints": keypoints, "score": float(score)})
    if not annotations or not results:
        return
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image.number} for image in images], "annotations": annotations,
            "categories": [{"id": 1, "name": "person"}],
        }  # fmt: skip
        truth.createIndex()
        reference = COCOeval(truth, truth.loadRes(results), "keypoints")
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
    expected = dict(zip(("AP", "AP50", "AP75", "AP medium", "AP large", "AR"), reference.stats, strict=False))
    found_ap = oks_ap(images, detected)
    for name, value in expected.items():
        if value >= 0:  # -1: no person counts
            assert found_ap[name] == pytest.approx(100 * value, abs=1e-9), name
        else:
            assert np.isnan(found_ap[name])
