"""pose3d fit-noise reads a recording and writes noise, errors and a plot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rendered_people import ChangedDetector, displaced, made_up_scene, walkers, write_made_up
from synthetic_people import h36m_rig
from synthetic_recording import recording

from pose3d_ros.cli import main
from pose3d_ros.detection import factory
from pose3d_ros.detection.options import DetectorOptions, weights_of
from pose3d_ros.simulation.detector_noise import DetectorNoise
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.replayed_noise import ResidualBlocks
from pose3d_ros.structures import Keypoints2D
from pose3d_ros.weights import store


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


@pytest.mark.parametrize(
    "sources",
    [(), ("FOLDER", "--labels", "x.npz"), ("FOLDER", "--rendered", "x"), ("--labels", "x.npz", "--rendered", "x")],
)
def test_anything_but_one_source_is_rejected_in_one_line(sources, tmp_path, capsys):
    output = tmp_path / "noise.json"
    words = [str(tmp_path) if word == "FOLDER" else word for word in sources]
    assert main(["fit-noise", "--output", str(output), *words]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "give one of: a recording" in printed
    assert "--labels FILE, --rendered DIR" in printed
    assert not output.exists()


def test_leaving_a_camera_out_is_rejected_where_joints_are_known(tmp_path, capsys):
    assert (
        main(["fit-noise", "--rendered", str(tmp_path), "--leave-one-out", "--output", str(tmp_path / "n.json")]) == 1
    )
    assert "--leave-one-out is for a recording" in capsys.readouterr().err


@pytest.fixture
def scene(tmp_path) -> RenderedScene:
    """Two people before four cameras, with black images in its folder."""
    made = made_up_scene(h36m_rig(), walkers([(-0.8, -0.4), (0.7, 0.5)], 10), tmp_path / "rendered" / "scene_000")
    write_made_up(made)
    return made


@pytest.fixture
def detector_gives(monkeypatch, scene) -> Callable[..., list[str]]:
    """Make the default detector one that changes what is true; returns the weights that are fetched."""

    def make(change: Callable[[int, Keypoints2D], Keypoints2D]) -> list[str]:
        fetched: list[str] = []
        monkeypatch.setattr(store, "fetch", fetched.append)
        monkeypatch.setattr(factory, "make_detector", lambda options: ChangedDetector([scene], change))
        return fetched

    return make


def test_rendered_scene_gives_noise_and_errors(scene, detector_gives, tmp_path, capsys):
    rng = np.random.default_rng(0)

    def change(view: int, found: Keypoints2D) -> Keypoints2D:
        return displaced(found, rng.normal((0.0, 10.0), 4.0, found.xy.shape))

    fetched = detector_gives(change)
    noise, blocks = tmp_path / "noise.json", tmp_path / "errors.npz"
    folder: Path = scene.folder.parent
    assert main(["fit-noise", "--rendered", str(folder), "--output", str(noise), "--blocks", str(blocks)]) == 0
    assert fetched == list(weights_of(DetectorOptions()))
    printed = capsys.readouterr().out
    assert "2 rendered people in 1 scenes; 1 crop px is" in printed
    assert f"{4 * 10 * 2 * 13} errors" in printed
    assert "because each camera contributes" not in printed
    fitted = DetectorNoise.load(noise)
    errors = ResidualBlocks.load(blocks)
    assert errors.error.shape == (8, 10, 13, 2)
    assert errors.fps == scene.fps
    assert (errors.score == 1.0).all()
    px_per_crop_px = float(printed.split("1 crop px is ")[1].split()[0])
    assert px_per_crop_px * np.mean([one.mean for one in fitted.mixtures], axis=0) == pytest.approx((0, 10), abs=0.6)
    assert px_per_crop_px * errors.error.mean(axis=(0, 1, 2)) == pytest.approx((0, 10), abs=0.6)


def test_rendered_people_who_are_never_detected_are_rejected_in_one_line(scene, detector_gives, tmp_path, capsys):
    detector_gives(lambda view, found: found.select([]))
    output = tmp_path / "noise.json"
    assert main(["fit-noise", "--rendered", str(scene.folder), "--output", str(output)]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("pose3d fit-noise: no person was detected in the rendered scenes")
    assert printed.count("\n") == 1
    assert not output.exists()
