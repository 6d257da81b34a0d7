"""A paper's table made again from its data set: published rows, then ours.

A row of ours is a method that this package ships, run on the data set's own 2D labels or on detections, or a results
file of any other method (research/results.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.metrics import mpjpe
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.research.data_sets import DATA_SETS
from pose3d_ros.research.datasets import coco, human36m, humaneva, mpi_inf_3dhp, mpii, panoptic, shelf_campus
from pose3d_ros.research.datasets import total_capture as capture
from pose3d_ros.research.datasets.containers import missing
from pose3d_ros.research.datasets.pose_sequence import PoseSequence
from pose3d_ros.research.estimates import METHODS, estimates, with_detections
from pose3d_ros.research.papers import PaperTable
from pose3d_ros.research.protocols import columns
from pose3d_ros.research.protocols import human36m as human36m_protocols
from pose3d_ros.research.protocols.heads import pckh
from pose3d_ros.research.protocols.limbs import COUNTED_ACTORS, pcp
from pose3d_ros.research.protocols.mpi_inf_3dhp import per_activity
from pose3d_ros.research.protocols.oks import oks_ap
from pose3d_ros.research.protocols.people import found_people
from pose3d_ros.research.protocols.scored import Scored, missing_share
from pose3d_ros.research.results import (
    person_scores,
    read_coco_results,
    read_detections,
    read_image_results,
    read_results,
    scored_results,
)

Figures = Mapping[str, float]
OURS, PUBLISHED = "ours", "published"


@dataclass(frozen=True)
class Request:
    """Where the data lie and what is to be scored."""

    data: Path
    methods: tuple[str, ...] = ()  # none: all that the table names
    predictions: Path | None = None
    detections: Path | None = None
    every: int = 1  # only every so many frames, for a quick look


@dataclass(frozen=True, eq=False)
class Row:
    """A row of ours."""

    label: str
    figures: Figures
    missing: float = 0.0  # share of joints without an estimate, of the means of errors


def reproduce(table: PaperTable, request: Request) -> Table:
    """The table's published rows and ours; raises InputError for a method or option that the table does not have."""
    unknown = [one for one in request.methods if one not in table.methods]
    if unknown:
        possible = ", ".join(table.methods) or "none: give --predictions"
        raise InputError(f"{table.paper} {table.name} cannot be made by {unknown[0]!r}: use {possible}")
    if request.predictions is None and not table.methods:
        raise InputError(f"{table.paper} {table.name} needs images: give results of a method with --predictions")
    if not request.data.is_dir():
        known = DATA_SETS[table.data]
        raise missing(known.name, request.data, known.expected, known.site)
    ours = list(BENCHMARKS[table.benchmark](table, request))
    rows: list[tuple[Cell, ...]] = [(label, PUBLISHED, *values) for label, values in table.published]
    rows += [(row.label, OURS, *(row.figures.get(name) for name in table.columns)) for row in ours]
    return Table(
        f"{table.paper} {table.name}",
        table.title,
        ("method", "source", *table.columns),
        rows,
        _note(table, request, ours),
    )


def _note(table: PaperTable, request: Request, rows: Sequence[Row]) -> str:
    parts = [f"Published: {table.source}."]
    if request.predictions is None:
        parts.append("Ours from " + ("detections." if request.detections else "the data set's own 2D labels."))
    parts += [f"{row.label}: {100 * row.missing:.1f} % of the joints have no estimate." for row in rows if row.missing]
    if request.every > 1:
        parts.append(f"Only every {request.every}th frame.")
    return " ".join(parts)


def _sources(
    table: PaperTable, request: Request, sequences: Callable[[], Iterator[PoseSequence]],
    chosen: Callable[[PoseSequence], PoseSequence | None],
) -> Iterator[tuple[str, list[Scored]]]:  # fmt: skip
    """Label and scored sequences of every row of ours."""

    def counted(sequence: PoseSequence) -> PoseSequence | None:
        kept = chosen(sequence)
        return kept if kept is None or request.every == 1 else kept.at(slice(None, None, request.every))

    if request.predictions is not None:
        results = read_results(request.predictions)
        yield request.predictions.stem, list(scored_results(sequences(), results, counted))
        return
    detections = None if request.detections is None else read_detections(request.detections)
    for method in request.methods or table.methods:
        scored: list[Scored] = []
        for sequence in sequences():
            if counted(sequence) is None:
                continue
            given = sequence if detections is None else with_detections(sequence, detections)
            scored += [one for kept in [counted(given)] if kept is not None for one in estimates(method, kept)]
        yield METHODS[method], scored


def _human36m(table: PaperTable, request: Request) -> Iterator[Row]:
    protocol = human36m_protocols.PROTOCOLS[table.options["protocol"]]

    def sequences() -> Iterator[PoseSequence]:
        return human36m.sequences(request.data, protocol.subjects)

    for label, scored in _sources(table, request, sequences, protocol.chosen):
        figures = human36m_protocols.per_action(scored, protocol.alignment)
        yield Row(label, figures, missing_share(scored))


def _total_capture(table: PaperTable, request: Request) -> Iterator[Row]:
    def chosen(sequence: PoseSequence) -> PoseSequence | None:
        return sequence if columns.total_capture_column(sequence) else None

    if request.predictions is None and request.detections is None:
        raise InputError("TotalCapture has no 2D labels of its own: give --detections or --predictions")
    for label, scored in _sources(table, request, lambda: capture.sequences(request.data), chosen):
        yield Row(label, columns.per_total_capture_column(scored), _missing_of(scored, columns.TOTAL_CAPTURE_JOINTS))


