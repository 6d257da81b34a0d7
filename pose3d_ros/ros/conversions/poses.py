"""HumanPose3DArray messages and Pose3D, in both directions without a loss beyond the messages' float32 fields."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3

from pose3d_ros.errors import InputError
from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D
from pose3d_ros.ros.conversions.stamps import header, stamp_from_ns, stamp_to_ns
from pose3d_ros.skeletons import SKELETONS
from pose3d_ros.structures import Floor, JointSource, Pose3D, Skeleton

NS_PER_S = 1e9
# As many as a detector may give of one image (DetectorOptions.max_detections at its highest): association of more would
# hold up every pose.
MOST_PEOPLE = 100
# Names are short: longer ones are cut in error messages.
LONGEST_NAME = 80


def pose_to_msg(
    pose: Pose3D,
    *,
    camera_stamps_ns: Mapping[str, int],
    processing_latency_s: float = float("nan"),
    calibration_hash: str,
) -> HumanPose3DArray:
    """The message of /human_pose_3d: positions in m in pose.frame_id, NaN for an absent joint."""
    msg = HumanPose3DArray(header=header(pose.stamp_ns, pose.frame_id), skeleton=pose.skeleton.name)
    msg.joint_names = list(pose.skeleton.joint_names)
    msg.people = [_person(pose, p) for p in range(len(pose))]
    msg.camera_names = list(camera_stamps_ns)
    msg.camera_stamps = [stamp_from_ns(stamp) for stamp in camera_stamps_ns.values()]
    stamps = list(camera_stamps_ns.values()) or [0]
    msg.stamp_spread = (max(stamps) - min(stamps)) / NS_PER_S
    msg.processing_latency = float(processing_latency_s)
    msg.calibration_hash = calibration_hash
    msg.floor_plane = np.full(4, np.nan) if pose.floor is None else pose.floor.plane.copy()
    msg.floor_covariance = np.full(9, np.nan) if pose.floor is None else pose.floor.covariance.ravel().copy()
    return msg


def pose_from_msg(msg: HumanPose3DArray) -> Pose3D:
    """The Pose3D of a message; raises InputError for a wrong skeleton or number of joints."""
    skeleton = known_skeleton(msg.skeleton, msg.joint_names)
    people, size = len(msg.people), skeleton.size
    if people > MOST_PEOPLE:
        raise InputError(f"{people} people in one message, expected at most {MOST_PEOPLE}")
    for person in msg.people:
        if len(person.joints) != size:
            raise InputError(f"person {shortened(person.id)!r} has {len(person.joints)} joints, expected {size}")
    joints = [joint for person in msg.people for joint in person.joints]
    numbers = np.array(
        [
            (j.position.x, j.position.y, j.position.z, j.velocity.x, j.velocity.y, j.velocity.z,
             j.confidence, j.reprojection_px, j.n_views, j.source,
             j.orientation.x, j.orientation.y, j.orientation.z, j.orientation.w)
            for j in joints
        ],
        dtype=np.float64,
    ).reshape(people, size, 14)  # fmt: skip
    covariance = np.array([j.covariance for j in joints], dtype=np.float64).reshape(people, size, 3, 3)
    orientation_std = np.array([j.orientation_std for j in joints], dtype=np.float64).reshape(people, size, 3)
    bodies = [(person.age, person.stature, person.stature_std, *person.foot_contact) for person in msg.people]
    age_s, stature_m, stature_std_m, left, right = np.array(bodies, dtype=np.float64).reshape(people, 5).T
    return Pose3D(
        xyz=numbers[..., 0:3],
        velocity=numbers[..., 3:6],
        covariance=covariance,
        score=numbers[..., 6],
        reprojection_px=numbers[..., 7],
        n_views=numbers[..., 8].astype(np.uint8),
        source=numbers[..., 9].astype(np.uint8),
        ids=tuple(person.id for person in msg.people),
        state=np.array([person.state for person in msg.people], dtype=np.uint8),
        age_s=age_s,
        skeleton=skeleton,
        frame_id=msg.header.frame_id,
        stamp_ns=stamp_to_ns(msg.header.stamp),
        orientation=numbers[..., 10:14],
        orientation_std=orientation_std,
        stature_m=stature_m,
        stature_std_m=stature_std_m,
        foot_contact=np.stack([left, right], axis=-1),
        floor=_floor(msg),
    )


def _floor(msg: HumanPose3DArray) -> Floor | None:
    """The floor of a message; None for NaN, and for the zeros of a program that leaves it out."""
    plane = np.array(msg.floor_plane, dtype=np.float64)
    if not np.isfinite(plane).all() or not plane.any():
        return None
    return Floor(plane, np.array(msg.floor_covariance, dtype=np.float64).reshape(3, 3))


def known_skeleton(name: str, joint_names: list[str]) -> Skeleton:
    """The skeleton of a message; raises InputError if it is unknown or differs from pose3d_ros's."""
    if name not in SKELETONS:
        raise InputError(f"message has skeleton {shortened(name)!r}, expected one of {', '.join(SKELETONS)}")
    skeleton = SKELETONS[name]
    if tuple(joint_names) != skeleton.joint_names:
        raise InputError(
            f"message has skeleton {name!r} with {len(joint_names)} joints: "
            f"{shortened(', '.join(joint_names[: skeleton.size]))}, expected {', '.join(skeleton.joint_names)}: "
            "bring sender and receiver to the same version of pose3d_ros"
        )
    return skeleton


def shortened(name: str) -> str:
    """A name from a message, cut if it is too long."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def _person(pose: Pose3D, p: int) -> HumanPose3D:
    """Person p of a pose."""
    present = pose.source[p] != JointSource.ABSENT
    joints = [
        Joint3D(
            position=Point(x=x, y=y, z=z),
            velocity=Vector3(x=u, y=v, z=w),
            covariance=covariance,
            confidence=score,
            n_views=n_views,
            reprojection_px=reprojection,
            source=source,
            orientation=Quaternion(x=qx, y=qy, z=qz, w=qw),
            orientation_std=std,
        )
        # tolist() makes Python's own numbers at once, which is what the fields want.
        for (x, y, z), (u, v, w), covariance, score, n_views, reprojection, source, (qx, qy, qz, qw), std in zip(
            pose.xyz[p].tolist(),
            pose.velocity[p].tolist(),
            pose.covariance[p].reshape(-1, 9).copy(),
            pose.score[p].tolist(),
            pose.n_views[p].tolist(),
            pose.reprojection_px[p].tolist(),
            pose.source[p].tolist(),
            pose.orientation[p].tolist(),
            pose.orientation_std[p].astype(np.float32),
            strict=True,
        )
    ]
    return HumanPose3D(
        id=pose.ids[p],
        state=int(pose.state[p]),
        age=float(pose.age_s[p]),
        confidence=float(pose.score[p][present].mean()) if present.any() else 0.0,
        joints=joints,
        stature=float(pose.stature_m[p]),
        stature_std=float(pose.stature_std_m[p]),
        foot_contact=pose.foot_contact[p].astype(np.float32),
    )
