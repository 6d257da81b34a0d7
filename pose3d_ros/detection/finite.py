"""Reject NaN in a network's output: as NaN compares to nothing, people would silently disappear."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError


def check_finite(output: NDArray[Any], network: str, *, infinite: bool = False) -> None:
    """Raise InputError with the network and the fix if its output has NaN, or infinity unless allowed."""
    invalid = np.isnan(output) if infinite else ~np.isfinite(output)
    if invalid.any():
        raise InputError(
            f"{network} output {int(invalid.sum())} of {output.size} values that are not finite (NaN), so the images "
            "were dropped: if it recurs, set precision:=full and check its file (`pose3d models verify`)"
        )
