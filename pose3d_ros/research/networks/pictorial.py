"""3D poses from heatmaps of several views by pictorial structures, without learning (torch, float32).

Qiu et al., "Cross view fusion for 3D human pose estimation" (ICCV 2019), Sec. 4: the pictorial structure model (PSM)
on one grid for all joints, then the recursive one (RPSM): each joint's bin is divided into 2 x 2 x 2 and the same model
is solved again over these 8 places per joint.

| symbol | name |
|---|---|
| s, N = 16 | PictorialOptions.cube_m, bins |
| phi_conf(J, F), the mean of the heatmaps of all views at the projections | unary |
| psi_limb(J_m, J_n), 1 where the limb's length is within epsilon of l_mn, else 0 | tolerance_m |
| l_mn | limb_m, of each joint to its parent |
| argmax over J of the product of all phi and psi | best_places |

The optimum is exact: max-product on a tree. The paper takes l_mn from the training set (limb_lengths does); its public
demonstration takes the true root and the true lengths. Here both are the caller's: estimated, the root is that of
multiview.triangulate_peaks.

Deviations: logarithms instead of products, and FLOOR below each unary, so that a joint that is on no heatmap does not
make all poses equal. Bins are cells of the cube and the 8 places the centres of their octants, as the paper words it;
in the public code the first bins stand on a lattice from side to side of the cube and the 8 places on the corners of a
bin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import pad

from pose3d_ros.errors import InputError, OptionError
from pose3d_ros.research.networks.multiview import sample
from pose3d_ros.skeletons import H36M_17

FLOOR = 1e-6  # of heatmaps of height 1
ROUNDING_M = 1e-6  # lengths of lattices meet the tolerance exactly; float32 is not to decide
Message = Callable[[int, Tensor], Tensor]  # joint, (B, N) best of its subtree -> (B, N) at its parent's places


@dataclass(frozen=True)
class PictorialOptions:
    """The figures of Qiu et al., Sec. 6 and their code: 10 levels leave bins of 0.12 mm."""

    cube_m: float = 2.0
    bins: int = 16  # an axis
    tolerance_m: float = 0.15
    levels: int = 10

    def __post_init__(self) -> None:
        """Raises OptionError."""
        if not (self.cube_m > 0 and self.bins >= 2 and self.tolerance_m > 0 and self.levels >= 0):
            raise OptionError(f"a cube, its bins (2 or more), the tolerance and the levels must be positive: {self}")


def pictorial_structure(
    heatmaps: Tensor, projection: Tensor, side: int, root_m: Tensor, limb_m: Tensor,
    options: PictorialOptions = PictorialOptions(), parents: Sequence[int] = H36M_17.parents,
) -> Tensor:  # fmt: skip
    """The best pose (B, J, 3) m of the world, on the bins of a cube round root_m (B, 3).

    heatmaps (B, V, J, H, W) of crops of `side` px, projection (B, V, 3, 4) as in Views, limb_m (J,) or (B, J) m to each
    joint's parent (the root's own counts nowhere). Raises InputError where no pose in the cube has such limbs.
    """
    limb_m = limb_m.expand(heatmaps.shape[0], heatmaps.shape[2])
    points = root_m[:, None] + _lattice(options.bins, options.cube_m).to(root_m)
    unary = sample(heatmaps, projection, points, side).mean(dim=1).clamp(min=FLOOR).log()

    def shells(joint: int, best: Tensor) -> Tensor:
        return shell_maximum(best, limb_m[:, joint], options)

    return best_places(unary, points[:, None].expand(*unary.shape, 3), limb_m, parents, options.tolerance_m, shells)


def recursive_pictorial_structure(
    heatmaps: Tensor, projection: Tensor, side: int, root_m: Tensor, limb_m: Tensor,
    options: PictorialOptions = PictorialOptions(), parents: Sequence[int] = H36M_17.parents,
) -> Tensor:  # fmt: skip
    """pictorial_structure, then options.levels times the best of each joint's 8 octants."""
    xyz = pictorial_structure(heatmaps, projection, side, root_m, limb_m, options, parents)
    limb_m = limb_m.expand(xyz.shape[:2])
    single = heatmaps.transpose(1, 2).flatten(0, 1).unsqueeze(2)  # (B * J, V, 1, H, W): each joint has its own places
    cameras = projection.repeat_interleave(xyz.shape[1], dim=0)
    for level in range(options.levels):
        points = xyz[:, :, None] + _lattice(2, options.cube_m / options.bins / 2**level).to(xyz)  # (B, J, 8, 3)
        unary = sample(single, cameras, points.flatten(0, 1), side).mean(dim=(1, 2)).clamp(min=FLOOR).log()
        pairs = _pairs(points, limb_m, parents, options.tolerance_m)
        xyz = best_places(unary.reshape(points.shape[:3]), points, limb_m, parents, options.tolerance_m, pairs)
    return xyz


