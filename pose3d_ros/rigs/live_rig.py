"""The rig of a running node or a recording, built from camera_info and TF, and kept while nothing changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose3d_ros.errors import CalibrationError, Pose3DError
from pose3d_ros.files.door import expanded
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.rigs.camera_info import camera_from_msgs
from pose3d_ros.rigs.placement import (
    LookUp,
    baseline_in,
    camera_frame,
    check_frame,
    consistent_sizes,
    extrinsics_from_projection,
    extrinsics_from_tf,
    frames_differ,
    frames_disagree,
)
from pose3d_ros.rigs.rig_checks import check_rig
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.structures import Camera, Floats, Rig


@dataclass(frozen=True)
class CameraUpdate:
    """The messages of one image that describe its camera."""

    info: Any  # sensor_msgs/CameraInfo, or None if none has arrived
    frame_id: str
    stamp_ns: int


class LiveRig:
    """Cameras by name, with intrinsics from camera_info (or a rig file) and extrinsics from one placement.

    update() returns the same Rig object until a calibration or a transform changes. `problems` has, by camera, the
    reason why it cannot be used now: it keeps its pose in the rig, and the others continue without its images.
    `warnings` lists what else is implausible. Impossible rigs are rejected as everywhere (rigs/rig_checks.py).
    Placement auto waits tf_patience_s for TF before it uses the projection matrices.
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
        self._intrinsics: dict[str, Camera] = {}  # at the optical frame; rectified ones are rotated by R
        self._extrinsics: dict[str, tuple[Camera, Floats]] = {}  # with cam_from_fixed (4, 4)
        self._checked: tuple[str, ...] = ()  # the cameras that the rig was built from
        self._implausible: dict[str, str] = {}  # those of them that it does not contain, and why
        self._warnings: list[str] = []  # of the rig
        self._odd_frames: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        """What is implausible about the cameras, although they are used."""
        return [*self._warnings, *filter(None, self._odd_frames.values())]

    def update(self, updates: Mapping[str, CameraUpdate]) -> Rig:
        """Return the rig for these images; raises CalibrationError when fewer than min_cameras are usable."""
        self.problems = {}
        calibrated = {name: update for name, update in updates.items() if self._calibrate(name, update)}
        if self.placement == "auto":
            self.placement = self._choose_placement(calibrated)
        changed = False
        for name, update in calibrated.items():
            changed |= self._locate(name, update)
        located = tuple(name for name in self.names if name in self._extrinsics)
        if sum(name not in self.problems for name in located) < self._min_cameras:
            causes = "; ".join(dict.fromkeys(self.problems.values())) or "no other camera has sent images yet"
            raise CalibrationError(causes)
        if changed or self._checked != located or self.rig is None:
            self.rig = None
            self.rig = self._build(located)
            self._checked = located
        self.problems |= self._implausible
        return self.rig

    def _build(self, names: tuple[str, ...]) -> Rig:
        """Build the rig of these cameras without the impossible ones; raises CalibrationError for too few."""
        self._implausible = {}
        while True:
            located = (self._extrinsics[name] for name in names)
            cameras = (camera.placed(camera.cam_from_world @ cam_from_fixed) for camera, cam_from_fixed in located)
            rig = Rig(tuple(cameras), self._fixed_frame())
            findings = check_rig(rig)
            faults = [finding for finding in findings if finding.fault]
            if not faults:
                self._warnings = [finding.text for finding in findings]
                return rig
            self._implausible |= {finding.camera: finding.text for finding in faults if finding.camera}
            names = tuple(name for name in names if name not in self._implausible)
            if len(names) < self._min_cameras or not all(finding.camera for finding in faults):
                raise CalibrationError(faults[0].text)

    def _calibrate(self, name: str, update: CameraUpdate) -> bool:
        """Update the camera's intrinsics; returns False, and notes the problem, if they cannot be used."""
        info_frame = update.info.header.frame_id if update.info is not None else ""
        self._frames[name] = camera_frame(update.frame_id, info_frame)
        self._odd_frames[name] = frames_disagree(name, update.frame_id, info_frame)
        if self._file is not None:
            camera = self._file.camera(name)
            if update.info is not None and (problem := consistent_sizes(camera, update.info)):
                return self._reject(name, problem)
            self._intrinsics.setdefault(name, camera.placed(np.eye(4)))
            return True
        if update.info is None:
            return self._reject(name, f"camera {name!r}: no camera_info received: check that the driver publishes it")
        key = _key(update.info)
        if self._keys.get(name) != key:
            try:
                self._intrinsics[name] = camera_from_msgs(name, update.info, np.eye(4), self._rectified)
            except Pose3DError as error:
                self._keys.pop(name, None)
                return self._reject(name, str(error))
            self._keys[name], self._infos[name] = key, update.info
        return True

    def _choose_placement(self, calibrated: Mapping[str, CameraUpdate]) -> str:
        """Resolve auto: TF if it has every camera in use, else a stereo driver's P."""
        first = self.names[0]
        if len(calibrated) < 2 or (first not in self._frames and not self.fixed_frame):
            causes = "; ".join(self.problems.values()) or f"waiting for {first!r} and one more camera"
            usable = ", ".join(calibrated) or "no camera"
            raise CalibrationError(f"{usable} can be used yet, expected two or more: {causes}")
        frames = [self._frames[name] for name in calibrated]
        cause = f"all images have the same header.frame_id {frames[0]!r}, so TF cannot distinguish the cameras"
        if frames_differ(frames):
            try:
                for name, update in calibrated.items():
                    extrinsics_from_tf(name, self._frames[name], update.stamp_ns, self._fixed_frame(), self._look_up)
            except CalibrationError as error:
                cause = str(error)
            else:
                return "tf"
            if self._give_up_tf_s is None:
                self._give_up_tf_s = self._now_s() + self._tf_patience_s
            if self._now_s() < self._give_up_tf_s:
                raise CalibrationError(f"placement auto: {cause}; waiting for TF {self._tf_patience_s:g} s at most")
        offsets = [baseline_in(info) for info in self._infos.values()]
        # NaN counts as an offset, and extrinsics_from_projection rejects it.
        if first in self._infos and not all(float(np.linalg.norm(offset)) <= MIN_BASELINE_M for offset in offsets):
            return "projection"
        raise CalibrationError(
            f"placement auto: {cause}; camera_info's P has no baseline (P[3] = 0); no rig_file is given: provide one "
            "of the three"
        )

    def _locate(self, name: str, update: CameraUpdate) -> bool:
        """Update one camera's extrinsics; returns whether the rig changed. A camera without them is left out."""
        camera, before = self._intrinsics[name], self._extrinsics.get(name)
        try:
            cam_from_fixed = self._cam_from_fixed(name, update)
            if before is not None and before[0] is camera and np.array_equal(before[1], cam_from_fixed):
                return False
            camera.placed(cam_from_fixed)  # raises if this is not a rigid transform: only this camera is left out
        except Pose3DError as error:
            self._reject(name, str(error))
            return False
        self._extrinsics[name] = camera, cam_from_fixed
        return True

    def _cam_from_fixed(self, name: str, update: CameraUpdate) -> Floats:
        """Return cam_from_fixed (4, 4) by the chosen placement."""
        fixed = self._fixed_frame()
        if self.placement == "tf":
            return extrinsics_from_tf(name, self._frames[name], update.stamp_ns, fixed, self._look_up)
        if self._file is not None:
            reference, cam_from_reference = self._file.frame_id, self._file.camera(name).cam_from_world
        else:
            first = self.names[0]
            if first not in self._infos:
                raise CalibrationError(
                    f"camera {first!r}, the reference of the others' P, has sent nothing yet: check that it runs"
                )
            reference = check_frame(first, self._frames[first])
            cam_from_reference = extrinsics_from_projection(name, first, self._infos)
        if reference == fixed:
            return cam_from_reference
        fixed_from_reference = self._look_up(fixed, reference, update.stamp_ns)
        return np.asarray(cam_from_reference @ np.linalg.inv(fixed_from_reference))

    def _fixed_frame(self) -> str:
        """Return the frame of the poses: the parameter, else the rig file's, else the first camera's optical frame."""
        if self.fixed_frame:
            return self.fixed_frame
        if self._file is not None:
            return self._file.frame_id
        if self.names[0] not in self._frames:
            raise CalibrationError(
                f"camera {self.names[0]!r}, whose frame the poses use, has sent nothing yet: start it, or set the "
                "parameter fixed_frame"
            )
        return self._frames[self.names[0]]

    def _reject(self, name: str, problem: str) -> bool:
        """Note why a camera cannot be used in this set.

        The camera keeps its pose in the rig: one late transform must not create a new rig without calibration health.
        """
        self.problems[name] = problem
        return False


def _rig_of_file(path: str, names: Sequence[str]) -> Rig:
    """Load these cameras of a rig file; raises CalibrationError with what is missing."""
    if not path:
        raise CalibrationError("placement is 'file', but the parameter rig_file is empty: give the path of a rig.yaml")
    try:
        return load_rig(expanded(path), names)  # a shell does not expand ~ in rig_file:=~/rig.yaml
    except CalibrationError as error:
        raise CalibrationError(f"{error} (the parameter cameras is {', '.join(names)})") from error


def _key(info: Any) -> tuple[Any, ...]:
    """Return everything in a CameraInfo that the camera depends on, cheap to compare."""
    roi = info.roi
    return (
        *(info.width, info.height, info.distortion_model, info.binning_x, info.binning_y),
        *(roi.x_offset, roi.y_offset, roi.width, roi.height),
        *(np.asarray(numbers, dtype=np.float64).tobytes() for numbers in (info.d, info.k, info.r, info.p)),
    )
