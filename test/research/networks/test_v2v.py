import pytest
import torch

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks.v2v import V2V


def test_full_network_has_as_many_parameters_as_the_public_one():
    """Iskakov et al.'s code, 32 channels to 17 joints, counted by running it: 11,944,353."""
    with torch.device("meta"):
        net = V2V(32, 17, 64)
    assert sum(p.numel() for p in net.parameters()) == 11_944_353


@pytest.mark.parametrize("voxels", [4, 8, 16])
def test_volume_keeps_its_size(voxels):
    with torch.no_grad():
        assert V2V(3, 5, voxels, 4)(torch.zeros(2, 3, voxels, voxels, voxels)).shape == (2, 5, voxels, voxels, voxels)


@pytest.mark.parametrize("voxels", [2, 24])
def test_volume_that_cannot_be_halved_is_rejected(voxels):
    with pytest.raises(InputError, match=f"{voxels} voxels a side"):
        V2V(3, 5, voxels)


def test_biases_start_at_0_and_one_volume_is_enough_to_train():
    torch.manual_seed(0)
    net = V2V(2, 3, 8, 4)
    assert net.layers[-1].bias.abs().max() == 0
    net(torch.randn(1, 2, 8, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
