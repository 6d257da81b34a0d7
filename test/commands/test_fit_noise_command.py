"""pose3d fit-noise: a recording in, noise, errors and a picture out."""

import numpy as np
from synthetic_recording import recording

from pose3d_ros.cli import main
from pose3d_ros.simulation.detector_noise import DetectorNoise
from pose3d_ros.simulation.replayed_noise import ResidualBlocks


def test_a_demo_s_folder_gives_noise_errors_and_a_picture(tmp_path, capsys):
    (tmp_path / "log").mkdir()
    recording(offsets=True).save(tmp_path / "log" / "recording.npz")
    files = {name: tmp_path / name for name in ("noise.json", "noise.png", "errors.npz")}
    arguments = ["--output", files["noise.json"], "--plot", files["noise.png"], "--blocks", files["errors.npz"]]
    assert main(["fit-noise", str(tmp_path), *map(str, arguments)]) == 0
    told = capsys.readouterr().out
    assert "constant per camera (calibration and synchronisation)" in told
    assert "the detector's own: 3120 errors" in told  # 4 cameras, 60 frames, 13 joints
    spread = [np.sqrt(np.diag(one.covariance)) for one in DetectorNoise.load(files["noise.json"]).mixtures]
    assert 1.7 < np.mean(spread) < 2.3
    assert ResidualBlocks.load(files["errors.npz"]).error.shape == (4, 60, 13, 2)
    assert files["noise.png"].read_bytes()[:4] == b"\x89PNG"


def test_against_the_other_cameras_the_source_says_so(tmp_path):
    recording().save(tmp_path / "recording.npz")
    output = tmp_path / "noise.json"
    assert main(["fit-noise", str(tmp_path), "--leave-one-out", "--output", str(output)]) == 0
    assert "the other cameras" in DetectorNoise.load(output).fitted_to


def test_without_a_recording_the_message_says_where_one_comes_from(capsys):
    assert main(["fit-noise"]) == 1
    assert "pose3d demo" in capsys.readouterr().err


def test_a_folder_without_a_recording_is_told_and_where_one_comes_from(tmp_path, capsys):
    assert main(["fit-noise", str(tmp_path)]) == 1
    assert "holds no recording: give the folder that `pose3d demo" in capsys.readouterr().err
