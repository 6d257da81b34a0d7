"""Training PoseRN: the errors of a detector's keypoints, given the pose triangulated from them (torch).

Sayo et al., ICIP 2021. The target beta = J2D - proj(J3D of the truth) needs true poses: PoseRN is fully supervised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.geometry.projection import undistort
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.networks.posern import bias_of, prepare
from pose3d_ros.simulation.detector_bias import DetectorBias
from pose3d_ros.simulation.views import SimulatedViews
from pose3d_ros.structures import Camera, Floats
from pose3d_ros.training.loop import Batch
from pose3d_ros.training.losses import posern_absolute_loss, posern_loss


class BiasData(NamedTuple):
    """N views of one person by one camera."""

    xyz: Tensor  # (N, J, 3) m in the camera's frame: pass 1, NaN where not triangulated
    xy: Tensor  # (N, J, 2) px undistorted, NaN where not seen
    size_wh: Tensor  # (N, 2) px
    bias: Tensor  # (N, J, 2) px, the target


def bias_data(views: SimulatedViews, target_px: Floats | None = None) -> BiasData:
    """Every camera's view of every frame; pass 1 is the robust fit over all cameras, Eq. 3.

    target_px (V, W, T, 17, 2) px: the keypoints whose beta = J2D - proj(J3D of the truth) is the target. None is the
    paper's: as detected, noise and all. views.biased_px is the bias alone, which a simulation knows. The input holds
    the noise in any case.
    """
    found = triangulate(views.cameras, views.xy_px, views.score, sigma_px=views.sigma_px, max_std_m=np.inf)
    xyz = found.xyz.reshape(-1, *found.xyz.shape[-2:])
    parts = []
    for number, camera in enumerate(views.cameras):
        seen, true, wanted = (
            _undistorted_px(camera, px[number].reshape(len(xyz), -1, 2))
            for px in (views.xy_px, views.true_px, views.xy_px if target_px is None else target_px)
        )
        in_camera = xyz @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
        size = np.tile(np.array(camera.size_wh, dtype=np.float64), (len(xyz), 1))
        parts.append((in_camera, seen, size, bias_of(wanted, true)))
    stacked = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return BiasData(*(torch.from_numpy(array.astype(np.float32)) for array in stacked))


def shared_bias(seeds: Sequence[int]) -> DetectorBias:
    """The bias that these detectors share, by their mean; no person's own part."""
    each = [DetectorBias.draw(seed) for seed in seeds]
    offset, surface = (np.mean([getattr(one, name) for one in each], axis=0) for name in ("offset", "surface"))
    return DetectorBias(offset, surface, of_person=0.0)


def joined(parts: Sequence[BiasData]) -> BiasData:
    """The views of several rigs."""
    return BiasData(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def bias_loss(net: nn.Module, batch: Batch) -> Tensor:
    """Mean error of the bias, in PoseRN's unit of 2D (a third of the spine): equal weights for people of every size."""
    return posern_absolute_loss(*_compared(net, batch))


def squared_bias_loss(net: nn.Module, batch: Batch) -> Tensor:
    """PoseRN's own: the mean squared error, in the same unit."""
    return posern_loss(*_compared(net, batch))


def _compared(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target (B, J, 2) in units, and which joints count (B, J)."""
    data = BiasData(**batch)
    ready = prepare(data.xyz, data.xy, data.size_wh)
    target = data.bias / ready.unit[:, None, None]
    return net(ready.features).reshape(target.shape), target, ready.seen & torch.isfinite(target).all(dim=-1)


def _undistorted_px(camera: Camera, px: Floats) -> Floats:
    """Pixels (..., 2) of the original image in the undistorted image of the same K."""
    ideal = undistort(camera, px)
    flat: Floats = ideal @ camera.K[:2, :2].T + camera.K[:2, 2]
    return flat
