"""PoseRN's training data from rendered people: what the real detector does to them (NumPy to torch).

A detector's joints are not the body's: they lie elsewhere in the frames of the bones, in all views alike. No method
detects that in images, and other bodies' joints lie elsewhere again, so target "bias" leaves it out: what is learned is
how a detector errs against its own definition of the joints, view by view. Target "error" is the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from pose3d_ros.detection.factory import fetch_weights, make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.simulation.augmentation import swapped
from pose3d_ros.simulation.detector_bias import joint_frames
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene, load_scenes
from pose3d_ros.simulation.views import SimulatedViews
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats
from pose3d_ros.training.bias import BiasData, bias_data, joined
from pose3d_ros.training.loop import Batch
from pose3d_ros.training.rendered_people import match_detections, run_chain, views_of

# Every so many scenes one validates: other people, rooms and cameras than those that train.
VALIDATION_SCENES = 6


class RenderedDraws:
    """The same views in every epoch, as they are and mirrored; detection runs once, on first use."""

    def __init__(self, folders: Sequence[Path | str], target: str = "error") -> None:
        """Target as in the module's docstring.

        Raises FootageError where there is no scene, InputError for too few of them or for scenes of one camera."""
        self._scenes, self._whole = load_scenes(folders), target == "error"
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
        return dict(self._data(self._detected(self._scenes[::VALIDATION_SCENES]))._asdict())

    @cached_property
    def _training(self) -> BiasData:
        data = self._data(self._training_views)
        return joined([data, mirrored(data)])

    @cached_property
    def _training_views(self) -> list[SimulatedViews]:
        return self._detected([scene for n, scene in enumerate(self._scenes) if n % VALIDATION_SCENES])

    @cached_property
    def _definition(self) -> Floats:
        return definition(self._training_views)

    def _data(self, views: Sequence[SimulatedViews]) -> BiasData:
        targets = views if self._whole else [redefined(one, self._definition) for one in views]
        return _usable(joined([bias_data(one) for one in targets]))

    def _detected(self, scenes: Sequence[RenderedScene]) -> list[SimulatedViews]:
        fetch_weights(DetectorOptions())
        detector, options = make_detector(), EstimatorOptions(refine="none", smoothing="none")
        views = [views_of(scene, match_detections(scene, run_chain(scene, detector, options)[1])) for scene in scenes]
        if not any((np.isfinite(one.xy_px).all(axis=-1).any(axis=-1).sum(axis=0) > 1).any() for one in views):
            names = ", ".join(scene.name for scene in scenes)
            raise InputError(
                f"--rendered: no person was detected by two cameras at once in {names}: check their images, or give "
                "more scenes"
            )
        return views


def definition(views: Sequence[SimulatedViews]) -> Floats:
    """Where a detector's joints lie from the body's, (17, 3) m in the frames of the bones: medians over people."""
    return medians(np.concatenate([offsets_in_bones(one) for one in views]))


def offsets_in_bones(views: SimulatedViews) -> Floats:
    """How far what is triangulated from the keypoints lies from the true joints, (N, 17, 3) m, in its bones' frames."""
    found = triangulate(views.cameras, views.xy_px, views.score, sigma_px=views.sigma_px, max_std_m=np.inf).xyz
    offset: Floats = np.einsum("...jxk,...jx->...jk", joint_frames(found), found - views.truth)
    return offset.reshape(-1, *offset.shape[-2:])


def medians(values: Floats) -> Floats:
    """Over the first axis, for a real detector's errors have long tails; 0 for what is always missing."""
    known = np.isfinite(values).any(axis=0)
    found: Floats = np.where(known, np.nanmedian(np.where(known, values, 0.0), axis=0), 0.0)
    return found


def redefined(views: SimulatedViews, offset: Floats) -> SimulatedViews:
    """The same views of the joints that lie offset (17, 3) m, in the frames of the bones, from the body's."""
    truth = views.truth + np.einsum("...jxk,jk->...jx", joint_frames(views.truth), offset)
    true_px = np.stack([project(camera, truth) for camera in views.true_cameras])
    return replace(views, truth=truth, true_px=true_px)


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
