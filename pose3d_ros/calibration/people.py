"""A rig from the people in front of its cameras, without a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.structures import Floats, Rig


@dataclass(frozen=True)
class PeopleOptions:
    """What is known beforehand, and what is to be found."""

    stature_m: float | None = None  # of the tallest person in view
    distance: tuple[str, str, float] | None = None  # two cameras, and m between their centres
    offsets_s: Mapping[str, float] | None = None  # by camera, as in Clock; None: to be found; {}: one clock
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
    raise NotImplementedError


def refine_rig(
    rig: Rig, views: Sequence[PeopleViews], options: PeopleOptions = PeopleOptions(offsets_s={})
) -> PeopleCalibration:
    """Correct a rig's extrinsics by people; its frame stays where it is. Raises CalibrationError as above."""
    raise NotImplementedError


def recording_clocks(
    views: Sequence[PeopleViews], rig: Rig | None = None, options: PeopleOptions = PeopleOptions()
) -> Mapping[str, Clock]:
    """Find the offsets of recordings from people; with or without extrinsics. Raises CalibrationError as above."""
    raise NotImplementedError
