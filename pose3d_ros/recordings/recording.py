"""What one run gave: the poses as they arrived, when, and the 2D keypoints behind them; no ROS needed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.files.archives import npz_arrays
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import RECORDING
from pose3d_ros.rigs.rig_yaml import rig_from_mapping, rig_to_mapping
from pose3d_ros.skeletons import H36M_17, SKELETONS
from pose3d_ros.structures import PERSON_ARRAYS, Floor, Keypoints2D, Pose3D, Rig

Seen2D = tuple[Keypoints2D, tuple[str, ...]]  # the people of one image, and each one's person id ("" if none)


@dataclass(frozen=True, eq=False)
class Recording:
    """One run over footage that may have been played several times over.

    stage_ms are running medians by stage; settings is what the run was asked to do.
    """

    rig: Rig
    poses: tuple[Pose3D, ...]  # N, in order of arrival
    received_ns: NDArray[np.int64]  # (N,) monotonic receipt
    published_ns: Mapping[int, int]  # capture stamp -> monotonic time at which the player published it
    keypoints: Mapping[str, Mapping[int, Seen2D]]  # camera -> capture stamp -> people, in h36m_17
    t0_ns: int  # capture stamp of frame 0
    fps: float
    frames_per_loop: int
    frame_sets_sent: int
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    markers_received: int = 0
    tf_received: int = 0
    exposure: Mapping[str, list[int]] = field(default_factory=dict)  # by camera: images, dark ones, bright ones
    moments_ns: NDArray[np.int64] | None = None  # (frames_per_loop,) where frames are not evenly spaced; is not saved

    def __post_init__(self) -> None:
        received = np.asarray(self.received_ns, dtype=np.int64)
        if received.shape != (len(self.poses),):
            raise InputError(f"recording: received_ns has shape {received.shape}, expected ({len(self.poses)},)")
        if not 0 < self.fps < np.inf or self.frames_per_loop <= 0:
            raise InputError(f"recording: fps {self.fps} and frames_per_loop {self.frames_per_loop} must be positive")
        object.__setattr__(self, "received_ns", received)

    def frame_index(self, stamp_ns: int) -> int:
        """Number of the frame set with this capture stamp, or the nearest, counted over all loops."""
        if self.moments_ns is not None:
            after = min(max(int(np.searchsorted(self.moments_ns, stamp_ns)), 1), len(self.moments_ns) - 1)
            return (
                after - int(2 * stamp_ns <= int(self.moments_ns[after - 1]) + int(self.moments_ns[after]))
                if after > 0
                else 0
            )
        return round((stamp_ns - self.t0_ns) * self.fps / 1e9)

    def footage_frame(self, stamp_ns: int) -> int:
        """Number of the video frame with this capture stamp."""
        return self.frame_index(stamp_ns) % self.frames_per_loop

    def save(self, path: Path | str) -> None:
        """Write one .npz, whole or not at all: numbers as arrays, the rest as JSON in it."""
        arrays, people_of_pose = _stack_poses(self.poses)
        meta: dict[str, Any] = {
            "rig": rig_to_mapping(self.rig),
            "poses": people_of_pose,
            "published_ns": [[int(stamp), int(time)] for stamp, time in self.published_ns.items()],
            "t0_ns": int(self.t0_ns),
            "fps": float(self.fps),
            "frames_per_loop": int(self.frames_per_loop),
            "frame_sets_sent": int(self.frame_sets_sent),
            "stage_ms": {name: float(value) for name, value in self.stage_ms.items()},
            "settings": dict(self.settings),
            "markers_received": int(self.markers_received),
            "tf_received": int(self.tf_received),
            "exposure": {camera: [int(n) for n in counts] for camera, counts in self.exposure.items()},
            "keypoints": {},
        }
        arrays["received_ns"] = self.received_ns
        for camera, by_stamp in self.keypoints.items():
            more, entries = _stack_keypoints(by_stamp)
            meta["keypoints"][camera] = entries
            arrays |= {f"keypoints/{camera}/{name}": array for name, array in more.items()}
        text = json.dumps(meta).encode()
        partial = Path(f"{path}.writing")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, meta=np.frombuffer(text, dtype=np.uint8), **arrays)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @staticmethod
    def load(path: Path | str) -> Recording:
        """Read what save wrote; raises FootageError for any other file."""
        arrays = npz_arrays(path, RECORDING)
        try:
            meta = json_content(arrays["meta"].tobytes(), str(path), RECORDING)
            return Recording(
                rig=rig_from_mapping(meta["rig"], where=str(path)),
                poses=_split_poses(arrays, meta["poses"]),
                received_ns=arrays["received_ns"],
                published_ns=dict(meta["published_ns"]),
                keypoints={
                    camera: _split_keypoints(arrays, camera, entries) for camera, entries in meta["keypoints"].items()
                },
                t0_ns=int(meta["t0_ns"]),
                fps=float(meta["fps"]),
                frames_per_loop=int(meta["frames_per_loop"]),
                frame_sets_sent=int(meta["frame_sets_sent"]),
                stage_ms=meta["stage_ms"],
                settings=meta["settings"],
                markers_received=meta["markers_received"],
                tf_received=meta["tf_received"],
                exposure=meta.get("exposure", {}),
            )
        except FootageError:
            raise
        except Exception as error:  # whatever values of another form lead to
            raise FootageError(f"{path} is not a readable recording ({error}): record it again") from error


def _stack_poses(poses: Iterable[Pose3D]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Every person's arrays one after the other, and what belongs to each pose."""
    poses = tuple(poses)
    arrays = {
        f"poses/{name}": np.concatenate([getattr(pose, name) for pose in poses]) if poses else np.zeros(0)
        for name in PERSON_ARRAYS
    }
    entries = [
        {
            "ids": list(pose.ids),
            "stamp_ns": int(pose.stamp_ns),
            "frame_id": pose.frame_id,
            "skeleton": pose.skeleton.name,
            "floor": None if pose.floor is None else [pose.floor.plane.tolist(), pose.floor.covariance.tolist()],
        }
        for pose in poses
    ]
    return arrays, entries


