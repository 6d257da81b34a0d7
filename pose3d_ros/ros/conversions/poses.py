"""HumanPose3DArray messages and Pose3D, in both directions without a loss beyond the messages' float32 fields."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import Point, Vector3

from pose3d_ros.errors import InputError
from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D
from pose3d_ros.ros.conversions.stamps import header, stamp_from_ns, stamp_to_ns
from pose3d_ros.skeletons import SKELETONS
from pose3d_ros.structures import JointSource, Pose3D, Skeleton

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
             j.confidence, j.reprojection_px, j.n_views, j.source)
            for j in joints
        ],
        dtype=np.float64,
    ).reshape(people, size, 10)  # fmt: skip
    covariance = np.array([j.covariance for j in joints], dtype=np.float64).reshape(people, size, 3, 3)
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
        age_s=np.array([person.age for person in msg.people], dtype=np.float64),
        skeleton=skeleton,
        frame_id=msg.header.frame_id,
        stamp_ns=stamp_to_ns(msg.header.stamp),
    )


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
        )
        # tolist() makes Python's own numbers at once, which is what the fields want.
        for (x, y, z), (u, v, w), covariance, score, n_views, reprojection, source in zip(
            pose.xyz[p].tolist(),
            pose.velocity[p].tolist(),
            pose.covariance[p].reshape(-1, 9).copy(),
            pose.score[p].tolist(),
            pose.n_views[p].tolist(),
            pose.reprojection_px[p].tolist(),
            pose.source[p].tolist(),
            strict=True,
        )
    ]
    return HumanPose3D(
        id=pose.ids[p],
        state=int(pose.state[p]),
        age=float(pose.age_s[p]),
        confidence=float(pose.score[p][present].mean()) if present.any() else 0.0,
        joints=joints,
    )
