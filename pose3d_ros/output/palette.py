"""One colour a person, the same in every picture of a run."""

from __future__ import annotations

from collections.abc import Sequence

from pose3d_ros.structures import Pose3D

RGB = tuple[int, int, int]

# Okabe & Ito's colours, told apart also by people with colour-blindness, brightened a little for video.
PALETTE: tuple[RGB, ...] = (
    (0, 200, 140), (240, 110, 0), (86, 180, 255), (240, 228, 66), (220, 120, 200), (30, 110, 220), (230, 159, 0),
)  # fmt: skip
UNKNOWN: RGB = (200, 200, 200)  # 2D people without an id


def person_colours(poses: Sequence[Pose3D]) -> dict[str, RGB]:
    """Colours by id, in order of first appearance; they repeat after seven people."""
    ids = dict.fromkeys(one for pose in poses for one in pose.ids)
    return {one: PALETTE[k % len(PALETTE)] for k, one in enumerate(ids)}