def _split_poses(arrays: Mapping[str, Any], entries: list[dict[str, Any]]) -> tuple[Pose3D, ...]:
    poses, start = [], 0
    for entry in entries:
        stop = start + len(entry["ids"])
        poses.append(
            Pose3D(
                **{name: arrays[f"poses/{name}"][start:stop] for name in PERSON_ARRAYS if f"poses/{name}" in arrays},
                ids=tuple(entry["ids"]),
                skeleton=SKELETONS[entry["skeleton"]],
                frame_id=entry["frame_id"],
                stamp_ns=entry["stamp_ns"],
                floor=Floor(*floor) if (floor := entry.get("floor")) else None,
            )
        )
        start = stop
    return tuple(poses)


def _stack_keypoints(by_stamp: Mapping[int, Seen2D]) -> tuple[dict[str, Any], list[Any]]:
    """xy, score, covariance, boxes of every person in every image; an image without the last two gives NaN."""
    joints = H36M_17.size
    parts: dict[str, list[Any]] = {
        "xy": [np.zeros((0, joints, 2))],
        "score": [np.zeros((0, joints))],
        "covariance": [np.zeros((0, joints, 2, 2))],
        "boxes": [np.zeros((0, 4))],
    }
    entries = []
    for stamp, (people, ids) in by_stamp.items():
        if people.skeleton != H36M_17 or len(ids) != len(people):
            raise InputError(
                f"recording: keypoints at {stamp} ns have {len(people)} people in {people.skeleton.name!r} and "
                f"{len(ids)} ids, expected h36m_17 and one id a person"
            )
        entries.append([int(stamp), list(ids), people.covariance is not None, people.boxes is not None])
        parts["xy"].append(people.xy)
        parts["score"].append(people.score)
        absent = np.full((len(people), joints, 2, 2), np.nan)
        parts["covariance"].append(absent if people.covariance is None else people.covariance)
        parts["boxes"].append(np.full((len(people), 4), np.nan) if people.boxes is None else people.boxes)
    return {name: np.concatenate(pieces) for name, pieces in parts.items()}, entries


def _split_keypoints(arrays: Mapping[str, Any], camera: str, entries: list[Any]) -> dict[int, Seen2D]:
    by_stamp, start = {}, 0
    for stamp, ids, has_covariance, has_boxes in entries:
        one = slice(start, start + len(ids))
        people = Keypoints2D(
            xy=arrays[f"keypoints/{camera}/xy"][one],
            score=arrays[f"keypoints/{camera}/score"][one],
            skeleton=H36M_17,
            stamp_ns=stamp,
            covariance=arrays[f"keypoints/{camera}/covariance"][one] if has_covariance else None,
            boxes=arrays[f"keypoints/{camera}/boxes"][one] if has_boxes else None,
        )
        by_stamp[stamp] = (people, tuple(ids))
        start = one.stop
    return by_stamp
