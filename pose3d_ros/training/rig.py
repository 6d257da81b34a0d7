"""CV-UGCN tuned on a recording of one's own rig by its own losses: 2D labels of all its cameras, no 3D (torch).

The shipped network knows rigs and detectors in general. A recording shows where this detector and this calibration are
off, for all people, and how these people are built and move; only the first carries over to other people. So few
numbers are tuned: scales and offsets of the norms (tunable), with the statistics of the norms as shipped.

Held-out stretches decide how far, and whether at all: the recording is cut into stretches, networks trained on one half
of them are judged on the other, and the network that is kept learns from all of it, as far as was best. How far: the
number of steps, and the share of what they changed that is kept (Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022: the mean of two networks is surer on what neither saw than the tuned one).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.refinement.training_domain import RigRange
from pose3d_ros.estimation.refinement.tuned_rig import KEY, TunedRig
from pose3d_ros.networks.cvugcn import CvUgcn
from pose3d_ros.structures import Floats, Rig
from pose3d_ros.training.loop import Batch
from pose3d_ros.training.recipes import LEARNING_RATE, loss_for
from pose3d_ros.training.rig_checks import check_people
from pose3d_ros.training.rig_figures import RigFigures, figures, published
from pose3d_ros.training.rig_people import RigPeople, training_data
from pose3d_ros.weights.trained import Loaded

# Chosen on rendered people before one room of four cameras, tuned on some, tested on others (docs/training.md).
BATCH = 24
STEPS = (40, 80, 160)  # after which networks are judged
SHARES = (0.5, 1.0)  # of the change that is kept
# Held-out stretches show the same people, whose bodies a network learns too: a candidate that changed less is taken
# where it is worse by this share at most. Tuned on rendered people and tested on others before an exact rig, half of
# the change is worth -3.5 % of the error in space, all of it -1.0 %, though cameras left out say -4.2 and -5.7 %.
TOLERANCE = 0.05
STRETCHES = 4  # of a recording; each half of them is judged by networks of the other
# At the borders of stretches, left out of training because neighbouring moments are alike: at most this long, and at
# most this share of a stretch.
GAP_S, GAP_SHARE = 0.25, 0.15
MOST_PEOPLE = 2000  # of longer recordings as many, evenly spaced
# By so much a figure must be lower; with other seeds the same network differs by half of it.
LEAST_GAIN = 0.02
Candidate = tuple[float, int]  # share of the change, steps
TRIANGULATED, SHIPPED, TUNED = "triangulated", "shipped", "tuned"


@dataclass(frozen=True, eq=False)
class Tuning:
    """What came of it."""

    network: Loaded  # trained on the whole recording
    steps: int
    share: float  # of the change that was kept
    held_out: dict[str, RigFigures]  # by TRIANGULATED, SHIPPED, TUNED: of all stretches, each judged while held out
    why_not: str  # why the network is not to be used; empty where it is

    @property
    def better(self) -> bool:
        """Whether the network is better than triangulation and than the weights that it began with."""
        return not self.why_not


def tune_on_rig(people: RigPeople, rig: Rig, start: Loaded, seed: int = 0) -> Tuning:
    """Tune a network on people before a rig, of which they are seen by people.rig_cameras.

    Raises InputError for a recording that cannot be trained on (rig_checks) and a network that serves no such rig.
    """
    if not isinstance(start.net, CvUgcn) or start.recipe.get("form") != "rig":
        raise InputError(f"{start.name} is no CV-UGCN of form rig: give such weights, or leave --start out")
    check_people(people)
    if len(people) > MOST_PEOPLE:
        people = people.select(np.linspace(0, len(people) - 1, MOST_PEOPLE).round().astype(np.intp))
    start = replace(start, net=start.net.with_views(people.views).eval().requires_grad_(False))
    recipe = {**start.recipe, "views": people.views, "start": start.name, KEY: tuned_rig(people, rig).entry()}
    known = RigRange.of(recipe)
    parts: list[RigPeople] = []
    joints: dict[str | Candidate, list[Floats]] = {}
    for taught, held_out in halves(people.stamps_ns):
        judged = people.select(held_out)
        parts.append(judged)
        for name, network in ((TRIANGULATED, None), (SHIPPED, start)):
            joints.setdefault(name, []).append(published(judged, network))
        for steps, net in fitted(start, training_data(people.select(taught), known)._asdict(), max(STEPS), seed):
            for share in SHARES:
                network = replace(start, net=between(start.net, net, share), recipe=recipe)
                joints.setdefault((share, steps), []).append(published(judged, network))
    found = {name: figures(parts, xyz) for name, xyz in joints.items()}
    plain, shipped = found[TRIANGULATED], found[SHIPPED]
    scores = {one: score(found[one], plain, shipped) for one in found if not isinstance(one, str)}
    # The own cameras' keypoints say that further is always better, until the network triangulates again. On rendered
    # people the smallest change gains 4 to 14 % in four of six cases, loses 1 and 5 % in two; a larger one loses 6 %.
    chosen = least_change(scores) if np.isfinite(shipped.left_out_px) else min(scores)
    *_, (_, net) = fitted(start, training_data(people, known)._asdict(), chosen[1], seed)
    held = {TRIANGULATED: plain, SHIPPED: shipped, TUNED: found[chosen]}
    network = Loaded(between(start.net, net, chosen[0]), recipe, start.spread, "", verified=False)
    return Tuning(network, chosen[1], chosen[0], held, why_not(held))


def tuned_rig(people: RigPeople, rig: Rig) -> TunedRig:
    """The network's cameras, and how far its people are from them."""
    centres = np.stack([camera.centre for camera in people.rig_cameras])
    middles = np.nanmedian(people.observed.xyz, axis=1)
    distance = np.linalg.norm(middles[:, None] - centres, axis=-1).mean(axis=-1)
    return TunedRig(Rig(people.rig_cameras, rig.frame_id), (float(distance.min()), float(distance.max())))


