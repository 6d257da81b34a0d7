import argparse

import pytest

from pose3d_ros import models_command
from pose3d_ros.errors import InputError, WeightsMissingError
from pose3d_ros.weights.table import MODELS


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    models_command.add_arguments(parser)
    return models_command.run(parser.parse_args(words))


def test_list_names_every_model_with_licence_and_author(capsys):
    assert _run("list") == 0
    shown = capsys.readouterr().out
    for model in MODELS:
        assert model.name in shown
        assert model.licence in shown
        assert model.author in shown
    assert "not fetched" in shown


def test_list_tells_damaged_weights_from_missing_ones(tmp_path, capsys):
    for file in MODELS[0].files:
        (tmp_path / "weights" / MODELS[0].name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "weights" / MODELS[0].name / file.name).write_bytes(b"not it")
    assert _run("list") == 0
    first, second = [line for line in capsys.readouterr().out.splitlines() if " MB, " in line]
    assert first.endswith("damaged: run `pose3d models fetch`)")
    assert second.endswith("not fetched)")


def test_verify_fails_when_weights_are_missing(capsys):
    assert _run("verify") == 1
    assert "pose3d models fetch" in capsys.readouterr().out


def test_path_of_missing_weights_is_an_error():
    with pytest.raises(WeightsMissingError):
        _run("path", "nanodet")


def test_an_unknown_model_is_refused():
    with pytest.raises(InputError, match="movenet-thunder"):
        _run("fetch", "yolo")
