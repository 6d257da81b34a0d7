"""Keypoints2DArray messages and Keypoints2D, in both directions in float32."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.errors import InputError
from pose3d_ros.msg import Keypoints2D as Keypoints2DMsg
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros.conversions.poses import MOST_PEOPLE, known_skeleton, shortened
from pose3d_ros.ros.conversions.stamps import header, stamp_to_ns
from pose3d_ros.structures import Floats, Keypoints2D


def keypoints_to_msg(
    keypoints: Keypoints2D,
    ids: Sequence[str],
    *,
    camera_name: str,
    frame_id: str,
    size_wh: tuple[int, int],
    detector: str,
    latency_s: float = float("nan"),
) -> Keypoints2DArray:
    """One camera's people; ids name the 3D people they belong to, "" for none.

    Raises InputError for another number of ids than of people.
    """
    if len(ids) != len(keypoints):
        raise InputError(f"{len(keypoints)} people in the image of {camera_name!r} need one id each, got {len(ids)}")
    msg = Keypoints2DArray(header=header(keypoints.stamp_ns, frame_id), camera_name=camera_name)
    msg.width, msg.height = size_wh
    msg.detector = detector
    msg.skeleton = keypoints.skeleton.name
    msg.joint_names = list(keypoints.skeleton.joint_names)
    msg.people = [_person(keypoints, p, one) for p, one in enumerate(ids)]
    msg.processing_latency = float(latency_s)
    return msg


def keypoints_from_msg(msg: Keypoints2DArray) -> tuple[Keypoints2D, tuple[str, ...]]:
    """Keypoints and their people's ids; raises InputError for arrays of the wrong length."""
    skeleton = known_skeleton(msg.skeleton, msg.joint_names)
    if len(msg.people) > MOST_PEOPLE:
        raise InputError(f"{len(msg.people)} people in one image, expected at most {MOST_PEOPLE}")
    people, size = len(msg.people), skeleton.size
    for n, person in enumerate(msg.people):
        lengths = (len(person.xy), len(person.scores), len(person.covariance))
        if lengths[:2] != (2 * size, size) or lengths[2] not in (0, 4 * size):
            raise InputError(
                f"person {n} in {shortened(msg.camera_name)!r} has {lengths} numbers in xy, scores, covariance, "
                f"expected {2 * size}, {size}, {4 * size} or 0"
            )
    known = all(len(person.covariance) for person in msg.people)
    covariance = _floats([person.covariance for person in msg.people], (people, size, 2, 2)) if known else None
    boxes = _floats([person.box for person in msg.people], (people, 4))
    keypoints = Keypoints2D(
        xy=_floats([person.xy for person in msg.people], (people, size, 2)),
        score=_floats([person.scores for person in msg.people], (people, size)),
        skeleton=skeleton,
        stamp_ns=stamp_to_ns(msg.header.stamp),
        covariance=covariance,
        boxes=None if people and np.isnan(boxes).all() else boxes,
    )
    return keypoints, tuple(person.id for person in msg.people)


def _person(keypoints: Keypoints2D, p: int, id_: str) -> Keypoints2DMsg:
    """Person p of one image."""
    score = keypoints.score[p]
    box = np.full(4, np.nan) if keypoints.boxes is None else keypoints.boxes[p]
    msg = Keypoints2DMsg(id=id_, confidence=float(score[score > 0].mean()) if (score > 0).any() else 0.0)
    msg.box = box.astype(np.float32)
    msg.xy = _float32s(keypoints.xy[p])
    msg.scores = _float32s(score)
    if keypoints.covariance is not None:
        msg.covariance = _float32s(keypoints.covariance[p])
    return msg


def _float32s(numbers: ArrayLike) -> array.array[float]:
    """An array for a float32[] field without a check per element."""
    return array.array("f", np.asarray(numbers, dtype=np.float32).tobytes())


def _floats(lists: list[Sequence[float]], shape: tuple[int, ...]) -> Floats:
    """Float32 fields of all people as one float64 array."""
    return np.array([np.asarray(one, dtype=np.float32) for one in lists], dtype=np.float64).reshape(shape)
