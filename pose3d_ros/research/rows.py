"""The rows of `pose3d compare`: which networks each needs, and how their poses are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose3d_ros.networks.canonical import back_project
from pose3d_ros.research import lift_systems, package_rows
from pose3d_ros.research import multi_view_systems as several
from pose3d_ros.research import single_view_systems as single
from pose3d_ros.research.comparison import Comparison, Figures, estimated_root, figures
from pose3d_ros.research.image_training import ImageSystem
from pose3d_ros.research.lift_training import LiftSystem, people_of, virtual_views
from pose3d_ros.research.networks.exemplars import Exemplars
from pose3d_ros.research.networks.lifting import with_depths_of
from pose3d_ros.research.samples import ROOT

# Poses in Chen and Ramanan's library: theirs had 180 000 from Human3.6M's motion.
EXEMPLARS = 40_000


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    text: str
    measure: Callable[[Comparison], Figures]
    letter: str = ""  # of the published order
    published_mm: float | None = None  # Human3.6M, protocol 1


def mean_pose(run: Comparison) -> Figures:
    """The training people's mean pose, in the axes of the camera."""
    torch.manual_seed(0)
    people = virtual_views(people_of(run.crops["train"]), run.budget.lifter_people, run.budget.side)
    truth = run.truth()
    mean = (people.xyz - people.xyz[:, :1]).mean(dim=0)
    return figures([mean.expand_as(truth.xyz)], truth.xyz)


def from_image(system: ImageSystem) -> Callable[[Comparison], Figures]:
    """Poses that a network finds in the image."""

    def measure(run: Comparison) -> Figures:
        found, truth = run.decoded(system), run.truth()
        return _trained(run, [system], [], figures([found], truth.xyz))

    return measure


def from_volume(system: ImageSystem) -> Callable[[Comparison], Figures]:
    """The same, whose pixels are put at the pelvis's distance, the true one or the formula's."""

    def measure(run: Comparison) -> Figures:
        found, truth = run.decoded(system), run.truth()
        absolute = found + truth.xyz[:, ROOT : ROOT + 1]
        image = absolute @ truth.K.transpose(1, 2)
        xy = image[..., :2] / image[..., 2:]
        root = estimated_root(found, xy, truth.K)
        estimated = with_depths_of(xy, found, root, truth.K)
        return _trained(run, [system], [], figures([found], truth.xyz, [estimated]))

    return measure


def lifted(system: LiftSystem, detector: ImageSystem | None = None) -> Callable[[Comparison], Figures]:
    """Poses that a lifter makes of true or detected joints."""

    def measure(run: Comparison) -> Figures:
        truth = run.truth()
        xy = run.decoded(detector) if detector else truth.xy
        with torch.inference_mode():
            poses = [system.lift(net, xy, truth.K) for net in run.lifters(system, detector)]
        return _trained(run, [detector] if detector else [], [system], figures(poses, truth.xyz))

    return measure


def depth_only(system: LiftSystem, detector: ImageSystem) -> Callable[[Comparison], Figures]:
    """The detector's x and y, the lifter's z, at the pelvis's true distance or the formula's."""

    def measure(run: Comparison) -> Figures:
        truth, xy = run.truth(), run.decoded(detector)
        with torch.inference_mode():
            poses = [system.lift(net, xy, truth.K) for net in run.lifters(system, detector)]
        true = [with_depths_of(xy, pose, truth.xyz[:, ROOT, 2], truth.K) for pose in poses]
        estimated = [with_depths_of(xy, pose, estimated_root(pose, xy, truth.K), truth.K) for pose in poses]
        return _trained(run, [detector], [system], figures(true, truth.xyz, estimated))

    return measure


def absolute_lifted(detector: ImageSystem) -> Callable[[Comparison], Figures]:
    """AbsPoseLifter: the pelvis's distance is its own."""

    def measure(run: Comparison) -> Figures:
        truth, xy = run.truth(), run.decoded(detector)
        poses = []
        with torch.inference_mode():
            for net in run.lifters(lift_systems.ABSPOSELIFTER, detector):
                poses.append(lift_systems.absolute_pose(net, xy, truth.K))
        measured = figures(poses, truth.xyz, absolute=True)
        return _trained(run, [detector], [lift_systems.ABSPOSELIFTER], measured)

    return measure


def exemplars(detector: ImageSystem | None) -> Callable[[Comparison], Figures]:
    """The nearest projected exemplar's depths, with the image's x and y."""

    def measure(run: Comparison) -> Figures:
        torch.manual_seed(0)
        people = virtual_views(people_of(run.crops["train"]), EXEMPLARS, run.budget.side)
        library = Exemplars.of(people.xyz - people.xyz[:, :1])
        truth = run.truth()
        xy = run.decoded(detector) if detector else truth.xy
        true = library.lift(xy, truth.K, truth.xyz[:, ROOT, 2])
        nearest = library.poses[library.nearest(xy, truth.K)]
        estimated = with_depths_of(xy, nearest, estimated_root(nearest, xy, truth.K), truth.K)
        return _trained(run, [detector] if detector else [], [], figures([true], truth.xyz, [estimated]))

    return measure


def in_world(system: ImageSystem, solve: Callable[[Comparison], Tensor] | None = None) -> Callable[[Comparison], Figures]:
    """Poses (B, J, 3) m of the world that a network says, or that `solve` makes of its heatmaps."""

    def measure(run: Comparison) -> Figures:
        found = solve(run) if solve else run.decoded(system)
        truth = people_of(run.crops["test"]).world
        return _trained(run, [system], [], figures([found], truth, absolute=True))

    return measure
