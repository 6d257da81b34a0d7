from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ring_of_views import STANDING, exact_heatmaps, people, views_of

from pose3d_ros.errors import InputError, OptionError
from pose3d_ros.research.networks.multiview import triangulate_peaks
from pose3d_ros.research.networks.pictorial import (
    PictorialOptions,
    best_places,
    limb_lengths,
    pictorial_structure,
    recursive_pictorial_structure,
    shell_maximum,
)

LIMBS = limb_lengths(people(100, seed=1))


def grid(bins: int, cube_m: float) -> torch.Tensor:
    axis = ((torch.arange(bins) + 0.5) / bins - 0.5) * cube_m
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)


def test_two_joints_by_hand():
    """Bins 1 m apart on a cube's corners, a limb of 1 m: the child is one edge away, not at the higher bin 2 edges off.

    Parent 0.5 at corner 000 and 0.4 at 111; child 0.9 at 011, 0.8 at 001. Pairs that fit: 000-001 0.40, 111-011 0.36.
    """
    options = PictorialOptions(bins=2)
    unary = torch.full((1, 2, 8), 0.01)
    unary[0, 0, 0], unary[0, 0, 7] = 0.5, 0.4
    unary[0, 1, 3], unary[0, 1, 1] = 0.9, 0.8
    points = grid(2, 2.0).expand(1, 2, 8, 3)
    limb = torch.tensor([[0.0, 1.0]])

    def shells(joint: int, best: torch.Tensor) -> torch.Tensor:
        return shell_maximum(best, limb[:, joint], options)

    found = best_places(unary.log(), points, limb, (-1, 0), 0.15, shells)
    assert found.tolist() == [[[-0.5, -0.5, -0.5], [-0.5, -0.5, 0.5]]]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), tree=st.sampled_from([(-1, 0, 1), (-1, 0, 0)]))
def test_optimum_is_that_of_trying_all_poses(seed, tree):
    generator = torch.Generator().manual_seed(seed)
    options = PictorialOptions(cube_m=1.5, bins=3, tolerance_m=0.3)
    unary = torch.randn(2, 3, 27, generator=generator)
    limb = 0.4 + 0.6 * torch.rand(2, 3, generator=generator)
    points = grid(3, 1.5)
    found = best_places(
        unary, points.expand(2, 3, 27, 3), limb, tree, 0.3, lambda j, best: shell_maximum(best, limb[:, j], options)
    )
    for pose in range(2):
        total = torch.zeros(27, 27, 27)
        for joint, shape in enumerate(((27, 1, 1), (1, 27, 1), (1, 1, 27))):
            total = total + unary[pose, joint].reshape(shape)
        for joint in (1, 2):
            fits = (torch.cdist(points, points) - limb[pose, joint]).abs() <= 0.3
            missing = ({0, 1, 2} - {joint, tree[joint]}).pop()
            total = total.masked_fill(~fits.unsqueeze(missing), -torch.inf)
        states = torch.unravel_index(total.argmax(), total.shape)
        torch.testing.assert_close(found[pose], points[torch.stack(states)])


def test_shell_maximum_is_the_maximum_over_all_pairs():
    options = PictorialOptions(bins=5)
    best = torch.randn(3, 125, generator=torch.Generator().manual_seed(0))
    length = torch.tensor([0.1, 0.5, 1.3])
    distance = torch.cdist(grid(5, 2.0), grid(5, 2.0))
    for pose, found in enumerate(shell_maximum(best, length, options)):
        fits = (distance - length[pose]).abs() <= 0.15
        assert found.tolist() == best[pose].expand(125, 125).masked_fill(~fits, -torch.inf).amax(dim=1).tolist()


def test_error_falls_with_the_levels_to_millimetres():
    """Bins of 125 mm: the mean error on a lattice is 0.48 bins, and half of it after each level, until the bins of the
    heatmaps, 12 mm, limit it. Root and limbs are estimated."""
    xyz = people(3)
    true = views_of(xyz)
    heatmaps = exact_heatmaps(true, 256, sigma=8.0)
    root = triangulate_peaks(heatmaps, true.projection, 128)[:, 0]
    errors = []
    for levels in (0, 1, 2, 3, 10):
        found = recursive_pictorial_structure(
            heatmaps, true.projection, 128, root, LIMBS, PictorialOptions(levels=levels)
        )
        errors.append((found - xyz).norm(dim=-1).mean().item())
    assert 0.4 * 0.125 < errors[0] < 0.6 * 0.125
    assert all(finer < 0.7 * coarser for coarser, finer in pairwise(errors[:-1]))
    assert errors[-1] < 0.005


def test_limb_length_decides_between_two_equal_peaks():
    """A wrist's heatmaps with a second peak where the other wrist is: equal unaries, but only one limb fits."""
    true = views_of(STANDING[None])
    heatmaps = exact_heatmaps(true, 64, sigma=2.0)
    heatmaps[:, :, 16] = torch.maximum(heatmaps[:, :, 16], 1.05 * heatmaps[:, :, 13])
    peaks = triangulate_peaks(heatmaps, true.projection, 128)
    assert (peaks[0, 16] - STANDING[16]).norm() > 0.5
    found = recursive_pictorial_structure(heatmaps, true.projection, 128, peaks[:, 0], limb_lengths(STANDING[None]))
    assert (found[0] - STANDING).norm(dim=-1).max() < 0.05


def test_poses_of_a_batch_do_not_depend_on_each_other():
    xyz = people(2)
    true = views_of(xyz)
    heatmaps, limb = exact_heatmaps(true, 32, 1.5), torch.stack([LIMBS, 1.2 * LIMBS])
    both = pictorial_structure(heatmaps, true.projection, 128, xyz[:, 0], limb)
    for pose in range(2):
        alone = slice(pose, pose + 1)
        found = pictorial_structure(heatmaps[alone], true.projection[alone], 128, xyz[alone, 0], limb[pose])
        assert found.tolist() == both[alone].tolist()


def test_joint_on_no_heatmap_does_not_move_the_others():
    xyz = people(1)
    true = views_of(xyz)
    heatmaps = exact_heatmaps(true, 32, 1.5)
    full = pictorial_structure(heatmaps, true.projection, 128, xyz[:, 0], LIMBS)
    heatmaps[:, :, 13] = 0.0  # a wrist: a leaf
    found = pictorial_structure(heatmaps, true.projection, 128, xyz[:, 0], LIMBS)
    others = [joint for joint in range(17) if joint != 13]
    assert found[:, others].tolist() == full[:, others].tolist()
    assert (found[0, 13] - found[0, 12]).norm().item() == pytest.approx(LIMBS[13].item(), abs=0.151)


def test_limb_lengths_are_medians_to_the_parents():
    xyz = torch.zeros(3, 3, 3)
    xyz[:, 1, 0] = torch.tensor([0.1, 0.4, 0.2])
    xyz[:, 2, 1] = torch.tensor([0.3, torch.nan, 0.3])
    assert limb_lengths(xyz, (-1, 0, 0)).tolist() == pytest.approx([0.0, 0.2, 0.3])


def test_limbs_in_millimetres_are_rejected():
    true = views_of(people(1))
    with pytest.raises(InputError, match="metres"):
        pictorial_structure(exact_heatmaps(true, 16), true.projection, 128, true.world[:, 0], 1000 * LIMBS)


@pytest.mark.parametrize("option", [{"bins": 1}, {"cube_m": 0.0}, {"tolerance_m": -1.0}, {"levels": -1}])
def test_impossible_options_are_rejected(option):
    with pytest.raises(OptionError, match="must be positive"):
        PictorialOptions(**option)
