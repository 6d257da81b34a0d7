"""Plot of a calibration by people: cameras with how sure their places are, the people, and the floor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from pose3d_ros.calibration.people import PeopleCalibration
from pose3d_ros.plots.rig_plot import FRUSTUM, draw_camera
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

# Of a normal distribution in two dimensions, 95 % lies within this Mahalanobis distance. Drawn to scale, the ellipse of
# 10 mm would be a dot in a room of 5 m; of 0.5 m, ten times as large, would hide the room.
ELLIPSE, ENLARGED = float(np.sqrt(5.991)), 10.0
SKELETONS, PATHS = 12, 2000  # people who are drawn as skeletons, and as dots


def write_people_plot(calibration: PeopleCalibration, path: Path | str) -> None:
    """Write a PNG: from above and from the side, axes in m of the rig's frame.

    z is up, or -y in a camera's optical frame, where there is no floor.
    """
    rig, bodies = calibration.rig, np.reshape(calibration.xyz, (-1, H36M_17.size, 3))
    centres = np.array([camera.centre for camera in rig.cameras])
    pelvis = bodies[:, H36M_17.index("Pelvis")]
    pelvis = pelvis[np.isfinite(pelvis).all(axis=1)]
    points = np.concatenate([centres, pelvis])
    optical = rig.frame_id.endswith("_optical")
    on_plane, up = ((0, 2), 1) if optical else ((0, 1), 2)
    along = max(on_plane, key=lambda axis: float(np.ptp(points[:, axis])))
    size = max(float(np.ptp(points, axis=0).max()), 0.1)
    spreads = {camera.name: centre_covariance(calibration, camera.name) for camera in rig.cameras}
    widest = ELLIPSE * max(float(np.sqrt(np.trace(one))) for one in spreads.values() if np.isfinite(one).all())
    enlarged = ENLARGED if ENLARGED * widest < 0.5 * size else 1.0
    figure = Figure(figsize=(13, 6.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    above, side = figure.subplots(1, 2)
    drawn = bodies[:: max(1, len(bodies) // SKELETONS)]
    for axes, shown, title in ((above, on_plane, "From above"), (side, (along, up), "From the side")):
        dots = pelvis[:: max(1, len(pelvis) // PATHS)][:, shown]
        axes.plot(*dots.T, ".", color="0.6", markersize=2, zorder=1)
        for body in drawn:
            _skeleton(axes, body[:, shown])
        for number, camera in enumerate(rig.cameras):
            draw_camera(axes, camera, shown, f"C{number % 10}", 0.5 * FRUSTUM * size)
            spread = enlarged**2 * spreads[camera.name][np.ix_(shown, shown)]
            _ellipse(axes, camera.centre[list(shown)], spread, f"C{number % 10}")
        names = [f"{'xyz'[axis]} of {rig.frame_id} (m)" for axis in shown]
        axes.set(xlabel=names[0], ylabel=names[1], title=title)
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.12)
        axes.grid(alpha=0.3)
    if optical:
        side.invert_yaxis()
    else:
        side.axhline(0.0, color="0.3", linewidth=1.2, label="floor")
        side.legend(loc="upper right", fontsize=8)
    drawn_as = f", drawn {enlarged:g} times as large" if enlarged > 1 else ""
    figure.suptitle(f"Ellipses hold a camera's centre with 95 %{drawn_as}", fontsize=9)
    figure.savefig(path)


def centre_covariance(calibration: PeopleCalibration, camera: str) -> Floats:
    """Covariance (3, 3) m^2 of a camera's centre relative to the first camera's, in the rig's frame."""
    covariance = calibration.covariance.get(camera)
    if covariance is None:  # the first camera: all others are relative to it
        return np.zeros((3, 3))
    rotation = calibration.rig.camera(camera).cam_from_world[:3, :3]
    spread: Floats = rotation.T @ np.asarray(covariance)[3:, 3:] @ rotation
    return spread


def _skeleton(axes: Any, joints: Floats) -> None:
    for parent, child in H36M_17.bones:
        axes.plot(*joints[[parent, child]].T, color="0.35", linewidth=0.8, alpha=0.7, zorder=2)


def _ellipse(axes: Any, centre: Floats, covariance: Floats, colour: str) -> None:
    if not np.isfinite(covariance).all():
        return
    values, vectors = np.linalg.eigh(covariance)
    width, height = 2 * ELLIPSE * np.sqrt(np.maximum(values, 0.0))
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    axes.add_patch(
        Ellipse(tuple(centre), width, height, angle=angle, facecolor="none", edgecolor=colour, linewidth=1.2, zorder=4)
    )
