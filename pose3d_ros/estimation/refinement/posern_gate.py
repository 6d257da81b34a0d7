"""Whether the bias that PoseRN predicts is there, by the residuals of triangulation (NumPy, float64).

A bias is part a shift in space, which all cameras agree on and triangulation passes on, and part what depends on the
view. Only the second leaves residuals: r = keypoint - projection of pass 1. If the prediction b is right, r holds what
triangulation would leave of b alone, q. So the slope of r on q,

    slope = sum w r.q / sum w q.q,      w = 1 / variance, less for outliers as in Huber's fit,

is about 1 where the bias is as predicted and 0 where there is none; above 1/2 the keypoints less b fit together better
than the keypoints. A person who shows the part that depends on the view is taken to have the other part too: that is
what a population of detectors with a common bias means, and nothing in the images could reveal a shift in space that
all cameras share. For the slope to be fair, b must not have seen r: it is predicted from keypoints that lie exactly on
the projection of pass 1.

One frame says little: on validation people the slope of a frame is 0.9 +- 0.7 with the bias and 0.0 +- 0.7 without,
over 10 s of one person +- 0.26 and +- 0.1 (a person's own bias lasts), over 12 people +- 0.1 and +- 0.02. The bias is
the detector's, so evidence of all people and frames is added up. Axes: V views, G people, J joints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import HUBER_DELTA
from pose3d_ros.structures import Camera, Floats

# Opens at a slope from OPEN on and closes below CLOSE: two standard deviations of one person's 10 s from what is seen
# with the bias, and four from what is seen without. Chosen on validation people and detectors, with noise (a) and the
# training's.
OPEN, CLOSE = 0.4, 0.3
# People times frames before anything is decided: ten seconds of one person.
LEAST = 120
# A detector's errors last from frame to frame; frames nearer than this repeat the same evidence.
STEP_S = 1.0 / 12.0
# People times frames after which evidence counts half: a detector does not change, but lenses and light do.
HALF_LIFE = 3000.0

Points = Callable[[Floats], Floats]


class Evidence(NamedTuple):
    """Sums over views and joints, one entry a person: their ratio is the slope."""

    agreement: Floats  # (G,) sum w r.q
    power: Floats  # (G,) sum w q.q


def evidence(
    predict: Callable[[Floats, Floats], Floats],
    triangulate: Points,
    cameras: Sequence[Camera],
    xy: Floats,
    std_px: Floats,
    xyz: Floats,
) -> Evidence:
    """What people's residuals say of the predicted bias.

    predict(xyz, xy) gives keypoints less their bias (a KeypointRefiner for these cameras); triangulate(xy) gives
    (G, J, 3) m. xy (V, G, J, 2) px, NaN where there is no keypoint; std_px (V, G, J), NaN there; xyz (G, J, 3) m is
    pass 1, NaN where not triangulated.
    """
    expected = np.stack([project(camera, xyz) for camera in cameras])
    on_it = np.where(np.isfinite(xy), expected, np.nan)
    moved = xy + (predict(xyz, on_it) - on_it)
    left = moved - np.stack([project(camera, triangulate(moved)) for camera in cameras])
    return explained(xy - expected, xy - expected - left, std_px)


def explained(residual: Floats, share: Floats, std_px: Floats) -> Evidence:
    """Evidence of residuals r (V, G, J, 2) px and what triangulation would leave of the prediction, q, alike.

    A joint counts in views that have both; std_px (V, G, J).
    """
    known = np.isfinite(residual).all(axis=-1) & np.isfinite(share).all(axis=-1) & (std_px > 0)
    std = np.where(known, std_px, 1.0)
    r, q = np.where(known[..., None], residual, 0.0), np.where(known[..., None], share, 0.0)
    far = np.linalg.norm(r, axis=-1) / std
    weight = np.where(known, np.minimum(1.0, HUBER_DELTA / np.maximum(far, 1e-9)) / std**2, 0.0)
    return Evidence(*((weight * (one * q).sum(axis=-1)).sum(axis=(0, 2)) for one in (r, q)))


@dataclass
class BiasGate:
    """Adds evidence up over people and frames of one rig and detector, and says whether to correct.

    Closed to begin with: a correction that is not called for costs as much as one that is gains.
    """

    agreement: float = 0.0
    power: float = 0.0
    seen: int = 0  # people times frames
    is_open: bool = False
    _last_ns: int | None = None

    @property
    def slope(self) -> float:
        """About 1: the predicted bias is there; about 0: it is not. NaN before any evidence."""
        return self.agreement / self.power if self.power > 0 else float("nan")

    def due(self, stamp_ns: int) -> bool:
        """Whether a frame set of this stamp adds anything; asking takes a network and a triangulation."""
        return self._last_ns is None or abs(stamp_ns - self._last_ns) >= 0.99e9 * STEP_S

    def update(self, found: Evidence, stamp_ns: int) -> bool:
        """Add a frame set's people and decide again; True: correct."""
        self._last_ns = stamp_ns
        people = found.power > 0
        for agreement, power in zip(found.agreement[people], found.power[people], strict=True):
            keep = 0.5 ** (1.0 / HALF_LIFE)
            self.agreement = keep * self.agreement + float(agreement)
            self.power = keep * self.power + float(power)
            self.seen += 1
        self.is_open = self.seen >= LEAST and self.slope >= (CLOSE if self.is_open else OPEN)
        return self.is_open

    def __str__(self) -> str:
        if self.seen < LEAST:
            return f"{self.seen} of {LEAST} people times frames seen"
        return f"{'open' if self.is_open else 'closed'}: slope {self.slope:.2f}, opens at {OPEN:g}"
