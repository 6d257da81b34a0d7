"""PoseRN's tables (Sayo et al., ICIP 2021): a detector's bias before and after, on held-out people, rigs, detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.refinement.networks import PoseRNRefiner
from pose3d_ros.evaluation.debiasing import Correction, bias_left, frame_errors, keypoints, subset
from pose3d_ros.evaluation.posern_bench import REPEATS, Bench, Session, as_triangulated
from pose3d_ros.evaluation.posern_footage import footage
from pose3d_ros.evaluation.tables import Cell, EvaluationRequest, Plot, Table
from pose3d_ros.evaluation.trials import Figures, errors, pooled
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Floats
from pose3d_ros.training.rows import NOT_TRAINED

# Which joints the paper's smaller sets have is not known to us; ours: limbs, legs, knees and ankles.
LEGS = tuple(name for name in LIMB_JOINTS if name.endswith(("Hip", "Knee", "Ankle")))
SUBSETS = {
    "17": H36M_17.joint_names,
    "12": LIMB_JOINTS,
    "6": LEGS,
    "4": tuple(name for name in LEGS if not name.endswith("Hip")),
}
PAPER = {"17": (40.0, 38.4), "4": (None, 29.6)}
SHOWN = "LKnee"  # in the scatter plot
FAMILIES = ("h36m", "room4", "room3")
COLUMNS = (
    "paper mm", "mean mm", "median mm", "relative mean mm", "relative median mm", "gain %", "frames worse %",
    "bias mm", "remaining bias mm", "removed bias %", "bound mm",
)  # fmt: skip
NOTE = (
    "Errors of those of the joints that a detector gives, 16 of 17; relative: less the pelvis' error; gain: change of "
    "the mean against triangulation. Frames worse: share whose mean error grew. Bias: length in space of what all "
    "detectors and people have in common, and of what is left of it when the corrections of 16 noisy views of a pose "
    "are averaged. Bound: Cramer and Rao's, of the RMS error with the noise alone, without any bias. Constants are "
    "fitted on training people, rigs and detectors."
)


def tables(request: EvaluationRequest) -> Iterator[Table]:
    """One table after another; see TABLES."""
    chosen = request.chosen(tuple(TABLES))
    bench = Bench.of(request)
    for name in chosen:
        yield from TABLES[name](bench)


def subsets(bench: Bench) -> Iterator[Table]:
    """The paper's table: sets of joints, four views, both noises."""
    ways = bench.ways()
    for noise in ("a", "b"):
        sessions = bench.sessions("h36m", noise)
        rows: list[tuple[Cell, ...]] = []
        poses = {label: _poses(way, sessions) for label, way in ways.items() if way}
        for name, joints in SUBSETS.items():
            counted = subset(joints)
            for label, way in ways.items():
                if way is None:
                    rows += [(name, f"{label}: {NOT_TRAINED}", *[None] * len(COLUMNS))] if name == "17" else []
                    continue
                paper = dict(zip(("triangulated", "PoseRN"), PAPER.get(name, (None, None)), strict=True))
                rows.append((name, label, paper.get(label), *cells(sessions, way, poses[label], counted)))
        posern = bench.network("posern")
        plots = {} if noise == "b" or posern is None else clouds(sessions, poses["PoseRN"], posern)
        yield Table(
            f"subsets-{noise}", f"4 cameras of Human3.6M's S9 and S11, noise ({noise}), five detectors of the test",
            ("joints", "row", *COLUMNS), rows,
            f"{NOTE} The paper's figures are of Human3.6M's own images; it quotes 29.6 for its smallest set of joints.",
            plots=plots,
        )  # fmt: skip


def without_bias(bench: Bench) -> Iterator[Table]:
    """The same people before detectors without any bias: what a correction costs that is not called for."""
    rows: list[tuple[Cell, ...]] = []
    for noise in ("a", "b"):
        sessions = bench.sessions("h36m", noise, biased=False)
        before = _errors(sessions, _poses(as_triangulated, sessions), GIVEN)
        for label, way in bench.ways().items():
            if way is None or label.startswith("oracle"):
                continue
            poses = _poses(way, sessions)
            after = _errors(sessions, poses, GIVEN)
            figures = (after.mean, after.median, after.relative_mean, after.mean - before.mean)
            rows.append((f"({noise})", label, *figures, _worse(sessions, poses, GIVEN)))
    yield Table(
        "bias-free", "detectors without bias, 4 cameras of Human3.6M's S9 and S11",
        ("noise", "row", "mean mm", "median mm", "relative mean mm", "worse by mm", "frames worse %"), rows,
        "`refine: auto` takes PoseRN only where it helped in every trial of real footage.", decimals=2,
    )  # fmt: skip


