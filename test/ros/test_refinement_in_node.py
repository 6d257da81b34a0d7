"""Refined poses through the real node: what goes out on /human_pose_3d and what /diagnostics says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from known_person import KnownDetector, ring
from rclpy.parameter import Parameter
from synthetic_cameras import error_mm, graph, own_context
from trained_for_tests import file_of, moving

from pose3d_ros.errors import InputError, OptionError, WeightsError, WeightsMissingError
from pose3d_ros.estimation.refinement.tuned_rig import TunedRig
from pose3d_ros.msg import HumanPose3DArray, Joint3D
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.weights import trained

HEAD = H36M_17.index("HeadTop")


def sources(pose: HumanPose3DArray) -> list[int]:
    return [joint.source for joint in pose.people[0].joints]


def test_auto_refines_on_a_rig_of_the_training_range_and_reports_it(tmp_path: Path) -> None:
    weights = file_of(moving((0.0, 0.04, 0.0), rigs=["room2"]), tmp_path)
    with graph(
        ring("left", "right"), fixed_frame="world", refine="auto", cvugcn_weights=weights, smoothing="none"
    ) as one:
        one.cameras.publish_transforms()
        poses = one.poses_after(5)
        taught = np.arange(17) != HEAD
        assert (
            np.array(sources(poses[-1])) == np.where(taught, Joint3D.SOURCE_REFINED, Joint3D.SOURCE_TRIANGULATED)
        ).all()
        assert {pose.people[0].id for pose in poses} == {"1"}
        assert error_mm(poses[-1], np.eye(4)) == pytest.approx(20.0, abs=1.0)  # fused halfway
        one.diagnosis_says("1 person")
        said = one.controller.diagnosis
        assert said["refine"] == "cvugcn"
        assert "cvugcn: the rig is such as its weights were trained on" in said["refine/reason"]
        assert float(said["stage_ms/refine"]) > 0
        assert one.controller.level == 0


def test_weights_tuned_on_this_rig_are_reported_and_those_of_another_rig_warn(tmp_path: Path) -> None:
    rig = ring("left", "right")
    entry = TunedRig(rig, (2.0, 6.0)).entry()
    weights = file_of(moving((0.0, 0.04, 0.0), rigs=["head530"], tuned=entry), tmp_path)
    with graph(rig, fixed_frame="world", refine="auto", cvugcn_weights=weights) as one:
        one.cameras.publish_transforms()
        assert Joint3D.SOURCE_REFINED in sources(one.poses_after(2)[-1])
        one.diagnosis_says("1 person")
        assert one.controller.diagnosis["refine/tuned"] == f"left right (calibration {rig.calibration_hash})"
        assert one.controller.level == 0
    with graph(ring("right", "left"), fixed_frame="world", refine="auto", cvugcn_weights=weights) as one:
        one.cameras.publish_transforms()
        assert Joint3D.SOURCE_REFINED not in sources(one.poses_after(2)[-1])
        one.diagnosis_says("running, but cvugcn_weights are not used: its weights were tuned on left right")
        assert one.controller.level == 1


def test_by_name_on_another_rig_it_refines_with_a_warning_and_auto_does_not(tmp_path: Path) -> None:
    weights = file_of(moving(rigs=["head530"]), tmp_path)
    with graph(ring("left", "right"), fixed_frame="world", refine="cvugcn", cvugcn_weights=weights) as one:
        one.cameras.publish_transforms()
        assert Joint3D.SOURCE_REFINED in sources(one.poses_after(2)[-1])
        one.diagnosis_says("running, but refine is cvugcn, though auto would not: cvugcn: the rig's outermost cameras")
        assert one.controller.level == 1
    with graph(
        ring("left", "right"), fixed_frame="world", refine="auto", cvugcn_weights=weights, smoothing="none"
    ) as one:
        one.cameras.publish_transforms()
        assert set(sources(one.poses_after(2)[-1])) == {Joint3D.SOURCE_TRIANGULATED}
        one.diagnosis_says("1 person")
        assert one.controller.diagnosis["refine"] == "none"
        assert "the weights were trained for 0.12 m" in one.controller.diagnosis["refine/reason"]


def test_what_the_gates_refuse_is_counted_and_the_pose_stays_the_triangulated(tmp_path: Path) -> None:
    weights = file_of(moving((0.0, 0.5, 0.0), rigs=["room2"]), tmp_path)
    with graph(
        ring("left", "right"), fixed_frame="world", refine="auto", cvugcn_weights=weights, smoothing="none"
    ) as one:
        one.cameras.publish_transforms()
        assert error_mm(one.poses_after(2)[-1], np.eye(4)) < 1.0
        one.diagnosis_says("1 person")
        assert int(one.controller.diagnosis["refine/refused/too_far"]) > 0


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"refine": "yes"}, OptionError, "'refine' is 'yes', expected one of auto, none, posern, cvugcn, both"),
        ({"refine": "cvugcn"}, WeightsMissingError, "this installation ships none of cvugcn"),
        ({"refine": "both"}, WeightsError, "this installation ships none of posern"),
        ({"cvugcn_weights": "/nowhere.safetensors"}, WeightsMissingError, "there is no file /nowhere.safetensors"),
        ({"posern_weights": "thunder"}, InputError, "thunder"),
    ],
)
def test_weights_that_cannot_be_had_end_the_start(
    parameters: dict, error: type, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "TRAINED", ())
    given = {"cameras": ["left", "right"], **parameters}
    with own_context() as context, pytest.raises(error, match=words):
        PoseNode(
            KnownDetector(ring("left", "right")),
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
        )
