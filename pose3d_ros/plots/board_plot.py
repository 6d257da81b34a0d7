"""Plot of a calibration: where each camera detected the board, and the residual of each corner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose3d_ros.calibration.board_views import BoardViews
from pose3d_ros.calibration.boards import Board
from pose3d_ros.calibration.lenses import LensFit, residuals


def write_board_plot(board: Board, views: Sequence[BoardViews], fits: Sequence[LensFit], path: Path | str) -> None:
    """Write a PNG with one panel per camera: the corners over the image, coloured by their residual in px."""
    errors = []
    for camera_views, fit in zip(views, fits, strict=True):
        rows = [
            np.hstack(
                [px, np.linalg.norm(residuals(fit.camera, fit.board_from[k], board.points[n], px), axis=1)[:, None]]
            )
            for k, (n, px) in camera_views.corners.items()
            if k in fit.board_from
        ]
        errors.append(np.concatenate(rows))
    worst = max(float(np.percentile(np.concatenate(errors)[:, 2], 95)), 1e-3)
    figure = Figure(figsize=(1 + 5.2 * len(fits), 4.8), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(fits), squeeze=False)[0]
    for axes, camera_views, fit, rows in zip(panels, views, fits, errors, strict=True):
        dots = axes.scatter(*rows[:, :2].T, c=rows[:, 2], s=7, vmin=0, vmax=worst, cmap="viridis")
        width, height = camera_views.size_wh
        axes.set(xlim=(0, width), ylim=(height, 0), xlabel="x (px)", ylabel="y (px)")
        axes.set_aspect("equal")
        axes.set_title(f"{camera_views.camera}: {len(fit.board_from)} boards, RMS {fit.rms_px:.2f} px")
    figure.colorbar(dots, ax=list(panels), label="corner residual (px)", shrink=0.8)
    figure.savefig(path)
