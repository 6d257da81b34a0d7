"""What an estimator remembers between frame sets as bytes, so that a run that stopped goes on exactly where it was.

The bytes are an .npz file without pickles: arrays, and one text of JSON that says where they belong. In the JSON, null,
true, numbers, texts and lists stand for themselves; what else there is stands in an object of one entry that names its
kind: {"array": k}, {"scalar": k} (a NumPy scalar), {"stack": k} (a list of arrays of one shape), {"tuple": [...]},
{"deque": [maxlen, [...]]}, {"frozenset": [...]}, {"dict": {...}}, or {"Track": {its fields}} for the dataclasses of
OWN. Reading makes these, calls nothing else, and so runs no code that a file could bring.
"""

from __future__ import annotations

import io
import json
from collections import deque
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import FootageError
from pose3d_ros.estimation.body_smoother import BodyTrack
from pose3d_ros.estimation.body_window import BodyFrame, Past, Solution
from pose3d_ros.estimation.estimate import PeopleReport
from pose3d_ros.estimation.kalman import PointStates
from pose3d_ros.estimation.smoothing import OneEuroState
from pose3d_ros.estimation.track import Track
from pose3d_ros.monitoring import bone_lengths, gross_faults, moved_camera
from pose3d_ros.monitoring.camera_motions import Motions
from pose3d_ros.monitoring.evidence import EvidenceWindow
from pose3d_ros.monitoring.health import CalibrationReport
from pose3d_ros.structures import Camera, Floor, Keypoints2D, Skeleton
from pose3d_ros.synchronisation import clock_offsets
from pose3d_ros.synchronisation.clock_regression import Samples

# Every dataclass that a state may hold.
OWN: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Track, PointStates, OneEuroState, Keypoints2D, Skeleton, Camera, Floor),
        *(EvidenceWindow, Motions, bone_lengths.Steadiness, bone_lengths.Person, bone_lengths.BoneSteadiness),
        *(CalibrationReport, moved_camera.Baseline, moved_camera.MovedCamera),
        *(gross_faults.Finding, gross_faults.Suspect),
        *(clock_offsets.PersonTrack, clock_offsets.UnderWay, clock_offsets.CameraOffset, clock_offsets.ClockEstimate),
        *(Samples, PeopleReport, BodyTrack, BodyFrame, Past, Solution),
    )
}
_TREE = "tree"


def to_bytes(state: dict[str, Any]) -> bytes:
    """An estimator's state_dict(); raises TypeError for a value of a kind that no file holds."""
    arrays: list[NDArray[Any]] = []
    tree = json.dumps(_plain(state, arrays))
    file = io.BytesIO()
    named: dict[str, Any] = {_TREE: np.array(tree)} | {f"a{k}": one for k, one in enumerate(arrays)}
    np.savez(file, **named)
    return file.getvalue()


def from_bytes(data: bytes) -> dict[str, Any]:
    """What to_bytes took; raises FootageError for anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            state = _made(json.loads(str(file[_TREE])), [file[f"a{k}"] for k in range(len(file.files) - 1)])
        if not isinstance(state, dict):
            raise TypeError(f"it is a {type(state).__name__}, expected a dict")
        return state
    except Exception as error:  # a damaged archive raises almost anything
        raise FootageError(f"the estimator's state cannot be read ({error}): start again with --overwrite") from error


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """The value for JSON; its arrays are added to the list."""
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:  # those would be pickled
        arrays.append(np.asarray(value))
        return {"array" if isinstance(value, np.ndarray) else "scalar": len(arrays) - 1}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        if _alike(value):  # thousands of keypoints, which would take an entry of the archive each
            arrays.append(np.stack(value))
            return {"stack": len(arrays) - 1}
        return [_plain(one, arrays) for one in value]
    if type(value) is tuple:
        return {"tuple": [_plain(one, arrays) for one in value]}
    if type(value) is deque:
        return {"deque": [value.maxlen, _plain(list(value), arrays)]}
    if type(value) is frozenset:
        return {"frozenset": [_plain(one, arrays) for one in sorted(value)]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: _plain(one, arrays) for key, one in value.items()}}
    name = type(value).__name__
    if OWN.get(name) is type(value):
        return {name: {one.name: _plain(getattr(value, one.name), arrays) for one in fields(value)}}
    raise TypeError(f"an estimator's state has a {name}: make it of plain values, or name its class in OWN")


def _alike(values: list[Any]) -> bool:
    """Whether these are arrays that come back from a stack as they were."""
    if len(values) < 2 or not all(type(one) is np.ndarray for one in values):
        return False
    first = values[0]
    return not first.dtype.hasobject and all(
        one.shape == first.shape and one.dtype == first.dtype and one.flags.c_contiguous for one in values
    )


def _made(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """What _plain took."""
    if isinstance(value, list):
        return [_made(one, arrays) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind in ("array", "scalar"):
        return arrays[inside] if kind == "array" else arrays[inside][()]
    if kind == "stack":
        return [one.copy() for one in arrays[inside]]
    if kind == "deque":
        return deque(_made(inside[1], arrays), inside[0])
    if kind in ("tuple", "frozenset"):
        return (tuple if kind == "tuple" else frozenset)(_made(one, arrays) for one in inside)
    made = {key: _made(one, arrays) for key, one in inside.items()}
    if kind == "dict":
        return made
    if kind not in OWN:
        raise ValueError(f"{kind} is no part of it")
    if expected := made.keys() ^ {one.name for one in fields(OWN[kind])}:
        raise ValueError(f"a {kind} lacks or has too much: {', '.join(sorted(expected))}")
    return OWN[kind](**made)
