"""Calibration boards, and their detection in images by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError, shown
from pose3d_ros.structures import Floats

Image = NDArray[np.uint8]
FORM = (
    "chessboard:COLUMNSxROWS:SQUARE (inner corners, m) or charuco:COLUMNSxROWS:SQUARE:MARKER:DICTIONARY (squares, m), "
    "followed by :legacy, :inverted or both if they apply"
)
# Fewer corners of a Charuco board do not determine its pose well.
MIN_CORNERS = 8
MAX_CORNERS = 100  # per side; a square is then 80 px wide in a 65 Mpx image


@dataclass(frozen=True)
class Board:
    """A chessboard of columns x rows inner corners, or a Charuco board of columns x rows squares."""

    columns: int
    rows: int
    square_m: float
    marker_m: float = 0.0
    dictionary: str = ""  # of Charuco markers, such as DICT_4X4_50; empty: a chessboard
    legacy: bool = False  # Charuco layout before OpenCV 4.6: with even rows, the first square has a marker
    inverted: bool = False  # Charuco with black and white swapped

    @property
    def grid(self) -> tuple[int, int]:
        """Inner corners across and down."""
        return (self.columns - 1, self.rows - 1) if self.dictionary else (self.columns, self.rows)

    @property
    def points(self) -> Floats:
        """(N, 3) m: the inner corners in the board's plane, row by row."""
        across, down = self.grid
        x, y = np.meshgrid(np.arange(across), np.arange(down))
        return np.stack([x.ravel(), y.ravel(), np.zeros(across * down)], axis=-1) * self.square_m

    @property
    def turns(self) -> bool:
        """Whether the board looks the same upside down, so that two cameras may number its corners differently."""
        return not self.dictionary and (self.columns + self.rows) % 2 == 0


def parse_board(text: str) -> Board:
    """Parse `chessboard:9x6:0.025` or `charuco:7x5:0.04:0.03:DICT_4X4_50[:legacy]`; raises InputError."""
    kind, *parts = text.split(":")
    kinds = {word for word in parts[4:] if kind == "charuco" and word in ("legacy", "inverted")}
    try:
        if len(parts) > 4 and len(kinds) == len(parts[4:]):
            parts = parts[:4]
        columns, rows = (int(number) for number in parts[0].split("x"))
        lengths = [float(part) for part in parts[1 : 2 if kind == "chessboard" else 3]]
        dictionary = parts[3] if kind == "charuco" else ""
        if kind not in ("chessboard", "charuco") or len(parts) != (2 if kind == "chessboard" else 4):
            raise ValueError(kind)
    except (ValueError, IndexError) as error:
        raise InputError(f"--board is {shown(text)}, expected {FORM}, such as chessboard:9x6:0.025") from error
    if dictionary and not (dictionary.startswith("DICT_") and hasattr(cv2.aruco, dictionary)):
        dictionaries = ", ".join(sorted(name for name in dir(cv2.aruco) if name.startswith("DICT_")))
        raise InputError(f"--board {shown(text)}: unknown dictionary {shown(dictionary)}: use one of {dictionaries}")
    if (
        not 3 <= min(columns, rows) <= max(columns, rows) <= MAX_CORNERS
        or not 0 < lengths[0] < 2
        or not 0 <= lengths[-1] <= lengths[0]
    ):
        raise InputError(
            f"--board {shown(text)}: expected 3 x 3 to {MAX_CORNERS} x {MAX_CORNERS}, squares of less than 2 m "
            "(25 mm is 0.025), and markers smaller than squares"
        )
    if dictionary and (markers := columns * rows // 2) > (available := _marker_count(dictionary)):
        raise InputError(
            f"--board {shown(text)} has {markers} markers, {dictionary} has only {available}: give the dictionary "
            "that the board was printed with, or correct the numbers of squares"
        )
    marker_m = lengths[1] if dictionary else 0.0
    return Board(columns, rows, lengths[0], marker_m, dictionary, "legacy" in kinds, "inverted" in kinds)


def board_text(board: Board) -> str:
    """Format the board as a --board argument."""
    if not board.dictionary:
        return f"chessboard:{board.columns}x{board.rows}:{board.square_m:g}"
    kinds = ":legacy" * board.legacy + ":inverted" * board.inverted
    size = f"{board.columns}x{board.rows}:{board.square_m:g}:{board.marker_m:g}"
    return f"charuco:{size}:{board.dictionary}{kinds}"


def other_kinds(board: Board) -> tuple[Board, ...]:
    """Return the other layouts of a Charuco board, the likeliest first; empty for a chessboard.

    OpenCV detects a board of even rows only with its own layout; with odd rows both layouts are the same board.
    """
    if not board.dictionary:
        return ()
    layouts = (board.legacy, not board.legacy) if board.rows % 2 == 0 else (board.legacy,)
    kinds = [replace(board, legacy=legacy, inverted=inverted) for inverted in (False, True) for legacy in layouts]
    return tuple(kind for kind in kinds if kind != board)


def _marker_count(dictionary: str) -> int:
    """Number of different markers in a dictionary."""
    return len(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary)).bytesList)


