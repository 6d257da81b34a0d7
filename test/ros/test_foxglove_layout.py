"""config/foxglove_layout.json arranges its panels, and names topics that are published and fields that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_scripts import loaded
from known_person import ring
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from synthetic_cameras import graph

from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D
from pose3d_ros.recordings.footage import reference_single
from pose3d_ros.recordings.playback import T0_NS
from pose3d_ros.ros import conversions
from pose3d_ros.skeletons import H36M_17

LAYOUT = json.loads(
    (Path(__file__).resolve().parents[2] / "config" / "foxglove_layout.json").read_text(encoding="utf-8")
)
PANELS: dict[str, Any] = LAYOUT["configById"]
CAMERAS = ("cam01", "cam02")


def arranged(part: Any) -> Iterator[str]:
    """The panels of a split, from the left and from the top."""
    if isinstance(part, str):
        yield part
        return
    assert part["direction"] in ("row", "column")
    assert 0 < part["splitPercentage"] < 100
    yield from arranged(part["first"])
    yield from arranged(part["second"])


def texts(value: Any) -> Iterator[str]:
    """All texts in a panel's configuration, keys too."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def topics() -> set[str]:
    """A path of a message begins with its topic, up to the first dot."""
    return {text.partition(".")[0] for panel in PANELS.values() for text in texts(panel) if text.startswith("/")}


def paths() -> list[str]:
    return [each["value"] for panel in PANELS.values() for each in panel.get("paths", [])]


def test_every_panel_is_arranged_once() -> None:
    assert sorted(arranged(LAYOUT["layout"])) == sorted(PANELS)
    assert {name.partition("!")[0] for name in PANELS} == {
        "3D", "Image", "Plot", "StateTransitions", "DiagnosticSummary", "RawMessages",
    }  # fmt: skip


def test_the_node_publishes_the_layout_s_topics() -> None:
    """All but those of the cameras' drivers, by the running node itself."""
    with graph(ring(*CAMERAS), fixed_frame="world") as one:
        published = {name for name, _ in one.node.get_publisher_names_and_types_by_node("multiview", "/")}
    of_drivers = {f"/{name}/{topic}" for name in CAMERAS for topic in ("image_raw", "camera_info")}
    assert topics() - published == of_drivers


@pytest.mark.parametrize("path", paths())
def test_a_plotted_field_is_in_the_message(path: str) -> None:
    message: Any = HumanPose3DArray(people=[HumanPose3D()])
    message.people[0].joints = [Joint3D()] * H36M_17.size
    for name, index in re.findall(r"\.(\w+)(?:\[(:|\d+)\])?", path.removeprefix("/human_pose_3d")):
        message = getattr(message, name)
        if index:
            message = message[0 if index == ":" else int(index)]
    assert isinstance(message, int | float)
    if "joints[" in path:
        assert f"joints[{H36M_17.index('RWrist')}]" in path  # as the panel's title says


def test_the_recording_for_foxglove_has_what_the_layout_shows(footage: None, weights: None, tmp_path: Path) -> None:
    assert loaded(9).convert(list(CAMERAS), 3, tmp_path / "mcap") == 3
    assert (tmp_path / "mcap" / "mcap.mcap").is_file()
    with Reader(tmp_path / "mcap") as reader:
        assert topics() | {"/tf", "/tf_static"} == {each.topic for each in reader.connections}
        of_people = [each for each in reader.connections if each.topic == "/human_pose_3d"]
        messages = [(at_ns, deserialize_message(raw, HumanPose3DArray)) for _, at_ns, raw in reader.messages(of_people)]
    assert [at_ns for at_ns, _ in messages] == [T0_NS + round(k * 1e9 / 60) for k in range(3)]
    pose = conversions.pose_from_msg(messages[-1][1])
    names, reference = reference_single()
    knees = reference[2, [names.index("RKnee"), names.index("LKnee")]]
    found = pose.xyz[:, [H36M_17.index("RKnee"), H36M_17.index("LKnee")]]
    assert np.linalg.norm(found - knees, axis=-1).max(axis=-1).min() < 0.15
