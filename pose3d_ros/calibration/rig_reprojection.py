"""How well a rig fits people whom its cameras saw: the estimator's own re-projection error, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pose3d_ros.calibration.people import Clock
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.recordings.frame_source import ABSENT
from pose3d_ros.recordings.matched_times import matched
from pose3d_ros.structures import Rig

MOST_SETS = 600  # 40 s at 15 Hz


def median_reprojection_px(rig: Rig, views: Sequence[PeopleViews], clocks: Mapping[str, Clock]) -> float:
    """Median over all triangulated joints, px; NaN without any."""
    times, periods = [], []
    for view in views:
        clock = clocks.get(view.camera.name, Clock())
        own = np.array([one.stamp_ns for one in view.people], dtype=np.int64)
        times.append(np.round(1e9 * clock.offset_s + (1 + 1e-6 * clock.drift_ppm) * own).astype(np.int64))
        periods.append(float(np.median(np.diff(own))) if len(own) > 1 else 1e9)
    estimator = PoseEstimator(rig, None, EstimatorOptions(refine="none", smoothing="none", min_hits=1))
    errors = []
    # In one piece: people are followed from set to set.
    for row in matched(times, periods)[:MOST_SETS]:
        keypoints = {
            view.camera.name: replace(view.people[n], stamp_ns=int(own[n]))
            for view, n, own in zip(views, row, times, strict=True)
            if n != ABSENT
        }
        px = estimator.estimate_from_keypoints(keypoints).pose.reprojection_px
        errors.append(px[np.isfinite(px)])
    joints = np.concatenate(errors) if errors else np.zeros(0)
    return float(np.median(joints)) if len(joints) else float("nan")
