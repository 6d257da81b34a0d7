"""How far the cameras of a rig are off, measured from how far their views of people disagree.

Whatever keypoints disagree by is put down to the cameras alone, so the estimate is careful: a keypoint's own errors
count twice, in its covariance and here. That makes up for what no residual shows: two cameras are blind along their
epipolar lines, several where their errors look like a displaced person. Of the ways tried on Pose2Sim's footage
(docs/evaluation.md) it is the simplest, has no figure to fit, and is the one that covers both trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.state import load_state, state_of

# calibration_px that asks for this measurement.
MEASURED = -1.0
# Calibration lasts, synchronisation may drift; people walk through the room meanwhile. By choice.
MEMORY_S = 60.0


class CalibrationNoise:
    """A running mean, over all people and MEMORY_S: the squared re-projection error per degree of freedom."""

    def __init__(self) -> None:
        self.begin_again()

    def begin_again(self) -> None:
        """Forget what was measured: these are other cameras."""
        self._squared_px, self._freedom, self._stamp_ns = 0.0, 0.0, 0

    def reset(self) -> None:
        """People come and go; how far the cameras are off stays."""

    def state_dict(self) -> dict[str, Any]:
        """The sums and the last stamp."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    @property
    def px(self) -> float:
        """Standard deviation of a camera's error, px an axis; 0 before the first person."""
        return float(np.sqrt(self._squared_px / self._freedom)) if self._freedom > 0 else 0.0

    def update(self, observed: Observed3D, stamp_ns: int) -> float:
        """Take in the people triangulated at a stamp; returns px. A stamp before the last one forgets nothing."""
        keep = float(np.exp(-max(stamp_ns - self._stamp_ns, 0) * 1e-9 / MEMORY_S))
        self._stamp_ns = stamp_ns
        known = np.isfinite(observed.reprojection_px) & (observed.n_views >= 2)
        views, px = observed.n_views[known].astype(np.float64), observed.reprojection_px[known]
        self._squared_px = keep * self._squared_px + float(views @ (px * px))
        # V cameras say 2 V numbers of a joint that has 3.
        self._freedom = keep * self._freedom + 2.0 * float(views.sum()) - 3.0 * len(views)
        return self.px