def find_board(board: Board, grey: Image) -> tuple[NDArray[np.intp], Floats] | None:
    """Detect the board: indices (n,) into board.points and their pixels (n, 2); None if it is not found.

    A chessboard is detected completely or not at all. Its first square (between corners 0, 1 and the next row's) is
    assumed to be dark, so that cameras on either side number the corners alike, unless board.turns.
    """
    if board.dictionary:
        image = np.asarray(255 - grey, dtype=np.uint8) if board.inverted else grey
        corners, numbers, _, _ = _charuco_detector(board).detectBoard(image)
        if numbers is None or len(numbers) < MIN_CORNERS:
            return None
        return numbers.ravel().astype(np.intp), corners.reshape(-1, 2).astype(np.float64)
    found, corners = cv2.findChessboardCornersSB(grey, board.grid, flags=cv2.CALIB_CB_ACCURACY)
    if not found:
        return None
    px = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    if not board.turns and not _first_square_is_dark(grey, px.reshape(board.rows, board.columns, 2)):
        px = px[::-1].copy()
    return np.arange(len(px)), px


def guess_board(board: Board, images: list[Image]) -> str:
    """Describe the board that the images show instead; empty if none is recognised."""
    if board.dictionary:
        for name in ("DICT_4X4_50", "DICT_5X5_100", "DICT_6X6_250", "DICT_7X7_1000", "DICT_ARUCO_ORIGINAL"):
            detector = cv2.aruco.ArucoDetector(_dictionary(name))
            markers = max(len(detector.detectMarkers(grey)[0]) for grey in images)
            if markers >= 4:
                sets = " (also in smaller and larger sets)" if name != "DICT_ARUCO_ORIGINAL" else ""
                return f"detected {markers} markers of {name}{sets}: are the dictionary, columns and rows right?"
        return ""
    across, down = board.grid
    others = [(across - 1, down - 1), (across + 1, down + 1), (across - 1, down), (across, down - 1)]
    others += [(across + 1, down), (across, down + 1), (across - 2, down - 2), (across - 2, down), (across + 2, down)]
    for size in others:
        if min(size) >= 3 and any(cv2.findChessboardCornersSB(grey, size)[0] for grey in images):
            return (
                f"detected a board of {size[0]}x{size[1]} inner corners: count where four squares meet, and give "
                f"chessboard:{size[0]}x{size[1]}:{board.square_m:g}"
            )
    return ""


def _charuco_detector(board: Board) -> Any:
    size = (board.columns, board.rows)
    charuco = cv2.aruco.CharucoBoard(size, board.square_m, board.marker_m, _dictionary(board.dictionary))
    if board.legacy:
        charuco.setLegacyPattern(True)
    return cv2.aruco.CharucoDetector(charuco)


def _dictionary(name: str) -> Any:
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))


def _first_square_is_dark(grey: Image, px: Floats) -> bool:
    """Whether the squares of the first one's colour are the darker ones; px (rows, columns, 2)."""
    centres = (px[:-1, :-1] + px[1:, :-1] + px[:-1, 1:] + px[1:, 1:]) / 4
    column, row = np.moveaxis(np.rint(centres).astype(int), -1, 0)
    shade = grey[np.clip(row, 0, grey.shape[0] - 1), np.clip(column, 0, grey.shape[1] - 1)].astype(np.float64)
    like_first = np.indices(shade.shape).sum(axis=0) % 2 == 0
    return bool(shade[like_first].mean() < shade[~like_first].mean())
