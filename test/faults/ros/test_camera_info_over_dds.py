"""A camera_info that cannot be used, changes or stops, before a real node over DDS; each fault begun and ended."""

from __future__ import annotations

import array
from dataclasses import replace
from typing import Any

import numpy as np
from spoilt_camera import IN_WORLD, RIG, SIDE, Faults, Spoil
from synthetic_cameras import error_mm

from pose3d_ros.ros import conversions
from pose3d_ros.structures import Camera, Rig


def changed_info(**fields: Any) -> Spoil:
    return lambda image, info: [setattr(info, name, value) for name, value in fields.items()] and None


def described(camera: Camera, **fields: Any) -> Spoil:
    """A camera_info that says the images are of that camera."""

    def spoil(image: Any, info: Any) -> None:
        other = conversions.camera_info_to_msg(camera, 0, "")
        for name in ("width", "height", "k", "d", "distortion_model", "p"):
            setattr(info, name, getattr(other, name))
        changed_info(**fields)(image, info)

    return spoil


def test_fault_camera_info_of_zeros(raw: Faults) -> None:
    """Fault: a driver publishes an uncalibrated camera_info, K full of zeros.
    Sees: WARN "camera 'side' (side/camera_info) is not calibrated: its K has fx=0", with the fix; others go on.
    Recovers: by itself with a calibrated camera_info.
    """
    raw.shows(changed_info(k=np.zeros(9)), "camera 'side' (side/camera_info) is not calibrated: its K has fx=0")


def test_fault_camera_info_of_nan(raw: Faults) -> None:
    """Fault: K holds NaN.
    Sees: WARN "camera 'side' (side/camera_info) is not calibrated: its K is [[nan, ..."; others go on.
    Recovers: by itself with a sound camera_info.
    """
    raw.shows(changed_info(k=np.full(9, np.nan)), "is not calibrated: its K is [[nan,")


def test_fault_camera_info_of_absurd_numbers(raw: Faults) -> None:
    """Fault: a focal length of 1e308 px.
    Sees: WARN "camera 'side': focal length 1e+308 px ... is a field of view of 0.0 x 43.6 degrees"; others go on.
    Recovers: by itself with a sound camera_info.
    """
    k = SIDE.K.copy()
    k[0, 0] = 1e308
    raw.shows(changed_info(k=k.ravel()), "focal length 1e+308 px at 160 x 120 px is a field of view of")


def test_fault_distortion_model_unknown(raw: Faults) -> None:
    """Fault: camera_info names a distortion model that is unknown.
    Sees: WARN "... has distortion model 'division', expected one of ..."; others go on.
    Recovers: by itself with a known model.
    """
    raw.shows(changed_info(distortion_model="division"), "has distortion model 'division', expected one of plumb_bob")


def test_fault_distortion_of_nan(raw: Faults) -> None:
    """Fault: D holds NaN.
    Sees: WARN "camera 'side': distortion [nan, ...] must be finite"; others go on.
    Recovers: by itself with a sound camera_info.
    """
    raw.shows(changed_info(d=array.array("d", [np.nan] * 5)), "camera 'side': distortion [nan,")


def test_fault_distortion_empty(raw: Faults) -> None:
    """Fault: D is empty.
    Sees: the camera is used as one without distortion; calibration_hash changes.
    Recovers: by itself with the coefficients.
    """
    before = raw.three_cameras("poses").calibration_hash
    raw.begin(described(replace(SIDE, distortion=np.zeros(0))))
    poses = raw.graph.controller.poses
    raw.graph.play_until(lambda: poses[-1].calibration_hash != before, "another calibration")
    pose = raw.graph.poses_after(1)[-1]
    assert list(pose.camera_names) == list(RIG.names)
    assert error_mm(pose, IN_WORLD) < 50.0


def test_fault_size_differs(raw: Faults) -> None:
    """Fault: camera_info is for another image size.
    Sees: WARN "camera 'side' ... image is 160 x 120 px, its calibration is for 320 x 240 px"; others go on.
    Recovers: by itself when the two agree.
    """
    words = "image is 160 x 120 px, its calibration is for 320 x 240 px"
    raw.shows(changed_info(width=320, height=240, k=SIDE.resized((320, 240)).K.ravel()), words)


