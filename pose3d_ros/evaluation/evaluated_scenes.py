"""Rendered scenes and what detector and estimator made of them, for the tables (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.detector import Detector
from pose3d_ros.estimation.offline import recorded
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.rendered import Published, match_poses
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.structures import Floats
from pose3d_ros.training.rendered_people import Detected, Detections, match_detections, run_chain, size_px, true_points


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One scene and what detector and estimator made of it."""

    scene: RenderedScene
    detected: list[Detected]
    recording: Recording  # of the chain as in the node
    options: EstimatorOptions

    @cached_property
    def detections(self) -> Detections:
        """Of every true person."""
        return match_detections(self.scene, self.detected)

    @cached_property
    def published(self) -> Published:
        """By the whole chain."""
        return match_poses(self.scene, self.recording.poses)

    @cached_property
    def size(self) -> Floats:
        """(V, T, P) of all people in the image, px."""
        return size_px(true_points(self.scene))

    @cached_property
    def shown(self) -> Floats:
        """(V, T, P) share of a person's points that nothing but the own body hides from the camera."""
        share: Floats = (self.scene.truth.visibility >= Visibility.SELF_OCCLUDED).mean(axis=-1)
        return share


def evaluated(scenes: Sequence[RenderedScene], detector: Detector, options: EstimatorOptions) -> list[Evaluated]:
    """Every scene through detector and estimator."""
    done = []
    for scene in scenes:
        estimates, detected = run_chain(scene, detector, options)
        recording = recorded(scene, [(one, 0) for one in estimates])
        done.append(Evaluated(scene, detected, recording, options))
    return done


def squared(miss: Floats, covariance: Floats) -> Floats:
    """Squared Mahalanobis lengths (N,) of errors (N, D)."""
    out: Floats = np.einsum("nd,nd->n", miss, np.linalg.solve(covariance, miss[..., None])[..., 0])
    return out


def finite(values: Floats, axes: int) -> NDArray[np.bool_]:
    """Whether all of the last axes is finite, (...)."""
    return np.asarray(np.isfinite(values).all(axis=tuple(range(-axes, 0))), dtype=bool)


def quantiles(values: Floats) -> tuple[float, float]:
    return median(values), float(np.percentile(values, 90)) if values.size else float("nan")


def mean(values: NDArray) -> float:  # type: ignore[type-arg]
    return float(values.mean()) if values.size else float("nan")


def median(values: Floats) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")
