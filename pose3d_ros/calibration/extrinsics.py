"""Where several cameras stand, from boards that they see at the same moment.

Pairs by OpenCV's stereoCalibrate, chained from the first camera over the pairs with most boards in common, then all
cameras and boards together by least squares of the pixels (bundle adjustment; the lenses stay as they are).
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

# One board gives the six numbers of a pair; more so that one bad board does not decide.
MIN_COMMON = 3
# Boards of one moment settle within 5 steps; those of different ones wander for hundreds, to no good end.
MOST_STEPS = 15


@dataclass(frozen=True, eq=False)
class PlacedRig:
    """The rig in its first camera's frame, RMS px of each camera over the boards seen together, and of each board."""

    rig: Rig
    rms_px: dict[str, float]
    frame_px: dict[int, float]  # RMS over the cameras that see the board of a frame

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames in which two cameras or more see the board."""
        return tuple(self.frame_px)


def place_cameras(board: Board, views: list[BoardViews], fits: list[LensFit]) -> PlacedRig:
    """Place two cameras or more; raises CalibrationError that names cameras without enough boards in common."""
    common = {
        (a, b): [frame for frame in fits[a].board_from if frame in fits[b].board_from and _shared(views, a, b, frame)]
        for a, b in combinations(range(len(fits)), 2)
    }
    placed = {0: np.eye(4)}
    while len(placed) < len(fits):
        reachable = {pair: frames for pair, frames in common.items() if (pair[0] in placed) != (pair[1] in placed)}
        a, b = max(reachable, key=lambda pair: len(reachable[pair]))
        if len(reachable[a, b]) < MIN_COMMON:
            outside = ", ".join(fits[k].camera.name for k in range(len(fits)) if k not in placed)
            raise CalibrationError(
                f"{outside}: at most {len(reachable[a, b])} boards are seen at the same moment as by the other "
                f"cameras, at least {MIN_COMMON} are needed: show the board to cameras together, and check that frame "
                "numbers agree"
            )
        b_from_a = _stereo(board, views, fits, a, b, reachable[a, b])
        if a in placed:
            placed[b] = b_from_a @ placed[a]
        else:
            placed[a] = np.linalg.inv(b_from_a) @ placed[b]
    return _adjusted(board, views, fits, [placed[k] for k in range(len(fits))])


def _shared(views: list[BoardViews], a: int, b: int, frame: int) -> bool:
    return len(np.intersect1d(views[a].corners[frame][0], views[b].corners[frame][0])) >= MIN_CORNERS


def _stereo(board: Board, views: list[BoardViews], fits: list[LensFit], a: int, b: int, frames: list[int]) -> Floats:
    """b_from_a (4, 4) m. The pixels are undistorted first, so that it serves every lens."""
    objects = []
    seen_a: list[NDArray[np.float32]] = []
    seen_b: list[NDArray[np.float32]] = []
    for frame in frames:
        numbers, first, second = np.intersect1d(
            views[a].corners[frame][0], views[b].corners[frame][0], return_indices=True
        )
        objects.append(board.points[numbers].astype(np.float32))
        for k, index, seen in ((a, first, seen_a), (b, second, seen_b)):
            camera = fits[k].camera
            ideal = undistort(camera, views[k].corners[frame][1][index])
            seen.append((ideal @ camera.K[:2, :2].T + camera.K[:2, 2]).astype(np.float32))
    none = np.zeros(5)
    Ka, Kb = fits[a].camera.K, fits[b].camera.K
    result = cv2.stereoCalibrate(
        objects, seen_a, seen_b, Ka, none, Kb, none, views[a].size_wh, flags=cv2.CALIB_FIX_INTRINSIC
    )
    b_from_a = np.eye(4)
    b_from_a[:3, :3], b_from_a[:3, 3] = result[5], np.ravel(result[6])
    return b_from_a


def _adjusted(board: Board, views: list[BoardViews], fits: list[LensFit], placed: list[Floats]) -> PlacedRig:
    """All cameras but the first, and all boards that two cameras see, by least squares."""
    sightings = [(k, frame) for k, fit in enumerate(fits) for frame in fit.board_from]
    seen_by = {frame: [k for k, other in sightings if other == frame] for _, frame in sightings}
    frames = sorted(frame for frame, cameras in seen_by.items() if len(cameras) > 1)
    sightings = [(k, frame) for k, frame in sightings if frame in frames]
    start = [_vector(place) for place in placed[1:]]
    for frame in frames:  # as the camera that fits it best has it
        best = min(seen_by[frame], key=lambda k: fits[k].error_px[frame])
        start.append(_vector(np.linalg.inv(placed[best]) @ fits[best].board_from[frame]))
    row_of = {frame: len(fits) - 1 + n for n, frame in enumerate(frames)}

    def parts(numbers: Floats) -> list[Floats]:
        matrices = [_matrix(row) for row in numbers.reshape(-1, 6)]
        found = []
        for k, frame in sightings:
            place = matrices[k - 1] if k else np.eye(4)
            corners, px = views[k].corners[frame]
            found.append(residuals(fits[k].camera, place @ matrices[row_of[frame]], board.points[corners], px).ravel())
        return found

    sizes = [2 * len(views[k].corners[frame][0]) for k, frame in sightings]
    sparsity = lil_matrix((sum(sizes), 6 * len(start)), dtype=np.int8)
    row = 0
    for (k, frame), size in zip(sightings, sizes, strict=True):
        for column in ([k - 1] if k else []) + [row_of[frame]]:
            sparsity[row : row + size, 6 * column : 6 * column + 6] = 1
        row += size
    solved = least_squares(
        lambda x: np.concatenate(parts(x)),
        np.concatenate(start),
        jac_sparsity=sparsity,
        x_scale="jac",
        method="trf",
        max_nfev=MOST_STEPS,
    )
    moved = [np.eye(4), *(_matrix(row) for row in solved.x.reshape(-1, 6)[: len(fits) - 1])]
    found = parts(solved.x)
    rms = {}
    for k, fit in enumerate(fits):
        mine = np.concatenate([part for (camera, _), part in zip(sightings, found, strict=True) if camera == k])
        rms[fit.camera.name] = float(np.sqrt(2 * (mine**2).mean()))  # over points, as OpenCV counts
    frame_px = {}
    for frame in frames:
        of_frame = np.concatenate([part for (_, other), part in zip(sightings, found, strict=True) if other == frame])
        frame_px[frame] = float(np.sqrt(2 * (of_frame**2).mean()))
    cameras = tuple(fit.camera.placed(place) for fit, place in zip(fits, moved, strict=True))
    return PlacedRig(Rig(cameras, frame_id=f"{cameras[0].name}_optical"), rms, frame_px)


def _vector(matrix: Floats) -> Floats:
    return np.concatenate([cv2.Rodrigues(matrix[:3, :3])[0].ravel(), matrix[:3, 3]])


def _matrix(vector: Floats) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = cv2.Rodrigues(vector[:3])[0], vector[3:]
    return matrix
