"""PoseRN on real footage, without truth: compares a camera left out with the prediction of the others.

A recording of `pose3d demo` holds every camera's keypoints. The others are triangulated, corrected by PoseRN and
triangulated again; the camera left out is corrected too, from the pose that the others gave, so that a shift in space
which all cameras share neither helps nor harms. (NumPy, float64; V views, P people times moments.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.refinement.networks import PoseRNRefiner
from pose3d_ros.evaluation.debiasing import network
from pose3d_ros.evaluation.posern_bench import Bench
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.recordings.observations import Observations2D, observations_2d
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Camera, Floats
from pose3d_ros.weights import trained

FILE = "recording.npz"


def footage(bench: Bench) -> Iterator[Table]:
    """One row a recording and network, the shipped one and the row's; nothing without --recording."""
    if not bench.request.recordings:
        return
    shipped = next(one.name for one in trained.TRAINED if one.network == "posern")
    loaded = trained.load(shipped)
    refiners = {shipped: network(loaded.net, loaded.recipe), "row posern": bench.network("posern")}
    columns = ("recording", "PoseRN", "keypoints", "without px", "PoseRN px", "PoseRN, camera as detected px")
    rows: list[tuple[Cell, ...]] = []
    for folder in bench.request.recordings:
        recording = read(folder)
        for name, refiner in refiners.items():
            if refiner is not None:
                figures = left_out(recording, refiner)
                rows.append((folder.name, name, len(figures[0]), *(float(np.median(one)) for one in figures)))
    yield Table(
        "footage", "median distance of a camera's keypoints from what the other cameras predict", columns, rows,
        "All keypoints corrected; in the last px the camera left out keeps its own. `refine: auto` takes PoseRN only "
        "where that is 5 % nearer in every recording.",
        decimals=2,
    )  # fmt: skip


def read(folder: Path) -> Recording:
    """The recording in a folder of `pose3d demo`; raises InputError without one of three cameras or more."""
    found = next((path for path in (folder / FILE, folder / "log" / FILE) if path.is_file()), None)
    if found is None:
        raise InputError(f"there is no {FILE} in {folder}: give a folder that `pose3d demo --output` wrote")
    recording = Recording.load(found)
    if len(recording.rig.cameras) < 3:
        raise InputError(f"{found} is of {len(recording.rig.cameras)} cameras: to leave one out takes three")
    return recording


def left_out(recording: Recording, refiner: PoseRNRefiner) -> tuple[Floats, Floats, Floats]:
    """Distances (N,) px of the same keypoints: without PoseRN, with it, and with it for the other cameras only."""
    cameras, observations = recording.rig.cameras, observations_2d(recording)
    parts = []
    for view, camera in enumerate(cameras):
        others = [number for number in range(len(cameras)) if number != view]
        chosen = [cameras[number] for number in others]
        xyz = _triangulate(chosen, observations.xy[others], observations, others)
        again = _triangulate(chosen, refiner(chosen, xyz, observations.xy[others]), observations, others)
        own = observations.xy[view]
        expected = np.where(np.isfinite(own), project(camera, xyz), np.nan)
        corrected = own + refiner([camera], xyz, expected[None])[0] - expected
        then = project(camera, again)
        pairs = ((project(camera, xyz), own), (then, corrected), (then, own))
        parts.append(np.stack([np.linalg.norm(one - other, axis=-1).ravel() for one, other in pairs]))
    together = np.concatenate(parts, axis=1)
    known: Floats = together[:, np.isfinite(together).all(axis=0)]
    if not known.size:
        raise InputError("the recording has no keypoint that three cameras share: record people in view of all")
    return known[0], known[1], known[2]


def _triangulate(
    cameras: tuple[Camera, ...] | list[Camera], xy: Floats, observations: Observations2D, views: list[int]
) -> Floats:
    covariance = None if observations.covariance is None else observations.covariance[views]
    return triangulate(cameras, xy, covariance=covariance).xyz
