"""The cameras of a recording: intrinsics from camera_info, extrinsics from /tf_static or a stereo P."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import CalibrationError
from pose3d_ros.recordings.bag_recording import CAMERA_INFO, TRANSFORMS, BagRecording, header_frame_id
from pose3d_ros.rigs.camera_info import camera_from_msgs, named_rectified
from pose3d_ros.rigs.live_rig import CameraUpdate, LiveRig
from pose3d_ros.structures import Floats, Rig

TF_STATIC = "/tf_static"


def rig_of_bag(
    bag: BagRecording, topics: Mapping[str, str], info_pattern: str, *, rectified: str = "auto", fixed_frame: str = ""
) -> Rig:
    """Return the cameras with these image topics in fixed_frame, as the node does (LiveRig, placement auto).

    fixed_frame empty: the first camera's optical frame. rectified is true (P applies), false (K and D apply), or auto:
    by the topics' names. The first usable camera_info of a camera is used. Extrinsics come from /tf_static (in any
    namespace) if it has every camera's frame, else from a stereo driver's P. Raises InputError for missing topics,
    CalibrationError for unusable cameras; warns of implausible ones.
    """
    are_rectified = named_rectified(topics.values()) if rectified == "auto" else rectified == "true"
    infos = _usable_infos(bag, {camera: info_pattern.replace("{camera}", camera) for camera in topics}, are_rectified)
    frames = _image_frames(bag, topics)
    tree = _static_transforms(bag)
    live = LiveRig(
        list(topics),
        lambda target, source, _: _look_up(tree, target.lstrip("/"), source.lstrip("/")),
        placement="auto",
        rectified=are_rectified,
        fixed_frame=fixed_frame,
        min_cameras=len(topics),
    )
    try:
        rig = live.update({camera: CameraUpdate(infos[camera], frames[camera], 0) for camera in topics})
    except CalibrationError as error:
        raise CalibrationError(f"{bag.path.name}: {error}; or give the cameras with --rig") from error
    for warning in live.warnings:
        warnings.warn(f"{bag.path.name}: {warning}", stacklevel=2)
    return rig


def cameras_of_bag(bag: BagRecording, topics: Mapping[str, str], info_pattern: str, *, rectified: str = "auto") -> Rig:
    """Return the same cameras without their placement: each at the origin. Raises InputError, CalibrationError."""
    are_rectified = named_rectified(topics.values()) if rectified == "auto" else rectified == "true"
    infos = _usable_infos(bag, {camera: info_pattern.replace("{camera}", camera) for camera in topics}, are_rectified)
    cameras = (camera_from_msgs(camera, infos[camera], np.eye(4), are_rectified) for camera in topics)
    return Rig(tuple(cameras), frame_id="unplaced")


def _usable_infos(bag: BagRecording, topics: Mapping[str, str], rectified: bool) -> dict[str, Any]:
    """Return each camera's first usable CameraInfo, else its first: some drivers publish before loading theirs."""
    names = {bag.check_topic(topic, CAMERA_INFO): camera for camera, topic in topics.items()}
    infos: dict[str, Any] = {}
    usable = set()
    for topic, _, raw in bag.messages(names):
        camera = names[topic]
        if camera in usable:
            continue
        info = bag.decode(topic, raw)
        infos.setdefault(camera, info)
        try:
            camera_from_msgs(camera, info, np.eye(4), rectified)
        except CalibrationError:
            continue
        infos[camera] = info
        usable.add(camera)
        if len(usable) == len(names):
            break
    return infos


def _image_frames(bag: BagRecording, topics: Mapping[str, str]) -> dict[str, str]:
    """Return header.frame_id of every camera's first image; empty if there is none."""
    names = {topic: camera for camera, topic in topics.items()}
    frame_ids = dict.fromkeys(topics, "")
    waiting = {topic for topic in names if bag.counts.get(topic)}
    for topic, _, raw in bag.messages(names) if waiting else ():
        if topic in waiting:
            frame_ids[names[topic]] = header_frame_id(raw)
            waiting.remove(topic)
        if not waiting:
            break
    return frame_ids


def _static_transforms(bag: BagRecording) -> dict[str, tuple[str, Floats]]:
    """Child frame -> (parent frame, parent_from_child (4, 4) m) of every topic tf_static; empty where there is none."""
    tree: dict[str, tuple[str, Floats]] = {}
    kept = [topic for topic, kind in bag.types.items() if kind == TRANSFORMS and topic.endswith(TF_STATIC)]
    # Robots that share a recording each have a namespace: the absolute topic has priority.
    for topic_name in sorted(kept, key=lambda topic: (topic == TF_STATIC, topic)):
        for topic, _, raw in bag.messages([topic_name]):
            for stamped in bag.decode(topic, raw).transforms:
                tree[stamped.child_frame_id.lstrip("/")] = (
                    stamped.header.frame_id.lstrip("/"),
                    _parent_from_child(topic, stamped.child_frame_id, stamped.transform),
                )
    return tree


def _parent_from_child(topic: str, child: str, transform: Any) -> Floats:
    move, turn = transform.translation, transform.rotation
    quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
    parent_from_child = np.eye(4)
    parent_from_child[:3, 3] = move.x, move.y, move.z
    if not np.isfinite(parent_from_child).all() or not 0.5 < np.linalg.norm(quaternion) < 2.0:
        raise CalibrationError(
            f"{topic}: the transform of {child[:80]!r} has translation {parent_from_child[:3, 3].tolist()} and "
            f"quaternion {quaternion.tolist()}, expected finite numbers and length 1: give the cameras with --rig"
        )
    parent_from_child[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    return parent_from_child


def _look_up(tree: Mapping[str, tuple[str, Floats]], target: str, source: str) -> Floats:
    """Return target_from_source (4, 4) m; raises CalibrationError if static transforms do not join the two."""
    ups = {name: _upwards(tree, name) for name in (target, source)}
    shared = next((frame for frame in ups[source] if frame in ups[target]), None)
    if shared is None:
        raise CalibrationError(
            f"{TF_STATIC} does not join {source!r} and {target!r} (moving transforms on /tf are not used)"
        )
    return np.asarray(np.linalg.inv(ups[target][shared]) @ ups[source][shared], dtype=np.float64)


def _upwards(tree: Mapping[str, tuple[str, Floats]], frame: str) -> dict[str, Floats]:
    """Return ancestor_from_frame (4, 4) m of the frame and its ancestors; stops at a loop."""
    ancestors = {frame: np.eye(4)}
    at = frame
    while at in tree and tree[at][0] not in ancestors:
        parent, parent_from_at = tree[at]
        ancestors[parent] = parent_from_at @ ancestors[at]
        at = parent
    return ancestors
