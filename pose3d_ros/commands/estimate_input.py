"""Open the recording for `pose3d estimate`, and check it against the rig before any work is done."""

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
from pose3d_ros.files.door import expanded
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
# Of a wrong frame rate: 29.97 for 30 is 1000.
MOST_DRIFT_PPM = 10_000.0


@dataclass(frozen=True)
class Request:
    """The command line's arguments, not yet parsed."""

    rig: Path | None = None
    videos: tuple[str, ...] = ()  # FILE or CAMERA=FILE
    keypoints: tuple[str, ...] = ()  # CAMERA=PATH
    keypoint_order: str = "auto"
    footage: str = ""
    cameras: str = ""  # A,B,...
    offsets: tuple[str, ...] = ()  # CAMERA=SECONDS or CAMERA=SECONDS,PPM
    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None
    stride: int = 1
    reference: str = ""
    bag: BagTopics = field(default_factory=BagTopics)


@dataclass(frozen=True, eq=False)
class Input:
    """The frames to estimate, the images to draw on, and the reference to compare with."""

    source: FrameSource
    has_images: bool  # the source's moments are FrameSets
    pictures: VideoFrames | BagFrames | None = None  # None: there are no images to draw on
    notes: tuple[str, ...] = ()  # about the recording's times, for the user
    reference: Reference | None = None  # one row a moment


def open_input(request: Request) -> Input:
    """Open the requested recording.

    Raises InputError, CalibrationError or FootageError for input that does not fit, DownloadError for footage that
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
    if any(is_bag(expanded(video)) for video in request.videos):
        return _bag(request)
    if request.rig is None:
        raise InputError("--rig is missing: give the calibration file of the cameras (docs/calibration.md)")
    names = [name.strip() for name in request.cameras.split(",") if name.strip()]
    rig = load_rig(request.rig, names)
    if names:  # the other recordings may have no calibration
        request = replace(
            request,
            videos=tuple(
                argument for argument in request.videos if {argument.partition("=")[0], Path(argument).stem} & {*names}
            ),
            keypoints=tuple(argument for argument in request.keypoints if argument.partition("=")[0] in names),
            offsets=tuple(argument for argument in request.offsets if argument.partition("=")[0] in names),
        )
    videos = _chosen(assigned(rig, request.videos), request)
    people = _chosen(_by_camera(rig, request.keypoints, "--keypoints"), request)
    paths = {name: expanded(path) for name, path in people.items()}
    return _compared(_opened(request, rig, videos, paths, request.fps), request)


def _footage(request: Request) -> Input:
    for name, other in (("--rig", request.rig), ("VIDEO", request.videos), ("--keypoints", request.keypoints)):
        if other:
            raise InputError(f"--footage {request.footage} and {name}: give one of the two")
    if request.footage == "openpose":
        people = fetch_keypoints()
        recording = _opened(request, people.rig, {}, _chosen(people.folders, request), request.fps or people.fps)
        return _compared(recording, request, people.reference, people.fps)
    sample = fetch_sample(request.footage)
    recording = _opened(request, sample.rig, _chosen(sample.videos, request), {}, request.fps)
    return _compared(recording, request, reference_single() if request.footage == "single" else None, sample.fps)


def _bag(request: Request) -> Input:
    if len(request.videos) > 1:
        raise InputError(f"{', '.join(request.videos)}: give one recording, or the videos of two cameras or more")
    for name, other in (
        ("--keypoints", request.keypoints), ("--offset", request.offsets), ("--fps", request.fps),
        ("--reference", request.reference),
    ):  # fmt: skip
        if other:
            raise InputError(f"{name} does not apply to a recording of ROS topics: omit {name}")
    source = open_bag_frames(
        expanded(request.videos[0]),
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
    """Open the frames and images; raises CalibrationError for impossible cameras, warns of implausible ones."""
    clocks = {name: _clock(text) for name, text in _by_camera(rig, request.offsets, "--offset").items()}
    offsets = {name: offset_s for name, (offset_s, _) in clocks.items()}
    drifts = {name: drift_ppm for name, (_, drift_ppm) in clocks.items() if drift_ppm}
    cut = Cut(offsets, request.start_s, request.end_s, request.stride, drifts)
    if len(people or videos) < 2:
        cameras = ", ".join(people or videos) or "none"
        raise InputError(f"two cameras or more are required, got {cameras} (for one camera: pose3d mono)")
    for text in validate_rig(rig.subset(list(people or videos))):
        warnings.warn(text, stacklevel=2)
    if not people:
        source = open_videos(rig, videos, fps, cut)
        return Input(source, True, source, source.notes)
    if fps is None:
        raise InputError("--fps is missing: keypoint files contain no frame rate, give it in frames/s")
    frames = open_keypoint_frames(rig, people, fps, cut, request.keypoint_order)
    pictures = (
        open_videos(rig, videos, fps, Cut(offsets, end_s=request.end_s, drifts_ppm=drifts)).at(frames.moments_ns)
        if videos
        else None
    )
    return Input(frames, False, pictures, frames.notes)


def _compared(recording: Input, request: Request, published: Reference | None = None, rate_hz: float = 1.0) -> Input:
    """Add the user's reference, or else the one published with the footage, rate_hz rows per second."""
    first_s = 0.0
    if request.reference:
        markers = read_trc(request.reference)
        if missing := [name for name in LIMB_JOINTS if name not in markers.names]:
            raise InputError(
                f"--reference {request.reference} has no marker {missing[0]!r}, expected {', '.join(LIMB_JOINTS)}: "
                f"rename its markers ({', '.join(markers.names[:8])}, ...)"
            )
        # A TRC file is y up, as in OpenSim: (x, y, z) there is world (y, z, x).
        published, rate_hz = (markers.names, markers.xyz[..., [2, 0, 1]]), markers.rate_hz
        first_s = float(markers.times_s[0]) if len(markers.times_s) else 0.0
    if published is None:
        return recording
    names, xyz = published
    source = recording.source
    times_s = source.moments_ns / 1e9
    row = np.round((times_s - first_s) * rate_hz).astype(int)
    there = (row >= 0) & (row < len(xyz))
    # Rows end where the reference ends.
    rows: Floats = np.full((int(np.flatnonzero(there).max(initial=-1)) + 1, *xyz.shape[1:]), np.nan)
    rows[there[: len(rows)]] = xyz[row[there]]
    return replace(recording, reference=(names, rows))


