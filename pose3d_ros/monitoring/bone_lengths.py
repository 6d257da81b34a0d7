"""Whether people keep their size: the lengths of each person's limbs compared with those at first sight.

If two cameras move relative to each other along their epipolar lines, the reprojection error does not change: people
only become nearer and smaller, or farther and larger. NumPy, float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

LIMBS = tuple(
    (H36M_17.index(f"{side}{upper}"), H36M_17.index(f"{side}{lower}"))
    for side in "LR"
    for upper, lower in (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist"))
)
# A person's own size is the median of so many seconds, with at least so many limbs in each.
OWN_SECONDS, MIN_LIMBS = 3, 3
# A person not observed for so long is dropped.
FORGET_S = 60


@dataclass(frozen=True)
class Steadiness:
    """One second's bones; NaN if no person was observed well enough."""

    spread: float = float("nan")  # median over limbs of the standard deviation over the second, share of their length
    size: float = float("nan")  # median over people of their size relative to their own, 1 if equal


@dataclass(eq=False)
class Person:
    """One person's own size."""

    own: list[Floats] = field(default_factory=list)  # log lengths (8,) of the first seconds
    last: int = 0  # the second of the last observation


@dataclass(eq=False)
class BoneSteadiness:
    """Keeps each person's own size; add every body, then close each second."""

    _now: dict[str, list[Floats]] = field(default_factory=dict)
    _people: dict[str, Person] = field(default_factory=dict)
    _second: int = 0

    def add(self, ids: Sequence[str], xyz: Floats) -> None:
        """Add triangulated people: ids (G), "" for none yet, and joints (G, 17, 3) m, h36m_17, NaN for none."""
        start, end = np.array(LIMBS).T
        lengths = np.linalg.norm(xyz[:, start] - xyz[:, end], axis=-1)
        for name, limbs in zip(ids, lengths, strict=True):
            if name:
                self._now.setdefault(name, []).append(limbs)

    def close(self, learn: bool) -> Steadiness:
        """Close the second and return its bones; learn: newcomers' sizes become their own sizes."""
        self._second += 1
        spreads, sizes = [], []
        for name, lengths in self._now.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                logs = np.log(np.stack(lengths))
            logs = np.where(np.isfinite(logs), logs, np.nan)
            measured = np.isfinite(logs).sum(axis=0) >= max(2, len(logs) // 2)
            if measured.sum() < MIN_LIMBS:
                continue
            middle = np.full(len(LIMBS), np.nan)
            middle[measured] = np.nanmedian(logs[:, measured], axis=0)
            spreads.append(float(np.median(1.4826 * np.nanmedian(np.abs(logs - middle)[:, measured], axis=0))))
            person = self._people.setdefault(name, Person())
            person.last = self._second
            if len(person.own) < OWN_SECONDS:
                if learn:
                    person.own.append(middle)
                continue
            own = np.stack(person.own)
            both = measured & np.isfinite(own).any(axis=0)
            if both.sum() >= MIN_LIMBS:
                sizes.append(float(np.exp(np.median(middle[both] - np.nanmedian(own[:, both], axis=0)))))
        self._now = {}
        self._people = {name: one for name, one in self._people.items() if self._second - one.last < FORGET_S}
        return Steadiness(
            float(np.median(spreads)) if spreads else float("nan"), float(np.median(sizes)) if sizes else float("nan")
        )
