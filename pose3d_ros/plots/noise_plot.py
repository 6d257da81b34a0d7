"""noise.png: a detector's errors and the mixtures fitted to them, as in AbsPoseLifter's Fig. 5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from pose3d_ros.simulation.detector_residuals import BODY
from pose3d_ros.simulation.gaussian_uniform_mixture import HALF_RANGE_PX, P0, Mixture
from pose3d_ros.structures import Floats

SHOWN = ("Nose", "LShoulder", "LElbow", "LWrist", "LHip", "LKnee", "LAnkle")  # right joints count in, mirrored
RADII = (1.0, 2.0, 3.0)  # standard deviations of the ellipses
BLUE, ORANGE = "#0072b2", "#d55e00"


def write_noise_plot(error: Floats, mixtures: tuple[Mixture, ...], title: str, path: Path | str) -> None:
    """Write a PNG: per kind of joint the errors (..., B, 2) crop px with the normal part's ellipses, and below them
    the density of x, y and the fit, on a logarithmic scale."""
    figure = Figure(figsize=(2.4 * len(SHOWN), 5.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(SHOWN), squeeze=False)
    flat = error.reshape(-1, len(BODY), 2)
    along = np.linspace(-HALF_RANGE_PX, HALF_RANGE_PX, 201)
    for column, name in enumerate(SHOWN):
        joint = BODY.index(name)
        points = flat[:, joint]
        if name.startswith("L"):
            points = np.concatenate([points, flat[:, BODY.index("R" + name[1:])] * (-1.0, 1.0)])
        points = points[np.isfinite(points).all(axis=1)]
        one = mixtures[joint]
        above, below = axes[0, column], axes[1, column]
        above.plot(*points.T, ".", color="0.35", markersize=2, alpha=0.4)
        size, axis = np.linalg.eigh(one.covariance)
        angle = np.degrees(np.arctan2(axis[1, 0], axis[0, 0]))
        for radius in RADII:
            width, height = 2.0 * radius * np.sqrt(size)
            above.add_patch(Ellipse(tuple(one.mean), width, height, angle=angle, fill=False, color=ORANGE))
        above.set(xlim=(-HALF_RANGE_PX, HALF_RANGE_PX), ylim=(HALF_RANGE_PX, -HALF_RANGE_PX), aspect="equal")
        above.set_title(f"{name.removeprefix('L').lower()}, n = {len(points)}\nnormal {100 * one.gamma:.0f} %", size=10)
        for number, (colour, label) in enumerate(((BLUE, "x"), ("0.4", "y"))):
            below.hist(points[:, number], bins=along[::4], density=True, histtype="step", color=colour, label=label)
            below.plot(along, _marginal(one, number, along), color=ORANGE, linestyle=("-", "--")[number])
        below.set(yscale="log", ylim=(1e-4, 1.0), xlabel="error, px of the 256 px crop")
    axes[1, 0].legend(frameon=False)
    axes[1, 0].set_ylabel("density; orange: the fit (x -, y --)")
    figure.suptitle(title)
    figure.savefig(path)


def _marginal(one: Mixture, axis: int, along: Floats) -> Floats:
    variance = one.covariance[axis, axis]
    normal = np.exp(-0.5 * (along - one.mean[axis]) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)
    density: Floats = one.gamma * normal + (1.0 - one.gamma) * P0 * 2.0 * HALF_RANGE_PX
    return density
