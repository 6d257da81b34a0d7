"""TF messages and matrices, and the frames of people: <prefix>human_<id> and <prefix>human_<id>_<joint>."""

from __future__ import annotations

import math
import re

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import ArrayLike

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.orientation import body_rotation
from pose3d_ros.ros import distribution
from pose3d_ros.ros.conversions.stamps import header
from pose3d_ros.structures import Floats, PersonState, Pose3D


def transform_to_msg(matrix: ArrayLike, parent: str, child: str, stamp_ns: int) -> TransformStamped:
    """parent_from_child (4, 4), m, as TF has it: the pose of child in parent."""
    parent_from_child = np.asarray(matrix, dtype=np.float64)
    if parent_from_child.shape != (4, 4) or not np.isfinite(parent_from_child).all():
        raise InputError(f"transform {parent!r} from {child!r} must be a finite (4, 4) matrix, got {matrix!r}")
    x, y, z, w = (float(n) for n in distribution.quaternion_from_matrix(parent_from_child))
    return _stamped(parent_from_child[:3, 3], Quaternion(x=x, y=y, z=z, w=w), parent, child, stamp_ns)


def matrix_from_transform(msg: TransformStamped | Transform) -> Floats:
    """parent_from_child (4, 4), m; raises InputError for a zero quaternion or numbers that are not finite."""
    transform = msg.transform if isinstance(msg, TransformStamped) else msg
    q, t = transform.rotation, transform.translation
    quaternion = np.array([q.x, q.y, q.z, q.w])
    translation = np.array([t.x, t.y, t.z])
    length = float(np.linalg.norm(quaternion))
    if not np.isfinite(translation).all() or not 0.5 < length < 2.0:
        raise InputError(
            f"transform has translation {translation.tolist()} and quaternion (x, y, z, w) {quaternion.tolist()}, "
            "expected finite numbers and length 1: fix its publisher"
        )
    matrix = np.array(distribution.quaternion_matrix(quaternion / length), dtype=np.float64)
    matrix[:3, 3] = translation
    return matrix


def transforms_to_msgs(pose: Pose3D, prefix: str = "") -> list[TransformStamped]:
    """Frames of every person for /tf, children of pose.frame_id: each present joint, and the body.

    Joints have their orientation, and the axes of pose.frame_id where it is not known. The body's origin is the pelvis,
    its axes are REP-103's. What is absent or not finite is left out, and so are LOST people: what follows TF must not
    be steered by them.
    """
    messages = []
    for p, person in enumerate(pose.ids):
        if pose.state[p] == PersonState.LOST:
            continue
        name = f"{prefix}human_{frame_name(person)}"
        body = body_frame(pose, p)
        if body is not None:
            messages.append(transform_to_msg(body, pose.frame_id, name, pose.stamp_ns))
        for j in np.flatnonzero(np.isfinite(pose.xyz[p]).all(axis=-1)):
            child = f"{name}_{frame_name(pose.skeleton.joint_names[j])}"
            x, y, z, w = pose.orientation[p, j].tolist()
            turned = Quaternion(x=x, y=y, z=z, w=w) if math.isfinite(w) else Quaternion(w=1.0)
            messages.append(_stamped(pose.xyz[p, j], turned, pose.frame_id, child, pose.stamp_ns))
    return messages


def body_frame(pose: Pose3D, p: int) -> Floats | None:
    """frame_from_body (4, 4) of person p: origin Pelvis, x forward, y left, z up along the torso (REP-103).

    The axes are those of Spine (msg/Joint3D). None where the pelvis, a hip or a shoulder is missing or they lie on a
    line.
    """
    if "Pelvis" not in pose.skeleton.joint_names:
        return None
    frame_from_body = np.eye(4)
    frame_from_body[:3, :3] = body_rotation(pose.skeleton, pose.xyz[p : p + 1])[0]
    frame_from_body[:3, 3] = pose.xyz[p, pose.skeleton.index("Pelvis")]
    return frame_from_body if np.isfinite(frame_from_body).all() else None


def frame_name(text: str) -> str:
    """text with an underscore for every character that is not allowed in a frame id."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def _stamped(xyz: Floats, rotation: Quaternion, parent: str, child: str, stamp_ns: int) -> TransformStamped:
    """A transform message from its parts."""
    x, y, z = (float(n) for n in xyz)
    transform = Transform(translation=Vector3(x=x, y=y, z=z), rotation=rotation)
    return TransformStamped(header=header(stamp_ns, parent), child_frame_id=child, transform=transform)
