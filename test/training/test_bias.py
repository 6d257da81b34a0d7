import numpy as np
import pytest
import torch
from tiny_motion import simulated_views, tiny_motion

from pose3d_ros.networks.posern import PoseRN, prepare, refine
from pose3d_ros.simulation.detector_bias import DetectorBias, learnable_bias
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.training.bias import bias_data, bias_loss, joined, shared_bias, squared_bias_loss
from pose3d_ros.training.draws import Draws


def test_every_camera_gives_a_row_and_the_oracle_leaves_no_residual():
    data = bias_data(simulated_views())
    assert data.xy.shape == (4 * 5, 17, 2)
    ready = prepare(data.xyz, data.xy, data.size_wh)
    clean = refine(data.xy, data.bias / ready.unit[:, None, None], ready.unit, ready.seen)
    exact = bias_data(simulated_views(sigma_px=0.0))
    torch.testing.assert_close(clean[:, GIVEN], exact.xy[:, GIVEN], atol=2e-3, rtol=0)


def test_without_noise_there_is_no_bias_to_learn():
    data = bias_data(simulated_views(sigma_px=0.0))
    assert np.nanmax(data.bias.abs().numpy()) < 1e-4

    class Zero(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(features), 17, 2)

    assert bias_loss(Zero(), data._asdict()).item() == pytest.approx(0.0, abs=2e-6)  # the root of EPSILON


def test_loss_is_finite_with_missing_joints_and_reaches_every_parameter():
    torch.manual_seed(0)
    data = joined([bias_data(simulated_views()), bias_data(simulated_views())])
    assert torch.isnan(data.xy[:, ~torch.from_numpy(GIVEN)]).all()
    net = PoseRN(width=32)
    bias_loss(net, data._asdict()).backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() > 0 for p in net.parameters())


def test_bias_alone_is_a_target_without_noise_under_an_input_with_noise():
    seen = simulated_views()
    error, alone = bias_data(seen), bias_data(seen, seen.biased_px)
    torch.testing.assert_close(alone.xy, error.xy, equal_nan=True)
    assert error.bias.nan_to_num().abs().max() > 5.0
    assert alone.bias.nan_to_num().abs().max() < 1e-3  # this detector has none


def test_one_gross_error_drowns_the_squared_loss_and_not_ours():
    data = bias_data(simulated_views())._asdict()
    gross = {**data, "bias": data["bias"].clone()}
    gross["bias"][0, 5] += 1000.0

    class Zero(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(features), 17, 2)

    growth = [loss(Zero(), gross).item() / loss(Zero(), data).item() for loss in (bias_loss, squared_bias_loss)]
    assert growth[0] < 5 < 50 < growth[1]


def test_share_of_the_rigs_has_a_detector_without_bias():
    recipe = {"network": "posern", "seed": 0, "rigs": ["h36m"], "rig_count": 20, "noise": "gaussian", "sigma_px": 0.0}
    per_share = {}
    for share in (0.0, 0.5):
        draws = Draws({**recipe, "bias_free": share}, tiny_motion(), 40)
        size = draws.epoch(0)["bias"].abs().nan_to_num().amax(dim=(1, 2))
        per_share[share] = (size > 0.5).float().mean().item()
    assert per_share[0.0] == 1.0
    assert 0.2 < per_share[0.5] < 0.8


def test_shared_bias_has_no_personal_part():
    shared = shared_bias(range(1000, 1016))
    own = [np.linalg.norm(DetectorBias.draw(seed).offset - shared.offset) for seed in range(9000, 9004)]
    assert np.linalg.norm(learnable_bias().offset - shared.offset) < 0.6 * min(own)
    assert shared.of_person == 0.0
