"""A running graph of three cameras: "side" is broken and repaired, left and right give the true pose all the while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from known_person import PERIOD_NS, T0_NS, ring
from synthetic_cameras import TIMEOUT_S, Graph, error_mm
from tf2_msgs.msg import TFMessage

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import TransformBroadcaster

RIG = ring("left", "right", "side")
SIDE = RIG.camera("side")
IN_WORLD = np.eye(4)
# Longer than a set takes, shorter than tf_timeout_s: a set whose transform comes with the next one waits for it.
ANSWER_S, TF_WAIT_S = 0.2, 1.0

Spoil = Callable[[Any, Any], None]  # (image, camera_info) of "side", before they go out


class Faults:
    """A running graph whose camera "side" is broken and repaired."""

    def __init__(self, one: Graph) -> None:
        self.graph, self.transforms, self.since_ns = one, [], 0
        one.play_until = self.play_until
        one.controller.create_subscription(TFMessage, "/tf", self.transforms.append, 100)
        self.broadcaster = TransformBroadcaster(one.cameras)
        one.cameras.publish_transforms()
        self.three_cameras("all three cameras")

    def play_until(self, done: Callable[[], bool], what: str) -> None:
        """Publish frame sets, each once the one before is answered, so that none queue up on a busy machine."""
        give_up = time.monotonic() + TIMEOUT_S
        while not done():
            assert time.monotonic() < give_up, f"{what} does not come; diagnosis: {self.graph.controller.message}"
            stamp_ns, next_s = self.graph.cameras.publish_set(), time.monotonic() + ANSWER_S
            while time.monotonic() < next_s and not any(
                conversions.stamp_to_ns(pose.header.stamp) == stamp_ns for pose in self.graph.controller.poses[-2:]
            ):
                self.graph.executor.spin_once(timeout_sec=0.01)

    def begin(self, spoil: Spoil) -> None:
        self.since_ns = T0_NS + self.graph.cameras.sent * PERIOD_NS
        self.graph.cameras.alter = lambda name, image, info: spoil(image, info) if name == "side" else None

    def end(self) -> None:
        """The fault is over: the camera is used again, and nothing that ever went out was not finite."""
        self.graph.cameras.alter = lambda name, image, info: None
        self.three_cameras("recovery")
        poses, transforms = self.graph.controller.poses, self.transforms
        for pose in map(conversions.pose_from_msg, poses):
            present = pose.score > 0
            assert np.isfinite(pose.xyz[present]).all()
            assert np.isfinite(pose.covariance[present]).all()
            assert (present | np.isnan(pose.xyz).all(axis=-1)).all()
        for transform in (one for message in transforms for one in message.transforms):
            if transform.child_frame_id.startswith("human_"):
                assert np.isfinite(conversions.matrix_from_transform(transform)).all()
        poses.clear()
        transforms.clear()

    def pose_of(self, cameras: tuple[str, ...], what: str) -> HumanPose3DArray:
        """Play until a true pose of these cameras comes, of a frame set sent from now on; returns it."""
        since_ns = T0_NS + self.graph.cameras.sent * PERIOD_NS
        found: list[HumanPose3DArray] = []

        def good() -> bool:
            found[:] = [
                one
                for one in self.graph.controller.poses
                if conversions.stamp_to_ns(one.header.stamp) >= since_ns
                and one.people
                and tuple(one.camera_names) == cameras
                and one.people[0].joints[0].n_views == len(cameras)
                and error_mm(one, IN_WORLD) < 1.0
            ]
            return bool(found)

        self.graph.play_until(good, what)
        return found[-1]

    def three_cameras(self, what: str) -> HumanPose3DArray:
        return self.pose_of(RIG.names, what)

    def without_side(self, words: str) -> None:
        """The cause is reported, the others' poses are true, and the camera is in none."""
        self.graph.diagnosis_says(words)
        self.pose_of(("left", "right"), "poses of the others")
        spoilt = [
            one for one in self.graph.controller.poses if conversions.stamp_to_ns(one.header.stamp) >= self.since_ns
        ]
        assert not any("side" in pose.camera_names for pose in spoilt)

    def shows(self, spoil: Spoil, words: str) -> None:
        """Begin the fault, see it named and the others go on."""
        self.begin(spoil)
        self.without_side(words)
