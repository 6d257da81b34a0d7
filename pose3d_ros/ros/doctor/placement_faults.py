"""Faults of camera poses: transforms that are missing, late, inverted or equal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.rigs.placement import baseline_in, check_frame, extrinsics_from_tf, frames_differ, missing_transform
from pose3d_ros.rigs.rig_checks import check_rig, lonely_cameras
from pose3d_ros.ros.doctor.facts import Edge, Facts, Finding, NodeFacts
from pose3d_ros.ros.doctor.placement import cameras_in_tf, look_up_in, path, rig_by_projection, rig_by_tf
from pose3d_ros.structures import Camera, Rig

# Cosine between the image's up and the fixed frame's z: few cameras are tilted by more than 45 degrees, and one on its
# side (portrait) has 0.
UPRIGHT, LYING = 0.7, 0.5
INVERT = (
    "publish the pose of the camera's optical frame in its parent, not the parent's in the camera (cv2.solvePnP "
    "returns the latter)"
)


def tf_missing(facts: Facts) -> Iterator[Finding]:
    """TF does not connect a camera's frame to the fixed frame."""
    for node in facts.nodes:
        for camera, fixed in cameras_in_tf(facts, node):
            frame = camera.frame_id
            try:
                check_frame(camera.name, frame)
            except CalibrationError as error:
                yield _finding(camera.topic, error)
                continue
            if path(facts.edges_of(node) or (), fixed, frame) is None:
                frames = sorted({name for edge in facts.edges_of(node) or () for name in (edge.parent, edge.child)})
                message, fix = str(missing_transform(fixed, frame, "")).split(": ", 1)
                has = f"TF has {', '.join(frames[:8])}" if frames else "no transform arrived on its TF topics"
                yield Finding(f"{fixed} -> {frame}", f"{message.split(' (')[0]}: {has}", fix)


def _finding(subject: str, error: CalibrationError) -> Finding:
    """The finding of an error message that ends in the fix."""
    message, _, fix = str(error).rpartition(": ")
    return Finding(subject, message, fix)


def frames_equal(facts: Facts) -> Iterator[Finding]:
    """All cameras have the same frame_id, and nothing else locates them."""
    for node in facts.nodes:
        frames = [camera.frame_id for camera in node.cameras if camera.image and camera.frame_id]
        elsewhere = node.placement in ("file", "projection") or node.kind == "detector"
        if len(frames) < 2 or frames_differ(frames) or elsewhere:
            continue
        if any(camera.info is not None and np.any(baseline_in(camera.info)) for camera in node.cameras):
            continue
        yield Finding(
            ", ".join(camera.image_topic for camera in node.cameras),
            f"images of several cameras have the same header.frame_id ({frames[0]!r}): TF cannot distinguish them",
            "give every driver its own frame_id, or use a rig file (placement: file)",
        )


def tf_two_parents(facts: Facts) -> Iterator[Finding]:
    """A frame has two parents and jumps between them."""
    parents: dict[str, set[str]] = {}
    for node in facts.nodes:
        # Only transforms that locate cameras matter, not, say, the tree of another robot.
        used = {edge.child for edge in _chains(facts, node)}
        for edge in facts.edges_of(node) or ():
            if edge.child in used:
                parents.setdefault(edge.child, set()).add(edge.parent)
    for child, names in sorted(parents.items()):
        if len(names) > 1:
            yield Finding(
                child,
                f"this frame has {len(names)} parents in TF ({', '.join(sorted(names))}), so it jumps between them",
                "stop one of its publishers",
            )


def _chains(facts: Facts, node: NodeFacts) -> Iterator[Edge]:
    """The transforms that locate a node's cameras."""
    for camera, fixed in cameras_in_tf(facts, node):
        yield from path(facts.edges_of(node) or (), fixed, camera.frame_id) or ()


