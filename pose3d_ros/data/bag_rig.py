"""The cameras of a recording: what they are from camera_info, where they stand from /tf_static or a stereo P."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.data.bag_recording import CAMERA_INFO, TRANSFORMS, BagRecording
from pose3d_ros.data.camera_info import camera_from_msgs, named_rectified
from pose3d_ros.data.placement import baseline_in, by_projection, by_tf, frames_differ
from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M, check_baseline
from pose3d_ros.structures import Floats, Rig

TF_STATIC = "/tf_static"


def rig_of_bag(
    bag: BagRecording, topics: Mapping[str, str], info_pattern: str, *, rectified: str = "auto", fixed_frame: str = ""
) -> Rig:
    """The cameras with these image topics, as their first camera_info says, in fixed_frame.

    fixed_frame empty means the first camera's optical frame. rectified is true (P holds), false (K and D do), or auto:
    by the topics' names. Places come from /tf_static where it holds every camera's frame, else from a stereo driver's
    P. Raises InputError for topics that are missing, CalibrationError for cameras that cannot be used.
    """
    infos = _first_infos(bag, {camera: info_pattern.replace("{camera}", camera) for camera in topics})
    are_rectified = named_rectified(topics.values()) if rectified == "auto" else rectified == "true"
    frames = {camera: info.header.frame_id.lstrip("/") for camera, info in infos.items()}
    first = next(iter(topics))
    fixed = fixed_frame or frames[first]
    tree = _static_transforms(bag)
    problem = f"the cameras' header.frame_id are not different: {', '.join(frames.values())}"
    places: dict[str, Floats] = {}
    if frames_differ(list(frames.values())):
        try:
            places = {
                camera: by_tf(camera, frame, 0, fixed, lambda target, source, _: _look_up(tree, target, source))
                for camera, frame in frames.items()
            }
        except CalibrationError as error:
            problem = str(error)
    if not places:
        offsets = [float(np.linalg.norm(baseline_in(info))) for info in infos.values()]
        if max(offsets) < MIN_BASELINE_M:
            raise CalibrationError(
                f"{bag.path.name} does not say where its cameras stand: {problem}; and P of camera_info holds no "
                "baseline: give the cameras with --rig"
            )
        fixed_from_first = np.eye(4) if fixed == frames[first] else _look_up(tree, fixed, frames[first])
        places = {
            camera: by_projection(camera, info, infos[first], rectified=are_rectified) @ np.linalg.inv(fixed_from_first)
            for camera, info in infos.items()
        }
    cameras = [camera_from_msgs(camera, info, places[camera], are_rectified) for camera, info in infos.items()]
    rig = Rig(tuple(cameras), fixed)
    check_baseline(rig)
    return rig


def _first_infos(bag: BagRecording, topics: Mapping[str, str]) -> dict[str, Any]:
    """The first CameraInfo of each camera."""
    names = {bag.check_topic(topic, CAMERA_INFO): camera for camera, topic in topics.items()}
    found: dict[str, Any] = {}
    for topic, _, raw in bag.messages(names):
        found.setdefault(names[topic], bag.decode(topic, raw))
        if len(found) == len(names):
            break
    return {camera: found[camera] for camera in topics}


def _static_transforms(bag: BagRecording) -> dict[str, tuple[str, Floats]]:
    """Child frame -> (parent frame, parent_from_child (4, 4) m) of /tf_static; empty where there is none."""
    tree: dict[str, tuple[str, Floats]] = {}
    if bag.types.get(TF_STATIC) != TRANSFORMS:
        return tree
    for topic, _, raw in bag.messages([TF_STATIC]):
        for one in bag.decode(topic, raw).transforms:
            move, turn = one.transform.translation, one.transform.rotation
            quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
            parent_from_child = np.eye(4)
            parent_from_child[:3, 3] = move.x, move.y, move.z
            if not np.isfinite(parent_from_child).all() or not 0.5 < np.linalg.norm(quaternion) < 2.0:
                raise CalibrationError(
                    f"{TF_STATIC}: the transform of {one.child_frame_id!r} has translation "
                    f"{parent_from_child[:3, 3].tolist()} and quaternion {quaternion.tolist()}, expected finite "
                    "numbers and length 1: give the cameras with --rig"
                )
            parent_from_child[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
            tree[one.child_frame_id.lstrip("/")] = one.header.frame_id.lstrip("/"), parent_from_child
    return tree


def _look_up(tree: Mapping[str, tuple[str, Floats]], target: str, source: str) -> Floats:
    """target_from_source (4, 4) m; raises CalibrationError where static transforms do not join the two."""
    ups = {name: _upwards(tree, name) for name in (target, source)}
    shared = next((frame for frame in ups[source] if frame in ups[target]), None)
    if shared is None:
        raise CalibrationError(f"{TF_STATIC} does not join {source!r} and {target!r} (what moves, on /tf, is not used)")
    return np.asarray(np.linalg.inv(ups[target][shared]) @ ups[source][shared], dtype=np.float64)


def _upwards(tree: Mapping[str, tuple[str, Floats]], frame: str) -> dict[str, Floats]:
    """Frame and all above it -> above_from_frame (4, 4) m; a loop ends it."""
    found = {frame: np.eye(4)}
    at = frame
    while at in tree and tree[at][0] not in found:
        parent, parent_from_at = tree[at]
        found[parent] = parent_from_at @ found[at]
        at = parent
    return found
