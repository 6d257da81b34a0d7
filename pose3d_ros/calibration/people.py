"""A rig from the people in front of its cameras, without a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pose3d_ros.calibration.people_bundle import DRIFT, FOCAL, K1, OFFSET, OWN, solve
from pose3d_ros.calibration.people_scene import scene
from pose3d_ros.calibration.people_start import find_start
from pose3d_ros.calibration.view_tracks import follow
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.structures import Floats, Rig


@dataclass(frozen=True)
class PeopleOptions:
    """What is known beforehand, and what is to be found."""

    stature_m: float | None = None  # of the tallest person in view
    distance: tuple[str, str, float] | None = None  # two cameras, and m between their centres
    offsets_s: Mapping[str, float] | None = None  # by camera, as in Clock; None: to be found; {}: one clock
    max_offset_s: float = 10.0  # how much two cameras' clocks may differ, where that is to be found
    drift: bool = False  # whether clocks may also run at different rates
    focal: bool = False  # whether focal lengths (and the first distortion coefficient) are only guesses


@dataclass(frozen=True)
class Clock:
    """A camera's clock: common time = offset_s + (1 + 1e-6 drift_ppm) * (the camera's time), s."""

    offset_s: float = 0.0
    offset_std_s: float = 0.0
    drift_ppm: float = 0.0
    drift_std_ppm: float = 0.0


@dataclass(frozen=True, eq=False)
class PeopleCalibration:
    """A rig found from people, with what is known about its errors."""

    rig: Rig  # frame "floor": z up, the floor at z = 0, the first camera above x = y = 0 and looking along +x
    covariance: Mapping[str, Floats]  # (6, 6) of cam_from_first: exp(rotation rad, translation m), in the camera's frame
    clocks: Mapping[str, Clock]
    scale_std: float  # relative
    tilt_std_rad: float  # of the floor, a horizontal axis
    reprojection_px: Mapping[str, float]  # median by camera
    focal_std: Mapping[str, float] = field(default_factory=dict)  # relative, by camera, where focal lengths were free
    statures_m: tuple[float, ...] = ()  # of the people found
    xyz: Floats = ()  # type: ignore[assignment]  # (N, 17, 3) m: people in the rig's frame, for a picture
    findings: tuple[Finding, ...] = ()  # faults: the rig must not be used; warnings


def calibrate_people(views: Sequence[PeopleViews], options: PeopleOptions = PeopleOptions()) -> PeopleCalibration:
    """Find where cameras stand from people; raises CalibrationError where people do not determine it."""
    names = [one.camera.name for one in views]
    tracks, middle_s = _tracks(views)
    start = find_start(names, tracks, _known_offsets(names, options, middle_s), options.max_offset_s)
    cameras = tuple(one.camera.placed(matrix) for one, matrix in zip(views, start.cam_from_first, strict=True))
    own_std = _freedom(len(views), options)
    evidence, unknowns = scene(cameras, tracks, start, own_std)
    unknowns, normal = solve(evidence, unknowns)
    return evidence, unknowns, normal, start


def _tracks(views):
    followed = [follow(one) for one in views]
    spans = [track.span_s for own in followed for track in own]
    middle_s = 0.5 * (min(span[0] for span in spans) + max(span[1] for span in spans)) if spans else 0.0
    return [[replace(track, times_s=track.times_s - middle_s) for track in own] for own in followed], middle_s


def _known_offsets(names, options, middle_s):
    if options.offsets_s is None:
        return None
    return [options.offsets_s.get(name, 0.0) for name in names]


def _freedom(views, options):
    std = np.zeros((views, OWN))
    std[1:, :6] = np.inf
    if options.offsets_s is None:
        std[1:, OFFSET] = np.inf
    if options.drift:
        std[1:, DRIFT] = 200.0
    if options.focal:
        std[:, FOCAL] = 0.3
        std[:, K1] = 0.05
    return std
