"""Which refinement runs, and what is reported of it."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_people import h36m_rig
from trained_for_tests import biased, file_of, moving

from pose3d_ros.errors import InputError, OptionError, WeightsCorruptError, WeightsMissingError
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.plan import Network, RefinePlan, decide, find
from pose3d_ros.estimation.refinement.tuned_rig import TunedRig
from pose3d_ros.structures import Rig
from pose3d_ros.weights import trained
from pose3d_ros.weights.trained import TrainedNetwork

FOUR = h36m_rig()
RIG = FOUR.subset(FOUR.names[:2])
DETECTOR = "nanodet+movenet-thunder"
CVUGCN = Network(moving())
PROVEN = Network(biased(), detector="movenet-thunder", left_out_px=((12.0, 11.0), (9.0, 8.5)))
ABSENT = Network(why_not="no weights")


def plan(
    refine: str = "auto", *, posern: Network = ABSENT, cvugcn: Network = ABSENT, detector: str = DETECTOR
) -> RefinePlan:
    return decide(refine, RIG, detector, posern, cvugcn)


def test_auto_without_weights_is_none_and_says_so() -> None:
    assert plan() == RefinePlan("none", "cvugcn: no weights; posern: no weights")


def test_auto_takes_cvugcn_on_a_rig_such_as_it_was_trained_on() -> None:
    found = plan(cvugcn=CVUGCN)
    assert (found.method, found.warning) == ("cvugcn", "")
    assert "the rig is such as its weights were trained on" in found.reason


@pytest.mark.parametrize("cameras", [3, 4])
def test_auto_leaves_alone_what_more_than_two_cameras_triangulate(cameras: int) -> None:
    found = decide("auto", FOUR.subset(FOUR.names[:cameras]), DETECTOR, ABSENT, CVUGCN)
    assert found.method == "none"
    assert f"the rig has {cameras} cameras, the weights were trained for 2" in found.reason


def test_auto_leaves_cvugcn_on_another_rig_and_by_name_it_runs_with_a_warning() -> None:
    heads = Network(moving(rigs=["head530"]))
    assert plan(cvugcn=heads).method == "none"
    assert "trained for 0.12 m" in plan(cvugcn=heads).reason
    asked = plan("cvugcn", cvugcn=heads)
    assert asked.method == "cvugcn"
    assert asked.warning.startswith("refine is cvugcn, though auto would not: cvugcn: the rig's outermost cameras")


def test_auto_takes_posern_only_with_its_own_detector_and_where_it_was_proven() -> None:
    assert plan(posern=PROVEN).method == "posern"
    assert plan(posern=PROVEN, detector="movenet-thunder").method == "posern"
    assert plan(posern=PROVEN, cvugcn=CVUGCN).method == "both"
    other = plan(posern=PROVEN, detector="nanodet+other")
    assert other.method == "none"
    assert "its weights are for the detector 'movenet-thunder', nanodet+other is running" in other.reason
    assert plan(posern=replace(PROVEN, left_out_px=())).method == "none"


@pytest.mark.parametrize(
    ("trials", "share"),
    [
        (((11.0, 12.0),), "0 of 1"),
        (((21.60, 21.58), (25.04, 26.11)), "0 of 2"),
        (((23.98, 23.34), (28.95, 26.59)), "1 of 2"),
        (((9.0, 9.0), (12.0, 11.0)), "1 of 2"),
        (((9.0, math.nan),), "0 of 1"),
    ],
)
def test_auto_leaves_posern_that_did_not_help_in_every_trial_of_real_footage(
    trials: tuple[tuple[float, float], ...], share: str
) -> None:
    found = plan(posern=replace(PROVEN, left_out_px=trials))
    assert found.method == "none"
    assert f"nearer to a camera left out in {share} trials of real footage (" in found.reason
    for without, with_it in trials:
        assert f"{without:g} px without it, {with_it:g} px with it" in found.reason


def test_both_by_name_warns_of_each_that_auto_would_not_take() -> None:
    assert plan("both", posern=PROVEN, cvugcn=CVUGCN).warning == ""
    assert "posern: its weights were not measured" in plan("both", posern=Network(biased()), cvugcn=CVUGCN).warning


def test_weights_that_do_not_ship_are_a_reason_for_auto_and_an_error_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "TRAINED", ())
    assert find("cvugcn", "auto", "").why_not == "no weights"
    for refine in ("cvugcn", "both"):
        with pytest.raises(WeightsMissingError, match=r"pose3d train cvugcn.*cvugcn_weights"):
            find("cvugcn", refine, "")
    assert find("posern", "cvugcn", "").why_not == "not asked for"


def test_a_damaged_installation_is_a_reason_for_auto_and_an_error_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    row = TrainedNetwork("x", "cvugcn", "no_such.safetensors", "0" * 64, 1, "", "h36m_17", "", "", "", "")
    monkeypatch.setattr(trained, "TRAINED", (row,))
    assert "not in the installation" in find("cvugcn", "auto", "").why_not
    with pytest.raises(WeightsMissingError, match="not in the installation"):
        find("cvugcn", "cvugcn", "")


def test_shipped_weights_bring_their_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = Path(file_of(biased(), tmp_path))
    row = TrainedNetwork(
        "x", "posern", place.name, trained.sha256_of(place), place.stat().st_size, "movenet-thunder", "h36m_17",
        "", "", "", "", left_out_px=((3.0, 2.0),),
    )  # fmt: skip
    monkeypatch.setattr(trained, "TRAINED", (row,))
    monkeypatch.setattr(trained, "FOLDER", tmp_path)
    assert plan(posern=find("posern", "auto", "")).method == "posern"


def test_user_weights_are_loaded_and_invalid_ones_are_reported(tmp_path: Path) -> None:
    assert plan(cvugcn=find("cvugcn", "auto", file_of(moving(), tmp_path))).method == "cvugcn"
    with pytest.raises(InputError, match=r"posern_weights is .* which holds the network 'cvugcn'"):
        find("posern", "auto", file_of(moving(), tmp_path))
    with pytest.raises(WeightsMissingError, match="there is no file"):
        find("cvugcn", "auto", str(tmp_path / "none.safetensors"))
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsCorruptError):
        find("cvugcn", "auto", str(tmp_path / "bad.safetensors"))


def test_a_wrong_choice_lists_the_choices() -> None:
    with pytest.raises(OptionError, match="'refine' is 'cv-ugcn', expected one of auto, none, posern, cvugcn, both"):
        EstimatorOptions(refine="cv-ugcn")


def test_torch_is_not_loaded_where_nothing_refines() -> None:
    code = (
        f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); from synthetic_people import h36m_rig\n"
        "from pose3d_ros.estimation.estimator import PoseEstimator\n"
        "from pose3d_ros.estimation.options import EstimatorOptions\n"
        "from pose3d_ros.structures import Keypoints2D; from pose3d_ros.skeletons import H36M_17\n"
        "rig = h36m_rig(); estimator = PoseEstimator(rig, options=EstimatorOptions(refine='none'))\n"
        "estimator.estimate_from_keypoints({name: Keypoints2D.empty(H36M_17) for name in rig.names})\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def tuned_on(rig: Rig) -> Network:
    """Weights of stereo heads, tuned on a rig."""
    return Network(moving(rigs=["head530"], tuned=TunedRig(rig, (2.0, 6.0)).entry()))


def test_weights_tuned_on_this_very_rig_are_taken_and_reported() -> None:
    found = plan(cvugcn=tuned_on(RIG))
    assert (found.method, found.warning) == ("cvugcn", "")
    assert f"its weights were tuned on this rig, {' '.join(RIG.names)} (calibration {RIG.calibration_hash})" in (
        found.reason
    )
    assert found.facts()["refine/tuned"] == f"{' '.join(RIG.names)} (calibration {RIG.calibration_hash})"
    assert plan("cvugcn", cvugcn=tuned_on(RIG)).tuned


def test_weights_tuned_on_another_rig_are_left_with_a_warning_and_by_name_they_run_with_one() -> None:
    other = FOUR.subset(FOUR.names[2:])
    found = plan(cvugcn=tuned_on(other))
    assert (found.method, found.tuned) == ("none", "")
    assert found.warning.startswith("cvugcn_weights are not used: its weights were tuned on ")
    assert RIG.calibration_hash in found.warning
    asked = plan("cvugcn", cvugcn=tuned_on(other))
    assert (asked.method, asked.tuned) == ("cvugcn", "")
    assert "this rig has other cameras" in asked.warning


def test_a_tuned_network_knows_people_as_far_away_as_in_its_recording() -> None:
    limits = tuned_on(RIG).range
    centres = np.stack([camera.centre for camera in RIG.cameras])
    assert limits.knows(centres, np.array([0.0, 0.0, 1.0]))
    assert not limits.knows(centres, np.array([30.0, 0.0, 1.0]))
