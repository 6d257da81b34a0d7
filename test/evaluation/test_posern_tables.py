from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_motion import arrays
from synthetic_recording import recording
from torch import nn

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.debiasing import frame_errors, network
from pose3d_ros.evaluation.posern_bench import Bench
from pose3d_ros.evaluation.posern_footage import footage, left_out, read
from pose3d_ros.evaluation.posern_tables import TABLES, subsets, tables
from pose3d_ros.evaluation.summary import left_out_camera_px
from pose3d_ros.evaluation.tables import EvaluationRequest
from pose3d_ros.mocap.motion import motion_from_arrays
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.training.rows import NOT_TRAINED


def request(*only: str, runs: Path | None = None, recordings: tuple[Path, ...] = ()) -> EvaluationRequest:
    motion = motion_from_arrays(arrays(length=130))
    return EvaluationRequest(motion, Path("none.npz"), runs, people=5, only=only, recordings=recordings)


class Same(nn.Module):
    """The same bias for every joint, in units."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size = size

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.full((len(features), 17, 2), self.size)


def test_rows_of_networks_that_are_not_trained_say_so_and_oracles_are_better_than_nothing(tmp_path):
    (table,) = tables(request("bias-free", runs=tmp_path))
    assert {row[1] for row in table.rows} == {
        "triangulated", "constant in the image", "constant in the bones' frames",
    }  # fmt: skip
    bench = Bench.of(request(runs=tmp_path))
    (one, *_) = bench.sessions("h36m", "a")
    assert len(one.people.truth) == 16
    assert all(way is None for label, way in bench.ways().items() if "PoseRN" in label)


def test_sessions_of_biased_detectors_err_more_than_those_without_bias(tmp_path):
    bench = Bench.of(request(runs=tmp_path))
    errors = [
        np.mean([frame_errors(one.people.robust().xyz, one.people.truth, GIVEN) for one in sessions])
        for sessions in (bench.sessions("room4", "a", biased=biased) for biased in (True, False))
    ]
    assert errors[0] > 1.25 * errors[1]


def test_network_that_predicts_nothing_has_the_figures_of_triangulation(tmp_path):
    bench = Bench.of(request(runs=tmp_path))
    bench._networks["posern"] = network(Same(0.0), {"network": "posern"})
    table = next(subsets(bench))
    rows = {row[1]: row[3:] for row in table.rows if row[0] == "12"}
    assert rows["PoseRN"] == pytest.approx(rows["triangulated"], abs=1e-6)
    assert f"residual MLP: {NOT_TRAINED}" in {row[1] for row in table.rows}
    assert rows["oracle: whole bias"][0] < 0.8 * rows["triangulated"][0]
    gone = table.columns.index("removed bias %") - 3
    assert rows["oracle: learnable part"][gone] > 90 > rows["constant in the bones' frames"][gone] > 30
    before, after = table.plots["posern_frames"].series["frames"]
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_unknown_table_is_rejected(tmp_path):
    with pytest.raises(InputError, match="subsets"):
        next(tables(request("subset", runs=tmp_path)))
    assert set(TABLES) == {"subsets", "bias-free", "rigs", "footage"}


def test_left_out_distances_without_correction_are_those_of_the_summary():
    seen = recording()
    without, with_it, as_detected = left_out(seen, network(Same(0.0), {"network": "posern"}))
    np.testing.assert_allclose(np.sort(without), np.sort(left_out_camera_px(seen)), atol=1e-6)
    np.testing.assert_allclose(with_it, without, atol=1e-3)
    np.testing.assert_allclose(as_detected, without, atol=1e-3)


def test_common_shift_is_measured_by_the_camera_left_out():
    without, with_it, _ = left_out(recording(), network(Same(0.3), {"network": "posern"}))
    assert np.median(with_it) > np.median(without) + 3.0


def test_footage_compares_every_recording_with_and_without_the_network(tmp_path):
    recording().save(tmp_path / "recording.npz")
    bench = Bench.of(request(runs=tmp_path, recordings=(tmp_path,)))
    (table,) = footage(bench)
    assert [row[1] for row in table.rows] == ["posern-rendered"]
    bench._networks["posern"] = network(Same(0.0), {"network": "posern"})
    (table,) = footage(bench)
    _, (name, row, count, without, with_it, as_detected) = table.rows
    assert (name, row, count) == (tmp_path.name, "row posern", len(left_out_camera_px(recording())))
    assert with_it == pytest.approx(without, abs=1e-3)
    assert as_detected == pytest.approx(without, abs=1e-3)
    assert len(table.columns) == 6


def test_footage_needs_a_recording_of_three_cameras(tmp_path):
    with pytest.raises(InputError, match="pose3d demo"):
        read(tmp_path)
    recording(cameras=2).save(tmp_path / "recording.npz")
    with pytest.raises(InputError, match="takes three"):
        read(tmp_path)
    assert not list(tables(request("footage", runs=tmp_path)))
