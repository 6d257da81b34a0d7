"""Every keypoint of the detector on human_pose_3d/keypoints: detector nodes' keypoints in, a subscriber out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from graph_for_tests import own_context
from known_person import SIZE_WH, ring, truth
from own_joints import joints_triangulated, own_joints, seen_by
from rclpy.context import Context
from rclpy.parameter import Parameter
from synthetic_cameras import Cameras, Graph, spun
from visualization_msgs.msg import Marker, MarkerArray

from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D, Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.skeletons import BODY_25, COCO_17, HALPE_26, WHOLEBODY_133
from pose3d_ros.structures import Skeleton

RIG = ring("left", "right", "side")
SIGMA_PX = 0.3
CHI2_95 = 7.815  # of three dimensions


class Detectors(Cameras):
    """In the place of images: what detectors of a skeleton give of the known person."""

    def __init__(self, context: Context, skeleton: Skeleton) -> None:
        super().__init__(context, RIG, reliable=True)
        self.skeleton, self.rng = skeleton, np.random.default_rng(0)
        self.keypoints = {
            name: self.create_publisher(Keypoints2DArray, f"{name}/keypoints_2d", 10) for name in RIG.names
        }

    def publish_set(self) -> int:
        stamp_ns = self.begin_set()
        people = own_joints(self.skeleton, truth(stamp_ns))[None]
        for camera in RIG.cameras:
            frame_id = self.frame_id(camera.name)
            seen = seen_by(camera, people, self.skeleton, self.rng, SIGMA_PX, stamp_ns)
            message = conversions.keypoints_to_msg(
                seen, ("",), camera_name=camera.name, frame_id=frame_id, size_wh=SIZE_WH, detector="known"
            )
            self.infos[camera.name].publish(conversions.camera_info_to_msg(camera, stamp_ns, frame_id))
            self.keypoints[camera.name].publish(message)
        return stamp_ns


class Hearer:
    """Subscribes to the keypoints, or to their markers, by the controller's node."""

    def __init__(self, one: Graph) -> None:
        self.messages: list[HumanPose3DArray] = []
        self.markers: list[MarkerArray] = []
        one.controller.create_subscription(HumanPose3DArray, "/human_pose_3d/keypoints", self.messages.append, 10)
        one.controller.create_subscription(MarkerArray, "/human_pose_3d/keypoints/markers", self.markers.append, 10)

    @property
    def made_of_images(self) -> list[HumanPose3DArray]:
        return [message for message in self.messages if message.camera_names and message.people]


@contextmanager
def keypoint_graph(skeleton: Skeleton, **parameters: object) -> Iterator[Graph]:
    given = {
        "cameras": list(RIG.names), "fixed_frame": "world", "refine": "none", "monocular_fallback": "never",
        "calibration_px": 0.0, "use_sim_time": True, "input": "keypoints", **parameters,
    }  # fmt: skip
    with own_context() as context:
        detectors = Detectors(context, skeleton)
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        with spun(detectors, PoseNode(context=context, parameter_overrides=overrides)) as one:
            detectors.publish_transforms()
            yield one


@pytest.mark.parametrize("skeleton", [COCO_17, BODY_25, HALPE_26, WHOLEBODY_133], ids=lambda one: one.name)
def test_a_subscriber_gets_every_joint_of_the_detector_where_it_is(skeleton: Skeleton) -> None:
    with keypoint_graph(skeleton) as one:
        hearer = Hearer(one)
        one.play_until(lambda: len(hearer.made_of_images) >= 6 and len(hearer.markers) >= 6, "keypoints")
        inside = []
        for message in hearer.made_of_images:
            assert message.skeleton == skeleton.name
            assert tuple(message.joint_names) == skeleton.joint_names
            assert message.header.frame_id == "world"
            assert {joint.source for joint in message.people[0].joints} == {Joint3D.SOURCE_TRIANGULATED}
            pose = conversions.pose_from_msg(message)
            miss = pose.xyz[0] - own_joints(skeleton, truth(pose.stamp_ns))
            assert np.linalg.norm(miss, axis=-1).max() < 0.08
            squared = np.einsum("ja,jab,jb->j", miss, np.linalg.inv(pose.covariance[0]), miss)
            inside.append(squared < CHI2_95)
        # The covariance is that of publication, so a little more than the error at the stamp.
        assert np.mean(inside) > 0.93
        poses = {conversions.stamp_to_ns(pose.header.stamp): pose for pose in one.controller.poses}
        both = [message for message in hearer.made_of_images if conversions.stamp_to_ns(message.header.stamp) in poses]
        assert both
        for message in both:
            pose = poses[conversions.stamp_to_ns(message.header.stamp)]
            assert who(message) == who(pose)
            assert list(message.camera_names) == list(pose.camera_names)
            assert message.calibration_hash == pose.calibration_hash
        drawn = [marker for marker in hearer.markers[-1].markers if marker.ns == "joints"]
        assert [len(marker.points) for marker in drawn] == [skeleton.size]
        (bones,) = (marker for marker in hearer.markers[-1].markers if marker.ns == "bones")
        assert bones.type == Marker.LINE_LIST
        assert len(bones.points) == 2 * (skeleton.size - 1)


def who(message: HumanPose3DArray) -> list[tuple[str, int]]:
    return [(person.id, person.state) for person in message.people]


def test_without_a_subscriber_nothing_is_triangulated_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    joints = joints_triangulated(monkeypatch)
    with keypoint_graph(WHOLEBODY_133) as one:
        one.poses_after(4)
        assert WHOLEBODY_133.size not in joints
        hearer = Hearer(one)
        one.play_until(lambda: len(hearer.made_of_images) >= 2, "keypoints")
        assert WHOLEBODY_133.size in joints


def test_between_frame_sets_people_age_and_have_no_joints() -> None:
    with keypoint_graph(HALPE_26, occluded_after_s=0.05, lost_after_s=0.2, max_age_s=0.6) as one:
        hearer = Hearer(one)
        one.play_until(lambda: len(hearer.made_of_images) >= 3, "keypoints")
        one.cameras.publish_set = one.cameras.begin_set  # type: ignore[method-assign]  # time goes on without images
        one.play_until(lambda: bool(hearer.messages) and not hearer.messages[-1].people, "people who go")
        aged = [message for message in hearer.messages if not message.camera_names and message.people]
        assert HumanPose3D.STATE_LOST in {state for message in aged for _, state in who(message)}
        for message in aged:
            assert len(message.people[0].joints) == HALPE_26.size
            assert {joint.source for joint in message.people[0].joints} == {Joint3D.SOURCE_ABSENT}
