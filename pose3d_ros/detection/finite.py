"""A network that gives no numbers is named: where nothing compares to NaN, nobody would be seen, in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError


def check_finite(output: NDArray[Any], network: str, *, infinite: bool = False) -> None:
    """Raise InputError, naming the network and the mend, where its output holds NaN; or infinity, unless allowed."""
    wrong = np.isnan(output) if infinite else ~np.isfinite(output)
    if wrong.any():
        raise InputError(
            f"{network} gave {int(wrong.sum())} of {output.size} numbers that are none (NaN): the images were dropped; "
            "where it goes on, set precision:=full, and see that its file is the right one (`pose3d models verify`)"
        )
