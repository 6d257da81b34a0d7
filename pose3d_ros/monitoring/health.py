"""Whether the cameras still stand as they were calibrated, told by the people before them.

Every second with people gives the normal equations of small motions of every camera (monitoring/camera_motions.py). The
first BASELINE of them are the baseline: what the calibration, the lenses, the synchronisation and the detector leave
anyhow. A camera has moved when, over the last WINDOW of them, its motion alone explains far more of what the views
miss each other by than it would at any time of the baseline. Of two cameras either may have moved, so the pair is
named; what slides along their epipolar lines changes the size of people instead, so bones are watched too
(bone_steadiness.py).
Faults that were there from the start have no baseline: calibration_hypotheses.py names those.

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
from pose3d_ros.monitoring.gross_faults import Finding, named
from pose3d_ros.monitoring.moved_camera import Baseline, MovedCamera
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Rig

# Frame sets a second that are looked at: more say hardly more, and cost.
SAMPLE_HZ = 5.0
# Seconds with people that make the baseline, and that a verdict rests on. A camera's motion is to be told within 10 s.
BASELINE, WINDOW = 10, 4
# Verdicts in a row that raise a fault, or end it.
CONFIRM = 3
# A second is closed with so many joints that two cameras see, and given up where it has not got them after so long.
LEAST_JOINTS, GIVE_UP_S = 25, 3.0
# Frame sets, one each RAW_S, on which gross faults are tried, and how often that is done (s): it takes tens of ms.
RAW_SETS, RAW_S, TRY_S, TOLD_TRY_S, MOST_TRY_S = 6, 0.4, 1.0, 2.0, 60.0
# A camera whose people fit nobody in so many of these sets is suspected.
LONELY = 0.75
# Without anybody who can be compared for so long, nobody fits.
NOBODY_FITS_S = 5.0
# Calibrations worth the name miss by less than this, rad: association's limit is 25 mrad.
UNFIT_RAD = 15e-3
# At or above this a pose is wrong by centimetres a metre: an error, not a warning. By choice.
SEVERE_DEG = 1.0
LONG_AGO_NS = -(2**62)
# Size of everybody, of their own, beyond which a pair has moved: a person's limbs keep to within 5 %.
RESIZED = 0.15


@dataclass(frozen=True)
class CalibrationReport:
    """How the calibration stands; fault is empty while nothing is wrong."""

    state: str = "no people yet"
    fault: str = ""  # in words, with how to fix it
    severe: bool = False  # whether poses are wrong rather than a bit off
    cameras: tuple[str, ...] = ()  # the accused
    values: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        """Key values for /diagnostics."""
        return {"calibration": self.state, **{f"calibration/{name}": value for name, value in self.values.items()}}

    def faults(self) -> list[str]:
        """What is wrong, with how to fix it."""
        return [self.fault] if self.fault else []


class CalibrationHealth:
    """Watches one rig; feed it every frame set and ask for the report.

    A rig whose cameras are placed otherwise against each other begins anew.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.begin_again()

    def reset(self) -> None:
        """People come and go; how the cameras stood at the start stays."""

    def state_dict(self) -> dict[str, Any]:
        """The baseline and all evidence since."""
        return state_of(self, ("_rig",))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of another one that watched the same rig."""
        load_state(self, state, ("_rig",))

    def begin_again(self) -> None:
        """Forget the baseline and all evidence: the cameras are others, or stand otherwise."""
        self._seconds: deque[EvidenceWindow] = deque(maxlen=BASELINE)
        self.baseline: Baseline | None = None  # None until enough people were seen
        self._bones = BoneSteadiness()
        self._samples: list[tuple[Floats, Floats]] = []
        self._raw: deque[tuple[dict[str, Floats], frozenset[str]]] = deque(maxlen=RAW_SETS)
        self._began_ns = self._sampled_ns = self._raw_ns = self._tried_ns = self._stamp_ns = LONG_AGO_NS
        self._closed_ns = LONG_AGO_NS
        self._try_s = TRY_S
        self._gross: Finding | None = None
        self._nobody_fits = False
        self._unfit: MovedCamera | None = None
        self._accused: MovedCamera | None = None
        self._in_a_row = 0
        self._last: EvidenceWindow | None = None
        self._shown: CalibrationReport | None = CalibrationReport()

    def set_rig(self, rig: Rig) -> None:
        """Watch this rig from now on; where its cameras stand otherwise against each other, without a baseline."""
        before, self._rig = self._rig, rig
        if not same_calibration(before.cameras, rig.cameras):
            self.begin_again()

    def window(self) -> list[EvidenceWindow]:
        """The last seconds with people, WINDOW at most: what a verdict rests on."""
        return list(self._seconds)[-WINDOW:]

    @property
    def report(self) -> CalibrationReport:
        """How the calibration stands now."""
        if self._shown is None:
            self._shown = self._told()
        return self._shown

    def update(
        self,
        cameras: Sequence[Camera],
        people: Sequence[Keypoints2D],
        groups: NDArray[np.intp],
        stamp_ns: int,
        ids: Sequence[str] = (),
        bodies: Floats | None = None,
    ) -> None:
        """Take in one frame set: its cameras, their 2D people (h36m_17) and who is whom, groups (G, V) or -1.

        ids and bodies (G', J, 3) m are the people who were triangulated.
        """
        if stamp_ns < self._stamp_ns:
            # A bag begins anew: what was gathered of this second does not belong to the next one.
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
        seen = {camera.name: one.xy for camera, one in zip(cameras, people, strict=True) if len(one)}
        self._raw.append((seen, fitting))

    def _try_gross_faults(self, stamp_ns: int) -> None:
        if len(self._raw) < RAW_SETS or stamp_ns - self._tried_ns < self._try_s * 1e9:
            return
        self._tried_ns = stamp_ns
        # After a baseline whoever can still be compared is judged by the second: cameras do not turn inverted at work.
        compared = stamp_ns - self._closed_ns < NOBODY_FITS_S * 1e9
        if (compared and self.baseline is not None) or not self._suspicious():
            self._gross, self._nobody_fits, self._try_s, self._shown = None, False, TRY_S, None
            return
        found = named(self._rig.cameras, [seen for seen, _ in self._raw])
        self._gross = found if found.suspects else None
        self._nobody_fits = not (found.suspects or compared or any(fitting for _, fitting in self._raw))
        self._try_s = min(2.0 * self._try_s, MOST_TRY_S if self._gross is None else TOLD_TRY_S)
        self._shown = None

    def _suspicious(self) -> bool:
        for name in self._rig.names:
            present = [fitting for seen, fitting in self._raw if name in seen]
            if len(present) >= RAW_SETS // 2 and sum(name not in one for one in present) >= LONELY * len(present):
                return True
        return self._last is not None and self._last.miss_rad > UNFIT_RAD

    # -- a camera that moves -------------------------------------------------------------------------------

    def _close_second(self, stamp_ns: int) -> None:
        elapsed_s = (stamp_ns - self._began_ns) * 1e-9
        if elapsed_s < 1.0 - 0.5 / SAMPLE_HZ:
            return
        joints = sum(int(((score > 0).sum(axis=0) >= 2).sum()) for _, score in self._samples)
        if joints < LEAST_JOINTS and elapsed_s < GIVE_UP_S:
            return
        samples, self._samples = self._samples, []
        steadiness = self._bones.close(learn=self._accused is None and self._gross is None)
        if joints < LEAST_JOINTS:
            return
        self._closed_ns = stamp_ns
        self._last = second = one_second(self._rig.cameras, samples, steadiness)
        self._shown = None
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

    # -- what is told --------------------------------------------------------------------------------------

    def _told(self) -> CalibrationReport:
        values = self._values()
        if self._gross is not None:
            first, *others = self._gross.suspects
            # Of one pair an exchange and an inversion look alike.
            more = "".join(f"; or {one.text.split(':')[0]}" for one in others)
            miss = f"people miss by {1e3 * self._gross.as_is_rad:.0f} mrad, with that mended by " \
                   f"{1e3 * self._gross.best_rad:.0f}"  # fmt: skip
            return CalibrationReport(first.kind, f"{first.text}{more} ({miss})", True, first.cameras, values)
        if self._accused is not None:
            one = self._accused
            return CalibrationReport(
                "moved", one.text("since the start"), one.degrees >= SEVERE_DEG, one.cameras, values
            )
        if self._unfit is not None:
            one = self._unfit
            return CalibrationReport("unfit", one.text("from the start"), True, one.cameras, values)
        if self._nobody_fits:
            who = ", ".join(sorted(set().union(*(seen for seen, _ in self._raw))))
            fault = (
                f"people are seen by {who}, but no two cameras agree on anybody, and neither inverted transforms nor "
                "exchanged images explain it: calibrate, and let the cameras look at the same people"
            )
            return CalibrationReport("nobody fits", fault, True, (), values)
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
