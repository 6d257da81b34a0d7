"""Rigs out of recordings, against the rig that was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bag_writing import T0, BagWriter, picture, small_rig

from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.recordings.bag_recording import open_bag
from pose3d_ros.recordings.bag_rig import rig_of_bag

pytest.importorskip("rosbags")
INFO = "{camera}/camera_info"


def topics(rig, name="image_raw"):
    return {camera: f"/{camera}/{name}" for camera in rig.names}


def test_static_transforms_place_the_cameras(tmp_path: Path) -> None:
    rig = small_rig(3)
    mast = np.eye(4)
    mast[:3, 3] = 2, 1, 0.5
    with BagWriter(tmp_path / "take") as bag:
        for camera in rig.cameras:
            bag.image(f"/{camera.name}/image_raw", picture(0), T0)
            bag.info(camera, f"{camera.name}_optical", T0)
            # The first camera is on a mast in the map, the others are relative to it: a chain and a fork.
            first = camera is rig.cameras[0]
            parent = "mast" if first else "cam1_optical"
            parent_from_map = np.linalg.inv(mast) if first else rig.cameras[0].cam_from_world
            matrix = parent_from_map @ np.linalg.inv(camera.cam_from_world)
            bag.static({(parent, f"{camera.name}_optical"): matrix}, T0)
        bag.static({("map", "mast"): mast}, T0 + 1)
    bag = open_bag(tmp_path / "take")
    found = rig_of_bag(bag, topics(rig), INFO, fixed_frame="map")
    assert (found.frame_id, found.names) == ("map", rig.names)
    for camera in rig.cameras:
        mine = found.camera(camera.name)
        np.testing.assert_allclose(mine.cam_from_world, camera.cam_from_world, atol=1e-9)
        np.testing.assert_allclose(mine.K, camera.K)
        np.testing.assert_allclose(mine.distortion, camera.distortion)
    own = rig_of_bag(bag, topics(rig), INFO)
    assert own.frame_id == "cam1_optical"
    np.testing.assert_allclose(own.camera("cam1").cam_from_world, np.eye(4), atol=1e-9)
    with pytest.raises(CalibrationError, match="does not join 'cam1_optical' and 'odom'"):
        rig_of_bag(bag, topics(rig), INFO, fixed_frame="odom")


def test_stereo_driver_needs_no_tf(tmp_path: Path) -> None:
    rig = small_rig()
    left, right = rig.cameras
    P = np.hstack([left.K, [[-0.12 * left.K[0, 0]], [0], [0]]])
    with BagWriter(tmp_path / "take") as bag:
        bag.info(left, "left_optical", T0)
        bag.info(right, "left_optical", T0, P)
    names = topics(rig, "image_rect")
    found = rig_of_bag(open_bag(tmp_path / "take"), names, INFO)
    np.testing.assert_allclose(found.camera("cam2").centre, [0.12, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found.camera("cam2").K, left.K)  # rectified, so P's
    assert not found.camera("cam2").distortion.any()


def test_recording_that_does_not_place_its_cameras_asks_for_a_rig(tmp_path: Path) -> None:
    rig = small_rig()
    with BagWriter(tmp_path / "take") as bag:
        for camera in rig.cameras:
            bag.info(camera, f"{camera.name}_optical", T0)
        bag.topic("/cam3/camera_info", "sensor_msgs/msg/CameraInfo")
    bag = open_bag(tmp_path / "take")
    with pytest.raises(CalibrationError, match=r"tf_static does not join.*camera_info's P has no baseline.*--rig"):
        rig_of_bag(bag, topics(rig), INFO)
    with pytest.raises(InputError, match="no topic '/cam1/info'"):
        rig_of_bag(bag, topics(rig), "{camera}/info")
    with pytest.raises(InputError, match="'/cam3/camera_info' has no message"):
        rig_of_bag(bag, {"cam3": "/cam3/image_raw"}, INFO)
