"""The parameter files for cameras of a kind: they set what the nodes take, and the topics are their drivers'."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.options import from_mapping
from pose3d_ros.ros.options import DetectorNodeOptions, InputOptions, OutputOptions, PoseNodeOptions, SyncOptions

CONFIG = Path(__file__).resolve().parents[1] / "config"
OTHERS = {"stereo", "mono", "demo", "rig_example"}
MULTIVIEW = (PoseNodeOptions, SyncOptions, InputOptions, OutputOptions, DetectorOptions, EstimatorOptions)

# Image topic and CameraInfo of every camera, as the drivers' documentation and sources have them:
# realsense2_camera 4.55 (README "Published Topics"), zed-ros2-wrapper 5.1 (CHANGELOG), usb_cam 0.8, v4l2_camera 0.8.
TOPICS = {
    "realsense": {
        "/camera/camera/infra1/image_rect_raw": "/camera/camera/infra1/camera_info",
        "/camera/camera/infra2/image_rect_raw": "/camera/camera/infra2/camera_info",
    },
    "realsense_pair": {
        "/camera1/camera1/color/image_raw": "/camera1/camera1/color/camera_info",
        "/camera2/camera2/color/image_raw": "/camera2/camera2/color/camera_info",
    },
    "zed": {
        "/zed/zed_node/left/color/rect/image": "/zed/zed_node/left/color/rect/camera_info",
        "/zed/zed_node/right/color/rect/image": "/zed/zed_node/right/color/rect/camera_info",
    },
    "usb": {"left/image_raw": "left/camera_info", "right/image_raw": "right/camera_info"},
}
# Whose images the driver rectifies itself; infra*/image_rect_raw of realsense2_camera is rectified in the device.
RECTIFIED = {"realsense": True, "realsense_pair": False, "zed": True, "usb": False}


def parameters(name: str) -> dict:
    """What a file sets, also in the lines that a user may take the # from."""
    text = (CONFIG / f"{name}.yaml").read_text(encoding="utf-8")
    sections = yaml.safe_load(re.sub(r"^    # (?=\w+: )", "    ", text, flags=re.MULTILINE))
    # /** alone: of a later file, and of a launch argument, only what stands under the same name takes precedence.
    assert list(sections) == ["/**"]
    return dict(sections["/**"]["ros__parameters"])


def options(kind: type, given: dict) -> object:
    return from_mapping(kind, {one.name: given[one.name] for one in fields(kind) if one.name in given})


def test_every_kind_of_cameras_that_ships_is_known_here() -> None:
    assert {path.stem for path in CONFIG.glob("*.yaml")} - OTHERS == set(TOPICS) == set(RECTIFIED)


@pytest.mark.parametrize("name", TOPICS)
def test_what_a_file_sets_is_what_the_nodes_take(name: str) -> None:
    given = parameters(name)
    node, inputs = options(PoseNodeOptions, given), options(InputOptions, given)
    assert isinstance(node, PoseNodeOptions)
    assert isinstance(inputs, InputOptions)
    for kind in (SyncOptions, OutputOptions, DetectorOptions, EstimatorOptions, DetectorNodeOptions):
        options(kind, given)
    assert set(given) <= {one.name for kind in MULTIVIEW for one in fields(kind)}
    topics = {
        inputs.image_topic.replace("{camera}", camera): inputs.camera_info_topic.replace("{camera}", camera)
        for camera in node.cameras
    }
    assert topics == TOPICS[name]
    assert inputs.images_rectified(topics) == RECTIFIED[name]
    # Only a driver of one rectified pair writes a baseline into P.
    assert (node.placement == "projection") == RECTIFIED[name]


@pytest.mark.parametrize("name", TOPICS)
def test_a_file_says_how_its_driver_is_started_and_where_its_topics_are_documented(name: str) -> None:
    text = (CONFIG / f"{name}.yaml").read_text(encoding="utf-8")
    assert re.search(r"^#   ros2 (launch|run) (realsense2_camera|zed_wrapper|usb_cam) ", text, re.MULTILINE)
    assert re.search(rf"^#   ros2 launch pose3d_ros stereo.launch.py config:={name}\b", text, re.MULTILINE)
    assert "# Topics: " in text
