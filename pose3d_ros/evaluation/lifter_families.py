"""The shipped lifter: errors on every family of rigs, coverage of its covariance, and cost.

People are lifted by estimation/lifting.py, as in the nodes: rejected people are counted, not measured.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.estimation.lifting import lift
from pose3d_ros.evaluation.tables import Cell, EvaluationRequest, Table
from pose3d_ros.evaluation.trials import HeldOut, Trial
from pose3d_ros.mocap.postures import COMPACT, postures_of
from pose3d_ros.networks import mehta
from pose3d_ros.networks.canonical import ROOT, stature
from pose3d_ros.networks.lifter import AbsPoseLifter
from pose3d_ros.simulation.augmentation import hidden
from pose3d_ros.simulation.simulated_rigs import FAMILIES, MONO
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D
from pose3d_ros.training.spread import INSIDE_95, mahalanobis
from pose3d_ros.weights import trained
from pose3d_ros.weights.trained import Loaded

TABLES = ("families", "coverage", "size")
RIGS = 6  # held-out ones of a family
STILLS = 64  # rigs of single cameras, each of a lens, a height and a tilt of its own, as pictures of the internet have
OTHERS = [joint for joint in range(H36M_17.size) if joint != ROOT]
SINGLE_FAMILY = "room2"  # whose scaling of noise (b) single cameras take: they triangulate nothing themselves
NO_LIFTER = "no lifter ships, and --runs has none: pose3d train lifter --output DIR/lifter"


@dataclass(frozen=True, eq=False)
class Sights:
    """People in view of one camera, lifted."""

    truth: Floats  # (P, 17, 3) m, camera frame
    xyz: Floats  # (P, 17, 3) m, NaN for rejected people
    known: Floats  # (P, 17, 3) m with the person's height as input
    covariance: Floats  # (P, 17, 3, 3) m^2
    known_covariance: Floats
    seen: NDArray[np.bool_]  # (P, 17)
    compact: NDArray[np.bool_]  # (P,) whether the posture makes a compact outline
    analytic: Floats  # (P,) m, Mehta's depth of the lifted pose

    @property
    def given(self) -> NDArray[np.bool_]:
        """(P,) whether the person was lifted."""
        return np.asarray(np.isfinite(self.xyz[:, ROOT, 0]))


def table(name: str, request: EvaluationRequest, held_out: HeldOut) -> Table:
    """One of TABLES."""
    lifter = shipped(request)
    if lifter is None:
        return Table(name, "the shipped lifter", ("row",), [(NO_LIFTER,)])
    if name == "size":
        return size(lifter)
    share = HeldOut(held_out.motion, max(2, request.people // RIGS), held_out.seed, held_out._blocks)
    families = {family: trials(share, family, hide=name == "coverage") for family in (MONO, *FAMILIES)}
    if name == "coverage":
        return coverage(lifter, families)
    stills = HeldOut(held_out.motion, max(2, request.people // STILLS), held_out.seed)
    return accuracy(
        lifter,
        families,
        trials(share, MONO, hide=False, even=1.0),
        trials(stills, MONO, hide=False, noise="c", rigs=STILLS),
    )


def shipped(request: EvaluationRequest) -> Loaded | None:
    """The lifter of the package; of the folder of runs where there is one named lifter."""
    own = request.runs / "lifter" / f"lifter{trained.SUFFIX}" if request.runs else None
    if own is not None and own.is_file():
        return trained.load(str(own))
    return next((trained.load(one.name) for one in trained.TRAINED if one.network == "lifter"), None)


def trials(
    held_out: HeldOut, family: str, *, hide: bool, noise: str = "b", rigs: int = RIGS, even: float = 0.0
) -> list[Trial]:
    """People in a family's held-out rigs; with hide half of them have joints hidden. even: see Motion.draw."""
    found = []
    for one in held_out.rigs(family, rigs):
        single = family == MONO and noise == "b"
        errors = held_out.noise(SINGLE_FAMILY, held_out.rigs(SINGLE_FAMILY)[0], "b") if single else noise
        cameras, people = len(one.rig.cameras), held_out.people
        hiding = hidden(cameras, people, 1, held_out.generator("hidden", one.name)) if hide else None
        if hiding is not None:
            hiding[:, : people // 2] = False
        found.append(held_out.trial(family, one, errors, hide=hiding, even=even))
    return found


def lifted(lifter: Loaded, trial: Trial, number: int) -> Sights:
    """The people of a trial in one of its cameras, as the nodes lift them."""
    camera, views = trial.cameras[number], trial.views
    truth = np.asarray(trial.truth @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3])
    people = Keypoints2D(views.xy_px[number, :, 0], views.score[number, :, 0], H36M_17)
    height = stature(torch.from_numpy(truth)).numpy()
    plain, known = lift(camera, people, lifter), lift(camera, people, lifter, height)
    return Sights(
        truth,
        plain.xyz,
        known.xyz,
        plain.covariance,
        known.covariance,
        plain.seen,
        postures_of(trial.truth) < len(COMPACT),
        _analytic(camera, people, plain.xyz),
    )


