"""Recordings for calibration by people, drawn again and again, and what became of each (NumPy, float64).

Draw n of a family is before its n-th held-out rig. Who walks how and how the detector errs depends on the seed, the
family, the noise and n alone, so that every way to calibrate is shown the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pose3d_ros.calibration.people import PeopleCalibration, PeopleOptions, calibrate_people
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.errors import CalibrationError
from pose3d_ros.evaluation.calibration_errors import CalibrationErrors, calibration_errors
from pose3d_ros.evaluation.trials import HeldOut
from pose3d_ros.evaluation.walking_people import WalkTruth, simulate_walkers
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.simulation.simulated_rigs import SimulatedRig, simulated_rig
from pose3d_ros.structures import Camera

FAMILIES = ("h36m", "room2", "room3", "room4")
SECONDS, FPS = 30.0, 15.0
MATCHING_SEED = 0  # of generated motion, with which noise (b) is scaled where no motion is given


@dataclass(frozen=True, eq=False)
class WalkRecording:
    """What cameras saw of people, and what is true."""

    name: str
    views: Sequence[PeopleViews]
    truth: WalkTruth

    @property
    def duration_s(self) -> float:
        """Of the longest view."""
        return max(one.span_s for one in self.views)

    def shifted(self, name: str, offset_s: float) -> WalkRecording:
        """The same images, one camera's stamps earlier by offset_s: its clock is off by that."""
        views = []
        for view in self.views:
            if view.camera.name == name:
                shift = round(1e9 * offset_s)
                people = tuple(replace(one, stamp_ns=one.stamp_ns - shift) for one in view.people)
                view = replace(view, people=people)
            views.append(view)
        clocks = self.truth.clocks
        offsets = {**clocks.offset_s, name: clocks.offset_s.get(name, 0.0) + offset_s}
        truth = replace(self.truth, clocks=replace(clocks, offset_s=offsets))
        return replace(self, views=views, truth=truth)

    def with_cameras(self, change: Callable[[Camera], Camera]) -> WalkRecording:
        """The same keypoints, cameras' intrinsics taken for others."""
        return replace(self, views=[replace(one, camera=change(one.camera)) for one in self.views])


@dataclass(frozen=True, eq=False)
class Outcome:
    """One attempt to calibrate: found, or refused with a reason."""

    recording: WalkRecording
    found: PeopleCalibration | None
    errors: CalibrationErrors | None
    reason: str
    seconds: float


def attempt(
    recording: WalkRecording,
    options: PeopleOptions,
    calibrate: Callable[[Sequence[PeopleViews], PeopleOptions], PeopleCalibration] | None = None,
) -> Outcome:
    """Calibrate, by calibrate_people or another; a CalibrationError and a finding of a fault are both a refusal."""
    began = time.monotonic()
    try:
        found = (calibrate or calibrate_people)(recording.views, options)
    except CalibrationError as error:
        return Outcome(recording, None, None, str(error), time.monotonic() - began)
    seconds = time.monotonic() - began
    errors = calibration_errors(found, recording.truth, recording.duration_s)
    faults = [finding.text for finding in found.findings if finding.fault]
    if faults:
        return Outcome(recording, None, errors, faults[0], seconds)
    return Outcome(recording, found, errors, "", seconds)


class WalkTrials:
    """Draws recordings; the scale of noise (b) is kept by family."""

    def __init__(self, motion: Motion | None, seed: int) -> None:
        self._motion = None if motion is None else motion.split("test")
        matching = self._motion or generated_motion(MATCHING_SEED).split("test")
        self._held_out = HeldOut(matching, 1, seed)

    def rig(self, family: str, number: int) -> SimulatedRig:
        """Before which draw n of a family is."""
        return simulated_rig(family, number, held_out=True)

    def recording(
        self,
        family: str,
        noise: str,
        number: int,
        *,
        seconds: float = SECONDS,
        people: int = 1,
        manner: str = "walking",
        offsets_s: Mapping[str, float] | None = None,
        drift_ppm: Mapping[str, float] | None = None,
    ) -> WalkRecording:
        """Draw number n of a family; other arguments as in simulate_walkers."""
        one = self.rig(family, number)
        rng = self._held_out.generator("walk", family, noise, number, people, manner)
        views, truth = simulate_walkers(
            one, seconds, FPS, self._held_out.noise(family, one, noise), rng,
            people=people, manner=manner, offsets_s=offsets_s, drift_ppm=drift_ppm, motion=self._motion,
        )  # fmt: skip
        return WalkRecording(f"{one.name}, noise ({noise})", views, truth)


def known_stature(recording: WalkRecording) -> PeopleOptions:
    """One clock, and the tallest person's stature."""
    return PeopleOptions(stature_m=max(recording.truth.statures_m), offsets_s={})


def unknown_stature(_: WalkRecording) -> PeopleOptions:
    """One clock, and people as the population has them."""
    return PeopleOptions(offsets_s={})


SCALES = {"stature": known_stature, "population": unknown_stature}


def refocused(factor: float) -> Callable[[Camera], Camera]:
    """A camera whose focal length is taken for factor times what it is."""

    def change(camera: Camera) -> Camera:
        K = camera.K.copy()
        K[[0, 1], [0, 1]] *= factor
        return replace(camera, K=K)

    return change


def focal_errors(outcome: Outcome) -> list[float]:
    """By camera: how much too long the focal length that was found is, relative."""
    if outcome.found is None:
        return []
    true = outcome.recording.truth.rig
    return [float(np.mean(camera.K[[0, 1], [0, 1]] / true.camera(camera.name).K[[0, 1], [0, 1]]) - 1.0)
            for camera in outcome.found.rig.cameras]  # fmt: skip
