"""pose3d train detector, from scenes or recordings to a file that the nodes' detector takes, or to none."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rendered_people import made_up_scene, walkers, write_made_up
from rig_recording import FPS, RIG, person, walking
from synthetic_people import h36m_rig

pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'pose3d_ros[train]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'pose3d_ros[onnx]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pose3d_ros[train]'")

from pose3d_ros.commands import train
from pose3d_ros.detection.onnx_model import OnnxModel
from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.research import recorded_images
from pose3d_ros.research.detector_training import read_detector, write_detector
from pose3d_ros.research.networks.integral import IntegralPose
from pose3d_ros.structures import Rig

SMALL = ("--network", "resnet18", "--width", "4", "--side", "64", "--batch", "8", "--threads", "1", "--quiet")
RECIPE = {"system": "integral", "layers": 18, "width": 4, "deconvolution": 8, "side": 64}


def trained(*words: str) -> int:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return train.run(parser.parse_args(["detector", *words]))


def test_scenes_become_a_file_for_the_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cameras = tuple(camera.resized((100, 100)) for camera in h36m_rig().cameras[:2])
    for scene in range(2):
        joints = walkers([(0.2 * scene, 0.0)], frames=4)
        write_made_up(made_up_scene(Rig(cameras), joints, tmp_path / "scenes" / f"scene_{scene:03d}"))
    output = tmp_path / "out"
    words = ("--data", str(tmp_path / "scenes"), "--output", str(output), "--epochs", "2", *SMALL)
    assert trained(*words) == 0
    printed = capsys.readouterr().out
    assert "2 epochs of 8 crops" in printed
    assert "--detector-skeleton h36m_17" in printed
    model = OnnxModel(str(output / "detector.onnx"), "cpu")
    assert model.size_wh == (76, 76)  # 64 px and a fifth
    assert [shape[:2] for shape in model.shapes] == [(1, 17)] * 2
    assert read_detector(output / "best.ckpt").side == 64
    with pytest.raises(InputError, match="use --resume"):
        trained(*words)
    assert trained(*words, "--resume") == 0


@pytest.fixture
def take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A walker's recording; its images have a white square on the walker's pelvis."""
    recording = walking(frames=50, bias=False)

    def images(folder: Path, recording: Recording, videos: Path | None = None):
        for stamp in next(iter(recording.keypoints.values())):
            shown = {}
            for camera in RIG.cameras:
                image = np.zeros((*camera.size_wh[::-1], 3), np.uint8)
                x, y = project(camera, person(stamp * 1e-9)[0]).round().astype(int)
                image[y - 30 : y + 31, x - 30 : x + 31] = 255
                shown[camera.name] = image
            yield stamp, shown

    monkeypatch.setattr(recorded_images, "recorded_images", images)
    (tmp_path / "take").mkdir()
    recording.save(tmp_path / "take" / "recording.npz")
    assert recording.fps == FPS
    return tmp_path / "take"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A network that places every joint in the upper left."""
    torch.manual_seed(0)
    network = IntegralPose(18, 0, 4, 8).eval()
    torch.nn.init.normal_(network.final.weight, std=1.0)
    write_detector(tmp_path / "start.ckpt", network, RECIPE)
    return tmp_path / "start.ckpt"


def test_nothing_is_replaced_where_nothing_is_gained(
    take: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "detector.onnx").write_bytes(b"before")
    words = ("--recording", str(take), "--start", str(start), "--output", str(output), "--threads", "1")
    assert trained(*words, "--epochs", "1", "--rate", "1e-30") == 1
    said = capsys.readouterr()
    assert "nothing is written: in the held-out stretches" in said.err
    for words in ("| start ", "| fine-tuned ", "| default detector "):
        assert words in said.out
    assert [path.name for path in output.iterdir()] == ["detector.onnx"]
    assert (output / "detector.onnx").read_bytes() == b"before"


def test_a_better_network_is_written_and_can_be_tuned_further(
    take: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--recording", str(take), str(take), "--output", str(tmp_path / "out"), "--threads", "1", "--epochs", "2")
    assert trained(*words, "--start", str(start), "--rate", "3e-3") == 0
    assert "held-out stretches" in capsys.readouterr().out
    assert OnnxModel(str(tmp_path / "out" / "detector.onnx"), "cpu").size_wh == (76, 76)
    back = read_detector(tmp_path / "out" / "best.ckpt")
    assert dict(back.recipe) == RECIPE
    before = read_detector(start).network.state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in back.network.state_dict().items())


def test_options_that_do_not_go_together_are_rejected(take: Path, start: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--recording and --start go together"):
        trained("--recording", str(take), "--output", str(tmp_path / "out"))
    with pytest.raises(InputError, match="--recording and --start go together"):
        trained("--data", str(take), "--start", str(start), "--output", str(tmp_path / "out"))
    with pytest.raises(InputError, match="2 folders: give one for each"):
        trained("--recording", str(take), "--start", str(start), "--videos", "a", "b")
    two = replace(walking(frames=5), rig=RIG.subset(RIG.names[:2]))
    keypoints = {name: two.keypoints[name] for name in two.rig.names}
    (tmp_path / "two").mkdir()
    replace(two, keypoints=keypoints).save(tmp_path / "two" / "recording.npz")
    with pytest.raises(InputError, match="2 cameras, expected 3"):
        trained("--recording", str(tmp_path / "two"), "--start", str(start), "--output", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
