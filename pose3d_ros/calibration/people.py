"""A rig from the people in front of its cameras, without a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pose3d_ros.calibration.people_adjusted import Solved, adjust
from pose3d_ros.calibration.people_checks import FREE_FOCAL, check, without_floor, wrong_focal_lengths
from pose3d_ros.calibration.people_covariance import relative_covariances
from pose3d_ros.calibration.people_metric import Metric, keep_in_place, put_on_floor
from pose3d_ros.calibration.people_residuals import DRIFT, FOCAL, K1, OFFSET, OWN
from pose3d_ros.calibration.people_scene import scene
from pose3d_ros.calibration.people_start import ADVICE, Start, find_start
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.calibration.regrouping import regrouped
from pose3d_ros.calibration.view_tracks import ViewTrack, follow
from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.rigs.rig_checks import check_rig
from pose3d_ros.structures import Camera, Floats, Rig

# How far a rig's cameras may be from where it has them, and k1 from a guess; clocks of consumer cameras run apart by up
# to 100 ppm.
REFINED_RAD, REFINED_M = np.deg2rad(2.0), 0.10
GUESSED_K1, DRIFT_PPM = 0.05, 100.0
# A walking person's hand moves 1 to 2 cm in so long.
MOST_OFFSET_STD_S = 0.01


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

    # Frame "floor": z up, the floor at z = 0, the first camera above x = y = 0 and looking along +x; without a floor
    # "<first camera>_optical", with a warning; of refine_rig, the given rig's.
    rig: Rig
    # (6, 6) by camera, of cam_from_first: exp(rotation rad, translation m), in the camera's frame.
    covariance: Mapping[str, Floats]
    clocks: Mapping[str, Clock]
    scale_std: float  # relative
    tilt_std_rad: float  # of the floor, a horizontal axis; NaN where no floor was found
    reprojection_px: Mapping[str, float]  # median by camera
    focal_std: Mapping[str, float] = field(default_factory=dict)  # relative, by camera, where focal lengths were free
    statures_m: tuple[float, ...] = ()  # of the people found
    xyz: Floats = ()  # type: ignore[assignment]  # (N, 17, 3) m: people in the rig's frame, for a picture
    findings: tuple[Finding, ...] = ()  # faults: the rig must not be used; warnings


def calibrate_people(views: Sequence[PeopleViews], options: PeopleOptions = PeopleOptions()) -> PeopleCalibration:
    """Find where two cameras or more stand from people whom they see.

    Raises CalibrationError where people do not determine it at all, and InputError for fewer than two cameras or one of
    options that is not there; where people do not determine it well enough, findings hold a fault. Cameras of views
    need no places.
    """
    followed = _followed(views, options)
    names = [one.camera.name for one in views]
    start = find_start(names, followed.tracks, followed.offset_s, options.max_offset_s)
    cameras = tuple(one.camera.placed(matrix) for one, matrix in zip(views, start.cam_from_first, strict=True))
    solved = _solved(cameras, followed, start, _freedom(len(views), options))
    metric = put_on_floor(solved, options.stature_m, options.distance)
    frame_id = "floor" if metric.on_floor else f"{names[0]}_optical"
    wrong = () if options.focal else wrong_focal_lengths(solved)
    floor = () if metric.on_floor else (without_floor(frame_id),)
    return _result(followed, metric, frame_id, (*wrong, *check(metric), *floor))


def refine_rig(
    rig: Rig, views: Sequence[PeopleViews], options: PeopleOptions = PeopleOptions(offsets_s={})
) -> PeopleCalibration:
    """Correct a rig's extrinsics by people; its frame stays, held by all cameras together (keep_in_place).

    Raises CalibrationError as calibrate_people and where people fit the rig too badly, and InputError where a camera of
    views is not in the rig.
    """
    cameras = tuple(rig.camera(one.camera.name) for one in views)
    followed = _followed(views, options)
    known = [camera.cam_from_world for camera in cameras]
    start = find_start([one.name for one in cameras], followed.tracks, followed.offset_s, options.max_offset_s, known)
    freedom = _freedom(len(views), options)
    freedom[:, :3], freedom[:, 3:6] = REFINED_RAD, REFINED_M
    after = _solved(cameras, followed, start, freedom)
    fixed = freedom.copy()
    fixed[:, :6] = 0.0
    # The same moments of the same people, however these were joined.
    before = adjust(replace(after.evidence, own_std=fixed), replace(after.unknowns, cameras=cameras))
    metric = keep_in_place(before, after)
    return _result(followed, metric, rig.frame_id, check(metric))


def recording_clocks(
    views: Sequence[PeopleViews], rig: Rig | None = None, options: PeopleOptions = PeopleOptions()
) -> Mapping[str, Clock]:
    """Find the offsets of recordings from people; with or without extrinsics, rig.

    Raises CalibrationError where people move too little to find them.
    """
    options = replace(options, offsets_s=None)
    if rig is None:
        return _certain(calibrate_people(views, options).clocks)
    cameras = tuple(rig.camera(one.camera.name) for one in views)
    followed = _followed(views, options)
    known = [camera.cam_from_world for camera in cameras]
    start = find_start([one.name for one in cameras], followed.tracks, None, options.max_offset_s, known)
    freedom = _freedom(len(views), options)
    freedom[:, :6] = 0.0
    solved = _solved(cameras, followed, start, freedom)
    return _certain(_clocks(solved, followed.middle_s))


@dataclass(frozen=True, eq=False)
class _Followed:
    tracks: list[list[ViewTrack]]  # by camera; times relative to middle_s
    middle_s: float  # so that offsets and drifts hardly depend on each other
    offset_s: list[float] | None


def _followed(views: Sequence[PeopleViews], options: PeopleOptions) -> _Followed:
    names = [one.camera.name for one in views]
    if len(set(names)) < max(len(names), 2):
        raise InputError(f"people calibrate two cameras or more of different names, got {', '.join(names) or 'none'}")
    for name in (*(options.distance or ())[:2], *(options.offsets_s or ())):
        if name not in names:
            raise InputError(f"a distance or offset is of camera {name!r}, but there are only {', '.join(names)}")
    tracks = [follow(one) for one in views]
    ends = [time for own in tracks for track in own for time in track.span_s]
    middle_s = 0.5 * (min(ends) + max(ends)) if ends else 0.0
    centred = [[replace(track, times_s=track.times_s - middle_s) for track in own] for own in tracks]
    offsets = options.offsets_s
    known = None if offsets is None else [offsets.get(one.camera.name, 0.0) for one in views]
    return _Followed(centred, middle_s, known)


def _freedom(views: int, options: PeopleOptions) -> Floats:
    """(V, OWN) standard deviations of what is known before: the first camera and its clock stay."""
    std = np.zeros((views, OWN))
    std[1:, :6] = np.inf
    if options.offsets_s is None:
        std[1:, OFFSET] = np.inf
    if options.drift:
        std[1:, DRIFT] = DRIFT_PPM
    if options.focal:
        std[:, FOCAL], std[:, K1] = FREE_FOCAL, GUESSED_K1
    return std


def _solved(cameras: tuple[Camera, ...], followed: _Followed, start: Start, freedom: Floats) -> Solved:
    """Adjust; then once more with people joined by the cameras found, where those differ from the start's."""
    first = adjust(*scene(cameras, followed.tracks, start, freedom))
    again = regrouped(first.unknowns.cameras, first.unknowns.clocks, followed.tracks, start)
    if not again.people or {*map(_key, again.people)} == {*map(_key, start.people)}:
        return first
    evidence, unknowns = scene(first.unknowns.cameras, followed.tracks, again, freedom, first.unknowns.clocks)
    about = replace(evidence, about=first.evidence.about, clocks_about=first.evidence.clocks_about)
    return adjust(about, unknowns)


