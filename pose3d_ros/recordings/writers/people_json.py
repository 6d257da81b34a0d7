"""Poses as one JSON document, written frame by frame; docs/export.md has its schema."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D

FORMAT = "pose3d_ros people"
VERSION = 1
_UPPER = np.triu_indices(3)  # xx xy xz yy yz zz


def write_json(poses: Iterable[Pose3D], path: Path | str) -> None:
    """Write every pose as one line of one JSON document; a number that is absent is null.

    Positions are in the fixed frame frame_id, in m; the covariance of a joint is xx, xy, xz, yy, yz, zz. Poses are
    taken one at a time: memory stays flat. Raises InputError for poses of several skeletons or frames.
    """
    with Path(path).open("w", encoding="utf-8") as file:
        head: tuple[str, str] | None = None
        number = -1
        for number, pose in enumerate(poses):
            own = pose.skeleton.name, pose.frame_id
            if head is None:
                head = own
                file.write(_head(pose))
            elif own != head:
                raise InputError(f"a JSON file holds one skeleton and frame: the poses have {head} and {own}")
            file.write(("," if number else "") + "\n" + _dump(_frame(number, pose)))
        if head is None:
            file.write(_head(None))
        file.write("\n]}\n")


def _head(pose: Pose3D | None) -> str:
    """The document up to its list of frames."""
    skeleton = H36M_17 if pose is None else pose.skeleton
    head = {
        "format": FORMAT,
        "version": VERSION,
        "frame_id": "" if pose is None else pose.frame_id,
        "skeleton": {
            "name": skeleton.name,
            "joint_names": list(skeleton.joint_names),
            "parents": list(skeleton.parents),
        },
    }
    return _dump(head)[:-1] + ',"frames":['


def _frame(number: int, pose: Pose3D) -> dict[str, Any]:
    return {
        "frame": number,
        "stamp_ns": pose.stamp_ns,
        "floor_plane": None if pose.floor is None else _numbers(pose.floor.plane),
        "floor_covariance": None if pose.floor is None else _numbers(pose.floor.covariance),
        "people": [_person(pose, row) for row in range(len(pose.ids))],
    }


def _person(pose: Pose3D, row: int) -> dict[str, Any]:
    """One person; every list but foot_contact has an entry a joint, in the skeleton's order."""
    return {
        "id": pose.ids[row],
        "state": PersonState(int(pose.state[row])).name,
        "position_m": _numbers(pose.xyz[row]),
        "velocity_m_s": _numbers(pose.velocity[row]),
        "covariance_m2": _numbers(pose.covariance[row][:, _UPPER[0], _UPPER[1]]),
        "confidence": _numbers(pose.score[row]),
        "n_views": pose.n_views[row].tolist(),
        "reprojection_px": _numbers(pose.reprojection_px[row]),
        "source": [JointSource(int(one)).name for one in pose.source[row]],
        "orientation_xyzw": _numbers(pose.orientation[row]),
        "orientation_std_rad": _numbers(pose.orientation_std[row]),
        "stature_m": _numbers(pose.stature_m[[row]])[0],
        "stature_std_m": _numbers(pose.stature_std_m[[row]])[0],
        "foot_contact": _numbers(pose.foot_contact[row]),
    }


def _numbers(values: Floats) -> Any:
    """Numbers to six significant digits as in people.csv, in nested lists; None where not finite."""
    known = np.asarray(np.isfinite(values))
    size = np.abs(np.where(known & (values != 0), values, 1.0))
    # Whole numbers over a power of ten come out with the digits that are meant; below 1e-10 that is 15 places.
    scale = 10.0 ** np.clip(5 - np.floor(np.log10(size)), -300, 15)
    rounded = (np.round(np.where(known, values, 0.0) * scale) / scale).astype(object)
    rounded[~known] = None
    return rounded.tolist()


def _dump(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
