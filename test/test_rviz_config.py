"""What RViz reads of config/pose3d.rviz, by the names that its displays give their properties."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

CONFIG = Path(__file__).resolve().parents[1] / "config" / "pose3d.rviz"
# RViz's own: a frame's name is 0.1 m high at scale 1; Frame Timeout is 15 s where nothing is set, 1 s at least.
NAME_HEIGHT_M, LEAST_TIMEOUT_S = 0.1, 1


def displays(kind: str) -> list[dict[str, Any]]:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    found = config["Visualization Manager"]["Displays"]
    return [one for one in found if one["Class"] == f"rviz_default_plugins/{kind}"]


def test_fault_frames_of_people_who_left() -> None:
    """Fault: people leave while RViz shows their TF frames.
    Sees: the frames fade within a second.
    Recovers: nothing to recover.
    Kind: K10
    Before: they stood for 15 s, RViz's default.
    """
    assert displays("TF")
    assert all(one["Frame Timeout"] == LEAST_TIMEOUT_S for one in displays("TF"))


def test_names_of_frames_can_be_read() -> None:
    """From the 7 m of the view's distance 7 cm are about 10 px; joints' names, of 17 in one person, are left out."""
    named = [one for one in displays("TF") if one["Show Names"]]
    assert named
    frames = ["human_4", "robot1/human_4", "left_optical", "world", "human_4_LShoulder", "robot1/human_12_Pelvis"]
    for one in named:
        assert NAME_HEIGHT_M * one["Marker Scale"] >= 0.07
        hidden = [frame for frame in frames if re.search(one["Filter (blacklist)"], frame)]
        assert hidden == frames[4:]
    (joints,) = (one for one in displays("TF") if not one["Show Names"])
    assert [frame for frame in frames if re.search(joints["Filter (whitelist)"], frame)] == frames[4:]


def test_markers_come_from_the_topic_of_rviz_s_own_namespace() -> None:
    (skeletons,) = displays("MarkerArray")
    assert skeletons["Topic"]["Value"] == "human_pose_3d/markers"
