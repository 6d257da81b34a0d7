"""2D people from COCO files: a list of keypoint results, or a data set with its images and annotations.

A frame's number is that of its file_name if the file has one, else its image_id: an integer as it is, a name by the
rule of frame_numbers.py. A list has an image's people in consecutive entries: an image_id that recurs later, or whose
people overlap in most images, refers to several images, and is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import FootageError
from pose3d_ros.recordings.frame_numbers import SHOWN, frame_numbers
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, Skeleton

FORM = "expected a list of image_id, keypoints, score, or a data set of images and annotations"
# No image is as large; heatmap scores are slightly outside 0 to 1, those of classified coordinates reach 10.
FARTHEST_PX, LEAST_SCORE, MOST_SCORE = 1e6, -1.0, 100.0
# Every detector suppresses two detections of one person; people in two images 1/30 s apart are this close.
OVERLAP_SHARE = 0.1  # mean distance of joints, as a share of the person's extent


@dataclass(frozen=True, eq=False)
class CocoFile:
    """The people of all frames that one COCO file names."""

    skeleton: Skeleton
    numbers: tuple[int, ...]  # of the frames, rising
    by_frame: Mapping[int, Floats]  # (P, 17, 3)

    @property
    def step(self) -> int:
        """The largest number that all differences of frame numbers are multiples of; 1 for a single frame."""
        return gcd(*np.diff(self.numbers).tolist()) or 1

    def people(self, frame: int) -> Floats | None:
        """x, y px and score (P, 17, 3), empty for a frame that is not named; None between frames that are numbered."""
        if frame in self.by_frame:
            return self.by_frame[frame]
        return None if (frame - self.numbers[0]) % self.step else np.zeros((0, self.skeleton.size, 3))


def coco_file(content: Any, path: Path) -> CocoFile:
    """The people in a parsed file; raises FootageError for another form, or for image ids that name no single frame."""
    what = f"keypoints {path}"
    try:
        if isinstance(content, dict):
            names = {_id(image["id"]): image.get("file_name") for image in content["images"]}
            if len(names) < len(content["images"]):
                raise FootageError(f"{what}: two of its images have one id: give each its own")
            rows: dict[int | str, list[Any]] = {one: [] for one in names}
            for entry in content["annotations"]:
                rows[_id(entry["image_id"])].append(entry["keypoints"])
        else:
            named = [(_id(entry["image_id"]), entry.get("file_name"), entry["keypoints"]) for entry in content]
            names, rows = {}, {}
            for one, group in groupby(named, key=lambda row: row[0]):
                if one in rows:
                    raise FootageError(
                        f"{what}: image_id {str(one)[:SHOWN]!r} recurs after others: does the list restart, or "
                        "does it refer to several images? Number images one by one, or sort the file by image_id"
                    )
                own = list(group)
                names[one], rows[one] = own[0][1], [row[2] for row in own]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FootageError(f"{what} has not the form of COCO keypoints ({str(error)[:SHOWN]!r}; {FORM})") from error
    if not any(rows.values()):
        raise FootageError(f"{what}: there is no person in it: check that it is the right file")
    numbers = _numbers(names, what)
    by_frame = {number: points_of(rows[one], COCO_17, path) for one, number in numbers.items()}
    _check_people(by_frame, what)
    return CocoFile(COCO_17, tuple(sorted(by_frame)), by_frame)


def points_of(people: list[Any], skeleton: Skeleton, path: Path) -> Floats:
    """Flat lists as points (P, J, 3)."""
    try:
        kinds = {type(number) for person in people for number in person}
        if not kinds <= {int, float}:
            raise TypeError(", ".join(sorted(kind.__name__ for kind in kinds)))
        points = np.array(people, dtype=np.float64).reshape(len(people), skeleton.size, 3)
    except (ValueError, TypeError, OverflowError) as error:
        sizes = sorted({len(person) if isinstance(person, list) else 0 for person in people})
        raise FootageError(
            f"keypoints {path}: people have {', '.join(map(str, sizes[:8]))} numbers, expected {3 * skeleton.size}: x, "
            f"y, score of the {skeleton.size} points of {skeleton.name}"
        ) from error
    # NaN means missing; any other value that is not an image position or a score is another format.
    px, score = points[..., :2], points[..., 2]
    if (np.abs(px) > FARTHEST_PX).any() or ((score < LEAST_SCORE) | (score > MOST_SCORE)).any():
        raise FootageError(
            f"keypoints {path}: x, y up to {np.nanmax(np.abs(px), initial=0.0):g} px, scores {np.nanmin(score):g} to "
            f"{np.nanmax(score):g}, expected {FARTHEST_PX:g} px and {LEAST_SCORE:g} to {MOST_SCORE:g} at most: write "
            "x, y in px of the image, and the score"
        )
    return points


def _id(value: Any) -> int | str:
    """An image's id; raises ValueError for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or (isinstance(value, int) and value < 0):
        raise ValueError(f"image_id {str(value)[:SHOWN]}, expected a whole number from 0 on, or a name")
    return value


def _numbers(names: Mapping[int | str, Any], what: str) -> dict[int | str, int]:
    """The frame's number of each image id, given the images' file names (None where there is none)."""
    files = [str(file) for file in names.values() if file is not None]
    if len(files) == len(names) and len(set(files)) == len(files):
        return dict(zip(names, frame_numbers([Path(file).name for file in files], what), strict=True))
    if files:
        raise FootageError(f"{what}: some images have a file_name of their own and some not: give it for all, or none")
    if all(isinstance(one, int) for one in names):
        return {one: int(one) for one in names}
    return dict(zip(names, frame_numbers([str(one) for one in names], what), strict=True))


def _check_people(by_frame: Mapping[int, Floats], what: str) -> None:
    """Reject a file in which people overlap in most images with several people."""
    several = {frame: points for frame, points in by_frame.items() if len(points) > 1}
    doubled = [frame for frame, points in several.items() if _overlapping(points)]
    if len(doubled) > len(several) / 2:
        raise FootageError(
            f"{what}: two people overlap in {len(doubled)} of {len(several)} images with several people (image "
            f"{doubled[0]}: {len(by_frame[doubled[0]])} people): does one image_id refer to several images? Number "
            "images one by one, or remove duplicate people"
        )


def _overlapping(points: Floats) -> bool:
    """Whether two of the people (P, J, 3) are almost identical."""
    visible = points[..., 2] > 0
    for k in range(len(points) - 1):
        both = visible[k] & visible[k + 1 :]
        extent = np.ptp(points[k, visible[k], :2], axis=0).max(initial=0.0) if visible[k].any() else 0.0
        distance = np.linalg.norm(points[k + 1 :, :, :2] - points[k, :, :2], axis=-1)
        mean = np.where(both, distance, 0.0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
        if extent > 0 and (both.any(axis=1) & (mean < OVERLAP_SHARE * extent)).any():
            return True
    return False
