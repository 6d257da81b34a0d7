"""2D people from files that other programs wrote: OpenPose's folders of JSON, and COCO's keypoint results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pose3d_ros.data.frame_source import WHOLE, Cut, Timeline, timeline
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import KEYPOINTS, read_text
from pose3d_ros.skeletons import BODY_25, BODY_25B, COCO_17
from pose3d_ros.structures import Floats, Keypoints2D, Rig, Skeleton

# By the number of points that a person has in an OpenPose file.
OPENPOSE_ORDERS: Mapping[int, tuple[Skeleton, ...]] = {25: (BODY_25, BODY_25B), 17: (COCO_17,)}
# People whose bones tell BODY_25 from BODY_25B. On the sample's files the wrong order makes bones 2.8 times as long.
ENOUGH_PEOPLE = 50
CLEARLY_SHORTER = 0.8


class KeypointFile(Protocol):
    """One camera's 2D people by the number of the frame."""

    @property
    def skeleton(self) -> Skeleton:
        """The order of the points."""
        ...

    @property
    def span(self) -> tuple[int, int]:
        """The first frame's number, and one past the last's."""
        ...

    def people(self, frame: int) -> Floats:
        """x, y in px of the original image and score in [0, 1], (P, J, 3); a point that is not seen has score 0."""
        ...


@dataclass(frozen=True)
class OpenPoseFolder:
    """One JSON file a frame, as OpenPose's --write_json leaves them."""

    skeleton: Skeleton
    files: Mapping[int, Path]

    @property
    def span(self) -> tuple[int, int]:
        """The first frame's number, and one past the last's."""
        return min(self.files), max(self.files) + 1

    def people(self, frame: int) -> Floats:
        """x, y px and score (P, J, 3); raises FootageError for a file of another form."""
        return _points(_openpose_people(self.files[frame]), self.skeleton, self.files[frame])


@dataclass(frozen=True, eq=False)
class CocoResults:
    """One file with the people of all frames, COCO's keypoint results; image_id is the frame's number."""

    skeleton: Skeleton
    span: tuple[int, int]
    by_frame: Mapping[int, Floats]  # (P, 17, 3)

    def people(self, frame: int) -> Floats:
        """x, y px and score (P, 17, 3); a frame that the file does not name has nobody."""
        return self.by_frame.get(frame, np.zeros((0, self.skeleton.size, 3)))


@dataclass(frozen=True)
class KeypointFrames:
    """Keypoint files of several cameras as a FrameSource."""

    name: str
    rig: Rig
    files: Mapping[str, KeypointFile]
    timeline: Timeline

    @property
    def fps(self) -> float:
        """Moments a second of capture time."""
        return self.timeline.fps / self.timeline.step

    @property
    def t0_ns(self) -> int:
        """Capture stamp of the first moment: time in the recording."""
        return self.timeline.stamp_ns(0)

    def __len__(self) -> int:
        return self.timeline.moments

    def read(self, start: int = 0) -> Iterator[dict[str, Keypoints2D]]:
        """Moments from number start on; raises FootageError for a file of another form."""
        for k in range(start, len(self)):
            stamp_ns = self.timeline.stamp_ns(k)
            yield {
                camera: _keypoints(file.people(self.timeline.frame(camera, k)), file.skeleton, stamp_ns)
                for camera, file in self.files.items()
            }

    def identity(self) -> dict[str, Any]:
        """Skeletons and offsets, and how frames are taken."""
        line = self.timeline
        files = {
            camera: f"{file.skeleton.name} from frame {file.span[0]}, {line.late[camera]} frames late"
            for camera, file in self.files.items()
        }
        return {"keypoints": files, "names": self.name, "fps": line.fps, "first frame": line.first, "stride": line.step}


def open_keypoint_frames(
    rig: Rig, paths: Mapping[str, Path], fps: float, cut: Cut = WHOLE, order: str = "auto"
) -> KeypointFrames:
    """The keypoint files by camera, as open_keypoints opens each; raises InputError for lengths that differ."""
    files = {camera: open_keypoints(path, order) for camera, path in paths.items()}
    # A results file says nothing of frames without people, so neither where it ends: it is as long as the longest.
    longest = max(file.span[1] for file in files.values())
    spans = {
        camera: (file.span[0], longest if isinstance(file, CocoResults) else file.span[1])
        for camera, file in files.items()
    }
    name = ", ".join(path.name for path in paths.values())
    return KeypointFrames(name, rig.subset(list(paths)), files, timeline(spans, fps, cut))


def open_keypoints(path: Path, order: str = "auto") -> KeypointFile:
    """The people of one camera: a folder of OpenPose JSON files, one a frame, or a file of COCO keypoint results.

    order: body_25 or body_25b for people of 25 points; auto takes the one in which bones are clearly shorter. Raises
    FootageError for what is neither or has a frame missing, InputError where the order cannot be told.
    """
    if path.is_dir():
        return _openpose(path, order)
    if path.is_file():
        return _coco(path)
    raise FootageError(
        f"keypoints {path}: no such file or folder: give a folder of OpenPose JSON files or a COCO results file"
    )


