"""The table of constant bones and motion, on a jointed figure that swings its limbs."""

from __future__ import annotations

import numpy as np
import pytest
from jointed_figure import figure
from tiny_motion import arrays

from pose3d_ros.evaluation import body_motion
from pose3d_ros.evaluation.bench import Bench
from pose3d_ros.evaluation.tables import EvaluationRequest
from pose3d_ros.evaluation.trials import HeldOut
from pose3d_ros.mocap.motion import motion_from_arrays


def test_every_method_is_compared_on_the_same_joints(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(body_motion, "FRAMES", 40)
    monkeypatch.setattr(body_motion, "NOISES", ("a",))
    clips = {**arrays(), "xyz": np.stack([figure(k % 60 / 12) for k in range(360)]).astype(np.float32)}
    motion = motion_from_arrays(clips)
    request = EvaluationRequest(motion, tmp_path, people=256)
    bench = Bench(request, HeldOut(motion.split("test"), people=60, seed=0))
    (table,) = body_motion.bodies(bench)
    rows = {(row[0], row[2]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    plain, smooth, late, both = (
        rows["Human3.6M, P1", method] for method in ("triangulated", "body, lag 0", "body, lag 3", "body, two-sided")
    )
    # Independent errors: bones and motion tell more than one frame does, the sets that follow more still.
    assert plain["mean mm"] > smooth["mean mm"] > late["mean mm"]
    assert smooth["acceleration mm"] < plain["acceleration mm"] / 2
    assert both["acceleration mm"] < plain["acceleration mm"] / 4
    assert plain["joints %"] == 100.0
    assert smooth["joints %"] > 98.0
    assert all(
        np.isfinite([value for value in row.values() if not isinstance(value, str)]).all() for row in rows.values()
    )
