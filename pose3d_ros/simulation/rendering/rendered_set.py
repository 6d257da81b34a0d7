"""Rendered scenes on disk: images of every camera, the rig, and the truth about all people in them (NumPy).

A scene is a folder: rig.yaml; <camera>/000000.jpg, ... or <camera>.mp4; truth.npz; scene.json, which describes it for
people. docs/rendering.md names every array.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.cache import sha256_of
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.files.archives import npz_arrays
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import TRUTH, read_text, reading, refused
from pose3d_ros.files.media import open_video
from pose3d_ros.recordings.encoded_images import read_image
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.simulation.rendering.renderer import RenderedFrame
from pose3d_ros.simulation.rendering.scenes import Plan
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Camera, Floats, FrameSet, Rig

# MPEG-4 part 2 is what every OpenCV wheel writes; JPEG's quality keeps the noise of the sensor.
CODEC, QUALITY = "mp4v", 92
NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of a scene; V cameras, T frames, P people, world z up."""

    fps: float
    joints_m: Floats  # (T, P, 17, 3) h36m_17: where bones of the body begin
    coco_m: Floats  # (T, P, 17, 3) COCO-17: points that Anny's regressor makes of the skin
    visibility: NDArray[np.uint8]  # (V, T, P, 17) tracing.Visibility of the COCO points
    boxes_px: Floats  # (V, T, P, 4) left, top, right, bottom; NaN: outside of the image
    stature_m: Floats  # (P,)
    age_years: Floats  # (P,)
    female: NDArray[np.bool_]  # (P,)

    def __post_init__(self) -> None:
        T, P = self.joints_m.shape[:2]
        V = len(self.visibility)
        wanted = {
            "joints_m": (T, P, H36M_17.size, 3), "coco_m": (T, P, COCO_17.size, 3),
            "visibility": (V, T, P, COCO_17.size), "boxes_px": (V, T, P, 4), "stature_m": (P,), "age_years": (P,),
            "female": (P,),
        }  # fmt: skip
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype.kind not in "biuf":
                raise InputError(f"truth: {name} is {array.dtype} of shape {array.shape}, expected numbers of {shape}")
        if not 0 < self.fps < np.inf:
            raise InputError(f"truth: {self.fps:g} frames a second, expected more than 0")


@dataclass(frozen=True, eq=False)
class RenderedScene:
    """A scene that was written before."""

    folder: Path
    rig: Rig
    truth: Truth

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def fps(self) -> float:
        """Moments a second."""
        return self.truth.fps

    @property
    def moments_ns(self) -> NDArray[np.int64]:
        """(T,) when each moment was taken."""
        return NS + np.round(np.arange(len(self)) * NS / self.fps).astype(np.int64)

    @property
    def t0_ns(self) -> int:
        """When the first moment was taken."""
        return NS

    def __len__(self) -> int:
        return len(self.truth.joints_m)

    def read(self, start: int = 0) -> Iterator[FrameSet]:
        """Moments from number start on; raises FootageError or InputError for an image that is missing or damaged."""
        films = {name: _images(self.folder, name, start, len(self)) for name in self.rig.names}
        for stamp in self.moments_ns[start:].tolist():
            yield FrameSet({name: next(film) for name, film in films.items()}, dict.fromkeys(films, stamp))

    def identity(self) -> dict[str, Any]:
        """What must be equal to resume a run."""
        return {"rendered": str(self.folder.resolve()), "truth": sha256_of(self.folder / "truth.npz")}


