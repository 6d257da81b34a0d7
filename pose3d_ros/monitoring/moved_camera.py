"""Which camera has moved: tests every camera's motion against a baseline (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose3d_ros.monitoring.evidence import EvidenceWindow, mean_of
from pose3d_ros.structures import Floats, Rig

# Priors of calibration errors, and of camera motions: standard deviations of (rotation rad, translation m).
CALIBRATED, MOVED = (np.deg2rad(0.5), 0.02), (np.deg2rad(5.0), 0.2)
# Errors of the joints of one second are correlated: this many count as independent.
INDEPENDENT = 10
# What a motion explains (mean squared px) must exceed that of any window of the baseline by this factor, 2 in px, and
# this share of the baseline's residual; a reported fault ends below EASE of it. Healthy simulated rigs reach 0.02 to
# 0.08 of it within a minute, a stereo head 0.16 (one number per joint is little); 3 cm sideways 0.16 and more.
ABOVE_FLOOR, SHARE_OF_REST, SHARE_OF_PAIR, EASE = 4.0, 0.1, 0.3, 0.5
# Motions that leave hardly more unexplained than the best, by this factor, are suspects as well.
RIVAL = 1.15
# No smaller motion is reported, deg: it moves a person by 1 mm for each 1.5 m of distance.
MIN_DEG = 0.05


@dataclass(frozen=True)
class MovedCamera:
    """Cameras that have moved, or one of which has, and by how much their views differ from the others."""

    cameras: tuple[str, ...]
    px: float
    degrees: float
    pair: bool  # two cameras relative to each other: which one moved is unknown
    resized: float = 1.0  # people's size relative to their own, where only that changes

    def text(self, since_start: bool) -> str:
        """The fault with its fix; since_start: the calibration fitted at the start."""
        size = f"{self.px:.0f} px ({self.degrees:.2g} deg)"
        if self.pair:
            a, b = self.cameras
            changed = (
                f"people have {self.resized:.0%} of their size" if self.resized != 1.0 else f"views differ by {size}"
            )
            state = "have moved since the start" if since_start else "do not fit their calibration"
            return f"cameras {a!r} and {b!r} {state}: {changed}: fix them in place and calibrate again"
        either = " or ".join(repr(name) for name in self.cameras)
        state = "has moved since the start" if since_start else "does not fit its calibration"
        return f"camera {either} {state}: its view differs by {size}: move it back, or fix it and calibrate again"


@dataclass(frozen=True, eq=False)
class Baseline:
    """The residuals of a healthy rig."""

    names: tuple[str, ...]
    focal_px: Floats  # (V,)
    offset: Floats  # (6 V,) motions that explain the calibration's own errors
    squared_px: float  # the residual with these motions
    floor: Floats  # (V,) the most that a camera's motion explains in any window of the baseline, px^2
    summary: Mapping[str, float]

    @staticmethod
    def unknown(rig: Rig) -> Baseline:
        """The baseline of cameras that are expected to fit exactly."""
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
        unit = Baseline(names, _focal(rig), offset, 1.0, np.zeros(len(names)), whole.summary(names))
        floor = np.max(
            [unit._try_motions(mean_of(seconds[n : n + window]))[1] for n in range(len(seconds) - window + 1)], axis=0
        )
        left = unit._try_motions(whole)[0]
        return Baseline(names, unit.focal_px, offset, left, floor, unit.summary)

    def accuse(self, now: EvidenceWindow, already: bool = False) -> MovedCamera | None:
        """The cameras whose motion explains the current residuals; already: a fault is reported."""
        left, explained, px = self._try_motions(now)
        share = explained / (self._least() * (EASE if already else 1.0))
        best = int(np.argmax(explained))
        if share[best] <= 1.0:
            return None
        if len(self.names) == 2:
            # A pair's residual is its epipolar distance over the root of two.
            miss_px = float(np.sqrt(2.0 * explained.max()))
            return MovedCamera(self.names, miss_px, self._degrees(miss_px, best), pair=True)
        remain = left - explained
        rivals = np.flatnonzero((remain <= RIVAL * remain[best]) & (share > 1.0))
        order = rivals[np.argsort(-explained[rivals])]
        cameras = tuple(self.names[n] for n in order)
        return MovedCamera(cameras, float(px[best]), self._degrees(float(px[best]), best), pair=False)

    def above(self, now: EvidenceWindow) -> Floats:
        """What each camera's motion explains, relative to the threshold of a fault, (V,)."""
        return np.asarray(self._try_motions(now)[1] / self._least())

    def _least(self) -> Floats:
        share = SHARE_OF_PAIR if len(self.names) == 2 else SHARE_OF_REST
        least = np.maximum(ABOVE_FLOOR * self.floor, share * self.squared_px)
        return np.asarray(np.maximum(least, (np.deg2rad(MIN_DEG) * self.focal_px) ** 2))

    def resized(self, size: float, limit: float) -> MovedCamera | None:
        """The pair, if the size of people has changed by more than limit."""
        if not abs(np.log(size)) > np.log1p(limit):
            return None
        return MovedCamera(self.names, float("nan"), float("inf"), pair=True, resized=size)

    def _degrees(self, px: float, camera: int) -> float:
        return float(np.rad2deg(px / self.focal_px[camera]))

    def _try_motions(self, now: EvidenceWindow) -> tuple[float, Floats, Floats]:
        """Mean squared residual px^2, what each motion explains of it (V,), and how far it shifts a view (V,) px."""
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
