"""Bones instead of joints, and losses over them (torch, float32).

Sun, Shang, Liang and Wei, "Compositional human pose regression" (ICCV 2017).

| symbol | name |
|---|---|
| B_k = J_parent(k) - J_k | bones |
| J_k = -(sum of B along the path from k to the root) | joints_of |
| P_joint, P_bone, P_both, P_all | TO_ROOT, TO_PARENT, BOTH, ALL |
| L(B, P) = sum over (u, v) in P of |dJ_uv - dJ_uv^gt|_1 | compositional_loss |

BOTH is the sum of a joint and of a bone loss. Deviations: the mean instead of the sum over pairs, in m instead of
standard deviations of the training data, so that pairs that vary little weigh less.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import torch
from torch import Tensor

from pose3d_ros.research.networks.lifting import mean_or_zero
from pose3d_ros.research.samples import ROOT, Crops
from pose3d_ros.skeletons import H36M_17

Pairs = tuple[tuple[int, int], ...]

TO_ROOT: Pairs = tuple((joint, ROOT) for joint in range(H36M_17.size) if joint != ROOT)
TO_PARENT: Pairs = tuple((joint, parent) for joint, parent in enumerate(H36M_17.parents) if parent >= 0)
BOTH: Pairs = TO_ROOT + TO_PARENT
ALL: Pairs = tuple(combinations(range(H36M_17.size), 2))


def bones(xyz: Tensor) -> Tensor:
    """(B, J - 1, 3) m, from each joint but the pelvis to its parent, of joints (B, J, 3)."""
    return _differences(xyz, TO_PARENT)


def joints_of(bones: Tensor) -> Tensor:
    """The pose (B, J, 3) m from the pelvis that bones (B, J - 1, 3) compose."""
    return -_paths().to(bones) @ bones


def compositional_loss(found: Tensor, true: Crops, pairs: Pairs = BOTH) -> Tensor:
    """Mean absolute difference of the vectors between joints, m, over pairs and coordinates of images that have depth.

    found: (B, J, 3) m from the pelvis.
    """
    difference = _differences(found, pairs) - _differences(true.relative, pairs)
    return mean_or_zero(difference[true.has_depth].abs())


def _differences(xyz: Tensor, pairs: Pairs) -> Tensor:
    """J_v - J_u for pairs (u, v)."""
    first, second = zip(*pairs, strict=True)
    return xyz[:, second] - xyz[:, first]


@lru_cache(maxsize=1)
def _paths() -> Tensor:
    """(J, J - 1): 1 where a bone lies on a joint's way to the pelvis."""
    paths = torch.zeros(H36M_17.size, H36M_17.size - 1)
    for bone, (joint, parent) in enumerate(TO_PARENT):  # parents come before their children
        paths[joint] = paths[parent]
        paths[joint, bone] = 1.0
    return paths
