"""Plans of scenes, and rigs from files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rendered_people import NEEDS_RENDER, request_of

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.simulation.rendering import scenes
from pose3d_ros.simulation.rendering.scenes import (
    APART_M,
    FROM_CAMERA_M,
    on_floor,
    plan_scene,
    resized,
)
from pose3d_ros.simulation.simulated_rigs import Floor, SimulatedRig, look_at, simulated_rig
from pose3d_ros.structures import Camera, Rig

K = np.array([[500.0, 0.0, 319.5], [0.0, 500.0, 239.5], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="session")
def motion():
    return generated_motion(2, subjects=3)


def rig_file(folder, *places):
    """A rig.yaml of cameras at (centre, target) m each."""
    cameras = [Camera(f"c{n}", (640, 480), K, cam_from_world=look_at(*place)) for n, place in enumerate(places)]
    path = folder / "rig.yaml"
    save_rig(Rig(tuple(cameras)), path)
    return path


def test_resized_rigs_have_images_of_that_size_and_the_same_view():
    whole = simulated_rig("h36m", 0, held_out=True)
    small = resized(whole, 100)
    point = np.array([0.2, -0.3, 1.1])
    for before, after in zip(whole.rig.cameras, small.rig.cameras, strict=True):
        assert max(after.size_wh) == 100
        assert not any(side % 2 for side in after.size_wh)
        scale = np.array(after.size_wh) / before.size_wh
        assert np.allclose(project(after, point), (project(before, point) + 0.5) * scale - 0.5, atol=1e-6)
    assert resized(whole, 5000).rig.cameras[0].size_wh == whole.rig.cameras[0].size_wh


def test_people_stand_where_the_cameras_look(tmp_path):
    target = (1.0, 2.0, 1.0)
    path = rig_file(tmp_path, ((4.0, 2.0, 1.5), target), ((1.0, 6.0, 2.0), target), ((-1.0, -1.0, 1.0), target))
    floor = on_floor(path).floor
    assert np.allclose(floor.centre_m, (1.0, 2.0), atol=1e-6)
    assert 0.3 < floor.far_m <= 1.0


@pytest.mark.parametrize("angle_deg", [0.0, 2.0])
def test_people_stand_before_a_single_camera_and_a_stereo_pair(tmp_path, angle_deg):
    """The axes of a stereo head meet nowhere, or far away, as its mounting happens to be."""
    centre, target = np.array([5.0, 5.0, 1.2]), np.array([9.0, 5.0, 1.0])
    aside, off = np.array([0.0, 0.06, 0.0]), np.array([0.0, 4.0 * np.tan(np.deg2rad(angle_deg)), 0.0])
    single = on_floor(rig_file(tmp_path, (centre, target)))
    pair = on_floor(rig_file(tmp_path, (centre + aside, target + aside + off), (centre - aside, target - aside - off)))
    for one in (single, pair):
        assert np.allclose(one.floor.centre_m, (8.5, 5.0), atol=0.1)


def test_a_rig_that_looks_at_the_sky_is_rejected_with_the_fix(tmp_path):
    path = rig_file(tmp_path, ((2.0, 0.0, 1.0), (0.5, 0.0, 9.0)), ((-2.0, 0.1, 1.0), (-0.5, 0.0, 9.0)))
    with pytest.raises(InputError, match="put the rig's world on the floor, z up") as raised:
        on_floor(path)
    assert str(path) in str(raised.value)


def test_a_rig_in_a_cameras_frame_is_rejected_with_the_fix(tmp_path):
    """As calibration gives it: the first camera is the world, z is not up."""
    save_rig(Rig((Camera("c0", (640, 480), K),)), tmp_path / "rig.yaml")
    with pytest.raises(InputError, match="z up"):
        on_floor(tmp_path / "rig.yaml")


def test_settings_name_what_decides_a_scene():
    before = request_of().settings()
    assert before["size_px"] == 96
    for changed in (request_of(people=2), request_of(frames=3), request_of(px=64), request_of(seed=1)):
        assert changed.settings() != before


@NEEDS_RENDER
def test_people_keep_apart_and_off_cameras(motion):
    for seed in range(3):
        plan = plan_scene(request_of(people=3, frames=6, seed=seed), motion)
        pelvis = np.stack([body.joints[:, 0, :2] for body in plan.bodies])
        for one in range(3):
            for other in range(one):
                assert np.linalg.norm(pelvis[one] - pelvis[other], axis=-1).min() >= APART_M
        for camera in plan.rig.cameras:
            for body in plan.bodies:
                assert np.linalg.norm(body.joints - camera.centre, axis=-1).min() >= FROM_CAMERA_M
        assert len(plan.shapes) == len(plan.outfits) == len(plan.actions) == 3


@NEEDS_RENDER
def test_furniture_stands_neither_on_people_nor_on_cameras(motion):
    plan = plan_scene(replace(request_of(people=2, frames=6), occluders=12), motion)
    pieces = plan.room.vertices[8 * 6 :].reshape(-1, 8, 3)  # after floor, ceiling and walls
    low, high = pieces.min(axis=1), pieces.max(axis=1)
    inside = [((low < point) & (point < high)).all(axis=1).any() for body in plan.bodies for point in body.joints[:, 0]]
    assert not any(inside)
    for camera in plan.rig.cameras:
        assert not ((low < camera.centre) & (camera.centre < high)).all(axis=1).any()


@NEEDS_RENDER
def test_more_people_than_find_room_are_rejected(motion, monkeypatch):
    monkeypatch.setattr(scenes, "TRIES", 12)
    request = request_of(people=5)
    narrow = SimulatedRig("narrow", request.one.rig, Floor((0.0, 0.0), 0.0, 0.3, half_angle_rad=1.0), 0.0)
    with pytest.raises(InputError, match=r"'narrow': 5 people .* ask for fewer people or frames"):
        plan_scene(replace(request, one=narrow), motion)


@NEEDS_RENDER
def test_longer_scenes_than_the_motion_are_rejected(motion):
    with pytest.raises(InputError, match=r"500 frames at 12 a second take 41.6 s, the longest motion .* fewer frames"):
        plan_scene(request_of(frames=500), motion)


@NEEDS_RENDER
def test_without_motion_people_walk_through_the_space_for_as_long_as_it_takes():
    request = replace(request_of(people=2, frames=100), fps=5.0)
    plan = plan_scene(request, None)
    assert plan.actions == ("walking about",) * 2
    one, other = (body.joints for body in plan.bodies)
    assert one.shape == (100, 17, 3)
    assert np.linalg.norm(one[:, 0, :2] - other[:, 0, :2], axis=-1).min() > APART_M - 0.05
    for joints in (one, other):
        assert np.ptp(joints[:, 0, :2], axis=0).min() > 0.4
        assert np.linalg.norm(np.diff(joints[:, 0], axis=0), axis=-1).max() * 5.0 < 2.0


@NEEDS_RENDER
def test_a_camera_amid_the_walk_is_refused():
    one = request_of(frames=100).one
    amid = replace(
        one, rig=Rig(tuple(camera.placed(look_at((0.1, 0.1, 1.2), (1.0, 1.0, 1.0))) for camera in one.rig.cameras))
    )
    with pytest.raises(InputError, match=r"a person walks to .* m from a camera"):
        plan_scene(replace(request_of(frames=100), one=amid), None)
