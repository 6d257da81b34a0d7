import numpy as np
import pytest
import torch
from tiny_motion import tiny_motion

from pose3d_ros.data.augmentation import placed
from pose3d_ros.data.noise import GaussianNoise
from pose3d_ros.data.simulated_rigs import simulated_rig
from pose3d_ros.data.simulation import GIVEN, SimulatedViews, simulate
from pose3d_ros.networks.posern import PoseRN, prepare, refine
from pose3d_ros.training.bias import bias_data, bias_loss, joined


def views(sigma_px: float = 4.0) -> SimulatedViews:
    rng = np.random.default_rng(0)
    one, motion = simulated_rig("h36m", 0, held_out=False), tiny_motion()
    xyz = placed(motion.xyz[motion.draw(5, 1, rng)], one.floor, rng)
    return simulate(xyz, one, GaussianNoise(sigma_px), rng)


def test_every_camera_gives_a_row_and_the_oracle_leaves_no_residual():
    data = bias_data(views())
    assert data.xy.shape == (4 * 5, 17, 2)
    ready = prepare(data.xyz, data.xy, data.size_wh)
    clean = refine(data.xy, data.bias / ready.unit[:, None, None], ready.unit, ready.seen)
    exact = bias_data(views(sigma_px=0.0))
    torch.testing.assert_close(clean[:, GIVEN], exact.xy[:, GIVEN], atol=2e-3, rtol=0)


def test_without_noise_there_is_no_bias_to_learn():
    data = bias_data(views(sigma_px=0.0))
    assert np.nanmax(data.bias.abs().numpy()) < 1e-4

    class Zero(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(features), 17, 2)

    assert bias_loss(Zero(), data._asdict()).item() == pytest.approx(0.0, abs=1e-9)


def test_the_loss_is_finite_with_missing_joints_and_reaches_every_parameter():
    torch.manual_seed(0)
    data = joined([bias_data(views()), bias_data(views())])
    assert torch.isnan(data.xy[:, ~torch.from_numpy(GIVEN)]).all()
    net = PoseRN(width=32)
    bias_loss(net, data._asdict()).backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() > 0 for p in net.parameters())
