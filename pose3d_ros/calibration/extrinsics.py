"""Extrinsics of several cameras from boards that they see at the same time.

Pairs by OpenCV's stereoCalibrate, chained from the first camera over the pairs with the most boards in common, then
bundle adjustment of all cameras and boards (least squares of the pixels, with fixed lenses).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix

from pose3d_ros.calibration.board_views import BoardViews
from pose3d_ros.calibration.boards import MIN_CORNERS, Board
from pose3d_ros.calibration.lenses import LensFit, residuals
from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.structures import Floats, Rig

# One board determines the six parameters of a pair; more limit the effect of a bad board.
MIN_COMMON = 3
# Correctly paired boards converge within 5 steps; wrongly paired ones take hundreds without a useful result.
MAX_STEPS = 15


@dataclass(frozen=True, eq=False)
class RigExtrinsics:
    """The rig in its first camera's frame, with the RMS px of each camera and of each shared board."""

    rig: Rig
    rms_px: dict[str, float]
    frame_px: dict[int, float]  # RMS over the cameras that see the board of a frame

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames in which two or more cameras see the board."""
        return tuple(self.frame_px)


def solve_extrinsics(board: Board, views: list[BoardViews], fits: list[LensFit]) -> RigExtrinsics:
    """Solve the extrinsics of two or more cameras; raises CalibrationError for cameras with too few shared boards."""
    common = {
        (a, b): [frame for frame in fits[a].board_from if frame in fits[b].board_from and _shared(views, a, b, frame)]
        for a, b in combinations(range(len(fits)), 2)
    }
    cam_from_first = {0: np.eye(4)}
    while len(cam_from_first) < len(fits):
        reachable = {
            pair: frames
            for pair, frames in common.items()
            if (pair[0] in cam_from_first) != (pair[1] in cam_from_first)
        }
        a, b = max(reachable, key=lambda pair: len(reachable[pair]))
        if len(reachable[a, b]) < MIN_COMMON:
            missing = ", ".join(fits[k].camera.name for k in range(len(fits)) if k not in cam_from_first)
            raise CalibrationError(
                f"{missing}: at most {len(reachable[a, b])} boards in common with the other cameras, expected at "
                f"least {MIN_COMMON}: show the board to several cameras at once, and check that frame numbers agree"
            )
        b_from_a = _stereo(board, views, fits, a, b, reachable[a, b])
        if a in cam_from_first:
            cam_from_first[b] = b_from_a @ cam_from_first[a]
        else:
            cam_from_first[a] = np.linalg.inv(b_from_a) @ cam_from_first[b]
    return _bundle_adjust(board, views, fits, [cam_from_first[k] for k in range(len(fits))])


def _shared(views: list[BoardViews], a: int, b: int, frame: int) -> bool:
    return len(np.intersect1d(views[a].corners[frame][0], views[b].corners[frame][0])) >= MIN_CORNERS


def _stereo(board: Board, views: list[BoardViews], fits: list[LensFit], a: int, b: int, frames: list[int]) -> Floats:
    """Return b_from_a (4, 4) m. The pixels are undistorted first, so this works for every lens."""
    objects = []
    pixels_a: list[NDArray[np.float32]] = []
    pixels_b: list[NDArray[np.float32]] = []
    for frame in frames:
        numbers, first, second = np.intersect1d(
            views[a].corners[frame][0], views[b].corners[frame][0], return_indices=True
        )
        objects.append(board.points[numbers].astype(np.float32))
        for k, index, pixels in ((a, first, pixels_a), (b, second, pixels_b)):
            camera = fits[k].camera
            ideal = undistort(camera, views[k].corners[frame][1][index])
            pixels.append((ideal @ camera.K[:2, :2].T + camera.K[:2, 2]).astype(np.float32))
    no_distortion = np.zeros(5)
    Ka, Kb = fits[a].camera.K, fits[b].camera.K
    result = cv2.stereoCalibrate(
        objects, pixels_a, pixels_b, Ka, no_distortion, Kb, no_distortion, views[a].size_wh,
        flags=cv2.CALIB_FIX_INTRINSIC,
    )  # fmt: skip
    b_from_a = np.eye(4)
    b_from_a[:3, :3], b_from_a[:3, 3] = result[5], np.ravel(result[6])
    return b_from_a


def _bundle_adjust(
    board: Board, views: list[BoardViews], fits: list[LensFit], cam_from_first: list[Floats]
) -> RigExtrinsics:
    """Optimise all cameras but the first, and all boards that two cameras see, by least squares."""
    observations = [(k, frame) for k, fit in enumerate(fits) for frame in fit.board_from]
    cameras_of = {frame: [k for k, other in observations if other == frame] for _, frame in observations}
    frames = sorted(frame for frame, cameras in cameras_of.items() if len(cameras) > 1)
    observations = [(k, frame) for k, frame in observations if frame in frames]
    start = [_vector(matrix) for matrix in cam_from_first[1:]]
    for frame in frames:  # start from the camera that fits it best
        best = min(cameras_of[frame], key=lambda k: fits[k].error_px[frame])
        start.append(_vector(np.linalg.inv(cam_from_first[best]) @ fits[best].board_from[frame]))
    row_of = {frame: len(fits) - 1 + n for n, frame in enumerate(frames)}

    def residual_parts(parameters: Floats) -> list[Floats]:
        matrices = [_matrix(row) for row in parameters.reshape(-1, 6)]
        parts = []
        for k, frame in observations:
            cam_from_board = (matrices[k - 1] if k else np.eye(4)) @ matrices[row_of[frame]]
            corners, px = views[k].corners[frame]
            parts.append(residuals(fits[k].camera, cam_from_board, board.points[corners], px).ravel())
        return parts

    sizes = [2 * len(views[k].corners[frame][0]) for k, frame in observations]
    sparsity = lil_matrix((sum(sizes), 6 * len(start)), dtype=np.int8)
    row = 0
    for (k, frame), size in zip(observations, sizes, strict=True):
        for column in ([k - 1] if k else []) + [row_of[frame]]:
            sparsity[row : row + size, 6 * column : 6 * column + 6] = 1
        row += size
    solved = least_squares(
        lambda x: np.concatenate(residual_parts(x)),
        np.concatenate(start),
        jac_sparsity=sparsity,
        x_scale="jac",
        method="trf",
        max_nfev=MAX_STEPS,
    )
    adjusted = [np.eye(4), *(_matrix(row) for row in solved.x.reshape(-1, 6)[: len(fits) - 1])]
    labelled = list(zip(observations, residual_parts(solved.x), strict=True))
    rms = {}
    for k, fit in enumerate(fits):
        of_camera = np.concatenate([part for (camera, _), part in labelled if camera == k])
        rms[fit.camera.name] = float(np.sqrt(2 * (of_camera**2).mean()))  # per point, as OpenCV counts
    frame_px = {}
    for frame in frames:
        of_frame = np.concatenate([part for (_, other), part in labelled if other == frame])
        frame_px[frame] = float(np.sqrt(2 * (of_frame**2).mean()))
    cameras = tuple(fit.camera.placed(matrix) for fit, matrix in zip(fits, adjusted, strict=True))
    return RigExtrinsics(Rig(cameras, frame_id=f"{cameras[0].name}_optical"), rms, frame_px)


def _vector(matrix: Floats) -> Floats:
    return np.concatenate([cv2.Rodrigues(matrix[:3, :3])[0].ravel(), matrix[:3, 3]])


def _matrix(vector: Floats) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = cv2.Rodrigues(vector[:3])[0], vector[3:]
    return matrix
