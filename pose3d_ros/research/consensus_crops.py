"""Crops of the people in one's own recordings, with what the cameras agree on in them (NumPy).

A crop is the training crop of samples.Crops round the detector's keypoints, which is what an ONNX file's network is
given of a tracked person (onnx_file.py). Axes: N crops, J joints of h36m_17.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.detection.onnx_detector import crop_from_image
from pose3d_ros.errors import InputError
from pose3d_ros.recordings.observations import BETWEEN_NS
from pose3d_ros.research.consensus import Consensus
from pose3d_ros.research.recorded_images import Images
from pose3d_ros.research.samples import Crops, normalised
from pose3d_ros.structures import Floats

LEAST_LABELS = 8  # joints of a crop; fewer are the edge of a person
MOST_CROPS = 2000  # of longer recordings as many, evenly spaced moments: 400 MB at 256 px


@dataclass(frozen=True, eq=False)
class ConsensusCrops:
    """N crops of S px, and joints in their px."""

    image: NDArray[np.uint8]  # (N, S, S, 3) BGR
    label: Floats  # (N, J, 2) as in Consensus, and so are
    others: Floats  # (N, J, 2)
    detected: Floats  # (N, J, 2)
    image_px: Floats  # (N,) of the camera's image in one of the crop
    stamps_ns: NDArray[np.int64]  # (N,)

    def __len__(self) -> int:
        return len(self.image)

    def select(self, rows: NDArray[np.intp]) -> ConsensusCrops:
        """The chosen ones, in the order given."""
        return ConsensusCrops(*(getattr(self, one.name)[rows] for one in fields(self)))

    def tensors(self, rows: NDArray[np.intp]) -> Crops:
        """The chosen ones to learn from: 2D labels only."""
        image, label = torch.from_numpy(self.image[rows]), torch.from_numpy(self.label[rows]).float()
        inside = ((label >= -0.5) & (label <= image.shape[1] - 0.5)).all(dim=-1)  # False for NaN
        count, joints, _ = label.shape
        return Crops(
            normalised(image), torch.nan_to_num(label), torch.zeros(count, joints, 3), inside,
            torch.eye(3).expand(count, 3, 3), torch.zeros(count, dtype=torch.bool),
        )  # fmt: skip


def cut(
    consensus: Consensus, cameras: Sequence[str], moments: Iterable[tuple[int, Images]], side: int
) -> ConsensusCrops:
    """All people with LEAST_LABELS labels; moments as recorded_images gives them, V cameras in the rig's order.

    Raises InputError where there are none.
    """
    labelled = np.isfinite(consensus.label[..., 0]).sum(axis=-1) >= LEAST_LABELS
    wanted = labelled & np.isfinite(consensus.boxes).all(axis=-1)  # (P, V)
    if not wanted.any():
        raise InputError(
            "no person in the recording has joints that three cameras agree on: check the rig with `pose3d evaluate`, "
            "and record people in view of three cameras or more"
        )
    stamps = np.unique(consensus.stamps_ns[wanted.any(axis=1)])
    kept = max(1, round(len(stamps) * min(1.0, MOST_CROPS / wanted.sum())))
    stamps = stamps[np.linspace(0, len(stamps) - 1, kept).round().astype(np.intp)]
    crops: list[NDArray[np.uint8]] = []
    rows, affine = [], []
    for stamp, images in moments:
        if stamp not in stamps:
            continue
        for person, view in np.argwhere(wanted & (consensus.stamps_ns == stamp)[:, None]):
            if cameras[view] in images:
                matrix = crop_from_image(consensus.boxes[person, view], (side, side))
                crops.append(cv2.warpAffine(images[cameras[view]], matrix, (side, side)).astype(np.uint8, copy=False))
                rows.append((person, view))
                affine.append(matrix)
    if not crops:
        raise InputError("the recording's keypoints and images have no moment in common: give the recording's videos")
    person, view = np.array(rows).T
    scale, shift = np.array(affine)[:, 0, 0], np.array(affine)[:, None, :, 2]
    label, others, detected = (
        joints[person, view] * scale[:, None, None] + shift
        for joints in (consensus.label, consensus.others, consensus.detected)
    )
    return ConsensusCrops(np.stack(crops), label, others, detected, 1.0 / scale, consensus.stamps_ns[person])


def joined(parts: Sequence[ConsensusCrops]) -> ConsensusCrops:
    """Recordings as one, each after the last."""
    stamps, begin_ns = [], 0
    for part in parts:
        stamps.append(part.stamps_ns - part.stamps_ns.min() + begin_ns)
        begin_ns = int(stamps[-1].max()) + BETWEEN_NS
    whole = {one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(ConsensusCrops)}
    return ConsensusCrops(**{**whole, "stamps_ns": np.concatenate(stamps)})
