import pytest
import torch
from people_in_crops import crops, fall, parameters, without_gradient

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks import zhou
from pose3d_ros.research.networks.hourglass import StackedHourglass
from pose3d_ros.research.networks.zhou import Joints25D, ZhouNet, bone_ratio_loss, depth_loss, zhou_loss
from pose3d_ros.skeletons import H36M_17

SIDE = 64


def network(**sizes) -> ZhouNet:
    torch.manual_seed(0)
    return ZhouNet(SIDE, width=16, modules=1, **sizes)


def without_depth(count: int):
    return crops(count, SIDE)._replace(
        has_depth=torch.zeros(count, dtype=torch.bool), xyz=torch.full((count, 17, 3), float("nan"))
    )


def residual(inputs: int, outputs: int) -> int:
    """Parameters of a residual module: three convolutions, three batch norms, a shortcut."""
    half = outputs // 2
    norms = 2 * (inputs + half + half)
    shortcut = 0 if inputs == outputs else (inputs + 1) * outputs
    return norms + (inputs + 1) * half + (9 * half + 1) * half + (half + 1) * outputs + shortcut


def test_parameters_are_the_public_networks_but_for_the_stem() -> None:
    with torch.device("meta"):
        net = ZhouNet(256, joints=16)
    # The authors' PyTorch network of 2 stacks, 2 modules and 4 x 2 modules for depth has 14 429 104.
    stem = residual(128, 256) + residual(256, 256) - residual(128, 128) - residual(128, 256)
    assert parameters(net) == 14_429_104 + stem


