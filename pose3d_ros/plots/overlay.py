"""overlay.mp4: every camera's video with the detected 2D joints and the 3D people projected back."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from pose3d_ros.errors import FootageError
from pose3d_ros.geometry.projection import project
from pose3d_ros.plots.palette import UNKNOWN, PersonColours
from pose3d_ros.recordings.footage import read_video
from pose3d_ros.recordings.recording import Recording, Seen2D
from pose3d_ros.structures import Camera, Floats, PersonState, Pose3D

Image = NDArray[np.uint8]
BGR = tuple[int, int, int]

MAX_SIZE_WH = (1920, 1080)  # px of the whole picture: what every player and screen takes
GAP = 2  # px between tiles
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
AXIS_M = 0.12  # length of a joint's axes
AXES_BGR = ((0, 0, 255), (0, 255, 0), (255, 96, 0))  # x, y, z, as RViz has them
NOT_SEEN = 0.45  # brightness of the bones of a person who is predicted only


@dataclass(frozen=True, eq=False)
class Shown:
    """One moment of the overlay."""

    frame: int
    images: Mapping[str, Image]  # by camera; one that is missing stays black
    pose: Pose3D | None
    seen: Mapping[str, Seen2D]


def write_overlay(
    recording: Recording, videos: Mapping[str, Path], path: Path | str, *, progress: bool = True, slow_down: float = 2.0
) -> None:
    """Write the video of the first loop with write_moments, slow_down times slower than recorded."""
    cameras = recording.rig.cameras
    frames = min(recording.frame_sets_sent, recording.frames_per_loop)
    poses = {recording.frame_index(pose.stamp_ns): pose for pose in recording.poses}
    seen = {
        name: {recording.frame_index(stamp): people for stamp, people in by_stamp.items()}
        for name, by_stamp in recording.keypoints.items()
    }
    # Not strict: a video that ends early ends the picture.
    together = zip(*[read_video(videos[camera.name], stop=frames) for camera in cameras], strict=False)
    moments = (
        Shown(
            frame,
            {camera.name: image for camera, image in zip(cameras, images, strict=True)},
            poses.get(frame),
            {name: by_frame[frame] for name, by_frame in seen.items() if frame in by_frame},
        )
        for frame, images in enumerate(together)
    )
    shown = tqdm(moments, total=frames, desc="overlay", disable=not progress)
    write_moments(cameras, shown, path, recording.fps / slow_down)


def write_moments(cameras: Sequence[Camera], moments: Iterable[Shown], path: Path | str, fps: float) -> int:
    """Write a video: dots are detected joints, lines the bones of 3D people projected back; returns its frames.

    Joints have their axes, x red, y green, z blue; only z, along the limb, where its twist is not known.
    Colours and numbers stand for the person ids; grey dots have no id, dark bones are predictions of people not seen.
    H.264 where this OpenCV can encode it, else MPEG-4 part 2. Raises FootageError for a path that cannot be written,
    and whatever the moments raise.
    """
    columns, scale = layout([camera.size_wh for camera in cameras])
    small = [camera.resized(_scaled(camera.size_wh, scale)) for camera in cameras]
    writer: cv2.VideoWriter | None = None
    written = 0
    colours_of = PersonColours()
    try:
        for one in moments:
            colours = {person: rgb[::-1] for person, rgb in colours_of(_ids(one)).items()}
            tiles = [_tile(camera, one, colours) for camera in small]
            picture = _grid(tiles, columns)
            people = 0 if one.pose is None else int((one.pose.state == PersonState.VISIBLE).sum())
            _label(picture, f"frame {one.frame}   {people} {'person' if people == 1 else 'people'} in 3D", (12, 28))
            writer = writer or open_writer(path, fps, (picture.shape[1], picture.shape[0]))
            writer.write(picture)
            written += 1
    finally:
        if writer is not None:
            writer.release()
    return written


def _ids(shown: Shown) -> list[str]:
    """All people drawn at one moment, in any camera."""
    posed = () if shown.pose is None else shown.pose.ids
    return [one for one in (*posed, *(one for _, ids in shown.seen.values() for one in ids)) if one]


def _tile(camera: Camera, shown: Shown, colours: Mapping[str, BGR]) -> Image:
    """One camera's part of the picture; camera is the resized one."""
    image, seen = shown.images.get(camera.name), shown.seen.get(camera.name)
    if image is None:  # its detections are not drawn either
        image, seen = np.zeros((camera.size_wh[1], camera.size_wh[0], 3), dtype=np.uint8), None
    return draw_tile(camera, image, shown.pose, seen, colours)