def _humaneva(table: PaperTable, request: Request) -> Iterator[Row]:
    def chosen(sequence: PoseSequence) -> PoseSequence | None:
        return sequence if columns.humaneva_column(sequence) else None

    for label, scored in _sources(table, request, lambda: humaneva.sequences(request.data), chosen):
        figures = columns.per_humaneva_column(scored, actions=table.options["actions"])
        yield Row(label, figures, missing_share(scored))


def _roots(table: PaperTable, request: Request) -> Iterator[Row]:
    """MPJPE without the root and MRPE, of single cameras."""

    def sequences() -> Iterator[PoseSequence]:
        if table.data == "human36m":
            return human36m.sequences(request.data, human36m_protocols.TEST)
        return mpi_inf_3dhp.held_out(request.data, universal=False)

    for label, scored in _sources(table, request, sequences, lambda sequence: sequence):
        yield Row(label, root_errors(scored), missing_share(scored))


def root_errors(scored: Iterable[Scored]) -> Figures:
    """Means over all frames: of the joints but the pelvis after alignment of the pelvises, and of the pelvis, mm."""
    relative, root = [], []
    for one in scored:
        pelvis = one.truth.skeleton.index("Pelvis")
        others = [joint for joint in range(one.truth.skeleton.size) if joint != pelvis]
        true, found = (xyz.reshape(-1, *xyz.shape[2:]) for xyz in (one.truth.xyz, one.estimate))
        relative.append((found - found[:, [pelvis]] - true + true[:, [pelvis]])[:, others])
        root.append((found - true)[:, [pelvis]])
    pairs = {"MPJPE mm": relative, "MRPE mm": root}
    gaps = {name: np.concatenate(parts) for name, parts in pairs.items()}
    return {name: 1000 * mpjpe(gap, np.zeros_like(gap)) for name, gap in gaps.items()}


def _activities(table: PaperTable, request: Request) -> Iterator[Row]:
    for label, scored in _sources(
        table, request, lambda: mpi_inf_3dhp.held_out(request.data), lambda sequence: sequence
    ):
        for activity, shares in per_activity(scored).items():
            yield Row(f"{label}: {activity}", dict(zip(table.columns, shares, strict=True)))


def _people(table: PaperTable, request: Request) -> Iterator[Row]:
    predictions = _given(request)
    results = read_results(predictions)
    # Tu et al.: every 12th frame.
    sequences = panoptic.sequences(request.data, panoptic.TEST_SEQUENCES, panoptic.TEST_CAMERAS, 12 * request.every)
    scored = list(scored_results(sequences, results, lambda sequence: sequence, any_people=True))
    found = found_people(scored, [person_scores(one, results) for one in scored])
    figures = {f"AP{limit} %": value for limit, value in found.precision.items()}
    yield Row(predictions.stem, {"MPJPE mm": found.mpjpe_mm, "recall %": found.recall, **figures})


def _limbs(table: PaperTable, request: Request) -> Iterator[Row]:
    predictions = _given(request)
    name = DATA_SETS[table.data].name
    sequences = shelf_campus.sequences(request.data, [name])
    (one,) = scored_results(sequences, read_results(predictions), shelf_campus.tested, any_people=True)
    found = pcp(one)
    actors = {f"actor {number + 1}": float(value) for number, value in enumerate(found.actors[:COUNTED_ACTORS])}
    yield Row(predictions.stem, {**actors, "average": found.average, **found.limbs})


def _heads(table: PaperTable, request: Request) -> Iterator[Row]:
    predictions, folder = _given(request), request.data / "annot"
    labels, sizes = folder / "valid.json", folder / "gt_valid.mat"
    if not labels.is_file() or not sizes.is_file():
        raise missing(mpii.NAME, request.data, "annot/valid.json and annot/gt_valid.mat", mpii.SITE)
    images = list(mpii.read_json(labels, sizes))
    yield Row(predictions.stem, pckh(images, read_image_results(predictions, images)))


def _oks(table: PaperTable, request: Request) -> Iterator[Row]:
    predictions, labels = _given(request), request.data / coco.EXPECTED
    if not labels.is_file():
        raise missing(coco.NAME, request.data, coco.EXPECTED, coco.SITE)
    images = list(coco.read(labels))
    yield Row(predictions.stem, oks_ap(images, read_coco_results(predictions, images)))


def _given(request: Request) -> Path:
    assert request.predictions is not None, "reproduce() asks for them"
    return request.predictions


def _missing_of(scored: Sequence[Scored], joints: Sequence[str]) -> float:
    """missing_share of some joints."""
    chosen = [[one.truth.skeleton.index(name) for name in joints] for one in scored]
    true = [np.isfinite(one.truth.xyz[:, :, rows]).all(axis=-1) for one, rows in zip(scored, chosen, strict=True)]
    lost = [~np.isfinite(one.estimate[:, :, rows]).all(axis=-1) for one, rows in zip(scored, chosen, strict=True)]
    count = sum(int(one.sum()) for one in true)
    return sum(int((a & b).sum()) for a, b in zip(true, lost, strict=True)) / count if count else float("nan")


BENCHMARKS: Mapping[str, Callable[[PaperTable, Request], Iterator[Row]]] = {
    "human36m": _human36m, "total_capture": _total_capture, "humaneva": _humaneva, "roots": _roots,
    "activities": _activities, "people": _people, "limbs": _limbs, "heads": _heads, "oks": _oks,
}  # fmt: skip
