"""2D people from files of other programs: OpenPose's folders of JSON, and COCO's keypoint results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import gcd
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import FootageError, InputError, shown
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import KEYPOINTS, read_text
from pose3d_ros.recordings.coco_files import CocoFile, coco_file, points_of
from pose3d_ros.recordings.frame_numbers import frame_numbers
from pose3d_ros.recordings.frame_source import WHOLE, Cut, check_ends, clock_words
from pose3d_ros.skeletons import BODY_25, BODY_25B, COCO_17
from pose3d_ros.structures import Floats, Keypoints2D, Rig, Skeleton

# By the number of points that a person has in an OpenPose file.
OPENPOSE_ORDERS: Mapping[int, tuple[Skeleton, ...]] = {25: (BODY_25, BODY_25B), 17: (COCO_17,)}
# People whose bones distinguish BODY_25 from BODY_25B. In the sample, the wrong order makes bones 2.8 times longer.
ENOUGH_PEOPLE = 50
CLEARLY_SHORTER = 0.8


# Moments per frame in a file: one absurd number among small ones would give millions of moments without a person.
MAX_MOMENTS = 1000


class KeypointFile(Protocol):
    """One camera's 2D people by the number of the frame."""

    @property
    def skeleton(self) -> Skeleton:
        """The order of the points."""
        ...

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the frames that the file names, rising."""
        ...

    def people(self, frame: int) -> Floats | None:
        """x, y in px of the original image and score in [0, 1], (P, J, 3); None for a missing frame.

        A missing point has score 0.
        """
        ...


@dataclass(frozen=True)
class OpenPoseFolder:
    """One JSON file per frame, as written by OpenPose's --write_json; every n-th frame is enough."""

    skeleton: Skeleton
    files: Mapping[int, Path]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the files, rising."""
        return tuple(sorted(self.files))

    def people(self, frame: int) -> Floats | None:
        """x, y px and score (P, J, 3), None without a file; raises FootageError for a file of another form."""
        path = self.files.get(frame)
        return None if path is None else points_of(_openpose_people(path), self.skeleton, path)


@dataclass(frozen=True)
class KeypointFrames:
    """Keypoint files of several cameras as a FrameSource: moment k is frame first + k step, counted without offsets."""

    name: str
    rig: Rig
    files: Mapping[str, KeypointFile]
    file_fps: float
    first: int
    step: int
    moments: int
    offsets_s: Mapping[str, float]
    notes: tuple[str, ...] = ()
    drifts_ppm: Mapping[str, float] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Moments a second of capture time."""
        return self.file_fps / self.step

    @property
    def t0_ns(self) -> int:
        """Capture stamp of the first moment: time in the recording."""
        return round(self.first * 1e9 / self.file_fps)

    @property
    def moments_ns(self) -> NDArray[np.int64]:
        """(N,) capture stamp of each moment: its number over the rate."""
        numbers = self.first + np.arange(self.moments) * self.step
        return np.round(numbers * 1e9 / self.file_fps).astype(np.int64)

    def __len__(self) -> int:
        return self.moments

    def read(self, start: int = 0) -> Iterator[dict[str, Keypoints2D]]:
        """Moments from number start on; raises FootageError for a file of another form."""
        late = {camera: _late(self.offsets_s, camera, self.file_fps) for camera in self.files}
        grids = {camera: gcd(*np.diff(file.numbers).tolist()) or 1 for camera, file in self.files.items()}
        for k in range(start, len(self)):
            number = self.first + k * self.step
            keypoints = {}
            for camera, file in self.files.items():
                own = number - late[camera]
                rate = 1 + 1e-6 * self.drifts_ppm.get(camera, 0.0)
                own -= grids[camera] * round(own * (1 - 1 / rate) / grids[camera])
                people = file.people(own)
                if people is not None:
                    taken_s = rate * own / self.file_fps + self.offsets_s.get(camera, 0.0)
                    keypoints[camera] = keypoints_of(people, file.skeleton, round(taken_s * 1e9))
            stamp_ns = round(number * 1e9 / self.file_fps)
            yield keypoints or {
                camera: Keypoints2D.empty(file.skeleton, stamp_ns) for camera, file in self.files.items()
            }

    def identity(self) -> dict[str, Any]:
        """Skeletons and offsets, and how frames are taken."""
        files = {
            camera: f"{file.skeleton.name} from frame {file.numbers[0]}, "
            + clock_words(self.offsets_s.get(camera, 0.0), self.drifts_ppm.get(camera, 0.0))
            for camera, file in self.files.items()
        }
        return {
            "keypoints": files, "names": self.name, "fps": self.file_fps, "first frame": self.first,
            "stride": self.step,
        }  # fmt: skip


