"""The rows of `pose3d compare`: which networks each needs, and how their poses are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pose3d_ros.evaluation.tables import Table
from pose3d_ros.networks import mehta
from pose3d_ros.networks.canonical import absolute
from pose3d_ros.research import lift_systems as lifters
from pose3d_ros.research import lift_training, package_rows
from pose3d_ros.research import multi_view_systems as several
from pose3d_ros.research import representation_systems as representations
from pose3d_ros.research import single_view_systems as single
from pose3d_ros.research.comparison import Comparison, Figures, Measure, figures
from pose3d_ros.research.image_training import ImageSystem
from pose3d_ros.research.lift_training import LiftSystem, people_of, virtual_views
from pose3d_ros.research.networks.exemplars import Exemplars
from pose3d_ros.research.networks.lifting import with_depths_of
from pose3d_ros.research.samples import ROOT

# Poses in Chen and Ramanan's library: theirs had 180 000 from Human3.6M's motion.
EXEMPLARS = 40_000


Solve = Callable[[Comparison, ImageSystem], Tensor]


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    text: str
    measure: Measure
    published_mm: float | None = None  # Human3.6M, protocol 1


def mean_pose(run: Comparison) -> Figures:
    """The training people's mean pose, in the axes of the camera."""
    torch.manual_seed(0)
    people = virtual_views(people_of(run.crops["train"]), run.budget.lifter_people, run.budget.side)
    truth = run.truth()
    mean = (people.xyz - people.xyz[:, :1]).mean(dim=0)
    return figures([mean.expand_as(truth.xyz)], truth.xyz)


def from_image(system: ImageSystem) -> Measure:
    """Poses that a network finds in the image."""

    def measure(run: Comparison) -> Figures:
        found, truth = run.decoded(system), run.truth()
        return _trained(run, [system], [], figures([found], truth.xyz))

    return measure


def from_volume(system: ImageSystem) -> Measure:
    """The same, whose pixels are put at the pelvis's distance, the true one or the formula's."""

    def measure(run: Comparison) -> Figures:
        found, truth = run.decoded(system), run.truth()
        absolute = found + truth.xyz[:, ROOT : ROOT + 1]
        image = absolute @ truth.K.transpose(1, 2)
        xy = image[..., :2] / image[..., 2:]
        root = mehta.root_depth(found, xy, truth.K)
        estimated = with_depths_of(xy, found, root, truth.K)
        return _trained(run, [system], [], figures([found], truth.xyz, [estimated]))

    return measure


def lifted(system: LiftSystem, detector: ImageSystem | None = None) -> Measure:
    """Poses that a lifter makes of true or detected joints."""

    def measure(run: Comparison) -> Figures:
        truth = run.truth()
        xy = run.decoded(detector) if detector else truth.xy
        nets = run.lifters(system, detector)
        with torch.inference_mode():
            poses = [system.lift(net, xy, truth.K) for net in nets]
        return _trained(run, [detector] if detector else [], [system], figures(poses, truth.xyz))

    return measure


def depth_only(system: LiftSystem, detector: ImageSystem) -> Measure:
    """The detector's x and y, the lifter's z, at the pelvis's true distance or the formula's."""

    def measure(run: Comparison) -> Figures:
        truth, xy = run.truth(), run.decoded(detector)
        nets = run.lifters(system, detector)
        with torch.inference_mode():
            poses = [system.lift(net, xy, truth.K) for net in nets]
        true = [with_depths_of(xy, pose, truth.xyz[:, ROOT, 2], truth.K) for pose in poses]
        estimated = [with_depths_of(xy, pose, mehta.root_depth(pose, xy, truth.K), truth.K) for pose in poses]
        return _trained(run, [detector], [system], figures(true, truth.xyz, estimated))

    return measure


