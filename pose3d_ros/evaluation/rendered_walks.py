"""Rendered recordings through the detector, as calibration by people takes them; detected once, then kept.

people.npz of a rendered scene: `detector` is the detector's name; by camera CAMERA `CAMERA_people` (T,) counts the
people of every image, the rest has a row for each of them in turn: `CAMERA_xy` (N, 17, 2) px, `CAMERA_score` (N, 17),
`CAMERA_covariance` (N, 17, 2, 2) px^2 of h36m_17. (NumPy, float32 in the file.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.detection.detector import Detector
from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.calibration_trials import WalkRecording
from pose3d_ros.evaluation.walking_people import WalkTruth
from pose3d_ros.files.archives import npz_arrays
from pose3d_ros.files.door import KEYPOINTS, reading
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene, load_scenes
from pose3d_ros.simulation.walkers import Clocks
from pose3d_ros.skeletons import H36M_17, remap
from pose3d_ros.structures import Camera, Keypoints2D

KEPT = "people.npz"


def rendered_walks(
    folders: Sequence[Path | str], detector_name: str, make_detector: Callable[[], Detector]
) -> list[WalkRecording]:
    """All scenes in and below folders of `pose3d render`; the detector is made only where people.npz is not its own."""
    recordings = []
    detector: Detector | None = None
    for scene in load_scenes(folders):
        path = scene.folder / KEPT
        if not path.exists() or str(npz_arrays(path, KEYPOINTS).get("detector")) != detector_name:
            detector = detector or make_detector()
            keep(path, detect(scene, detector), detector_name)
        recordings.append(rendered_walk(scene))
    return recordings


def rendered_walk(scene: RenderedScene) -> WalkRecording:
    """What people.npz of a scene holds, and the truth; raises FootageError or InputError for another file."""
    path = scene.folder / KEPT
    arrays = npz_arrays(path, KEYPOINTS)
    stamps = scene.moments_ns.tolist()
    views = []
    with reading(path, KEYPOINTS):
        for camera in scene.rig.cameras:
            counts = arrays[f"{camera.name}_people"]
            if len(counts) != len(stamps):
                raise InputError(
                    f"{path} has {len(counts)} images of {camera.name!r}, the scene {len(stamps)}: delete it"
                )
            ends = np.cumsum(counts)[:-1]
            parts = [
                np.split(arrays[f"{camera.name}_{name}"].astype(np.float64), ends)
                for name in ("xy", "score", "covariance")
            ]
            images = [
                Keypoints2D(xy, score, H36M_17, stamp, spread)
                for stamp, xy, score, spread in zip(stamps, *parts, strict=True)
            ]
            views.append(PeopleViews(camera.placed(np.eye(4)), tuple(images)))
    truth = WalkTruth(
        scene.rig,
        Clocks(),
        np.asarray(1e-9 * scene.moments_ns, dtype=np.float64),
        scene.truth.joints_m,
        tuple(scene.truth.stature_m.tolist()),
    )
    return WalkRecording(str(Path(scene.folder.parent.name) / scene.name), views, truth)


def detect(scene: RenderedScene, detector: Detector) -> list[PeopleViews]:
    """Every image through the detector."""
    detector.reset()
    found: dict[str, list[Keypoints2D]] = {name: [] for name in scene.rig.names}
    for frames in tqdm(scene.read(), total=len(scene), desc=f"{scene.folder}", unit=" moments", disable=None):
        for name, people in detector(frames).items():
            found[name].append(remap(people, H36M_17))
    return [_view(camera, found[camera.name]) for camera in scene.rig.cameras]


def keep(path: Path, views: Sequence[PeopleViews], detector_name: str) -> None:
    """Write people.npz."""
    arrays: dict[str, object] = {"detector": detector_name}
    for view in views:
        name = view.camera.name
        arrays[f"{name}_people"] = np.array([len(one) for one in view.people])
        for part in ("xy", "score", "covariance"):
            rows = [np.asarray(getattr(one, part)) for one in view.people]
            arrays[f"{name}_{part}"] = np.concatenate(rows).astype(np.float32)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def _view(camera: Camera, people: list[Keypoints2D]) -> PeopleViews:
    return PeopleViews(camera.placed(np.eye(4)), tuple(people))
