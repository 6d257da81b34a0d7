"""Simulated views: the nodes' own map, masks, units, left and right."""

import numpy as np
import pytest
from walkers_on_floor import people

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.simulation.augmentation import augmented, hidden, mirrored, placed, scaled_bones, without
from pose3d_ros.simulation.noise_models import DETECTED, GaussianNoise, autoregressive, crop_scale
from pose3d_ros.simulation.simulated_rigs import Floor, h36m_rig, side_views, simulated_rig
from pose3d_ros.simulation.views import GIVEN, mapped_truth, simulate, to_coco, to_h36m, with_cameras
from pose3d_ros.skeletons import COCO_17, H36M_17

HEAD = H36M_17.index("HeadTop")


@pytest.fixture(scope="module")
def clean():
    return simulate(people(6, 4), h36m_rig("S9"), GaussianNoise(0.0), np.random.default_rng(1))


def test_clean_views_triangulate_to_the_mapped_truth(clean):
    found = triangulate(clean.cameras, clean.xy_px, clean.score)
    error = np.linalg.norm(found.xyz - clean.truth, axis=-1)
    direct = [H36M_17.index(name) for name in H36M_17.joint_names if name in COCO_17.joint_names]
    assert error[..., direct].max() < 1e-6
    # A mean of pixels is not the pixel of the mean: that costs derived joints a few mm under perspective.
    assert np.nanmax(error) < 0.006


def test_truth_passes_the_map_of_the_nodes(clean):
    hips = clean.truth[..., [H36M_17.index("LHip"), H36M_17.index("RHip")], :].mean(axis=-2)
    shoulders = clean.truth[..., [H36M_17.index("LShoulder"), H36M_17.index("RShoulder")], :].mean(axis=-2)
    np.testing.assert_allclose(clean.truth[..., H36M_17.index("Pelvis"), :], hips)
    np.testing.assert_allclose(clean.truth[..., H36M_17.index("Thorax"), :], shoulders)
    np.testing.assert_allclose(clean.truth[..., H36M_17.index("Spine"), :], (hips + shoulders) / 2)


def test_only_head_top_is_never_given(clean):
    assert [H36M_17.joint_names[j] for j in np.flatnonzero(~GIVEN)] == ["HeadTop"]
    assert np.isnan(clean.xy_px[..., HEAD, :]).all()
    assert (clean.score[..., HEAD] == 0).all()
    assert np.isfinite(clean.truth).all()
    assert (clean.score[..., GIVEN] > 0).all()


def test_noise_has_the_given_size_and_halves_in_the_spine():
    views = simulate(people(200, 1), h36m_rig("S11"), GaussianNoise(4.15), np.random.default_rng(2))
    spread = (views.xy_px - views.true_px).std(axis=(0, 1, 2))
    assert spread[H36M_17.index("LKnee")] == pytest.approx(4.15, rel=0.1)
    assert spread[H36M_17.index("Pelvis")] == pytest.approx(4.15 / np.sqrt(2), rel=0.1)
    assert spread[H36M_17.index("Spine")] == pytest.approx(4.15 / 2, rel=0.1)
    assert (views.label_px - views.true_px)[..., 3, :].std() == pytest.approx(2.0, rel=0.1)


def test_hidden_joint_is_missing_and_takes_along_what_is_derived_from_it():
    hide = np.zeros((4, 6, 4, 17), dtype=bool)
    hide[1, ..., COCO_17.index("LHip")] = True
    views = simulate(people(6, 4), h36m_rig("S9"), GaussianNoise(0.0), np.random.default_rng(0), hide=hide)
    gone = {H36M_17.joint_names[j] for j in np.flatnonzero((views.score[1] == 0).all(axis=(0, 1)))}
    assert gone == {"LHip", "Pelvis", "Spine", "HeadTop"}
    assert np.isnan(views.xy_px[1, ..., H36M_17.index("LHip"), :]).all()
    assert (views.score[0, ..., GIVEN] > 0).all()
    assert np.isfinite(views.label_px[..., GIVEN, :]).all()  # labels stay


def test_what_lies_outside_the_image_is_not_detected():
    xyz = people(1, 1) - np.array([0.0, 0.0, 1.4])  # the legs lie far below the floor
    head = simulated_rig("head530", 0, held_out=True)
    xyz = placed(xyz, Floor((0, 0), 2.0, 2.01, half_angle_rad=0.01), np.random.default_rng(0))
    views = simulate(xyz, head, GaussianNoise(0.0), np.random.default_rng(0))
    assert (views.score[..., H36M_17.index("LAnkle")] == 0).all()
    assert np.isfinite(views.true_px[..., H36M_17.index("LAnkle"), :]).all()


def test_calibration_error_moves_the_cameras_and_not_the_pixels():
    views = simulate(people(6, 4), h36m_rig("S9"), GaussianNoise(0.0), np.random.default_rng(4), calibration_error=True)
    wrist = H36M_17.index("LWrist")
    for view in range(4):
        true = project(views.true_cameras[view], views.truth[..., wrist, :])
        np.testing.assert_allclose(views.xy_px[view, ..., wrist, :], true, atol=1e-9)
        off = np.linalg.norm(project(views.cameras[view], views.truth[..., wrist, :]) - true, axis=-1)
        assert 0.1 < off.mean() < 8.0  # 0.3 deg are 6 px at f 1147, 5 mm at 4.5 m 1.3 px


