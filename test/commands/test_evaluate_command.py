"""pose3d evaluate prints, writes and plots tables, and reports what is missing."""

import argparse
import contextlib
import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("lightning_fabric", reason="rows are trained with Lightning Fabric")


from pose3d_ros.cli import build_parser, main
from pose3d_ros.commands import evaluate
from pose3d_ros.errors import CalibrationError, FootageError, InputError
from pose3d_ros.evaluation import body_motion, calibration_tables, calibration_trials, latency, multiview_tables, trials
from pose3d_ros.training import rows

SHORT = "--epochs 1 --people 32 --rig-count 1 --width 8 --accelerator cpu --quiet --threads 1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "REPEATS", 5)
    monkeypatch.setattr(latency, "WARM_UP", 1)
    monkeypatch.setattr(trials, "MATCHING_PEOPLE", 16)


def evaluated(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return evaluate.run(parser.parse_args(arguments))


def in_process(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
    """`python -m pose3d_ros.cli ...` run here."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(command[3:])
    return subprocess.CompletedProcess(command, code, printed.getvalue())


def test_missing_data_is_rejected_with_the_option():
    with pytest.raises(InputError, match="--data"):
        evaluated("multiview")


def test_unknown_table_is_rejected_with_the_available_ones(motion_file):
    with pytest.raises(
        InputError,
        match=r"no table nose: use pairs, published, ablations, lambda, unseen, bodies, heads, noise, missing",
    ):
        evaluated("multiview", "--data", str(motion_file), "--tables", "nose")


def test_training_needs_a_folder(motion_file):
    with pytest.raises(InputError, match="--runs DIR"):
        evaluated("multiview", "--data", str(motion_file), "--train")


def test_every_table_is_printed_and_written_without_any_run(motion_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(body_motion, "FRAMES", body_motion.FIRST + 4)  # windows of three seconds take minutes
    path, plots = tmp_path / "out" / "multiview.json", tmp_path / "plots"
    words = ("multiview", "--data", str(motion_file), "--people", "8", "--json", str(path), "--plots", str(plots))
    assert evaluated(*words) == 0
    printed = capsys.readouterr().out
    content = json.loads(path.read_text())
    names = list(content["tables"])
    assert names == [
        "pairs-a", "pairs-b", "pairs-c", "published", "ablations", "lambda", "unseen-matrix", "unseen-pairs",
        "unseen-rigs", "bodies",
        "heads", "noise", "noise-slope", "noise-3d", "noise-3d-slope", "missing", "coverage", "size",
    ]  # fmt: skip
    for name in names:
        assert f"### {name}: " in printed
    assert "not trained: --runs DIR --train" in printed
    assert (plots / "noise.png").is_file()
    first = content["tables"]["pairs-a"]["rows"][0]
    assert first["row"] == "linear triangulation"
    assert 20.0 < first["mean mm"] < 50.0
    assert first["paper mm"] == 36.0


def test_same_seed_gives_the_same_numbers_and_another_seed_others(motion_file, tmp_path):
    numbers = []
    for seed in ("0", "0", "1"):
        path = tmp_path / "out.json"
        words = ("multiview", "--data", str(motion_file), "--people", "8", "--tables", "pairs", "--seed", seed)
        assert evaluated(*words, "--json", str(path)) == 0
        numbers.append(json.loads(path.read_text())["tables"])
    assert numbers[0] == numbers[1]
    assert numbers[0] != numbers[2]


def test_trained_rows_are_reused(motion_file, tmp_path, monkeypatch):
    # test_rows.py trains in a process of its own, which takes ten seconds longer.
    monkeypatch.setattr(rows.subprocess, "run", in_process)
    monkeypatch.setattr(multiview_tables, "LAMBDAS", (0.02,))
    words = ("multiview", "--data", str(motion_file), "--people", "8", "--tables", "lambda", "--runs", str(tmp_path))
    assert evaluated(*words, "--train", "--train-with", SHORT, "--json", str(tmp_path / "trained.json")) == 0
    assert evaluated(*words, "--json", str(tmp_path / "found.json")) == 0
    trained, found = (json.loads((tmp_path / name).read_text())["tables"] for name in ("trained.json", "found.json"))
    assert trained == found
    assert all(row["mean mm"] is not None for row in trained["lambda"]["rows"])
    assert (tmp_path / "ablation-rstb-b0.02-s0" / "row.json").is_file()


def test_evaluation_documentation_names_existing_commands_and_tables():
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    lines = re.findall(r"^pose3d ([^\n#]*)", text, re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        build_parser().parse_args(shlex.split(line))
    for name in (*multiview_tables.TABLES, *calibration_tables.TABLES):
        assert f"| `{name}` |" in text


def test_calibration_tables_are_printed_and_written_one_by_one(tmp_path, capsys, monkeypatch):
    def refusing(views, options):
        raise CalibrationError("people move too little: walk through the whole space")

    monkeypatch.setattr(calibration_trials, "calibrate_people", refusing)
    path = tmp_path / "out" / "calibration.json"
    assert evaluated("calibration", "--tables", "people", "--rigs", "room2", "--draws", "1", "--json", str(path)) == 0
    assert "### people: two people" in capsys.readouterr().out
    (table,) = json.loads(path.read_text())["tables"]
    assert table["rows"][0]["solved %"] == 0.0
    assert table["rows"][0]["place %"] is None


def test_calibration_tables_that_do_not_exist_or_lack_scenes_are_rejected(tmp_path):
    with pytest.raises(InputError, match="no table nose: use rigs, people, refused, focal, clocks, drift, refined"):
        evaluated("calibration", "--tables", "nose")
    with pytest.raises(InputError, match="give --rendered DIR"):
        evaluated("calibration", "--tables", "rendered")
    with pytest.raises(FootageError, match="no rendered scene"):
        evaluated("calibration", "--tables", "rendered", "--rendered", str(tmp_path))
