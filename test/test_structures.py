import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_poses import pose_at

from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import PERSON_ARRAYS, Camera, Floor, FrameSet, Keypoints2D, Rig, Skeleton

K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])


def pinhole(point, camera):
    """Textbook pinhole projection in px, for a camera without distortion."""
    x, y, z = camera.cam_from_world[:3, :3] @ point + camera.cam_from_world[:3, 3]
    return np.array([camera.K[0, 0] * x / z + camera.K[0, 2], camera.K[1, 1] * y / z + camera.K[1, 2]])


def test_a_camera_without_calibration_is_rejected_with_its_name_and_the_fix():
    with pytest.raises(CalibrationError, match=r"'left' is not calibrated.*fx=0.0.*calibrate the camera"):
        Camera("left", (640, 480), np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": K.T}, "is it transposed"),
        ({"K": np.diag([500.0, 500, 0])}, "expected rows fx s cx, 0 fy cy, 0 0 1"),
        ({"K": np.eye(2)}, r"K has shape \(2, 2\), expected \(3, 3\)"),
        ({"size_wh": (0, 480)}, "0 x 480 px, expected both positive"),
        ({"distortion_model": "fov"}, "distortion model 'fov', expected one of plumb_bob"),
        ({"distortion": np.zeros(3)}, "3 coefficients for plumb_bob, expected 0 or 4 or 5"),
        ({"distortion": np.full(5, np.nan)}, "must be finite"),
        ({"cam_from_world": 2 * np.eye(4)}, "not a rigid transform"),
        ({"cam_from_world": np.diag([1.0, 1, -1, 1])}, "not a rigid transform"),
    ],
)
def test_a_wrong_camera_is_refused_by_name(change, message):
    arguments = {"name": "left", "size_wh": (640, 480), "K": K} | change
    with pytest.raises((CalibrationError, InputError), match=message) as caught:
        Camera(**arguments)
    assert "'left'" in str(caught.value)


def test_a_camera_does_not_change_when_the_callers_array_does():
    mine = K.copy()
    camera = Camera("left", (640, 480), mine)
    mine[0, 0] = 1
    assert camera.K[0, 0] == 500
    with pytest.raises(dataclasses.FrozenInstanceError):
        camera.name = "right"


@given(st.integers(64, 4000), st.integers(64, 4000), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(1, 9))
def test_resizing_keeps_pixel_centres_in_place(width, height, x, y, z):
    camera = Camera("c", (640, 480), K)
    point = np.array([x * z, y * z, z])
    before, after = pinhole(point, camera), pinhole(point, camera.resized((width, height)))
    # The image's borders lie half a pixel outside the first and last pixel centres.
    assert np.allclose((after + 0.5) / (width, height), (before + 0.5) / (640, 480))


def test_cropping_moves_pixels_by_the_box_corner():
    camera = Camera("c", (640, 480), K)
    point = np.array([0.1, 0.2, 2.0])
    cropped = camera.cropped(100, 50, 200, 100)
    assert np.allclose(pinhole(point, cropped), pinhole(point, camera) - (100, 50))
    assert cropped.size_wh == (200, 100)


