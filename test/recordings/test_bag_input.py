"""A recording as the command line gives it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from bag_writing import T0, BagWriter, picture, small_bag, small_rig

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.bag_input import BagTopics, add_bag_arguments, bag_topics, open_bag_frames
from pose3d_ros.rigs.rig_yaml import save_rig

pytest.importorskip("rosbags")


def test_rig_file_selects_the_cameras(tmp_path: Path) -> None:
    small_bag(tmp_path / "take", rig=small_rig(3))
    save_rig(small_rig(2), tmp_path / "rig.yaml")
    frames = open_bag_frames(tmp_path / "take", rig_file=tmp_path / "rig.yaml")
    assert (frames.rig.names, frames.rig.frame_id) == (("cam1", "cam2"), "map")
    assert all(set(one.images) == {"cam1", "cam2"} for one in frames.read())
    save_rig(small_rig(4), tmp_path / "rig.yaml")
    with pytest.raises(InputError, match="has no topic '/cam4/image_raw'"):
        open_bag_frames(tmp_path / "take", rig_file=tmp_path / "rig.yaml")
    chosen = open_bag_frames(tmp_path / "take", rig_file=tmp_path / "rig.yaml", cameras=["cam3", "cam1"])
    assert set(chosen.rig.names) == {"cam1", "cam3"}
    with pytest.raises(InputError, match="--rig and --fixed-frame"):
        open_bag_frames(tmp_path / "take", rig_file=tmp_path / "rig.yaml", topics=BagTopics(fixed_frame="map"))


def test_without_a_rig_file_the_extrinsics_come_from_the_recording(tmp_path: Path) -> None:
    rig = small_rig()
    with BagWriter(tmp_path / "take", "sqlite3") as bag:
        for camera in rig.cameras:
            bag.info(camera, f"{camera.name}_optical", T0)
            bag.static({("map", f"{camera.name}_optical"): np.linalg.inv(camera.cam_from_world)}, T0)
            bag.image(f"/{camera.name}/color", picture(0), T0 + 5)
    words = ["--image-topic", "{camera}/color", "--fixed-frame", "map", "--tolerance", "0.02"]
    parser = argparse.ArgumentParser()
    add_bag_arguments(parser)
    frames = open_bag_frames(tmp_path / "take", topics=bag_topics(parser.parse_args(words)))
    assert (len(frames), frames.rig.frame_id) == (1, "map")
    for camera in rig.cameras:
        np.testing.assert_allclose(frames.rig.camera(camera.name).cam_from_world, camera.cam_from_world, atol=1e-9)
    with pytest.raises(InputError, match="--tolerance 3: give 0 to 1 s"):
        bag_topics(parser.parse_args(["--tolerance", "3"]))


def test_one_camera_is_not_enough(tmp_path: Path) -> None:
    small_bag(tmp_path / "take", rig=small_rig(1))
    with pytest.raises(InputError, match=r"has one camera.*cam1, expected two or more"):
        open_bag_frames(tmp_path / "take")
