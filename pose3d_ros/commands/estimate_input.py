"""The recording that `pose3d estimate` is asked for: opened, and checked against the rig before any work is done."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.summary import Reference
from pose3d_ros.recordings.bag_frames import BagFrames
from pose3d_ros.recordings.bag_input import BagTopics, open_bag_frames
from pose3d_ros.recordings.bag_recording import is_bag
from pose3d_ros.recordings.footage import fetch_sample, reference_single
from pose3d_ros.recordings.footage_keypoints import fetch_keypoints
from pose3d_ros.recordings.frame_source import Cut, FrameSource
from pose3d_ros.recordings.keypoint_files import open_keypoint_frames
from pose3d_ros.recordings.trc import read_trc
from pose3d_ros.recordings.video_frames import VideoFrames, assigned, open_videos
from pose3d_ros.rigs.rig_checks import validate_rig
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.skeletons import LIMB_JOINTS
from pose3d_ros.structures import Floats, Rig

Item = TypeVar("Item")
FOOTAGE = ("single", "multi", "openpose")


@dataclass(frozen=True)
class Request:
    """The command line's words, unread."""

    rig: Path | None = None
    videos: tuple[str, ...] = ()  # FILE or CAMERA=FILE
    keypoints: tuple[str, ...] = ()  # CAMERA=PATH
    keypoint_order: str = "auto"
    footage: str = ""
    cameras: str = ""  # A,B,...
    offsets: tuple[str, ...] = ()  # CAMERA=SECONDS
    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None
    stride: int = 1
    reference: str = ""
    bag: BagTopics = field(default_factory=BagTopics)


@dataclass(frozen=True, eq=False)
class Input:
    """What is estimated, what is shown, and what it is compared with."""

    source: FrameSource
    has_images: bool  # the source's moments are FrameSets
    pictures: VideoFrames | BagFrames | None = None  # None: there are none to show
    notes: tuple[str, ...] = ()  # what a user should know of the recording's times
    reference: Reference | None = None  # one row a moment


def open_input(request: Request) -> Input:
    """Open what was asked for.

    Raises InputError, CalibrationError or FootageError that says what does not fit, DownloadError for footage that
    cannot be fetched.
    """
    if request.stride < 1:
        raise InputError(f"--stride {request.stride}: give 1 or more")
    for name, value in (("--start", request.start_s), ("--end", request.end_s)):
        if value is not None and not 0 <= value < float("inf"):
            raise InputError(f"{name} {value:g}: give seconds from the beginning, 0 or more")
    if request.fps is not None and not 0 < request.fps <= 10_000:
        raise InputError(f"--fps {request.fps:g}: give frames a second, more than 0 and 10000 at most")
    if request.footage:
        return _footage(request)
    if any(is_bag(Path(one).expanduser()) for one in request.videos):
        return _bag(request)
    if request.rig is None:
        raise InputError("--rig is missing: give the file of the calibrated cameras (docs/calibration.md)")
    names = [name.strip() for name in request.cameras.split(",") if name.strip()]
    rig = load_rig(request.rig, names)
    if names:  # what else there is may not be calibrated
        request = replace(
            request,
            videos=tuple(word for word in request.videos if {word.partition("=")[0], Path(word).stem} & {*names}),
            keypoints=tuple(word for word in request.keypoints if word.partition("=")[0] in names),
            offsets=tuple(word for word in request.offsets if word.partition("=")[0] in names),
        )
    videos = _chosen(assigned(rig, request.videos), request)
    people = _chosen(_by_camera(rig, request.keypoints, "--keypoints"), request)
    paths = {name: Path(path).expanduser() for name, path in people.items()}
    return _compared(_opened(request, rig, videos, paths, request.fps), request)


def _footage(request: Request) -> Input:
    for name, other in (("--rig", request.rig), ("VIDEO", request.videos), ("--keypoints", request.keypoints)):
        if other:
            raise InputError(f"--footage {request.footage} and {name}: give one of the two")
    if request.footage == "openpose":
        people = fetch_keypoints()
        given = _opened(request, people.rig, {}, _chosen(people.folders, request), request.fps or people.fps)
        return _compared(given, request, people.reference, people.fps)
    sample = fetch_sample(request.footage)
    given = _opened(request, sample.rig, _chosen(sample.videos, request), {}, request.fps)
    return _compared(given, request, reference_single() if request.footage == "single" else None, sample.fps)


