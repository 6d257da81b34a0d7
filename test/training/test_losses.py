import math

import pytest
import torch

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.training.losses import (
    MIRRORED_BONES,
    OUTLIER_M,
    bone_direction_loss,
    canonical_loss,
    posern_loss,
    reprojection_loss,
    symmetry_loss,
    transformation_loss,
)


def standing() -> torch.Tensor:
    """A made-up body, mirrored in x = 0: (17, 3) m."""
    body = torch.zeros(17, 3)
    for joint, name in enumerate(H36M_17.joint_names):
        side = {"R": -1.0, "L": 1.0}.get(name[0], 0.0)
        body[joint] = torch.tensor([side * (0.1 + 0.01 * (joint % 3)), 0.0, 0.5])
    for joint, height in enumerate((0, 0, -0.4, -0.8, 0, -0.4, -0.8, 0.25, 0.5, 0.6, 0.75, 0.5, 0.2, 0, 0.5, 0.2, 0)):
        body[joint, 1] = height
    for left, right in H36M_17.left_right:
        body[left] = body[right] * torch.tensor([-1.0, 1.0, 1.0])
    return body


def test_reprojection_is_in_square_metres_at_five_metres():
    xyz = torch.tensor([[[0.4, 0.0, 4.0], [0.0, 0.2, 2.0]]])  # seen at (0.1, 0) and (0, 0.1)
    labels = torch.tensor([[[0.101, 0.0], [0.0, 0.1]]])  # the first is 0.001 off: 0.005 m at 5 m
    assert reprojection_loss(xyz, labels, torch.ones(1, 2)).item() == pytest.approx(0.005**2 / 2, rel=0.01)


def test_far_beyond_the_outlier_limit_reprojection_grows_in_proportion():
    def loss(error: float) -> float:
        return reprojection_loss(torch.tensor([[[error, 0.0, 5.0]]]), torch.zeros(1, 1, 2), torch.ones(1, 1)).item()

    assert loss(2.0) - loss(1.0) == pytest.approx(2 * OUTLIER_M, rel=0.01)
    assert loss(4.0) - loss(3.0) == pytest.approx(2 * OUTLIER_M, rel=0.01)


def test_reprojection_weighs_joints_and_leaves_out_the_unlabelled():
    xyz = torch.tensor([[[0.4, 0.0, 4.0], [0.0, 0.2, 2.0], [9.0, 9.0, 1.0]]], requires_grad=True)
    labels = torch.tensor([[[0.101, 0.0], [0.0, 0.102], [math.nan, math.nan]]])
    loss = reprojection_loss(xyz, labels, torch.tensor([[3.0, 1.0, 0.0]]))
    assert loss.item() == pytest.approx((3 * 0.005**2 + 0.01**2) / 4, rel=0.02)
    loss.backward()
    assert torch.isfinite(xyz.grad).all()
    assert torch.equal(xyz.grad[0, 2], torch.zeros(3))


def test_joint_behind_the_camera_costs_much_but_not_infinitely():
    xyz = torch.tensor([[[0.4, 0.0, -1.0]]])
    assert 1 < reprojection_loss(xyz, torch.zeros(1, 1, 2), torch.ones(1, 1)).item() < 1e4


def test_six_bones_a_side_are_compared():
    names = {tuple(H36M_17.joint_names[joint] for joint in left) for left, _ in MIRRORED_BONES}
    assert names == {
        ("Pelvis", "LHip"), ("LHip", "LKnee"), ("LKnee", "LAnkle"),
        ("Thorax", "LShoulder"), ("LShoulder", "LElbow"), ("LElbow", "LWrist"),
    }  # fmt: skip


def test_symmetry_is_zero_for_a_symmetric_body_and_by_hand_for_a_longer_arm():
    body = standing()
    assert symmetry_loss(body).item() == pytest.approx(0.0, abs=1e-12)
    elbow, wrist = H36M_17.index("LElbow"), H36M_17.index("LWrist")
    bone = body[wrist] - body[elbow]
    body[wrist] = body[elbow] + bone * (1 + 0.03 / bone.norm())  # 3 cm longer
    assert symmetry_loss(body).item() == pytest.approx(0.03**2 / 6, rel=1e-3)


