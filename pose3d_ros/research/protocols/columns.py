"""The columns of TotalCapture's and HumanEva-I's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pose3d_ros.research.datasets.humaneva import JOINTS as HUMANEVA_JOINTS
from pose3d_ros.research.datasets.pose_sequence import PoseSequence
from pose3d_ros.research.protocols.scored import Scored, errors_mm, mean_by

AVERAGE = "average"
# Trumble et al. (BMVC 2017), Sec. 5: tested on these actions; networks are trained on S1 to S3.
SEEN_SUBJECTS, UNSEEN_SUBJECTS = ("S1", "S2", "S3"), ("S4", "S5")
TESTED_ACTIONS = {"Walking2": "W2", "Freestyle3": "FS3", "Acting3": "A3"}
TOTAL_CAPTURE = tuple(
    f"{who} {action}" for who in ("seen", "unseen") for action in TESTED_ACTIONS.values()
)  # fmt: skip
# The 16 joints of Qiu et al. (ICCV 2019) but for Vicon's Head, which is no joint of h36m_17.
TOTAL_CAPTURE_JOINTS = (
    "Pelvis", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Spine", "Thorax", "LShoulder", "LElbow", "LWrist",
    "RShoulder", "RElbow", "RWrist",
)  # fmt: skip
# The Validate partition of three subjects; tables have two of the actions, or all three.
HUMANEVA_ACTIONS, HUMANEVA_SUBJECTS = ("Walking", "Jog", "Box"), ("S1", "S2", "S3")
HUMANEVA = tuple(f"{action} {who}" for action in HUMANEVA_ACTIONS for who in HUMANEVA_SUBJECTS)


def total_capture_column(sequence: PoseSequence) -> str:
    """ "seen W2" and so on; "" of a sequence that no column counts."""
    action = TESTED_ACTIONS.get(sequence.action)
    return f"{'seen' if sequence.subject in SEEN_SUBJECTS else 'unseen'} {action}" if action else ""


def humaneva_column(sequence: PoseSequence) -> str:
    """ "Walking S1" and so on; "" of a sequence that no column counts."""
    name = f"{sequence.action.partition(' ')[0]} {sequence.subject}"
    return name if name in HUMANEVA else ""


def per_total_capture_column(scored: Iterable[Scored], alignment: str = "none") -> Mapping[str, float]:
    """MPJPE mm by column, and the mean over the columns there are."""
    counted = [one for one in scored if total_capture_column(one.truth)]
    errors = mean_by(counted, total_capture_column, lambda one: errors_mm(one, alignment, TOTAL_CAPTURE_JOINTS))
    return _with_average(errors, TOTAL_CAPTURE)


def per_humaneva_column(
    scored: Iterable[Scored], alignment: str = "similarity", actions: Sequence[str] = HUMANEVA_ACTIONS
) -> Mapping[str, float]:
    """The same for HumanEva-I, of the data set's own 15 joints."""
    counted = [one for one in scored if humaneva_column(one.truth).split(" ")[0] in actions]
    errors = mean_by(counted, humaneva_column, lambda one: errors_mm(one, alignment, HUMANEVA_JOINTS.joint_names))
    return _with_average(errors, HUMANEVA)


def _with_average(errors: Mapping[str, float], columns: Sequence[str]) -> Mapping[str, float]:
    ordered = {name: errors[name] for name in columns if name in errors}
    return {**ordered, AVERAGE: sum(ordered.values()) / len(ordered) if ordered else float("nan")}
