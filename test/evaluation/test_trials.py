"""Held-out people: the same every time, never from training, and errors against known answers."""

import numpy as np
import pytest
from tiny_motion import tiny_motion

from pose3d_ros.evaluation.trials import PELVIS, HeldOut, at_distance, errors, mean_figures, pooled
from pose3d_ros.simulation.views import GIVEN


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    return HeldOut(tiny_motion().split("test"), people=400, seed=0)


def test_trial_is_reproducible_and_depends_on_the_seed(held_out):
    one = held_out.pairs("P1")[0]
    first, again = held_out.trial("h36m", one), held_out.trial("h36m", one)
    np.testing.assert_array_equal(first.views.xy_px, again.views.xy_px)
    other = HeldOut(held_out.motion, held_out.people, seed=1).trial("h36m", one)
    assert not np.array_equal(first.views.xy_px, other.views.xy_px, equal_nan=True)


def test_people_come_from_the_test_split(held_out):
    assert {clip.split for clip in held_out.motion.clips} == {"test"}


def test_truth_has_no_error(held_out):
    trial = held_out.trial("h36m", held_out.pairs("P3")[0])
    figures = errors(trial.truth, trial.truth).figures()
    assert (figures.mean, figures.median, figures.relative_mean, figures.relative_median) == (0, 0, 0, 0)
    assert figures.count == held_out.people * GIVEN.sum()


def test_translated_pose_has_absolute_but_no_relative_error(held_out):
    truth = held_out.trial("h36m", held_out.pairs("P1")[0]).truth
    figures = errors(truth + np.array([0.03, 0.0, 0.04]), truth).figures()
    assert figures.mean == pytest.approx(50.0)
    assert figures.relative_mean == pytest.approx(0.0, abs=1e-9)


def test_uncounted_and_missing_joints_are_ignored():
    truth = np.zeros((2, 17, 3))
    estimate = truth + np.array([0.001, 0.0, 0.0])
    estimate[0, PELVIS] = np.nan
    counted = np.ones((2, 17), dtype=bool)
    counted[1, 3] = False
    figures = errors(estimate, truth, counted)
    assert figures.absolute.size == 2 * GIVEN.sum() - 2
    assert figures.relative.size == GIVEN.sum() - 1  # the first has no pelvis
    assert np.isnan(pooled([]).figures().mean)


def test_rms_error_of_triangulation_is_the_bound_of_cramer_and_rao(held_out):
    trial = held_out.trial("h36m", held_out.pairs("P3")[0])
    rms = np.sqrt(np.mean(errors(trial.robust().xyz, trial.truth).absolute ** 2))
    bound = 1000.0 * np.sqrt(np.mean(trial.bound()[:, GIVEN] ** 2))
    assert rms == pytest.approx(bound, rel=0.05)


def test_noise_b_triangulates_as_badly_as_noise_a(held_out):
    means = []
    for noise in ("a", "b"):
        parts = []
        for name in ("P1", "P2", "P3", "P4"):
            for one in held_out.pairs(name):
                trial = held_out.trial("h36m", one, noise)
                parts.append(errors(trial.robust().xyz, trial.truth))
        means.append(pooled(parts).figures().mean)
    assert means[1] == pytest.approx(means[0], rel=0.15)


def test_people_are_at_the_requested_distance(held_out):
    head = at_distance(held_out.rigs("head530", 1)[0], 3.0)
    trial = held_out.trial("head530", head)
    place = np.linalg.norm(trial.truth[:, PELVIS, :2], axis=-1)
    assert place.mean() == pytest.approx(3.0, abs=0.1)


def test_spread_of_seeds_is_half_the_range_of_their_means():
    truth = np.zeros((1, 17, 3))
    figures = [errors(truth + np.array([by, 0.0, 0.0]), truth).figures() for by in (0.010, 0.014)]
    mean, spread = mean_figures(figures)
    assert mean.mean == pytest.approx(12.0)
    assert spread == pytest.approx(2.0)
    assert mean.gains(figures[0])[0] == pytest.approx(20.0)
