"""Whether people come out as large as people are: their legs tell the scale of a rig (NumPy, float64)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats

# Hip to knee to ankle, m: 0.6 at ten years, 1.05 of a man of 2.1 m; what lies outside is no leg, or no metre.
LEG_RANGE_M = (0.45, 1.1)
# An adult's: what factors are counted from.
USUAL_LEG_M = 0.85
# A leg counts where its joints are surer than this share of its length along their worst axis. A stereo head of 12 cm
# hardly comes to that; a pixel that its calibration is off by makes people at 3 m a tenth larger.
SURE = 0.12
# Legs behind a verdict, over how long, and which share of them must lie outside the range, on one side.
LEAST_LEGS, LEAST_S, AGREEING = 60, 3.0, 0.75
# Legs that are kept: half a minute of one person.
KEPT = 300
_LEGS = np.array([[H36M_17.index(f"{side}{joint}") for joint in ("Hip", "Knee", "Ankle")] for side in "LR"])


@dataclass(frozen=True)
class Scale:
    """How large people come out."""

    leg_m: float = float("nan")  # median length of a leg; NaN while there are too few
    legs: int = 0
    fault: str = ""  # with the likely cause; empty while people are as large as people

    @property
    def value(self) -> str:
        """For a key value of /diagnostics."""
        return f"{self.leg_m:.3g} m, median of {self.legs}" if np.isfinite(self.leg_m) else "not known yet"


def leg_lengths(xyz: Floats, covariance: Floats, sure: float = SURE) -> Floats:
    """Lengths (L,) m of the legs of people (P, 17, 3) m, h36m_17, that are sure by their covariance (P, 17, 3, 3)."""
    points, spread = xyz[:, _LEGS], covariance[:, _LEGS]  # (P, 2, 3, ...)
    length = np.linalg.norm(np.diff(points, axis=2), axis=-1).sum(-1)  # (P, 2)
    known = np.isfinite(length) & np.isfinite(spread).all(axis=(-3, -2, -1))
    widest = np.linalg.eigvalsh(np.where(known[..., None, None, None], spread, 0.0))[..., -1].max(axis=-1)
    return np.asarray(length[known & (np.sqrt(np.maximum(widest, 0.0)) <= sure * np.where(known, length, 0.0))])


class PersonScale:
    """Gathers lengths of legs; time is that of the stamps, in s."""

    def __init__(self, kept: int | None = KEPT) -> None:
        self._legs: deque[tuple[float, float]] = deque(maxlen=kept)

    def reset(self) -> None:
        """Begin afresh."""
        self._legs = deque(maxlen=self._legs.maxlen)

    def state_dict(self) -> dict[str, Any]:
        """What was gathered."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    def add(self, now_s: float, legs_m: Sequence[float]) -> None:
        """Legs seen at a stamp."""
        if self._legs and now_s < self._legs[-1][0]:  # a bag begins afresh
            self.reset()
        self._legs.extend((now_s, float(one)) for one in legs_m)

    @property
    def scale(self) -> Scale:
        """How large people come out, by the legs so far."""
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
    """What may have made people so many times too large; a leg alone tells it to within a quarter."""
    if 700 <= factor <= 1350:
        return "are its places (or Tx) in mm?"
    if 75 <= factor <= 135:
        return "are its places (or Tx) in cm?"
    if factor > 8:
        return f"are its places in squares of the board (about {1000 / factor:.0f} mm)? They must be in m"
    if factor < 0.2:
        return "its places (or Tx) must be in m"
    return "is the board's square what was given, the baseline (Tx) right, K of images of this size?"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"
