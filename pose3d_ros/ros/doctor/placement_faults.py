"""Faults of where the cameras stand: transforms that are missing, late, inverted or the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.rigs.placement import baseline_in, check_frame, extrinsics_from_tf, frames_differ, missing_transform
from pose3d_ros.rigs.rig_checks import check_rig, lonely_cameras
from pose3d_ros.ros.doctor.facts import Edge, Facts, Finding, NodeSeen
from pose3d_ros.ros.doctor.placement import look_up_in, path, placed_by_tf, rig_by_projection, rig_by_tf
from pose3d_ros.structures import Camera, Rig

# Cosine between the image's up and the fixed frame's z: few cameras are tilted by more than 45 degrees, and one on its
# side (portrait) has 0.
UPRIGHT, LYING = 0.7, 0.5
# Joints of about half a person: fewer may be a false detection in two cameras.
UNSURE_JOINTS = 8
TURN_ROUND = (
    "publish the pose of the camera's optical frame in its parent, not the parent's in the camera (cv2.solvePnP gives "
    "the latter)"
)


def tf_missing(facts: Facts) -> Iterator[Finding]:
    """A camera's frame is not connected to the fixed one."""
    for node in facts.nodes:
        for camera, fixed in placed_by_tf(facts, node):
            frame = camera.frame_id
            try:
                check_frame(camera.name, frame)
            except CalibrationError as error:
                yield _in_two(camera.topic, error)
                continue
            if path(facts.edges_of(node) or (), fixed, frame) is None:
                known = sorted({name for edge in facts.edges_of(node) or () for name in (edge.parent, edge.child)})
                says, mend = str(missing_transform(fixed, frame, "")).split(": ", 1)
                has = f"TF has {', '.join(known[:8])}" if known else "no transform came on its topics of TF"
                yield Finding(f"{fixed} -> {frame}", f"{says.split(' (')[0]}: {has}", mend)


def _in_two(subject: str, error: CalibrationError) -> Finding:
    """A message that ends in how to fix it."""
    says, _, mend = str(error).rpartition(": ")
    return Finding(subject, says, mend)


def frames_equal(facts: Facts) -> Iterator[Finding]:
    """All cameras carry one frame_id, and nothing else says where they stand."""
    for node in facts.nodes:
        frames = [camera.frame_id for camera in node.cameras if camera.image and camera.frame_id]
        elsewhere = node.placement in ("file", "projection") or node.kind == "detector"
        if len(frames) < 2 or frames_differ(frames) or elsewhere:
            continue
        if any(camera.info is not None and np.any(baseline_in(camera.info)) for camera in node.cameras):
            continue
        yield Finding(
            ", ".join(camera.image_topic for camera in node.cameras),
            f"images of several cameras carry the same header.frame_id ({frames[0]!r}): TF cannot tell them apart",
            "give every driver a frame_id of its own, or a rig file (placement: file)",
        )


def tf_two_parents(facts: Facts) -> Iterator[Finding]:
    """A frame with two parents: it jumps from one to the other."""
    parents: dict[str, set[str]] = {}
    for node in facts.nodes:
        # Of what the cameras' places depend on: other trees, of other robots say, are no concern.
        used = {edge.child for edge in _chains(facts, node)}
        for edge in facts.edges_of(node) or ():
            if edge.child in used:
                parents.setdefault(edge.child, set()).add(edge.parent)
    for child, found in sorted(parents.items()):
        if len(found) > 1:
            yield Finding(
                child,
                f"this frame has {len(found)} parents in TF ({', '.join(sorted(found))}), so it jumps between them",
                "end one of the two that publish it",
            )


def _chains(facts: Facts, node: NodeSeen) -> Iterator[Edge]:
    """The transforms that place a node's cameras."""
    for camera, fixed in placed_by_tf(facts, node):
        yield from path(facts.edges_of(node) or (), fixed, camera.frame_id) or ()