def absolute_lifted(detector: ImageSystem) -> Measure:
    """AbsPoseLifter: the pelvis's distance is its own."""

    def measure(run: Comparison) -> Figures:
        truth, xy = run.truth(), run.decoded(detector)
        poses, nets = [], run.lifters(lifters.ABSPOSELIFTER, detector)
        with torch.inference_mode():
            for net in nets:
                poses.append(absolute(net(xy, truth.K), xy[:, ROOT], truth.K))
        measured = figures(poses, truth.xyz, absolute=True)
        return _trained(run, [detector], [lifters.ABSPOSELIFTER], measured)

    return measure


def exemplars(detector: ImageSystem | None) -> Measure:
    """The nearest projected exemplar's depths, with the image's x and y."""

    def measure(run: Comparison) -> Figures:
        torch.manual_seed(0)
        people = virtual_views(people_of(run.crops["train"]), EXEMPLARS, run.budget.side)
        library = Exemplars.of(people.xyz - people.xyz[:, :1])
        truth = run.truth()
        xy = run.decoded(detector) if detector else truth.xy
        true = library.lift(xy, truth.K, truth.xyz[:, ROOT, 2])
        nearest = library.poses[library.nearest(xy, truth.K)]
        estimated = with_depths_of(xy, nearest, mehta.root_depth(nearest, xy, truth.K), truth.K)
        return _trained(run, [detector] if detector else [], [], figures([true], truth.xyz, [estimated]))

    return measure


def in_world(system: ImageSystem, solve: Solve | None = None) -> Measure:
    """Poses (B, J, 3) m of the world that a network says, or that `solve` makes of its heatmaps."""

    def measure(run: Comparison) -> Figures:
        found = solve(run, system) if solve else run.decoded(system)
        truth = people_of(run.crops["test"]).world
        return _trained(run, [system], [], figures([found], truth, absolute=True))

    return measure


def _trained(
    run: Comparison, images: Sequence[ImageSystem], lifters: Sequence[LiftSystem], measured: Figures
) -> Figures:
    """With what the row's networks cost."""
    begun = [system.start for system in images if system.start]
    names = [system.name for system in [*images, *begun]]
    seeds = [f"{system.name}-s{run.options.seed + number}" for system in lifters for number in range(run.seeds)]
    nets = [run.net(system) for system in images] + [
        lift_training.load_lifter(system, run.budget, run.output / "networks" / f"{system.name}-s{run.options.seed}")
        for system in lifters
    ]
    return measured._replace(
        images=sum(system.passes(run.budget) for system in images),
        parameters=sum(parameter.numel() for net in nets for parameter in net.parameters()),
        minutes=run.minutes(names) + run.minutes(seeds) / max(run.seeds, 1),
    )