def tf_late(facts: Facts) -> Iterator[Finding]:
    """Transforms of a moving camera arrive too late for its images."""
    for node in facts.nodes:
        wait = float(node.parameters.get("tf_timeout_s", 0.1))
        for camera, fixed in cameras_in_tf(facts, node):
            for edge in path(facts.edges_of(node) or (), fixed, camera.frame_id) or ():
                edge_late_s, camera_late_s = facts.late_s(edge, node), facts.late_s(camera, node)
                if edge.static or not edge_late_s or not camera_late_s:
                    continue
                # A transform of the image's time or later is needed: the next one is up to a period away.
                period = facts.elapsed_s(edge) / len(edge_late_s)
                behind = float(np.median(edge_late_s) - np.median(camera_late_s)) + period
                if behind > wait:
                    yield Finding(
                        f"{edge.parent} -> {edge.child}",
                        f"this transform arrives up to {behind:.2f} s after the images of camera {camera.name!r} "
                        f"(at {1 / period:.1f} Hz), expected within tf_timeout_s = {wait:g} s",
                        "publish it faster and without delay, synchronise the clocks, or raise tf_timeout_s; for a "
                        "fixed camera publish it on /tf_static",
                    )


def body_frame(facts: Facts) -> Iterator[Finding]:
    """Images have the frame of the camera's body (x forward) instead of its optical frame (z forward)."""
    for node in facts.nodes:
        if _has_poses(node):
            continue
        rig = rig_by_tf(facts, node)
        for camera, fixed in cameras_in_tf(facts, node):
            edges = facts.edges_of(node) or ()
            try:
                extrinsics_from_tf(camera.name, camera.frame_id, 0, fixed, look_up_in(edges))
            except CalibrationError as error:
                if path(edges, fixed, camera.frame_id) is not None:
                    yield _finding(camera.topic, error)
                continue
            if rig is not None and _points_up(rig, camera.name):
                yield Finding(
                    camera.topic,
                    f"frame_id {camera.frame_id!r} of its images seems to be the camera's body: as an optical frame (z "
                    "forward) it points at the ceiling, as a body frame (x forward) it is level",
                    "publish the optical frame too, rotated by roll -90 and yaw -90 degrees from the body's, and use "
                    "it as the frame_id of the images",
                )


def _points_up(rig: Rig, name: str) -> bool:
    """Whether a camera points up steeply, with x of its frame (forward of a body) level, in a frame whose z is up."""
    if name not in rig.names or not _z_is_up(rig):
        return False
    cam_from_world = rig.camera(name).cam_from_world
    return bool(cam_from_world[2, 2] > UPRIGHT and abs(cam_from_world[0, 2]) < UPRIGHT)


def _has_poses(node: NodeFacts) -> bool:
    """Whether the node is OK and has poses: its camera poses are then right, whatever they look like."""
    return node.level == 0 and bool(node.max_people)


def tf_inverted(facts: Facts) -> Iterator[Finding]:
    """TF is inverted: the cameras have no common view, or images lie on their side."""
    if any(body_frame(facts)):
        return
    for node in facts.nodes:
        rig = rig_by_tf(facts, node)
        if rig is not None and not _has_poses(node):
            yield from _without_common_view(rig) if lonely_cameras(rig) else _on_their_side(rig)


def _without_common_view(rig: Rig) -> Iterator[Finding]:
    """A camera shares no view with another."""
    lonely = lonely_cameras(rig)
    for names in (*([name] for name in lonely), list(rig.names)):
        inverted = [inverse(one) if one.name in names else one for one in rig.cameras]
        sound = not _z_is_up(rig) or all(upright(one) > UPRIGHT for one in inverted if one.name in names)
        if sound and not lonely_cameras(Rig(tuple(inverted), rig.frame_id)):
            yield Finding(
                f"{rig.frame_id} -> {', '.join(names)}",
                f"TF is inverted for {', '.join(names)}: as published, {', '.join(lonely)} share no view with another "
                "camera; inverted, they do",
                INVERT,
            )
            return
    yield Finding(
        f"{rig.frame_id} -> {', '.join(lonely)}",
        f"by TF, {', '.join(lonely)} share no view with another camera",
        "check TF in RViz: the frame_id must be the optical frame (x right, y down, z forward), not the camera's body",
    )


