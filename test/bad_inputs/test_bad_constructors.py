"""Every argument of the public constructors with bad values: one of our errors that names it, or a sound object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from bad_refusals import check_message

from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.errors import Pose3DError
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D, Pose3D, Rig, Skeleton

K = np.array([[500.0, 0.0, 319.5], [0.0, 500.0, 239.5], [0.0, 0.0, 1.0]])
J = H36M_17.size
LEFT = Camera("left", (640, 480), K)
ASIDE = np.eye(4)
ASIDE[0, 3] = -0.5
RIG = Rig((LEFT, Camera("right", (640, 480), K, cam_from_world=ASIDE)))

# What each takes when it is right; every one of its fields is then spoilt.
RIGHT: dict[Callable[..., Any], dict[str, Any]] = {
    Camera: {
        "name": "left", "size_wh": (640, 480), "K": K, "distortion_model": "plumb_bob", "distortion": np.zeros(5),
        "cam_from_world": np.eye(4),
    },
    Rig: {"cameras": RIG.cameras, "frame_id": "world"},
    Skeleton: {"name": "two", "joint_names": ("root", "tip"), "parents": (-1, 0), "left_right": ()},
    Keypoints2D: {
        "xy": np.full((1, 17, 2), 5.0), "score": np.full((1, 17), 0.5), "skeleton": COCO_17, "stamp_ns": 1,
        "covariance": np.broadcast_to(np.eye(2), (1, 17, 2, 2)), "boxes": np.array([[0.0, 0.0, 9.0, 9.0]]),
    },
    FrameSet: {"images": {"left": np.zeros((4, 4, 3), np.uint8)}, "stamps_ns": {"left": 1}},
    Pose3D: {
        "xyz": np.ones((1, J, 3)), "velocity": np.zeros((1, J, 3)),
        "covariance": np.broadcast_to(np.eye(3), (1, J, 3, 3)), "score": np.full((1, J), 0.5),
        "n_views": np.full((1, J), 2, np.uint8), "reprojection_px": np.ones((1, J)),
        "source": np.ones((1, J), np.uint8),
        "ids": ("1",), "state": np.zeros(1, np.uint8), "age_s": np.zeros(1), "skeleton": H36M_17, "frame_id": "world",
        "stamp_ns": 1,
    },
    PoseEstimator: {"rig": RIG, "options": EstimatorOptions(refine="none", monocular_fallback="never")},
    **{kind: dataclasses.asdict(kind()) for kind in (EstimatorOptions, EstimatorOptions, DetectorOptions)},
}  # fmt: skip
BAD: dict[str, Any] = {
    "None": None, "object": object(), "text": "x" * 5000, "NUL": "a\0b", "nothing": "", "bytes": b"\xff",
    "minus": -1, "much": 10**400, "1e308": 1e308, "nan": float("nan"), "inf": float("inf"), "True": True,
    "complex": np.eye(3) * 1j, "list": [], "deep": [[[[[]]]]], "ragged": [[1, 2], [3]], "dict": {"a": 1},
    "set": {1, 2}, "texts": ["a"] * 300, "objects": np.array([None, "a"], dtype=object),
    "dates": np.array(["2020"], "M8"),
    "shape": np.zeros((7, 11, 13)), "nans": np.full((1, 17), np.nan), "function": len, "class": int,
    "generator": iter(()), "rows": np.full((3, 3), -1.0), "wide": np.full((4, 4), 1e200),
}  # fmt: skip


def cases() -> Iterator[Any]:
    for make, right in RIGHT.items():
        for field in right:
            for bad, value in BAD.items():
                yield pytest.param(make, field, value, id=f"{make.__name__}-{field}-{bad}")
        yield pytest.param(make, "no_such_field", 1, id=f"{make.__name__}-unknown")


@pytest.mark.parametrize("make", RIGHT, ids=lambda make: make.__name__)
def test_what_is_right_is_taken(make: Callable[..., Any]) -> None:
    made = make(**RIGHT[make])
    for field, value in RIGHT[make].items():
        if dataclasses.is_dataclass(made):
            np.testing.assert_array_equal(np.asarray(getattr(made, field), object), np.asarray(value, object))


@pytest.mark.parametrize(
    ("make", "field", "low"),
    [
        (Keypoints2D, "covariance", -np.broadcast_to(np.eye(2), (1, 17, 2, 2))),
        (Pose3D, "covariance", -np.broadcast_to(np.eye(3), (1, J, 3, 3))),
        (Keypoints2D, "score", np.full((1, 17), 2.0)),
        (Camera, "K", K * 1j),
        (Camera, "size_wh", (640.7, 480)),
    ],
)
def test_numbers_that_cannot_be_are_rejected(make: Callable[..., Any], field: str, low: Any) -> None:
    with pytest.raises(Pose3DError):
        make(**{**RIGHT[make], field: low})


def test_every_spoilt_field_is_rejected_with_its_name_or_kept() -> None:
    """One test of some 2,000 constructions: each takes microseconds."""
    wrong, tried, refused = [], 0, 0
    for make, field, value in (one.values for one in cases()):
        tried += 1
        try:
            make(**{**RIGHT[make], field: value})
        except Pose3DError as error:
            refused += 1
            check_message(str(error), "")
        except TypeError as error:
            if field != "no_such_field":  # Python's own word for an argument that there is not
                wrong.append(f"{make.__name__}({field}={value!r:.40}): {error!r:.90}")
        except Exception as error:
            wrong.append(f"{make.__name__}({field}={value!r:.40}): {error!r:.90}")
    assert wrong == []
    assert tried > 1500
    assert refused > 0.7 * tried
