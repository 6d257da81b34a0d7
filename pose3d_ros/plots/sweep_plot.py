"""Plots of an evaluation: curves over what was swept, clouds of points, curves in panels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose3d_ros.structures import Floats

# Okabe and Ito's colours, which colour-blind readers can distinguish; lines also differ in marker. Others are dashed.
COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "osv^Dx+"
STYLES = ("-", "--", ":")
COLUMNS = 4  # of panels


def write_sweep_plot(
    series: Mapping[str, tuple[Floats, Floats]],
    path: Path | str,
    *,
    title: str,
    x_label: str,
    y_label: str,
    points: bool = False,
    x_log: bool = False,
    both_log: bool = False,
) -> None:
    """Write a PNG of series: name -> x (N,), y (N,); dots instead of lines with points.

    x_log keeps zero, both_log is for positive x and y, whose powers are straight lines.
    """
    figure = Figure(figsize=(6.4, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, (name, (x, y)) in enumerate(series.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        if points:
            axes.plot(x, y, ".", color=colour, markersize=3, alpha=0.5, label=name)
        else:
            style = STYLES[number // len(COLOURS) % len(STYLES)]
            axes.plot(x, y, style, color=colour, marker=marker, markersize=4, label=name)
    axes.set(xlabel=x_label, ylabel=y_label)
    if x_log:
        axes.set_xscale("symlog", linthresh=1e-3)
    if both_log:
        axes.loglog(base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.set_title(title, size=10)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def write_panel_plot(
    panels: Mapping[str, Mapping[str, tuple[Floats, Floats]]],
    path: Path | str,
    *,
    title: str,
    x_label: str,
    y_label: str,
) -> None:
    """Write a PNG of panels with the same axes, COLUMNS a row: title -> series as in write_sweep_plot."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.2 * columns, 1.9 * rows + 0.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, (name, series) in zip(grid, panels.items(), strict=False):
        for number, (label, (x, y)) in enumerate(series.items()):
            axes.plot(x, y, STYLES[number % len(STYLES)], color=COLOURS[number % len(COLOURS)], label=label)
        axes.set_title(name, size=9)
        axes.grid(alpha=0.3)
    grid[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, size=10)
    figure.supxlabel(x_label, size=9)
    figure.supylabel(y_label, size=9)
    _save(figure, path)


def _save(figure: Figure, path: Path | str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
