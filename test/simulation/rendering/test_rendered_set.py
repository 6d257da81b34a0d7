"""Scenes on disk: what is written is read again, and what is damaged is named."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rendered_people import FPS, grey, made_up_frames, made_up_plan

from pose3d_ros.errors import FootageError, InputError, Pose3DError
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.simulation.rendering.rendered_set import Truth, load_scene, load_scenes, settings_of, write_scene
from pose3d_ros.structures import Rig

SETTINGS = {"seed": 7, "rig": "room2"}


def write(folder: Path, *, video: bool = False, frames: int = 3) -> Path:
    plan = made_up_plan(frames)
    assert list(write_scene(folder, plan, made_up_frames(plan), SETTINGS, video=video)) == [1, 2, 3][:frames]
    return folder


def changed(path: Path, **arrays: object) -> None:
    """Replace arrays of an .npz; None leaves one out."""
    with np.load(path) as before:
        content = {**before, **arrays}
    np.savez(path, **{name: value for name, value in content.items() if value is not None})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "scene_000")


@pytest.mark.parametrize("video", [False, True])
def test_what_is_written_is_read_again(tmp_path, video):
    scene = load_scene(write(tmp_path / "scene_000", video=video))
    plan = made_up_plan()
    assert (scene.name, scene.fps, len(scene)) == ("scene_000", FPS, 3)
    assert scene.rig.calibration_hash == plan.rig.calibration_hash
    truth = scene.truth
    for person, body in enumerate(plan.bodies):
        assert np.array_equal(truth.joints_m[:, person], body.joints)
        assert np.array_equal(truth.coco_m[:, person], body.coco)
    assert truth.stature_m.tolist() == [one.stature_m for one in plan.shapes]
    assert truth.age_years.tolist() == [one.age_years for one in plan.shapes]
    assert truth.female.tolist() == [False, True]
    for number in range(3):
        assert (truth.visibility[:, number] == number).all()
        assert (truth.boxes_px[:, number] == number).all()
    moments = list(scene.read())
    assert [moment.stamp_ns for moment in moments] == scene.moments_ns.tolist()
    for number, moment in enumerate(moments):
        assert set(moment.images) == set(scene.rig.names)
        for view, camera in enumerate(scene.rig.cameras):
            image = moment.images[camera.name]
            assert image.shape == (*camera.size_wh[::-1], 3)
            assert np.abs(image.astype(int) - grey(view, number)).max() <= 8  # what JPEG and MPEG-4 make of one grey


@pytest.mark.parametrize("video", [False, True])
def test_reading_starts_at_any_moment(tmp_path, video):
    scene = load_scene(write(tmp_path / "scene_000", video=video))
    (last,) = scene.read(2)
    assert last.stamp_ns == scene.moments_ns[2]
    assert abs(int(last.images[scene.rig.names[1]][0, 0, 0]) - grey(1, 2)) <= 8
    assert list(scene.read(3)) == []


def test_stamps_are_a_frames_time_apart(folder):
    scene = load_scene(folder)
    assert scene.moments_ns[0] == scene.t0_ns
    assert np.abs(np.diff(scene.moments_ns) - 1e9 / FPS).max() <= 1


def test_a_scene_is_identified_by_its_place_and_its_truth(folder, tmp_path):
    first = load_scene(folder).identity()
    assert load_scene(folder).identity() == first
    assert load_scene(write(tmp_path / "scene_001")).identity() != first
    changed(folder / "truth.npz", stature_m=np.array([1.0, 1.1]))
    assert load_scene(folder).identity() != first


def test_settings_are_known_once_the_scene_is_whole(tmp_path):
    plan = made_up_plan()
    writing = write_scene(tmp_path / "scene", plan, made_up_frames(plan), SETTINGS, video=False)
    next(writing)
    assert settings_of(tmp_path / "scene") is None
    writing.close()
    assert settings_of(tmp_path / "scene") is None
    assert settings_of(write(tmp_path / "scene")) == SETTINGS
    people = json.loads((tmp_path / "scene" / "scene.json").read_text())["people"]
    assert [one["motion"] for one in people] == ["walking", "walking"]


def test_images_of_a_run_that_stopped_as_a_video_are_not_read(tmp_path):
    plan = made_up_plan()
    writing = write_scene(tmp_path / "scene", plan, made_up_frames(plan), SETTINGS, video=True)
    next(writing)
    writing.close()
    assert len(list(load_scene(write(tmp_path / "scene")).read())) == 3


def test_a_video_of_odd_sides_is_rejected_with_the_fix(tmp_path):
    """The codec would drop a row or column, and the images would not fit their calibration."""
    plan = made_up_plan()
    camera = plan.rig.cameras[0].resized((63, 48))
    one = replace(plan.request.one, rig=Rig((camera, *plan.rig.cameras[1:])))
    odd = replace(plan, request=replace(plan.request, one=one))
    with pytest.raises(InputError, match=r"63 x 48 px .* leave out --video"):
        list(write_scene(tmp_path / "scene", odd, made_up_frames(odd), SETTINGS, video=True))


def test_scenes_are_found_below_a_folder_in_order(tmp_path):
    for name in ("scene_001", "scene_000"):
        write(tmp_path / "all" / name)
    assert [one.name for one in load_scenes([tmp_path])] == ["scene_000", "scene_001"]
    assert [one.name for one in load_scenes([tmp_path / "all" / "scene_001"])] == ["scene_001"]


def test_a_folder_without_scenes_is_rejected_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(FootageError, match=r"contains no rendered scene.*`pose3d render`") as raised:
        load_scenes([tmp_path])
    assert str(tmp_path) in str(raised.value)


def no_truth(folder: Path) -> None:
    (folder / "truth.npz").unlink()


def half_truth(folder: Path) -> None:
    data = (folder / "truth.npz").read_bytes()
    (folder / "truth.npz").write_bytes(data[: len(data) // 2])


def text_truth(folder: Path) -> None:
    (folder / "truth.npz").write_text("no archive")


def without_joints(folder: Path) -> None:
    changed(folder / "truth.npz", joints_m=None)


def other_shape(folder: Path) -> None:
    changed(folder / "truth.npz", coco_m=np.zeros((3, 2, 16, 3)))


def flat_joints(folder: Path) -> None:
    changed(folder / "truth.npz", joints_m=np.zeros(3))


def words(folder: Path) -> None:
    changed(folder / "truth.npz", joints_m=np.full((3, 2, 17, 3), "a"))


def no_rate(folder: Path) -> None:
    changed(folder / "truth.npz", fps=np.array(np.nan))


@pytest.mark.parametrize(
    "damage", [no_truth, half_truth, text_truth, without_joints, other_shape, flat_joints, words, no_rate]
)
def test_damaged_truth_is_named_with_the_fix(folder, damage):
    damage(folder)
    with pytest.raises(FootageError, match="render it again with `pose3d render`") as raised:
        load_scene(folder)
    assert str(folder / "truth.npz") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_nothing_in_an_archive_is_run(folder, tmp_path):
    """An array of Python objects would be unpickled, which runs what it says."""

    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    changed(folder / "truth.npz", stature_m=np.array([Touch(), Touch()], dtype=object))
    with zipfile.ZipFile(folder / "truth.npz") as archive:
        assert "stature_m.npy" in archive.namelist()
    with pytest.raises(FootageError, match="never unpickled"):
        load_scene(folder)
    assert not (tmp_path / "ran").exists()


def test_a_rig_of_other_cameras_is_rejected(folder):
    rig = load_rig(folder / "rig.yaml")
    save_rig(Rig(rig.cameras[:1]), folder / "rig.yaml")
    with pytest.raises(FootageError, match=r"rig.yaml has 1 cameras, truth.npz 2: render it again") as raised:
        load_scene(folder)
    assert str(folder) in str(raised.value)


def test_a_missing_rig_is_named(folder):
    (folder / "rig.yaml").unlink()
    with pytest.raises(Pose3DError) as raised:
        load_scene(folder)
    assert str(folder / "rig.yaml") in str(raised.value)


def test_a_missing_image_is_named(folder):
    scene = load_scene(folder)
    missing = folder / scene.rig.names[1] / "000001.jpg"
    missing.unlink()
    moments = scene.read()
    next(moments)
    with pytest.raises((InputError, FootageError)) as raised:
        next(moments)
    assert str(missing) in str(raised.value)


def test_a_video_that_ends_early_is_named(tmp_path):
    folder = write(tmp_path / "scene_000", video=True)
    camera = load_scene(folder).rig.cameras[0]
    film = cv2.VideoWriter(str(folder / f"{camera.name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, camera.size_wh)
    film.write(np.zeros((*camera.size_wh[::-1], 3), np.uint8))
    film.release()
    with pytest.raises(FootageError, match="ends after 1 of 3 frames: render it again") as raised:
        list(load_scene(folder).read())
    assert str(folder / f"{camera.name}.mp4") in str(raised.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"settings": 3}', ""])
def test_a_damaged_description_is_named_with_the_fix(folder, text):
    (folder / "scene.json").write_text(text)
    with pytest.raises(FootageError, match="render it again") as raised:
        settings_of(folder)
    assert str(folder / "scene.json") in str(raised.value)


def test_truth_of_other_shapes_is_rejected():
    plan = made_up_plan()
    joints = np.stack([body.joints for body in plan.bodies], axis=1)
    right = {
        "fps": FPS, "joints_m": joints, "coco_m": joints, "visibility": np.zeros((2, 3, 2, 17), np.uint8),
        "boxes_px": np.zeros((2, 3, 2, 4)), "stature_m": np.ones(2), "age_years": np.ones(2),
        "female": np.ones(2, dtype=bool),
    }  # fmt: skip
    Truth(**right)
    for name, value in right.items():
        wrong = 0.0 if name == "fps" else value[..., :1] if value.ndim > 1 else np.ones(3)
        with pytest.raises(InputError, match="truth"):
            Truth(**{**right, name: wrong})
