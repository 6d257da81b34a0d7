"""Tables of the whole chain on rendered people, whose joints are known (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import chi2

from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.evaluated_scenes import Evaluated, finite, mean, median, squared
from pose3d_ros.evaluation.rendered import Published, estimate, match_poses, matched_detections, true_detections
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.evaluation.trials import PELVIS, Errors, errors, pooled
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.structures import Floats

STATURES_M, DISTANCES_M = (0.0, 1.5, 1.65, 1.8, 3.0), (0.0, 3.0, 4.0, 5.0, 6.0, 99.0)
LEVEL = 0.95


def stage_table(done: Sequence[Evaluated], over_dds: Sequence[Published] = ()) -> Table:
    """What each stage of the chain costs, in mm of true joints."""
    rows: list[tuple[Cell, ...]] = []

    def row(name: str, published: Sequence[Published]) -> None:
        rows.append((name, *_figures(done, published)))

    plain = [replace(one.options, refine="none", smoothing="none") for one in done]
    bodies = [replace(one.options, refine="none") for one in done]
    row("COCO points without error", [
        match_poses(one.scene, estimate(one.scene, true_detections(one.scene), options))
        for one, options in zip(done, plain, strict=True)
    ])  # fmt: skip
    row("detected, association known", [_associated(one, options) for one, options in zip(done, plain, strict=True)])
    row("detected", [
        match_poses(one.scene, estimate(one.scene, one.detected, options))
        for one, options in zip(done, plain, strict=True)
    ])  # fmt: skip
    for name, two_sides in (("bones and motion", False), ("bones and motion, from both sides", True)):
        row(name, [
            match_poses(one.scene, estimate(one.scene, one.detected, options, two_sides=two_sides))
            for one, options in zip(done, bodies, strict=True)
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
        for name, two_sides, refine, smoothing in (
            ("triangulated", False, "none", "none"),
            ("CV-UGCN", False, "cvugcn", "none"),
            ("bones and motion", False, "none", "body"),
            ("CV-UGCN, bones and motion", False, "cvugcn", "body"),
            ("bones and motion, from both sides", True, "none", "body"),
        ):
            row(f"first two cameras, {name}", [
                match_poses(
                    one.scene,
                    estimate(
                        one.scene, one.detected, replace(one.options, refine=refine, smoothing=smoothing),
                        one.scene.rig.names[:2], two_sides=two_sides,
                    ),
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
    """Errors of the whole chain by occlusion, stature, distance, number of cameras."""
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
    columns = (
        "", "people", "moments", "IDF1", "switches", "false people", "unseen %", "unseen for s", "predicted",
        "predicted for s",
    )  # fmt: skip
    note = (
        "IDF1 of people of whom two cameras show half, or who are published. False people: published where there is "
        "none. Unseen: share of published people of whom no two cameras show a quarter at that moment, and the "
        "longest time since two did: a stale pose that looks fresh. Predicted: people published as such, a moment "
        "each, and the highest age they are published with."
    )
    return Table("identities", "ids of published people", columns, rows, note, decimals=3)


def _identities(done: Sequence[Evaluated], published: Sequence[Published]) -> tuple[Cell, ...]:
    expected = matched = switches = unseen = 0
    stale_s, predicted_s = [0.0], np.concatenate([one.predicted_age_s for one in published])
    for one, found in zip(done, published, strict=True):
        given = found.ids != ""
        # A person who is published though two cameras show less than half counts too, or IDF1 would pass 1.
        expected += int((_expected(one, 2) | given).sum())
        matched += _longest(found.ids)
        away_s = _away_s((one.shown >= 0.25).sum(axis=0) >= 2, one.scene.fps)
        unseen += int((given & (away_s > 0)).sum())
        stale_s += away_s[given].tolist()
        for person in range(given.shape[1]):
            switches += sum(a != b for a, b in pairwise(found.ids[given[:, person], person]))
    people, moments = sum(one.scene.truth.joints_m.shape[1] for one in done), sum(len(one.scene) for one in done)
    right, false = (sum(int(of(one)) for one in published) for of in (_given, lambda one: one.false.sum()))
    idf1 = 2.0 * matched / max(expected + right + false, 1)
    return (
        people, moments, idf1, switches, false, 100.0 * unseen / max(right, 1), max(stale_s), predicted_s.size,
        float(predicted_s.max(initial=0.0)),
    )  # fmt: skip


def _away_s(seen: NDArray[np.bool_], fps: float) -> Floats:
    """Time (T, P) since people were last seen (T, P), 0 where they are; at most since before the first moment."""
    number = np.arange(len(seen))[:, None]
    last = np.maximum.accumulate(np.where(seen, number, -1), axis=0)
    away: Floats = (number - last) / fps
    return away


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
        np.concatenate([alone[p].predicted_age_s for p in people]),
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
        known = finite(miss, 1) & finite(found.covariance, 2) & GIVEN
        inside.append(np.asarray(squared(miss[known], found.covariance[known]) <= chi2.ppf(LEVEL, 3)))
        expected = _expected(one, min(2, len(one.scene.rig.cameras)))
        wanted += int(expected.sum()) * int(GIVEN.sum())
        given += int(finite(found.xyz[expected], 1)[:, GIVEN].sum())
    together = pooled(parts)
    figures = together.figures()
    far = 100 * mean(together.absolute > 100.0)
    return (
        figures.count, figures.mean, figures.median, figures.relative_mean, figures.relative_median, far,
        100.0 * given / max(wanted, 1), 100 * mean(np.concatenate(inside)),
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


def _summary_mm(values_m: Floats) -> tuple[float, float, float]:
    return 1000 * mean(values_m), 1000 * median(values_m), 100 * mean(values_m > 0.1)
