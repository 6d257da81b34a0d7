"""Plot of a rig: the cameras from above and from the side, with distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose3d_ros.geometry.calibration import baselines_m
from pose3d_ros.rigs.rig_checks import up_axis
from pose3d_ros.structures import Camera, Floats, Rig

MAX_LABELLED_PAIRS = 15  # six cameras; more lines would hide the plot
SAME_WAY = 0.7  # length of the mean of the optical axes: 1 for parallel ones, near 0 around a room
FRUSTUM = 0.35  # its length, as part of the rig's size


def write_rig_plot(rig: Rig, path: Path | str) -> None:
    """Write a PNG: frusta, names and distances from above and from the side, axes in m of the rig's frame.

    Up is the axis nearest to the cameras' own up. The side view is along the cameras' direction if they face the
    same way, else along the longer horizontal axis.
    """
    up, sign = up_axis(rig)
    centres = np.array([camera.centre for camera in rig.cameras])
    first, second = _horizontal(up, centres)
    ahead = np.mean([camera.cam_from_world[2, :3] for camera in rig.cameras], axis=0)
    along = first if np.linalg.norm(ahead) < SAME_WAY else max(first, second, key=lambda axis: abs(ahead[axis]))
    size = max(float(np.ptp(centres, axis=0).max()), 0.1)
    figure = Figure(figsize=(13, 6.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    above, side = figure.subplots(1, 2)
    pairs = baselines_m(rig) if len(rig.cameras) * (len(rig.cameras) - 1) / 2 <= MAX_LABELLED_PAIRS else {}
    for axes, shown, title in ((above, (first, second), "From above"), (side, (along, up), "From the side")):
        for (a, b), distance in pairs.items():
            ends = np.array([rig.camera(a).centre, rig.camera(b).centre])[:, shown]
            axes.plot(*ends.T, color="0.75", linewidth=0.8, linestyle="--", zorder=1)
            if np.linalg.norm(ends[0] - ends[1]) > 0.1 * size:
                label = f"{distance:.2f} m" if distance >= 1 else f"{distance * 100:.1f} cm"
                axes.annotate(label, ends.mean(axis=0), fontsize=8, color="0.4", ha="center", va="center",
                              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
        for number, camera in enumerate(rig.cameras):
            draw_camera(axes, camera, shown, f"C{number % 10}", FRUSTUM * size)
        names = [f"{'xyz'[axis]} of {rig.frame_id} (m)" for axis in shown]
        axes.set(xlabel=names[0], ylabel=names[1], title=title)
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.18)
        axes.grid(alpha=0.3)
    if sign < 0:
        side.invert_yaxis()
    # REP-103 from above: x forward is drawn upwards, so y points left.
    if _mirrored(first, second, up, sign):
        above.invert_xaxis()
    figure.savefig(path)


def _horizontal(up: int, centres: Floats) -> tuple[int, int]:
    """The two axes that are not up; in a right-handed order unless the second spans more."""
    first, second = ((up + 1) % 3, (up + 2) % 3)
    spans = np.ptp(centres, axis=0)
    return (first, second) if spans[first] >= spans[second] else (second, first)


def _mirrored(first: int, second: int, up: int, sign: int) -> bool:
    right_handed = (second - first) % 3 == 1 and (up - second) % 3 == 1
    return right_handed != (sign > 0)


def draw_camera(axes: Any, camera: Camera, shown: tuple[int, int], colour: str, length: float) -> None:
    """The pyramid of view, filled between its outermost edges, the optical axis and the name."""
    width, height = camera.size_wh
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], dtype=np.float64)
    ahead = corners @ np.linalg.inv(camera.K).T
    ahead = (
        camera.centre + ahead / np.linalg.norm(ahead, axis=1, keepdims=True) * length @ camera.cam_from_world[:3, :3]
    )
    centre = camera.centre[list(shown)]
    ahead = ahead[:, shown]
    for k in range(4):
        triangle = np.array([centre, ahead[k], ahead[(k + 1) % 4]])
        axes.fill(*triangle.T, color=colour, alpha=0.15, linewidth=0)
        axes.plot(*triangle[[0, 1]].T, color=colour, linewidth=0.9)
        axes.plot(*triangle[[1, 2]].T, color=colour, linewidth=0.9)
    axes.plot(*centre, "o", color=colour, markersize=5)
    tip = centre + camera.cam_from_world[2, list(shown)] * length * 1.15
    axes.annotate("", tip, centre, arrowprops={"arrowstyle": "->", "color": colour})
    axes.update_datalim([tip])
    behind = centre - camera.cam_from_world[2, list(shown)] * length * 0.22
    axes.annotate(camera.name, behind, fontsize=10, color=colour, ha="center", va="center", weight="bold")
