"""Request and output of `pose3d evaluate`: tables, some of them with plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.structures import Floats
from pose3d_ros.training.rows import row_network

Cell = str | float | int | None  # None: not measured, or not published


@dataclass(frozen=True)
class EvaluationRequest:
    """The inputs of a table."""

    motion: Motion
    data: Path  # the file of motion, for training rows
    runs: Path | None = None  # folder of the rows' networks
    train: bool = False  # train rows that are missing
    minutes: float = math.inf  # a row
    train_with: tuple[str, ...] = ()  # arguments of `pose3d train` that overrule every row's own
    people: int = 1024  # a rig
    seed: int = 0
    seeds: int = 1  # networks a row, of seeds 0, 1, ...
    only: tuple[str, ...] = ()  # names of tables; none: all
    recordings: tuple[Path, ...] = ()  # folders of `pose3d demo`, for tables of real footage

    def checkpoint(self, name: str, *arguments: str) -> Path | None:
        """The best checkpoint of a row trained by `pose3d train *arguments`; None if it is not trained."""
        if self.runs is None:
            return None
        return row_network(
            self.runs,
            name,
            (*arguments, *self.train_with),
            data=self.data,
            train=self.train,
            minutes=self.minutes,
        )

    def chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of the tables `names` to make, in their order; raises InputError for an unknown one."""
        unknown = [name for name in self.only if name not in names]
        if unknown:
            raise InputError(f"there is no table {', '.join(unknown)}: use {', '.join(names)}")
        return tuple(name for name in names if not self.only or name in self.only)


@dataclass(frozen=True, eq=False)
class Plot:
    """A plot of a table: curves or clouds of points."""

    x_label: str
    y_label: str
    series: Mapping[str, tuple[Floats, Floats]]  # name -> x (N,), y (N,)
    points: bool = False  # dots, not lines
    x_log: bool = False


@dataclass(frozen=True, eq=False)
class Panels:
    """Plots of the same axes next to each other."""

    x_label: str
    y_label: str
    series: Mapping[str, Mapping[str, tuple[Floats, Floats]]]  # title -> name -> x (N,), y (N,)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of cells under columns; what every number is, is in the column's name and the note."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    decimals: int = 1
    plots: Mapping[str, Plot | Panels] = field(default_factory=dict)  # file name without ending -> plot

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row) == len(self.columns), f"table {self.name}: {row} does not fit {self.columns}"


def printed(table: Table) -> str:
    """The table as text that is Markdown too."""
    cells = [[_shown(cell, table.decimals) for cell in row] for row in table.rows]
    widths = [max([len(name), *(len(row[number]) for row in cells)]) for number, name in enumerate(table.columns)]
    left = [any(isinstance(row[number], str) for row in table.rows) for number in range(len(table.columns))]

    def line(words: Sequence[str]) -> str:
        padded = (w.ljust(n) if flush else w.rjust(n) for w, n, flush in zip(words, widths, left, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (n + 1) + ("-" if flush else ":") for n, flush in zip(widths, left, strict=True)) + "|"
    lines = [f"### {table.name}: {table.title}", "", line(table.columns), rule, *(line(row) for row in cells)]
    return "\n".join([*lines, "", table.note, ""] if table.note else [*lines, ""])


def as_json(table: Table) -> dict[str, Any]:
    """Plain values, NaN as None, every number in full."""
    rows = [{name: _plain(cell) for name, cell in zip(table.columns, row, strict=True)} for row in table.rows]
    return {"title": table.title, "columns": list(table.columns), "rows": rows, "note": table.note}


def _plain(cell: Cell) -> Cell:
    if cell is None or isinstance(cell, str):
        return cell
    number = float(cell)
    return (int(cell) if isinstance(cell, int) else number) if math.isfinite(number) else None


def _shown(cell: Cell, decimals: int) -> str:
    if cell is None or (not isinstance(cell, str) and math.isnan(cell)):
        return "-"
    return cell if isinstance(cell, str) else str(cell) if isinstance(cell, int) else f"{cell:.{decimals}f}"
