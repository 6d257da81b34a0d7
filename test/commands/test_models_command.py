import argparse
import hashlib

import pytest

from pose3d_ros.commands import models
from pose3d_ros.errors import InputError, WeightsCorruptError, WeightsMissingError
from pose3d_ros.weights import trained
from pose3d_ros.weights.table import MODELS
from pose3d_ros.weights.trained import TrainedNetwork


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))


def _run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    models.add_arguments(parser)
    return models.run(parser.parse_args(arguments))


def test_list_names_every_model_with_licence_and_author(capsys):
    assert _run("list") == 0
    shown = capsys.readouterr().out
    for model in MODELS:
        assert model.name in shown
        assert model.licence in shown
        assert model.author in shown
    assert "not fetched" in shown


def test_list_distinguishes_damaged_from_missing_weights(tmp_path, capsys):
    for file in MODELS[0].files:
        (tmp_path / "weights" / MODELS[0].name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "weights" / MODELS[0].name / file.name).write_bytes(b"not it")
    assert _run("list") == 0
    first, second = [line for line in capsys.readouterr().out.splitlines() if " MB, " in line][:2]
    assert first.endswith("damaged: run `pose3d models fetch`)")
    assert second.endswith("not fetched)")


def test_verify_fails_when_weights_are_missing(capsys):
    assert _run("verify") == 1
    assert "pose3d models fetch" in capsys.readouterr().out


def test_path_of_missing_weights_is_an_error():
    with pytest.raises(WeightsMissingError):
        _run("path", "nanodet")


def test_unknown_model_is_rejected():
    with pytest.raises(InputError, match="movenet-thunder"):
        _run("fetch", "yolo")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A table of one trained network, and a file with the right digest."""
    (tmp_path / "tiny.safetensors").write_bytes(b"weights")
    row = TrainedNetwork(
        name="tiny", network="lifter", file="tiny.safetensors", sha256=hashlib.sha256(b"weights").hexdigest(), size=7,
        detector="", skeleton="h36m_17", rigs="h36m, room2", licence="Apache-2.0", data="CMU mocap", measured="99 mm",
    )  # fmt: skip
    monkeypatch.setattr(trained, "FOLDER", tmp_path)
    monkeypatch.setattr(trained, "TRAINED", (row,))
    return tmp_path / "tiny.safetensors"


def test_list_names_the_shipped_networks_too(shipped, capsys):
    assert _run("list", "tiny") == 0
    shown = capsys.readouterr().out
    for word in ("tiny (0.0 MB, shipped)", "lifter", "any detector", "h36m, room2", "Apache-2.0", "CMU mocap", "99 mm"):
        assert word in shown
    assert "nanodet" not in shown


def test_shipped_network_is_verified_and_located(shipped, capsys):
    assert _run("verify", "tiny") == 0
    assert _run("path", "tiny") == 0
    assert _run("fetch", "tiny") == 0
    assert capsys.readouterr().out.splitlines() == ["tiny: ok", str(shipped), f"tiny: {shipped}"]


def test_shipped_network_with_a_flipped_byte_is_reported_as_damaged(shipped, capsys):
    shipped.write_bytes(b"weighty")
    assert _run("verify", "tiny") == 1
    assert _run("list", "tiny") == 0
    assert capsys.readouterr().out.count("install pose3d_ros again") == 2
    with pytest.raises(WeightsCorruptError):
        _run("path", "tiny")
