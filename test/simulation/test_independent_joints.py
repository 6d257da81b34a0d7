"""The papers' setting: every joint of h36m_17 with a keypoint and an error of its own."""

import numpy as np
import pytest
from walkers_on_floor import people

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.simulation.detector_bias import TRAIN_SEEDS, DetectorBias
from pose3d_ros.simulation.detector_noise import training_noise
from pose3d_ros.simulation.independent_joints import PASSES
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import h36m_rig
from pose3d_ros.simulation.views import simulate
from pose3d_ros.skeletons import COCO_17, H36M_17


def seen(windows=200, noise=None, **more):
    noise = GaussianNoise(4.15) if noise is None else noise
    return simulate(people(windows), h36m_rig("S9"), noise, np.random.default_rng(2), independent=True, **more)


def test_every_joint_is_placed_once():
    placed_joints = [joint for one in PASSES for joint in one.values()]
    assert sorted(placed_joints) == sorted(H36M_17.joint_names)


def test_all_17_joints_err_alike_and_independently():
    views = seen()
    error = views.xy_px - views.true_px
    np.testing.assert_allclose(error.std(axis=(0, 1, 2)), 4.15, rtol=0.1)
    columns = error[..., 0].reshape(-1, H36M_17.size)
    correlation = np.corrcoef(columns.T) - np.eye(H36M_17.size)
    assert np.abs(correlation).max() < 0.2  # of 800 draws; the map of COCO-17 makes 0.7 of pelvis and hip


def test_truth_is_the_motion_itself_and_clean_views_triangulate_to_it():
    views = seen(6, GaussianNoise(0.0))
    np.testing.assert_array_equal(views.truth, people(6))
    found = triangulate(views.cameras, views.xy_px, views.score)
    assert np.linalg.norm(found.xyz - views.truth, axis=-1).max() < 1e-6
    np.testing.assert_allclose(views.xy_px[1], project(views.cameras[1], people(6)), atol=1e-9)


def test_detectors_noise_gives_and_misses_any_joint():
    views = seen(400, training_noise("h36m"))
    missed = ~np.isfinite(views.xy_px[..., 0])
    assert (views.score[missed] == 0).all()
    assert (views.score[~missed] > 0).all()
    share = missed.mean(axis=(0, 1, 2))
    assert share.max() < 0.5
    for name in ("Pelvis", "Spine", "Thorax", "HeadTop"):
        error = np.nanmedian(np.abs(views.xy_px - views.true_px)[..., H36M_17.index(name), :])
        assert 0.3 < error < 10


def test_hidden_keypoints_hide_the_joints_that_are_made_of_them():
    hide = np.zeros((4, 6, 1, COCO_17.size), dtype=bool)
    hide[:, 0, 0, [COCO_17.index(name) for name in ("LHip", "RHip", "Nose")]] = True
    hide[:, 1, 0, COCO_17.index("LHip")] = True
    missed = np.isnan(seen(6, hide=hide).xy_px[..., 0])[0, :, 0]
    assert {H36M_17.joint_names[j] for j in np.flatnonzero(missed[0])} == {"Pelvis", "LHip", "RHip", "Nose", "HeadTop"}
    assert {H36M_17.joint_names[j] for j in np.flatnonzero(missed[1])} == {"LHip"}
    assert not missed[2:].any()


def test_bias_is_rejected():
    with pytest.raises(InputError, match="have no bias"):
        seen(4, bias=DetectorBias.draw(TRAIN_SEEDS[0]))
