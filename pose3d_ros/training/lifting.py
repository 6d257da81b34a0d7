"""Training AbsPoseLifter: noisy 2D poses of one camera, true poses in its frame (torch).

Chang, Moon, Lee, 1910.12029: the 2D poses have the detector's errors, half of the people are mirrored, the loss is the
canonical one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.geometry.projection import undistort
from pose3d_ros.networks.canonical import ROOT, Lifted, flip, metric_depth, stature, targets
from pose3d_ros.networks.lifter import AbsPoseLifter
from pose3d_ros.simulation.views import SimulatedViews
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.training.loop import Batch
from pose3d_ros.training.losses import canonical_loss

# As in estimation/lifting.py.
SEEN_JOINTS = [H36M_17.index(name) for name in (*LIMB_JOINTS, "Nose")]
THORAX, MIN_JOINTS = H36M_17.index("Thorax"), 6
HEIGHT_ERROR_M = 0.01  # people round to cm, and shoes count or do not


class LiftingData(NamedTuple):
    """N views of one person by one camera."""

    xy: Tensor  # (N, J, 2) px undistorted as detected, NaN where not seen
    xyz: Tensor  # (N, J, 3) m, the truth in the camera's frame
    K: Tensor  # (N, 3, 3) px
    width: Tensor  # (N,) px


def lifting_data(views: SimulatedViews, *, true_keypoints: bool = False) -> LiftingData:
    """Every camera's view of every frame; with true_keypoints without the detector's errors."""
    truth = views.truth.reshape(-1, *views.truth.shape[-2:])
    shown = views.true_px if true_keypoints else views.xy_px
    parts = []
    for number, camera in enumerate(views.cameras):
        ideal = undistort(camera, shown[number].reshape(len(truth), -1, 2))
        xy = ideal @ camera.K[:2, :2].T + camera.K[:2, 2]
        xyz = truth @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
        count = len(truth)
        parts.append((xy, xyz, np.tile(camera.K, (count, 1, 1)), np.full(count, float(camera.size_wh[0]))))
    stacked = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return LiftingData(*(torch.from_numpy(array.astype(np.float32)) for array in stacked))


def joined(parts: Sequence[LiftingData]) -> LiftingData:
    """The views of several rigs."""
    return LiftingData(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def mirrored_half(data: LiftingData) -> LiftingData:
    """Each person mirrored with probability 1/2, image and camera with them (torch's own generator)."""
    chosen = torch.rand(len(data.xy), device=data.xy.device) < 0.5
    xy, xyz, K = flip(data.xy, data.xyz, data.K, data.width)
    return LiftingData(
        torch.where(chosen[:, None, None], xy, data.xy),
        torch.where(chosen[:, None, None], xyz, data.xyz),
        torch.where(chosen[:, None, None], K, data.K),
        data.width,
    )


def zoomed(data: LiftingData, factor: Tensor) -> LiftingData:
    """The same views through another lens: image and camera scaled by factor (N,)."""
    K = data.K.clone()
    K[:, :2] = K[:, :2] * factor[:, None, None]
    return LiftingData(data.xy * factor[:, None, None], data.xyz, K, data.width * factor)


def any_lens(data: LiftingData, zoom: Sequence[float]) -> LiftingData:
    """Every view through its own lens, between the factors zoom (low, high) (torch's own generator)."""
    low, high = zoom
    return zoomed(data, low + (high - low) * torch.rand(len(data.xy), device=data.xy.device))


def usable(data: LiftingData) -> LiftingData:
    """Without the views that a node would reject: too few joints, or neither both hips nor both shoulders."""
    seen = torch.isfinite(data.xy).all(dim=-1)
    enough = seen[:, SEEN_JOINTS].sum(dim=1) >= MIN_JOINTS
    keep = enough & (seen[:, ROOT] | seen[:, THORAX])
    return LiftingData(*(tensor[keep] for tensor in data))


def wanted_of(data: LiftingData, *, canonical: bool = True) -> Lifted:
    """The target of the network; with canonical=False depth itself (Table 5's other row)."""
    truth = targets(data.xyz, data.K)
    return truth if canonical else truth._replace(depth=data.xyz[:, ROOT, 2])


def measure(
    net: AbsPoseLifter, data: LiftingData, *, canonical: bool = True, zoom: Sequence[float] | None = None
) -> None:
    """Standardise a network's inputs and outputs by training data."""
    data = any_lens(data, zoom) if zoom else data
    net.measure(data.xy, data.K, wanted_of(data, canonical=canonical), stature(data.xyz))


def lifting_loss(
    *,
    canonical: bool = True,
    mirror: bool = True,
    zoom: Sequence[float] | None = None,
    heights: bool = False,
    depth_weight: float = 1.0,
) -> Callable[[nn.Module, Batch], Tensor]:
    """The canonical loss; with canonical=False it learns the depth itself (Table 5's other row).

    zoom (low, high): every view gets its own lens. heights: the height of half of the people is an input, as accurate
    as people know it; the loss is then of depth in m, as for a network that takes any focal length.
    """

    def loss_of(net: nn.Module, batch: Batch) -> Tensor:
        data = LiftingData(**batch)
        data = mirrored_half(data) if mirror else data
        data = any_lens(data, zoom) if zoom else data
        wanted = wanted_of(data, canonical=canonical)
        if not heights:
            depth, pose = net(data.xy, data.K)
            return canonical_loss(depth, pose, wanted.depth, wanted.pose, depth_weight)
        height = stature(data.xyz)
        input_height = height + HEIGHT_ERROR_M * torch.randn_like(height)
        input_height = torch.where(
            torch.rand_like(height) < 0.5, input_height, torch.full_like(input_height, torch.nan)
        )
        depth, pose = net(data.xy, data.K, None, input_height)
        depth, true_depth = metric_depth(depth, data.K), metric_depth(wanted.depth, data.K)
        return canonical_loss(depth, pose, true_depth, wanted.pose, depth_weight)

    return loss_of
