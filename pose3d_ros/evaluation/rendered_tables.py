"""The tables of `pose3d evaluate rendered`: the detector and the whole chain against the truth (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import chi2

from pose3d_ros.detection.detector import Detector
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.offline import recorded
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.posern_footage import read
from pose3d_ros.evaluation.rendered import (
    Published,
    by_moment,
    estimate,
    match_poses,
    matched_detections,
    true_detections,
)
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.evaluation.trials import PELVIS, Errors, errors, pooled
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.detector_residuals import BODY, Residuals, residuals_of
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats
from pose3d_ros.training.rendered_people import (
    Detected,
    Detections,
    match_detections,
    run_chain,
    size_px,
    true_joints,
    true_points,
)

# Both sides of a joint together. A tenth of a person's size is a forearm's length.
JOINTS = ("Nose", "Eye", "Ear", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
FAR = 0.1
SCORES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
STATURES_M, DISTANCES_M = (0.0, 1.5, 1.65, 1.8, 3.0), (0.0, 3.0, 4.0, 5.0, 6.0, 99.0)
SHOWN_SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One scene and what detector and estimator made of it."""

    scene: RenderedScene
    detected: list[Detected]
    recording: Recording  # of the chain as in the node
    options: EstimatorOptions

    @cached_property
    def detections(self) -> Detections:
        """Of every true person."""
        return match_detections(self.scene, self.detected)

    @cached_property
    def published(self) -> Published:
        """By the whole chain."""
        return match_poses(self.scene, self.recording.poses)

    @cached_property
    def size(self) -> Floats:
        """(V, T, P) of all people in the image, px."""
        return size_px(true_points(self.scene))

    @cached_property
    def shown(self) -> Floats:
        """(V, T, P) share of a person's points that nothing but the own body hides from the camera."""
        share: Floats = (self.scene.truth.visibility >= Visibility.SELF_OCCLUDED).mean(axis=-1)
        return share


def evaluated(scenes: Sequence[RenderedScene], detector: Detector, options: EstimatorOptions) -> list[Evaluated]:
    """Every scene through detector and estimator."""
    done = []
    for scene in scenes:
        estimates, detected = run_chain(scene, detector, options)
        recording = recorded(scene, [(one, 0) for one in estimates])
        done.append(Evaluated(scene, detected, recording, options))
    return done


def tables(done: Sequence[Evaluated], footage: Sequence[Path] = (), node: Sequence[Recording] = ()) -> Iterator[Table]:
    """All tables; reality only with recordings of footage, a row of the node only with its recordings of all scenes."""
    over_dds = [match_poses(one.scene, by_moment(recording)) for one, recording in zip(done, node, strict=False)]
    if footage:
        yield reality_table(done, footage)
    yield people_table(done)
    yield keypoint_table(done)
    yield score_table(done)
    yield stage_table(done, over_dds)
    yield group_table(done)
    yield identity_table(done, over_dds)


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
    for name in (*JOINTS, "all"):
        joints = [
            n for n, joint in enumerate(BODY) if name == "all" or joint.removeprefix("L").removeprefix("R") == name
        ]
        if joints:
            real, ours = _of_joints(footage, joints), _of_joints(rendered, joints)
            ratios = (100.0 * (ours[n] / real[n] - 1.0) for n in (0, 2))
            rows.append((name.lower(), *(one for pair in zip(real, ours, strict=True) for one in pair), *ratios))
    columns = (
        "joint", "footage, median", "rendered, median", "footage, 90th", "rendered, 90th", "footage, score",
        "rendered, score", "footage, missed %", "rendered, missed %", "median: change %", "score: change %",
    )  # fmt: skip
    note = (
        "Distances in px of the detector's 256 px crop from the triangulation of all cameras, what is constant per "
        f"camera removed, in {len(rendered)} of {len(done)} scenes. Missed: of people seen by three cameras."
    )
    return Table("reality", "the same detector on footage and on rendered people", columns, rows, note, decimals=2)


