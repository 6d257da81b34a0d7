"""Results files: poses that any method of any framework wrote, to be scored like ours.

An npz of arrays named after the data set's sequences: "S9/Directions 1" (T, J, 3) or (T, P, J, 3) m in the world, and
"S9/Directions 1/54138969" in that camera's frame. T is all frames of the sequence, or those that the protocol counts;
J is the data set's own joints in its own order, or h36m_17. People may come in any order and number, NaN where there is
none; ".../scores" (T, P) ranks them. MPII: one array "xy" (N, 16, 2) px from 0, in the order of valid.json. COCO: its
own JSON of results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.archives import npz_arrays
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import Kind, read_bytes, reading
from pose3d_ros.research.datasets.pose_sequence import LabelledImage, PoseSequence, in_camera, weighted
from pose3d_ros.research.protocols.oks import Detected
from pose3d_ros.research.protocols.scored import Scored
from pose3d_ros.skeletons import COCO_17, H36M_17, map_matrix
from pose3d_ros.structures import Floats

RESULTS = Kind("results", 1000, InputError, "write them as docs/datasets.md describes")
SCORES = "/scores"

Chosen = Callable[[PoseSequence], PoseSequence | None]


def read_results(path: Path) -> dict[str, Floats]:
    """The arrays of a results file as float64; raises InputError."""
    found = npz_arrays(path, RESULTS)
    odd = [name for name, array in found.items() if array.dtype.kind not in "fiu"]
    if odd:
        raise InputError(f"{path}: {odd[0]} is {found[odd[0]].dtype}, expected numbers: {RESULTS.fix}")
    return {name: array.astype(np.float64) for name, array in found.items()}


def read_detections(path: Path) -> dict[str, Floats]:
    """Detected joints of h36m_17 (T, 17, 2) px, by names such as "S9/Directions 1/54138969"; raises InputError."""
    found = read_results(path)
    for key, xy in found.items():
        if xy.ndim != 3 or xy.shape[1:] != (H36M_17.size, 2):
            raise InputError(f"{path}: {key} is {xy.shape}, expected (frames, {H36M_17.size}, 2) px: {RESULTS.fix}")
    return found


def scored_results(
    sequences: Iterator[PoseSequence], results: Mapping[str, Floats], chosen: Chosen, *, any_people: bool = False
) -> Iterator[Scored]:
    """Every array with the frames of its truth that count, mapped to the truth's joints.

    any_people: the estimate may have more or fewer people than the truth. Raises InputError for arrays that do not fit
    and where not one is named after a sequence.
    """
    fitting, names = 0, []
    for sequence in sequences:
        names.append(sequence.key)
        for truth, estimate in _pairs(sequence, results):
            fitting += 1
            if (kept := chosen(truth)) is not None:
                yield Scored(kept.without_pixels(), _fitted(truth, kept, estimate, any_people=any_people))
    if not fitting:
        raise InputError(
            f"no array of the results is named after a sequence: there are {', '.join(list(results)[:3])}, "
            f"expected such as {', '.join(names[:3])}: {RESULTS.fix}"
        )


def person_scores(one: Scored, results: Mapping[str, Floats]) -> Floats:
    """(T, P) of a sequence's people; without such an array their order decides."""
    frames, people = one.estimate.shape[:2]
    given = results.get(one.truth.key + SCORES)
    if given is None:
        return -np.tile(np.arange(people, dtype=np.float64), (frames, 1))
    if given.shape != (frames, people):
        raise InputError(f"{one.truth.key}{SCORES} is {given.shape}, expected {(frames, people)}: {RESULTS.fix}")
    return given


def read_image_results(path: Path, images: Sequence[LabelledImage]) -> list[Floats]:
    """MPII's estimates (P, 16, 2) px of each image's people; raises InputError."""
    joints = images[0].skeleton.size if images else 0
    people = [len(image.xy) for image in images]
    xy = read_results(path).get("xy")
    if xy is None or xy.shape != (sum(people), joints, 2):
        shape = None if xy is None else xy.shape
        raise InputError(f"{path}: xy is {shape}, expected {(sum(people), joints, 2)}: {RESULTS.fix}")
    return [np.asarray(part) for part in np.split(xy, np.cumsum(people)[:-1])]


def read_coco_results(path: Path, images: Sequence[LabelledImage]) -> list[Detected]:
    """The people found in each image, of COCO's JSON of results; raises InputError."""
    found: dict[int, list[tuple[Any, float]]] = {image.number: [] for image in images}
    content = json_content(read_bytes(path, RESULTS), str(path), RESULTS)
    with reading(path, RESULTS):
        for entry in content:
            number = int(entry["image_id"])
            if number not in found:
                raise InputError(f"{path}: image {number} is not among the labelled ones: {RESULTS.fix}")
            found[number].append((entry["keypoints"], float(entry["score"])))
        return [_detected(found[image.number]) for image in images]


def _detected(people: Sequence[tuple[Any, float]]) -> Detected:
    joints = np.array([keypoints for keypoints, _ in people], dtype=np.float64).reshape(len(people), COCO_17.size, 3)
    return Detected(joints[..., :2], np.array([score for _, score in people], dtype=np.float64))


def _pairs(sequence: PoseSequence, results: Mapping[str, Floats]) -> Iterator[tuple[PoseSequence, Floats]]:
    if sequence.key in results:
        yield sequence, results[sequence.key]
    for camera in sequence.rig.cameras if sequence.rig else ():
        key = f"{sequence.key}/{camera.name}"
        if key in results:
            action = f"{sequence.action}/{camera.name}"
            yield replace(sequence, action=action, xyz=in_camera(sequence.xyz, camera)), results[key]


def _fitted(truth: PoseSequence, kept: PoseSequence, estimate: Floats, *, any_people: bool) -> Floats:
    """(T, P, J, 3) of the frames and joints that count."""
    poses = estimate[:, None] if estimate.ndim == 3 else estimate
    joints = truth.skeleton.size
    if poses.ndim != 4 or poses.shape[3] != 3 or poses.shape[2] not in (joints, H36M_17.size):
        raise InputError(
            f"{truth.key} of the results is {estimate.shape}, expected (frames, people, {joints} or {H36M_17.size}, 3)"
        )
    if len(poses) == len(truth.frames) != len(kept.frames):
        poses = poses[np.isin(truth.frames, kept.frames)]
    if len(poses) != len(kept.frames):
        raise InputError(
            f"{truth.key} of the results has {len(poses)} frames, expected {len(truth.frames)}, or the "
            f"{len(kept.frames)} that count"
        )
    if poses.shape[1] != truth.xyz.shape[1] and not any_people:
        raise InputError(f"{truth.key} of the results has {poses.shape[1]} people, expected {truth.xyz.shape[1]}")
    return poses if poses.shape[2] == joints else weighted(map_matrix(H36M_17, truth.skeleton), poses)