def test_mirroring_exchanges_left_and_right_and_keeps_handedness():
    xyz = people(6, 4)
    xyz[..., H36M_17.index("LWrist"), 2] += 0.5  # the left hand is up
    flipped = mirrored(xyz)
    assert (flipped[..., H36M_17.index("RWrist"), 2] > flipped[..., H36M_17.index("LWrist"), 2]).all()

    def forward(body):
        up = body[..., 8, :] - body[..., 0, :]
        return np.cross(body[..., 4, :] - body[..., 1, :], up)  # left x up points forward

    nose = flipped[..., 9, :] - flipped[..., 8, :]
    assert (np.einsum("...c,...c->...", forward(flipped), nose) > 0).all()
    np.testing.assert_allclose(mirrored(flipped), xyz)


def test_bones_grow_by_their_factor_and_directions_stay():
    xyz = people(6, 4)
    factor = np.random.default_rng(3).uniform(0.9, 1.1, (6, 1, 17))
    grown = scaled_bones(xyz, factor)
    for parent, child in H36M_17.bones:
        before, after = xyz[..., child, :] - xyz[..., parent, :], grown[..., child, :] - grown[..., parent, :]
        np.testing.assert_allclose(after, factor[..., child, None] * before, atol=1e-12)


def test_augmented_people_are_symmetric_constant_in_time_and_stand_on_the_floor():
    xyz = np.repeat(people(50, 4)[:, :1], 4, axis=1)  # the walkers' own bones are not quite constant
    more = augmented(xyz, np.random.default_rng(5))
    length = np.stack([np.linalg.norm(more[..., c, :] - more[..., p, :], axis=-1) for p, c in H36M_17.bones], axis=-1)
    assert np.ptp(length, axis=1).max() < 1e-12
    bones = [child for _, child in H36M_17.bones]
    for left, right in H36M_17.left_right:
        np.testing.assert_allclose(length[..., bones.index(left)], length[..., bones.index(right)], atol=1e-9)
    assert 0.05 < length[:, 0, bones.index(5)].std() / length[:, 0, bones.index(5)].mean() < 0.12
    ankles = more[..., [3, 6], 2].mean(axis=(1, 2))
    assert np.abs(ankles - xyz[..., [3, 6], 2].mean()).max() < 0.06


def test_people_are_placed_on_the_floor_and_turned_any_way():
    xyz = people(400, 4)
    middle = xyz[:, :, 0, :2].mean(axis=1)
    assert np.linalg.norm(middle, axis=1).max() <= 1.0
    across = xyz[:, 0, 4] - xyz[:, 0, 1]
    assert np.hypot(*np.mean(across[:, :2] / np.linalg.norm(across[:, :2], axis=1, keepdims=True), axis=0)) < 0.15


def test_exactly_so_many_joints_are_left_out():
    hide = without(4, (3, 5), np.random.default_rng(0))
    assert (hide[..., DETECTED].sum(axis=-1) == 4).all()
    assert (hide.sum(axis=-1) == 4).all()


def test_hiding_lasts_for_a_window_and_takes_both_legs_at_times():
    hide = hidden(2, 500, 3, np.random.default_rng(0))
    assert (hide == hide[:, :, :1]).all()
    legs = [COCO_17.index(name) for name in ("LKnee", "LAnkle", "RKnee", "RAnkle")]
    assert 0.02 < hide[:, :, 0][..., legs].all(axis=-1).mean() < 0.08


def test_side_cameras_see_all_people_in_front_of_a_stereo_head():
    head = simulated_rig("head530", 2, held_out=False)
    wide = with_cameras(head, side_views(head, 2, held_out=False))
    assert wide.rig.names == ("left", "right", "side_left", "side_right")
    xyz = placed(people(30, 1), head.floor, np.random.default_rng(0))
    views = simulate(xyz, wide, GaussianNoise(1.0), np.random.default_rng(0))
    assert (views.score[2:][..., GIVEN] > 0).mean() > 0.9
    assert np.isfinite(views.label_px[2:][..., GIVEN, :]).all()


def test_crop_px_follow_the_person_and_not_the_image():
    near = np.full((1, 17, 2), np.nan)
    near[0, DETECTED] = np.random.default_rng(0).uniform(0, 200, (13, 2))
    assert crop_scale(near * 3)[0] == pytest.approx(3 * crop_scale(near)[0])
    assert np.isnan(crop_scale(np.full((17, 2), np.nan)))


def test_lasting_errors_have_the_given_correlation():
    noise = autoregressive((2, 4000, 6, 1), 0.7, np.random.default_rng(0))
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    for lag in (1, 2, 3):
        assert np.mean(noise[:, :, lag:] * noise[:, :, :-lag]) == pytest.approx(0.7**lag, abs=0.03)


def test_another_shape_is_rejected():
    with pytest.raises(InputError, match="windows, frames, h36m_17"):
        simulate(np.zeros((5, 17, 3)), h36m_rig("S9"), GaussianNoise(1.0), np.random.default_rng(0))


def test_coco_and_back_leaves_what_both_have():
    xyz = people(1, 1)
    assert np.isfinite(to_coco(xyz)).all(axis=-1).sum() == 13
    mapped, score = to_h36m(to_coco(xyz)[..., :2], np.isfinite(to_coco(xyz)[..., 0]).astype(float))
    np.testing.assert_allclose(mapped[..., GIVEN, :], mapped_truth(xyz)[..., GIVEN, :2])
    assert score.sum() == 16
