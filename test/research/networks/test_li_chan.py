from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from people_in_crops import crops, fall, parameters, without_gradient

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks.li_chan import Found, LiChanNet, in_windows, li_chan_loss


def test_parameters_by_hand() -> None:
    with torch.device("meta"):
        net = LiChanNet()
    # 112 px: 32 channels of 104, 52 after pooling; 64 of 48, 24; 64 of 20, 10.
    convolutions = 32 * (3 * 81 + 1) + 64 * (32 * 25 + 1) + 64 * (64 * 25 + 1)
    hidden = 1024 * (64 * 10 * 10 + 1) + 2048 * (1024 + 1)
    regression, detection = 48 * (2048 + 1), 1700 * (2048 + 1)
    assert parameters(net) == convolutions + 2 * hidden + regression + detection


@pytest.mark.parametrize("side", [58, 64, 97, 128])
def test_any_side_of_58_px_or_more(side: int) -> None:
    torch.manual_seed(0)
    found = LiChanNet(side, width=4, hidden=8)(crops(2, side).image)
    assert found.relative.shape == (2, 17, 3)
    assert found.windows.shape == (2, 17, 10, 10)


def test_smaller_crops_are_an_input_error() -> None:
    with pytest.raises(InputError, match="58 px or more"):
        LiChanNet(57)


@given(st.integers(56, 300), st.floats(-20, 320), st.floats(-20, 320))
def test_windows_of_a_joint_are_those_that_hold_it(side: int, x: float, y: float) -> None:
    inside = in_windows(torch.tensor([[[x, y]]], dtype=torch.float64), side)[0, 0]
    x, y = (x + 0.5) * 112 / side, (y + 0.5) * 112 / side
    for row in range(10):
        for column in range(10):
            holds = 10 * column <= x < 10 * column + 30 and 10 * row <= y < 10 * row + 30
            assert inside[row, column].item() == holds


def found_and_true():
    true = crops(2, 112)
    return Found(true.relative.clone(), torch.zeros(2, 17, 10, 10)), true


def test_regression_by_hand_counts_images_with_depth_only() -> None:
    found, true = found_and_true()
    found.relative[0, 3] += torch.tensor([0.3, 0.0, 0.4])  # 0.25 m2
    found.relative[1] += 5.0
    true = true._replace(has_depth=torch.tensor([True, False]))
    assert li_chan_loss(found, true, detection=0.0).item() == pytest.approx(0.25, rel=1e-4)


def test_detection_by_hand_counts_visible_joints_only() -> None:
    found, true = found_and_true()
    xy = torch.full((2, 17, 2), 4.5)  # 5 px from the corner: in the first window alone
    visible = torch.zeros(2, 17, dtype=torch.bool)
    visible[0, 0] = True
    found.windows[0, 0, 0, 0] = log(3)  # a probability of 3/4, where 99 are 1/2
    found.windows[0, 1] = 50.0  # wrong, but outside of the crop
    true = true._replace(xy=xy, visible=visible)
    expected = (log(4 / 3) + 99 * log(2)) / 100
    assert li_chan_loss(found, true, regression=0.0).item() == pytest.approx(expected, rel=1e-5)
    assert li_chan_loss(found, true).item() == pytest.approx(expected, rel=1e-5)  # the regression is perfect


def test_every_parameter_learns_and_a_batch_is_overfitted() -> None:
    torch.manual_seed(0)
    true = crops(4)
    net = LiChanNet(64, width=8, hidden=32)
    assert without_gradient(net, li_chan_loss(net(true.image), true)) == []
    assert fall(net.eval(), lambda: li_chan_loss(net(true.image), true), 100) < 0.1
