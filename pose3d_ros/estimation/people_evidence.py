"""What people say of a rig and its world: that they have no pose, how large they come out, which axis is up.

Time is that of the stamps. NumPy, float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pose3d_ros.estimation.estimate import PeopleReport
from pose3d_ros.estimation.missing_poses import MissingPoses, explain
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.monitoring.person_scale import PersonScale, leg_lengths
from pose3d_ros.monitoring.person_vertical import PersonVertical, up_hint
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, JointSource, Keypoints2D, PersonState, Pose3D, Rig

# Poses a second that are looked at: more say nothing new.
SAMPLE_NS = 190_000_000


class PeopleEvidence:
    """Gathers it; feed it every frame set and ask for the report."""

    def __init__(self) -> None:
        self._missing, self._scale, self._vertical = MissingPoses(), PersonScale(), PersonVertical()
        self._sampled_ns = 0
        self.report = PeopleReport()

    def reset(self) -> None:
        """Forget all people; their size and the vertical stay: the cameras are the same."""
        self._missing.reset()

    def state_dict(self) -> dict[str, Any]:
        """What was gathered."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    def begin_again(self) -> None:
        """Forget everything: these are other cameras."""
        self._missing.reset()
        self._scale.reset()
        self._vertical.reset()
        self._sampled_ns, self.report = 0, PeopleReport()

    def update(self, rig: Rig, keypoints: Mapping[str, Keypoints2D], pose: Pose3D, options: EstimatorOptions) -> None:
        """Take in one frame set: its 2D people by camera (h36m_17), and the pose of all known people."""
        stamp_ns, now_s = pose.stamp_ns, pose.stamp_ns * 1e-9
        if (pose.state == PersonState.VISIBLE).any():
            self._missing.placed()
            if 0 <= stamp_ns - self._sampled_ns < SAMPLE_NS:
                return
            ids, xyz, covariance = visible_bodies(pose)
            self._scale.add(now_s, leg_lengths(xyz, covariance).tolist())
            self._vertical.add(now_s, ids, xyz, covariance)
        else:
            if not self._missing.due(now_s):
                return
            explained = explain(rig.cameras, keypoints, options)
            self._missing.add(now_s, explained)
            self._scale.add(now_s, explained.legs_m)
        self._sampled_ns = stamp_ns
        self.report = self._reported(rig)

    def _reported(self, rig: Rig) -> PeopleReport:
        scale, vertical = self._scale.scale, self._vertical.vertical(up_hint(rig))
        faults = scale.fault, self._missing.fault, vertical.fault(rig.frame_id)
        values = {f"people/no_pose/{reason}": str(n) for reason, n in sorted(self._missing.counts.items())}
        values |= {"people/leg": scale.value, "people/up": vertical.axis or "not known yet"}
        return PeopleReport(tuple(one for one in faults if one), bool(scale.fault), values)


def visible_bodies(pose: Pose3D) -> tuple[list[str], Floats, Floats]:
    """Ids (P), joints (P, J, 3) m and covariances of VISIBLE people; NaN for joints that cameras did not place."""
    rows = np.flatnonzero(pose.state == PersonState.VISIBLE)
    source, n_views = pose.source[rows], pose.n_views[rows]
    placed = np.isin(source, (JointSource.TRIANGULATED, JointSource.REFINED)) & (n_views >= 2)
    xyz = np.where(placed[..., None], pose.xyz[rows], np.nan)
    return [pose.ids[row] for row in rows], xyz, np.where(placed[..., None, None], pose.covariance[rows], np.nan)


def body_evidence(scale: PersonScale, vertical: PersonVertical, pose: Pose3D) -> None:
    """Give both one pose of a recording."""
    ids, xyz, covariance = visible_bodies(pose)
    scale.add(pose.stamp_ns * 1e-9, leg_lengths(xyz, covariance).tolist())
    vertical.add(pose.stamp_ns * 1e-9, ids, xyz, covariance)
