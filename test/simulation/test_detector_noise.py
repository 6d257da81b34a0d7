"""Drawn noise has the distribution that was fitted: shares, sizes, time, sides, scores."""

import numpy as np
import pytest
from synthetic_recording import recording

from pose3d_ros.errors import InputError
from pose3d_ros.simulation.detector_noise import DetectorNoise, correlation_time, default_noise, fit_noise, other_side
from pose3d_ros.simulation.detector_residuals import BODY, Residuals, residuals_of
from pose3d_ros.simulation.gaussian_uniform_mixture import HALF_RANGE_PX, fit_mixture
from pose3d_ros.simulation.noise_models import DETECTED
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import COCO_17


def true_px(views=2, windows=100, frames=5):
    """(V, W, T, 17, 2) px: a person drawn by hand, 300 px tall, facing the camera."""
    body = np.random.default_rng(0).uniform(100, 400, (17, 2))
    body[~np.isfinite(to_coco(np.zeros((17, 3)))[:, 0])] = np.nan  # eyes and ears
    return np.broadcast_to(body, (views, windows, frames, 17, 2)).copy()


@pytest.fixture(scope="module")
def noise():
    return default_noise()


def test_drawn_errors_fit_back_to_the_mixture_that_they_were_drawn_from(noise):
    errors = noise.errors((4, 4000, 1, len(BODY)), 0.5, np.random.default_rng(1))
    for joint in (0, BODY.index("LWrist"), BODY.index("RHip")):
        found, true = fit_mixture(errors[..., joint, :]), noise.mixtures[joint]
        assert found.gamma == pytest.approx(true.gamma, abs=0.02)
        np.testing.assert_allclose(found.mean, true.mean, atol=0.15)
        np.testing.assert_allclose(np.diag(found.covariance), np.diag(true.covariance), rtol=0.08)


def test_uniform_part_is_really_drawn(noise):
    wrist = BODY.index("LWrist")
    far = np.abs(noise.errors((4, 4000, 1, len(BODY)), 0.5, np.random.default_rng(2))[..., wrist, :]) > 25.0
    assert far.any(axis=-1).mean() == pytest.approx(0.75 * (1 - noise.mixtures[wrist].gamma), rel=0.1)
    assert np.abs(noise.errors((1, 500, 3, len(BODY)), 0.5, np.random.default_rng(2))).max() <= HALF_RANGE_PX


def test_errors_last_as_long_as_those_that_were_fitted(noise):
    errors = noise.errors((1, 3000, 10, len(BODY)), np.exp(-1 / 12 / noise.last_s), np.random.default_rng(3))
    assert correlation_time(errors[0], noise.mixtures, 12.0) == pytest.approx(noise.last_s, rel=0.12)


def test_left_and_right_are_mirror_images(noise):
    for joint, partner in enumerate(other_side()):
        np.testing.assert_allclose(noise.mixtures[joint].mean, noise.mixtures[partner].mean * (-1, 1), atol=1e-6)
        assert noise.mixtures[joint].gamma == pytest.approx(noise.mixtures[partner].gamma, abs=1e-6)


def test_errors_scale_with_the_person_in_the_image(noise):
    px = true_px(windows=2000, frames=1)
    sizes = []
    for scale in (1.0, 3.0):
        xy, _ = noise(px, np.full(px.shape[:3], scale), 1 / 12, np.random.default_rng(4))
        sizes.append(np.nanmedian(np.abs(xy - px)))
    assert sizes[1] == pytest.approx(3 * sizes[0], rel=0.02)


def test_what_motion_data_lack_stays_missing_and_scores_are_shares(noise):
    px = true_px()
    px[..., COCO_17.index("LElbow"), :] = np.nan
    xy, score = noise(px, np.ones(px.shape[:3]), 1 / 12, np.random.default_rng(5))
    absent = np.isnan(px[..., 0])
    assert (score[absent] == 0).all()
    assert np.isnan(xy[absent]).all()
    assert ((score >= 0) & (score <= 1)).all()
    assert (np.isnan(xy[..., 0]) == (score == 0)).all()


