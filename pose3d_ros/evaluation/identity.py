"""Identities over a recording: published people against hand-made boxes (people.json), IDF1, switches, ghosts.

A published person and a person of the fixture are the same in one frame set when the boxes around the person's
projected joints overlap the hand-made boxes: the intersection over union, averaged over the cameras in which the
fixture has a box, is at least MIN_OVERLAP. Only people in state VISIBLE count as published.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.detection.boxes import iou
from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Camera, Floats, PersonState, Pose3D

# On the single sample the right pairs overlap by 0.57 to 0.76 (the box of the joints is smaller than the person's,
# boxes are linear between key frames), wrong ones by 0.27 at most.
MIN_OVERLAP = 0.3


@dataclass(frozen=True, eq=False)
class TruthPerson:
    """A person of the fixture; one who is not required may be published or not."""

    name: str
    required: bool
    boxes: Mapping[str, Floats]  # camera -> (T, 4) left, top, right, bottom px of each video frame, NaN if unseen


@dataclass(frozen=True)
class Identity:
    """idf1 is NaN without required people; ghosts counts published people, in each frame set."""

    idf1: float
    switches: int
    ghosts: int


def load_people(sample: str, frames: int = 100) -> tuple[TruthPerson, ...]:
    """The hand-made fixture of a sample of recordings/footage.py; raises InputError for a sample without one."""
    content = json.loads(resources.files(__package__).joinpath("people.json").read_text(encoding="utf-8"))
    people = tuple(
        TruthPerson(
            name=name,
            required=entry["required"],
            boxes={
                camera: _interpolated(keys, entry["first"], entry["last"], frames)
                for camera, keys in entry["boxes"].items()
            },
        )
        for name, entry in content["people"].items()
        if sample in entry["samples"]
    )
    if not people:
        raise InputError(f"there is no fixture of people for {sample!r}: use single or multi")
    return people


def score_identity(recording: Recording, people: Sequence[TruthPerson]) -> Identity:
    """IDF1, switches and ghosts of a recording.

    IDF1 (Ristani et al., ECCV-W 2016) pairs required people and ids one to one over the whole recording, and every
    frame set sent counts. Who matches a person that is not required counts neither for nor against.
    A switch is a fixture person, required or not, who matches another id than at the last match.
    """
    seen = _visible_in(recording, people)
    required = [k for k, person in enumerate(seen) if person.required]
    ids = sorted({one for pose in recording.poses for one in pose.ids})
    together = np.zeros((len(seen), len(ids)))  # frame sets in which a person and an id overlap
    last: dict[int, str] = {}
    published = switches = ghosts = 0
    boxes = _joint_boxes(recording)
    for n, pose in enumerate(recording.poses):
        visible = np.flatnonzero(pose.state == PersonState.VISIBLE)
        frame = recording.footage_frame(pose.stamp_ns)
        overlap = _overlap(seen, {name: parts[n][visible] for name, parts in boxes.items()}, frame, len(visible))
        pairs = _pairs(overlap)
        ghosts += len(visible) - len(pairs)
        optional = {column for row, column in pairs if not seen[row].required}
        published += len(visible) - len(optional)
        for row, column in np.argwhere(overlap >= MIN_OVERLAP):
            if column not in optional:
                together[row, ids.index(pose.ids[visible[column]])] += 1
        for row, column in pairs:
            one = pose.ids[visible[column]]
            switches += last.get(row, one) != one
            last[row] = one
    true = together[required]
    agreed = true[linear_sum_assignment(-true)].sum()
    expected = sum(_frames_with_box(seen[k], recording) for k in required)
    total = expected + published
    return Identity(float(2 * agreed / total) if expected else float("nan"), int(switches), int(ghosts))


def _interpolated(keys: Mapping[str, Sequence[float]], first: int, last: int, frames: int) -> Floats:
    """Boxes (T, 4) of every frame from those of key frames."""
    numbers = sorted(int(key) for key in keys)
    corners = np.array([keys[str(number)] for number in numbers], dtype=np.float64)
    when = np.arange(frames)
    boxes = np.stack([np.interp(when, numbers, corner) for corner in corners.T], axis=1)
    boxes[(when < first) | (when > last)] = np.nan
    return boxes


def _visible_in(recording: Recording, people: Sequence[TruthPerson]) -> list[TruthPerson]:
    """The people that the recording's cameras can triangulate: a box in at least two of them, if it has two."""
    names = set(recording.rig.names)
    kept = [
        TruthPerson(person.name, person.required, {name: box for name, box in person.boxes.items() if name in names})
        for person in people
    ]
    return [person for person in kept if len(person.boxes) >= min(2, len(names))]


def _frames_with_box(person: TruthPerson, recording: Recording) -> int:
    """In how many of the frame sets sent the person is to be found."""
    somewhere = np.any([np.isfinite(boxes).all(axis=1) for boxes in person.boxes.values()], axis=0)
    frames = np.arange(recording.frame_sets_sent) % recording.frames_per_loop
    return int(somewhere[frames[frames < len(somewhere)]].sum())


def _joint_boxes(recording: Recording) -> dict[str, list[Floats]]:
    """By camera, for each pose, the boxes (P, 4) around all people's projected joints, clipped to the image."""
    counts = [len(pose) for pose in recording.poses]
    if not counts:
        return {camera.name: [] for camera in recording.rig.cameras}
    xyz = np.concatenate([pose.xyz for pose in recording.poses])
    splits = np.cumsum(counts)[:-1]
    return {camera.name: np.split(_box_around(camera, xyz), splits) for camera in recording.rig.cameras}


def _box_around(camera: Camera, xyz: Floats) -> Floats:
    """Left, top, right, bottom px (P, 4) of joints (P, J, 3) m; NaN for a person without one in front of the camera."""
    xy = project(camera, xyz)
    absent = ~np.isfinite(xy).all(axis=-1, keepdims=True)
    low = np.where(absent, np.inf, xy).min(axis=1)
    high = np.where(absent, -np.inf, xy).max(axis=1)
    size = np.array(camera.size_wh) - 1.0
    box = np.concatenate([np.clip(low, 0, size), np.clip(high, 0, size)], axis=1)
    return np.where((low > high).any(axis=1, keepdims=True), np.nan, box)


def _overlap(people: Sequence[TruthPerson], boxes: Mapping[str, Floats], frame: int, visible: int) -> Floats:
    """Mean intersection over union of every person (rows) and every visible published person (columns)."""
    overlap = np.zeros((len(people), visible))
    for row, person in enumerate(people):
        views = [name for name, truth in person.boxes.items() if frame < len(truth) and np.isfinite(truth[frame]).all()]
        for name in views:
            # A published box is NaN where nothing of the person is in front of the camera.
            overlap[row] += np.nan_to_num(iou(person.boxes[name][frame][None], boxes[name])[0]) / len(views)
    return overlap


def _pairs(overlap: Floats) -> list[tuple[int, int]]:
    """(person, published) pairs of one frame set, one to one, with the largest overlap in all."""
    allowed = np.where(overlap >= MIN_OVERLAP, overlap, 0.0)
    rows, columns = linear_sum_assignment(-allowed)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if allowed[row, column] > 0]


def visible_frames(poses: Sequence[Pose3D]) -> dict[str, int]:
    """In how many poses each id is VISIBLE, in order of first appearance."""
    frames: dict[str, int] = {}
    for pose in poses:
        states: NDArray[np.uint8] = pose.state
        for one, state in zip(pose.ids, states, strict=True):
            frames[one] = frames.get(one, 0) + int(state == PersonState.VISIBLE)
    return frames
