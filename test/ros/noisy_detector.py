"""A cheap detector whose answer depends on the image's camera and stamp alone, so that two processes give the same.

As a program: two detector nodes, for the cameras left and right, and for side; until SIGTERM.
"""

from __future__ import annotations

import signal
import time

import numpy as np
import rclpy
from known_person import KnownDetector, ring
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from pose3d_ros.ros.detector_node import DetectorNode
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import FrameSet, Keypoints2D

LIMIT_S = 900.0  # where nothing ends it


class NoisyDetector(KnownDetector):
    """COCO-17 of the known person with errors of px, uneven scores and covariances: every bit of a float64 is used."""

    name = "noisy"
    skeleton = COCO_17

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        return {name: self.noisy(name, one) for name, one in super().__call__(frames).items()}

    def noisy(self, camera: str, exact: Keypoints2D) -> Keypoints2D:
        rng = np.random.default_rng([exact.stamp_ns, self.rig.names.index(camera)])
        nose = H36M_17.index("Nose")
        rows = [H36M_17.index(name) if name in H36M_17.joint_names else nose for name in COCO_17.joint_names]
        P, J = len(exact), COCO_17.size
        root = rng.normal(0.0, 1.0, (P, J, 2, 2))
        return Keypoints2D(
            xy=exact.xy[:, rows] + rng.normal(0.0, 0.5, (P, J, 2)),
            score=rng.uniform(0.5, 1.0, (P, J)),
            skeleton=COCO_17,
            stamp_ns=exact.stamp_ns,
            covariance=root @ root.swapaxes(-1, -2) + 0.5 * np.eye(2),
        )


def main() -> None:
    """Run both nodes in one process, as two machines would."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    nodes = []
    for number, cameras in enumerate((["left", "right"], ["side"])):
        # Frame sets are complete, however busy the machine is.
        given = {"cameras": cameras, "sync_timeout_s": 5.0, "silent_after_s": 60.0, "use_sim_time": True}
        node = DetectorNode(
            NoisyDetector(ring("left", "right", "side")),
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
            namespace=f"machine{number}",
            cli_args=["--ros-args", *(word for name in cameras for word in remapped(name))],
        )
        executor.add_node(node)
        nodes.append(node)
    end_s = time.monotonic() + LIMIT_S
    while not stop and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.05)
    for node in nodes:
        node.close()
        node.destroy_node()
    rclpy.try_shutdown()


def remapped(camera: str) -> list[str]:
    """The camera's topics lie outside the machine's namespace."""
    topics = ("image_raw", "camera_info", "keypoints_2d")
    return [word for one in topics for word in ("-r", f"{camera}/{one}:=/{camera}/{one}")]


if __name__ == "__main__":
    main()
