"""People cut out of images, with cameras of their own."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scenes_of_jpegs import write_jpegs

from pose3d_ros.errors import FootageError
from pose3d_ros.geometry.projection import project
from pose3d_ros.networks.canonical import MIRROR
from pose3d_ros.research.crops import (
    CROP_SCALE,
    Augmentation,
    CropSet,
    Cut,
    Moment,
    crop_camera,
    crops_of,
    rendered_moments,
    single_views,
    views_of,
)
from pose3d_ros.structures import Camera

SIDE = 64
ALL = Augmentation(shift=True, flip=True, colour=True)


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    return CropSet(rendered_moments(write_jpegs(tmp_path_factory.mktemp("jpegs"), frames=6)), SIDE)


def projected(world: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    points = torch.cat([world, torch.ones_like(world[..., :1])], dim=-1)
    image = torch.einsum("bvij,bnj->bvni", projection, points)
    return image[..., :2] / image[..., 2:]


def test_a_crop_shows_what_the_distorted_image_has_at_the_same_ray(tmp_path):
    """A dot at each joint of a person before a fisheye lens and a strong pinhole lens is a dot at the crop's joint."""
    joints = np.random.default_rng(0).uniform([-0.4, -0.7, 3.5], [0.4, 0.7, 4.5], (17, 3))
    pinhole = Camera(
        "a", (640, 480), [[500, 0, 330], [0, 520, 230], [0, 0, 1]], "plumb_bob", [-0.3, 0.1, 0.01, -0.01, 0]
    )
    fisheye = replace(pinhole, name="b", distortion_model="equidistant", distortion=[0.05, -0.02, 0.01, 0.0])
    paths = []
    for camera in (pinhole, fisheye):
        image = np.zeros((480, 640, 3), np.uint8)
        x, y = project(camera, joints[5]).round().astype(int)
        cv2.circle(image, (int(x), int(y)), 2, (255, 255, 255), -1)
        paths.append(tmp_path / f"{camera.name}.png")
        assert cv2.imwrite(str(paths[-1]), image)
    moment = Moment(tuple(paths), (pinhole, fisheye), joints, "scene")
    views = views_of(CropSet([moment], SIDE).take(), SIDE)
    brightness = views.image[0].sum(dim=1)
    brightness = brightness - brightness.amin(dim=(1, 2), keepdim=True)
    grid = torch.arange(float(SIDE))
    weight = brightness / brightness.sum(dim=(1, 2), keepdim=True)
    centre = torch.stack([(weight.sum(dim=1) * grid).sum(dim=-1), (weight.sum(dim=2) * grid).sum(dim=-1)], dim=-1)
    assert (centre - views.xy[0, :, 5]).norm(dim=-1).max() < 0.3


def test_a_crop_is_the_square_round_the_joints_and_a_quarter_more():
    camera = Camera("a", (640, 480), [[500, 0, 330], [0, 500, 230], [0, 0, 1]])
    joints = np.random.default_rng(1).uniform([-0.4, -0.7, 3.5], [0.4, 0.7, 4.5], (17, 3))
    px = project(crop_camera(camera, joints, SIDE), joints)
    low, high = px.min(axis=0), px.max(axis=0)
    assert (high - low).max() == pytest.approx(SIDE / CROP_SCALE)
    assert (low + high) / 2 == pytest.approx([(SIDE - 1) / 2] * 2)
    # A margin adds to each side and moves nothing else.
    assert project(crop_camera(camera, joints, SIDE, 3), joints) == pytest.approx(px + 3)


@pytest.mark.parametrize("augmentation", [Augmentation(), ALL])
def test_joints_stay_on_their_pixels_in_all_views(crops, augmentation):
    torch.manual_seed(3)
    views = views_of(crops.take(), SIDE, augmentation)
    assert views.image.shape == (len(crops), 4, 3, SIDE, SIDE)
    assert (projected(views.world, views.projection) - views.xy).abs().max() < 0.01
    assert torch.linalg.det(views.cam_from_world[..., :3, :3]).numpy() == pytest.approx(1.0, abs=1e-4)


def test_a_mirrored_person_has_left_and_right_exchanged(crops):
    cut = single_views(crops.take())
    plain = crops_of(cut, SIDE)
    torch.manual_seed(0)
    drawn = crops_of(cut, SIDE, Augmentation(flip=True))
    mirrored = (drawn.xyz - plain.xyz).abs().amax(dim=(1, 2)) > 0
    assert 0.2 < mirrored.float().mean() < 0.8
    expected = plain.xyz[:, MIRROR] * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(drawn.xyz[mirrored], expected[mirrored], atol=1e-5)
    assert torch.equal(drawn.image[mirrored], plain.image[mirrored].flip(-1))
    assert torch.allclose(drawn.xy[mirrored][..., 0], SIDE - 1 - plain.xy[mirrored][:, MIRROR, 0], atol=1e-3)
    assert torch.equal(drawn.image[~mirrored], plain.image[~mirrored])


def test_shifts_stay_within_four_of_256_pixels(crops):
    cut = single_views(crops.take())
    moved = crops_of(cut, SIDE, Augmentation(shift=True)).xy - crops_of(cut, SIDE).xy
    assert moved.abs().max() <= 1.001  # 4 of 256 px
    assert moved.abs().max() > 0.5


def test_colours_change_and_geometry_does_not(crops):
    cut = single_views(crops.take())
    torch.manual_seed(0)
    drawn, plain = crops_of(cut, SIDE, Augmentation(colour=True)), crops_of(cut, SIDE)
    assert torch.equal(drawn.xy, plain.xy)
    assert ((drawn.image - plain.image).abs().mean(dim=(1, 2, 3)) > 0.01).float().mean() > 0.9


def test_visible_joints_are_those_inside_of_the_crop(crops):
    cut = crops.take()
    K = cut.K.clone()
    K[..., 0, 2] += SIDE / 2  # half of each person is cut off on the right
    views = views_of(Cut(cut.image, K, cut.cam_from_world, cut.world), SIDE)
    inside = ((views.xy > -0.5) & (views.xy < SIDE - 0.5)).all(dim=-1)
    assert torch.equal(views.visible, inside)
    assert 0.1 < views.visible.float().mean() < 0.9


def test_other_people_have_another_identity(crops):
    other = [replace(moment, joints_m=moment.joints_m + 0.01) for moment in crops.moments]
    assert CropSet(crops.moments, SIDE).identity == crops.identity
    assert len({crops.identity, CropSet(other, SIDE).identity, CropSet(crops.moments, 32).identity}) == 3


def test_videos_are_rejected_with_how_to_render(tmp_path):
    folder = write_jpegs(tmp_path, frames=1)
    (folder / "scene_000" / "c1.mp4").touch()
    with pytest.raises(FootageError, match=r"c1.mp4 is a video, expected JPEGs: render without --video"):
        rendered_moments(folder)