def test_a_camera_centre_is_where_the_transform_maps_to_zero():
    transform = np.eye(4)
    transform[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    transform[:3, 3] = (0.3, 1.2, -2)
    camera = Camera("c", (640, 480), K, cam_from_world=transform)
    assert np.allclose(transform @ np.append(camera.centre, 1), (0, 0, 0, 1))


def test_a_rig_refuses_two_cameras_of_one_name_and_names_those_it_has():
    camera = Camera("left", (640, 480), K)
    with pytest.raises(InputError, match="different names"):
        Rig((camera, camera))
    with pytest.raises(InputError, match="no camera 'right': it has left"):
        Rig((camera,)).camera("right")


def test_the_calibration_hash_follows_every_number_that_matters_and_no_rounding():
    camera = Camera("left", (640, 480), K, distortion=np.zeros(5))
    rig = Rig((camera,))
    moved = np.eye(4)
    moved[0, 3] = 1e-3
    changed = [
        Rig((dataclasses.replace(camera, K=K + np.diag([0.1, 0, 0])),)),
        Rig((dataclasses.replace(camera, distortion=np.array([1e-3, 0, 0, 0, 0])),)),
        Rig((camera.placed(moved),)),
        Rig((camera,), frame_id="map"),
    ]
    hashes = {rig.calibration_hash, *(other.calibration_hash for other in changed)}
    assert len(hashes) == 5
    noise = np.eye(4)
    noise[0, 3] = 1e-12
    assert Rig((camera.placed(noise),)).calibration_hash == rig.calibration_hash


def test_missing_keypoints_are_nan_with_score_zero():
    xy = np.ones((1, 17, 2))
    xy[0, 3, 1] = np.nan
    keypoints = Keypoints2D(xy, np.full((1, 17), 0.8), COCO_17)
    assert np.isnan(keypoints.xy[0, 3]).all()
    assert keypoints.score[0, 3] == 0
    assert keypoints.score[0, 4] == 0.8


@pytest.mark.parametrize("score", [-0.1, 1.1, np.nan])
def test_scores_outside_zero_to_one_are_refused(score):
    with pytest.raises(InputError, match=r"score must lie in \[0, 1\]"):
        Keypoints2D(np.ones((1, 17, 2)), np.full((1, 17), score), COCO_17)


def test_selecting_people_keeps_every_field_in_step():
    keypoints = Keypoints2D(
        np.arange(2 * 17 * 2.0).reshape(2, 17, 2), np.ones((2, 17)), COCO_17,
        covariance=np.ones((2, 17, 2, 2)), boxes=np.arange(8.0).reshape(2, 4),
    )  # fmt: skip
    second = keypoints.select([1])
    assert len(second) == 1
    assert (second.xy[0] == keypoints.xy[1]).all()
    assert (second.boxes[0] == (4, 5, 6, 7)).all()
    assert len(Keypoints2D.empty(H36M_17)) == 0


def test_a_frame_set_takes_the_newest_stamp_and_refuses_other_than_bgr():
    image = np.zeros((4, 6, 3), np.uint8)
    frames = FrameSet({"a": image, "b": image}, {"a": 10, "b": 17})
    assert (frames.stamp_ns, frames.spread_ns) == (17, 7)
    with pytest.raises(InputError, match="one stamp an image"):
        FrameSet({"a": image}, {})
    with pytest.raises(InputError, match=r"'a'.*uint8 BGR.*float64"):
        FrameSet({"a": image.astype(float)}, {"a": 0})


@pytest.mark.parametrize("image", [None, np.zeros((0, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)])
def test_an_image_that_could_not_be_read_is_refused_with_its_camera(image):
    with pytest.raises(InputError, match=r"'a'.*uint8 BGR.*was the file read"):
        FrameSet({"a": image}, {"a": 0})


def test_a_skeleton_lists_its_joints_for_an_unknown_name():
    with pytest.raises(InputError, match="no joint 'Tail': use one of Pelvis"):
        H36M_17.index("Tail")
    with pytest.raises(InputError, match="2 joint names but 1 parents"):
        Skeleton("s", ("a", "b"), (-1,), ())
    assert (0, 1) in H36M_17.bones
    assert len(H36M_17.bones) == 16


def test_selected_people_keep_everything_that_a_pose_has_of_a_person() -> None:
    """A field that is added to Pose3D and not to PERSON_ARRAYS would be left at all people."""
    floor = Floor(np.array([0.0, 0.0, 1.0, 0.5]), np.eye(3))
    pose = pose_at(np.random.default_rng(0).normal(size=(3, 17, 3)), ("4", "7", "9"), floor=floor)
    pose.foot_contact[:] = np.arange(6).reshape(3, 2) / 6
    chosen = pose.select([2, 0])
    assert chosen.ids == ("9", "4")
    for name, value in vars(pose).items():
        kept = getattr(chosen, name)
        if isinstance(value, np.ndarray):
            assert name in PERSON_ARRAYS
            np.testing.assert_array_equal(kept, value[[2, 0]], err_msg=name)
        elif name != "ids":
            assert kept is value, name
