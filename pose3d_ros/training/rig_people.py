"""The people of a recording before one's own rig, as a refiner is given them there, and their 2D labels (NumPy, torch).

The network's cameras are those that the robot has; the labels are the detections of all cameras of the recording.
Axes: L cameras with labels, of which the first V are the network's; P people times moments; J joints of h36m_17.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.observation import Grouped2D, triangulated
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.recorded_people import recorded_people
from pose3d_ros.estimation.refinement.networks import sight_of
from pose3d_ros.estimation.refinement.stage import network_input, usable_joints
from pose3d_ros.estimation.refinement.training_domain import MIN_JOINTS, TRAINED_JOINTS, RigRange
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.recordings.observations import Observations2D
from pose3d_ros.structures import Camera, Floats, Rig
from pose3d_ros.training.refinement import GUESSED_WEIGHT, RefinementData


@dataclass(frozen=True, eq=False)
class RigPeople:
    """P people at their moments, each seen by all of the network's cameras."""

    cameras: tuple[Camera, ...]  # L
    views: int  # V
    seen: Grouped2D  # (L, P, J)
    observed: Observed3D  # P people triangulated by the first V cameras
    stamps_ns: NDArray[np.int64]  # (P,)
    ids: NDArray[np.str_]  # (P,)

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def rig_cameras(self) -> tuple[Camera, ...]:
        """The network's V cameras."""
        return self.cameras[: self.views]

    @property
    def rig_seen(self) -> Grouped2D:
        """What they see."""
        return self.seen.of(range(self.views))

    def select(self, rows: NDArray[np.intp]) -> RigPeople:
        """The chosen people, in the order given."""
        return RigPeople(
            self.cameras, self.views, self.seen.select(rows), self.observed.select(rows), self.stamps_ns[rows],
            self.ids[rows],
        )  # fmt: skip


def rig_people(
    rig: Rig, observations: Observations2D, names: Sequence[str], options: EstimatorOptions = EstimatorOptions()
) -> RigPeople:
    """The people whom all named cameras of the rig see, with MIN_JOINTS triangulated; observations are of the rig.

    Raises InputError for a name that the rig lacks, for fewer than two and for one given twice.
    """
    if len(set(names)) < max(2, len(names)):
        raise InputError(f"the network's cameras are {', '.join(names) or 'none'}: name two or more different ones")
    order = [rig.names.index(rig.camera(name).name) for name in names]
    order += [number for number in range(len(rig.cameras)) if number not in order]
    cameras = tuple(rig.cameras[number] for number in order)
    all_people = recorded_people(observations, options).of(order)
    views = len(names)
    shown = np.flatnonzero(all_people.seen[:views].any(axis=-1).all(axis=0))
    people = all_people.select(shown)
    observed = triangulated(cameras[:views], people.of(range(views)), min_views=options.min_views, max_std_m=np.inf)
    known = np.flatnonzero(usable_joints(observed).sum(axis=-1) >= MIN_JOINTS)
    keys = [observations.keys[row] for row in shown[known]]
    return RigPeople(
        cameras, views, people.select(known), observed.select(known),
        np.array([stamp for stamp, _ in keys], dtype=np.int64), np.array([one for _, one in keys], dtype=np.str_),
    )  # fmt: skip


def training_data(people: RigPeople, known: RigRange) -> RefinementData:
    """Inputs as the estimator gives them to a network that knows the rigs of `known`, and the cameras' labels.

    A label weighs by its score, by the square of its camera's focal length over the mean, and less where the joint was
    not triangulated, as in training on simulated people.
    """
    cameras, count = people.cameras, len(people)
    usable = usable_joints(people.observed)
    given, trusted = network_input(people.observed, people.rig_seen, usable)
    used = np.tile(np.arange(people.views), (count, 1))
    sight, middle = sight_of(people.rig_cameras, trusted, given.xyz, used, known)
    focal = np.array([np.sqrt(camera.K[0, 0] * camera.K[1, 1]) for camera in cameras])
    weight = np.where(people.seen.seen, people.seen.score, 0.0) * ((focal / focal.mean()) ** 2)[:, None, None]
    weight = weight * np.where(usable, 1.0, GUESSED_WEIGHT) * TRAINED_JOINTS
    place = np.stack([camera.cam_from_world for camera in cameras])
    place[:, :3, 3] += place[:, :3, :3] @ middle
    labels = np.stack([undistort(camera, xy) for camera, xy in zip(cameras, people.seen.xy, strict=True)])
    return RefinementData(
        **{name: _tensor(one) for name, one in sight._asdict().items()},
        labels=_tensor(np.moveaxis(labels, 0, 1)),
        label_weight=_tensor(np.moveaxis(weight, 0, 1)),
        label_cam_from_world=_tensor(np.tile(place, (count, 1, 1, 1))),
    )


def _tensor(numbers: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32))