def accuracy(lifter: Loaded, families: dict[str, list[Trial]], even: list[Trial], stills: list[Trial]) -> Table:
    """Root and pose on every family; by the outline on people whose postures are drawn evenly; on stills."""
    rows = [_accuracy_row(family, _people(lifter, chosen)) for family, chosen in families.items()]
    people = _people(lifter, even)
    rows += [
        _accuracy_row(f"{MONO}, compact", people, [one.compact for one in people]),
        _accuracy_row(f"{MONO}, rest", people, [~one.compact for one in people]),
        _accuracy_row("stills (c)", _people(lifter, stills)),
    ]
    columns = (
        "family", "depth m", "MPJPE", "MRPE", "median", "Z", "Z %", "Mehta Z", "MPJPE known", "MRPE known", "rejected",
    )  # fmt: skip
    return Table(
        "families", f"the lifter ({lifter.name}) before rigs never seen, noise (b), mm", columns, rows,
        "mono: single cameras 0.3 to 2.2 m high, people 1.5 to 8 m away, some cut off by the border. Median: of MRPE. "
        "Z %: median, of the depth. Mehta: analytic depth of the lifted pose. Known: with the height of the person. "
        "Rejected, %: too few joints in the image, or neither both hips nor both shoulders. Compact: people who sit, "
        f"crouch or lie; for these two rows postures are drawn evenly. Stills: {STILLS} rigs of mono instead of "
        f"{RIGS}, few people each, with noise (c), the detector's errors on rendered people.",
    )  # fmt: skip


def _people(lifter: Loaded, chosen: Sequence[Trial]) -> list[Sights]:
    return [lifted(lifter, trial, number) for trial in chosen for number in range(len(trial.cameras))]


def _accuracy_row(
    label: str, people: Sequence[Sights], among: Sequence[NDArray[np.bool_]] | None = None
) -> tuple[Cell, ...]:
    """A row of accuracy's table, of the people (P,) chosen by among for each view."""
    among = [np.ones(len(one.given), dtype=bool) for one in people] if among is None else among
    whom = [one.given & chosen for one, chosen in zip(people, among, strict=True)]
    total, count = int(np.concatenate(among).sum()), int(np.concatenate(whom).sum())
    if not count:
        return (label, *[None] * 10)
    truth, xyz, known = (_joined(people, name, whom) for name in ("truth", "xyz", "known"))
    depth = truth[:, ROOT, 2]
    z, root = 1000.0 * np.abs(xyz[:, ROOT, 2] - depth), _root(xyz, truth)
    return (
        label, float(depth.mean()), float(_relative(xyz, truth).mean()), float(root.mean()), float(np.median(root)),
        float(z.mean()), float(100.0 * np.median(z / 1000.0 / depth)),
        float(1000.0 * np.nanmean(np.abs(_joined(people, "analytic", whom) - depth))),
        float(_relative(known, truth).mean()), float(_root(known, truth).mean()), 100.0 * (1.0 - count / total),
    )  # fmt: skip


