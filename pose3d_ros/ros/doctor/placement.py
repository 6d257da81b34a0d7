"""Camera poses of a node from the observed TF (NumPy, float64; ROS-free)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pose3d_ros.errors import Pose3DError
from pose3d_ros.rigs.camera_info import camera_from_msgs
from pose3d_ros.rigs.placement import LookUp, baseline_in, extrinsics_from_projection, frames_differ, missing_transform
from pose3d_ros.ros.doctor.facts import CameraFacts, Edge, Facts, NodeFacts
from pose3d_ros.structures import Floats, Rig

# A node's fixed_frame in /diagnostics before the first frame set.
NOT_KNOWN = "not known yet"


def cameras_in_tf(facts: Facts, node: NodeFacts) -> Iterator[tuple[CameraFacts, str]]:
    """Cameras that the node locates by TF and that sent an image, with the fixed frame."""
    if node.kind == "detector" or node.placement not in ("tf", "auto") or facts.edges_of(node) is None:
        return
    cameras = [camera for camera in node.cameras if camera.image is not None]
    if not cameras:
        return
    frames = [camera.frame_id for camera in cameras]
    baseline = any(camera.info is not None and np.any(baseline_in(camera.info)) for camera in cameras)
    if (node.placement == "auto" and baseline) or not frames_differ(frames):
        return  # located by a stereo driver's P, or reported by frames_equal
    reported = node.values.get("fixed_frame", NOT_KNOWN)
    fixed = str(node.parameters.get("fixed_frame", "") or (reported if reported != NOT_KNOWN else "") or frames[0])
    for camera in cameras:
        if fixed or node.kind == "multiview":
            yield camera, fixed


def rig_by_tf(facts: Facts, node: NodeFacts) -> Rig | None:
    """The cameras that TF locates and camera_info calibrates; None for fewer than two."""
    cameras = []
    edges = facts.edges_of(node) or ()
    for camera, fixed in cameras_in_tf(facts, node):
        if camera.info is None:
            continue
        try:
            cam_from_fixed = np.linalg.inv(look_up_in(edges)(fixed, camera.frame_id, 0))
            one = camera_from_msgs(camera.name, camera.info, cam_from_fixed, node.rectified)
        except (Pose3DError, np.linalg.LinAlgError):
            continue
        cameras.append((one, fixed))
    return Rig(tuple(one for one, _ in cameras), cameras[0][1]) if len(cameras) > 1 else None


def rig_by_projection(node: NodeFacts) -> Rig | None:
    """The cameras with the extrinsics of a stereo driver's P; None if fewer than two are calibrated.

    Raises CalibrationError for an impossible P.
    """
    infos = {camera.name: camera.info for camera in node.cameras if camera.info is not None}
    first = next(iter(infos), "")
    cameras = []
    for name, info in infos.items():
        place = extrinsics_from_projection(name, first, infos)
        try:
            cameras.append(camera_from_msgs(name, info, place, node.rectified))
        except (Pose3DError, np.linalg.LinAlgError):
            continue
    return Rig(tuple(cameras), f"{first}_optical") if len(cameras) > 1 else None


def look_up_in(edges: tuple[Edge, ...]) -> LookUp:
    """A look-up in the observed transforms."""

    def look_up(target: str, source: str, stamp_ns: int) -> Floats:
        chain = path(edges, target, source)
        if chain is None:
            raise missing_transform(target, source, "")
        return fixed_from(chain, target)

    return look_up


def path(edges: tuple[Edge, ...], target: str, source: str) -> tuple[Edge, ...] | None:
    """The transforms between two frames, from source to target; None if TF does not connect them."""
    up, down = _ancestors(edges, source), _ancestors(edges, target)
    above = {source, *(edge.parent for edge in up)}
    common = next((name for name in [target, *(edge.parent for edge in down)] if name in above), None)
    if common is None:
        return None
    return (*_until(up, source, common), *reversed(_until(down, target, common)))


def _ancestors(edges: tuple[Edge, ...], frame: str) -> list[Edge]:
    by_child = {edge.child: edge for edge in edges}
    found: list[Edge] = []
    while frame in by_child and by_child[frame] not in found:
        found.append(by_child[frame])
        frame = found[-1].parent
    return found


def _until(chain: list[Edge], start: str, end: str) -> list[Edge]:
    found: list[Edge] = []
    for edge in chain:
        if (found[-1].parent if found else start) == end:
            break
        found.append(edge)
    return found


def fixed_from(chain: tuple[Edge, ...], target: str) -> Floats:
    """target_from_source (4, 4) m along a path() that ends at target."""
    target_from_source = np.eye(4)
    for edge in reversed(chain):
        if edge.parent == target:
            target_from_source, target = target_from_source @ edge.parent_from_child, edge.child
        else:
            target_from_source, target = target_from_source @ np.linalg.inv(edge.parent_from_child), edge.parent
    return target_from_source