def _key(person: Mapping[int, tuple[int, ...]]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple(sorted(person.items()))


def _clocks(solved: Solved, middle_s: float) -> dict[str, Clock]:
    clocks = {}
    for v, camera in enumerate(solved.unknowns.cameras):
        offset_s, ppm = solved.unknowns.clocks[v].tolist()
        own = OWN * v
        offset_std_s, ppm_std = np.sqrt(np.diag(solved.covariance)[[own + OFFSET, own + DRIFT]]).tolist()
        # Of the camera's time 0, which lies -middle_s from where the offset was found.
        std_s = float(np.hypot(offset_std_s, 1e-6 * ppm_std * middle_s))
        clocks[camera.name] = Clock(offset_s - 1e-6 * ppm * middle_s, std_s, ppm, ppm_std)
    return clocks


def _certain(clocks: Mapping[str, Clock]) -> Mapping[str, Clock]:
    """The clocks; raises CalibrationError where one is too uncertain."""
    for name, clock in clocks.items():
        if clock.offset_std_s > MOST_OFFSET_STD_S:
            raise CalibrationError(
                f"camera {name!r}: people move too little to find its offset ({clock.offset_s:.3f} s +- "
                f"{clock.offset_std_s:.3f}, expected at most {MOST_OFFSET_STD_S:g}): {ADVICE}, or give --offset"
            )
    return clocks


def _result(followed: _Followed, metric: Metric, frame_id: str, findings: tuple[Finding, ...]) -> PeopleCalibration:
    cameras, rig = metric.cameras, Rig(metric.cameras, frame_id)
    return PeopleCalibration(
        rig=rig,
        covariance=relative_covariances(metric.covariance, cameras),
        clocks=_clocks(metric.solved, followed.middle_s),
        scale_std=metric.scale_std,
        tilt_std_rad=metric.tilt_std_rad,
        reprojection_px=metric.solved.reprojection_px(),
        focal_std=metric.solved.focal_std(),
        statures_m=metric.statures_m,
        xyz=metric.people(),
        findings=(*findings, *check_rig(rig)),
    )
