"""Tables of the detector on rendered people, whose points in the images are known (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.evaluated_scenes import Evaluated, finite, mean, median, quantiles, squared
from pose3d_ros.evaluation.posern_footage import read
from pose3d_ros.evaluation.tables import Cell, Panels, Table
from pose3d_ros.simulation.detector_residuals import BODY, Residuals, residuals_of
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats
from pose3d_ros.training.rendered_people import true_joints, true_points

# Both sides of a joint together. A tenth of a person's size is a forearm's length.
JOINTS = ("Nose", "Eye", "Ear", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
FAR = 0.1
SCORES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
SHOWN_SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
LEVEL = 0.95
# Of the curves of errors, px of the detector's crop: nearly all keypoints lie within.
CURVE_PX = np.linspace(0.0, 15.0, 61)


def reality_table(done: Sequence[Evaluated], folders: Sequence[Path]) -> Table:
    """The detector on rendered people next to the same on footage, both against what all cameras agree on."""
    rendered = []
    for one in done:
        with suppress(InputError):  # of too few cameras, or people seen by three of them too rarely
            rendered.append(residuals_of(one.recording))
    if not rendered:
        raise InputError("no rendered person was seen by three cameras for half of a scene: render other scenes")
    footage = [residuals_of(read(folder)) for folder in folders]
    rows: list[tuple[Cell, ...]] = []
    curves = {}
    for name in (*JOINTS, "all"):
        joints = [
            n for n, joint in enumerate(BODY) if name == "all" or joint.removeprefix("L").removeprefix("R") == name
        ]
        if joints:
            real, ours = _of_joints(footage, joints), _of_joints(rendered, joints)
            ratios = (100.0 * (ours[n] / real[n] - 1.0) for n in (0, 2))
            rows.append((name.lower(), *(one for pair in zip(real, ours, strict=True) for one in pair), *ratios))
            curves[name.lower()] = {"footage": _curve(footage, joints), "rendered": _curve(rendered, joints)}
    columns = (
        "joint", "footage, median", "rendered, median", "footage, 90th", "rendered, 90th", "footage, score",
        "rendered, score", "footage, missed %", "rendered, missed %", "median: change %", "score: change %",
    )  # fmt: skip
    note = (
        "Distances in px of the detector's 256 px crop from the triangulation of all cameras, what is constant per "
        f"camera removed, in {len(rendered)} of {len(done)} scenes. Missed: of people seen by three cameras."
    )
    title = "the same detector on footage and on rendered people"
    plot = Panels("distance from the consensus, crop px", "keypoints within, % (missed ones included)", curves)
    return Table("reality", title, columns, rows, note, decimals=2, plots={"reality": plot})


def people_table(done: Sequence[Evaluated]) -> Table:
    """How many people the detector finds, by how much of them is shown."""
    shown, found = _all(done, lambda one: one.shown), _all(done, lambda one: one.detections.found)
    size = _all(done, lambda one: one.size)
    rows: list[tuple[Cell, ...]] = []
    for low, high in pairwise(SHOWN_SHARES):
        rows.append((f"{100 * low:.0f} to {100 * high:.0f} %", *_counted(found[(shown >= low) & (shown < high)])))
    rows.append(("all points", *_counted(found[shown == 1.0])))
    for low, high in pairwise((0, 100, 150, 200, 300, 10_000)):
        rows.append(
            (f"all points, {low} to {high} px", *_counted(found[(shown == 1.0) & (size >= low) & (size < high)]))
        )
    images = sum(one.detections.false.size for one in done)
    false = sum(int(one.detections.false.sum()) for one in done)
    note = (
        f"Shown: the share of COCO's 17 points in the image that neither furniture nor another person hides. Size: the "
        f"longer side of the box about the points. {false} detections in {images} images are of no person."
    )
    return Table("people", "people found by the detector, an image each", ("shown", "people", "found %"), rows, note)


def keypoint_table(done: Sequence[Evaluated]) -> Table:
    """Errors of the detector by joint."""
    seen = _all(done, lambda one: one.scene.truth.visibility)
    visible, own = seen == Visibility.VISIBLE, seen == Visibility.SELF_OCCLUDED
    hidden = seen == Visibility.OCCLUDED
    xy, score = _all(done, lambda one: one.detections.xy), _all(done, lambda one: one.detections.score)
    size = _all(done, lambda one: one.size)[:, None]
    off = np.linalg.norm(xy - _all(done, lambda one: true_points(one.scene)), axis=-1) / size
    joint_off = np.linalg.norm(xy - _all(done, lambda one: true_joints(one.scene)), axis=-1) / size
    inside, joint_inside = (_inside(done, points) for points in (true_points, true_joints))
    rows: list[tuple[Cell, ...]] = []
    for name in (*JOINTS, "all"):
        columns = _columns(name)
        at = np.zeros(seen.shape, dtype=bool)
        at[:, columns] = True
        known = at & visible & np.isfinite(off)
        rows.append(
            (
                name.lower(), int(known.sum()), *quantiles(100 * off[known]), 100 * mean(off[known] > FAR),
                100 * median(joint_off[known]), median(score[known]), 100 * mean(inside[known]),
                100 * mean(joint_inside[known & np.isfinite(joint_off)]), 100 * median(off[at & own]),
                median(score[at & own]), 100 * median(off[at & hidden]), median(score[at & hidden & (score > 0)]),
            )
        )  # fmt: skip
    columns_ = (
        "joint", "visible", "median %", "90th %", f"> {100 * FAR:.0f} %, %", "from joint, median %", "score",
        "in ellipse %", "joint in ellipse %", "behind body %", "behind body, score", "behind others %",
        "behind others, score",
    )  # fmt: skip
    note = (
        "Errors in % of the person's size in the image, of people that were found. Median and 90th percentile against "
        "the body's COCO points; from joint: against where the body's bones meet. In ellipse: share inside the 95 % "
        "region of the keypoint's covariance."
    )
    return Table("keypoints", "errors of the detector's keypoints", columns_, rows, note, decimals=2)


def score_table(done: Sequence[Evaluated]) -> Table:
    """How far a keypoint of a given score is off."""
    score = _all(done, lambda one: one.detections.score)
    off = (
        np.linalg.norm(_all(done, lambda one: one.detections.xy - true_points(one.scene)), axis=-1)
        / _all(done, lambda one: one.size)[:, None]
    )
    inside = _inside(done, true_points)
    rows: list[tuple[Cell, ...]] = []
    for low, high in pairwise(SCORES):
        at = (score > low) & (score <= high) & np.isfinite(off)
        rows.append(
            (f"{low:.1f} to {high:.1f}", int(at.sum()), *quantiles(100 * off[at]), 100 * mean(off[at] > FAR),
             100 * mean(inside[at]))
        )  # fmt: skip
    columns = ("score", "keypoints", "median %", "90th %", f"> {100 * FAR:.0f} %, %", "in ellipse %")
    note = "All keypoints of people that were found, whether the camera sees the joint or not; as in `keypoints`."
    return Table("scores", "error by the keypoint's score", columns, rows, note, decimals=2)


def _of_joints(measured: Sequence[Residuals], joints: Sequence[int]) -> tuple[float, float, float, float]:
    """Median and 90th percentile of errors, median score, share missed in %."""
    off, score = _known(measured, joints)
    return (*quantiles(off), median(score[score > 0]), 100 * mean(score == 0))


def _curve(measured: Sequence[Residuals], joints: Sequence[int]) -> tuple[Floats, Floats]:
    """How many % of the keypoints of people who are seen, missed ones included, lie within CURVE_PX."""
    off, score = _known(measured, joints)
    found = 100 * mean(score > 0)
    return CURVE_PX, np.array([found * mean(off <= px) for px in CURVE_PX])


def _known(measured: Sequence[Residuals], joints: Sequence[int]) -> tuple[Floats, Floats]:
    """Errors (N,) px, and scores (M,) of people who are seen: 0 where the keypoint was missed."""
    off = np.concatenate([np.linalg.norm(one.error[..., joints, :], axis=-1).ravel() for one in measured])
    score = np.concatenate([one.score[..., joints].ravel() for one in measured])
    return off[np.isfinite(off)], score[np.isfinite(score)]


def _inside(done: Sequence[Evaluated], points: Callable[[RenderedScene], Floats]) -> NDArray[np.bool_]:
    """(N, 17) whether true points lie inside the 95 % regions of keypoints."""
    miss = _all(done, lambda one: one.detections.xy - points(one.scene))
    covariance = _all(done, lambda one: one.detections.covariance)
    known = finite(miss, 1) & finite(covariance, 2)
    out = np.zeros(known.shape, dtype=bool)
    out[known] = squared(miss[known], covariance[known]) <= chi2.ppf(LEVEL, 2)
    return out


def _all(done: Sequence[Evaluated], of: Callable[[Evaluated], NDArray]) -> NDArray:  # type: ignore[type-arg]
    """(N, ...) of all scenes' (V, T, P, ...)."""
    parts = [of(one) for one in done]
    return np.concatenate([part.reshape(-1, *part.shape[3:]) for part in parts])


def _columns(name: str) -> list[int]:
    names = COCO_17.joint_names
    return [n for n, joint in enumerate(names) if name == "all" or joint.removeprefix("L").removeprefix("R") == name]


def _counted(found: NDArray[np.bool_]) -> tuple[int, float]:
    return found.size, 100 * mean(found)