ROWS = (
    Row("mean", "the mean pose of the training people", mean_pose),
    Row("A", "image -> pose: ResNet and a linear layer", from_image(single.REGRESSION), 149.8),
    Row("B", "A with shifts, mirroring and colours", from_image(single.REGRESSION_AUGMENTED), 132.0),
    Row("C", "true 2D -> Martinez's baseline", lifted(lifters.BASELINE), 71.7),
    Row("D", "stacked hourglass -> baseline", lifted(lifters.BASELINE_ON_HOURGLASS, single.HOURGLASS), 72.5),
    Row("E", "hourglass's x, y, baseline's z", depth_only(lifters.BASELINE_ON_HOURGLASS, single.HOURGLASS), 64.0),
    Row("F", "integral regression in 3D", from_volume(single.INTEGRAL_3D), 63.3),
    Row("G", "integral's x, y, baseline's z", depth_only(lifters.BASELINE_ON_INTEGRAL, single.INTEGRAL), 60.8),
    Row("H", "cross-view fusion, RPSM", in_world(several.FUSION, several.pictorial), 37.7),
    Row("integral-baseline", "integral -> baseline", lifted(lifters.BASELINE_ON_INTEGRAL, single.INTEGRAL)),
    Row("bones", "integral -> baseline, loss of joints and bones", lifted(lifters.STRUCTURE_AWARE, single.INTEGRAL)),
    Row("exemplars", "integral's x, y, z of the nearest exemplar", exemplars(single.INTEGRAL)),
    Row("true-exemplars", "true x, y, z of the nearest exemplar", exemplars(None)),
    Row("absposelifter", "integral -> AbsPoseLifter", absolute_lifted(single.INTEGRAL)),
    Row("zhou", "Zhou: hourglass and depths, half of the labels in 2D", from_volume(single.ZHOU)),
    Row("li-chan", "Li and Chan: regression and detection", from_image(single.LI_CHAN)),
    *(Row(system.name, f"Rhodin: view synthesis, then {100 * system.moments:g} % of the labels", from_image(system))
      for system in representations.REPRESENTED),
    *(Row(system.name, f"B with {100 * system.moments:g} % of the images and labels", from_image(system))
      for system in representations.SUPERVISED),
    Row("linear", "integral -> linear triangulation", in_world(single.INTEGRAL, several.triangulated)),
    Row("huber", "integral -> this package's triangulation",
        in_world(single.INTEGRAL, partial(several.triangulated, huber=True))),
    Row("psm", "integral -> PSM, 16^3 bins", in_world(single.INTEGRAL, partial(several.pictorial, recursive=False))),
    Row("rpsm", "integral -> RPSM", in_world(single.INTEGRAL, several.pictorial)),
    Row("H-true", "H with the true root and limbs", in_world(several.FUSION, partial(several.pictorial, true=True))),
    Row("fusion", "cross-view fusion -> linear triangulation of the highest bins", in_world(several.FUSION)),
    Row("algebraic", "learnable triangulation, algebraic", in_world(several.ALGEBRAIC)),
    Row("volumetric", "learnable triangulation, in a volume", in_world(several.VOLUMETRIC)),
    Row("ours-1", "this package, one camera: AbsPoseLifter", package_rows.ours(1)),
    Row("ours-2", "this package, two cameras: CV-UGCN", package_rows.ours(2)),
    Row("ours-4", "this package, four cameras", package_rows.ours(4)),
)  # fmt: skip


def comparison_table(run: Comparison, measured: dict[str, Figures]) -> Table:
    """The figures of the rows that were measured."""
    mean = measured["mean"].mean[0] if "mean" in measured else None
    lines = []
    for row in ROWS:
        if row.name not in measured:
            continue
        one = measured[row.name]
        error = float(np.mean(one.mean))
        spread = (max(one.mean) - min(one.mean)) / 2 if len(one.mean) > 1 else None
        lines.append((
            row.name, row.text, row.published_mm, error, spread, one.median, one.aligned,
            float(np.mean(one.estimated)) if one.estimated else None, one.absolute,
            f"{100 * (error / mean - 1):+.0f} %" if mean and row.name != "mean" else "",
            one.images or None, one.parameters / 1e6 if one.parameters else None, one.minutes or None,
        ))  # fmt: skip
    return Table("compare", f"budget {run.budget.name}, {len(run.truth().xyz)} test images", COLUMNS, lines, NOTE)


COLUMNS = (
    "row", "what", "published", "MPJPE", "+- seeds", "median", "P-MPJPE", "estimated root", "absolute",
    "to the mean pose", "images", "parameters, M", "minutes",
)  # fmt: skip
NOTE = (
    "mm, 17 joints from the pelvis, on people and rigs that no network was trained on. Rows that place pixels in "
    "space take the pelvis's true distance (MPJPE) or that of Mehta's formula (estimated root). P-MPJPE: after a "
    "similarity transform of every pose. Published: MPJPE on Human3.6M in a survey's report, other images and joints. "
    "Minutes: training on this machine, of a lifter the mean over seeds. This package's rows are its shipped weights, "
    "trained on other data, and count the joints that it publishes."
)
