"""PoseRN's training data from rendered people: what the real detector does to them (NumPy to torch)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from pose3d_ros.detection.factory import fetch_weights, make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.simulation.augmentation import swapped
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene, load_scenes
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.training.bias import BiasData, bias_data, joined
from pose3d_ros.training.loop import Batch
from pose3d_ros.training.rendered_people import match_detections, run_chain, views_of

# Every so many scenes one validates: other people, rooms and cameras than those that train.
VALIDATION_SCENES = 6


class RenderedDraws:
    """The same views in every epoch, as they are and mirrored; detection runs once, on first use."""

    def __init__(self, folders: Sequence[Path | str]) -> None:
        """Raises FootageError where there is no scene, InputError for too few of them or for scenes of one camera."""
        self._scenes = load_scenes(folders)
        if len(self._scenes) < VALIDATION_SCENES:
            raise InputError(f"--rendered holds {len(self._scenes)} scenes, expected {VALIDATION_SCENES} at least")
        for scene in self._scenes:
            if len(scene.rig.cameras) < 2:
                raise InputError(f"--rendered: {scene.folder} has one camera, but PoseRN needs triangulated poses")

    def epoch(self, number: int) -> Batch:
        """Training data."""
        return dict(self._training._asdict())

    def validation(self) -> Batch:
        """Views of the scenes that validate."""
        return dict(self._of(self._scenes[::VALIDATION_SCENES])._asdict())

    @cached_property
    def _training(self) -> BiasData:
        data = self._of([scene for n, scene in enumerate(self._scenes) if n % VALIDATION_SCENES])
        return joined([data, mirrored(data)])

    def _of(self, scenes: Sequence[RenderedScene]) -> BiasData:
        fetch_weights(DetectorOptions())
        detector, options = make_detector(), EstimatorOptions(refine="none")
        parts = []
        for scene in scenes:
            detections = match_detections(scene, run_chain(scene, detector, options)[1])
            parts.append(bias_data(views_of(scene, detections)))
        data = _usable(joined(parts))
        if not len(data.xyz):
            names = ", ".join(scene.name for scene in scenes)
            raise InputError(
                f"--rendered: no person was detected by two cameras at once in {names}: check their images, or give "
                "more scenes"
            )
        return data


def mirrored(data: BiasData) -> BiasData:
    """The same views of mirrored people: x negated in space and image, left and right exchanged.

    Keypoints lie left of the origin then; PoseRN takes them from the pelvis.
    """
    index = torch.from_numpy(swapped(H36M_17))
    flat, deep = torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0, 1.0])
    return BiasData(data.xyz[:, index] * deep, data.xy[:, index] * flat, data.size_wh, data.bias[:, index] * flat)


def _usable(data: BiasData) -> BiasData:
    """The views in which the person was detected and triangulated."""
    known = torch.isfinite(data.bias).all(dim=-1).any(dim=1) & torch.isfinite(data.xyz).all(dim=-1).any(dim=1)
    return BiasData(*(tensor[known] for tensor in data))