def _of_joints(measured: Sequence[Residuals], joints: Sequence[int]) -> tuple[float, float, float, float]:
    """Median and 90th percentile of errors, median score, share missed in %."""
    off = np.concatenate([np.linalg.norm(one.error[..., joints, :], axis=-1).ravel() for one in measured])
    score = np.concatenate([one.score[..., joints].ravel() for one in measured])
    known, seen = off[np.isfinite(off)], score[np.isfinite(score)]
    return (*_quantiles(known), _median(seen[seen > 0]), 100 * _mean(seen == 0))


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
                name.lower(), int(known.sum()), *_quantiles(100 * off[known]), 100 * _mean(off[known] > FAR),
                100 * _median(joint_off[known]), _median(score[known]), 100 * _mean(inside[known]),
                100 * _mean(joint_inside[known & np.isfinite(joint_off)]), 100 * _median(off[at & own]),
                _median(score[at & own]), 100 * _median(off[at & hidden]), _median(score[at & hidden & (score > 0)]),
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
            (f"{low:.1f} to {high:.1f}", int(at.sum()), *_quantiles(100 * off[at]), 100 * _mean(off[at] > FAR),
             100 * _mean(inside[at]))
        )  # fmt: skip
    columns = ("score", "keypoints", "median %", "90th %", f"> {100 * FAR:.0f} %, %", "in ellipse %")
    note = "All keypoints of people that were found, whether the camera sees the joint or not; as in `keypoints`."
    return Table("scores", "error by the keypoint's score", columns, rows, note, decimals=2)


def stage_table(done: Sequence[Evaluated], over_dds: Sequence[Published] = ()) -> Table:
    """What each stage of the chain costs, in mm of true joints."""
    rows: list[tuple[Cell, ...]] = []

    def row(name: str, published: Sequence[Published]) -> None:
        rows.append((name, *_figures(done, published)))

    plain = [replace(one.options, refine="none") for one in done]
    row("COCO points without error", [
        match_poses(one.scene, estimate(one.scene, true_detections(one.scene), options))
        for one, options in zip(done, plain, strict=True)
    ])  # fmt: skip
    row("detected, association known", [_associated(one, options) for one, options in zip(done, plain, strict=True)])
    row("detected", [
        match_poses(one.scene, estimate(one.scene, one.detected, options))
        for one, options in zip(done, plain, strict=True)
    ])  # fmt: skip
    row(f"the whole chain, refine {done[0].options.refine}", [one.published for one in done])
    exact = [replace(options, calibration_px=0.0) for options in plain]
    row("detected, cameras taken as exact", [
        match_poses(one.scene, estimate(one.scene, one.detected, options))
        for one, options in zip(done, exact, strict=True)
    ])  # fmt: skip
    if over_dds:
        row("the node over DDS", over_dds)
    if all(len(one.scene.rig.cameras) > 2 for one in done):
        for refine in ("none", "cvugcn"):
            row(f"first two cameras, refine {refine}", [
                match_poses(
                    one.scene,
                    estimate(one.scene, one.detected, replace(one.options, refine=refine), one.scene.rig.names[:2]),
                )
                for one in done
            ])  # fmt: skip
    row("one camera", [_first_camera(one) for one in done])
    note = (
        "Against the body's own joints (where its bones meet). Published: share of the joints that were published, of "
        "people of whom two cameras (one camera) show half. In ellipsoid: share of joints inside their 95 % region. "
        "The first row is what COCO's definition of joints costs; the detector, the association, the node's own chain "
        "(boxes from predicted people) and refinement follow."
    )
    columns = (
        "stage", "joints", "mean mm", "median mm", "relative mean mm", "relative median mm", "> 100 mm, %",
        "published %", "in ellipsoid %",
    )  # fmt: skip
    return Table("stages", "errors of 3D joints by stage", columns, rows, note)


