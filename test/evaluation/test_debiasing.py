import numpy as np
import torch
from synthetic_motion import arrays
from torch import nn

from pose3d_ros.evaluation.debiasing import Constants, bias_left, by_network, frame_errors, network, oracle, subset
from pose3d_ros.evaluation.trials import Trial
from pose3d_ros.mocap.motion import Motion, motion_from_arrays
from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.detector_bias import DetectorBias, learnable_bias
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.simulation.views import GIVEN, simulate
from pose3d_ros.skeletons import LIMB_JOINTS


def motion() -> Motion:
    return motion_from_arrays(arrays())


def trial(bias: DetectorBias | None, sigma_px: float = 0.0, repeats: int = 1) -> Trial:
    """24 walkers, each repeated, before Human3.6M's rig of S9."""
    one = simulated_rig("h36m", 0, held_out=True)
    rng = np.random.default_rng(3)
    xyz = np.repeat(placed(motion().xyz[::8][:, None], one.floor, rng), repeats, axis=0)
    return Trial("h36m", one, simulate(xyz, one, GaussianNoise(sigma_px), rng, bias=bias), one.sigma_px)


class Zero(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(features), 17, 2)


def test_oracle_of_the_whole_bias_leaves_only_the_noise():
    seen = trial(DetectorBias.draw(9000))
    assert frame_errors(seen.robust().xyz, seen.truth, GIVEN).mean() > 15.0
    assert (
        frame_errors(oracle(seen, whole=True), seen.truth, GIVEN).max() < 1.0
    )  # a middle in the image is not quite one in space
    left = frame_errors(oracle(seen, whole=False), seen.truth, GIVEN).mean()
    assert 3.0 < left < 18.0  # what detectors and people have of their own


def test_all_of_a_learnable_bias_is_gone_with_its_oracle_and_none_without_correction():
    seen = trial(learnable_bias(), sigma_px=3.0, repeats=16)
    before, nothing = bias_left(seen, lambda one: one.robust().xyz, 16, GIVEN)
    assert nothing == before
    assert 15.0 < before < 25.0
    assert bias_left(seen, lambda one: oracle(one, whole=False), 16, GIVEN)[1] < 1.0
    # A correction that errs differently in every sight is no bias that is left.
    rng = np.random.default_rng(0)
    shaken = bias_left(
        seen, lambda one: oracle(one, whole=False) + rng.normal(scale=0.01, size=one.truth.shape), 16, GIVEN
    )
    assert shaken[1] < 6.0


def test_constants_are_fitted_where_the_bias_is_constant_and_help_there():
    constants = Constants.fitted(motion(), seed=0)
    seen = trial(learnable_bias())
    plain, flat, deep = (
        frame_errors(xyz, seen.truth, GIVEN).mean()
        for xyz in (seen.robust().xyz, constants.in_2d(seen), constants.in_3d(seen))
    )
    assert deep < 0.7 * plain
    assert flat < plain


def test_network_that_predicts_nothing_changes_nothing():
    seen = trial(None, sigma_px=3.0)
    refiner = network(Zero(), {"network": "posern"})
    np.testing.assert_allclose(by_network(refiner)(seen), seen.robust().xyz, atol=1e-9)


def test_subsets_hold_what_a_detector_gives():
    assert subset(LIMB_JOINTS).sum() == 12
    assert subset(("HeadTop", "Nose")).sum() == 1
