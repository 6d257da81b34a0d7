"""People as REP-155 names them: ids and frames of bodies (reps.openrobotics.org/rep-0155, "Body Frames").

REP-155's links are those of its human model; those here are the ones whose origins are measured joints. Angles between
them are not measured, so every link has the axes of its body, and there are no joint states.
"""

from __future__ import annotations

import re

import numpy as np
from geometry_msgs.msg import TransformStamped

from pose3d_ros.ros.conversions.transforms import body_frame, transform_to_msg
from pose3d_ros.structures import PersonState, Pose3D

_SIDES = {"l": "L", "r": "R"}
_LIMBS = {
    "y_shoulder": "Shoulder", "shoulder": "Shoulder", "elbow": "Elbow", "wrist": "Wrist",
    "y_hip": "Hip", "hip": "Hip", "knee": "Knee", "ankle": "Ankle",
}  # fmt: skip
# REP-155's link -> the joint of h36m_17 where its origin lies.
LINKS = {"torso": "Thorax", "head": "Nose"} | {
    f"{side}_{link}": f"{letter}{joint}" for side, letter in _SIDES.items() for link, joint in _LIMBS.items()
}


def body_id(person: str, prefix: str = "") -> str:
    """The id of a person's body: letters and digits, starting with a letter, because it is part of topic names.

    REP-155 fixes the names of frames but not the ids in them, so the frames' prefix becomes a part of the id.
    """
    name = re.sub(r"[^A-Za-z0-9]", "", f"{prefix}b{person}")
    return name if name[0].isalpha() else f"b{name}"


def tracked_bodies(pose: Pose3D, prefix: str = "") -> list[str]:
    """Ids of the bodies of all people who are not LOST."""
    people = zip(pose.ids, pose.state, strict=True)
    return [body_id(person, prefix) for person, state in people if state != PersonState.LOST]


def bodies_to_transforms(pose: Pose3D, prefix: str = "") -> list[TransformStamped]:
    """body_<id> in pose.frame_id, and in it <link>_<id> at each present joint; LOST people are left out.

    The body's frame is body_frame's. A person without one (no hips or shoulders) has no frames at all.
    """
    messages = []
    for p, person in enumerate(pose.ids):
        frame_from_body = None if pose.state[p] == PersonState.LOST else body_frame(pose, p)
        if frame_from_body is None:
            continue
        name = body_id(person, prefix)
        messages.append(transform_to_msg(frame_from_body, pose.frame_id, f"body_{name}", pose.stamp_ns))
        xyz = (pose.xyz[p] - frame_from_body[:3, 3]) @ frame_from_body[:3, :3]  # (J, 3) m in the body's frame
        for link, joint in LINKS.items():
            body_from_link = np.eye(4)
            body_from_link[:3, 3] = xyz[pose.skeleton.index(joint)]
            if np.isfinite(body_from_link).all():
                messages.append(transform_to_msg(body_from_link, f"body_{name}", f"{link}_{name}", pose.stamp_ns))
    return messages
