"""People's joints as C3D, the binary marker file of biomechanics, by ezc3d."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import DependencyError
from pose3d_ros.recordings.writers.person_tracks import PersonTrack

MM = 1000.0
MAX_FRAME = 0xFFFF  # the header's first and last frame are 16 bits wide


def write_c3d(track: PersonTrack, path: Path | str) -> None:
    """Write one person's joints as the points of a C3D file: mm, axes of the fixed frame (z up: Y_SCREEN is +Z).

    An absent joint is an invalid point (residual -1, coordinates 0), as the format has it. Frames count from 1 at the
    recording's first, so files of several people fit together; where that would pass 65,535, all that the header's 16
    bits hold, they count from the person's first, and POINT:LONG_FRAMES says how many there are. Raises
    DependencyError without ezc3d.
    """
    ezc3d = require_ezc3d()
    joints = len(track.skeleton.joint_names)
    points = np.ones((4, joints, len(track.xyz)))
    points[:3] = MM * track.xyz.transpose(2, 1, 0)
    absent = ~np.isfinite(points).all(axis=0)
    points[:3, absent] = np.nan
    content = ezc3d.c3d()
    content["header"]["points"]["first_frame"] = (
        track.first if track.first + len(track.xyz) <= MAX_FRAME else 0
    )  # counts from 0
    group = content["parameters"]["POINT"]
    group["UNITS"]["value"] = ["mm"]
    group["RATE"]["value"] = [track.rate_hz]
    group["LABELS"]["value"] = list(track.skeleton.joint_names)
    content.add_parameter("POINT", "X_SCREEN", ["+Y"])
    content.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    if len(track.xyz) > MAX_FRAME:
        content.add_parameter("POINT", "LONG_FRAMES", [float(len(track.xyz))])
    content["data"]["points"] = points
    content["data"]["meta_points"]["residuals"] = np.where(absent, -1.0, 0.0)[None]
    content.write(str(path))


def require_ezc3d() -> Any:
    """The module; raises DependencyError where it is not installed."""
    try:
        import ezc3d
    except ImportError as error:
        raise DependencyError(
            f"C3D is written by ezc3d, which is not installed ({error}): pip install ezc3d"
        ) from error
    return ezc3d
