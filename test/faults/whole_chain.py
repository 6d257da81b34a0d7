"""Cameras, the node's chain and a controller without ROS, on a clock of their own: people in, held messages out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.left_right import OTHER_SIDE
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.staleness import TICK_S, Limits, Watchdog
from pose3d_ros.structures import Floats, JointSource, Keypoints2D, Pose3D
from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper

T0_NS = 1_700_000_000 * 10**9
PERIOD_S = 1 / 20
STEP_S = 0.01


def one_person(t_s: float) -> Sequence[Floats]:
    """Walks along x at 0.5 m/s."""
    return [walker((-1.0, 0.0), (0.5, 0.0), t_s)]


@dataclass(frozen=True)
class Message:
    """What came on the topic, and when."""

    at_s: float
    pose: Pose3D
    made_of_images: bool


class Chain:
    """Four cameras of Human3.6M at 20 Hz; people(t) gives (17, 3) m of all people at t seconds.

    visible(camera, t) says who of them, by place in the list, a camera sees; latency_s lies between images and pose.
    """

    def __init__(self, people: Callable[[float], Sequence[Floats]], *, latency_s: float = 0.03) -> None:
        self.people, self.latency_s = people, latency_s
        self.rig = h36m_rig()
        self.names = list(self.rig.names)
        self.living = set(self.names)
        self.swapped: set[str] = set()  # cameras whose detector swaps left and right
        self.visible: Callable[[str, int], bool] = lambda camera, person: True
        self.heard: list[Message] = []
        self.now_s = 0.0
        self.last_image_s = 0.0
        self._grouper: FrameSetGrouper[Keypoints2D] = FrameSetGrouper(self.names, min_cameras=2)
        options = EstimatorOptions(refine="none", monocular_fallback="never", calibration_px=0.0)
        self._estimator = PoseEstimator(self.rig, options=options)
        self._watchdog, self._limits = Watchdog(), Limits()
        self._due: list[tuple[float, Pose3D]] = []
        self._next_frame_s = self._next_look_s = 0.0
        self._rng = np.random.default_rng(1)

    def run(self, seconds: float) -> list[Message]:
        """Let time pass; returns what was heard meanwhile."""
        before = len(self.heard)
        for _ in range(math.ceil(seconds / STEP_S - 1e-6)):
            self.now_s += STEP_S
            if self.now_s >= self._next_frame_s:
                self._next_frame_s += PERIOD_S
                self._images()
            ready = [pose for _, pose in takewhile(lambda due: due[0] <= self.now_s, self._due)]
            del self._due[: len(ready)]
            for pose in ready:
                captured_s = (pose.stamp_ns - T0_NS) * 1e-9
                self._publish(self._watchdog.saw(pose, captured_s, self.now_s, self._limits), True)
            if self.now_s >= self._next_look_s:
                self._next_look_s = self.now_s + TICK_S
                if (pose := self._watchdog.look(self.now_s, self._limits)) is not None:
                    self._publish(pose, False)
        return self.heard[before:]

    def held(self) -> Pose3D:
        """The last message, which is what a controller goes by."""
        return self.heard[-1].pose

    def _images(self) -> None:
        now_ns = T0_NS + round(self.now_s * 1e9)
        all_people = list(self.people(self.now_s))
        for camera in self.rig.cameras:
            if camera.name not in self.living:
                continue
            shown = [one for p, one in enumerate(all_people) if self.visible(camera.name, p)]
            xyz = np.stack(shown) if shown else np.zeros((0, 17, 3))
            people = seen(camera, xyz, self._rng, stamp_ns=now_ns)
            if camera.name in self.swapped:
                people = replace(people, xy=people.xy[:, OTHER_SIDE], score=people.score[:, OTHER_SIDE])
            self.last_image_s = self.now_s
            if (done := self._grouper.add(camera.name, people, now_ns, now_ns)) is not None:
                pose = self._estimator.estimate_from_keypoints(done.payloads).pose
                self._due.append((self.now_s + self.latency_s, pose))
        if (done := self._grouper.poll(now_ns)) is not None:
            self._due.append((self.now_s + self.latency_s, self._estimator.estimate_from_keypoints(done.payloads).pose))

    def _publish(self, pose: Pose3D, made_of_images: bool) -> None:
        present = pose.source != JointSource.ABSENT
        assert np.isfinite(pose.xyz[present]).all()
        assert np.isfinite(pose.covariance[present]).all()
        self.heard.append(Message(self.now_s, pose, made_of_images))
