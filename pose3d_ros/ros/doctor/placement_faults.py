"""Faults of where the cameras stand: transforms that are missing, late, inverted or the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from pose3d_ros.data.camera_info import camera_from_msgs
from pose3d_ros.data.placement import baseline_in, frames_differ, missing_transform
from pose3d_ros.errors import Pose3DError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.geometry.rig_checks import lonely_cameras
from pose3d_ros.ros.diagnostics import UNSURE_JOINTS
from pose3d_ros.ros.doctor.facts import CameraSeen, Edge, Facts, Finding, NodeSeen
from pose3d_ros.structures import Floats, Rig


def tf_missing(facts: Facts) -> Iterator[Finding]:
    """A camera's frame is not connected to the fixed one."""
    for node in facts.nodes:
        for camera, fixed in _placed_by_tf(node):
            frame = camera.image.frame_id if camera.image else ""
            if not frame:
                yield Finding(
                    camera.image_topic,
                    "its images have an empty header.frame_id, so TF cannot place the camera",
                    "set the driver's frame_id to the camera's optical frame",
                )
            elif path(facts.edges, fixed, frame) is None:
                known = sorted({name for edge in facts.edges for name in (edge.parent, edge.child)})
                says, mend = str(missing_transform(fixed, frame, "")).split(": ", 1)
                has = f"TF has {', '.join(known[:8])}" if known else "nothing came on /tf and /tf_static"
                yield Finding(f"{fixed} -> {frame}", f"{says.split(' (')[0]}: {has}", mend)


def frames_equal(facts: Facts) -> Iterator[Finding]:
    """All cameras carry one frame_id, and nothing else says where they stand."""
    for node in facts.nodes:
        frames = [camera.image.frame_id for camera in node.cameras if camera.image and camera.image.frame_id]
        if len(frames) < 2 or frames_differ(frames) or node.values.get("placement") in ("file", "projection"):
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
    for edge in facts.edges:
        parents.setdefault(edge.child, set()).add(edge.parent)
    for child, found in sorted(parents.items()):
        if len(found) > 1:
            yield Finding(
                child,
                f"this frame has {len(found)} parents in TF ({', '.join(sorted(found))}), so it jumps between them",
                "end one of the two that publish it",
            )


def tf_late(facts: Facts) -> Iterator[Finding]:
    """Transforms of a moving camera come too long after its images."""
    for node in facts.nodes:
        wait = float(node.parameters.get("tf_wait", 0.1))
        for camera, fixed in _placed_by_tf(node):
            for edge in path(facts.edges, fixed, camera.image.frame_id if camera.image else "") or ():
                if edge.static or not edge.late_s or not camera.late_s:
                    continue
                # A transform of the image's time or later is needed: the next one is up to a period away.
                period = facts.watched_s / len(edge.late_s)
                behind = float(np.median(edge.late_s) - np.median(camera.late_s)) + period
                if behind > wait:
                    yield Finding(
                        f"{edge.parent} -> {edge.child}",
                        f"this transform comes up to {behind:.2f} s after the images of camera {camera.name!r} "
                        f"({1 / period:.1f} a second), which wait {wait:g} s for it (tf_wait)",
                        "publish it more often and at once, synchronise the clocks, or raise tf_wait; for a camera "
                        "that does not move publish it on /tf_static",
                    )


def tf_inverted(facts: Facts) -> Iterator[Finding]:
    """Transforms given the wrong way round: the cameras then see nothing in common, or people behind them."""
    for node in facts.nodes:
        rig = rig_by_tf(facts, node)
        if rig is not None and len(rig.cameras) > 1:
            yield from _looking_away(rig)
        behind = _counted(node, "joints_rejected/cheirality")
        if node.level and not node.most_people and behind >= UNSURE_JOINTS and node.values.get("placement") == "tf":
            yield Finding(
                node.name,
                f"{behind} joints were found behind the cameras, and nobody has a pose",
                "are the cameras' transforms inverted (TF wants the pose of the camera in its parent, x right, y down, "
                "z forward), or two image topics exchanged?",
            )


def _looking_away(rig: Rig) -> Iterator[Finding]:
    lonely = lonely_cameras(rig)
    if not lonely:
        return
    turned = {camera.name: camera.placed(np.linalg.inv(camera.cam_from_world)) for camera in rig.cameras}
    suspects = [[name] for name in lonely] + [list(rig.names)]
    for names in suspects:
        other = Rig(tuple(turned[one.name] if one.name in names else one for one in rig.cameras), rig.frame_id)
        if not lonely_cameras(other):
            yield Finding(
                f"{rig.frame_id} -> {', '.join(names)}",
                f"TF is inverted for {', '.join(names)}: as given, {', '.join(lonely)} see nothing that another camera "
                "sees; turned round they would",
                "publish the pose of the camera's optical frame in its parent, not the parent's in the camera "
                "(cv2.solvePnP gives the latter)",
            )
            return
    yield Finding(
        f"{rig.frame_id} -> {', '.join(lonely)}",
        f"by TF {', '.join(lonely)} see nothing that another camera sees",
        "is the frame_id the optical frame (x right, y down, z forward) and not the camera's body? Draw it: `pose3d "
        "rig plot`, or TF in RViz",
    )


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
        if node.values.get("placement") == "projection" or _needs_projection(node):
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


def _needs_projection(node: NodeSeen) -> bool:
    """Whether P is the only thing left that could place its cameras: they share one frame."""
    frames = [camera.image.frame_id for camera in node.cameras if camera.image]
    asked = node.parameters.get("placement", "auto")
    return asked == "projection" or (
        asked == "auto" and len(frames) > 1 and not frames_differ(frames) and node.values.get("placement") == "auto"
    )


def _placed_by_tf(node: NodeSeen) -> Iterator[tuple[CameraSeen, str]]:
    """Cameras that the node places by TF and whose image came, with the fixed frame."""
    placement = node.values.get("placement", "auto")
    if node.kind == "detector" or placement not in ("tf", "auto"):
        return
    seen = [camera for camera in node.cameras if camera.image is not None]
    frames = [camera.image.frame_id for camera in seen if camera.image]
    baseline = any(camera.info is not None and np.any(baseline_in(camera.info)) for camera in seen)
    if placement == "auto" and (baseline or not frames_differ(frames)):
        return  # a stereo driver's P serves
    fixed = str(node.parameters.get("fixed_frame", "") or (frames[0] if frames else ""))
    for camera in seen:
        if fixed or node.kind == "multiview":
            yield camera, fixed


def rig_by_tf(facts: Facts, node: NodeSeen) -> Rig | None:
    """The cameras that TF and camera_info place and calibrate; None for fewer than two."""
    cameras = []
    for camera, fixed in _placed_by_tf(node):
        places = path(facts.edges, fixed, camera.image.frame_id) if camera.image else None
        if places is None or camera.info is None:
            continue
        try:
            cam_from_fixed = np.linalg.inv(fixed_from(places, fixed))
            one = camera_from_msgs(camera.name, camera.info, cam_from_fixed, node.rectified)
        except (Pose3DError, np.linalg.LinAlgError):
            continue
        cameras.append((one, fixed))
    return Rig(tuple(one for one, _ in cameras), cameras[0][1]) if len(cameras) > 1 else None


def path(edges: tuple[Edge, ...], target: str, source: str) -> tuple[Edge, ...] | None:
    """The transforms between two frames, from source to target; None where TF does not connect them."""
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


def _counted(node: NodeSeen, key: str) -> int:
    """How much a counter of the node's diagnostics grew while it was watched."""
    return int(node.values.get(key, "0")) - int(node.before.get(key, "0"))