def limb_lengths(xyz: Tensor, parents: Sequence[int] = H36M_17.parents) -> Tensor:
    """Medians (J,) m over poses (N, J, 3) of the distances to the parents; 0 for the root. NaN joints are ignored."""
    length = (xyz - xyz[:, [max(parent, 0) for parent in parents]]).norm(dim=-1)
    medians: Tensor = length.nanmedian(dim=0).values
    return medians


def best_places(
    unary: Tensor, points: Tensor, limb_m: Tensor, parents: Sequence[int], tolerance_m: float, message: Message
) -> Tensor:
    """The places (B, J, 3) out of points (B, J, N, 3) with the largest sum of unary (B, J, N) and fitting limbs.

    Parents stand before their children, the root first. Raises InputError where no limbs fit.
    """
    best = list(unary.unbind(dim=1))
    for joint in reversed(range(1, len(parents))):
        best[parents[joint]] = best[parents[joint]] + message(joint, best[joint])
    if not best[0].amax(dim=-1).isfinite().all():
        raise InputError("no pose in the cube has such limbs: check heatmaps (NaN?), limb_m (metres?) and cube_m")
    places: list[Tensor] = []
    for joint, parent in enumerate(parents):
        score = best[joint]
        if parent >= 0:
            score = score.masked_fill(~_fits(points[:, joint], places[parent][:, None], limb_m[:, joint], tolerance_m),
                                      -torch.inf)  # fmt: skip
        places.append(points[torch.arange(len(points)), joint, score.argmax(dim=-1)])
    return torch.stack(places, dim=1)


def shell_maximum(best: Tensor, length: Tensor, options: PictorialOptions) -> Tensor:
    """For every bin the largest of `best` (B, N) among the bins about `length` (B,) m away: (B, N).

    Which bins fit depends on their difference only, so it is a maximum over some hundreds of shifts of the grid, not
    over N x N pairs.
    """
    bins, step = options.bins, options.cube_m / options.bins
    reach = min(int((length.max().item() + options.tolerance_m) / step) + 1, bins - 1)
    field = best.reshape(-1, bins, bins, bins)
    padded = pad(field, (reach,) * 6, value=-torch.inf)
    shifts = torch.tensor(list(product(range(-reach, reach + 1), repeat=3)), device=best.device)
    distance = shifts.to(best.dtype).norm(dim=-1) * step
    fits = (distance[:, None] - length).abs() <= options.tolerance_m + ROUNDING_M  # (shifts, B)
    largest = torch.full_like(field, -torch.inf)
    used = fits.any(dim=1)
    for (x, y, z), poses in zip((shifts[used] + reach).tolist(), fits[used], strict=True):
        shifted = padded[:, x : x + bins, y : y + bins, z : z + bins]
        if not poses.all():
            shifted = shifted.masked_fill(~poses[:, None, None, None], -torch.inf)
        torch.maximum(largest, shifted, out=largest)
    return largest.flatten(1)


def _pairs(points: Tensor, limb_m: Tensor, parents: Sequence[int], tolerance_m: float) -> Message:
    def message(joint: int, best: Tensor) -> Tensor:
        fits = _fits(points[:, None, joint], points[:, parents[joint], :, None], limb_m[:, joint, None], tolerance_m)
        return best[:, None].masked_fill(~fits, -torch.inf).amax(dim=-1)

    return message


def _fits(a: Tensor, b: Tensor, length: Tensor, tolerance_m: float) -> Tensor:
    distance: Tensor = (a - b).norm(dim=-1)
    return (distance - length[..., None]).abs() <= tolerance_m + ROUNDING_M


def _lattice(bins: int, side_m: float) -> Tensor:
    """Centres (bins^3, 3) m of the cells of a cube round 0."""
    axis = ((torch.arange(bins) + 0.5) / bins - 0.5) * side_m
    return torch.cartesian_prod(axis, axis, axis)
