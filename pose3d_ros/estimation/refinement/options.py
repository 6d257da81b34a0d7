"""What triangulates and refines people, made of the estimator's options."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pose3d_ros.estimation.observation import triangulated
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.stage import Refinement
from pose3d_ros.estimation.track import Observed3D

if TYPE_CHECKING:
    from pose3d_ros.detection.detector import Detector


def load_refinement(options: EstimatorOptions, detector: Detector | None = None) -> Refinement | None:
    """The networks that the options ask for, on the GPU that the detector says it runs on, else on the CPU.

    None where the options say none. Raises WeightsError or InputError where one cannot be had.
    """
    if options.refine == "none":
        return None
    device = str(getattr(detector, "device", "cpu"))
    # A network may know better where an unsure joint is, so max_std_m judges what it leaves.
    triangulate = partial(triangulation_of(options), max_std_m=np.inf)
    device = device if device.startswith("cuda") else "cpu"
    return Refinement(options.refine, options.posern_weights, options.cvugcn_weights, triangulate, device)


def triangulation_of(options: EstimatorOptions) -> partial[Observed3D]:
    """Triangulation as the options have it; max_std_m is left to the caller."""
    return partial(triangulated, min_views=options.min_views)
