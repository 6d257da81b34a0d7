"""Whether people have a human size: the lengths of their legs give the scale of a rig (NumPy, float64)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats

# Hip to knee to ankle, m: 0.6 at ten years, 1.05 of a man of 2.1 m; outside the range it is no leg, or not in metres.
LEG_RANGE_M = (0.45, 1.1)
# An adult's leg: factors are relative to it.
USUAL_LEG_M = 0.85
# A leg counts if the standard deviation of its joints is below this share of its length along their worst axis. A
# stereo head of 12 cm hardly reaches that; a calibration error of one pixel makes people at 3 m 10 % larger.
SURE = 0.12
# Legs required for a verdict, over how long, and the share that must be outside the range, on one side.
LEAST_LEGS, LEAST_S, AGREEING = 60, 3.0, 0.75
# Legs kept: half a minute of one person.
KEPT = 300
_LEGS = np.array([[H36M_17.index(f"{side}{joint}") for joint in ("Hip", "Knee", "Ankle")] for side in "LR"])


@dataclass(frozen=True)
class Scale:
    """The measured size of people."""

    leg_m: float = float("nan")  # median length of a leg; NaN while there are too few
    legs: int = 0
    fault: str = ""  # with the likely cause; empty while the size is plausible

    @property
    def value(self) -> str:
        """For a key value of /diagnostics."""
        return f"{self.leg_m:.3g} m, median of {self.legs}" if np.isfinite(self.leg_m) else "not known yet"


def leg_lengths(xyz: Floats, covariance: Floats, sure: float = SURE) -> Floats:
    """Lengths (L,) m of the legs of people (P, 17, 3) m, h36m_17, that are sure by their covariance (P, 17, 3, 3)."""
    points, spread = xyz[:, _LEGS], covariance[:, _LEGS]  # (P, 2, 3, ...)
    length = np.linalg.norm(np.diff(points, axis=2), axis=-1).sum(-1)  # (P, 2)
    valid = np.isfinite(length) & np.isfinite(spread).all(axis=(-3, -2, -1))
    widest = np.linalg.eigvalsh(np.where(valid[..., None, None, None], spread, 0.0))[..., -1].max(axis=-1)
    return np.asarray(length[valid & (np.sqrt(np.maximum(widest, 0.0)) <= sure * np.where(valid, length, 0.0))])


class PersonScale:
    """Collects lengths of legs; time is that of the stamps, in s."""

    def __init__(self, kept: int | None = KEPT) -> None:
        self._legs: deque[tuple[float, float]] = deque(maxlen=kept)

    def reset(self) -> None:
        """Drop everything."""
        self._legs = deque(maxlen=self._legs.maxlen)

    def state_dict(self) -> dict[str, Any]:
        """The collected measurements."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from another one's state."""
        load_state(self, state)

    def add(self, now_s: float, legs_m: Sequence[float]) -> None:
        """Add legs measured at a stamp."""
        if self._legs and now_s < self._legs[-1][0]:  # a bag starts again
            self.reset()
        self._legs.extend((now_s, float(one)) for one in legs_m)

    @property
    def scale(self) -> Scale:
        """The size of people from the legs so far."""
        if len(self._legs) < LEAST_LEGS or self._legs[-1][0] - self._legs[0][0] < LEAST_S:
            return Scale(legs=len(self._legs))
        legs = np.array([length for _, length in self._legs])
        middle, count = float(np.median(legs)), len(legs)
        low, high = LEG_RANGE_M
        if max((legs < low).mean(), (legs > high).mean()) < AGREEING:
            return Scale(middle, count)
        factor = middle / USUAL_LEG_M
        size = f"{_number(factor)} times too large" if factor > 1 else f"{_number(1 / factor)} times too small"
        return Scale(
            middle,
            count,
            f"people's legs measure {_number(middle)} m (median of {count}), expected {low:g} to {high:g}: the rig is "
            f"about {size}: {_cause(factor)}",
        )


def _cause(factor: float) -> str:
    """The likely cause and fix of people so many times too large; a leg gives the factor within 25 %."""
    if 700 <= factor <= 1350:
        return "convert its translations (or Tx) from mm to m"
    if 75 <= factor <= 135:
        return "convert its translations (or Tx) from cm to m"
    if factor > 8:
        return f"convert its translations from squares of the board (about {1000 / factor:.0f} mm) to m"
    if factor < 0.2:
        return "convert its translations (or Tx) to m"
    return "check the size of the board's squares, the baseline (Tx), and that K fits the image size"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"
