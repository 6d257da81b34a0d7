"""skeleton.png: the people and the cameras in 3D and from above."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from pose3d_ros.plots.palette import PersonColours
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Camera, Floats, PersonState, Pose3D

GHOSTS_OF_MOTION = 5  # poses along the way that are drawn faintly
CAMERA_SIZE_M = 0.35  # of the drawn pyramid


def write_skeleton_plot(recording: Recording, path: Path | str) -> None:
    """Write a PNG with a 3D view and a top view, axes in m of the fixed frame.

    Bold: the pose with most people, nearest the middle of the first loop. Faint: poses along the way. Lines: the
    paths of the pelvis. Pyramids and arrows: the cameras and where they look.
    """
    poses = [pose for pose in recording.poses if recording.frame_index(pose.stamp_ns) < recording.frames_per_loop]
    # One plot shows all people, whether or not they were present together.
    given = PersonColours()(one for pose in recording.poses for one in pose.ids)
    colours = {one: tuple(part / 255 for part in rgb) for one, rgb in given.items()}
    figure = Figure(figsize=(14, 6.2), dpi=110)
    FigureCanvasAgg(figure)
    # Placed by hand: automatic layouts do not reckon with the 3D axes' labels.
    space = figure.add_axes((-0.01, 0.0, 0.6, 0.98), projection="3d")
    above = figure.add_axes((0.645, 0.1, 0.345, 0.82))
    chosen = _chosen(poses)
    step = max(1, len(poses) // GHOSTS_OF_MOTION)
    for pose in poses[::step]:
        _bones(space, pose, colours, width=0.8, alpha=0.35)
    if chosen is not None:
        _bones(space, chosen, colours, width=2.4, alpha=1.0)
        _bones(above, chosen, colours, width=1.8, alpha=1.0)
    for one, track in _pelvis_tracks(poses).items():
        space.plot(*track.T, color=colours[one], linewidth=1.2, linestyle=":")
        above.plot(track[:, 0], track[:, 1], color=colours[one], linewidth=1.4, label=f"person {one}")
        start = track[np.isfinite(track).all(axis=1)][:1]
        above.plot(start[:, 0], start[:, 1], "o", color=colours[one], markersize=5)
    for camera in recording.rig.cameras:
        _camera_in_space(space, camera)
        _camera_from_above(above, camera)
    frame = recording.rig.frame_id
    when = "" if chosen is None else f", frame {recording.footage_frame(chosen.stamp_ns)}"
    _finish_space(space, recording, poses, f"3D view{when}")
    above.set_title("Top view: paths of the pelvis from the dots on")
    above.set_xlabel(f"x of {frame} (m)")
    above.set_ylabel(f"y of {frame} (m)")
    above.set_aspect("equal", adjustable="datalim")
    above.margins(0.16)
    above.grid(alpha=0.3)
    if above.get_legend_handles_labels()[1]:
        above.legend(loc="best", frameon=False)
    figure.savefig(path)


def _chosen(poses: list[Pose3D]) -> Pose3D | None:
    """The pose to draw boldly."""
    middle = len(poses) // 2
    order = sorted(range(len(poses)), key=lambda k: (-_visible(poses[k]).sum(), abs(k - middle)))
    return poses[order[0]] if order else None


def _visible(pose: Pose3D) -> Any:
    return pose.state == PersonState.VISIBLE


def _bones(axes: Any, pose: Pose3D, colours: dict[str, Any], width: float, alpha: float) -> None:
    """Bones of all visible people; axes of a top view use x and y only."""
    dimensions = 3 if axes.name == "3d" else 2
    for row in np.flatnonzero(_visible(pose)):
        for parent, child in pose.skeleton.bones:
            ends = pose.xyz[row, [parent, child], :dimensions]
            if np.isfinite(ends).all():
                axes.plot(*ends.T, color=colours[pose.ids[row]], linewidth=width, alpha=alpha, solid_capstyle="round")


def _pelvis_tracks(poses: list[Pose3D]) -> dict[str, Floats]:
    """Pelvis positions (T, 3) m by id, NaN where not visible; people never placed are left out."""
    tracks = {one: np.full((len(poses), 3), np.nan) for pose in poses for one in pose.ids}
    for k, pose in enumerate(poses):
        for row in np.flatnonzero(_visible(pose)):
            tracks[pose.ids[row]][k] = pose.xyz[row, pose.skeleton.index("Pelvis")]
    return {one: track for one, track in tracks.items() if np.isfinite(track).any()}


def _camera_in_space(axes: Any, camera: Camera) -> None:
    """A pyramid from the optical centre through the image's corners."""
    width, height = camera.size_wh
    pixels = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], dtype=np.float64)
    ahead = pixels @ np.linalg.inv(camera.K).T * CAMERA_SIZE_M
    corners = camera.centre + ahead @ camera.cam_from_world[:3, :3]
    edges = [(camera.centre, corner) for corner in corners]
    edges += list(zip(corners, np.roll(corners, -1, axis=0), strict=True))
    for start, end in edges:
        axes.plot(*np.stack([start, end]).T, color="0.35", linewidth=0.8)
    x, y, z = camera.centre
    axes.text(x, y, z + 0.15, camera.name, fontsize=8, color="0.2")


def _camera_from_above(axes: Any, camera: Camera) -> None:
    """A triangle at the camera, an arrow along its optical axis."""
    x, y = camera.centre[:2]
    axis = camera.cam_from_world[2, :2]
    axes.plot(x, y, "^", color="0.25", markersize=7)
    arrow = {"arrowstyle": "->", "color": "0.35"}
    axes.annotate("", (x + axis[0] * 0.9, y + axis[1] * 0.9), (x, y), arrowprops=arrow)
    axes.annotate(camera.name, (x, y), xytext=(6, 6), textcoords="offset points", fontsize=9)


def _finish_space(axes: Any, recording: Recording, poses: list[Pose3D], title: str) -> None:
    """Equal scales around everything that is drawn, and a name on each axis."""
    points = [camera.centre for camera in recording.rig.cameras]
    points += [xyz for pose in poses for xyz in pose.xyz[_visible(pose)].reshape(-1, 3) if np.isfinite(xyz).all()]
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    low[:2] -= CAMERA_SIZE_M
    high[:2] += CAMERA_SIZE_M
    low[2] = min(low[2], 0.0)
    reach = np.maximum(high - low, 0.5)
    for name, start, length in zip("xyz", low, reach, strict=True):
        getattr(axes, f"set_{name}lim")(start - 0.1, start + length + 0.1)
        getattr(axes, f"set_{name}label")(f"{name} (m)")
        getattr(axes, f"{name}axis").set_major_locator(MultipleLocator(1.0 if reach.max() < 12 else 5.0))
    axes.set_box_aspect(reach, zoom=1.2)
    axes.view_init(elev=22, azim=-60)
    axes.zaxis.labelpad = -4
    axes.set_title(title, y=0.96)
