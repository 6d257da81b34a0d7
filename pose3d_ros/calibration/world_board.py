"""A rig's world onto a board that lies on the floor (NumPy, float64)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.calibration.boards import Board, find_board
from pose3d_ros.calibration.world_move import WorldMove
from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.geometry.projection import project, undistort
from pose3d_ros.structures import Camera

# Corners are detected to 0.1 px; where they do not fit to this the lens or the board is another one.
MOST_BOARD_PX = 2.0
# A board seen from far has two poses that fit nearly alike (Schweighofer and Pinz, PAMI 2006).
AMBIGUOUS = 2.0
LEAST_PX = 0.1


def by_board(camera: Camera, board: Board, grey: NDArray[np.uint8], frame_id: str) -> WorldMove:
    """The first inner corner of a board is the origin, x along its first row, z up out of it.

    grey: the camera's image (H, W) of the board as it lies. Raises CalibrationError where it is not found or fits ill.
    """
    check_image_size(camera, grey.shape)
    found = find_board(board, grey)
    if found is None:
        raise CalibrationError(
            f"{camera.name}: the board is not found in the image: show all of it, sharp, and check --board"
        )
    numbers, px = found
    points = board.points[numbers]
    ideal = undistort(camera, px)
    _, turns, moves, errors = cv2.solvePnPGeneric(points, ideal[:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    ratio = float(errors[1, 0] / max(errors[0, 0], 1e-12)) if len(errors) > 1 else np.inf
    turn, move = cv2.solvePnPRefineLM(points, ideal[:, None], np.eye(3), None, turns[0], moves[0])
    cam_from_board = np.eye(4)
    cam_from_board[:3, :3], cam_from_board[:3, 3] = cv2.Rodrigues(turn)[0], move.ravel()
    off = project(camera.placed(cam_from_board), points) - px
    rms = float(np.sqrt((off**2).sum(axis=1).mean()))
    if rms > MOST_BOARD_PX:
        raise CalibrationError(
            f"{camera.name}: the board's corners fit to {rms:.2f} px, expected {MOST_BOARD_PX:g}: check --board, and "
            "that the rig's lens is this camera's"
        )
    if ratio < AMBIGUOUS:
        raise CalibrationError(
            f"{camera.name}: the board is so small in the image that two tilts fit it nearly alike (errors differ by "
            f"{ratio:.2f} times, expected {AMBIGUOUS:g}): take a larger board, or put it nearer to the camera"
        )
    _, jacobian = cv2.projectPoints(points, turn, move, camera.K, None)
    sigma = max(rms / np.sqrt(2), LEAST_PX)
    covariance = sigma**2 * np.linalg.inv(jacobian[:, :6].T @ jacobian[:, :6])
    # A board's z points into it, away from the camera.
    base_from_board = np.diag([1.0, -1.0, -1.0, 1.0])
    transform = base_from_board @ np.linalg.inv(cam_from_board) @ camera.cam_from_world
    worst = [float(np.sqrt(np.linalg.eigvalsh(part)[-1])) for part in (covariance[:3, :3], covariance[3:, 3:])]
    lines = [f"{camera.name}: {len(px)} corners fit to {rms:.2f} px; it is {np.linalg.norm(move):.2f} m from the board"]
    if board.turns:
        lines.append("warning: this board looks the same upside down, so its other end may be the origin: use Charuco")
    return WorldMove(transform, frame_id, worst[0], worst[1], tuple(lines))
