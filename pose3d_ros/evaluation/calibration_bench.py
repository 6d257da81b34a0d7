"""What the tables of calibration by people have in common: their request, and how attempts are summed up."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.calibration_trials import FAMILIES, Outcome, WalkRecording, WalkTrials, attempt
from pose3d_ros.evaluation.tables import Cell
from pose3d_ros.evaluation.trials import NOISES
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.structures import Floats

Result = TypeVar("Result")
COLUMNS = (
    "n", "solved %", "wrong %", "refused though right %", "place %", "place p90", "rotation deg", "rotation p90",
    "tilt deg", "tilt p90", "height mm", "scale %", "scale p90", "place unscaled %", "in 95 % region, %", "s each",
)  # fmt: skip
NOTE = (
    "solved: not refused; wrong: solved, but a camera is off by more than 5 % of its distance to the people or 2 "
    "degrees, or the scale by 15 %; refused though right: a fault was found in a rig that is not wrong. Errors of the "
    "solved: medians and 90th percentiles (p90) of all cameras but the first, in whose frame they are; place: of the "
    "distance to the people, after one common factor, which is `scale` (of two cameras only the direction is left); "
    "height: of the first camera over the floor; in 95 % region: of the 6 numbers of each camera's rotation and place "
    "by its covariance."
)


@dataclass(eq=False)
class CalibrationRequest:
    """The inputs of the tables."""

    motion: Motion | None = None  # its test subjects move; None: generated people
    rendered: Sequence[WalkRecording] = ()
    draws: int = 10
    seed: int = 0
    only: tuple[str, ...] = ()  # names of tables; none: all that there is input for
    rigs: tuple[str, ...] = FAMILIES  # the rows' families
    noises: tuple[str, ...] = NOISES  # of the table rigs; all others have (c)
    jobs: int = 1  # processes
    each: bool = False  # whether a line is printed for every recording, to stderr

    def __post_init__(self) -> None:
        for what, given, known in (("rig", self.rigs, FAMILIES), ("noise", self.noises, NOISES)):
            unknown = [one for one in given if one not in known]
            if unknown:
                raise InputError(f"there is no {what} {', '.join(unknown)}: use {', '.join(known)}")

    @cached_property
    def trials(self) -> WalkTrials:
        """Draws recordings."""
        return WalkTrials(self.motion, self.seed)

    def drawn(self, draw: Callable[[int], WalkRecording]) -> Iterator[WalkRecording]:
        """As many recordings as were asked for."""
        return map(draw, range(self.draws))

    def those(self, families: Sequence[str]) -> list[str]:
        """Which of a table's families are asked for."""
        return [family for family in families if family in self.rigs]

    def attempts(self, what: str, calls: Iterable[tuple[Any, ...]]) -> list[Outcome]:
        """calibration_trials.attempt of every call's arguments."""
        return self.done(what, attempt, calls, described)

    def done(
        self, what: str, task: Callable[..., Result], calls: Iterable[tuple[Any, ...]], line: Callable[[Result], str]
    ) -> list[Result]:
        """The task of every call's arguments, by several processes if wanted, with a bar on a terminal."""
        arguments = list(calls)
        results = []
        with ExitStack() as stack:
            if self.jobs > 1 and arguments:
                pool = stack.enter_context(ProcessPoolExecutor(self.jobs, get_context("spawn")))
                made = pool.map(task, *zip(*arguments, strict=True))
            else:
                made = (task(*one) for one in arguments)
            for one in tqdm(made, total=len(arguments), desc=what, unit="recording", leave=False, disable=None):
                results.append(one)
                if self.each:
                    tqdm.write(f"{what}: {line(one)}", file=sys.stderr)
        return results


def described(one: Outcome) -> str:
    """An attempt in a line."""
    ended = f"{one.recording.name}: {'solved' if one.found is not None else 'refused'} after {one.seconds:.0f} s"
    if one.errors is not None:
        worst = 100.0 * one.errors.place.max(), one.errors.rotation_deg.max()
        ended += f", off by {worst[0]:.2f} %, {worst[1]:.2f} deg, tilt {one.errors.tilt_deg:.2f} deg"
        ended += f", scale {100.0 * one.errors.scale:+.2f} %"
    return f"{ended}; {one.reason}" if one.reason else ended


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
        percent([one.found is None and one.errors is not None and not one.errors.wrong for one in outcomes]),
        *both("place", 100.0), *both("rotation_deg"), *both("tilt_deg"), both("height_m", 1000.0)[0],
        *both("scale", 100.0), both("unscaled", 100.0)[0], float(100.0 * of("inside").mean()),
        float(np.median([one.seconds for one in outcomes] or [np.nan])),
    )  # fmt: skip


def percent(which: Sequence[bool]) -> float:
    """Share of them that is true, %."""
    return float(100.0 * np.mean(which)) if which else float("nan")


def reasons(outcomes: Sequence[Outcome]) -> str:
    """Why recordings were refused: each reason without names of cameras and numbers, the most frequent first."""
    words = [_plain(one.reason) for one in outcomes if one.reason]
    counts = {word: words.count(word) for word in words}
    return "; ".join(f"{count} x {word}" for word, count in sorted(counts.items(), key=lambda pair: -pair[1]))


def _plain(reason: str) -> str:
    without = re.sub(r"^cameras? '[^:]*: ", "", reason)
    return re.sub(r"\d+(\.\d+)?", "#", re.sub(r"'[^']*'", "...", without)).split(":")[0][:80]
