"""A plot of a soak: memory over time, and threads and descriptors, which stay level where nothing leaks."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose3d_ros.structures import Floats


def write_soak_plot(
    hours: Floats, rss_mb: Floats, threads: Floats, descriptors: Floats, warm_up_h: float, title: str, path: Path
) -> None:
    """Write a PNG of numbers (N,) at hours (N,); what lies before warm_up_h is shaded."""
    figure = Figure(figsize=(6.4, 4.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    above.plot(hours, rss_mb, color="#0072b2")
    above.set(ylabel="resident memory, MB", ylim=(0, 1.15 * float(rss_mb.max())))
    above.set_title(title, size=10)
    below.step(hours, threads, where="post", color="#d55e00", label="threads")
    below.step(hours, descriptors, where="post", color="#009e73", label="open descriptors")
    below.set(xlabel="hours of frame sets", ylim=(0, 1.4 * float(max(threads.max(), descriptors.max()))))
    below.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    for axes in (above, below):
        axes.axvspan(0, warm_up_h, color="#000000", alpha=0.06, lw=0)
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
