"""What `pose3d evaluate prediction` says of a walk whose speed is known, and of a folder without a recording."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_recording import recording

from pose3d_ros.cli import build_parser
from pose3d_ros.commands.evaluate import run
from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.prediction import ALL_PEOPLE, Errors, errors, estimates

SPEED = float(np.hypot(0.9, 0.3))  # of synthetic_recording's walker, m/s


def test_held_poses_lag_a_walker_and_predicted_ones_far_less(tmp_path: Path) -> None:
    made = recording(sigma=0.5)
    found = estimates(made)
    for horizon_s in (0.1, 0.3):
        one = errors(found, horizon_s)[ALL_PEOPLE]
        assert np.median(one.held) == pytest.approx(SPEED * horizon_s, rel=0.15)
        assert one.better > 0.3
        assert one.predicted.mean() < one.held.mean()
        assert one.inside > 0.9

    (tmp_path / "walk").mkdir()
    made.save(tmp_path / "walk" / "recording.npz")
    written = tmp_path / "figures.json"
    words = ["evaluate", "prediction", str(tmp_path / "walk"), "--json", str(written), "--plots", str(tmp_path)]
    assert run(build_parser().parse_args(words)) == 0
    rows = json.loads(written.read_text())["tables"][0]["rows"]
    assert [(row["ahead"], row["person"]) for row in rows] == [
        (ahead, person) for ahead in ("100 ms", "300 ms") for person in ("1", ALL_PEOPLE)
    ]
    assert rows[0]["better %"] == pytest.approx(100 * errors(found, 0.1)["1"].better)
    assert (tmp_path / "prediction_walk.png").stat().st_size > 5000


def test_gain_and_coverage_of_given_errors() -> None:
    one = Errors(np.full(4, 0.2), np.full(4, 0.2), np.full(4, 0.05), np.array([0.1, 7.8, 7.9, 20.0]))
    assert one.better == pytest.approx(0.75)
    assert one.inside == 0.5  # chi-squared with 3 degrees of freedom ends at 7.815
    empty = Errors(*np.zeros((4, 0)))
    assert np.isnan([empty.better, empty.inside]).all()


def test_folder_without_a_recording_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no recording\.npz in .*: give a folder that `pose3d demo --output` wrote"):
        run(build_parser().parse_args(["evaluate", "prediction", str(tmp_path)]))