def group_table(done: Sequence[Evaluated]) -> Table:
    """Errors of the whole chain by occlusion, stature, distance, number of cameras, joint."""
    miss = [np.linalg.norm(one.published.xyz - one.scene.truth.joints_m, axis=-1)[..., GIVEN] for one in done]
    rows: list[tuple[Cell, ...]] = []

    def by(name: str, unit: str, edges: Sequence[float], values: Sequence[Floats]) -> None:
        for low, high in pairwise(edges):
            parts = [off[(value >= low) & (value < high)].ravel() for off, value in zip(miss, values, strict=True)]
            every = np.concatenate(parts)
            known = every[np.isfinite(every)]
            if len(every):
                label = f"{name} {low:g} to {high:g} {unit}".strip()
                rows.append((label, len(known), *_summary_mm(known), 100 * len(known) / len(every)))

    by("mean share shown", "", (0.0, 0.5, 0.75, 0.9, 0.999, 1.01), [one.shown.mean(axis=0) for one in done])
    by("stature", "m", STATURES_M, [
        np.broadcast_to(one.scene.truth.stature_m, off.shape[:2]) for one, off in zip(done, miss, strict=True)
    ])  # fmt: skip
    by("distance", "m", DISTANCES_M, [_distance_m(one.scene) for one in done])
    by("cameras", "", (1, 2, 3, 4, 5), [np.full(off.shape[:2], len(one.scene.rig.cameras)) for one, off in
                                       zip(done, miss, strict=True)])  # fmt: skip
    columns = ("group", "joints", "mean mm", "median mm", "> 100 mm, %", "published %")
    note = "The whole chain. Distance: from the nearest camera. Share shown: over the cameras, as in `people`."
    return Table("groups", "errors of 3D joints by what was to be seen", columns, rows, note)


def identity_table(done: Sequence[Evaluated], over_dds: Sequence[Published] = ()) -> Table:
    """Ids, people who are not there, and people published though no two cameras show them any longer."""
    rows = [("the whole chain", *_identities(done, [one.published for one in done]))]
    if over_dds:
        rows.append(("the node over DDS", *_identities(done, over_dds)))
    columns = ("", "people", "moments", "IDF1", "switches", "false people", "unseen %")
    note = (
        "IDF1 of people of whom two cameras show half, or who are published. False people: published where there is "
        "none. Unseen: share of published people of whom no two cameras show a quarter at that moment: a stale pose "
        "that looks fresh."
    )
    return Table("identities", "ids of published people", columns, rows, note, decimals=3)


def _identities(done: Sequence[Evaluated], published: Sequence[Published]) -> tuple[Cell, ...]:
    expected = matched = switches = unseen = 0
    for one, found in zip(done, published, strict=True):
        given = found.ids != ""
        # A person who is published though two cameras show less than half counts too, or IDF1 would pass 1.
        expected += int((_expected(one, 2) | given).sum())
        matched += _longest(found.ids)
        unseen += int((given & ((one.shown >= 0.25).sum(axis=0) < 2)).sum())
        for person in range(given.shape[1]):
            switches += sum(a != b for a, b in pairwise(found.ids[given[:, person], person]))
    people, moments = sum(one.scene.truth.joints_m.shape[1] for one in done), sum(len(one.scene) for one in done)
    right, false = (sum(int(of(one)) for one in published) for of in (_given, lambda one: one.false.sum()))
    idf1 = 2.0 * matched / max(expected + right + false, 1)
    return people, moments, idf1, switches, false, 100.0 * unseen / max(right, 1)


def _given(found: Published) -> int:
    return int((found.ids != "").sum())


def _longest(ids: NDArray[np.str_]) -> int:
    """Moments in which people carry the id that is theirs: one to one, the most in all (IDF1's true positives)."""
    names = sorted({name for name in ids.ravel().tolist() if name})
    together = np.array([[(ids[:, person] == name).sum() for name in names] for person in range(ids.shape[1])])
    if not names:
        return 0
    return int(together[linear_sum_assignment(-together)].sum())


def _associated(one: Evaluated, options: EstimatorOptions) -> Published:
    """Every person estimated from their own detections alone."""
    alone = [
        match_poses(one.scene, estimate(one.scene, matched_detections(one.scene, one.detections, person), options))
        for person in range(one.scene.truth.joints_m.shape[1])
    ]
    people = range(len(alone))
    return Published(
        np.stack([alone[p].xyz[:, p] for p in people], axis=1),
        np.stack([alone[p].covariance[:, p] for p in people], axis=1),
        np.stack([alone[p].ids[:, p] for p in people], axis=1),
        np.sum([alone[p].false for p in people], axis=0),
    )


def _first_camera(one: Evaluated) -> Published:
    """People lifted from the first camera."""
    first = one.scene.rig.names[:1]
    return match_poses(one.scene, estimate(one.scene, one.detected, one.options, first))