def test_hourglasses_that_feed_back_last_give_the_same_heatmaps() -> None:
    torch.manual_seed(0)
    net = StackedHourglass(2, 16, modules=2, feed_last=True).eval()
    image = crops(2, SIDE).image
    maps = net.maps(image)
    assert torch.equal(net(image), maps.heatmaps)
    assert maps.features.shape == (2, 16, SIDE // 4, SIDE // 4)


@pytest.mark.parametrize("side", [64, 100, 128])
def test_any_side_of_64_px_or_more(side: int) -> None:
    torch.manual_seed(0)
    true = crops(2, side)
    found = ZhouNet(side, width=16, modules=1)(true.image)
    assert found.depth.shape == (2, 17)
    assert found.relative(true.xyz[:, 0, 2], true.K).shape == (2, 17, 3)


def test_smaller_crops_are_an_input_error() -> None:
    with pytest.raises(InputError, match="64 px or more"):
        ZhouNet(60)


def test_true_maps_and_depths_give_the_true_pose() -> None:
    true = crops(3, SIDE)
    root_m = true.xyz[:, 0, 2]
    depth = true.relative[..., 2] * (5 / 3 * SIDE / root_m * 2 / SIDE)[:, None]
    found = Joints25D(torch.zeros(0), true.xy, depth, SIDE)
    torch.testing.assert_close(found.relative(root_m, true.K), true.relative, atol=1e-4, rtol=1e-3)
    assert depth_loss(depth, true).item() == pytest.approx(0.0, abs=1e-10)


def test_depth_loss_by_hand_counts_images_with_depth_only() -> None:
    true = crops(2, SIDE)
    xyz = torch.zeros(2, 17, 3)
    xyz[..., 2] = 5.0
    xyz[0, 4, 2] = 5.3
    xyz[1] = float("nan")
    true = true._replace(xyz=xyz, has_depth=torch.tensor([True, False]))
    depth = torch.zeros(2, 17)
    depth[1] = 9.0
    # 0.3 m are 0.3 x (5/3 S) / 5 px, and 0.2 half crops: the square over 2 x 17 joints.
    assert depth_loss(depth, true).item() == pytest.approx(0.2**2 / 34, rel=1e-4)


def stick_figure(true, left_thigh: float, right_thigh: float):
    """Only bones of the legs have a length, in half crops; x and y are the same of all other joints."""
    xy = torch.full((1, 17, 2), SIDE / 2)
    for side, thigh in (("L", left_thigh), ("R", right_thigh)):
        knee, ankle = H36M_17.index(f"{side}Knee"), H36M_17.index(f"{side}Ankle")
        xy[0, knee, 1] += thigh * SIDE / 2
        xy[0, ankle, 1] += (thigh + 0.4 / zhou.SHIN) * SIDE / 2
    return true._replace(xy=xy)


def test_bone_ratio_loss_by_hand() -> None:
    true = stick_figure(without_depth(1), 0.4, 0.4)
    assert bone_ratio_loss(torch.zeros(1, 17), true).item() == pytest.approx(0.0, abs=1e-8)
    true = stick_figure(true, 0.6, 0.4)  # lengths 0.6, 0.4, 0.4, 0.4: their variance is 0.0075
    assert bone_ratio_loss(torch.zeros(1, 17), true).item() == pytest.approx(0.0075, rel=1e-4)
    depth = torch.zeros(1, 17)
    depth[0, H36M_17.index("RKnee")] = 0.3  # thigh 0.5, shin 0.5 scaled: 0.4 -> sqrt(0.4^2 + (0.3 SHIN)^2)
    shin = (0.4**2 + (0.3 * zhou.SHIN) ** 2) ** 0.5
    lengths = torch.tensor([0.6, 0.4, 0.5, shin])
    assert bone_ratio_loss(depth, true).item() == pytest.approx(lengths.var(correction=0).item(), rel=1e-4)


def test_bones_outside_of_the_crop_and_images_with_depth_have_no_ratios() -> None:
    true = stick_figure(without_depth(1), 0.6, 0.4)
    visible = true.visible.clone()
    visible[0, H36M_17.index("LKnee")] = False  # neither left thigh nor left shin: two bones of 0.4 remain
    assert bone_ratio_loss(torch.zeros(1, 17), true._replace(visible=visible)).item() == pytest.approx(0.0, abs=1e-8)
    assert bone_ratio_loss(torch.zeros(1, 17), true._replace(has_depth=torch.tensor([True]))).item() == 0.0


def test_the_loss_is_the_sum_with_the_papers_weights() -> None:
    true = crops(2, SIDE)
    true = true._replace(has_depth=torch.tensor([True, False]))
    found = network()(true.image)
    heatmaps = zhou.hourglass_loss(found.heatmaps, true).item()
    expected = heatmaps + 0.1 * depth_loss(found.depth, true).item()
    assert zhou_loss(found, true, geometry=0.0).item() == pytest.approx(expected)
    expected += 0.01 * bone_ratio_loss(found.depth, true).item()
    assert zhou_loss(found, true).item() == pytest.approx(expected)


def test_images_with_2d_labels_alone_teach_depths() -> None:
    true = without_depth(2)
    net = network()
    loss = zhou_loss(net(true.image), true)
    assert loss.isfinite()
    assert without_gradient(net, loss) == []


def test_every_parameter_learns_and_a_batch_is_overfitted() -> None:
    true = crops(2, SIDE)
    net = network(stacks=1)
    assert without_gradient(net, zhou_loss(net(true.image), true)) == []
    assert fall(net, lambda: zhou_loss(net(true.image), true), 60, 1e-2) < 0.3
    error = net(true.image).depth - true.relative[..., 2] * (10 / 3 / true.xyz[:, :1, 2])
    assert error.abs().mean() < 0.1  # half crops; that of depths of 0 is 0.17


def test_xy_is_the_highest_bin_of_the_last_hourglass() -> None:
    true = crops(1, SIDE)
    found = network().eval()(true.image)
    joint = found.heatmaps[0, -1, 3]
    row, column = divmod(joint.argmax().item(), SIDE // 4)
    assert found.xy_px[0, 3].tolist() == [4 * column + 1.5, 4 * row + 1.5]
