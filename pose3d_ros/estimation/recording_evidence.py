"""What the people of a whole recording say: whether there are any, how large they are, which way is up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pose3d_ros.estimation.missing_poses import Reason, explain, reasons_in_words
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.people_evidence import body_evidence
from pose3d_ros.monitoring.exposure import exposure_warnings
from pose3d_ros.monitoring.person_scale import PersonScale
from pose3d_ros.monitoring.person_vertical import PersonVertical, up_hint
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import PersonState, Rig

# Frame sets without a pose that are explained: more say nothing new, and cost a millisecond each.
EXPLAINED, EXPLAIN_NS = 400, 190_000_000
# A clip is short: people who keep to an axis that the images hint at are believed after this, s.
STOOD_S = 0.3


@dataclass(frozen=True)
class RecordingReport:
    """What is to be said at the end of a recording."""

    nothing: str = ""  # why no person has a pose in any frame set; empty where one has
    warnings: tuple[str, ...] = ()
    up: str = ""  # +x, -x, +y, -y, +z or -z: the axis along which people stand; "" where they do not say

    @property
    def found(self) -> bool:
        """Whether any person has a pose."""
        return not self.nothing

    @property
    def lines(self) -> tuple[str, ...]:
        """What to print in the end, what was not found last."""
        turned = f"people stand along {self.up}: .trc, .c3d and .bvh files are turned upright, others are not"
        note = turned if self.up not in ("", "+z") else ""
        return tuple(one for one in (*(f"warning: {one}" for one in self.warnings), note, self.nothing) if one)


class RecordingEvidence:
    """Takes a recording in part by part."""

    def __init__(self, rig: Rig, options: EstimatorOptions) -> None:
        self._rig, self._options = rig, options
        self._scale, self._vertical = PersonScale(kept=None), PersonVertical(kept=None, stood_s=STOOD_S)
        self._sets = self._together = self._with_pose = self._explained = 0
        self._seeing: Counter[str] = Counter()
        self._reasons: Counter[Reason] = Counter()
        self._explained_ns = -EXPLAIN_NS
        self._exposure: list[dict[str, list[int]]] = []

    def add(self, part: Recording) -> None:
        """Take in the next part: one pose a frame set, and the 2D people of its cameras."""
        self._exposure.append(dict(part.exposure))
        for pose in part.poses:
            views = {c: sights[pose.stamp_ns][0] for c, sights in part.keypoints.items() if pose.stamp_ns in sights}
            self._sets += 1
            self._together += len(views) > 1
            self._seeing.update(camera for camera, people in views.items() if len(people))
            if (pose.state == PersonState.VISIBLE).any():
                self._with_pose += 1
                body_evidence(self._scale, self._vertical, pose)
            elif self._explained < EXPLAINED and pose.stamp_ns - self._explained_ns >= EXPLAIN_NS:
                found = explain(self._rig.cameras, views, self._options)
                self._explained += bool(found.reasons)
                self._explained_ns = pose.stamp_ns
                self._reasons.update(found.reasons)
                self._scale.add(pose.stamp_ns * 1e-9, found.legs_m)

    def report(self) -> RecordingReport:
        """What was found, and what was not."""
        vertical = self._vertical.vertical(up_hint(self._rig))
        warnings = (*exposure_warnings(self._exposure), self._scale.scale.fault, vertical.fault(self._rig.frame_id))
        nothing = "" if self._with_pose else f"no person in 3D in {self._sets} frame sets: {self._why()}"
        return RecordingReport(nothing, tuple(one for one in warnings if one), vertical.axis)

    def _why(self) -> str:
        if len(self._rig.cameras) > 1 and not self._together:
            return "no two cameras have an image or keypoints of the same moment: check offsets, stamps and file names"
        if not self._seeing:
            return "no camera saw a person: is one in view and lit, and whole from the hips or shoulders on?"
        seen = ", ".join(f"{camera} in {n}" for camera, n in self._seeing.most_common(4))
        if reasons := reasons_in_words({reason.value: n for reason, n in self._reasons.items()}):
            return reasons
        if len(self._rig.cameras) == 1:
            return f"people were seen by {seen}, and none well enough to be lifted"
        if len(self._seeing) > 1:
            return f"people were seen by {seen}, never by two cameras at once"
        return f"people were seen by {seen} alone: two cameras must see a person"


def evidence_of(parts: Iterable[Recording], rig: Rig, options: EstimatorOptions) -> RecordingReport:
    """What the people of all parts say."""
    evidence = RecordingEvidence(rig, options)
    for part in parts:
        evidence.add(part)
    return evidence.report()