def _chosen(recordings: Mapping[str, Item], request: Request) -> dict[str, Item]:
    """Return the recordings of --cameras, or all."""
    if not request.cameras:
        return dict(recordings)
    names = [name.strip() for name in request.cameras.split(",") if name.strip()]
    for name in names:
        if name not in recordings and recordings:
            raise InputError(f"--cameras: no recording of {name!r}: available are {', '.join(recordings)}")
    return {name: recordings[name] for name in names if name in recordings}


def _by_camera(rig: Rig, arguments: Sequence[str], option: str) -> dict[str, str]:
    """Return VALUE of each CAMERA=VALUE by camera, in the rig's order."""
    values: dict[str, str] = {}
    for argument in arguments:
        camera, sign, value = argument.partition("=")
        if not sign or not value:
            raise InputError(f"{option} {argument}: give it as CAMERA=VALUE, the camera one of {', '.join(rig.names)}")
        if camera not in rig.names:
            raise InputError(f"{option} {argument}: the rig has no camera {camera!r}: it has {', '.join(rig.names)}")
        if camera in values:
            raise InputError(f"{option}: camera {camera!r} is given twice, {values[camera]} and {value}: give it once")
        values[camera] = value
    return {name: values[name] for name in rig.names if name in values}


def _clock(text: str) -> tuple[float, float]:
    """Offset s and drift ppm of SECONDS or SECONDS,PPM; raises InputError."""
    try:
        offset_s, drift_ppm = (float(word) for word in (text if "," in text else f"{text},0").split(","))
    except ValueError:
        offset_s = drift_ppm = math.nan
    if not math.isfinite(offset_s):
        raise InputError(
            f"--offset: {text!r} is not a number of seconds, expected for example 0.25, -1.5, or with a drift 0.25,-40"
        )
    if not abs(drift_ppm) <= MOST_DRIFT_PPM:
        raise InputError(
            f"--offset: a drift of {drift_ppm:g} ppm, expected {MOST_DRIFT_PPM:g} at most: cameras have 100"
        )
    return offset_s, drift_ppm
