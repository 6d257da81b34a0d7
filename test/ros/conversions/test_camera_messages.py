"""CameraInfo and Camera: REP-104's sizes, regions and binning, and calibrations that cannot be."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from pose3d_ros.errors import CalibrationError
from pose3d_ros.ros import conversions
from pose3d_ros.structures import Camera

LENS_8 = [0.1, -0.05, 1e-3, 1e-3, 0.01, 0.08, -0.02, 5e-3]
K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
P = np.array([[450.0, 0, 300, -45], [0, 450, 250, 0], [0, 0, 1, 0]])
D = [0.1, -0.05, 0.001, 0.002, 0.01]


def info(**fields):
    msg = CameraInfo(width=640, height=480, distortion_model="plumb_bob", k=K.ravel(), p=P.ravel())
    msg.d = array.array("d", D)
    for name, value in fields.items():
        setattr(msg, name, value)
    return msg


def camera(rectified=False, **fields):
    return conversions.camera_from_msgs("left", info(**fields), np.eye(4), rectified)


def test_original_images_have_k_and_distortion():
    found = camera()
    assert found.size_wh == (640, 480)
    assert (found.K == K).all()
    assert found.distortion == pytest.approx(D)
    assert found.distortion_model == "plumb_bob"


def test_rectified_images_have_p_and_no_distortion():
    found = camera(rectified=True)
    np.testing.assert_array_equal(found.K, P[:, :3])
    assert not found.distortion.any()


def test_camera_pose_is_kept():
    placed = np.eye(4)
    placed[:3, 3] = 1, 2, 3
    assert (conversions.camera_from_msgs("left", info(), placed, False).cam_from_world == placed).all()


def test_region_of_interest_moves_the_principal_point():
    found = camera(roi=RegionOfInterest(x_offset=100, y_offset=50, width=200, height=100))
    assert found.size_wh == (200, 100)
    assert (found.K[0, 2], found.K[1, 2], found.K[0, 0]) == (220, 190, 500)


def test_binned_pixel_stands_for_its_neighbourhoods_centre():
    found = camera(binning_x=2, binning_y=4)
    assert found.size_wh == (320, 120)
    assert (found.K[0, 0], found.K[1, 1]) == (250, 127.5)
    # Binned pixel 0 is the mean of pixels 0 and 1, whose centre is 0.5; of four, 1.5.
    assert found.K[0, 2] * 2 + 0.5 == pytest.approx(K[0, 2])
    assert found.K[1, 2] * 4 + 1.5 == pytest.approx(K[1, 2])


def test_region_is_in_pixels_of_the_sensor_before_binning():
    found = camera(binning_x=2, binning_y=2, roi=RegionOfInterest(x_offset=100, y_offset=50, width=201, height=100))
    assert found.size_wh == (100, 50)
    assert found.K[0, 2] * 2 + 0.5 == pytest.approx(K[0, 2] - 100)


def test_regions_and_binning_hold_for_rectified_images_too():
    found = camera(rectified=True, roi=RegionOfInterest(x_offset=10, width=100, height=100, do_rectify=True))
    assert found.K[0, 2] == 290


def test_roi_outside_the_sensor_is_rejected():
    with pytest.raises(CalibrationError, match=r"'left' \(left/camera_info\).*640 x 480.*REP-104"):
        camera(roi=RegionOfInterest(x_offset=600, width=100, height=100))


def test_uncalibrated_camera_is_reported_with_its_topic_and_the_fix():
    with pytest.raises(
        CalibrationError, match=r"'left' \(left/camera_info\) is not calibrated: its K .*fx=0.*calibrat"
    ):
        camera(k=np.zeros(9))
    with pytest.raises(CalibrationError, match=r"\(/rig/left/info\)"):
        conversions.camera_from_msgs("left", info(k=np.zeros(9)), np.eye(4), False, topic="/rig/left/info")


def test_rectified_images_without_p_are_rejected_with_the_fix():
    with pytest.raises(CalibrationError, match=r"its P has fx=0.*rectified: false"):
        camera(rectified=True, p=np.zeros(12))


def test_camera_info_without_a_size_is_rejected():
    with pytest.raises(CalibrationError, match="0 x 480 px"):
        camera(width=0)


@pytest.mark.parametrize("model", ["", "none", "plumb_bob", "rational_polynomial"])
def test_no_coefficients_are_no_distortion(model):
    assert not camera(distortion_model=model, d=array.array("d")).distortion.any()


def test_zero_coefficients_without_a_model_are_no_distortion():
    assert not camera(distortion_model="", d=array.array("d", [0.0] * 5)).distortion.any()


@pytest.mark.parametrize("model", ["fisheye", "equidistant"])
def test_fisheye_is_the_equidistant_model(model):
    found = camera(distortion_model=model, d=array.array("d", [0.1, 0.2, 0.3, 0.4]))
    assert found.distortion_model == "equidistant"
    assert found.distortion == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert len(camera(distortion_model=model, d=array.array("d")).distortion) == 4


def test_unknown_model_is_rejected_with_the_known_ones():
    with pytest.raises(CalibrationError, match=r"'left'.*'omni'.*plumb_bob, rational_polynomial, equidistant, fisheye"):
        camera(distortion_model="omni")
    with pytest.raises(CalibrationError, match="''"):
        camera(distortion_model="")


def test_wrong_number_of_coefficients_is_rejected():
    with pytest.raises(CalibrationError, match="3 coefficients for plumb_bob, expected 0 or 4 or 5"):
        camera(d=array.array("d", [0.1] * 3))


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("plumb_bob", D),
        ("equidistant", [0.1] * 4),
        ("rational_polynomial", LENS_8),
    ],
)
def test_camera_round_trip(model, coefficients):
    own = Camera("left", (640, 480), K, model, np.array(coefficients))
    msg = conversions.camera_info_to_msg(own, 7, "left_optical")
    back = conversions.camera_from_msgs("left", msg, np.eye(4), rectified=False)
    assert (back.K == own.K).all()
    assert (back.size_wh, back.distortion_model) == (own.size_wh, own.distortion_model)
    assert (back.distortion == own.distortion).all()
    assert (conversions.stamp_to_ns(msg.header.stamp), msg.header.frame_id) == (7, "left_optical")


def test_baseline_of_a_stereo_driver_is_minus_tx_over_fx():
    assert conversions.stereo_baseline_from_projection(info()) == pytest.approx(0.1)


def test_projection_without_a_baseline_is_rejected_with_the_fix():
    left = P.copy()
    left[0, 3] = 0
    with pytest.raises(CalibrationError, match=r"no baseline.*TF or a rig file"):
        conversions.stereo_baseline_from_projection(info(p=left.ravel()))
