"""MPI-INF-3DHP's test set: 3DPCK and AUC by activity, relative to the pelvis.

Mehta et al. (3DV 2017), Sec. 5, and the owner's mpii_evaluate_errors: a joint counts where its error is below 150 mm;
AUC is the mean share over 0, 5, ..., 150 mm. Poses are those of the universal skeleton's height. The owner's later
releases count 14 joints, which all methods have; the first one counted all 17.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.metrics import auc, mpjpe, pck
from pose3d_ros.research.datasets.mpi_inf_3dhp import ACTIVITIES, JOINTS_17
from pose3d_ros.research.protocols.scored import Scored
from pose3d_ros.structures import Floats

ALL = "all"
SUBSETS = {
    17: JOINTS_17.joint_names,
    14: tuple(name for name in JOINTS_17.joint_names if name not in ("Pelvis", "Spine", "Nose")),
}


class Shares(NamedTuple):
    """Of one activity."""

    pck: float  # %
    auc: float  # %
    mpjpe_mm: float


def per_activity(scored: Sequence[Scored], joints: int = 14) -> Mapping[str, Shares]:
    """By activity, and over all frames under ALL; raises InputError for sequences without activities."""
    true, found, labels = [], [], []
    for one in scored:
        skeleton = one.truth.skeleton
        if one.truth.labels is None:
            raise InputError(f"{one.truth.key} has no activities: give sequences of the test set, TS1 to TS6")
        chosen, root = [skeleton.index(name) for name in SUBSETS[joints]], [skeleton.index("Pelvis")]
        true.append((one.truth.xyz - one.truth.xyz[:, :, root])[:, 0, chosen])
        found.append((one.estimate - one.estimate[:, :, root])[:, 0, chosen])
        labels.append(one.truth.labels)
    truth, estimate, activity = np.concatenate(true), np.concatenate(found), np.concatenate(labels)
    groups = {name: activity == number for number, name in ACTIVITIES.items()}
    chosen_rows = {name: rows for name, rows in groups.items() if rows.any()} | {ALL: np.ones(len(activity), bool)}
    return {name: _shares(estimate[rows], truth[rows]) for name, rows in chosen_rows.items()}


def _shares(estimate: Floats, truth: Floats) -> Shares:
    return Shares(100 * pck(estimate, truth), 100 * auc(estimate, truth), 1000 * mpjpe(estimate, truth))
