"""What the tables of calibration by people have in common: their request, and how attempts are summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tqdm import tqdm

from pose3d_ros.evaluation.calibration_trials import Outcome, WalkRecording, WalkTrials
from pose3d_ros.evaluation.tables import Cell
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.structures import Floats

COLUMNS = (
    "n", "solved %", "wrong %", "place %", "place p90", "rotation deg", "rotation p90", "tilt deg", "tilt p90",
    "height mm", "scale %", "scale p90", "place unscaled %", "in 95 % region, %", "s each",
)  # fmt: skip
NOTE = (
    "solved: not refused; wrong: solved, but a camera is off by more than 5 % of its distance to the people or 2 "
    "degrees. Errors of the solved: medians and 90th percentiles (p90) of all cameras but the first, in whose frame "
    "they are; place: of the distance to the people, after one common factor, which is `scale`; height: of the first "
    "camera over the floor; in 95 % region: of the 6 numbers of each camera's rotation and place by its covariance."
)


@dataclass(eq=False)
class CalibrationRequest:
    """The inputs of the tables."""

    motion: Motion | None = None  # its test subjects move; None: generated people
    rendered: Sequence[WalkRecording] = ()
    draws: int = 10
    seed: int = 0
    only: tuple[str, ...] = ()  # names of tables; none: all that there is input for

    @cached_property
    def trials(self) -> WalkTrials:
        """Draws recordings."""
        return WalkTrials(self.motion, self.seed)

    def each(self, what: str, draw: Callable[[int], WalkRecording]) -> Iterator[WalkRecording]:
        """One recording after another, with a bar on a terminal."""
        for number in tqdm(range(self.draws), desc=what, unit="recording", leave=False, disable=None):
            yield draw(number)


def summary(outcomes: Sequence[Outcome]) -> tuple[Cell, ...]:
    """COLUMNS of some attempts."""
    solved = [one.errors for one in outcomes if one.found is not None and one.errors is not None]

    def of(name: str) -> Floats:
        return np.concatenate([np.abs(np.atleast_1d(getattr(one, name))) for one in solved] or [np.full(1, np.nan)])

    def both(name: str, unit: float = 1.0) -> tuple[Cell, Cell]:
        return float(unit * np.median(of(name))), float(unit * np.percentile(of(name), 90))

    return (
        len(outcomes), percent([one.found is not None for one in outcomes]),
        percent([one.found is not None and one.errors is not None and one.errors.wrong for one in outcomes]),
        *both("place", 100.0), *both("rotation_deg"), *both("tilt_deg"), both("height_m", 1000.0)[0],
        *both("scale", 100.0), both("unscaled", 100.0)[0], float(100.0 * of("inside").mean()),
        float(np.median([one.seconds for one in outcomes] or [np.nan])),
    )  # fmt: skip


def percent(which: Sequence[bool]) -> float:
    """Share of them that is true, %."""
    return float(100.0 * np.mean(which)) if which else float("nan")


def reasons(outcomes: Sequence[Outcome]) -> str:
    """Why recordings were refused: each reason's first words and how often, most frequent first."""
    words = [one.reason.split(":")[0] for one in outcomes if one.reason]
    counts = {word: words.count(word) for word in words}
    return "; ".join(f"{count} x {word}" for word, count in sorted(counts.items(), key=lambda pair: -pair[1]))
