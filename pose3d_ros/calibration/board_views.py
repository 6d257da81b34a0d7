"""Boards detected in the video or images of one camera, by frame number."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pose3d_ros.calibration.boards import Board, Image, find_board, guess_board, other_kinds
from pose3d_ros.errors import CalibrationError, FootageError, InputError
from pose3d_ros.recordings.encoded_images import read_image
from pose3d_ros.recordings.frame_numbers import frame_numbers
from pose3d_ros.recordings.matched_times import TOGETHER, nearest_index
from pose3d_ros.recordings.video_times import frames_at, video_times
from pose3d_ros.structures import Floats

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm")
GUESS_IMAGES = 3  # images in which a board of another size is searched


@dataclass(frozen=True, eq=False)
class BoardViews:
    """One camera's detections of the board: corner numbers (n,) and px (n, 2) by frame number."""

    camera: str
    size_wh: tuple[int, int]
    image_count: int  # images searched
    corners: Mapping[int, tuple[NDArray[np.intp], Floats]]
    pictures: Mapping[int, str] = field(default_factory=dict)  # file names; empty for a video
    board: Board | None = None  # with the layout that was detected

    def label(self, frame: int) -> str:
        """Return the file name of a frame, or its number in the video."""
        return self.pictures.get(frame, f"frame {frame}")

    def chosen(self, frames: list[int]) -> BoardViews:
        """Return the views of these frames only."""
        return replace(self, corners={frame: self.corners[frame] for frame in frames})


def find_boards(
    board: Board, camera: str, source: str, every: int, progress: bool, alone: bool = True, period_ns: float = 0.0
) -> BoardViews:
    """Detect the board in a video, a folder of images or a glob of them.

    A Charuco board is searched in the given layout, then in the legacy and inverted ones; the first detection decides.
    Frame numbers pair the cameras: those of a video follow its time in steps of period_ns (its own if 0), those of
    images their names (recordings/frame_numbers.py). every: use every n-th image of a video. alone: there is no other
    camera, so any file names will do. Raises FootageError for images that are unreadable or differ in size and for
    names without a number, CalibrationError if the board is found nowhere, with the board that is there instead.
    """
    corners = {}
    size: tuple[int, int] = (0, 0)
    samples: list[Image] = []
    image_count = 0
    pictures = {}
    kinds = (board, *other_kinds(board))
    read = _images(camera, source, every, alone, period_ns)
    images = tqdm(read, desc=f"boards of {camera}", unit="image", disable=not progress)
    for frame, name, image in images:
        if name:
            pictures[frame] = name
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        image_count += 1
        if image_count > 1 and grey.shape[::-1] != size:
            raise FootageError(
                f"camera {camera!r}: image {frame} of {source} is {grey.shape[1]} x {grey.shape[0]} px, the earlier "
                f"ones are {size[0]} x {size[1]} px: calibrate with images of one size"
            )
        size = (grey.shape[1], grey.shape[0])
        for kind in kinds:
            if detection := find_board(kind, grey):
                corners[frame], kinds = detection, (kind,)
                break
        if frame not in corners and len(samples) < GUESS_IMAGES:
            samples.append(grey)
        images.set_postfix(found=len(corners))
    if not corners:
        across, down = board.grid
        guess = guess_board(board, samples) if samples else ""
        raise CalibrationError(
            f"camera {camera!r}: no board of {across} x {down} inner corners in {image_count} images of {source}: "
            f"{guess or 'check that the board is complete, sharp and flat in the images, and that --board is right'}"
        )
    return BoardViews(camera, size, image_count, corners, pictures, kinds[0])


def is_video(source: str) -> bool:
    """Whether a source is a video rather than images."""
    return Path(source).is_file() and Path(source).suffix.lower() not in PICTURES


def pick_diverse(views: BoardViews, frames: list[int], most: int) -> list[int]:
    """Pick at most so many frames that differ most in the position and appearance of the board; sorted.

    The first is the frame nearest the mean; each next one is farthest from those already picked.
    """
    if len(frames) <= most:
        return sorted(frames)
    features = np.array([_appearance(views.corners[frame][1], views.size_wh) for frame in frames])
    picked = [int(np.argmin(np.linalg.norm(features - features.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(features - features[picked[0]], axis=1)
    while len(picked) < most:
        picked.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(features - features[picked[-1]], axis=1))
    return sorted(frames[k] for k in picked)


def _appearance(px: Floats, size_wh: tuple[int, int]) -> Floats:
    """Position, size and foreshortening of a board, as shares of the image."""
    unit = px / max(size_wh)
    spread = np.cov(unit.T)
    return np.array([*unit.mean(axis=0), 2 * np.sqrt(spread[0, 0]), 2 * np.sqrt(spread[1, 1]), 20 * spread[0, 1]])


def _images(camera: str, source: str, every: int, alone: bool, period_ns: float) -> Iterator[tuple[int, str, Image]]:
    """Yield the number, file name (empty for a video) and pixels of each image."""
    path = Path(source)
    if is_video(source):
        times = video_times(path)
        period_ns = period_ns or times.period_ns
        goals = np.arange(0, times.at_ns[-1] + period_ns / 2, every * period_ns)
        frames = nearest_index(times.at_ns, goals)
        # Where frames are lost, the nearest frame is of another moment than the other cameras'.
        near = np.flatnonzero(np.abs(times.at_ns[frames] - goals) <= TOGETHER * period_ns)
        images = frames_at(path, times, frames[near].tolist())
        yield from ((int(k) * every, "", image) for k, image in zip(near, images, strict=False) if image is not None)
        return
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in PICTURES]
    else:
        files = [Path(file) for file in glob.glob(source)]
    if not files:
        raise FootageError(
            f"camera {camera!r}: no image or video at {source}: give CAMERA=VIDEO, a folder or 'left*.png'"
        )
    files.sort()
    try:
        numbers = frame_numbers([file.name for file in files], f"camera {camera!r}")
    except FootageError:
        if not alone:  # images of other cameras could not be paired by number
            raise
        numbers = list(range(len(files)))
    for number, file in sorted(zip(numbers, files, strict=True)):
        try:
            yield number, file.name, read_image(file)
        except InputError as error:
            raise FootageError(f"camera {camera!r}: {error}, or delete it") from error
