"""The 2D people of a recording as the estimator uses them (NumPy, float64). Axes: V views, P people, J joints."""

from __future__ import annotations

import numpy as np

from pose3d_ros.estimation.observation import Grouped2D, weighed_by_score
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.recordings.observations import Observations2D


def recorded_people(observations: Observations2D, options: EstimatorOptions) -> Grouped2D:
    """Every person and moment as a group of all cameras, without weak joints."""
    weak = observations.score < options.min_joint_score
    score = np.where(weak, 0.0, observations.score)
    given = observations.covariance
    covariance = None if given is None else weighed_by_score(given, score)
    return Grouped2D(np.where(weak[..., None], np.nan, observations.xy), score, covariance)
