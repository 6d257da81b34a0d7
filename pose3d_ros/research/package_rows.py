"""What this package's own chain makes of the test people: the detector, estimator and weights that its nodes run."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pose3d_ros.detection.factory import fetch_weights, make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.rendered import estimate, match_poses
from pose3d_ros.research.comparison import Comparison, Figures, Measure, figures
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene, load_scenes
from pose3d_ros.structures import Floats
from pose3d_ros.training.rendered_people import Detected, run_chain


def _detected(run: Comparison) -> list[tuple[RenderedScene, list[Detected]]]:
    """The test scenes through the detector, in the node's order; once a run."""
    if run.detections is None:
        fetch_weights(DetectorOptions())
        detector, options = make_detector(), EstimatorOptions(refine="none", smoothing="none")
        scenes = load_scenes([run.data / "test"])
        run.detections = [(scene, run_chain(scene, detector, options)[1]) for scene in scenes]
    return run.detections


def published(run: Comparison, cameras: int) -> tuple[Tensor, Tensor]:
    """Poses (N, J, 3) m of the world, NaN where none is published, and the truth, from the first cameras of each rig.

    With one camera, each camera in turn. Moments are too far apart to smooth over.
    """
    options = EstimatorOptions(smoothing="none")
    poses: list[Floats] = []
    truth: list[Floats] = []
    for scene, detected in _detected(run):
        names = scene.rig.names
        for chosen in [[name] for name in names] if cameras == 1 else [names[:cameras]]:
            found = match_poses(scene, estimate(scene, detected, options, chosen))
            poses.append(found.xyz.reshape(-1, *found.xyz.shape[-2:]))
            truth.append(scene.truth.joints_m.reshape(poses[-1].shape))
    return torch.from_numpy(np.concatenate(poses)), torch.from_numpy(np.concatenate(truth))


def ours(cameras: int) -> Measure:
    """The row of a number of cameras."""

    def measure(run: Comparison) -> Figures:
        poses, truth = published(run, cameras)
        share = float(torch.isfinite(poses).all(dim=-1).float().mean())
        measured = figures([poses], truth, absolute=True)
        return measured._replace(note=f"{100 * share:.0f} % of joints published")

    return measure
