"""Who has moved: every camera's motion is tried against a baseline (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose3d_ros.monitoring.evidence import EvidenceWindow, mean_of
from pose3d_ros.structures import Floats, Rig

# Priors of a calibration's errors, and of motions looked for: (rotation rad, translation m), as standard deviations.
CALIBRATED, MOVED = (np.deg2rad(0.5), 0.02), (np.deg2rad(5.0), 0.2)
# Joints of one second err alike: this many count as independent.
INDEPENDENT = 10
# What a motion explains (mean squared px) must exceed that of any window of the baseline by this factor, 2 in px, and
# this share of what the baseline leaves; a fault once told ends below EASE of it. Healthy simulated rigs come to 0.02
# to 0.08 of it within a minute, a stereo head to 0.16 (one number a joint is little); 3 cm sideways to 0.16 and more.
ABOVE_FLOOR, SHARE_OF_REST, SHARE_OF_PAIR, EASE = 4.0, 0.1, 0.3, 0.5
# Motions that leave hardly more unexplained than the best, by this factor, come into question as well.
RIVAL = 1.15
# No smaller motion is told, deg: it is a millimetre in the person's place for each 1.5 m of distance.
LEAST_DEG = 0.05


@dataclass(frozen=True)
class MovedCamera:
    """Cameras that have moved, or of which one has, and by how much what they see is off."""

    cameras: tuple[str, ...]
    px: float
    degrees: float
    pair: bool  # two cameras against each other: nobody can say which
    resized: float = 1.0  # people's size beside their own, where that alone tells

    def text(self, since: str) -> str:
        """In words, with the mend."""
        mend = "fix them in place and calibrate anew" if self.pair else "put it back, or fix it and calibrate anew"
        who = " or ".join(repr(name) for name in self.cameras)
        if self.resized != 1.0:
            a, b = self.cameras
            return (
                f"cameras {a!r} and {b!r} do not stand as calibrated {since}: people have come to {self.resized:.0%} "
                f"of their size: {mend}"
            )
        size = f"{self.px:.0f} px ({self.degrees:.2g} deg)"
        if self.pair:
            a, b = self.cameras
            return f"cameras {a!r} and {b!r} do not stand as calibrated {since}: they miss by {size}: {mend}"
        moved = "has moved" if since == "since the start" else "does not stand as calibrated"
        return f"camera {who} {moved} {since}: what it sees is off by {size} against the others: {mend}"


@dataclass(frozen=True, eq=False)
class Baseline:
    """What the cameras miss each other by while all is well."""

    names: tuple[str, ...]
    focal_px: Floats  # (V,)
    offset: Floats  # (6 V,) motions that explain the calibration's own errors
    squared_px: float  # what they leave
    floor: Floats  # (V,) the most that a camera's motion explains in any window of the baseline, px^2
    summary: Mapping[str, float]

    @staticmethod
    def unknown(rig: Rig) -> Baseline:
        """Of cameras that are expected to fit exactly."""
        count = len(rig.cameras)
        return Baseline(rig.names, _focal(rig), np.zeros(6 * count), 1.0, np.zeros(count), {})

    @staticmethod
    def of(rig: Rig, seconds: Sequence[EvidenceWindow], window: int) -> Baseline:
        """From the first seconds."""
        whole = mean_of(seconds)
        prior = np.tile(np.repeat(np.array(CALIBRATED), 3), len(rig.cameras))
        motions = whole.motions
        ridge = motions.squared_px / (INDEPENDENT * len(seconds)) / prior**2
        offset = np.asarray(np.linalg.solve(motions.H + np.diag(ridge), motions.g), dtype=np.float64)
        names = rig.names
        one = Baseline(names, _focal(rig), offset, 1.0, np.zeros(len(names)), whole.summary(names))
        floor = np.max(
            [one._tried(mean_of(seconds[n : n + window]))[1] for n in range(len(seconds) - window + 1)], axis=0
        )
        left = one._tried(whole)[0]
        return Baseline(names, one.focal_px, offset, left, floor, one.summary)

    def accuse(self, now: EvidenceWindow, already: bool = False) -> MovedCamera | None:
        """The cameras whose motion explains what they miss by now; already: a fault is being told."""
        left, explained, px = self._tried(now)
        share = explained / (self._least() * (EASE if already else 1.0))
        best = int(np.argmax(explained))
        if share[best] <= 1.0:
            return None
        if len(self.names) == 2:
            # A pair's residual is its epipolar distance over the root of two.
            missed = float(np.sqrt(2.0 * explained.max()))
            return MovedCamera(self.names, missed, self._degrees(missed, best), pair=True)
        remain = left - explained
        rivals = np.flatnonzero((remain <= RIVAL * remain[best]) & (share > 1.0))
        order = rivals[np.argsort(-explained[rivals])]
        cameras = tuple(self.names[n] for n in order)
        return MovedCamera(cameras, float(px[best]), self._degrees(float(px[best]), best), pair=False)

    def above(self, now: EvidenceWindow) -> Floats:
        """What each camera's motion explains beside what is told as a fault, (V,)."""
        return np.asarray(self._tried(now)[1] / self._least())

    def _least(self) -> Floats:
        share = SHARE_OF_PAIR if len(self.names) == 2 else SHARE_OF_REST
        least = np.maximum(ABOVE_FLOOR * self.floor, share * self.squared_px)
        return np.asarray(np.maximum(least, (np.deg2rad(LEAST_DEG) * self.focal_px) ** 2))

    def resized(self, size: float, limit: float) -> MovedCamera | None:
        """A pair before which everybody has come to another size of their own, by more than limit."""
        if not abs(np.log(size)) > np.log1p(limit):
            return None
        return MovedCamera(self.names, float("nan"), float("inf"), pair=True, resized=size)

    def _degrees(self, px: float, camera: int) -> float:
        return float(np.rad2deg(px / self.focal_px[camera]))

    def _tried(self, now: EvidenceWindow) -> tuple[float, Floats, Floats]:
        """Mean squared px missed by, what each motion explains of it (V,), and by how much it shifts a view (V,) px."""
        motions, count = now.motions, len(self.names)
        g = motions.g - motions.H @ self.offset
        left = motions.squared_px - 2.0 * motions.g @ self.offset + self.offset @ motions.H @ self.offset
        rest = max(float(left), 1e-12)
        explained: Floats = np.zeros(count)
        px: Floats = np.zeros(count)
        ridge = np.diag(rest / (4 * INDEPENDENT) / np.repeat(MOVED, 3) ** 2)
        for n in range(count):
            own = slice(6 * n, 6 * n + 6)
            moved = np.linalg.solve(motions.H[own, own] + ridge, g[own])
            explained[n] = 2.0 * g[own] @ moved - moved @ motions.H[own, own] @ moved
            px[n] = np.sqrt(max(float(moved @ motions.shift[n] @ moved), 0.0))
        return rest, explained, px


def _focal(rig: Rig) -> Floats:
    return np.array([0.5 * (camera.K[0, 0] + camera.K[1, 1]) for camera in rig.cameras])