def tf_late(facts: Facts) -> Iterator[Finding]:
    """Transforms of a moving camera come too long after its images."""
    for node in facts.nodes:
        wait = float(node.parameters.get("tf_timeout_s", 0.1))
        for camera, fixed in placed_by_tf(facts, node):
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
                        f"this transform comes up to {behind:.2f} s after the images of camera {camera.name!r} "
                        f"({1 / period:.1f} a second), which wait {wait:g} s for it (tf_timeout_s)",
                        "publish it more often and at once, synchronise the clocks, or raise tf_timeout_s; for a "
                        "camera that does not move publish it on /tf_static",
                    )


def body_frame(facts: Facts) -> Iterator[Finding]:
    """Images carry the frame of the camera's body (x forward) and not its optical frame (z forward)."""
    for node in facts.nodes:
        if _finds_people(node):
            continue
        rig = rig_by_tf(facts, node)
        for camera, fixed in placed_by_tf(facts, node):
            edges = facts.edges_of(node) or ()
            try:
                extrinsics_from_tf(camera.name, camera.frame_id, 0, fixed, look_up_in(edges))
            except CalibrationError as error:
                if path(edges, fixed, camera.frame_id) is not None:
                    yield _in_two(camera.topic, error)
                continue
            if rig is not None and _looks_up(rig, camera.name):
                yield Finding(
                    camera.topic,
                    f"frame_id {camera.frame_id!r} of its images looks like the camera's body: as an optical frame (z "
                    "forward) it looks at the ceiling, as a body's (x forward) it looks level",
                    "publish the optical frame too, turned by roll -90 and yaw -90 degrees from the body's, for the "
                    "images to carry",
                )


def _looks_up(rig: Rig, name: str) -> bool:
    """Whether a camera looks up steeply in a frame whose z is up; x of its frame, a body's forward, is then level."""
    if name not in rig.names or not _z_is_up(rig):
        return False
    cam_from_world = rig.camera(name).cam_from_world
    return bool(cam_from_world[2, 2] > UPRIGHT and abs(cam_from_world[0, 2]) < UPRIGHT)


def _finds_people(node: NodeSeen) -> bool:
    """Where people are found and the node is well, its cameras stand right, however they are held."""
    return node.level == 0 and bool(node.max_people)


def tf_inverted(facts: Facts) -> Iterator[Finding]:
    """Transforms given the wrong way round: the cameras then see nothing in common, or people behind them."""
    if any(body_frame(facts)):
        return
    for node in facts.nodes:
        rig = rig_by_tf(facts, node)
        if rig is not None and not _finds_people(node):
            yield from _looking_away(rig) if lonely_cameras(rig) else _lying(rig)
        behind = _counted(node, "joints_rejected/cheirality")
        if node.level and not node.max_people and behind >= UNSURE_JOINTS and node.placement == "tf":
            yield Finding(
                node.name,
                f"{behind} joints were found behind the cameras, and no person has a pose",
                "are the cameras' transforms inverted (TF wants the pose of the camera in its parent, x right, y down, "
                "z forward), or two image topics exchanged?",
            )


def _looking_away(rig: Rig) -> Iterator[Finding]:
    """Some camera sees nothing that another one sees."""
    lonely = lonely_cameras(rig)
    for names in (*([name] for name in lonely), list(rig.names)):
        turned = [turned_round(one) if one.name in names else one for one in rig.cameras]
        sound = not _z_is_up(rig) or all(upright(one) > UPRIGHT for one in turned if one.name in names)
        if sound and not lonely_cameras(Rig(tuple(turned), rig.frame_id)):
            yield Finding(
                f"{rig.frame_id} -> {', '.join(names)}",
                f"TF is inverted for {', '.join(names)}: as given, {', '.join(lonely)} see nothing that another camera "
                "sees; turned round they would",
                TURN_ROUND,
            )
            return
    yield Finding(
        f"{rig.frame_id} -> {', '.join(lonely)}",
        f"by TF {', '.join(lonely)} see nothing that another camera sees",
        "is the frame_id the optical frame (x right, y down, z forward) and not the camera's body? Look at TF in RViz",
    )


