"""How well people's joints fit a recording's cameras: triangulated, and as a network refines them (NumPy, float64).

What is judged is what the estimator publishes: the network's answer behind its gates, fused with the triangulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose3d_ros.estimation.observation import present
from pose3d_ros.estimation.refinement.networks import CvUgcnRefiner
from pose3d_ros.estimation.refinement.stage import refined
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats
from pose3d_ros.training.rig_people import RigPeople
from pose3d_ros.weights.trained import Loaded


@dataclass(frozen=True)
class RigFigures:
    """Of people's joints that were triangulated; NaN for what the recording cannot say."""

    left_out_px: float  # median, keypoints of the cameras that the network does not have
    own_px: float  # median, keypoints of the network's own cameras
    bones_cv: float  # median over bones of the standard deviation of a person's bone over its mean


def published(people: RigPeople, network: Loaded | None) -> Floats:
    """Joints (P, J, 3) m of people as triangulated, or as refined; NaN for a joint that was not triangulated."""
    before = people.observed
    if network is None:
        return before.xyz
    after, _ = refined(CvUgcnRefiner(network), people.rig_cameras, people.rig_seen, before, None)
    return np.where(present(before.xyz)[..., None], after.xyz, np.nan)


def figures(parts: Sequence[RigPeople], joints: Sequence[Floats]) -> RigFigures:
    """Figures of several stretches of one recording, joints (P, J, 3) m of each."""
    views = parts[0].views
    apart: dict[bool, list[Floats]] = {True: [np.zeros(0)], False: [np.zeros(0)]}
    for people, xyz in zip(parts, joints, strict=True):
        for number, camera in enumerate(people.cameras):
            distance = np.linalg.norm(project(camera, xyz) - people.seen.xy[number], axis=-1)
            apart[number < views].append(distance[np.isfinite(distance)])
    all_ids = np.concatenate([people.ids for people in parts])
    return RigFigures(
        _median(np.concatenate(apart[False])), _median(np.concatenate(apart[True])),
        bones_cv(np.concatenate(list(joints)), all_ids),
    )  # fmt: skip


def bones_cv(xyz: Floats, ids: np.ndarray) -> float:
    """Median over people and bones of the spread of the bone's length over its mean; xyz (P, J, 3) m, ids (P,)."""
    found = []
    for one in np.unique(ids):
        for parent, child in H36M_17.bones:
            length = np.linalg.norm(xyz[ids == one, parent] - xyz[ids == one, child], axis=-1)
            length = length[np.isfinite(length)]
            if len(length) > 2:
                found.append(float(length.std() / length.mean()))
    return float(np.median(found)) if found else float("nan")


def by_method(people: RigPeople, networks: Mapping[str, Loaded | None]) -> dict[str, RigFigures]:
    """The figures of the same people by each network; None is triangulation."""
    return {name: figures([people], [published(people, network)]) for name, network in networks.items()}


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")
