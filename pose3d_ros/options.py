"""Options as frozen dataclasses: one description, unit and range for YAML, command line and ROS alike."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

from pose3d_ros.errors import OptionError, shown

Options = TypeVar("Options")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """argparse's formatter that shows defaults, except those that say nothing: None, False, empty and unbounded."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False, math.inf) or action.default == []
        return action.help if silent else super()._get_help_string(action)


@dataclass(frozen=True)
class OptionInfo:
    """What a user reads of one option."""

    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False


def option(
    default: Any,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """A dataclass field that knows its description, unit and range."""
    info = OptionInfo(description, unit, low, high, choices, read_only)
    if isinstance(default, list):
        raise TypeError("give a tuple: options are frozen")
    return field(default=default, metadata={"option": info})


def info_of(one: Field[Any]) -> OptionInfo:
    """The OptionInfo of a field made with option()."""
    info: OptionInfo = one.metadata["option"]
    return info


def check(options: Any) -> None:
    """Raise OptionError for a value of the wrong type or outside its range; call it in __post_init__."""
    for one in fields(options):
        value, info = getattr(options, one.name), info_of(one)
        kind = type(one.default)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) if kind is float else type(value) is kind
        if not fits:
            raise OptionError(f"option {one.name!r} is {shown(value)}, expected {kind.__name__}: {info.description}")
        if info.choices and value not in info.choices:
            raise OptionError(f"option {one.name!r} is {shown(value)}, expected one of {', '.join(info.choices)}")
        low = -float("inf") if info.low is None else info.low
        high = float("inf") if info.high is None else info.high
        if kind in (int, float) and not low <= value <= high:
            unit = f" {info.unit}" if info.unit else ""
            raise OptionError(f"option {one.name!r} is {shown(value)}, expected {low:g} to {high:g}{unit}")


def from_mapping(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Options from YAML or parameters; an unknown key raises OptionError that names the nearest known one."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f": did you mean {near[0]!r}?" if near else f": known are {', '.join(sorted(known))}"
            raise OptionError(f"unknown option {shown(name)}{hint}")
    lists_as_tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**lists_as_tuples)


def changed_fixed(before: Any, after: Any) -> tuple[str, ...]:
    """Names of the options fixed at start (read_only) in which two instances of one dataclass differ."""
    return tuple(
        one.name
        for one in fields(before)
        if info_of(one).read_only and getattr(before, one.name) != getattr(after, one.name)
    )


def check_changes(before: Any, after: Any) -> None:
    """Raise OptionError where two instances of one dataclass differ in an option that is fixed at start."""
    if fixed := changed_fixed(before, after):
        raise OptionError(f"option {fixed[0]!r} is fixed at start: make a new estimator for another value")


def describe(kind: type[Any]) -> list[tuple[str, str, str, str]]:
    """(name, default, range and unit, description) of every option of a dataclass, for --help and the documentation."""
    rows = []
    for one in fields(kind):
        info = info_of(one)
        allowed = " | ".join(info.choices)
        if info.low is not None or info.high is not None:
            low = "" if info.low is None else f"{info.low:g}"
            high = "" if info.high is None else f"{info.high:g}"
            allowed = f"{low} to {high} {info.unit}".strip()
        elif info.unit:
            allowed = info.unit
        default = "[" + ", ".join(one.default) + "]" if isinstance(one.default, tuple) else str(one.default)
        if isinstance(one.default, bool):
            default = default.lower()
        rows.append((one.name, default, allowed, info.description + (" (fixed at start)" if info.read_only else "")))
    return rows