def _lying(rig: Rig) -> Iterator[Finding]:
    """Cameras that lie on their side or head, and would be upright if turned round."""
    if not _z_is_up(rig):
        return
    names = [one.name for one in rig.cameras if upright(one) < LYING and upright(turned_round(one)) > UPRIGHT]
    if names:
        yield Finding(
            f"{rig.frame_id} -> {', '.join(names)}",
            f"TF looks inverted for {', '.join(names)}: as given, the image lies on its side or head; turned round it "
            "would be upright",
            TURN_ROUND,
        )


def _z_is_up(rig: Rig) -> bool:
    """Frames of robots and rooms have z up, those of cameras do not (REP-103): camera_color_optical_frame."""
    own = any(np.allclose(camera.cam_from_world, np.eye(4)) for camera in rig.cameras)
    return "optical" not in rig.frame_id and not own


def upright(camera: Camera) -> float:
    """Cosine between the image's up and z of the fixed frame."""
    return -float(camera.cam_from_world[1, 2])


def turned_round(camera: Camera) -> Camera:
    """The camera of the inverse transform."""
    return camera.placed(np.linalg.inv(camera.cam_from_world))


def zero_baseline(facts: Facts) -> Iterator[Finding]:
    """Two cameras in one place: no depth."""
    for node in facts.nodes:
        rig = rig_by_tf(facts, node)
        for a, b in combinations(rig.cameras, 2) if rig is not None else ():
            if (apart := float(np.linalg.norm(a.centre - b.centre))) < MIN_BASELINE_M:
                yield Finding(
                    f"{a.name}, {b.name}",
                    f"by TF both stand at one place ({1000 * apart:.2g} mm apart): what only they see has no depth",
                    "measure or calibrate where they stand (docs/calibration.md), and publish that",
                )
        if node.placement == "projection" or _needs_projection(node):
            infos = {camera.name: camera.info for camera in node.cameras if camera.info is not None}
            if len(infos) > 1 and not any(
                np.linalg.norm(baseline_in(info)) >= MIN_BASELINE_M for info in infos.values()
            ):
                yield Finding(
                    ", ".join(camera.info_topic for camera in node.cameras),
                    "P holds no baseline (P[3] = Tx = 0) in any camera_info",
                    "use a stereo calibration, where P[3] is -fx times the baseline in m, or place the cameras by TF "
                    "(placement: tf) or by a rig file (placement: file)",
                )


def rig_implausible(facts: Facts) -> Iterator[Finding]:
    """Cameras that cannot be where or what they are said to be: metres taken for millimetres, K of another image."""
    if any(zero_baseline(facts)) or any(tf_inverted(facts)) or any(body_frame(facts)):
        return
    for node in facts.nodes:
        if _finds_people(node):
            continue
        by_p = node.placement == "projection" or _needs_projection(node)
        try:
            rig = rig_by_projection(node) if by_p else rig_by_tf(facts, node)
            faults = [found.text for found in check_rig(rig) if found.fault] if rig is not None else []
        except CalibrationError as error:
            faults = [str(error)]
        for text in faults:
            yield Finding(node.name, text, "correct the calibration or the transform that says so, and ask again")


def _needs_projection(node: NodeSeen) -> bool:
    """Whether P is the only thing left that could place its cameras: they share one frame."""
    frames = [camera.frame_id for camera in node.cameras if camera.image]
    asked = node.parameters.get("placement", "auto")
    return asked == "projection" or (
        asked == "auto" and len(frames) > 1 and not frames_differ(frames) and node.values.get("placement") == "auto"
    )


def _counted(node: NodeSeen, key: str) -> int:
    """How much a counter of the node's diagnostics grew while it was watched."""
    return int(node.values.get(key, "0")) - int(node.before.get(key, "0"))
