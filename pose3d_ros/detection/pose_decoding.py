"""Decode a pose network's raw outputs into joints: SimCC, heatmaps, one-stage rows (NumPy, float64).

Axes: N crops or people, J joints. Points are x, y in px of the network's input (0 is the centre of its first pixel)
and score.
"""

from __future__ import annotations

import cv2
import numpy as np

from pose3d_ros.structures import Floats

BLUR = 11  # cells; DARK smooths heatmaps with the width of the training heatmaps (its paper, table 5)


def simcc_points(x: Floats, y: Floats, size_wh: tuple[int, int]) -> Floats:
    """Return points (N, J, 3) from SimCC's classifications x (N, J, W * k), y (N, J, H * k) with k bins per pixel.

    The position is the most likely bin, the score the lower of both likelihoods. Source: Li et al., "SimCC", ECCV 2022;
    Jiang et al., "RTMPose", 2023 (k = 2).
    """
    at_x, at_y = x.argmax(-1) * (size_wh[0] / x.shape[-1]), y.argmax(-1) * (size_wh[1] / y.shape[-1])
    return np.stack((at_x, at_y, np.minimum(x.max(-1), y.max(-1))), axis=-1)


def heatmap_points(heatmaps: Floats, size_wh: tuple[int, int]) -> Floats:
    """Return points (N, J, 3) from heatmaps (N, J, h, w): the highest cell, refined by DARK, with its score.

    DARK fits a parabola to the logarithm of the smoothed map around that cell (exact for a Gaussian). Source: Zhang et
    al., "Distribution-Aware Coordinate Representation", CVPR 2020, equations 5 to 9.
    """
    count, joints, height, width = heatmaps.shape
    flat = heatmaps.reshape(count * joints, -1)
    best = flat.argmax(-1)
    cells = np.stack((best % width, best // width), axis=-1).astype(np.float64)  # x, y
    for row, (heatmap, (column, line)) in enumerate(
        zip(heatmaps.reshape(-1, height, width), cells.astype(int), strict=True)
    ):
        if 0 < column < width - 1 and 0 < line < height - 1 and heatmap[line, column] > 0:
            cells[row] += _subcell_offset(heatmap, column, line)
    scale = np.array([size_wh[0] / width, size_wh[1] / height])
    points: Floats = np.concatenate((cells * scale, flat.max(-1)[:, None]), axis=1).reshape(count, joints, 3)
    return points


def _subcell_offset(heatmap: Floats, column: int, row: int) -> Floats:
    """Return x, y in cells from a cell to the peak of the parabola through its neighbours' logarithms."""
    smooth = cv2.GaussianBlur(heatmap, (BLUR, BLUR), 0)[row - 1 : row + 2, column - 1 : column + 2]
    around = np.log(np.maximum(smooth, 1e-10))
    slope = np.array([around[1, 2] - around[1, 0], around[2, 1] - around[0, 1]]) / 2
    xx = around[1, 2] - 2 * around[1, 1] + around[1, 0]
    yy = around[2, 1] - 2 * around[1, 1] + around[0, 1]
    xy = (around[2, 2] - around[2, 0] - around[0, 2] + around[0, 0]) / 4
    if xx >= 0 or xx * yy - xy * xy <= 0:  # no peak
        return np.zeros(2)
    return np.clip(-np.linalg.solve(np.array([[xx, xy], [xy, yy]]), slope), -1.0, 1.0)


def one_stage_people(outputs: list[Floats], joints: int) -> tuple[Floats, Floats]:
    """Return boxes (N, 5) left, top, right, bottom, score and points (N, J, 3) from outputs in a form of ONE_STAGE."""
    if len(outputs) == 2:
        boxes, points = sorted(outputs, key=lambda output: output.ndim)
        return boxes[0, :, :5], points[0]
    rows = outputs[0][0]
    rows = rows if rows.shape[1] in (5 + 3 * joints, 6 + 3 * joints) else rows.T
    points = rows[:, -3 * joints :].reshape(-1, joints, 3)
    if rows.shape[1] == 6 + 3 * joints:
        return rows[:, :5], points
    half = rows[:, 2:4] / 2
    return np.concatenate((rows[:, :2] - half, rows[:, :2] + half, rows[:, 4:5]), axis=1), points


ONE_STAGE = (
    "RTMO's (1, N, 5) left, top, right, bottom, score and (1, N, J, 3) x, y, score; "
    "or one (1, 5 + 3 J, N) centre x, y, width, height, score, joints, as YOLO-pose; "
    "or one (1, N, 6 + 3 J) left, top, right, bottom, score, class, joints, as YOLO-pose end to end"
)
