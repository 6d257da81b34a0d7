"""`pose3d compare`: figures by hand, rows that are kept, and the whole table on a small scene."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes_of_jpegs import write_jpegs

from pose3d_ros.cli import main
from pose3d_ros.research import budgets, compare
from pose3d_ros.research.comparison import Comparison, figures
from pose3d_ros.research.rows import ROWS
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.training.loop import FitOptions

TINY = replace(
    budgets.SMALL, side=64, width=8, deconvolution=8, bins=4, hourglass_width=16, zhou_width=16,
    synthesis_width=8, latent_points=8, fully_connected=16,
    voxels=8, volume_width=8, passes=48, epoch_images=48, lifter_width=16, lifter_people=128, lifter_epochs=1,
    lifter_batch=64,
)  # fmt: skip
# This package's rows need the detector's weights: test_rendered_chain.py and others run that chain.
TRAINED = [row.name for row in ROWS if not row.name.startswith("ours")]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    for split, start in (("train", 0), ("val", 6), ("test", 9)):
        write_jpegs(folder / split, frames=3, start=start)
    return folder


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(compare.BUDGETS, "small", TINY)


def arguments(data, output, *others: str) -> list[str]:
    options = ["--seeds", "2", "--accelerator", "cpu", "--quiet", *others]
    return ["compare", "--data", str(data), "--output", str(output), *options]


def test_figures_by_hand():
    truth = torch.zeros(2, 17, 3, dtype=torch.float64)
    truth[..., 0] = torch.arange(17.0) / 10
    truth[..., 1] = torch.arange(17.0) ** 2 / 100
    moved = truth + torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64)  # the whole person by 0.5 m
    wrong = moved.clone()
    wrong[:, 3, 2] += 0.034  # one of 17 joints by 34 mm
    found = figures([moved, wrong], truth, [wrong], absolute=True)
    assert found.mean == pytest.approx([0.0, 2.0], abs=1e-6)
    assert found.estimated == pytest.approx([2.0])
    assert found.median == pytest.approx(0.0, abs=1e-6)
    assert found.absolute == pytest.approx(500.0)
    assert 0 < found.aligned < 2.0


def test_the_mean_poses_error_is_the_spread_of_the_people(data, tmp_path, tiny, capsys):
    """It is nearer to them than a person of no size."""
    assert main(arguments(data, tmp_path, "--rows", "mean")) == 0
    written = json.loads((tmp_path / "rows" / "mean.json").read_text())["figures"]
    run = Comparison(data, tmp_path, TINY, 2, FitOptions(epochs=1, batch_size=1))
    truth = run.truth().xyz
    relative = truth - truth[:, :1]
    nothing = 1000 * relative.norm(dim=-1).mean().item()  # a person of no size
    assert 0 < written["mean"][0] < nothing
    assert "the mean pose of the training people" in capsys.readouterr().out


def test_all_rows_are_trained_printed_kept_and_plotted(data, tmp_path, tiny, capsys):
    assert main(arguments(data, tmp_path, "--rows", *TRAINED)) == 0
    first = capsys.readouterr().out
    assert all(f"\n| {name} " in first for name in TRAINED)
    table = json.loads((tmp_path / "compare.json").read_text())
    assert [row["row"] for row in table["rows"]] == TRAINED
    for row in table["rows"]:
        assert np.isfinite(row["MPJPE"]), row
    lifted = next(row for row in table["rows"] if row["row"] == "C")
    assert lifted["+- seeds"] > 0
    assert lifted["images"] is None
    fused = next(row for row in table["rows"] if row["row"] == "H")
    assert fused["images"] == TINY.passes  # half of it by the network that it begins with
    assert (tmp_path / "curves_px.png").stat().st_size > 5000
    assert (tmp_path / "curves_mm.png").stat().st_size > 5000
    assert main(arguments(data, tmp_path, "--rows", *TRAINED)) == 0
    again = capsys.readouterr().out
    assert again == first[first.index("### compare") :]  # nothing is announced, nothing trained


def test_rows_of_other_options_are_rejected(data, tmp_path, tiny, capsys):
    assert main(arguments(data, tmp_path, "--rows", "mean")) == 0
    assert main(arguments(data, tmp_path, "--rows", "mean", "--passes", "96")) == 1
    assert "mean.json is of other people, sizes or seeds: give the same options" in capsys.readouterr().err


def test_what_is_missing_is_named_with_the_command_that_makes_it(tmp_path, capsys):
    assert main(arguments(tmp_path, tmp_path / "out")) == 1
    wanted = f"{tmp_path}/train is missing: `pose3d render --split train --rig h36m --output {tmp_path}/train`, or"
    assert wanted in capsys.readouterr().err


def test_an_unknown_row_is_rejected_with_those_there_are(data, tmp_path, capsys):
    assert main(arguments(data, tmp_path, "--rows", "Z")) == 1
    assert "--rows Z: there is no such row: use some of mean, A, B, C" in capsys.readouterr().err
    assert main(arguments(data, tmp_path, "--rows", "list")) == 0
    assert "H                  cross-view fusion, RPSM" in capsys.readouterr().out


def test_the_truth_is_in_the_order_of_the_networks(data):
    run = Comparison(data, data, TINY, 1, FitOptions(epochs=1, batch_size=1))
    truth, world = run.truth(), run.crops["test"].moments[1].joints_m
    camera = run.crops["test"].moments[1].cameras[2]
    head = H36M_17.index("HeadTop")
    expected = camera.cam_from_world[:3, :3] @ world[head] + camera.cam_from_world[:3, 3]
    assert truth.xyz[1 * 4 + 2, head].numpy() == pytest.approx(expected, abs=1e-5)
