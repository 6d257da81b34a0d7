"""The parameters detector and detector_model reach both nodes."""

from types import SimpleNamespace

import pytest
from rclpy.parameter import Parameter

from pose3d_ros.errors import InputError, OptionError
from pose3d_ros.ros.monocular_node import monocular_node
from pose3d_ros.ros.node_report import detector_facts, detector_words
from pose3d_ros.ros.pose_node import PoseNode


@pytest.mark.parametrize("node", [PoseNode, monocular_node])
def test_a_node_makes_the_detector_that_its_parameters_name(context, node, tmp_path):
    given = {"detector": "onnx", "detector_model": str(tmp_path / "no.onnx"), "device": "cpu"}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=r"no\.onnx cannot be read \(no such file\)"):
        node(context=context, parameter_overrides=overrides)


@pytest.mark.parametrize("node", [PoseNode, monocular_node])
def test_an_unknown_detector_ends_the_start(context, node):
    with pytest.raises(OptionError, match="expected one of auto, topdown"):
        node(context=context, parameter_overrides=[Parameter("detector", value="openpose")])


def test_what_runs_the_networks_is_said_where_the_detector_knows_it() -> None:
    known = SimpleNamespace(name="nanodet+movenet-auto", device="cpu", backend="openvino")
    facts = detector_facts(known, "auto")
    assert facts == {"detector": "nanodet+movenet-auto", "device": "cpu", "backend": "openvino"}
    assert detector_words(facts) == "nanodet+movenet-auto on cpu by openvino"
    other = detector_facts(SimpleNamespace(name="mine"), "cuda")
    assert other == {"detector": "mine", "device": "cuda"}
    assert detector_words(other) == "mine on cuda"