def layout(sizes_wh: Sequence[tuple[int, int]]) -> tuple[int, float]:
    """Columns of the grid, and the scale of the images, that make the tiles as large as MAX_SIZE_WH allows."""
    width, height = (max(size[k] for size in sizes_wh) for k in (0, 1))

    def scale(columns: int) -> float:
        rows = -(-len(sizes_wh) // columns)
        across = (MAX_SIZE_WH[0] - GAP * (columns - 1)) / (columns * width)
        return min(across, (MAX_SIZE_WH[1] - GAP * (rows - 1)) / (rows * height), 1.0)

    def squat(columns: int) -> float:
        """How near the picture's shape is to the screen's."""
        shape = columns * width / (-(-len(sizes_wh) // columns) * height)
        return -abs(math.log(shape * MAX_SIZE_WH[1] / MAX_SIZE_WH[0]))

    # Small images fit unshrunk in several ways.
    columns = max(range(1, len(sizes_wh) + 1), key=lambda columns: (scale(columns), squat(columns)))
    return columns, scale(columns)


def draw_tile(
    camera: Camera, image: Image, pose: Pose3D | None, seen: Seen2D | None, colours: Mapping[str, BGR]
) -> Image:
    """The image shrunk to the camera's size_wh (a resized camera), with people drawn in.

    seen holds px of the original image.
    """
    original = np.array([image.shape[1], image.shape[0]])
    tile = np.asarray(cv2.resize(image, camera.size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if pose is not None:
        for row, one in enumerate(pose.ids):
            bright = 1.0 if pose.state[row] == PersonState.VISIBLE else NOT_SEEN
            _draw_bones(tile, camera, pose, row, _dimmed(colours.get(one, UNKNOWN), bright))
            _draw_axes(tile, camera, pose, row, bright)
    if seen is not None:
        shrink = np.array(camera.size_wh) / original
        for joints, one in zip(seen[0].xy, seen[1], strict=True):
            for x, y in joints[np.isfinite(joints).all(axis=1)] * shrink:
                centre = (round(float(x)), round(float(y)))
                cv2.circle(tile, centre, 4, BLACK, -1, cv2.LINE_AA)
                cv2.circle(tile, centre, 3, colours.get(one, UNKNOWN), -1, cv2.LINE_AA)
    _label(tile, camera.name, (12, tile.shape[0] - 14))
    return tile


def open_writer(path: Path | str, fps: float, size_wh: tuple[int, int]) -> cv2.VideoWriter:
    """A video writer, H.264 or else MPEG-4 part 2; raises FootageError when neither opens."""
    for fourcc in (b"avc1", b"mp4v"):
        with _quiet():
            writer = cv2.VideoWriter(str(path), int.from_bytes(fourcc, "little"), fps, size_wh)
        if writer.isOpened():
            return writer
        writer.release()
    raise FootageError(f"video {path} cannot be written: check that its folder exists and is writable")


def _draw_bones(tile: Image, camera: Camera, pose: Pose3D, row: int, colour: BGR) -> None:
    """One person's bones, and the id above the highest joint."""
    xy = _drawable(camera, pose.xyz[row])
    known = np.asarray(np.isfinite(xy).all(axis=1))
    if not known.any():
        return
    points = np.round(np.nan_to_num(xy)).astype(int)
    ends = [(points[a].tolist(), points[b].tolist()) for a, b in pose.skeleton.bones if known[a] and known[b]]
    for shade, width in ((BLACK, 5), (colour, 3)):
        for start, end in ends:
            cv2.line(tile, start, end, shade, width, cv2.LINE_AA)
    top = points[known][points[known][:, 1].argmin()]
    _label(tile, pose.ids[row], (int(top[0]) - 6, max(int(top[1]) - 22, 60)), colour)


def _draw_axes(tile: Image, camera: Camera, pose: Pose3D, row: int, bright: float) -> None:
    """The axes of one person's joints whose orientation is known, those that are measured."""
    known = np.flatnonzero(np.isfinite(pose.orientation[row]).all(axis=1))
    if not len(known):
        return
    axes = AXIS_M * Rotation.from_quat(pose.orientation[row, known]).as_matrix().swapaxes(-1, -2)  # (N, axis, 3) m
    axes[np.isnan(pose.orientation_std[row, known, 2]), :2] = np.nan
    start = _drawable(camera, pose.xyz[row, known])
    for axis, colour in enumerate(AXES_BGR):
        end = _drawable(camera, pose.xyz[row, known] + axes[:, axis])
        for a, b in np.stack([start, end], axis=1)[np.isfinite(start + end).all(axis=1)].round().astype(int).tolist():
            cv2.line(tile, a, b, _dimmed(colour, bright), 2, cv2.LINE_AA)


def _drawable(camera: Camera, xyz: Floats) -> Floats:
    """Points (N, 3) m as (N, 2) px; NaN where they cannot be drawn."""
    xy = project(camera, xyz)
    # Far outside the image a lens model says nothing, and cv2 draws only 16-bit coordinates well.
    return np.where(np.abs(xy) > 4 * max(camera.size_wh), np.nan, xy)


def _label(image: Image, text: str, origin: tuple[int, int], colour: BGR = WHITE) -> None:
    for shade, width in ((BLACK, 4), (colour, 2)):
        cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.7, shade, width, cv2.LINE_AA)


def _grid(tiles: Sequence[Image], columns: int) -> Image:
    """Arrange tiles in a grid on black, with even sides as video requires."""
    width, height = max(tile.shape[1] for tile in tiles), max(tile.shape[0] for tile in tiles)
    rows = -(-len(tiles) // columns)
    across, down = columns * width + GAP * (columns - 1), rows * height + GAP * (rows - 1)
    picture = np.zeros((down + down % 2, across + across % 2, 3), dtype=np.uint8)
    for k, tile in enumerate(tiles):
        x, y = (k % columns) * (width + GAP), (k // columns) * (height + GAP)
        picture[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return picture


def _scaled(size_wh: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, int(size_wh[0] * scale)), max(1, int(size_wh[1] * scale))


def _dimmed(colour: BGR, share: float) -> BGR:
    return int(colour[0] * share), int(colour[1] * share), int(colour[2] * share)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep FFmpeg's complaints about encoders it lacks off stderr: trying is how one finds out."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
