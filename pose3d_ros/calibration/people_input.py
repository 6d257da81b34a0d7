"""From what a user names to the people that each camera saw: videos, keypoint files, or a recording of all cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.calibration.people_cameras import GUESS, CameraRequest, cameras_of, named_sources
from pose3d_ros.calibration.people_keypoints import (
    OWN_CLOCKS,
    People,
    detect_people,
    keep_people,
    kept_people,
    people_of_file,
    people_of_recording,
    recorded_parts,
)
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.calibration.phone_lenses import lens_findings
from pose3d_ros.detection import factory
from pose3d_ros.detection.options import DetectorOptions, non_default
from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.files.door import VIDEO, checked, expanded
from pose3d_ros.recordings.bag_input import BagTopics
from pose3d_ros.recordings.bag_recording import is_bag, open_bag
from pose3d_ros.recordings.bag_rig import cameras_of_bag
from pose3d_ros.recordings.footage import video_size
from pose3d_ros.recordings.own_clocks import OwnClockImages, bag_apart, videos_apart
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.structures import Camera

# Of joints; a detector's own joints lie in the image, another program's may lie a little outside.
MOST_OUTSIDE = 0.1


@dataclass(frozen=True)
class InputRequest:
    """The command line's arguments, not yet parsed."""

    sources: tuple[str, ...]  # CAMERA=PATH, a video named after its camera, or one recording of all cameras
    cameras: CameraRequest = field(default_factory=CameraRequest)
    fps: float | None = None  # of keypoint files
    every: int | None = None
    keypoint_order: str = "auto"
    bag: BagTopics = field(default_factory=BagTopics)
    detector: DetectorOptions = field(default_factory=DetectorOptions)
    device: str = "auto"
    progress: bool = True


@dataclass(frozen=True, eq=False)
class PeopleInput:
    """What calibration by people starts from."""

    views: tuple[PeopleViews, ...]
    one_clock: bool  # stamps of all cameras are of one clock
    guessed: bool  # focal lengths are
    findings: tuple[Finding, ...] = ()  # warnings about the cameras
    kept: Path | None = None  # where the detected people are kept


def open_people(request: InputRequest, output: Path | None = None) -> PeopleInput:
    """Open what the request names; people that are detected are kept in output, and taken from there the next time.

    Raises InputError, CalibrationError and FootageError for what does not fit, before anything is detected.
    """
    if request.every is not None and request.every < 1:
        raise InputError(f"--every {request.every}: give 1 or more")
    if request.fps is not None and not 0 < request.fps <= 10_000:
        raise InputError(f"--fps {request.fps:g}: give frames a second, more than 0 and 10000 at most")
    if len(request.sources) == 1:
        path = expanded(request.sources[0])
        if is_bag(path):
            return _checked(_of_bag(path, request, output))
        parts = recorded_parts(path) if path.suffix == ".npz" or path.is_dir() else None
        if parts is not None:
            return _checked(_of_recording(parts, request))
    return _checked(_of_files(named_sources(request.sources), request, output))


def is_keypoints(path: Path) -> bool:
    """Whether a path is of keypoints and not a video."""
    return path.is_dir() or path.suffix.lower() == ".json"


def _of_files(paths: Mapping[str, Path], request: InputRequest, output: Path | None) -> PeopleInput:
    """Videos and keypoint files, also mixed."""
    files = {name: path for name, path in paths.items() if is_keypoints(path)}
    videos = {name: checked(path, VIDEO) for name, path in paths.items() if name not in files}
    _check_company(paths)
    if files and request.fps is None:
        raise InputError(f"--fps is missing: keypoints of {', '.join(files)} have no frame rate, give it in frames/s")
    if request.fps is not None and not files:
        raise InputError(f"--fps {request.fps:g}: videos are timed by their own time stamps: omit it")
    sizes: dict[str, tuple[int, int] | None] = {name: video_size(path) for name, path in videos.items()}
    cameras = cameras_of(request.cameras, {**sizes, **dict.fromkeys(files, request.cameras.size_wh)}, videos)
    people = {
        name: people_of_file(path, request.fps or 1.0, request.keypoint_order, request.every)
        for name, path in files.items()
    }
    guessed = request.cameras.intrinsics == GUESS
    findings = lens_findings(videos, cameras, guessed)
    if videos:
        images = videos_apart(videos, request.every)
        said = [one.text for one in findings]
        own = [cameras[name] for name in videos]
        found, kept = _detected(images, own, request, output, own_clocks=True, guessed=guessed, findings=said)
        people |= found
    else:
        kept = None
    ordered = {name: people.get(name, ()) for name in paths}
    return PeopleInput(_views(cameras, ordered), False, guessed, findings, kept)


