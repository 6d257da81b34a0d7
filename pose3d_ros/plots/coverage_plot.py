"""left_out.png: how often regions into a camera left out hold the keypoint, by probability, camera and joint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito's
WANTED = (90.0, 98.0)  # %, of 95 % regions

# Values without the cameras' own errors, and with them.
WithoutAndWith = tuple[Sequence[float], Sequence[float]]


def write_coverage_plot(
    levels: Sequence[float],
    curves: Mapping[str, WithoutAndWith],
    parts: Sequence[str],
    shares: Mapping[str, WithoutAndWith],
    path: Path | str,
) -> None:
    """Write a PNG; all shares in [0, 1].

    curves: recording -> share inside the regions of each of the levels. shares: recording -> share inside the 95 %
    regions, for each of the parts (a camera, a kind of joint).
    """
    figure = Figure(figsize=(10.0, 5.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot([0, 100], [0, 100], color="0.7", linewidth=1)
    for colour, (name, (without, with_it)) in zip(COLOURS, curves.items(), strict=False):
        x = 100 * np.asarray(levels)
        left.plot(x, 100 * np.asarray(without), "--", color=colour, label=f"{name}: keypoints alone")
        left.plot(x, 100 * np.asarray(with_it), color=colour, label=f"{name}: and the cameras' errors, measured")
    left.set(xlabel="probability of the region, %", ylabel="keypoints inside, %", xlim=(0, 100), ylim=(0, 100))
    left.legend(frameon=False, fontsize=8, loc="upper left")
    right.axvspan(*WANTED, color="0.92")
    rows = np.arange(len(parts))
    for number, (colour, (name, (without, with_it))) in enumerate(zip(COLOURS, shares.items(), strict=False)):
        y = rows + 0.25 * number - 0.125 * (len(shares) - 1)
        right.plot(100 * np.asarray(without), y, "o", color=colour, fillstyle="none", markersize=5)
        right.plot(100 * np.asarray(with_it), y, "o", color=colour, markersize=5, label=name)
    right.set_yticks(rows, parts)
    right.invert_yaxis()
    right.set(xlabel="inside the 95 % region, % (hollow: keypoints alone)")
    right.grid(axis="y", alpha=0.3)
    right.legend(frameon=False, fontsize=8, loc="lower left")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