def test_fault_size_of_zero(raw: Faults) -> None:
    """Fault: camera_info says 0 x 0 px.
    Sees: WARN "... has images of 0 x 0 px, expected the sensor's size"; others go on.
    Recovers: by itself with the size.
    """
    raw.shows(changed_info(width=0, height=0), "has images of 0 x 0 px")


def test_fault_binned(raw: Faults) -> None:
    """Fault: a camera is set to binning while running, its camera_info still gives the sensor's size (REP-104).
    Sees: nothing: the poses stay true.
    Recovers: nothing to recover.
    """
    raw.begin(described(SIDE.resized((320, 240)), binning_x=2, binning_y=2))
    raw.three_cameras("the binned camera's images are used")


def test_fault_binning_told_but_not_done(raw: Faults) -> None:
    """Fault: camera_info tells of binning, but the images are whole.
    Sees: WARN "image is 160 x 120 px, its calibration is for 80 x 60 px"; others go on.
    Recovers: by itself when the two agree.
    """
    words = "image is 160 x 120 px, its calibration is for 80 x 60 px"
    raw.shows(changed_info(binning_x=2, binning_y=2), words)


def test_fault_region_of_interest(raw: Faults) -> None:
    """Fault: a camera is set to a region of interest while running.
    Sees: nothing: the poses stay true.
    Recovers: nothing to recover.
    """
    K = SIDE.K.copy()
    K[:2, 2] += (40, 30)

    def cut(image: Any, info: Any) -> None:
        described(replace(SIDE, K=K, size_wh=(240, 180)))(image, info)
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 40, 30, 160, 120

    raw.begin(cut)
    raw.three_cameras("the cut camera's images are used")


def test_fault_region_of_interest_beyond_the_sensor(raw: Faults) -> None:
    """Fault: a region of interest that lies beyond the sensor.
    Sees: WARN "... has a region of interest of 160 x 120 px at (40, 30), beyond its 160 x 120 px"; others go on.
    Recovers: by itself with a sound camera_info.
    """

    def beyond(image: Any, info: Any) -> None:
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 40, 30, 160, 120

    raw.shows(beyond, "has a region of interest of 160 x 120 px at (40, 30), beyond its 160 x 120 px")


def test_fault_intrinsics_change(raw: Faults) -> None:
    """Fault: a camera zooms while people are followed.
    Sees: calibration_hash changes with the first zoomed image; the poses stay true under the same id.
    Recovers: nothing to recover.
    """
    cameras, detector = raw.graph.cameras, raw.graph.node._networks.detector
    before = raw.three_cameras("poses")
    zoomed = Rig((*RIG.cameras[:2], replace(SIDE, K=np.diag([1.3, 1.3, 1.0]) @ SIDE.K)), "world")
    cameras.rig = detector.rig = zoomed
    try:
        poses = raw.graph.controller.poses
        raw.graph.play_until(lambda: poses[-1].calibration_hash == zoomed.calibration_hash, "the zoomed calibration")
        raw.graph.poses_after(3)
        after = raw.three_cameras("true poses")
        assert {one.id for one in after.people} == {one.id for one in before.people}
    finally:
        cameras.rig = detector.rig = RIG


def test_fault_camera_info_stops(raw: Faults) -> None:
    """Fault: a driver stops sending camera_info while images go on.
    Sees: camera_info/side "newest camera_info: few have an image's stamp" in /diagnostics; the newest one holds.
    Recovers: by itself; "exact stamps" again.
    """
    one = raw.graph
    one.cameras.without_info = {"side"}
    try:
        one.play_until(lambda: "newest" in one.controller.diagnosis.get("camera_info/side", ""), "pairing is reported")
        raw.three_cameras("the camera is used without camera_info")
    finally:
        one.cameras.without_info = set()
    one.play_until(lambda: one.controller.diagnosis["camera_info/side"] == "exact stamps", "exact stamps again")