def _figures(done: Sequence[Evaluated], published: Sequence[Published]) -> tuple[Cell, ...]:
    parts: list[Errors] = []
    inside, wanted, given = [], 0, 0
    for one, found in zip(done, published, strict=True):
        truth = one.scene.truth.joints_m
        parts.append(errors(found.xyz.reshape(-1, *truth.shape[2:]), truth.reshape(-1, *truth.shape[2:])))
        miss = found.xyz - truth
        known = _finite(miss, 1) & _finite(found.covariance, 2) & GIVEN
        inside.append(np.asarray(_squared(miss[known], found.covariance[known]) <= chi2.ppf(LEVEL, 3)))
        expected = _expected(one, min(2, len(one.scene.rig.cameras)))
        wanted += int(expected.sum()) * int(GIVEN.sum())
        given += int(_finite(found.xyz[expected], 1)[:, GIVEN].sum())
    together = pooled(parts)
    figures = together.figures()
    far = 100 * _mean(together.absolute > 100.0)
    return (
        figures.count, figures.mean, figures.median, figures.relative_mean, figures.relative_median, far,
        100.0 * given / max(wanted, 1), 100 * _mean(np.concatenate(inside)),
    )  # fmt: skip


def _expected(one: Evaluated, cameras: int) -> NDArray[np.bool_]:
    """(T, P) people of whom this many cameras show half: who ought to be published."""
    return np.asarray((one.shown >= 0.5).sum(axis=0) >= cameras)


def _distance_m(scene: RenderedScene) -> Floats:
    """(T, P) m from a person's pelvis to the nearest camera."""
    centres = np.array([camera.centre for camera in scene.rig.cameras])
    away = np.linalg.norm(scene.truth.joints_m[:, :, PELVIS, None] - centres, axis=-1)
    nearest: Floats = away.min(axis=-1)
    return nearest


def _inside(done: Sequence[Evaluated], points: Callable[[RenderedScene], Floats]) -> NDArray[np.bool_]:
    """(N, 17) whether true points lie inside the 95 % regions of keypoints."""
    miss = _all(done, lambda one: one.detections.xy - points(one.scene))
    covariance = _all(done, lambda one: one.detections.covariance)
    known = _finite(miss, 1) & _finite(covariance, 2)
    out = np.zeros(known.shape, dtype=bool)
    out[known] = _squared(miss[known], covariance[known]) <= chi2.ppf(LEVEL, 2)
    return out


def _squared(miss: Floats, covariance: Floats) -> Floats:
    """Squared Mahalanobis lengths (N,) of errors (N, D)."""
    out: Floats = np.einsum("nd,nd->n", miss, np.linalg.solve(covariance, miss[..., None])[..., 0])
    return out


def _finite(values: Floats, axes: int) -> NDArray[np.bool_]:
    """Whether all of the last axes is finite, (...)."""
    return np.asarray(np.isfinite(values).all(axis=tuple(range(-axes, 0))), dtype=bool)


def _all(done: Sequence[Evaluated], of: Callable[[Evaluated], NDArray]) -> NDArray:  # type: ignore[type-arg]
    """(N, ...) of all scenes' (V, T, P, ...)."""
    parts = [of(one) for one in done]
    return np.concatenate([part.reshape(-1, *part.shape[3:]) for part in parts])


def _columns(name: str) -> list[int]:
    names = COCO_17.joint_names
    return [n for n, joint in enumerate(names) if name == "all" or joint.removeprefix("L").removeprefix("R") == name]


def _counted(found: NDArray[np.bool_]) -> tuple[int, float]:
    return found.size, 100 * _mean(found)


def _quantiles(values: Floats) -> tuple[float, float]:
    return _median(values), float(np.percentile(values, 90)) if values.size else float("nan")


def _summary_mm(values_m: Floats) -> tuple[float, float, float]:
    return 1000 * _mean(values_m), 1000 * _median(values_m), 100 * _mean(values_m > 0.1)


def _mean(values: NDArray) -> float:  # type: ignore[type-arg]
    return float(values.mean()) if values.size else float("nan")


def _median(values: Floats) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")
