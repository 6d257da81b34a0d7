"""The overlay video and the skeleton plot, on a made-up run of two small cameras."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_poses import pose_at

from pose3d_ros.errors import FootageError
from pose3d_ros.geometry.projection import project
from pose3d_ros.plots.overlay import MAX_SIZE_WH, draw_tile, layout, open_writer, write_overlay
from pose3d_ros.plots.palette import PALETTE
from pose3d_ros.plots.skeleton_plot import write_skeleton_plot
from pose3d_ros.recordings.footage import read_video, video_size
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Keypoints2D, PersonState, Pose3D, Rig

T0 = 1_700_000_000_000_000_000
SIZE_WH = (160, 120)
K = np.array([[100.0, 0, 80], [0, 100, 60], [0, 0, 1]])


def _camera(name: str, x: float) -> Camera:
    """3 m before the origin, shifted by x, looking along the world's y with z up."""
    placed = np.array([[1, 0, 0, -x], [0, 0, -1, 0.9], [0, 1, 0, 3], [0, 0, 0, 1]])
    return Camera(name, SIZE_WH, K, cam_from_world=placed)


RIG = Rig((_camera("left", -0.3), _camera("right", 0.3)))


def _body() -> np.ndarray:
    z = np.linspace(0.2, 1.6, 17)
    return np.stack([0.2 * np.sin(9 * z), np.zeros(17), z], axis=1)[None]


def _pose(frame: int, state: PersonState = PersonState.VISIBLE) -> Pose3D:
    return pose_at(_body() + np.array([0.05 * frame, 0, 0]), stamp_ns=T0 + round(frame * 1e9 / 60), state=[state])


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, Path]:
    paths = {}
    for camera in RIG.cameras:
        paths[camera.name] = tmp_path / f"{camera.name}.mp4"
        writer = open_writer(paths[camera.name], 60, SIZE_WH)
        for _ in range(6):
            writer.write(np.full((SIZE_WH[1], SIZE_WH[0], 3), 60, dtype=np.uint8))
        writer.release()
    return paths


def _recording(frames: int, sent: int) -> Recording:
    poses = [_pose(k) for k in range(frames)]
    keypoints = {
        camera.name: {
            pose.stamp_ns: (Keypoints2D(project(camera, pose.xyz), np.ones((1, 17)), H36M_17), ("1",)) for pose in poses
        }
        for camera in RIG.cameras
    }
    return Recording(RIG, tuple(poses), np.arange(frames), {}, keypoints, T0, 60.0, 6, sent)


def _pixels_like(image: np.ndarray, rgb: tuple[int, int, int], tolerance: int = 60) -> int:
    return int((np.abs(image.astype(int) - rgb[::-1]).max(axis=-1) < tolerance).sum())


def test_overlay_plays_one_picture_a_frame_set_with_the_people_in_it(videos: dict[str, Path], tmp_path: Path) -> None:
    write_overlay(_recording(frames=4, sent=5), videos, tmp_path / "overlay.mp4", progress=False)
    pictures = list(read_video(tmp_path / "overlay.mp4"))
    assert len(pictures) == 5
    assert video_size(tmp_path / "overlay.mp4") == (2 * SIZE_WH[0] + 2, SIZE_WH[1])
    # Over a tile's middle, clear of the labels; the last frame set has no pose.
    drawn = [_pixels_like(picture[40:100], PALETTE[0]) for picture in pictures]
    assert min(drawn[:4]) > 100
    assert drawn[4] == 0


def test_overlay_shows_the_first_loop_only(videos: dict[str, Path], tmp_path: Path) -> None:
    write_overlay(_recording(frames=18, sent=18), videos, tmp_path / "overlay.mp4", progress=False)
    assert len(list(read_video(tmp_path / "overlay.mp4"))) == 6


