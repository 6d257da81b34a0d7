"""What a node waits for of each of its cameras."""

from __future__ import annotations

from typing import Any

import pytest
from rclpy.node import Node

from pose3d_ros.ros.camera_inputs import CameraInput, missing_inputs
from pose3d_ros.ros.options import InputOptions


@pytest.mark.parametrize("needed", [False, True])
def test_fault_camera_info_waited_for_though_a_rig_file_is_there(context: Any, needed: bool) -> None:
    """Fault: a node that has its calibration from rig_file waits for its cameras.
    Sees: the log and /diagnostics wait for images alone; without a rig file for camera_info too.
    Recovers: by itself when images come.
    Kind: K10
    Before: the log waited for camera_info as well, which no camera sends there.
    """
    node = Node("waiting", context=context)
    one = CameraInput(
        node, "left", InputOptions(), info_needed=needed, now_s=lambda: 0.0, take=lambda name, frame: None
    )
    words = [*one.waited_for, *missing_inputs([one], 1.0, 0.5)]
    assert any("/left/image_raw" in word for word in words)
    assert any("camera_info" in word for word in words) is needed
    assert ("/left/camera_info" in one.waited_for) is needed
    one.close()
    node.destroy_node()