def test_score_tells_of_the_error_but_not_reliably(noise):
    px = true_px(windows=3000, frames=1)
    xy, score = noise(px, np.ones(px.shape[:3]), 1 / 12, np.random.default_rng(6))
    size = np.linalg.norm(xy - px, axis=-1)[..., DETECTED]
    score = score[..., DETECTED]
    good, bad = score[size < 2], score[size > 8]
    assert np.median(good) > np.median(bad) + 0.15
    assert (bad > np.median(good)).mean() > 0.02  # some outliers are sure of themselves


def test_whole_limbs_are_exchanged_at_their_rate(noise):
    often = DetectorNoise(**(vars(noise.scaled(1e-3)) | {"exchange": 0.2, "miss": np.zeros(len(BODY))}))
    px = true_px(windows=3000, frames=1)
    xy, _ = often(px, np.ones(px.shape[:3]), 1 / 12, np.random.default_rng(7))
    right = COCO_17.index("RKnee"), COCO_17.index("RAnkle")
    left = COCO_17.index("LKnee"), COCO_17.index("LAnkle")
    taken = [np.linalg.norm(xy[..., a, :] - px[..., b, :], axis=-1) < 0.1 for a, b in zip(left, right, strict=True)]
    inliers = noise.mixtures[BODY.index("LKnee")].gamma
    assert taken[0].mean() == pytest.approx(0.2 * inliers, abs=0.02)
    assert (taken[0] & taken[1]).mean() > 0.8 * taken[0].mean()


def test_scaled_noise_has_smaller_errors_and_rarer_outliers(noise):
    less = noise.scaled(0.5, 0.25)
    for a, b in zip(less.mixtures, noise.mixtures, strict=True):
        assert 1 - a.gamma == pytest.approx(0.25 * (1 - b.gamma))
        np.testing.assert_allclose(np.sqrt(np.diag(a.covariance)), 0.5 * np.sqrt(np.diag(b.covariance)))


def test_one_normal_distribution_has_the_spread_of_the_whole_mixture(noise):
    rng = np.random.default_rng(8)
    both = [one.errors((2, 8000, 1, len(BODY)), 0.0, rng) for one in (noise, noise.normal_only())]
    np.testing.assert_allclose(both[1].std(axis=(0, 1, 2)), both[0].std(axis=(0, 1, 2)), rtol=0.06)
    assert noise.normal_only().exchange == 0


def test_fit_to_a_recording_finds_the_noise_in_it():
    found = fit_noise(residuals_of(recording()), "a test")
    spread = np.sqrt([np.diag(one.covariance).mean() for one in found.mixtures])
    assert spread.mean() == pytest.approx(2.0, rel=0.08)
    assert min(one.gamma for one in found.mixtures) > 0.97
    assert found.last_s < 0.06  # it was drawn independently in every frame


def test_misses_are_counted_per_joint_and_only_where_the_person_was_seen():
    score = np.full((2, 100, len(BODY)), 0.8)
    score[0, :20, BODY.index("LWrist")] = 0.0
    score[1, 50:] = np.nan  # not seen at all
    error = np.random.default_rng(0).normal(size=(*score.shape, 2))
    one = Residuals(error, score, np.zeros(score.shape, bool), 60.0, (("1", "a"), ("1", "b")), {}, 1.0, 4.0)
    miss = fit_noise(one, "a test").miss
    assert miss[BODY.index("LWrist")] == miss[BODY.index("RWrist")] == pytest.approx(20 / 150 / 2)
    assert miss[BODY.index("Nose")] == 0


def test_noise_survives_its_file(tmp_path, noise):
    noise.save(tmp_path / "noise.json")
    again = DetectorNoise.load(tmp_path / "noise.json")
    for a, b in zip(again.mixtures, noise.mixtures, strict=True):
        np.testing.assert_allclose(a.covariance, b.covariance)
    (tmp_path / "noise.json").write_text("{}")
    with pytest.raises(InputError, match="fit it again"):
        DetectorNoise.load(tmp_path / "noise.json")