def coverage(lifter: Loaded, families: dict[str, list[Trial]]) -> Table:
    """Whether the 95 % ellipsoids hold 95 % of the errors."""
    rows: list[tuple[Cell, ...]] = []
    for family, chosen in families.items():
        people = _people(lifter, chosen)
        whom = [one.given for one in people]
        truth, seen = _joined(people, "truth", whom), _joined(people, "seen", whom).astype(bool)
        cells: list[Cell] = []
        for pose, matrix in (("xyz", "covariance"), ("known", "known_covariance")):
            miss = torch.from_numpy(_joined(people, pose, whom) - truth)
            inside = mahalanobis(miss, torch.from_numpy(_joined(people, matrix, whom))).numpy() <= INSIDE_95
            cells += [100.0 * float(inside.mean()), 100.0 * float(inside[seen].mean())]
            cells += [100.0 * float(inside[~seen].mean()), 100.0 * float(inside[:, ROOT].mean())]
        rows.append((family, *cells))
    kinds = ("all", "seen", "not seen", "root")
    columns = ("family", *(f"{kind} %" for kind in kinds), *(f"{kind}, known" for kind in kinds))
    return Table(
        "coverage", f"95 % ellipsoids of the lifter ({lifter.name}), noise (b), half of the people with joints hidden",
        columns, rows,
        "Share of joints whose error lies within; 90 to 98 % are wanted. Known: with the height of the person.",
    )  # fmt: skip


def size(lifter: Loaded) -> Table:
    """Parameters, storage and time."""
    assert isinstance(lifter.net, AbsPoseLifter)
    net, count = lifter.net, sum(one.numel() for one in lifter.net.parameters())
    state = io.BytesIO()
    torch.save({name: one.half() if one.is_floating_point() else one for name, one in net.state_dict().items()}, state)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    xy, K = torch.rand(1, H36M_17.size, 2) * 900.0, torch.tensor([[[900.0, 0, 450], [0, 900, 450], [0, 0, 1]]])
    taken = []
    with torch.inference_mode():
        for _ in range(60):
            began = time.perf_counter()
            net(xy, K)
            taken.append(1000.0 * (time.perf_counter() - began))
    torch.set_num_threads(threads)
    row: tuple[Cell, ...] = (
        lifter.name,
        net.options.width,
        count / 1e6,
        4 * count / 1e6,
        len(state.getvalue()) / 1e6,
        float(np.median(taken)),
    )
    columns = ("network", "width", "M parameters", "MB fp32", "MB stored", "ms a person, one CPU thread")
    return Table("size", "size and time; the paper's width 4096 has 67.5 M parameters", columns, [row], decimals=2)


def _analytic(camera: Camera, people: Keypoints2D, xyz: Floats) -> Floats:
    from pose3d_ros.geometry.projection import undistort

    ideal = torch.from_numpy(undistort(camera, people.xy))
    pose = torch.from_numpy(xyz - xyz[:, ROOT : ROOT + 1])
    return np.asarray(mehta.root_depth(pose, ideal, torch.eye(3, dtype=torch.float64).expand(len(xyz), 3, 3)).numpy())


def _joined(people: Sequence[Sights], name: str, whom: Sequence[NDArray[np.bool_]]) -> Floats:
    return np.concatenate([getattr(one, name)[chosen] for one, chosen in zip(people, whom, strict=True)])


def _relative(xyz: Floats, truth: Floats) -> Floats:
    """(N, 16) mm after alignment of the roots."""
    miss = (xyz - xyz[:, ROOT : ROOT + 1]) - (truth - truth[:, ROOT : ROOT + 1])
    return np.asarray(1000.0 * np.linalg.norm(miss[:, OTHERS], axis=-1))


def _root(xyz: Floats, truth: Floats) -> Floats:
    """(N,) mm of the root."""
    return np.asarray(1000.0 * np.linalg.norm(xyz[:, ROOT] - truth[:, ROOT], axis=-1))
