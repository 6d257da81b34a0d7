import pytest
import torch
from tiny_motion import simulated_views

from pose3d_ros.networks.canonical import stature, targets
from pose3d_ros.networks.lifter import AbsPoseLifter, LifterOptions
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import DERIVED, H36M_17
from pose3d_ros.training.lifting import (
    LiftingData,
    joined,
    lifting_data,
    lifting_loss,
    mirrored_half,
    usable,
    zoomed,
)

# Not Pelvis, Spine and Thorax: the mean of two pixels is not the pixel of the mean.
DETECTED = [joint for joint in range(17) if GIVEN[joint] and H36M_17.joint_names[joint] not in DERIVED]


def data(sigma_px: float = 0.0) -> LiftingData:
    return lifting_data(simulated_views(sigma_px=sigma_px))


class Oracle(torch.nn.Module):
    """Says the truth of these people, off by a known depth."""

    def __init__(self, xyz: torch.Tensor, factor: float = 1.0) -> None:
        super().__init__()
        self.xyz, self.factor = xyz, factor

    def forward(self, xy: torch.Tensor, K: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        truth = targets(self.xyz, K)
        return truth._replace(depth=truth.depth * self.factor)


def test_poses_are_in_the_camera_and_keypoints_in_its_undistorted_image():
    views = data()
    assert views.xy.shape == (4 * 5, 17, 2)
    image = views.xyz @ views.K.transpose(1, 2)
    error = (image[..., :2] / image[..., 2:] - views.xy)[:, DETECTED]
    assert error.abs().max() < 0.01  # px


def test_oracle_has_no_loss():
    views = data()
    loss = lifting_loss(mirror=False)(Oracle(views.xyz), views._asdict())
    assert loss.item() == pytest.approx(0.0, abs=1e-5)


def test_half_are_mirrored_and_both_halves_stay_projections():
    torch.manual_seed(0)
    views = joined([data()] * 5)
    mirrored = mirrored_half(views)
    changed = (mirrored.xyz != views.xyz).any(dim=(1, 2))
    assert 30 < changed.sum() < 70
    image = mirrored.xyz @ mirrored.K.transpose(1, 2)
    error = (image[..., :2] / image[..., 2:] - mirrored.xy)[:, DETECTED]
    assert error.abs().max() < 0.01


def test_loss_reaches_every_parameter():
    torch.manual_seed(0)
    net = AbsPoseLifter(LifterOptions(width=32))
    for canonical in (True, False):
        net.zero_grad()
        lifting_loss(canonical=canonical)(net, data(4.0)._asdict()).backward()
        assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() > 0 for p in net.parameters())


def test_zoomed_image_is_still_a_projection_and_canonical_depth_follows():
    views = data()
    factor = torch.linspace(0.5, 2.0, len(views.xy))
    near = zoomed(views, factor)
    image = near.xyz @ near.K.transpose(1, 2)
    assert (image[..., :2] / image[..., 2:] - near.xy)[:, DETECTED].abs().max() < 0.02
    torch.testing.assert_close(targets(near.xyz, near.K).depth, targets(views.xyz, views.K).depth / factor)
    assert near.K[:, 2, 2].unique().tolist() == [1.0]


def test_views_that_a_node_rejects_are_dropped():
    views = data()
    views.xy[0, [H36M_17.index(name) for name in ("Pelvis", "Thorax")]] = float("nan")
    views.xy[1, 3:] = float("nan")
    assert len(usable(views).xy) == len(views.xy) - 2


def test_half_of_the_heights_are_inputs_if_the_network_takes_them():
    class Listener(Oracle):
        heights = torch.zeros(0)

        def forward(self, xy, K, seen=None, height=None):
            Listener.heights = height
            return super().forward(xy, K)

    torch.manual_seed(0)
    views = joined([data()] * 10)
    loss = lifting_loss(mirror=False, heights=True)(Listener(views.xyz), views._asdict())
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    known = torch.isfinite(Listener.heights)
    assert 0.3 < known.float().mean() < 0.7
    assert (Listener.heights[known] - stature(views.xyz)[known]).abs().max() < 0.06


def test_depth_has_the_requested_weight():
    views = data()
    off = Oracle(views.xyz, 1.1)
    one, four = (lifting_loss(mirror=False, depth_weight=weight)(off, views._asdict()) for weight in (1.0, 4.0))
    assert four.item() == pytest.approx(4.0 * one.item(), rel=1e-4)
