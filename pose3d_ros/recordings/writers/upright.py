"""Poses of any world, turned so that z is up, for files whose axes have a fixed meaning (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from pose3d_ros.rigs.rig_frames import Z_UP_FROM
from pose3d_ros.structures import Floats, Pose3D, unknown_body


def upright(poses: Sequence[Pose3D], up: str) -> Sequence[Pose3D]:
    """The poses of a world in which the axis up (+x, -y, ...; "" where it is not known) is up, with z up."""
    return poses if up in ("", "+z") else UprightPoses(poses, Z_UP_FROM[up])


class UprightPoses(Sequence[Pose3D]):
    """Poses turned as they are asked for."""

    def __init__(self, poses: Sequence[Pose3D], rotation: Floats) -> None:
        """rotation (3, 3): the new world from the old one."""
        self._poses, self._rotation = poses, rotation

    def __len__(self) -> int:
        return len(self._poses)

    @overload
    def __getitem__(self, index: int) -> Pose3D: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pose3D]: ...
    def __getitem__(self, index: int | slice) -> Pose3D | list[Pose3D]:
        found = self._poses[index]
        return self._turned(found) if isinstance(found, Pose3D) else [self._turned(one) for one in found]

    def _turned(self, pose: Pose3D) -> Pose3D:
        """Only joints are turned: these files hold no orientations and no floor, which are left out."""
        turn = self._rotation
        unknown = unknown_body(*pose.score.shape)
        return replace(
            pose,
            xyz=pose.xyz @ turn.T,
            velocity=pose.velocity @ turn.T,
            covariance=turn @ pose.covariance @ turn.T,
            orientation=unknown["orientation"],
            orientation_std=unknown["orientation_std"],
            floor=None,
        )