def _on_their_side(rig: Rig) -> Iterator[Finding]:
    """Cameras that lie on their side or upside down, and would be upright with the inverse transform."""
    if not _z_is_up(rig):
        return
    names = [one.name for one in rig.cameras if upright(one) < LYING and upright(inverse(one)) > UPRIGHT]
    if names:
        yield Finding(
            f"{rig.frame_id} -> {', '.join(names)}",
            f"TF seems inverted for {', '.join(names)}: as published, the image lies on its side or upside down; "
            "inverted, it is upright",
            INVERT,
        )


def _z_is_up(rig: Rig) -> bool:
    """Whether the fixed frame has z up: frames of robots and rooms do, optical frames do not (REP-103)."""
    own = any(np.allclose(camera.cam_from_world, np.eye(4)) for camera in rig.cameras)
    return "optical" not in rig.frame_id and not own


def upright(camera: Camera) -> float:
    """Cosine between the image's up and z of the fixed frame."""
    return -float(camera.cam_from_world[1, 2])


def inverse(camera: Camera) -> Camera:
    """The camera with the inverse transform."""
    return camera.placed(np.linalg.inv(camera.cam_from_world))


def zero_baseline(facts: Facts) -> Iterator[Finding]:
    """Two cameras have the same position, which gives no depth."""
    for node in facts.nodes:
        rig = rig_by_tf(facts, node)
        for a, b in combinations(rig.cameras, 2) if rig is not None else ():
            if (apart := float(np.linalg.norm(a.centre - b.centre))) < MIN_BASELINE_M:
                yield Finding(
                    f"{a.name}, {b.name}",
                    f"by TF both are at one position ({1000 * apart:.2g} mm apart): the pair gives no depth",
                    "measure or calibrate their poses (docs/calibration.md) and publish them",
                )
        if node.placement == "projection" or _needs_projection(node):
            infos = {camera.name: camera.info for camera in node.cameras if camera.info is not None}
            if len(infos) > 1 and not any(
                np.linalg.norm(baseline_in(info)) >= MIN_BASELINE_M for info in infos.values()
            ):
                yield Finding(
                    ", ".join(camera.info_topic for camera in node.cameras),
                    "P has no baseline (P[3] = Tx = 0) in any camera_info",
                    "use a stereo calibration, where P[3] is -fx times the baseline in m, or locate the cameras by TF "
                    "(placement: tf) or by a rig file (placement: file)",
                )


def rig_implausible(facts: Facts) -> Iterator[Finding]:
    """The calibration is implausible: a baseline in millimetres, K of another image size."""
    if any(zero_baseline(facts)) or any(tf_inverted(facts)) or any(body_frame(facts)):
        return
    for node in facts.nodes:
        if _has_poses(node):
            continue
        by_p = node.placement == "projection" or _needs_projection(node)
        try:
            rig = rig_by_projection(node) if by_p else rig_by_tf(facts, node)
            faults = [problem.text for problem in check_rig(rig) if problem.fault] if rig is not None else []
        except CalibrationError as error:
            faults = [str(error)]
        for text in faults:
            yield Finding(node.name, text, "correct the calibration or the transform, and run pose3d doctor again")


def _needs_projection(node: NodeFacts) -> bool:
    """Whether only P can locate its cameras: they share one frame."""
    frames = [camera.frame_id for camera in node.cameras if camera.image]
    placement = node.parameters.get("placement", "auto")
    return placement == "projection" or (
        placement == "auto" and len(frames) > 1 and not frames_differ(frames) and node.values.get("placement") == "auto"
    )
