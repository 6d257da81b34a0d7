"""Test noise (b): whole stretches of real errors, as large as noise (a) in space."""

import numpy as np
import pytest
from walkers_on_floor import people

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.simulation.detector_noise import training_noise
from pose3d_ros.simulation.detector_residuals import BODY
from pose3d_ros.simulation.noise_models import DETECTED, GaussianNoise
from pose3d_ros.simulation.replayed_noise import ResidualBlocks, matched, rendered_people, single_trial
from pose3d_ros.simulation.simulated_rigs import PAIRS, h36m_rig
from pose3d_ros.simulation.views import GIVEN, simulate
from pose3d_ros.skeletons import COCO_17


def body_px(windows, frames):
    px = np.full((1, windows, frames, 17, 2), np.nan)
    px[..., DETECTED, :] = np.random.default_rng(0).uniform(100, 400, (13, 2))
    return px


def test_shipped_errors_are_small_and_complete():
    blocks = single_trial()
    assert blocks.error.shape == (4, 100, len(BODY), 2)
    assert blocks.fps == 60.0
    assert np.isfinite(blocks.error).all()
    assert 1.0 < np.median(np.linalg.norm(blocks.error, axis=-1)) < 3.0


def test_shipped_errors_on_rendered_people_are_complete_and_of_plausible_size():
    blocks = rendered_people()
    assert blocks.error.shape == (*blocks.score.shape, 2)
    assert blocks.score.shape[2] == len(BODY)
    assert blocks.fps > 0
    assert np.isfinite(blocks.error).all()
    assert ((blocks.score >= 0) & (blocks.score <= 1)).all()
    assert 1.0 < np.median(np.linalg.norm(blocks.error[blocks.score > 0], axis=-1)) < 8.0  # crop px


def test_scaled_blocks_err_in_space_like_independent_noise():
    rigs = [h36m_rig("S9").pair("P1"), h36m_rig("S9").pair("P4")]
    blocks = matched(single_trial(), rigs, people(300))
    assert 0.3 < blocks.scale < 3.0
    errors = []
    for noise in (GaussianNoise(4.15), blocks):
        views = [simulate(people(500, 9), one, noise, np.random.default_rng(77)) for one in rigs]
        found = [np.linalg.norm(triangulate(v.cameras, v.xy_px, v.score).xyz - v.truth, axis=-1) for v in views]
        errors.append(np.nanmean(np.array(found)[..., GIVEN]))
    assert errors[1] == pytest.approx(errors[0], rel=0.15)  # other people, other draws; tails are heavy


def test_training_noise_errs_in_space_like_independent_noise_too():
    rigs = [h36m_rig("S1").pair(pair) for pair in PAIRS]
    errors = []
    for noise in (GaussianNoise(4.15), training_noise("h36m")):
        views = [simulate(people(500, 9), one, noise, np.random.default_rng(7)) for one in rigs]
        found = [np.linalg.norm(triangulate(v.cameras, v.xy_px, v.score).xyz - v.truth, axis=-1) for v in views]
        errors.append(np.nanmean(np.array(found)[..., GIVEN]))
    assert errors[1] == pytest.approx(errors[0], rel=0.2)  # people who stand have larger crops than those measured
    with pytest.raises(InputError, match="h36m, room, head"):
        training_noise("office")


def test_stretch_is_one_camera_s_errors_in_order_and_at_the_motion_s_pace():
    """error = (10 000 series + frame, joint) makes every draw traceable."""
    series, frame, joint = np.meshgrid(np.arange(3), np.arange(100), np.arange(len(BODY)), indexing="ij")
    error = np.stack([10_000.0 * series + frame, joint], axis=-1)
    blocks = ResidualBlocks(error, np.full(series.shape, 0.7), 60.0)
    px = body_px(200, 4)
    xy, score = blocks(px, np.ones(px.shape[:3]), 1 / 12, np.random.default_rng(1))
    drawn = (xy - px)[..., COCO_17.index("Nose"), 0]
    drawn = np.abs(drawn[0][(score[0] > 0)[..., 0].all(axis=1)])  # mirrored draws are negative
    assert len(drawn) > 150
    assert (np.ptp(drawn // 10_000, axis=1) == 0).all()
    step = np.abs(np.diff(drawn % 10_000, axis=1))
    assert (step == 5).mean() > 0.9  # 60 fps at 12; the rest turned back at the end
    assert step.max() <= 5


def test_mirrored_stretches_go_to_the_other_side():
    error = np.zeros((1, 100, len(BODY), 2))
    error[:, :, BODY.index("LWrist"), 0] = 7.0
    blocks = ResidualBlocks(error, np.ones(error.shape[:3]), 60.0)
    px = body_px(400, 1)
    off = (blocks(px, np.ones(px.shape[:3]), 1 / 12, np.random.default_rng(0))[0] - px)[0, :, 0, :, 0]
    left, right = off[:, COCO_17.index("LWrist")], off[:, COCO_17.index("RWrist")]
    assert (left == 7.0).mean() == pytest.approx(0.48, abs=0.08)
    assert (right == -7.0).mean() == pytest.approx(0.48, abs=0.08)


def test_misses_and_exchanges_come_at_their_rates():
    blocks = ResidualBlocks(np.zeros((1, 50, len(BODY), 2)), np.full((1, 50, len(BODY)), 0.9), 60.0)
    px = body_px(3000, 4)
    xy, score = blocks(px, np.ones(px.shape[:3]), 1 / 12, np.random.default_rng(2))
    assert (score[..., DETECTED] == 0).mean() == pytest.approx(0.02, abs=0.002)
    knee = xy[..., COCO_17.index("LKnee"), :]
    assert (knee == px[..., COCO_17.index("RKnee"), :]).all(axis=-1).mean() == pytest.approx(0.01, abs=0.003)


def test_another_file_is_rejected(tmp_path):
    np.savez(tmp_path / "x.npz", error=np.zeros(3))
    with pytest.raises(InputError, match="does not hold residual blocks"):
        ResidualBlocks.load(tmp_path / "x.npz")
