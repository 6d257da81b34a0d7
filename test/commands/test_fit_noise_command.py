"""pose3d fit-noise reads a recording and writes noise, errors and a plot."""

import numpy as np
from synthetic_recording import recording

from pose3d_ros.cli import main
from pose3d_ros.simulation.detector_noise import DetectorNoise
from pose3d_ros.simulation.replayed_noise import ResidualBlocks


def test_demo_folder_gives_noise_errors_and_a_plot(tmp_path, capsys):
    (tmp_path / "log").mkdir()
    recording(offsets=True).save(tmp_path / "log" / "recording.npz")
    files = {name: tmp_path / name for name in ("noise.json", "noise.png", "errors.npz")}
    arguments = ["--output", files["noise.json"], "--plot", files["noise.png"], "--blocks", files["errors.npz"]]
    assert main(["fit-noise", str(tmp_path), *map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    assert "constant per camera (calibration and synchronisation)" in printed
    assert "the detector's own: 3120 errors" in printed  # 4 cameras, 60 frames, 13 joints
    spread = [np.sqrt(np.diag(mixture.covariance)) for mixture in DetectorNoise.load(files["noise.json"]).mixtures]
    assert 1.7 < np.mean(spread) < 2.3
    assert ResidualBlocks.load(files["errors.npz"]).error.shape == (4, 60, 13, 2)
    assert files["noise.png"].read_bytes()[:4] == b"\x89PNG"


def test_leave_one_out_is_recorded_in_the_source(tmp_path):
    recording().save(tmp_path / "recording.npz")
    output = tmp_path / "noise.json"
    assert main(["fit-noise", str(tmp_path), "--leave-one-out", "--output", str(output)]) == 0
    assert "the other cameras" in DetectorNoise.load(output).fitted_to


def test_missing_recording_is_rejected_with_the_command_that_makes_one(capsys):
    assert main(["fit-noise"]) == 1
    assert "pose3d demo" in capsys.readouterr().err


def test_folder_without_a_recording_is_rejected_with_the_command_that_makes_one(tmp_path, capsys):
    assert main(["fit-noise", str(tmp_path)]) == 1
    assert "contains no recording: give the folder that `pose3d demo" in capsys.readouterr().err
