"""RViz markers of a Pose3D: joints, bones and ids."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from pose3d_ros.plots.palette import RGB, person_number
from pose3d_ros.ros.conversions.stamps import header
from pose3d_ros.structures import PersonState, Pose3D

JOINT_DIAMETER_M = 0.05
BONE_WIDTH_M = 0.025
TEXT_HEIGHT_M = 0.15
TEXT_ABOVE_M = 0.2
# A joint of score 0 can still be made out; predicted people are as faint as a joint of half their score.
FAINTEST = 0.15
# A lifetime of 0 would be for ever.
MIN_LIFETIME_S = 0.1


def markers_to_msg(pose: Pose3D, lifetime_s: float, colours: Mapping[str, RGB], scale: float = 1.0) -> MarkerArray:
    """Joints, bones and id text of all people, in pose.frame_id.

    The array is the whole picture: it opens with DELETEALL, so a person who left disappears at once and an
    empty pose clears the view; the lifetime clears it when the node stops. Marker ids depend on the person's
    id alone, colours (by id) are the caller's. Alpha follows the joints' score. scale multiplies the size of all.
    """
    head = header(pose.stamp_ns, pose.frame_id)
    markers = [Marker(header=head, action=Marker.DELETEALL)]
    seconds, whole = math.modf(max(MIN_LIFETIME_S, lifetime_s))
    lifetime = Duration(sec=int(whole), nanosec=int(seconds * 1e9))
    for p, person in enumerate(pose.ids):
        present = np.isfinite(pose.xyz[p]).all(axis=-1)
        if not present.any():
            continue
        points = [Point(x=x, y=y, z=z) for x, y, z in pose.xyz[p].tolist()]
        shades = _shades(pose, p, colours[person])
        joints = np.flatnonzero(present).tolist()
        bones = [end for bone in pose.skeleton.bones if present[bone[0]] and present[bone[1]] for end in bone]
        common = {"header": head, "id": person_number(person), "action": Marker.ADD, "lifetime": lifetime}
        markers.append(
            Marker(
                ns="joints", type=Marker.SPHERE_LIST, pose=_here(), scale=_scale(scale * JOINT_DIAMETER_M),
                points=[points[j] for j in joints], colors=[shades[j] for j in joints], **common,
            )
        )  # fmt: skip
        if bones:
            markers.append(
                Marker(
                    ns="bones", type=Marker.LINE_LIST, pose=_here(), scale=Vector3(x=scale * BONE_WIDTH_M),
                    points=[points[j] for j in bones], colors=[shades[j] for j in bones], **common,
                )
            )  # fmt: skip
        markers.append(
            Marker(
                ns="ids", type=Marker.TEXT_VIEW_FACING, pose=_text_place(pose, p, present), text=person,
                scale=Vector3(z=scale * TEXT_HEIGHT_M), color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0), **common,
            )
        )  # fmt: skip
    return MarkerArray(markers=markers)


def _shades(pose: Pose3D, p: int, colour: RGB) -> list[ColorRGBA]:
    """The person's colour for every joint; opacity follows the score."""
    red, green, blue = (part / 255 for part in colour)
    seen = 1.0 if pose.state[p] == PersonState.VISIBLE else 0.5
    alpha = FAINTEST + (1.0 - FAINTEST) * np.clip(pose.score[p], 0.0, 1.0) * seen
    return [ColorRGBA(r=red, g=green, b=blue, a=a) for a in alpha.tolist()]


def _text_place(pose: Pose3D, p: int, present: NDArray[np.bool_]) -> Pose:
    """Above the joint with the greatest z, which is the head in a z-up frame."""
    joints = pose.xyz[p][present]
    x, y, _ = joints.mean(axis=0).tolist()
    position = Point(x=x, y=y, z=float(joints[:, 2].max()) + TEXT_ABOVE_M)
    return Pose(position=position, orientation=Quaternion(w=1.0))


def _here() -> Pose:
    """The frame's origin: points are in the frame."""
    return Pose(orientation=Quaternion(w=1.0))


def _scale(size_m: float) -> Vector3:
    """The same size along every axis."""
    return Vector3(x=size_m, y=size_m, z=size_m)
