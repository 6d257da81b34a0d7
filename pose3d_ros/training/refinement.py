"""Training a pose refiner, CV-UGCN or its baseline, without 3D ground truth (torch).

Hua et al., 2105.10882. What it learns from is in RefinementData: detections, what they triangulate to, calibration
and 2D labels. There is no field for a true pose.

Our extension: labels of further cameras that only training has. On a short baseline L_r of the robot's own cameras
hardly sees depth; a camera at the side does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.geometry.triangulation import triangulate, triangulate_linear
from pose3d_ros.networks.refiner import refined_views
from pose3d_ros.networks.rig_features import Sight, transformed
from pose3d_ros.simulation.views import GIVEN, SimulatedViews
from pose3d_ros.structures import Camera, Floats
from pose3d_ros.training.loop import Batch
from pose3d_ros.training.losses import (
    LossWeights,
    bone_direction_loss,
    reprojection_loss,
    symmetry_loss,
    transformation_loss,
)

SIGHT = Sight._fields
# Of a label whose joint was not triangulated: it must be guessed from the rest of the body, to some 150 mm where a
# triangulated joint has an error of about 35 mm. In a squared loss it would dominate the others.
GUESSED_WEIGHT = 0.05


class RefinementData(NamedTuple):
    """N people; V cameras of the rig, L >= V labelled cameras of which the first V are the rig's."""

    coarse: Tensor  # (N, J, 3) m, world; NaN where not triangulated
    observed: Tensor  # (N, V, J, 2) undistorted and normalised; NaN where not seen
    score: Tensor  # (N, V, J)
    focal_px: Tensor  # (N, V)
    cam_from_world: Tensor  # (N, V, 4, 4) m
    labels: Tensor  # (N, L, J, 2) undistorted and normalised; NaN for a missing one
    label_weight: Tensor  # (N, L, J)
    label_cam_from_world: Tensor  # (N, L, 4, 4) m


def refinement_data(
    views: SimulatedViews, rig_views: int, *, labels: str = "annotated", linear: bool = False
) -> RefinementData:
    """Detections of the first rig_views cameras triangulated, labels of all of them.

    labels "annotated": with an annotator's error, as in the paper; "detected": the detections themselves, weighted by
    score: our extension, for one's own rig. linear: the paper's Eq. 1 instead of the robust fit. views.truth is not
    read. A label weighs by the square of its camera's focal length over the mean: by how finely that camera sees.
    """
    cameras = views.cameras
    if not 2 <= rig_views <= len(cameras):
        raise InputError(f"the rig has {rig_views} of {len(cameras)} cameras, expected two at least")
    solve = triangulate_linear if linear else triangulate
    found = solve(
        cameras[:rig_views], views.xy_px[:rig_views], views.score[:rig_views], sigma_px=views.sigma_px, max_std_m=np.inf
    )
    shown = views.label_px if labels == "annotated" else views.xy_px
    sure = np.isfinite(shown).all(axis=-1) * (1.0 if labels == "annotated" else views.score)
    focal = np.array([np.sqrt(camera.K[0, 0] * camera.K[1, 1]) for camera in cameras])
    weight = sure * ((focal / focal.mean()) ** 2)[:, None, None, None]
    weight = weight * np.where(np.isfinite(found.xyz).all(axis=-1), 1.0, GUESSED_WEIGHT)
    count = int(np.prod(found.xyz.shape[:-2]))
    place = np.stack([camera.cam_from_world for camera in cameras])
    return RefinementData(
        coarse=_rows(found.xyz.reshape(count, -1, 3)),
        observed=_by_row(_normalised(cameras[:rig_views], views.xy_px[:rig_views])),
        score=_by_row(views.score[:rig_views]),
        focal_px=_rows(np.tile(focal[:rig_views], (count, 1))),
        cam_from_world=_rows(np.tile(place[:rig_views], (count, 1, 1, 1))),
        labels=_by_row(_normalised(cameras, shown)),
        label_weight=_by_row(weight),
        label_cam_from_world=_rows(np.tile(place, (count, 1, 1, 1))),
    )


def joined(parts: Sequence[RefinementData]) -> RefinementData:
    """The people of several rigs of equally many cameras."""
    return RefinementData(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def refinement_loss(form: str, weights: LossWeights) -> Callable[[nn.Module, Batch], Tensor]:
    """CV-UGCN's L for batches of RefinementData as a dict."""

    def loss_of(net: nn.Module, batch: Batch) -> Tensor:
        data = RefinementData(**batch)
        world = refined_views(net, Sight(*(batch[name] for name in SIGHT)), form)
        given = world[..., torch.from_numpy(GIVEN).to(world.device), :]
        plain = weights.plain
        return (
            weights.reprojection * _reprojection(world, data, plain=plain)
            + weights.symmetry * symmetry_loss(world, plain=plain)
            + weights.transformation * transformation_loss(given, plain=plain)
            + weights.bone * bone_direction_loss(world)
        )

    return loss_of


def _reprojection(world: Tensor, data: RefinementData, *, plain: bool) -> Tensor:
    """L_r: every view's pose in every labelled camera.

    In its own camera alone a pose's depth would be free.
    """
    everywhere = transformed(data.label_cam_from_world[:, None], world[:, :, None])  # (B, V, L, J, 3)
    shape = everywhere.shape[:-1]
    labels = data.labels[:, None].expand(*shape, 2)
    return reprojection_loss(everywhere, labels, data.label_weight[:, None].expand(shape), plain=plain)


def _normalised(cameras: Sequence[Camera], px: Floats) -> Floats:
    return np.stack([undistort(camera, points) for camera, points in zip(cameras, px, strict=True)])


def _by_row(numbers: Floats) -> Tensor:
    """(V, W, T, ...) -> (W * T, V, ...)."""
    return _rows(np.moveaxis(numbers.reshape(len(numbers), -1, *numbers.shape[3:]), 0, 1))


def _rows(numbers: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32))
