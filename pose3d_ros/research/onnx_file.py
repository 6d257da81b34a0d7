"""A trained 2D network as an ONNX file for the nodes' option `detector: onnx` (torch, float32).

The file is for detector_skeleton h36m_17. Its images are normalised as Crops are, which is what the detector does to
the input of such files.

An integral network becomes a SimCC file (docs/detectors.md): vectors that are highest at the soft-argmax. A stacked
hourglass becomes a heatmap file: the last stack's, enlarged to one cell a pixel, because there the detector's cells and
the network's bins agree about where a pixel is.

A joint's score is the height of its heatmap, 1 at most; heatmaps are learned from Gaussians of height 1. The lower it
is, the wider is the region in which the joint may be.

Training crops are 1.25 times the box of the joints. So are the detector's, but its boxes are of bodies: found ones by
their network, tracked ones because they are BODY_OVER_JOINTS times the joints' box. Hence the file takes an image that
is larger by this factor, and gives the network the middle of it.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from pose3d_ros.detection.box_tracks import BODY_OVER_JOINTS
from pose3d_ros.errors import DependencyError, InputError
from pose3d_ros.research.networks.hourglass import StackedHourglass
from pose3d_ros.research.networks.integral import IntegralPose, heatmaps_of

OPSET = 17  # as in the files of the tests; every ONNX Runtime that the onnx extra allows reads it
BINS = 4  # of a SimCC vector for a pixel: the place is rounded to an eighth of a pixel at most
# A score of 0 would make the vector flat, and the joint would be in the corner.
LEAST_SCORE = 1e-3
SKELETON = "h36m_17"


def write_onnx(network: IntegralPose | StackedHourglass, path: Path, side: int = 256) -> None:
    """Write a 2D network that was trained on crops of `side` px, whole or not at all.

    Raises DependencyError without the package onnx, InputError for a 3D network.
    """
    if find_spec("onnx") is None:
        raise DependencyError("an ONNX file is written with the package onnx: pip install 'pose3d_ros[train]'")
    if isinstance(network, IntegralPose) and network.bins:
        raise InputError(f"the network has {network.bins} bins of depth: the detector takes a 2D network, bins=0")
    form = (SimccForm if isinstance(network, IntegralPose) else HeatmapForm)(network, side)
    names = ["x", "y"] if isinstance(network, IntegralPose) else ["heatmaps"]
    image = torch.zeros(1, 3, form.side, form.side)
    before, partial = network.training, path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with warnings.catch_warnings():
            # The exporter by tracing is deprecated, which it says; the other one needs one more package.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                form.eval(), (image,), str(partial), input_names=["image"], output_names=names,
                dynamic_axes={name: {0: "people"} for name in ("image", *names)}, opset_version=OPSET, dynamo=False,
            )  # fmt: skip
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        network.train(before)


class _Middle(nn.Module):
    """The middle of the detector's crop, for networks of `inner` px."""

    def __init__(self, network: nn.Module, inner: int) -> None:
        super().__init__()
        self.network = network
        self.margin = round(inner * (BODY_OVER_JOINTS - 1) / 2)
        self.side = inner + 2 * self.margin

    def middle(self, image: Tensor) -> Tensor:
        """(B, 3, side, side) -> (B, 3, inner, inner)."""
        return image[..., self.margin : self.side - self.margin, self.margin : self.side - self.margin]


class SimccForm(_Middle):
    """(B, 3, side, side) -> vectors x and y (B, J, BINS side), as high as the score where the joint is."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """As the class says."""
        found = self.network(self.middle(image))
        score = heatmaps_of(found.logits).flatten(2).amax(dim=-1, keepdim=True).clamp(LEAST_SCORE, 1.0)
        bins = torch.arange(BINS * self.side, device=image.device) / BINS
        x, y = ((bins - place[..., None] - self.margin).abs() for place in found.xy_px.unbind(dim=-1))
        return score * (1 - x / self.side), score * (1 - y / self.side)


class HeatmapForm(_Middle):
    """(B, 3, side, side) -> heatmaps (B, J, side, side)."""

    def forward(self, image: Tensor) -> Tensor:
        """As the class says."""
        inner = self.middle(image)
        heatmaps = self.network(inner)[:, -1]
        # Pixel j of the enlarged map is at bin (j + 1/2) / 4 - 1/2, as in heads.to_bins.
        enlarged = interpolate(heatmaps, size=(inner.shape[-2], inner.shape[-1]), mode="bicubic", align_corners=False)
        return pad(enlarged, [self.margin] * 4)
