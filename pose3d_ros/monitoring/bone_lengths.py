"""Whether people keep their size: the lengths of their limbs against what they were when each person came.

Of two cameras that have moved against each other along their epipolar lines no re-projection tells: people only come
out nearer and smaller, or farther and larger. NumPy, float64.
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
# A person's own size: the median of as many seconds with them as this, and at least so many limbs in each.
OWN_SECONDS, LEAST_LIMBS = 3, 3
# Somebody not seen for so long is forgotten.
FORGET_S = 60


@dataclass(frozen=True)
class Steadiness:
    """One second's bones; NaN where nobody was seen well enough."""

    spread: float = float("nan")  # median over limbs of the standard deviation over the second, share of their length
    size: float = float("nan")  # median over people of their size beside their own, 1 if the same


@dataclass(eq=False)
class Person:
    """One person's own size."""

    own: list[Floats] = field(default_factory=list)  # log lengths (8,) of the first seconds
    last: int = 0  # the second of the last sight


@dataclass(eq=False)
class BoneSteadiness:
    """Keeps everybody's own size; give it every body, then close each second."""

    _now: dict[str, list[Floats]] = field(default_factory=dict)
    _people: dict[str, Person] = field(default_factory=dict)
    _second: int = 0

    def add(self, ids: Sequence[str], xyz: Floats) -> None:
        """People just triangulated: ids (G), "" for none yet, and joints (G, 17, 3) m, h36m_17, NaN for none."""
        start, end = np.array(LIMBS).T
        lengths = np.linalg.norm(xyz[:, start] - xyz[:, end], axis=-1)
        for name, limbs in zip(ids, lengths, strict=True):
            if name:
                self._now.setdefault(name, []).append(limbs)

    def close(self, learn: bool) -> Steadiness:
        """The second's bones; learn: newcomers' sizes are taken for their own."""
        self._second += 1
        spreads, sizes = [], []
        for name, seen in self._now.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                logs = np.log(np.stack(seen))
            logs = np.where(np.isfinite(logs), logs, np.nan)
            known = np.isfinite(logs).sum(axis=0) >= max(2, len(logs) // 2)
            if known.sum() < LEAST_LIMBS:
                continue
            middle = np.full(len(LIMBS), np.nan)
            middle[known] = np.nanmedian(logs[:, known], axis=0)
            spreads.append(float(np.median(1.4826 * np.nanmedian(np.abs(logs - middle)[:, known], axis=0))))
            person = self._people.setdefault(name, Person())
            person.last = self._second
            if len(person.own) < OWN_SECONDS:
                if learn:
                    person.own.append(middle)
                continue
            own = np.stack(person.own)
            both = known & np.isfinite(own).any(axis=0)
            if both.sum() >= LEAST_LIMBS:
                sizes.append(float(np.exp(np.median(middle[both] - np.nanmedian(own[:, both], axis=0)))))
        self._now = {}
        self._people = {name: one for name, one in self._people.items() if self._second - one.last < FORGET_S}
        return Steadiness(
            float(np.median(spreads)) if spreads else float("nan"), float(np.median(sizes)) if sizes else float("nan")
        )
