"""CV-UGCN and its input features in NumPy: the same functions as in torch, for any number of people and views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pose3d_ros.errors import InputError
from pose3d_ros.networks.cvugcn import SHIFT_M, CvUgcn, CvUgcnOptions
from pose3d_ros.networks.cvugcn_numpy import shift_in_numpy
from pose3d_ros.networks.rig_features import RIG_FEATURES, Sight, rig_input, transformed
from pose3d_ros.networks.rig_features_numpy import SightInNumpy, in_world, rig_input_in_numpy
from pose3d_ros.networks.spread import refined_covariance, refined_covariance_in_numpy
from pose3d_ros.weights import trained


def untrained(views: int = 2, **options: object) -> CvUgcn:
    """A network whose every number is drawn, so that each one shows in the answer."""
    torch.manual_seed(views)
    net = CvUgcn(CvUgcnOptions(views=views, features=RIG_FEATURES, widths=(12, 24, 40), **options))  # type: ignore[arg-type]
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            for numbers in (module.weight.data, module.running_var):
                numbers.uniform_(0.5, 1.5)
            for numbers in (module.bias.data, module.running_mean):
                numbers.normal_(std=0.3)
    nn.init.normal_(net.shift.weight)
    nn.init.normal_(net.shift.bias)
    net.norm.mean.normal_()
    net.norm.std.uniform_(0.5, 2.0)
    return net.eval().requires_grad_(False)


def check(net: CvUgcn, people: int) -> None:
    """Against the network in float64: 1e-5 of the largest shift."""
    features = torch.randn(people, net.options.views, 17, RIG_FEATURES, generator=torch.Generator().manual_seed(people))
    shift = shift_in_numpy(net)(features.numpy())
    coarse = torch.zeros(people, net.options.views, 17, 3, dtype=torch.float64)
    expected = CvUgcn(net.options).double().eval()
    expected.load_state_dict(net.state_dict())
    truth = expected.requires_grad_(False)(features.double(), coarse).numpy()
    assert shift.dtype == np.float32
    assert np.abs(truth).max() > 0.1 * SHIFT_M
    np.testing.assert_allclose(shift, truth, atol=1e-5 * np.abs(truth).max())


@pytest.mark.parametrize("people", range(1, 6))
@pytest.mark.parametrize("views", [2, 3])
def test_shipped_network_shifts_as_in_torch(people: int, views: int) -> None:
    net = trained.load("cvugcn-rig").net
    assert isinstance(net, CvUgcn)
    check(net.with_views(views), people)


@pytest.mark.parametrize("options", [{"stems": "shared"}, {"stems": "none"}])
@pytest.mark.parametrize("kinds", [{}, {"spatial": False}, {"cross_view": False}])
@pytest.mark.parametrize("views", [2, 4])
def test_every_rig_conditioned_form_shifts_as_in_torch(options: dict, kinds: dict, views: int) -> None:
    for people in (1, 3):
        check(untrained(views, **options, **kinds), people)


def test_separate_stems_are_rejected() -> None:
    with pytest.raises(InputError, match="separate stems"):
        shift_in_numpy(untrained(stems="separate"))


def sight(people: int, views: int, seed: int) -> SightInNumpy:
    """People of many poses in the middle of cameras about 4 m away, with joints missing, out of reach or not seen."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(scale=0.4, size=(people, 17, 3))
    angle = rng.uniform(0, 2 * np.pi, (people, views))
    cam_from_world = np.zeros((people, views, 4, 4))
    cosine, sine = np.cos(angle), np.sin(angle)
    cam_from_world[..., 0, 0], cam_from_world[..., 0, 1] = cosine, sine
    cam_from_world[..., 1, 2] = -1.0
    cam_from_world[..., 2, 0], cam_from_world[..., 2, 1] = -sine, cosine
    cam_from_world[..., :3, 3] = rng.normal((0.0, 0.1, 4.0), 0.2, size=(people, views, 3))
    cam_from_world[..., 3, 3] = 1.0
    seen_from = coarse[:, None] @ cam_from_world[..., :3, :3].swapaxes(-1, -2) + cam_from_world[..., None, :3, 3]
    observed = seen_from[..., :2] / seen_from[..., 2:] + rng.normal(scale=0.1, size=(people, views, 17, 2))
    observed[rng.random((people, views, 17)) < 0.1] = np.nan
    coarse[rng.random((people, 17)) < 0.05 * (seed % 4)] = np.nan
    coarse[0, seed % 17] = 30.0 if seed % 3 else np.nan
    score, focal_px = rng.random((people, views, 17)), rng.uniform(400, 1500, (people, views))
    return SightInNumpy(coarse, observed, score, focal_px, cam_from_world)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("people", range(1, 6))
def test_input_features_are_the_same_as_in_torch(people: int, views: int) -> None:
    for seed in range(12):
        given = sight(people, views, seed)
        truth = rig_input(Sight(*(torch.from_numpy(one) for one in given)))
        found = rig_input_in_numpy(given)
        np.testing.assert_allclose(found.features, truth.features.numpy(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.pose, truth.coarse[:, 0].numpy(), atol=1e-9)
        back = transformed(truth.world_from_frame[:, 0], truth.coarse[:, 0]).numpy()
        np.testing.assert_allclose(in_world(found, found.pose), back, atol=1e-9)


def test_missing_joint_is_encoded_as_in_torch() -> None:
    given = sight(1, 2, 0)
    given.coarse[:] = np.nan
    truth = rig_input(Sight(*(torch.from_numpy(one) for one in given)))
    np.testing.assert_allclose(rig_input_in_numpy(given).features, truth.features.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("people", [0, 1, 3])
def test_covariances_are_the_same_as_in_torch(people: int) -> None:
    spread = trained.load("cvugcn-rig").spread
    for seed in range(4):
        rng = np.random.default_rng(seed)
        half = rng.normal(scale=0.03, size=(people, 17, 3, 3))
        given = half @ half.swapaxes(-1, -2)
        given[rng.random((people, 17)) < 0.3 * seed] = np.nan
        given[1:2] = np.nan
        truth = refined_covariance(spread, torch.from_numpy(given)).numpy()
        np.testing.assert_allclose(refined_covariance_in_numpy(spread)(given), truth, rtol=1e-7, atol=1e-15)