def write_scene(
    folder: Path, plan: Plan, frames: Iterable[RenderedFrame], settings: dict[str, Any], *, video: bool
) -> Iterator[int]:
    """Write a scene as its frames come, scene.json last; yields how many are written.

    Raises FootageError where a file cannot be written, InputError for a video of odd sides.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_rig(plan.rig, folder / "rig.yaml")
    for camera in plan.rig.cameras:  # of a run that was stopped: a video would be read instead of the JPEGs
        (folder / f"{camera.name}.mp4").unlink(missing_ok=True)
    films = {camera.name: _film(folder, camera, plan.request.fps) for camera in plan.rig.cameras} if video else {}
    visibility, boxes = [], []
    try:
        for number, frame in enumerate(frames):
            visibility.append(frame.visibility)
            boxes.append(frame.boxes_px)
            for name, image in frame.images.items():
                if video:
                    films[name].write(image)
                    continue
                path = folder / name / f"{number:06d}.jpg"
                path.parent.mkdir(exist_ok=True)
                if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
                    raise FootageError(f"{path} cannot be written: is the disk full?")
            yield number + 1
    finally:
        for film in films.values():
            film.release()
    truth = Truth(
        fps=plan.request.fps,
        joints_m=np.stack([body.joints for body in plan.bodies], axis=1),
        coco_m=np.stack([body.coco for body in plan.bodies], axis=1),
        visibility=np.stack(visibility, axis=1),
        boxes_px=np.stack(boxes, axis=1),
        stature_m=np.array([shape.stature_m for shape in plan.shapes]),
        age_years=np.array([shape.age_years for shape in plan.shapes]),
        female=np.array([shape.female for shape in plan.shapes]),
    )
    np.savez_compressed(folder / "truth.npz", **{name: getattr(truth, name) for name in Truth.__dataclass_fields__})
    people = [
        {"motion": action, "shape": asdict(shape), "outfit": asdict(outfit)}
        for action, shape, outfit in zip(plan.actions, plan.shapes, plan.outfits, strict=True)
    ]
    text = json.dumps({"settings": settings, "exposure_s": plan.exposure_s, "people": people}, indent=1)
    (folder / "scene.json").write_text(text + "\n", encoding="utf-8")


def settings_of(folder: Path) -> dict[str, Any] | None:
    """What a scene was rendered with; None where it is not there, or unfinished."""
    path = folder / "scene.json"
    if not path.exists():
        return None
    content = json_content(read_text(path, TRUTH), str(path), TRUTH)
    with reading(path, TRUTH):
        return dict(content["settings"])


def _film(folder: Path, camera: Camera, fps: float) -> cv2.VideoWriter:
    path = folder / f"{camera.name}.mp4"
    if any(side % 2 for side in camera.size_wh):
        raise InputError(
            f"{path}: images of {camera.size_wh[0]} x {camera.size_wh[1]} px are no MPEG-4 video, expected even sides: "
            "leave out --video, or give a smaller --size"
        )
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODEC), fps, camera.size_wh)
    if not film.isOpened():
        raise FootageError(f"{path} cannot be written: this OpenCV has no {CODEC}; leave out --video")
    return film


def load_scene(folder: Path | str) -> RenderedScene:
    """Read a scene's rig and truth; raises FootageError for a folder that `pose3d render` did not write."""
    folder = Path(folder)
    arrays = npz_arrays(folder / "truth.npz", TRUTH)
    try:
        with reading(folder / "truth.npz", TRUTH):
            values: dict[str, Any] = {name: np.asarray(arrays[name]) for name in Truth.__dataclass_fields__}
            truth = Truth(**{**values, "fps": float(values["fps"])})
    except InputError as error:
        raise refused(folder / "truth.npz", TRUTH, error) from error
    rig = load_rig(folder / "rig.yaml")
    if len(rig.cameras) != len(truth.visibility):
        raise FootageError(
            f"{folder}: rig.yaml has {len(rig.cameras)} cameras, truth.npz {len(truth.visibility)}: {TRUTH.fix}"
        )
    return RenderedScene(folder, rig, truth)


def load_scenes(folders: Iterable[Path | str]) -> list[RenderedScene]:
    """All scenes in and below these folders, each once; raises FootageError for a folder without any."""
    scenes: dict[Path, RenderedScene] = {}
    for top in map(Path, folders):
        found = sorted(path.parent for path in top.rglob("truth.npz"))
        if not found:
            raise FootageError(f"{top} contains no rendered scene (truth.npz): write some with `pose3d render`")
        scenes |= {folder.resolve(): load_scene(folder) for folder in found if folder.resolve() not in scenes}
    return list(scenes.values())


def _images(folder: Path, camera: str, start: int, count: int) -> Iterator[NDArray[np.uint8]]:
    path = folder / f"{camera}.mp4"
    if not path.exists():
        for number in range(start, count):
            yield read_image(folder / camera / f"{number:06d}.jpg")
        return
    film = open_video(path)
    try:
        for number in range(count):
            found, image = film.read()
            if not found:
                raise FootageError(f"{path} ends after {number} of {count} frames: render it again")
            if number >= start:
                yield np.asarray(image, dtype=np.uint8)
    finally:
        film.release()
