"""One camera's intrinsics from its boards, by OpenCV's calibrateCamera (Zhang 2000) or fisheye.calibrate."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pose3d_ros.calibration.board_views import BoardViews
from pose3d_ros.calibration.boards import Board
from pose3d_ros.errors import CalibrationError
from pose3d_ros.structures import Camera, Floats

# Lens -> distortion model and OpenCV's flags. k3 is omitted by default, as in ROS's camera_calibration: on eight of
# OpenCV's sample boards, which leave the image corners empty, it makes the lens fold inside the image.
LENSES = {
    "plumb_bob": ("plumb_bob", cv2.CALIB_FIX_K3),
    "plumb_bob_k3": ("plumb_bob", 0),
    "rational_polynomial": ("rational_polynomial", cv2.CALIB_RATIONAL_MODEL),
    "equidistant": ("equidistant", 0),
}
# Three views determine Zhang's five unknowns of K; the lens needs more. camera_calibration requires as many.
MIN_BOARDS = 5
# A board with more than this many times the median error was misdetected or moved: it is left out, once.
OUTLIER = 4.0


@dataclass(frozen=True, eq=False)
class LensFit:
    """A camera at the origin, the poses of its boards, and their residuals."""

    camera: Camera
    board_from: dict[int, Floats]  # camera_from_board (4, 4) m by frame
    error_px: dict[int, float]  # RMS by frame
    left_out: tuple[int, ...]  # frames that did not fit
    rms_px: float


def fit_lens(board: Board, views: BoardViews, lens: str) -> LensFit:
    """Calibrate one camera with a lens of LENSES; raises CalibrationError for too few boards or no solution."""
    frames = list(views.corners)
    if len(frames) < MIN_BOARDS:
        raise CalibrationError(
            f"camera {views.camera!r}: the board was found in {len(frames)} of {views.image_count} images, at least "
            f"{MIN_BOARDS} are needed (better 20): take more, near and far, tilted, and out to the corners"
        )
    fit = _fit(board, views, frames, lens)
    limit = OUTLIER * float(np.median(list(fit.error_px.values())))
    good = [frame for frame in frames if fit.error_px[frame] <= limit]
    if MIN_BOARDS <= len(good) < len(frames):
        left_out = tuple(frame for frame in frames if frame not in good)
        fit = _fit(board, views, good, lens, left_out)
    return fit


def _fit(board: Board, views: BoardViews, frames: list[int], lens: str, left_out: tuple[int, ...] = ()) -> LensFit:
    model, flags = LENSES[lens]
    objects = [board.points[views.corners[frame][0]] for frame in frames]
    pixels = [views.corners[frame][1] for frame in frames]
    try:
        if model == "equidistant":
            fisheye = cv2.fisheye.CALIB_RECOMPUTE_EXTRINSIC | cv2.fisheye.CALIB_FIX_SKEW
            fisheye_objects = [np.ascontiguousarray(part[:, None]) for part in objects]
            fisheye_pixels = [np.ascontiguousarray(part[:, None]) for part in pixels]
            rms, K, distortion, rotations, translations = cv2.fisheye.calibrate(
                fisheye_objects, fisheye_pixels, views.size_wh, np.eye(3), np.zeros((4, 1)), flags=fisheye
            )
        else:
            rms, K, distortion, rotations, translations = cv2.calibrateCamera(
                [part.astype(np.float32) for part in objects],
                [part.astype(np.float32) for part in pixels],
                views.size_wh,
                np.eye(3),  # not used without CALIB_USE_INTRINSIC_GUESS
                np.zeros(5),
                flags=flags,
            )
    except cv2.error as error:
        raise CalibrationError(
            f"camera {views.camera!r}: OpenCV cannot fit a {lens} lens to {len(frames)} boards ({error.err}): take "
            "more boards, tilted differently, or choose another --lens"
        ) from error
    # OpenCV returns up to 14 coefficients, the unused ones as zeros.
    coefficients = np.ravel(distortion).astype(np.float64)[
        : {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}[model]
    ]
    camera = Camera(views.camera, views.size_wh, np.asarray(K, dtype=np.float64), model, coefficients)
    board_from, errors = {}, {}
    for frame, xyz, px, rotation, translation in zip(frames, objects, pixels, rotations, translations, strict=True):
        board_from[frame] = np.eye(4)
        board_from[frame][:3, :3] = cv2.Rodrigues(rotation)[0]
        board_from[frame][:3, 3] = np.ravel(translation)
        errors[frame] = float(np.sqrt((residuals(camera, board_from[frame], xyz, px) ** 2).sum(axis=-1).mean()))
    return LensFit(camera, board_from, errors, left_out, float(rms))


def residuals(camera: Camera, camera_from_board: Floats, xyz: Floats, px: Floats) -> Floats:
    """Detected minus predicted pixels (n, 2) by OpenCV's projection; the camera's own extrinsics are ignored."""
    rotation, translation = cv2.Rodrigues(camera_from_board[:3, :3])[0], camera_from_board[:3, 3]
    if camera.distortion_model == "equidistant":
        predicted = cv2.fisheye.projectPoints(xyz[:, None], rotation, translation, camera.K, camera.distortion)[0]
    else:
        predicted = cv2.projectPoints(xyz, rotation, translation, camera.K, camera.distortion)[0]
    difference: Floats = px - predicted.reshape(-1, 2)
    return difference