def _of_recording(parts: Sequence[Recording], request: InputRequest) -> PeopleInput:
    """2D people of `pose3d demo`, `estimate` or an earlier calibration; its own cameras unless others are given."""
    rig, settings = parts[0].rig, parts[0].settings
    people = people_of_recording(parts, request.every)
    _check_company(people)
    own = {name: rig.camera(name) for name in people}
    cameras = cameras_of(request.cameras, {name: camera.size_wh for name, camera in own.items()}, {}, own)
    chosen = request.cameras.intrinsics
    guessed = chosen == GUESS or (not chosen and bool(settings.get("guessed")))
    findings = tuple(Finding(False, str(text)) for text in settings.get("findings", ()))
    return PeopleInput(_views(cameras, people), not settings.get(OWN_CLOCKS), guessed, findings)


def _of_bag(path: Path, request: InputRequest, output: Path | None) -> PeopleInput:
    bag = open_bag(path)
    topics = bag.camera_topics(request.bag.image_topic)
    _check_company(topics)
    own = {}
    if not request.cameras.intrinsics:
        rig = cameras_of_bag(bag, topics, request.bag.camera_info_topic, rectified=request.bag.rectified)
        own = {camera.name: camera for camera in rig.cameras}
    elif request.cameras.intrinsics == GUESS:
        raise InputError(f"--intrinsics guess: {path.name} is a ROS recording: give a file, or use its camera_info")
    cameras = cameras_of(request.cameras, dict.fromkeys(topics), {}, own)
    images = bag_apart(bag, topics, request.every)
    people, kept = _detected(images, list(cameras.values()), request, output, own_clocks=False)
    return PeopleInput(_views(cameras, people), True, False, kept=kept)


def _detected(
    images: OwnClockImages, cameras: Sequence[Camera], request: InputRequest, output: Path | None, **settings: Any
) -> tuple[dict[str, People], Path | None]:  # fmt: skip
    """Detect people and keep them with the settings, or take what an earlier run of the same images kept."""
    identity = {"images": images.identity(), "detector": non_default(request.detector)}
    kept = None if output is None else output / "keypoints.npz"
    people = None if kept is None else kept_people(kept, identity)
    if people is None:
        factory.fetch_weights(request.detector)
        for camera, count in images.counts.items():
            if not count:
                raise InputError(f"camera {camera!r} has no image: check the recording")
        detector = factory.make_detector(request.detector, request.device)
        people = detect_people(images, {camera.name: camera for camera in cameras}, detector, request.progress)
        if kept is not None:
            keep_people(kept, cameras, people, identity, **settings)
    return people, kept


def _views(cameras: Mapping[str, Camera], people: Mapping[str, People]) -> tuple[PeopleViews, ...]:
    return tuple(PeopleViews(cameras[name], images) for name, images in people.items())


def _check_company(names: Sequence[str] | Mapping[str, object]) -> None:
    if len(names) < 2:
        listed = ", ".join(names) or "none"
        raise InputError(f"two cameras or more are required, got {listed}: people place cameras against each other")


def _checked(found: PeopleInput) -> PeopleInput:
    """Raise CalibrationError for people who are outside of their camera's image, InputError where there is none."""
    for view in found.views:
        camera = view.camera
        xy = np.concatenate([np.zeros((0, 2)), *(one.xy[one.score > 0] for one in view.people)])
        if not len(xy):
            raise InputError(
                f"camera {camera.name!r}: no person in {len(view.people)} images: is one in view, upright, and lit?"
            )
        outside = ((xy < -0.5) | (xy > np.array(camera.size_wh) - 0.5)).any(axis=1).mean()
        if outside > MOST_OUTSIDE:
            right, bottom = np.percentile(xy, 99, axis=0)
            raise CalibrationError(
                f"camera {camera.name!r}: {outside:.0%} of joints are outside of its image of {camera.size_wh[0]} x "
                f"{camera.size_wh[1]} px (they reach {right:.0f}, {bottom:.0f}): give intrinsics of the images' size"
            )
    return found
