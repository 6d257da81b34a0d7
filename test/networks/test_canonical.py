import pytest
import torch

from pose3d_ros.networks import mehta
from pose3d_ros.networks.canonical import (
    Lifted,
    absolute,
    back_project,
    canonical_depth,
    flip,
    focal,
    metric_depth,
    offsets,
    scaled_to_height,
    stature,
    targets,
    with_root,
)
from pose3d_ros.skeletons import H36M_17

K = torch.tensor([[[1200.0, 0.0, 500.0], [0.0, 900.0, 400.0], [0.0, 0.0, 1.0]]], dtype=torch.float64)


def pose(depth: float = 4.0) -> torch.Tensor:
    """(1, 17, 3) m in the camera frame."""
    generator = torch.Generator().manual_seed(0)
    xyz = 0.3 * torch.randn(1, 17, 3, generator=generator, dtype=torch.float64)
    return xyz + torch.tensor([0.4, -0.2, depth], dtype=torch.float64)


def seen(xyz: torch.Tensor, camera: torch.Tensor = K) -> torch.Tensor:
    image = xyz @ camera.transpose(1, 2)
    return image[..., :2] / image[..., 2:]


def test_metric_depth_inverts_canonical_depth_with_unequal_focal_lengths():
    depth = torch.tensor([3.7], dtype=torch.float64)
    assert focal(K).item() == pytest.approx((1200 * 900) ** 0.5)
    assert metric_depth(canonical_depth(depth, K), K).item() == pytest.approx(3.7, abs=1e-12)
    assert canonical_depth(depth, K).item() == pytest.approx(3.7 * 1000 / (1200 * 900) ** 0.5)


def test_resizing_by_s_divides_canonical_depth_by_s():
    half = torch.diag(torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)) @ K
    depth = torch.tensor([3.0], dtype=torch.float64)
    torch.testing.assert_close(canonical_depth(depth, half), canonical_depth(depth, K) / 0.5)


def test_targets_and_absolute_are_inverse():
    xyz = pose()
    torch.testing.assert_close(absolute(targets(xyz, K), seen(xyz)[:, 0], K), xyz)


def test_back_projection_uses_each_axis_own_focal_length():
    xyz = pose()
    torch.testing.assert_close(back_project(seen(xyz)[:, 0], xyz[:, 0, 2], K), xyz[:, 0])


def test_squared_pixels_are_those_of_a_camera_with_one_focal_length():
    xyz = pose()
    alpha = focal(K)
    torch.testing.assert_close(offsets(seen(xyz), K), alpha * xyz[..., :2] / xyz[..., 2:])


def test_flip_moves_the_principal_point_and_stays_a_projection():
    xyz, width = pose(), torch.tensor([1000.0], dtype=torch.float64)
    xy_flipped, xyz_flipped, K_flipped = flip(seen(xyz), xyz, K, width)
    assert K_flipped[0, 0, 2].item() == 1000 - 1 - 500
    torch.testing.assert_close(seen(xyz_flipped, K_flipped), xy_flipped)
    left, right = H36M_17.index("LWrist"), H36M_17.index("RWrist")
    assert xyz_flipped[0, left, 0] == -xyz[0, right, 0]
    again = flip(xy_flipped, xyz_flipped, K_flipped, width)
    for one, other in zip(again, (seen(xyz), xyz, K), strict=True):
        torch.testing.assert_close(one, other)


def test_analytic_depth_is_exact_for_a_scaled_orthographic_person():
    """All joints projected at one depth, that of the person's mean."""
    xyz = pose()
    mean_depth = xyz[..., 2].mean()
    xy = focal(K) * xyz[..., :2] / mean_depth
    xy = xy * torch.tensor([1200.0, 900.0]) / focal(K) + K[:, None, :2, 2]
    relative = xyz - xyz[:, :1]
    assert mehta.root_depth(relative, xy, K).item() == pytest.approx(xyz[0, 0, 2].item(), abs=1e-9)
    unseen = xy.clone()
    unseen[0, 10] = float("nan")
    assert mehta.root_depth(relative, unseen, K).isfinite().all()


def test_analytic_root_of_a_flat_person_is_the_root():
    xyz = pose()
    xyz[..., 2] = 4.0
    torch.testing.assert_close(mehta.root(xyz - xyz[:, :1], seen(xyz), K), xyz[:, 0])


def test_analytic_depth_is_near_for_a_real_person():
    xyz = pose(depth=8.0)
    assert mehta.root_depth(xyz - xyz[:, :1], seen(xyz), K).item() == pytest.approx(xyz[0, 0, 2].item(), rel=0.05)


def test_known_height_scales_pose_and_depth_and_keeps_the_image():
    xyz = pose()
    truth = targets(xyz, K)
    wrong = Lifted(truth.depth * 0.8, truth.pose * 0.8)
    bones = stature(with_root(truth.pose))
    # The sole is a constant, so the ratio is not exactly 1 / 0.8.
    scaled = scaled_to_height(wrong, bones)
    ratio = (scaled.depth / wrong.depth).item()
    assert ratio == pytest.approx((bones / stature(with_root(wrong.pose))).item())
    root = seen(xyz)[:, 0]
    torch.testing.assert_close(seen(absolute(scaled, root, K)), seen(absolute(wrong, root, K)))
    unknown = scaled_to_height(wrong, torch.tensor([float("nan")], dtype=torch.float64))
    torch.testing.assert_close(unknown.depth, wrong.depth)


def test_stature_of_a_bent_person_follows_the_bones():
    straight = torch.zeros(17, 3)
    heights = {"Knee": -0.45, "Ankle": -0.9, "Spine": 0.25, "Thorax": 0.5, "Nose": 0.6, "HeadTop": 0.75}
    for joint, name in enumerate(H36M_17.joint_names):
        straight[joint, 1] = next((h for part, h in heights.items() if name.endswith(part)), 0.0)
    assert stature(straight).item() == pytest.approx(0.9 + 0.75 + 0.07)
    bent = straight.clone()
    for name in ("LKnee", "LAnkle", "RKnee", "RAnkle"):  # sitting: thighs forward
        bent[H36M_17.index(name)] += torch.tensor([0.0, 0.45, 0.45])
    assert stature(bent).item() == pytest.approx(stature(straight).item())
