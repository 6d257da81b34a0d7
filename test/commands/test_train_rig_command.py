"""pose3d train rig, from a recording's folder to weights that the estimator takes, or to none."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rig_recording import PAIR, RIG, walking
from trained_for_tests import file_of, moving

pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'pose3d_ros[train]'")

from pose3d_ros.cli import main
from pose3d_ros.commands import train
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_folder import read_recording
from pose3d_ros.recordings.recording_log import RecordingLog
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.structures import Rig
from pose3d_ros.training import rig as tuning


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(tuning, "STEPS", (20,))
    monkeypatch.setattr(tuning, "LEARNING_RATE", 6e-3)  # as far as many steps
    return file_of(moving(losses="rstb", lambda_b=0.002), tmp_path)


def recorded(folder: Path, recording: Recording) -> Path:
    folder.mkdir()
    recording.save(folder / "recording.npz")
    return folder


def tuned(*words: str) -> int:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return train.run(parser.parse_args(["rig", *words]))


def test_weights_are_written_and_the_estimator_and_evaluation_take_them(
    tmp_path: Path, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place, output = recorded(tmp_path / "take", walking()), tmp_path / "tuned"
    assert tuned(str(place), "--use-cameras", *PAIR, "--start", start, "--output", str(output)) == 0
    printed = capsys.readouterr().out
    for words in ("held-out stretches", "| triangulated |", "| shipped ", "| tuned ", "SHA-256"):
        assert words in printed
    weights = str(output / "cvugcn.safetensors")
    options = EstimatorOptions(cvugcn_weights=weights)
    assert "tuned on this rig" in PoseEstimator(RIG.subset(PAIR), options=options).refinement.reason
    assert "other cameras" in PoseEstimator(RIG.subset(RIG.names[2:]), options=options).refinement.warning
    table = tmp_path / "rig.json"
    assert main(["evaluate", "rig", weights, str(place), "--frames", "20", "60", "--json", str(table)]) == 0
    rows = json.loads(table.read_text())["tables"][0]["rows"]
    assert [(row["method"], row["poses"]) for row in rows[:3]] == [("triangulated", 40), ("shipped", 40), ("tuned", 40)]
    assert rows[2]["left-out px"] < rows[0]["left-out px"]


def test_nothing_is_written_where_nothing_is_gained(
    tmp_path: Path, start: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "LEARNING_RATE", 1e-6)
    place, output = recorded(tmp_path / "take", walking(bias=False)), tmp_path / "tuned"
    assert tuned(str(place), "--use-cameras", *PAIR, "--start", start, "--output", str(output)) == 1
    said = capsys.readouterr()
    assert "nothing is written: in the held-out stretches" in said.err
    assert "| tuned" in said.out
    assert not output.exists()


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (walking(speed=0.0), "people hardly move"),
        (walking(frames=20), "too short"),
    ],
)
def test_recordings_that_cannot_be_trained_on_leave_nothing(
    recording: Recording, words: str, tmp_path: Path, start: str
) -> None:
    place, output = recorded(tmp_path / "take", recording), tmp_path / "tuned"
    with pytest.raises(InputError, match=words):
        tuned(str(place), "--use-cameras", *PAIR, "--start", start, "--output", str(output))
    assert not output.exists()


def test_a_wrong_rig_is_rejected_and_leaves_nothing(tmp_path: Path, start: str) -> None:
    place, output, file = recorded(tmp_path / "take", walking()), tmp_path / "tuned", tmp_path / "rig.yaml"
    one, other = RIG.cameras[2:]
    wrong = one.placed(other.cam_from_world), other.placed(one.cam_from_world)
    save_rig(Rig((*RIG.cameras[:2], *wrong)), file)
    with pytest.raises(InputError, match="the rig does not fit the recording"):
        tuned(str(place), "--rig", str(file), "--use-cameras", *PAIR, "--start", start, "--output", str(output))
    assert not output.exists()


def test_labels_may_be_of_the_pair_alone(tmp_path: Path, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    place, output = recorded(tmp_path / "take", walking()), tmp_path / "tuned"
    code = tuned(str(place), "--cameras", *PAIR, "--start", start, "--output", str(output))
    assert "further labels of no other camera" in capsys.readouterr().out
    assert output.exists() == (code == 0)


def test_recordings_of_different_rigs_and_unknown_cameras_are_rejected(tmp_path: Path, start: str) -> None:
    one = recorded(tmp_path / "one", walking(frames=5))
    other = recorded(tmp_path / "other", walking(frames=5, cameras=3))
    with pytest.raises(InputError, match="recordings are of different rigs"):
        tuned(str(one), str(other), "--start", start)
    with pytest.raises(InputError, match="has no camera 'left'"):
        tuned(str(one), "--use-cameras", "left", "right", "--start", start)
    with pytest.raises(InputError, match="there is no recording in"):
        tuned(str(tmp_path / "none"))


def test_a_recording_in_parts_is_read_whole(tmp_path: Path) -> None:
    whole = walking(frames=10)
    log = RecordingLog(tmp_path / "take" / "parts")
    log.begin({})
    for first in (0, 5):
        some = {
            camera: {stamp: one for number, (stamp, one) in enumerate(seen.items()) if first <= number < first + 5}
            for camera, seen in whole.keypoints.items()
        }
        log.append(replace(whole, keypoints=some, frame_sets_sent=5, frames_per_loop=5))
    back = read_recording(tmp_path / "take")
    assert back.frames_per_loop == 10
    for camera, seen in whole.keypoints.items():
        assert list(back.keypoints[camera]) == list(seen)
        assert all(np.array_equal(back.keypoints[camera][t][0].xy, seen[t][0].xy, equal_nan=True) for t in seen)
