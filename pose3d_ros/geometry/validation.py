"""Validation of triangulated points: covariance, reprojection error, and the reason of a rejection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.structures import Floats


class Rejection(IntEnum):
    """Why a joint has no position; the numbers are those of kernels/constants.py."""

    NONE = 0
    FEW_VIEWS = 1  # seen by fewer than two cameras
    RANK = 2  # the rays do not fix a point: the cameras share one centre, or the point lies on their baseline
    CHEIRALITY = 3  # the best point lies behind a camera that claims to see it (or the rays meet nowhere)
    UNCERTAIN = 4  # the standard deviation along the worst axis exceeds max_std_m


@dataclass(frozen=True, eq=False)
class Triangulation:
    """Triangulated joints; a rejected one has NaN everywhere but in n_views and rejection."""

    xyz: Floats  # (..., 3) m, world
    covariance: Floats  # (..., 3, 3) m^2, world
    n_views: NDArray[np.uint8]  # (...) cameras that saw the joint
    reprojection_px: Floats  # (...) RMS over those cameras, px of the original image
    rejection: NDArray[np.uint8]  # (...) Rejection


def joined(parts: Sequence[Triangulation], shape: tuple[int, ...]) -> Triangulation:
    """Blocks of points one after another, in the shape of all."""
    found = {}
    for one in fields(Triangulation):
        values = [getattr(part, one.name) for part in parts]
        whole = values[0] if len(values) == 1 else np.concatenate(values)
        found[one.name] = whole.reshape((*shape, *whole.shape[1:]))
    return Triangulation(**found)
