"""Whether the cameras still have their calibrated poses, from the people in view.

Every second with people gives the normal equations of small motions of every camera (monitoring/camera_motions.py). The
first BASELINE of them are the baseline: the residuals of calibration, lenses, synchronisation and detector. A camera
has moved if, over the last WINDOW of them, its motion alone explains far more of the residuals than at any time of the
baseline. With two cameras either may have moved, so the pair is reported; a motion along their epipolar lines changes
the size of people instead, so bones are watched too (monitoring/bone_lengths.py).
Faults from the start have no baseline: monitoring/gross_faults.py identifies those.

Time is that of the stamps. NumPy, float64. Axes: V cameras of the rig, G people, J joints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry.calibration import same_calibration
from pose3d_ros.monitoring.bone_lengths import BoneSteadiness
from pose3d_ros.monitoring.evidence import EvidenceWindow, correspondences, mean_of, one_second
from pose3d_ros.monitoring.gross_faults import Finding, find_gross_fault
from pose3d_ros.monitoring.moved_camera import Baseline, MovedCamera
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Rig

# Frame sets processed per second: more cost time and add little.
SAMPLE_HZ = 5.0
# Seconds with people for the baseline, and for a verdict. A camera's motion must be reported within 10 s.
BASELINE, WINDOW = 10, 4
# Consecutive verdicts that raise a fault, or end it.
CONFIRM = 3
# A second closes with so many joints in two views, and is dropped if it does not have them after so long.
MIN_JOINTS, GIVE_UP_S = 25, 3.0
# Frame sets, one each RAW_S, for the test of gross faults, and its periods (s), once a fault is reported, and at most:
# it takes tens of ms.
RAW_SETS, RAW_S, TRY_S, REPORTED_TRY_S, MAX_TRY_S = 6, 0.4, 1.0, 2.0, 60.0
# A camera whose people match no others in this share of these sets is suspected.
LONELY = 0.75
# Without corresponding people for so long, no cameras match.
NO_MATCH_S = 5.0
# Usable calibrations miss by less than this, rad: association's limit is 25 mrad.
UNFIT_RAD = 15e-3
# At or above this a pose is wrong by centimetres per metre: an error, not a warning. By choice.
SEVERE_DEG = 1.0
LONG_AGO_NS = -(2**62)
# Change of people's size beyond which a pair has moved: the measured limbs of a person vary by 5 %.
RESIZED = 0.15


@dataclass(frozen=True)
class CalibrationReport:
    """The state of the calibration; fault is empty if there is none."""

    state: str = "no people yet"
    fault: str = ""  # with its fix
    severe: bool = False  # whether poses are wrong rather than slightly off
    cameras: tuple[str, ...] = ()  # the accused
    values: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        """Key values for /diagnostics."""
        return {"calibration": self.state, **{f"calibration/{name}": value for name, value in self.values.items()}}

    def faults(self) -> list[str]:
        """The fault with its fix."""
        return [self.fault] if self.fault else []


class CalibrationHealth:
    """Watches one rig: update it with every frame set, then read the report.

    It starts again with a rig whose cameras have other poses relative to each other.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.begin_again()

    def reset(self) -> None:
        """Does nothing: people come and go, the baseline stays."""

    def state_dict(self) -> dict[str, Any]:
        """The baseline and all later evidence."""
        return state_of(self, ("_rig",))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another one that watched the same rig."""
        load_state(self, state, ("_rig",))

    def begin_again(self) -> None:
        """Drop the baseline and all evidence: the cameras, or their poses, are others."""
        self._seconds: deque[EvidenceWindow] = deque(maxlen=BASELINE)
        self.baseline: Baseline | None = None  # None until enough people were seen
        self._bones = BoneSteadiness()
        self._samples: list[tuple[Floats, Floats]] = []
        self._raw: deque[tuple[dict[str, Floats], frozenset[str]]] = deque(maxlen=RAW_SETS)
        self._began_ns = self._sampled_ns = self._raw_ns = self._tried_ns = self._stamp_ns = LONG_AGO_NS
        self._closed_ns = LONG_AGO_NS
        self._try_s = TRY_S
        self._gross: Finding | None = None
        self._no_match = False
        self._unfit: MovedCamera | None = None
        self._accused: MovedCamera | None = None
        self._in_a_row = 0
        self._last: EvidenceWindow | None = None
        self._report: CalibrationReport | None = CalibrationReport()

    def set_rig(self, rig: Rig) -> None:
        """Watch this rig from now on; drops the baseline if its cameras' relative poses are others."""
        before, self._rig = self._rig, rig
        if not same_calibration(before.cameras, rig.cameras):
            self.begin_again()

    def window(self) -> list[EvidenceWindow]:
        """The last seconds with people, WINDOW at most: the evidence of a verdict."""
        return list(self._seconds)[-WINDOW:]

    @property
    def report(self) -> CalibrationReport:
        """The current state of the calibration."""
        if self._report is None:
            self._report = self._make_report()
        return self._report

    def update(
        self,
        cameras: Sequence[Camera],
        people: Sequence[Keypoints2D],
        groups: NDArray[np.intp],
        stamp_ns: int,
        ids: Sequence[str] = (),
        bodies: Floats | None = None,
    ) -> None:
        """Add one frame set: its cameras, their 2D people (h36m_17) and their association, groups (G, V) or -1.

        ids and bodies (G', J, 3) m are the triangulated people.
        """
        if stamp_ns < self._stamp_ns:
            # A bag starts again: drop the samples of the unfinished second.
            self._samples = []
            self._raw.clear()
            self._began_ns = self._sampled_ns = self._raw_ns = self._tried_ns = self._closed_ns = LONG_AGO_NS
        self._stamp_ns = stamp_ns
        if bodies is not None and len(ids):
            self._bones.add(ids, bodies)
        if stamp_ns - self._sampled_ns < 0.9e9 / SAMPLE_HZ or sum(len(one) > 0 for one in people) < 2:
            return
        self._sampled_ns = stamp_ns
        self._keep_raw(cameras, people, groups, stamp_ns)
        sample = correspondences(self._rig.names, cameras, people, groups)
        if sample is not None:
            if not self._samples:
                self._began_ns = stamp_ns
            self._samples.append(sample)
            self._close_second(stamp_ns)
        self._try_gross_faults(stamp_ns)

    # -- gross faults --------------------------------------------------------------------------------------

    def _keep_raw(
        self, cameras: Sequence[Camera], people: Sequence[Keypoints2D], groups: NDArray[np.intp], stamp_ns: int
    ) -> None:
        if stamp_ns - self._raw_ns < RAW_S * 1e9:
            return
        self._raw_ns = stamp_ns
        together = groups[(groups >= 0).sum(axis=-1) >= 2]
        fitting = frozenset(camera.name for view, camera in enumerate(cameras) if (together[:, view] >= 0).any())
        keypoints = {camera.name: one.xy for camera, one in zip(cameras, people, strict=True) if len(one)}
        self._raw.append((keypoints, fitting))

    def _try_gross_faults(self, stamp_ns: int) -> None:
        if len(self._raw) < RAW_SETS or stamp_ns - self._tried_ns < self._try_s * 1e9:
            return
        self._tried_ns = stamp_ns
        # After a baseline, corresponding people go into the windows: transforms do not become inverted at run time.
        compared = stamp_ns - self._closed_ns < NO_MATCH_S * 1e9
        if (compared and self.baseline is not None) or not self._suspicious():
            self._gross, self._no_match, self._try_s, self._report = None, False, TRY_S, None
            return
        finding = find_gross_fault(self._rig.cameras, [keypoints for keypoints, _ in self._raw])
        self._gross = finding if finding.suspects else None
        self._no_match = not (finding.suspects or compared or any(fitting for _, fitting in self._raw))
        self._try_s = min(2.0 * self._try_s, MAX_TRY_S if self._gross is None else REPORTED_TRY_S)
        self._report = None

    def _suspicious(self) -> bool:
        for name in self._rig.names:
            present = [fitting for keypoints, fitting in self._raw if name in keypoints]
            if len(present) >= RAW_SETS // 2 and sum(name not in one for one in present) >= LONELY * len(present):
                return True
        return self._last is not None and self._last.miss_rad > UNFIT_RAD

    # -- a camera that moves -------------------------------------------------------------------------------

    def _close_second(self, stamp_ns: int) -> None:
        elapsed_s = (stamp_ns - self._began_ns) * 1e-9
        if elapsed_s < 1.0 - 0.5 / SAMPLE_HZ:
            return
        joints = sum(int(((score > 0).sum(axis=0) >= 2).sum()) for _, score in self._samples)
        if joints < MIN_JOINTS and elapsed_s < GIVE_UP_S:
            return
        samples, self._samples = self._samples, []
        steadiness = self._bones.close(learn=self._accused is None and self._gross is None)
        if joints < MIN_JOINTS:
            return
        self._closed_ns = stamp_ns
        self._last = second = one_second(self._rig.cameras, samples, steadiness)
        self._report = None
        if self._gross is not None:
            return
        self._seconds.append(second)
        if self.baseline is None:
            self._learn()
        elif len(self._seconds) >= WINDOW:
            self._judge(self.baseline)

    def _learn(self) -> None:
        if len(self._seconds) < BASELINE:
            return
        seconds = list(self._seconds)
        if np.median([one.miss_rad for one in seconds]) > UNFIT_RAD:
            self._unfit = Baseline.unknown(self._rig).accuse(mean_of(seconds))
            return
        self._unfit = None
        self.baseline = Baseline.of(self._rig, seconds, WINDOW)
        self._seconds.clear()

    def _judge(self, baseline: Baseline) -> None:
        window = self.window()
        accused = baseline.accuse(mean_of(window), self._accused is not None)
        if accused is None and len(self._rig.cameras) == 2:
            accused = baseline.resized(window[-1].steadiness.size, RESIZED)
        if (accused is None) == (self._accused is None):
            self._in_a_row = 0
            self._accused = accused
            return
        self._in_a_row += 1
        if self._in_a_row >= CONFIRM:
            self._accused, self._in_a_row = accused, 0

    # -- report --------------------------------------------------------------------------------------------

    def _make_report(self) -> CalibrationReport:
        values = self._values()
        if self._gross is not None:
            first, *others = self._gross.suspects
            # For one pair a swap and an inversion are equivalent.
            more = "".join(f"; or {one.text.split(':')[0]}" for one in others)
            miss = f"rays miss by {1e3 * self._gross.as_is_rad:.0f} mrad, after the fix by " \
                   f"{1e3 * self._gross.best_rad:.0f}"  # fmt: skip
            return CalibrationReport(first.kind, f"{first.text}{more} ({miss})", True, first.cameras, values)
        if self._accused is not None:
            moved = self._accused
            return CalibrationReport(
                "moved", moved.text(since_start=True), moved.degrees >= SEVERE_DEG, moved.cameras, values
            )
        if self._unfit is not None:
            unfit = self._unfit
            return CalibrationReport("unfit", unfit.text(since_start=False), True, unfit.cameras, values)
        if self._no_match:
            names = ", ".join(sorted(set().union(*(keypoints for keypoints, _ in self._raw))))
            fault = (
                f"people are in view of {names}, but no two cameras agree on a person, and neither inverted transforms "
                "nor swapped images explain it: calibrate, with the cameras facing the same people"
            )
            return CalibrationReport("no match", fault, True, (), values)
        if self.baseline is None:
            return CalibrationReport(f"learning: {len(self._seconds)} of {BASELINE} s with people", values=values)
        return CalibrationReport("as at the start", values=values)

    def _values(self) -> dict[str, str]:
        if self._last is None:
            return {}
        start = self.baseline.summary if self.baseline is not None else {}
        window = self.window() or [self._last]
        values = {}
        for name, value in mean_of(window).summary(self._rig.names).items():
            values[name] = f"{value:.3g}" + (f" (at the start {start[name]:.3g})" if name in start else "")
        return values
