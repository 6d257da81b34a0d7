"""Human3.6M's images as moments before its four cameras, from the folders that h36m-fetch makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pose3d_ros.errors import InputError
from pose3d_ros.research.crops import Moment
from pose3d_ros.research.datasets import human36m
from pose3d_ros.research.datasets.human36m_cameras import read_rig
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, in_world
from pose3d_ros.structures import Camera

# Protocol 1's subjects; one of those who train chooses the epoch instead. Frames of video are nearly alike: every fifth
# trains, every 64th is tested, as is common.
SUBJECTS = {"train": ("S1", "S5", "S6", "S7"), "val": ("S8",), "test": ("S9", "S11")}
STEPS = {"train": 5, "val": 64, "test": 64}


def human36m_moments(root: Path, split: str) -> list[Moment]:
    """The moments of a split (train, val, test) that all cameras have.

    Raises InputError without metadata.xml or cameras.h5, which hold where the cameras stand, and without images.
    """
    moments: list[Moment] = []
    for subject in SUBJECTS[split]:
        by_action: dict[str, list[PoseSequence]] = {}
        for sequence in human36m.sequences(root, [subject]):
            by_action.setdefault(sequence.action.partition("/")[0], []).append(sequence)
        rig = read_rig(root, subject)
        if rig is None:
            raise InputError(f"{root} does not say where {subject}'s cameras are: put the release's metadata.xml there")
        cameras = {camera.name: camera for camera in rig.cameras}
        for action, sequences in by_action.items():
            moments += _of_action(f"{subject}/{action}", sequences, cameras, split)
    return moments


def _of_action(group: str, sequences: Sequence[PoseSequence], cameras: dict[str, Camera], split: str) -> list[Moment]:
    """The frames that the sequences of all cameras have, as often as the split takes them."""
    views = {sequence.action.rpartition("/")[2]: sequence for sequence in sequences}
    if set(views) != set(cameras) or not all(sequence.images for sequence in sequences):
        raise InputError(
            f"{group} has images of cameras {', '.join(sorted(views)) or 'none'}, expected all of "
            f"{', '.join(cameras)}: extract it again with h36m-fetch"
        )
    frames = sorted(set.intersection(*(set(sequence.frames.tolist()) for sequence in sequences)))[:: STEPS[split]]
    names = list(cameras)
    rows = {name: {frame: row for row, frame in enumerate(views[name].frames.tolist())} for name in names}
    world = in_world(views[names[0]].xyz[:, 0], cameras[names[0]])
    return [
        Moment(
            tuple(views[name].images[name][rows[name][frame]] for name in names),
            tuple(cameras.values()), world[rows[names[0]][frame]], group,
        )
        for frame in frames
    ]  # fmt: skip
