"""One set of detector options for the command line, YAML and ROS parameters."""

import argparse

import pytest

from pose3d_ros.cli import build_parser
from pose3d_ros.detection import options as detector_options
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.options import DetectorOptions, weights_of
from pose3d_ros.errors import InputError, OptionError, WeightsMissingError
from pose3d_ros.options import from_mapping
from pose3d_ros.weights import store


def _parsed(*arguments):
    parser = argparse.ArgumentParser()
    detector_options.add_arguments(parser)
    return detector_options.from_arguments(parser.parse_args(arguments))


def test_no_options_give_the_default_detector():
    assert _parsed() == DetectorOptions()
    assert detector_options.non_default(DetectorOptions()) == {}
    assert weights_of(DetectorOptions()) == ("movenet-lightning", "movenet-thunder", "nanodet")
    assert weights_of(DetectorOptions(detector="topdown")) == ("movenet-thunder", "nanodet")


def test_command_line_and_parameters_give_the_same_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = _parsed("--detector", "onnx", "--detector-model", "x.onnx", "--detector-kind", "simcc")
    assert options == DetectorOptions(
        detector="onnx", detector_model=str(tmp_path / "x.onnx"), detector_kind="simcc"
    )  # absolute: nodes run in another folder
    assert from_mapping(DetectorOptions, detector_options.non_default(options)) == options


@pytest.mark.parametrize("command", [["demo"], ["mono", "--image", "x.png"], ["estimate", "--rig", "r.yaml", "a.mp4"]])
def test_every_command_with_a_detector_accepts_its_options(command):
    args = build_parser().parse_args([*command, "--detector", "movenet-multipose"])
    assert detector_options.from_arguments(args).detector == "movenet-multipose"


def test_unknown_detector_is_rejected_with_the_supported_ones():
    with pytest.raises(OptionError, match="auto, topdown, movenet-lightning, movenet-multipose, onnx"):
        DetectorOptions(detector="openpose")


@pytest.mark.parametrize("name", ["auto", "topdown", "movenet-lightning", "movenet-multipose"])
def test_missing_weights_are_reported_with_the_command_that_fetches_them(name, tmp_path, monkeypatch):
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    options = DetectorOptions(detector=name)
    assert set(weights_of(options)) <= set(store.names())
    with pytest.raises(WeightsMissingError, match="pose3d models fetch"):
        make_detector(options, "cpu")


def test_unknown_device_is_rejected(weights):
    with pytest.raises(InputError, match="use auto, cpu or cuda"):
        make_detector(DetectorOptions(), "quantum")