def test_overlay_shows_its_progress(videos: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_overlay(_recording(frames=2, sent=2), videos, tmp_path / "overlay.mp4")
    error = capfd.readouterr().err
    assert "overlay: 100%" in error
    assert "h264" not in error  # what FFmpeg says of encoders it lacks


def test_overlay_into_a_missing_folder_is_rejected(videos: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FootageError, match="folder exists"):
        write_overlay(_recording(2, 2), videos, tmp_path / "nowhere" / "overlay.mp4", progress=False)


def test_bones_lie_where_the_joints_project_and_dots_where_they_were_detected() -> None:
    grey = np.full((SIZE_WH[1], SIZE_WH[0], 3), 60, dtype=np.uint8)
    camera = RIG.cameras[0]
    pose = _pose(0)
    tile = draw_tile(camera, grey, pose, None, {"1": (255, 0, 255)})
    a, b = project(camera, pose.xyz[0, [1, 2]])
    x, y = np.round((a + b) / 2).astype(int)
    assert _pixels_like(tile[y - 1 : y + 2, x - 1 : x + 2], (255, 0, 255)) > 0
    seen = Keypoints2D(np.full((1, 17, 2), [20.0, 70.0]), np.ones((1, 17)), H36M_17)
    tile = draw_tile(camera, grey, None, (seen, ("",)), {})
    assert tile[70, 20].min() > 150  # grey dot of a person without an id
    shrunk = draw_tile(camera.resized((80, 60)), grey, None, (seen, ("",)), {})
    assert shrunk.shape == (60, 80, 3)
    assert shrunk[35, 10].min() > 150


def test_axes_point_where_the_joint_is_turned_and_only_along_the_limb_where_its_twist_is_not_known() -> None:
    grey = np.full((8 * SIZE_WH[1], 8 * SIZE_WH[0], 3), 60, dtype=np.uint8)
    camera, pose, joint = RIG.cameras[0].resized((8 * SIZE_WH[0], 8 * SIZE_WH[1])), _pose(0), 5
    turn = Rotation.from_euler("zyx", [0.5, 0.3, -0.4])
    pose.orientation[0, joint], pose.orientation_std[0, joint] = turn.as_quat(), 0.1
    without = draw_tile(camera, grey, _pose(0), None, {})
    for twist_std, drawn in ((0.1, "xyz"), (np.nan, "z")):
        pose.orientation_std[0, joint, 2] = twist_std
        tile = draw_tile(camera, grey, pose, None, {})
        for axis, name in enumerate("xyz"):
            end = pose.xyz[0, joint] + 0.11 * turn.as_matrix()[:, axis]  # just inside of the axis' end
            x, y = np.round(project(camera, end[None])[0]).astype(int)
            changed = (tile[y - 1 : y + 2, x - 1 : x + 2] != without[y - 1 : y + 2, x - 1 : x + 2]).any()
            assert changed == (name in drawn), name


def test_people_who_are_only_predicted_are_darker() -> None:
    grey = np.full((SIZE_WH[1], SIZE_WH[0], 3), 60, dtype=np.uint8)
    colours = {"1": (255, 0, 255)}
    bright = draw_tile(RIG.cameras[0], grey, _pose(0), None, colours)
    dark = draw_tile(RIG.cameras[0], grey, _pose(0, PersonState.OCCLUDED), None, colours)
    assert _pixels_like(bright[70:100], (255, 0, 255)) > 3 * _pixels_like(dark[70:100], (255, 0, 255))


def test_person_behind_the_camera_or_far_outside_is_not_drawn() -> None:
    grey = np.full((SIZE_WH[1], SIZE_WH[0], 3), 60, dtype=np.uint8)
    empty = draw_tile(RIG.cameras[0], grey, None, None, {})
    for place in ([0, -10, 0], [1e7, 0, 0]):
        pose = _pose(0)
        moved = Pose3D(**{**vars(pose), "xyz": pose.xyz + place})
        np.testing.assert_array_equal(draw_tile(RIG.cameras[0], grey, moved, None, {}), empty)


@pytest.mark.parametrize(
    ("sizes", "columns"),
    [([(1088, 1920)] * 4, 4), ([(1920, 1080)] * 4, 2), ([(1080, 1920), (1088, 1920)], 2), ([(640, 480)], 1)],
)
def test_tiles_are_laid_out_as_large_as_fits(sizes: list[tuple[int, int]], columns: int) -> None:
    found, scale = layout(sizes)
    assert found == columns
    rows = -(-len(sizes) // columns)
    width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
    assert columns * width * scale <= MAX_SIZE_WH[0]
    assert rows * height * scale <= MAX_SIZE_WH[1]
    assert scale <= 1


@pytest.mark.parametrize("frames", [0, 6])
def test_skeleton_plot_is_a_picture_with_people_if_there_are_any(tmp_path: Path, frames: int) -> None:
    write_skeleton_plot(_recording(frames=frames, sent=6), tmp_path / "skeleton.png")
    picture = cv2.imread(str(tmp_path / "skeleton.png"))
    assert picture is not None
    assert picture.shape[1] > 1000
    coloured = _pixels_like(picture, PALETTE[0], tolerance=40)
    assert coloured > 500 if frames else coloured == 0