def test_transformation_counts_every_pair_once():
    world = torch.zeros(1, 3, 17, 3)
    world[:, 1, :, 0] = 0.03
    world[:, 2, :, 1] = 0.04
    assert transformation_loss(world).item() == pytest.approx((0.03**2 + 0.04**2 + 0.05**2) / 3)
    assert transformation_loss(world[:, :1]).item() == 0.0


def test_plain_norms_are_lengths_in_metres():
    """The paper's losses: the same errors as above, not squared."""
    xyz = torch.tensor([[[0.4, 0.0, 4.0], [0.0, 0.2, 2.0]]])
    labels = torch.tensor([[[0.101, 0.0], [0.0, 0.14]]])  # 0.005 m off and, far beyond the limit of outliers, 0.2 m
    assert reprojection_loss(xyz, labels, torch.ones(1, 2), plain=True).item() == pytest.approx(0.205 / 2, rel=1e-3)
    body = standing()
    elbow, wrist = H36M_17.index("LElbow"), H36M_17.index("LWrist")
    bone = body[wrist] - body[elbow]
    body[wrist] = body[elbow] + bone * (1 + 0.03 / bone.norm())
    assert symmetry_loss(body, plain=True).item() == pytest.approx(0.03 / 6, rel=1e-3)
    world = torch.zeros(1, 3, 17, 3, requires_grad=True)
    shift = torch.zeros(1, 3, 17, 3)
    shift[:, 1, :, 0], shift[:, 2, :, 1] = 0.03, 0.04
    loss = transformation_loss(world + shift, plain=True)
    assert loss.item() == pytest.approx((0.03 + 0.04 + 0.05) / 3)
    transformation_loss(world, plain=True).backward()  # of poses that agree
    assert torch.isfinite(world.grad).all()


def test_bone_direction_is_one_minus_the_cosine():
    body = standing()
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # 90 degrees about z
    tilted = torch.stack([body, body @ turn.T])[None]
    bones = torch.stack([body[child] - body[parent] for parent, child in H36M_17.bones])
    flat = bones[:, :2].square().sum(-1) / bones.square().sum(-1)  # the z part does not turn
    assert bone_direction_loss(tilted).item() == pytest.approx(flat.mean().item(), rel=1e-5)
    longer = torch.stack([body, 3 * body + 1])[None]
    assert bone_direction_loss(longer).item() == pytest.approx(0.0, abs=1e-6)


def test_joints_at_one_and_the_same_point_have_no_endless_gradient():
    """Joints that were not triangulated all enter at the person's mean: bones of no length."""
    body = standing()
    body[[2, 3]] = body[1].clone()  # a leg without length
    world = torch.stack([body, body + 1e-4 * torch.arange(17.0)[:, None]])[None].requires_grad_()
    bone_direction_loss(world).backward()
    assert world.grad.abs().max() < 1.0


def test_posern_loss_is_the_mean_square_over_seen_joints():
    predicted = torch.tensor([[[1.0, 0.0], [5.0, 5.0]]])
    bias = torch.tensor([[[0.0, 2.0], [math.nan, math.nan]]])
    seen = torch.tensor([[True, False]])
    assert posern_loss(predicted, bias, seen).item() == pytest.approx((1 + 4) / 2)


def test_canonical_loss_adds_metres_to_metres():
    pose, true_pose = torch.zeros(1, 2, 3), torch.tensor([[[0.1, -0.2, 0.3], [math.nan] * 3]])
    loss = canonical_loss(torch.tensor([4.0]), pose, torch.tensor([4.5]), true_pose, depth_weight=2.0)
    assert loss.item() == pytest.approx(0.6 + 2 * 0.5)
