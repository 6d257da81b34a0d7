"""Publishers and listeners that ask for other reliability than each other, over DDS."""

from __future__ import annotations

from itertools import product
from typing import Any

from known_person import ring
from rclpy.qos import QoSProfile, ReliabilityPolicy
from spoilt_camera import Faults
from synthetic_cameras import graph

from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray

RELIABILITY = {"reliable": ReliabilityPolicy.RELIABLE, "best effort": ReliabilityPolicy.BEST_EFFORT}


def test_fault_reliability_differs(raw: Faults) -> None:
    """Fault: images and camera_info come reliable or best effort, controllers listen reliable or best effort.
    Sees: nothing: in all four combinations poses arrive.
    Recovers: nothing to recover.
    """
    one = raw.graph
    cameras, controller = one.cameras, one.controller
    kept = cameras.images["side"], cameras.infos["side"]
    for sends, hears in product(RELIABILITY, RELIABILITY):
        sending, hearing = (QoSProfile(depth=5, reliability=RELIABILITY[one]) for one in (sends, hears))
        cameras.images["side"] = cameras.create_publisher(kept[0].msg_type, "side/image_raw", sending)
        cameras.infos["side"] = cameras.create_publisher(kept[1].msg_type, "side/camera_info", sending)
        heard: list[HumanPose3DArray] = []
        listener = controller.create_subscription(HumanPose3DArray, "/human_pose_3d", heard.append, hearing)
        raw.three_cameras(f"{sends} images are used")
        heard.clear()
        one.play_until(lambda heard=heard: bool(heard), f"{sends} images reach a {hears} controller")
        controller.destroy_subscription(listener)
        for publisher in (cameras.images["side"], cameras.infos["side"]):
            cameras.destroy_publisher(publisher)
    cameras.images["side"], cameras.infos["side"] = kept


def test_fault_keypoints_best_effort() -> None:
    """Fault: a detector of another make publishes its keypoints best effort, where reliable is asked for.
    Sees: ERROR "no keypoints message on /left/keypoints_2d (cameras: it is published best effort, ...)".
    Recovers: by itself when it publishes reliable.
    """
    with graph(ring("left", "right"), fixed_frame="world", input="keypoints") as one:
        best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        publisher = one.cameras.create_publisher(Keypoints2DArray, "left/keypoints_2d", best_effort)

        def detect(name: str, image: Any, info: Any) -> None:
            if name == "left":
                publisher.publish(Keypoints2DArray(header=image.header))

        one.cameras.alter = detect
        words = "no keypoints message on /left/keypoints_2d"
        one.diagnosis_says(f"{words} (cameras: it is published best effort, the subscription asks for reliable")
        reliable = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        publisher = one.cameras.create_publisher(Keypoints2DArray, "left/keypoints_2d", reliable)
        one.play_until(lambda: words not in one.controller.message, "recovery")
