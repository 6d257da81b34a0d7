"""The figures of a long recording, part by part: summary.py's, in memory that does not grow with the recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.evaluation.bone_lengths import BoneLengths
from pose3d_ros.evaluation.identity import visible_frames
from pose3d_ros.evaluation.summary import (
    STAGES,
    left_out_camera_px,
    reprojection_px,
    rounded,
)
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Floats, PersonState

GRAIN_PX, MOST_PX = (
    0.01,
    2000.0,
)  # of the histogram: medians are exact to half a grain; what is further counts as MOST_PX


class Histogram:
    """Distances in px, counted."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(round(MOST_PX / GRAIN_PX) + 1, dtype=np.int64)

    def add(self, values: Floats) -> None:
        """Count values (N,) px."""
        bins = np.minimum(values / GRAIN_PX, len(self._counts) - 1).astype(np.int64)
        self._counts += np.bincount(bins, minlength=len(self._counts))

    def percentile(self, q: float) -> float:
        """The value (px) below which q % lie; NaN without any."""
        total = int(self._counts.sum())
        if not total:
            return float("nan")
        rank = q / 100 * (total - 1)
        return float((np.searchsorted(self._counts.cumsum(), rank, side="right") + 0.5) * GRAIN_PX)


class RunningSummary:
    """Takes a recording in part by part."""

    def __init__(self) -> None:
        self._sets = self._published = 0
        self._people: Counter[str] = Counter()
        self._reprojection, self._left_out = Histogram(), Histogram()
        self._bones = BoneLengths()
        self._stages: dict[str, list[float]] = defaultdict(list)
        self._busy_ns = self._counted = 0

    def add(self, part: Recording) -> None:
        """Take in the next part; received_ns of a part are the times of its ends, on a clock of the part's own."""
        self._sets += part.frame_sets_sent
        self._published += sum(bool((pose.state == PersonState.VISIBLE).any()) for pose in part.poses)
        self._people.update(visible_frames(part.poses))
        self._reprojection.add(reprojection_px(part))
        self._left_out.add(left_out_camera_px(part))
        self._bones.add(part.poses)
        for stage, value in part.stage_ms.items():
            self._stages[stage].append(value)
        if len(part.received_ns) > 1:
            self._busy_ns += int(part.received_ns[-1] - part.received_ns[0])
            self._counted += len(part.received_ns) - 1

    def result(self) -> dict[str, Any]:
        """The figures, with summarise's keys where they mean the same; ready for JSON.

        frame_sets_sent  frame sets of the recording
        rate_hz          frame sets a second of work, without loading and pauses
        stage_ms         median over the parts of each part's median
        """
        return {
            "frame_sets_sent": self._sets,
            "poses_published": self._published,
            "rate_hz": rounded(self._counted / self._busy_ns * 1e9 if self._busy_ns else None, 2),
            "stage_ms": {
                stage: rounded(float(np.median(self._stages[stage])), 2) if self._stages[stage] else None
                for stage in STAGES
                if stage in self._stages
            },
            "reprojection_px": {
                "median": rounded(self._reprojection.percentile(50), 2),
                "p95": rounded(self._reprojection.percentile(95), 2),
            },
            "left_out_camera_px": {"median": rounded(self._left_out.percentile(50), 2)},
            "bone_length_cv": rounded(self._bones.cv, 4),
            "people": dict(self._people),
        }