def _openpose(folder: Path, order: str) -> OpenPoseFolder:
    numbered = {path: re.findall(r"\d+", path.stem) for path in sorted(folder.glob("*.json"))}
    files: dict[int, Path] = {}
    for path, numbers in numbered.items():
        if not numbers:
            continue
        # The last number: OpenPose writes <video>_000000000012_keypoints.json, and a video's name may hold numbers.
        if (frame := int(numbers[-1])) in files:
            raise FootageError(
                f"keypoints {folder}: {files[frame].name} and {path.name} are both frame {frame}: keep one camera's "
                "files in a folder"
            )
        files[frame] = path
    if not files:
        raise FootageError(
            f"keypoints {folder} holds no numbered .json file: give the folder of OpenPose's --write_json"
        )
    missing = [frame for frame in range(min(files), max(files)) if frame not in files]
    if missing:
        raise FootageError(
            f"keypoints {folder}: frame {missing[0]} is missing ({len(missing)} in all, expected one file for each of "
            f"{min(files)} to {max(files)}): write them again, or put files with an empty list of people there"
        )
    return OpenPoseFolder(_order(folder, files, order), files)


def _order(folder: Path, files: Mapping[int, Path], wanted: str) -> Skeleton:
    """The skeleton whose order the people of a folder have."""
    everybody = ((path, person) for path in files.values() for person in _openpose_people(path))
    some = list(islice(everybody, ENOUGH_PEOPLE))
    if not some:
        raise InputError(f"keypoints {folder}: there is nobody in any file: is it the right folder?")
    size = len(some[0][1]) // 3
    known = OPENPOSE_ORDERS.get(size, ())
    if wanted != "auto":
        known = tuple(one for one in known if one.name == wanted)
    if not known:
        raise InputError(
            f"keypoints {folder}: people have {size} points, expected 25 (body_25, body_25b) or 17 (coco_17"
            f"{'' if wanted == 'auto' else f'; --keypoint-order says {wanted}'}): write them with such a model"
        )
    lengths = {
        one.name: np.mean([_bone_length(_points([person], one, path)[0], one) for path, person in some])
        for one in known
    }
    best, *others = sorted(known, key=lambda one: lengths[one.name])
    if others and not lengths[best.name] < CLEARLY_SHORTER * lengths[others[0].name]:
        raise InputError(
            f"keypoints {folder}: the points do not tell whether their order is {best.name} or {others[0].name}: say "
            f"it with --keypoint-order"
        )
    return best


def _bone_length(points: Floats, skeleton: Skeleton) -> float:
    """Mean length (px) of the bones of one person (J, 3) of which both ends are seen; 0 without any."""
    parent, child = np.array(skeleton.bones).T
    seen = (points[parent, 2] > 0) & (points[child, 2] > 0)
    length = np.linalg.norm(points[parent, :2] - points[child, :2], axis=-1)
    return float(length[seen].sum() / max(seen.sum(), 1))


def _openpose_people(path: Path) -> list[Any]:
    """The flat lists x, y, score of one file's people."""
    try:
        return [person["pose_keypoints_2d"] for person in _json(path)["people"]]
    except (KeyError, TypeError) as error:
        raise FootageError(
            f"keypoints {path} has not OpenPose's form ({error!r}; expected people with pose_keypoints_2d)"
        ) from error


def _coco(path: Path) -> CocoResults:
    entries = _json(path)
    rows: dict[int, list[Any]] = {}
    try:
        for entry in entries:
            numbers = re.findall(r"\d+", str(entry["image_id"]))
            rows.setdefault(int(numbers[-1]), []).append(entry["keypoints"])
    except (KeyError, TypeError, IndexError) as error:
        raise FootageError(
            f"keypoints {path} has not the form of COCO keypoint results ({error!r}; expected a list of image_id, "
            "keypoints, score)"
        ) from error
    if not rows:
        raise FootageError(f"keypoints {path}: there is nobody in it: is it the right file?")
    return CocoResults(
        COCO_17, (0, max(rows) + 1), {frame: _points(people, COCO_17, path) for frame, people in rows.items()}
    )


def _points(people: list[Any], skeleton: Skeleton, path: Path) -> Floats:
    """Flat lists as points (P, J, 3)."""
    try:
        points = np.array(people, dtype=np.float64).reshape(len(people), skeleton.size, 3)
    except (ValueError, TypeError) as error:
        sizes = sorted({len(person) if isinstance(person, list) else 0 for person in people})
        raise FootageError(
            f"keypoints {path}: people have {', '.join(map(str, sizes))} numbers, expected {3 * skeleton.size}: x, y, "
            f"score of the {skeleton.size} points of {skeleton.name}"
        ) from error
    return points


def _keypoints(points: Floats, skeleton: Skeleton, stamp_ns: int) -> Keypoints2D:
    # A heatmap's maximum may lie a little above 1.
    score = np.clip(np.nan_to_num(points[..., 2]), 0.0, 1.0)
    return Keypoints2D(np.where(score[..., None] > 0, points[..., :2], np.nan), score, skeleton, stamp_ns)


def _json(path: Path) -> Any:
    return json_content(read_text(path, KEYPOINTS), str(path), KEYPOINTS)
