"""A plot of an evaluation: curves over what was swept, or clouds of points."""

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
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