def open_keypoint_frames(
    rig: Rig, paths: Mapping[str, Path], fps: float, cut: Cut = WHOLE, order: str = "auto"
) -> KeypointFrames:
    """The keypoint files by camera, as open_keypoints opens each.

    Raises InputError for lengths that differ, cameras that share no frame, and numbers that no recording has.
    """
    files = {camera: open_keypoints(path, order) for camera, path in paths.items()}
    late = {camera: _late(cut.offsets_s, camera, fps) for camera in files}
    numbers = {camera: (file.numbers[0], file.numbers[-1] + 1) for camera, file in files.items()}
    # A COCO file says nothing of frames without people, so not where it begins and ends: with the others.
    first = min(begin + late[camera] for camera, (begin, _) in numbers.items())
    last = max(end + late[camera] for camera, (_, end) in numbers.items())
    _check_common(files, late)
    spans = {
        camera: (first - late[camera], last - late[camera]) if isinstance(file, CocoFile) else numbers[camera]
        for camera, file in files.items()
    }
    step = gcd(*(_grid(file, late[camera], first) for camera, file in files.items())) or 1
    period_ns = step * 1e9 / fps
    check_ends(
        {camera: (round(a * 1e9 / fps), round(b * 1e9 / fps)) for camera, (a, b) in spans.items()}, period_ns, cut
    )
    begin = max(a + late[camera] for camera, (a, _) in spans.items())
    stop = min(b + late[camera] for camera, (_, b) in spans.items())
    if cut.start_s is not None:
        begin = max(begin, round(cut.start_s * fps))
    if cut.end_s is not None:
        stop = min(stop, round(cut.end_s * fps))
    begin = first - (first - begin) // step * step  # the first number of the grid from there on
    moments = max(0, -(-(stop - begin) // (step * cut.step)))
    if not moments:
        raise InputError(
            f"no moment is common to all cameras (frames {first} to {last - 1}): check --offset, --start, --end"
        )
    named = sum(len(file.numbers) for file in files.values())
    if moments > MAX_MOMENTS * named:
        raise InputError(
            f"frames are numbered from {first} to {last - 1}, but only {named} of them exist: is a number wrong? Cut "
            "the recording with --start and --end, or number images one by one"
        )
    name = ", ".join(path.name for path in paths.values())
    return KeypointFrames(
        name, rig.subset(list(paths)), files, fps, begin, step * cut.step, moments, dict(cut.offsets_s),
        _notes(files, late, fps), dict(cut.drifts_ppm),
    )  # fmt: skip


def _late(offsets_s: Mapping[str, float], camera: str, fps: float) -> int:
    """Frames after time 0 at which a camera began, the nearest."""
    return round(offsets_s.get(camera, 0.0) * fps)


def _grid(file: KeypointFile, late: int, first: int) -> int:
    """What all the file's numbers, counted from the first of all, are multiples of."""
    return gcd(*(number + late - first for number in file.numbers))


def _check_common(files: Mapping[str, KeypointFile], late: Mapping[str, int]) -> None:
    """Reject a camera that shares no frame with any other."""
    numbers = {camera: {number + late[camera] for number in file.numbers} for camera, file in files.items()}
    for camera, own in numbers.items():
        others = set().union(*(there for other, there in numbers.items() if other != camera))
        if others and not own & others:
            raise InputError(
                f"{camera} shares no frame with another camera: its frames are {min(own)} to {max(own)}, theirs "
                f"{min(others)} to {max(others)}: number all alike, give --offset, or exclude it with --cameras"
            )


def _notes(files: Mapping[str, KeypointFile], late: Mapping[str, int], fps: float) -> tuple[str, ...]:
    """Describe frame numbers with different starts, and COCO files with gaps."""
    found = []
    begins = {camera: file.numbers[0] + late[camera] for camera, file in files.items()}
    if len(set(begins.values())) > 1:
        listed = ", ".join(f"{camera} {begin}" for camera, begin in begins.items())
        found.append(
            f"the first frames are {listed}: frames of one number are matched, check that they are of one moment"
        )
    for camera, file in files.items():
        steps = np.diff(file.numbers)
        if len(steps) and isinstance(file, CocoFile) and (gaps := np.flatnonzero(steps > steps.min())).size:
            longest = int(gaps[np.argmax(steps[gaps])])
            found.append(
                f"{camera}: {len(gaps)} gaps in the frame numbers, the longest from {file.numbers[longest]} to "
                f"{file.numbers[longest + 1]} ({steps[longest] / fps:.2f} s): treated as frames without a person"
            )
    return tuple(found)


def open_keypoints(path: Path, order: str = "auto") -> KeypointFile:
    """The people of one camera: a folder of OpenPose JSON files, one a frame, or a file of COCO keypoint results.

    order: body_25 or body_25b for people of 25 points; auto takes the one in which bones are clearly shorter. Raises
    FootageError for what is neither or has a frame missing, InputError if the order is ambiguous.
    """
    if path.is_dir():
        return _openpose(path, order)
    if path.is_file():
        return coco_file(_json(path), path)
    raise FootageError(
        f"keypoints {path}: no such file or folder: give a folder of OpenPose JSON files or a COCO results file"
    )


def _openpose(folder: Path, order: str) -> OpenPoseFolder:
    paths = [path for path in sorted(folder.glob("*.json")) if any(letter.isdigit() for letter in path.stem)]
    if not paths:
        raise FootageError(
            f"keypoints {folder} contains no numbered .json file: give the folder of OpenPose's --write_json"
        )
    numbers = frame_numbers([path.stem for path in paths], f"keypoints {folder}")
    files = dict(sorted(zip(numbers, paths, strict=True)))
    numbers.sort()
    steps = np.diff(numbers)
    step = int(steps.min()) if len(steps) else 1
    if (steps != step).any():
        missing = numbers[int(np.argmax(steps != step))] + step
        count = (numbers[-1] - numbers[0]) // step + 1 - len(numbers)
        raise FootageError(
            f"keypoints {folder}: frame {missing} is missing ({count} in all, expected one file for each "
            f"{'' if step == 1 else f'{step}th '}of {numbers[0]} to {numbers[-1]}): write them again, or put files "
            "with an empty list of people there"
        )
    return OpenPoseFolder(_order(folder, files, order), files)


def _order(folder: Path, files: Mapping[int, Path], requested: str) -> Skeleton:
    """The skeleton whose order the people of a folder have."""
    people = ((path, person) for path in files.values() for person in _openpose_people(path))
    some = list(islice(people, ENOUGH_PEOPLE))
    if not some:
        raise InputError(f"keypoints {folder}: there is no person in any file: check that it is the right folder")
    size = len(some[0][1]) // 3
    orders = OPENPOSE_ORDERS.get(size, ())
    if requested != "auto":
        orders = tuple(skeleton for skeleton in orders if skeleton.name == requested)
    if not orders:
        raise InputError(
            f"keypoints {folder}: people have {size} points, expected 25 (body_25, body_25b) or 17 (coco_17"
            f"{'' if requested == 'auto' else f'; --keypoint-order is {requested}'}): write them with such a model"
        )
    lengths = {
        skeleton.name: np.mean(
            [_bone_length(points_of([person], skeleton, path)[0], skeleton) for path, person in some]
        )
        for skeleton in orders
    }
    best, *others = sorted(orders, key=lambda skeleton: lengths[skeleton.name])
    if others and not lengths[best.name] < CLEARLY_SHORTER * lengths[others[0].name]:
        raise InputError(
            f"keypoints {folder}: the order of the points may be {best.name} or {others[0].name}: set it with "
            "--keypoint-order"
        )
    return best


def _bone_length(points: Floats, skeleton: Skeleton) -> float:
    """Mean length (px) of the bones of one person (J, 3) of which both ends are visible; 0 without any."""
    parent, child = np.array(skeleton.bones).T
    visible = (points[parent, 2] > 0) & (points[child, 2] > 0)
    length = np.linalg.norm(points[parent, :2] - points[child, :2], axis=-1)
    return float(length[visible].sum() / max(visible.sum(), 1))


def _openpose_people(path: Path) -> list[Any]:
    """The flat lists x, y, score of one file's people."""
    content = _json(path)
    try:
        people = [person["pose_keypoints_2d"] for person in content["people"]]
        if invalid := [points for points in people if not isinstance(points, list)]:
            raise TypeError(f"pose_keypoints_2d is {shown(invalid[0])}")
        return people
    except (KeyError, TypeError) as error:
        raise FootageError(
            f"keypoints {path} has not OpenPose's form ({error!r}; expected people with pose_keypoints_2d)"
        ) from error


def keypoints_of(points: Floats, skeleton: Skeleton, stamp_ns: int) -> Keypoints2D:
    """People (P, J, 3) of a KeypointFile, x and y px and score, as Keypoints2D without covariance."""
    # A heatmap's maximum may lie a little above 1.
    score = np.clip(np.nan_to_num(points[..., 2]), 0.0, 1.0)
    return Keypoints2D(np.where(score[..., None] > 0, points[..., :2], np.nan), score, skeleton, stamp_ns)


def _json(path: Path) -> Any:
    return json_content(read_text(path, KEYPOINTS), str(path), KEYPOINTS)