def _bag(request: Request) -> Input:
    if len(request.videos) > 1:
        raise InputError(f"{', '.join(request.videos)}: give one recording, or the videos of two cameras or more")
    for name, other in (
        ("--keypoints", request.keypoints), ("--offset", request.offsets), ("--fps", request.fps),
        ("--reference", request.reference),
    ):  # fmt: skip
        if other:
            raise InputError(f"{name} and a recording of ROS topics do not go together: leave {name} out")
    source = open_bag_frames(
        Path(request.videos[0]).expanduser(),
        rig_file=request.rig,
        cameras=[name.strip() for name in request.cameras.split(",") if name.strip()],
        topics=request.bag,
        start_s=request.start_s,
        end_s=request.end_s,
        stride=request.stride,
        progress=True,
    )
    return Input(source, True, source)


def _opened(
    request: Request, rig: Rig, videos: Mapping[str, Path], people: Mapping[str, Path], fps: float | None
) -> Input:
    """The input without a reference; raises CalibrationError for cameras that cannot be true, warns of odd ones."""
    offsets = {name: _seconds(text) for name, text in _by_camera(rig, request.offsets, "--offset").items()}
    cut = Cut(offsets, request.start_s, request.end_s, request.stride)
    if len(people or videos) < 2:
        given = ", ".join(people or videos) or "none"
        raise InputError(f"two cameras or more must be given, got {given} (one camera: pose3d mono)")
    for text in validate_rig(rig.subset(list(people or videos))):
        warnings.warn(text, stacklevel=2)
    if not people:
        source = open_videos(rig, videos, fps, cut)
        return Input(source, True, source, source.notes)
    if fps is None:
        raise InputError("--fps is missing: keypoint files do not say how many frames there are a second")
    frames = open_keypoint_frames(rig, people, fps, cut, request.keypoint_order)
    pictures = (
        open_videos(rig, videos, fps, Cut(offsets, end_s=request.end_s)).at(frames.moments_ns) if videos else None
    )
    return Input(frames, False, pictures, frames.notes)


def _compared(given: Input, request: Request, published: Reference | None = None, rate_hz: float = 1.0) -> Input:
    """The input with the user's reference, or else what was published with the footage, rate_hz rows a second."""
    first_s = 0.0
    if request.reference:
        markers = read_trc(request.reference)
        if missing := [name for name in LIMB_JOINTS if name not in markers.names]:
            raise InputError(
                f"--reference {request.reference} has no marker {missing[0]!r}, expected {', '.join(LIMB_JOINTS)}: "
                f"rename its markers ({', '.join(markers.names[:8])}, ...)"
            )
        # A TRC file is y up, as OpenSim has it: (x, y, z) there is world (y, z, x).
        published, rate_hz = (markers.names, markers.xyz[..., [2, 0, 1]]), markers.rate_hz
        first_s = float(markers.times_s[0]) if len(markers.times_s) else 0.0
    if published is None:
        return given
    names, xyz = published
    source = given.source
    times_s = source.moments_ns / 1e9
    row = np.round((times_s - first_s) * rate_hz).astype(int)
    there = (row >= 0) & (row < len(xyz))
    # What comes after the reference has ended is not read again.
    rows: Floats = np.full((int(np.flatnonzero(there).max(initial=-1)) + 1, *xyz.shape[1:]), np.nan)
    rows[there[: len(rows)]] = xyz[row[there]]
    return replace(given, reference=(names, rows))


def _chosen(found: Mapping[str, Item], request: Request) -> dict[str, Item]:
    """Those of --cameras, or all."""
    if not request.cameras:
        return dict(found)
    names = [name.strip() for name in request.cameras.split(",") if name.strip()]
    for name in names:
        if name not in found and found:
            raise InputError(f"--cameras: there is no recording of {name!r}: there are {', '.join(found)}")
    return {name: found[name] for name in names if name in found}


def _by_camera(rig: Rig, given: Sequence[str], option: str) -> dict[str, str]:
    """What stands behind CAMERA= of each word, in the rig's order."""
    found: dict[str, str] = {}
    for one in given:
        camera, sign, value = one.partition("=")
        if not sign or not value:
            raise InputError(f"{option} {one}: give it as CAMERA=VALUE, the camera one of {', '.join(rig.names)}")
        if camera not in rig.names:
            raise InputError(f"{option} {one}: the rig has no camera {camera!r}: it has {', '.join(rig.names)}")
        if camera in found:
            raise InputError(f"{option}: camera {camera!r} is given twice, {found[camera]} and {value}: give it once")
        found[camera] = value
    return {name: found[name] for name in rig.names if name in found}


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"--offset: {text!r} is no number of seconds, expected for example 0.25 or -1.5")
    return value