def rigs(bench: Bench) -> Iterator[Table]:
    """Other rigs: rooms of four and of three cameras, never trained on."""
    rows: list[tuple[Cell, ...]] = []
    for family in FAMILIES:
        sessions = bench.sessions(family, "a")
        for label, way in bench.ways().items():
            if way is not None and ("MLP" in label or "published" not in label):
                rows.append((family, label, None, *cells(sessions, way, _poses(way, sessions), GIVEN)))
    yield Table("rigs", "held-out rigs, noise (a), 17 joints", ("rigs", "row", *COLUMNS), rows, NOTE)


TABLES: Mapping[str, Callable[[Bench], Iterator[Table]]] = {
    "subsets": subsets,
    "bias-free": without_bias,
    "rigs": rigs,
    "footage": footage,
}


def cells(
    sessions: Sequence[Session], way: Correction, poses: Sequence[Floats], counted: NDArray[np.bool_]
) -> tuple[Cell, ...]:
    """The cells under COLUMNS but for the first; poses (P, 17, 3) m are the sessions' people, corrected this way."""
    before = _errors(sessions, _poses(as_triangulated, sessions), counted)
    after = _errors(sessions, poses, counted)
    left = np.array([bias_left(one.repeated, way, REPEATS, counted) for one in sessions]).mean(axis=0)
    bound = float(np.nanmean(np.concatenate([one.bound(counted) for one in sessions])))
    return (
        after.mean, after.median, after.relative_mean, after.relative_median, after.gains(before)[0],
        _worse(sessions, poses, counted), float(left[0]), float(left[1]), 100.0 * float(1.0 - left[1] / left[0]), bound,
    )  # fmt: skip


def clouds(sessions: Sequence[Session], poses: Sequence[Floats], refiner: PoseRNRefiner) -> dict[str, Plot]:
    """Scatter plots before and after, as the paper's Fig. 2: frames' errors in space, one joint's errors in images."""
    before = np.concatenate([frame_errors(one.people.robust().xyz, one.people.truth, GIVEN) for one in sessions])
    after = np.concatenate(
        [frame_errors(xyz, one.people.truth, GIVEN) for one, xyz in zip(sessions, poses, strict=True)]
    )
    line = np.linspace(0.0, float(np.nanmax(before)), 100)
    joint = H36M_17.index(SHOWN)
    was, became = [], []
    for one in sessions:
        trial = one.people
        seen, true = keypoints(trial), trial.views.true_px[:, :, 0, joint]
        was.append((seen[:, :, joint] - true).reshape(-1, 2))
        became.append((refiner(trial.cameras, trial.robust().xyz, seen)[:, :, joint] - true).reshape(-1, 2))
    x_was, y_was = np.concatenate(was).T
    x_became, y_became = np.concatenate(became).T
    return {
        "posern_frames": Plot(
            "mean error of a frame, triangulated, mm", "after PoseRN, mm",
            {"frames": (before, after), "no change": (line, line)}, points=True,
        ),
        "posern_keypoints": Plot(
            f"error of the {SHOWN}, to the right, px", "downwards, px",
            {"as detected": (x_was, y_was), "less PoseRN's bias": (x_became, y_became)}, points=True,
        ),
    }  # fmt: skip


def _poses(way: Correction, sessions: Sequence[Session]) -> list[Floats]:
    return [way(one.people) for one in sessions]


def _errors(sessions: Sequence[Session], poses: Sequence[Floats], counted: NDArray[np.bool_]) -> Figures:
    parts = [
        errors(xyz, one.people.truth, np.broadcast_to(counted, xyz.shape[:-1]), np.ones(len(xyz), dtype=bool))
        for one, xyz in zip(sessions, poses, strict=True)
    ]
    return pooled(parts).figures()


def _worse(sessions: Sequence[Session], poses: Sequence[Floats], counted: NDArray[np.bool_]) -> float:
    """% of the frames whose mean error grew."""
    grew = [
        frame_errors(xyz, one.people.truth, counted) > frame_errors(one.people.robust().xyz, one.people.truth, counted)
        for one, xyz in zip(sessions, poses, strict=True)
    ]
    return 100.0 * float(np.concatenate(grew).mean())
