"""The rig that a node or a recording sees: put together from camera_info and TF, kept while nothing changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import CalibrationError, Pose3DError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.rigs.camera_info import camera_from_msgs
from pose3d_ros.rigs.placement import (
    LookUp,
    baseline_in,
    by_projection,
    by_tf,
    camera_frame,
    check_frame,
    consistent_sizes,
    frames_differ,
    frames_disagree,
)
from pose3d_ros.rigs.rig_checks import check_rig
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.structures import Camera, Floats, Rig


@dataclass(frozen=True)
class CameraUpdate:
    """What one image's messages say about its camera."""

    info: Any  # sensor_msgs/CameraInfo, or None where none has come
    frame_id: str
    stamp_ns: int


class LiveRig:
    """Cameras by name with intrinsics from camera_info (or a rig file) and places by one placement.

    update() gives the same Rig object again until a calibration or a transform changes. `problems` says, by camera,
    why one cannot be used now: it stays in the rig where it was, and the others go on without its images. `warnings`
    says what else is odd. What cannot be true is refused as everywhere (rigs/rig_checks.py).
    Placement auto waits for TF for tf_patience_s before it takes the projection matrices.
    """

    def __init__(
        self,
        names: Sequence[str],
        look_up: LookUp,
        *,
        placement: str,
        rectified: bool,
        fixed_frame: str = "",
        rig_file: str = "",
        tf_patience_s: float = 0.0,
        min_cameras: int = 2,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.names = tuple(names)
        self.fixed_frame = fixed_frame
        self.placement = "file" if placement == "auto" and rig_file else placement
        self.problems: dict[str, str] = {}
        self.rig: Rig | None = None
        self._look_up = look_up
        self._rectified = rectified
        self._tf_patience_s, self._now_s = tf_patience_s, now_s
        self._min_cameras = min_cameras
        self._give_up_tf_s: float | None = None
        self._file = _rig_of_file(rig_file, self.names) if self.placement == "file" else None
        self._infos: dict[str, Any] = {}
        self._frames: dict[str, str] = {}
        self._keys: dict[str, tuple[Any, ...]] = {}
        self._intrinsics: dict[str, Camera] = {}  # placed in the optical frame: rectified ones are turned by R
        self._places: dict[str, tuple[Camera, Floats]] = {}  # with cam_from_fixed (4, 4)
        self._checked: tuple[str, ...] = ()  # the cameras that the rig was made of
        self._implausible: dict[str, str] = {}  # those of them that it does not hold, and why
        self._warnings: list[str] = []  # of the rig
        self._odd_frames: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        """What is odd about the cameras, though they are used."""
        return [*self._warnings, *filter(None, self._odd_frames.values())]

    def update(self, sightings: Mapping[str, CameraUpdate]) -> Rig:
        """The rig for these images; raises CalibrationError when fewer than min_cameras are usable."""
        self.problems = {}
        known = {name: one for name, one in sightings.items() if self._calibrate(name, one)}
        if self.placement == "auto":
            self.placement = self._decide(known)
        changed = False
        for name, one in known.items():
            changed |= self._place(name, one)
        placed = tuple(name for name in self.names if name in self._places)
        if sum(name not in self.problems for name in placed) < self._min_cameras:
            why = "; ".join(dict.fromkeys(self.problems.values())) or "no other camera has sent images yet"
            raise CalibrationError(why)
        if changed or self._checked != placed or self.rig is None:
            self.rig = None
            self.rig = self._plausible(placed)
            self._checked = placed
        self.problems |= self._implausible
        return self.rig

    def _plausible(self, names: tuple[str, ...]) -> Rig:
        """The rig of these cameras, less those that cannot be true; raises CalibrationError for too few."""
        self._implausible = {}
        while True:
            places = (self._places[name] for name in names)
            placed = (camera.placed(camera.cam_from_world @ place) for camera, place in places)
            rig = Rig(tuple(placed), self._fixed_frame())
            findings = check_rig(rig)
            faults = [finding for finding in findings if finding.fault]
            if not faults:
                self._warnings = [finding.text for finding in findings]
                return rig
            self._implausible |= {finding.camera: finding.text for finding in faults if finding.camera}
            names = tuple(name for name in names if name not in self._implausible)
            if len(names) < self._min_cameras or not all(finding.camera for finding in faults):
                raise CalibrationError(faults[0].text)

    def _calibrate(self, name: str, one: CameraUpdate) -> bool:
        """Take over the camera's intrinsics; False, with the problem noted, where they cannot be used."""
        info_frame = one.info.header.frame_id if one.info is not None else ""
        self._frames[name] = camera_frame(one.frame_id, info_frame)
        self._odd_frames[name] = frames_disagree(name, one.frame_id, info_frame)
        if self._file is not None:
            camera = self._file.camera(name)
            if one.info is not None and (problem := consistent_sizes(camera, one.info)):
                return self._refuse(name, problem)
            self._intrinsics.setdefault(name, camera.placed(np.eye(4)))
            return True
        if one.info is None:
            return self._refuse(name, f"camera {name!r}: no camera_info has come")
        key = _key(one.info)
        if self._keys.get(name) != key:
            try:
                self._intrinsics[name] = camera_from_msgs(name, one.info, np.eye(4), self._rectified)
            except Pose3DError as error:
                self._keys.pop(name, None)
                return self._refuse(name, str(error))
            self._keys[name], self._infos[name] = key, one.info
        return True

    def _decide(self, known: Mapping[str, CameraUpdate]) -> str:
        """What auto stands for: TF where it places every camera seen, else a stereo driver's P."""
        first = self.names[0]
        if len(known) < 2 or (first not in self._frames and not self.fixed_frame):
            causes = "; ".join(self.problems.values()) or f"waiting for {first!r} and one more camera"
            raise CalibrationError(f"{', '.join(known) or 'no camera'} can be used yet, expected two or more: {causes}")
        frames = [self._frames[name] for name in known]
        cause = f"all images carry the same header.frame_id {frames[0]!r}, so TF cannot tell the cameras apart"
        if frames_differ(frames):
            try:
                for name, one in known.items():
                    by_tf(name, self._frames[name], one.stamp_ns, self._fixed_frame(), self._look_up)
            except CalibrationError as error:
                cause = str(error)
            else:
                return "tf"
            if self._give_up_tf_s is None:
                self._give_up_tf_s = self._now_s() + self._tf_patience_s
            if self._now_s() < self._give_up_tf_s:
                raise CalibrationError(f"placement auto: {cause}; waiting for TF {self._tf_patience_s:g} s at most")
        offsets = [baseline_in(info) for info in self._infos.values()]
        # NaN is an offset too, and by_projection refuses it by name.
        if first in self._infos and not all(float(np.linalg.norm(one)) <= MIN_BASELINE_M for one in offsets):
            return "projection"
        raise CalibrationError(
            f"placement auto: {cause}; and camera_info's P holds no baseline (P[3] = 0); and no rig_file is given: "
            "provide one of the three"
        )

    def _place(self, name: str, one: CameraUpdate) -> bool:
        """Place one camera; True if that changed the rig. A camera that cannot be placed is left out."""
        camera, before = self._intrinsics[name], self._places.get(name)
        try:
            cam_from_fixed = self._cam_from_fixed(name, one)
            if before is not None and before[0] is camera and np.array_equal(before[1], cam_from_fixed):
                return False
            camera.placed(cam_from_fixed)  # where that is no rigid transform, this camera alone is left out
        except Pose3DError as error:
            self._refuse(name, str(error))
            return False
        self._places[name] = camera, cam_from_fixed
        return True

    def _cam_from_fixed(self, name: str, one: CameraUpdate) -> Floats:
        """cam_from_fixed (4, 4) by the chosen placement."""
        fixed = self._fixed_frame()
        if self.placement == "tf":
            return by_tf(name, self._frames[name], one.stamp_ns, fixed, self._look_up)
        if self._file is not None:
            reference, cam_from_reference = self._file.frame_id, self._file.camera(name).cam_from_world
        else:
            first = self.names[0]
            if first not in self._infos:
                raise CalibrationError(f"camera {first!r}, to which the others' P refer, has sent nothing yet")
            reference = check_frame(first, self._frames[first])
            cam_from_reference = by_projection(name, first, self._infos)
        if reference == fixed:
            return cam_from_reference
        fixed_from_reference = self._look_up(fixed, reference, one.stamp_ns)
        return np.asarray(cam_from_reference @ np.linalg.inv(fixed_from_reference))

    def _fixed_frame(self) -> str:
        """The frame of the poses: the parameter, else the rig file's, else the first camera's optical frame."""
        if self.fixed_frame:
            return self.fixed_frame
        if self._file is not None:
            return self._file.frame_id
        if self.names[0] not in self._frames:
            raise CalibrationError(
                f"camera {self.names[0]!r}, whose frame the poses are given in, has sent nothing yet: start it, or set "
                "the parameter fixed_frame"
            )
        return self._frames[self.names[0]]

    def _refuse(self, name: str, problem: str) -> bool:
        """Note why a camera cannot be used in this set.

        In the rig it stays where it was: one late transform must not make another rig of it, whose calibration nothing
        is known of.
        """
        self.problems[name] = problem
        return False


def _rig_of_file(path: str, names: Sequence[str]) -> Rig:
    """The rig file's cameras of these names; raises CalibrationError naming what is missing."""
    if not path:
        raise CalibrationError("placement is 'file', but the parameter rig_file is empty: give the path of a rig.yaml")
    try:
        return load_rig(Path(path).expanduser(), names)  # a shell leaves the ~ of rig_file:=~/rig.yaml
    except CalibrationError as error:
        raise CalibrationError(f"{error} (the parameter cameras is {', '.join(names)})") from error


def _key(info: Any) -> tuple[Any, ...]:
    """Everything of a CameraInfo that the camera depends on, cheap to compare."""
    roi = info.roi
    return (
        *(info.width, info.height, info.distortion_model, info.binning_x, info.binning_y),
        *(roi.x_offset, roi.y_offset, roi.width, roi.height),
        *(np.asarray(numbers, dtype=np.float64).tobytes() for numbers in (info.d, info.k, info.r, info.p)),
    )
