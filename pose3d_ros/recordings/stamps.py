"""Capture stamps in ns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def even_rate_hz(stamps_ns: NDArray[np.int64]) -> float:
    """Frames a second of rising stamps (N,) of which some may be missing; 1 for fewer than two.

    The median step says how many frames every step spans, and so how many there were in all: a rate that does not
    drift from the stamps however long the recording.
    """
    if len(stamps_ns) < 2:
        return 1.0
    steps = np.diff(stamps_ns)
    spanned = np.maximum(1, np.round(steps / np.median(steps))).sum()
    return float(spanned * 1e9 / (stamps_ns[-1] - stamps_ns[0]))
