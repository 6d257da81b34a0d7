"""PoseRN's data from rendered people: which scenes train, and what is learned from a detector with a known bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rendered_people import ChangedDetector, NumberedScene, displaced, made_up_scene, walkers
from synthetic_people import h36m_rig

from pose3d_ros.errors import InputError
from pose3d_ros.networks.posern import prepare
from pose3d_ros.simulation.augmentation import swapped
from pose3d_ros.simulation.detector_bias import joint_frames
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Keypoints2D, Rig
from pose3d_ros.training import rendered_draws
from pose3d_ros.training.bias import BiasData
from pose3d_ros.training.rendered_draws import VALIDATION_SCENES, RenderedDraws, mirrored

FRAMES, VIEWS, PEOPLE = 2, 4, 2
LEFT, RIGHT = H36M_17.index("LWrist"), H36M_17.index("RWrist")
OFFSET_PX = np.array([6.0, -4.0])


def undistorted_rig() -> Rig:
    return Rig(tuple(replace(camera, distortion=()) for camera in h36m_rig().cameras))


def numbered_scenes(count: int, rig: Rig | None = None) -> list[NumberedScene]:
    """Scenes of two people each, at other places in every scene."""
    scenes = []
    for number in range(count):
        joints = walkers([(-0.8 + 0.1 * number, -0.4), (0.7, 0.5)], FRAMES)
        plain = made_up_scene(rig or undistorted_rig(), joints, Path(f"scene_{number:03d}"))
        scenes.append(NumberedScene(plain.folder, plain.rig, plain.truth))
    return scenes


@pytest.fixture
def draws_of(monkeypatch) -> Callable[..., tuple[RenderedDraws, ChangedDetector]]:
    """The draws from these scenes, and their detector, which changes what is true."""

    def make(scenes, change=lambda view, found: found, target="error"):
        detector = ChangedDetector(scenes, change)
        monkeypatch.setattr(rendered_draws, "load_scenes", lambda folders: list(scenes))
        monkeypatch.setattr(rendered_draws, "make_detector", lambda: detector)
        return RenderedDraws(["rendered"], target), detector

    return make


def made_up_data() -> BiasData:
    """Views of one person with joints that are missing."""
    generator = torch.Generator().manual_seed(0)
    xyz, xy, bias = (torch.randn((3, 17, size), generator=generator) for size in (3, 2, 2))
    xyz[0, LEFT] = xy[1, RIGHT] = bias[1, RIGHT] = torch.nan
    return BiasData(xyz, 100.0 * xy + 500.0, torch.full((3, 2), 1000.0), bias)


def test_mirrored_twice_is_the_identity():
    data = made_up_data()
    for again, once in zip(mirrored(mirrored(data)), data, strict=True):
        torch.testing.assert_close(again, once, equal_nan=True, rtol=0, atol=0)


def test_bias_of_a_mirrored_person_is_the_mirror_image_on_the_other_side():
    bias = torch.zeros(1, 17, 2)
    bias[0, LEFT], bias[0, RIGHT], bias[0, H36M_17.index("Nose")] = (
        torch.tensor(one) for one in ((3.0, 4.0), (0.0, 1.0), (5.0, 6.0))
    )
    data = made_up_data()
    image = mirrored(BiasData(data.xyz[:1], data.xy[:1], data.size_wh[:1], bias)).bias[0]
    assert image[RIGHT].tolist() == [-3.0, 4.0]
    assert image[LEFT].tolist() == [0.0, 1.0]
    assert image[H36M_17.index("Nose")].tolist() == [-5.0, 6.0]
    assert image.count_nonzero() == 5


def test_network_is_given_the_mirror_image_of_both_poses():
    data = made_up_data()
    image = mirrored(data)
    plain, flipped = (prepare(one.xyz, one.xy, one.size_wh) for one in (data, image))
    other = swapped(H36M_17)
    torch.testing.assert_close(flipped.unit, plain.unit)
    assert torch.equal(flipped.seen, plain.seen[:, other])
    for begin, size in ((0, 3), (3 * 17, 2)):
        before, after = (one.features[:, begin : begin + 17 * size].reshape(-1, 17, size) for one in (plain, flipped))
        torch.testing.assert_close(after, before[:, other] * torch.tensor([-1.0, *[1.0] * (size - 1)]))


def test_fewer_scenes_than_one_validation_scene_needs_are_rejected(draws_of):
    with pytest.raises(InputError, match=r"--rendered holds 5 scenes, expected 6 at least"):
        draws_of(numbered_scenes(VALIDATION_SCENES - 1))


def test_scene_of_one_camera_is_rejected_with_its_folder(draws_of):
    scenes = numbered_scenes(VALIDATION_SCENES)
    alone = made_up_scene(Rig(undistorted_rig().cameras[:1]), scenes[0].truth.joints_m, Path("rooms/scene_003"))
    scenes[3] = NumberedScene(alone.folder, alone.rig, alone.truth)
    with pytest.raises(InputError, match=r"--rendered: rooms/scene_003 has one camera"):
        draws_of(scenes)


def test_every_sixth_scene_validates_and_never_trains(draws_of):
    draws, detector = draws_of(numbered_scenes(7))
    assert len(draws.epoch(0)["xyz"]) == 2 * 5 * VIEWS * FRAMES * PEOPLE  # as they are and mirrored
    assert set(detector.scenes_seen) == {1, 2, 3, 4, 5}
    detector.scenes_seen.clear()
    assert len(draws.validation()["xyz"]) == 2 * VIEWS * FRAMES * PEOPLE
    assert set(detector.scenes_seen) == {0, 6}


def test_detection_runs_once_for_all_epochs(draws_of):
    draws, detector = draws_of(numbered_scenes(6))
    first = draws.epoch(0)
    detector.scenes_seen.clear()
    again = draws.epoch(1)
    assert detector.scenes_seen == []
    assert first.keys() == again.keys() == set(BiasData._fields)
    assert all(torch.equal(first[name].nan_to_num(), again[name].nan_to_num()) for name in first)


def test_constant_offset_of_the_detector_is_the_target(draws_of):
    draws, _ = draws_of(numbered_scenes(6), lambda view, found: displaced(found, OFFSET_PX))
    plain, flipped = draws.epoch(0)["bias"].chunk(2)
    for bias, offset in (
        (plain, OFFSET_PX),
        (flipped, OFFSET_PX * (-1, 1)),
        (draws.validation()["bias"], OFFSET_PX),
    ):
        assert len(bias) > 0
        assert bias[:, GIVEN].numpy() == pytest.approx(np.broadcast_to(offset, bias[:, GIVEN].shape), abs=1e-3)
        assert torch.isnan(bias[:, ~torch.from_numpy(GIVEN)]).all()


@pytest.mark.parametrize("target", ["bias", "error"])
def test_offset_in_the_bones_frames_is_the_detectors_definition_and_no_bias(draws_of, monkeypatch, target):
    """Of a detector with other joints, one of whose cameras errs, what is left is that camera's error."""
    scenes = numbered_scenes(7)
    offset = np.random.default_rng(4).uniform(-0.03, 0.03, (H36M_17.size, 3))
    moved = []
    for scene in scenes:
        frames = joint_frames(scene.truth.joints_m)
        joints = scene.truth.joints_m + np.einsum("...jxk,jk->...jx", frames, offset)
        plain = made_up_scene(scene.rig, joints, scene.folder)
        moved.append(NumberedScene(plain.folder, plain.rig, plain.truth))
    detector = ChangedDetector(moved, lambda view, found: displaced(found, OFFSET_PX) if view == 0 else found)
    draws, _ = draws_of(scenes, target=target)
    monkeypatch.setattr(rendered_draws, "make_detector", lambda: detector)
    bias = draws.validation()["bias"].numpy().reshape(2, VIEWS, FRAMES * PEOPLE, H36M_17.size, 2)
    limbs = bias[..., [H36M_17.index(name) for name in LIMB_JOINTS], :]
    sizes = np.median(np.linalg.norm(limbs, axis=-1), axis=(0, 2, 3))  # by camera
    # Its camera's error moves what is triangulated by a part of it, which the definition takes for its own.
    assert sizes[0] == pytest.approx(np.linalg.norm(OFFSET_PX), rel=0.4)
    assert sizes[1:].max() < 2.5 if target == "bias" else sizes[1:].min() > 3.5


def test_detector_without_errors_has_no_bias_in_cameras_with_distortion(draws_of):
    draws, _ = draws_of(numbered_scenes(6, h36m_rig()))
    assert draws.validation()["bias"][:, GIVEN].abs().max() < 0.1  # the middle of two keypoints is no point of space


def test_scenes_in_which_no_person_is_triangulated_are_rejected_by_name(draws_of):
    draws, _ = draws_of(numbered_scenes(6), lambda view, found: found if view == 0 else found.select([]))
    with pytest.raises(InputError, match=r"--rendered: no person was detected by two cameras at once in scene_000:"):
        draws.validation()
    with pytest.raises(InputError, match="in scene_001, scene_002"):
        draws.epoch(0)


def test_views_without_a_detected_person_are_left_out(draws_of):
    def change(view: int, found: Keypoints2D) -> Keypoints2D:
        return found.select([1]) if view == 2 else found

    draws, _ = draws_of(numbered_scenes(6), change)
    validation = BiasData(**draws.validation())
    assert len(validation.xyz) == FRAMES * (VIEWS * PEOPLE - 1)
    assert torch.isfinite(validation.bias[:, GIVEN]).all()
    assert torch.isfinite(validation.xyz[:, GIVEN]).all()
