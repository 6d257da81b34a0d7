"""An estimate next to its truth, and the means that several benchmarks share (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.metrics import joint_errors
from pose3d_ros.geometry.alignment import procrustes
from pose3d_ros.research.datasets.pose_sequence import PoseSequence
from pose3d_ros.structures import Floats

ALIGNMENTS = ("none", "root", "similarity")
MM = 1000.0


class Scored(NamedTuple):
    """Joints of a truth in some skeleton, and estimates of them in the same frame."""

    truth: PoseSequence
    estimate: Floats  # (T, P, J, 3) m, NaN where nothing was estimated


def checked(truth: PoseSequence, estimate: Floats) -> Scored:
    """Both together; raises InputError unless the estimate has a pose of every frame."""
    if estimate.shape != truth.xyz.shape:
        raise InputError(
            f"{truth.key}: the estimate is {estimate.shape}, expected {truth.xyz.shape}: frames, people, joints of "
            f"{truth.skeleton.name} and x, y, z in m"
        )
    return Scored(truth, estimate)


def errors_mm(one: Scored, alignment: str, joints: tuple[str, ...], root: str = "Pelvis") -> Floats:
    """(T, P, J) mm of the named joints after an alignment; NaN where a joint is missing, of the truth or the estimate.

    none: as they are. root: moved so that the roots coincide. similarity: moved, turned and scaled by least squares
    over those joints, pose by pose.
    """
    if alignment not in ALIGNMENTS:
        raise InputError(f"alignment is {alignment!r}, expected one of {', '.join(ALIGNMENTS)}")
    skeleton = one.truth.skeleton
    true, found = one.truth.xyz, one.estimate
    if alignment == "root":
        middle = skeleton.index(root)
        true, found = true - true[:, :, [middle]], found - found[:, :, [middle]]
    chosen = [skeleton.index(name) for name in joints]
    true, found = true[:, :, chosen], found[:, :, chosen]
    if alignment == "similarity":
        found = procrustes(found, true)
    errors: Floats = MM * joint_errors(found, true)
    return errors


def mean_by(scored: Iterable[Scored], column: Callable[[PoseSequence], str], error: Callable[[Scored], Floats]) -> (
    Mapping[str, float]
):  # fmt: skip
    """Mean errors by column, every joint of every frame counting alike; NaN left out."""
    parts: dict[str, list[Floats]] = {}
    for one in scored:
        parts.setdefault(column(one.truth), []).append(np.ravel(error(one)))
    return {name: mean(np.concatenate(errors)) for name, errors in parts.items()}


def mean(values: Floats) -> float:
    """Without NaN; NaN of nothing."""
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else float("nan")


def missing_share(scored: Iterable[Scored]) -> float:
    """Share of the true joints without an estimate: such joints are left out of mean errors."""
    true = lost = 0
    for one in scored:
        known = np.isfinite(one.truth.xyz).all(axis=-1)
        true += int(known.sum())
        lost += int((known & ~np.isfinite(one.estimate).all(axis=-1)).sum())
    return lost / true if true else float("nan")