def halves(stamps_ns: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows to train on and rows to judge, of people at these moments (P,): even stretches and odd ones, and back."""
    moments, which = np.unique(stamps_ns, return_inverse=True)
    bounds = np.linspace(0, len(moments), STRETCHES + 1).round().astype(np.intp)
    stretch = np.searchsorted(bounds[1:], which, side="right")
    first, last = moments[bounds[:-1]], moments[bounds[1:] - 1]
    gap_ns = np.minimum(GAP_S * 1e9, GAP_SHARE * (last - first))
    inside = (stamps_ns - first[stretch] >= gap_ns[stretch]) & (last[stretch] - stamps_ns >= gap_ns[stretch])
    for judged in (0, 1):
        held_out = stretch % 2 == judged
        yield np.flatnonzero(~held_out & inside), np.flatnonzero(held_out)


def fitted(start: Loaded, data: Batch, steps: int, seed: int) -> Iterator[tuple[int, nn.Module]]:
    """(step, network) after every one of STEPS up to steps."""
    net = copy.deepcopy(start.net).requires_grad_(False)  # in eval mode: the norms keep their statistics
    parameters = [parameter.requires_grad_(True) for parameter in tunable(net)]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, amsgrad=True)
    loss_of: Callable[[nn.Module, Batch], Tensor] = loss_for(start.recipe)
    generator = torch.Generator().manual_seed(seed)
    count = len(data["coarse"])
    for step in range(1, steps + 1):
        rows = torch.randperm(count, generator=generator)[:BATCH]
        optimiser.zero_grad()
        loss_of(net, {name: tensor[rows] for name, tensor in data.items()}).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step in STEPS:
            yield step, copy.deepcopy(net).requires_grad_(False)


def tunable(net: nn.Module) -> list[nn.Parameter]:
    """Scales and offsets: every vector among the parameters, 1 % of them."""
    return [parameter for parameter in net.parameters() if parameter.ndim == 1]


def between(start: nn.Module, tuned: nn.Module, share: float) -> nn.Module:
    """The network with this share of the change from start to tuned."""
    net, before = copy.deepcopy(tuned), start.state_dict()
    mixed = {
        name: before[name] + share * (value - before[name]) if value.is_floating_point() else value
        for name, value in tuned.state_dict().items()
    }
    net.load_state_dict(mixed)
    return net


def least_change(scores: dict[Candidate, float]) -> Candidate:
    """The candidate that changes least of those that are hardly worse than the best."""
    enough = (1 + TOLERANCE) * min(scores.values())
    return min(one for one, value in scores.items() if value <= enough)


def score(found: RigFigures, plain: RigFigures, shipped: RigFigures) -> float:
    """Lower is better, px: cameras left out, or without any the own ones, as long as bones vary little.

    Keypoints of the own cameras alone would have the network triangulate again; how much bones vary, which no loss
    sees, shows it. Half way to triangulation, as a factor, is the limit.
    """
    if np.isfinite(found.left_out_px):
        return found.left_out_px
    return found.own_px if found.bones_cv <= np.sqrt(plain.bones_cv * shipped.bones_cv) else float("inf")


def why_not(held_out: dict[str, RigFigures]) -> str:
    """Why the tuned network is not to be used, in words; empty where held-out stretches say that it is better."""
    plain, shipped, tuned = (held_out[name] for name in (TRIANGULATED, SHIPPED, TUNED))
    alone = not np.isfinite(tuned.left_out_px)
    least = shipped.own_px if alone else min(plain.left_out_px, shipped.left_out_px)
    if score(tuned, plain, shipped) <= (1 - LEAST_GAIN) * least and (not alone or tuned.bones_cv < plain.bones_cv):
        return ""
    if alone:
        return (
            f"in the held-out stretches the tuned network's joints are {tuned.own_px:.2f} px from the keypoints, the "
            f"shipped one's {shipped.own_px:.2f} px, and bones vary by {100 * tuned.bones_cv:.1f} %, as shipped by "
            f"{100 * shipped.bones_cv:.1f} %, triangulated by {100 * plain.bones_cv:.1f} %: expected "
            f"{100 * LEAST_GAIN:g} % nearer than the shipped one's, and bones at most half way to triangulated ones"
        )
    return (
        f"in the held-out stretches the cameras left out are {tuned.left_out_px:.2f} px from the tuned network's "
        f"joints, {plain.left_out_px:.2f} px from triangulated ones, {shipped.left_out_px:.2f} px from the shipped "
        f"network's: expected {100 * LEAST_GAIN:g} % less than both"
    )
