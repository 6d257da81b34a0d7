"""A camera whose transform is missing, late or none at all, over DDS; each fault begun and ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from spoilt_camera import SIDE, Faults, Spoil

from pose3d_ros.ros import conversions


def framed(frame: str) -> Spoil:
    def spoil(image: Any, info: Any) -> None:
        image.header.frame_id = info.header.frame_id = frame

    return spoil


def test_fault_transform_missing(raw: Faults) -> None:
    """Fault: TF does not know the frame of a camera's images.
    Sees: WARN "TF has no transform from 'lost_optical' to 'world'", with the command that publishes one; others go on.
    Recovers: by itself when TF knows it.
    """
    raw.shows(framed("lost_optical"), "TF has no transform from 'lost_optical' to 'world'")
    assert "static_transform_publisher" in raw.graph.controller.message


def test_fault_frame_id_empty(raw: Faults) -> None:
    """Fault: a driver leaves header.frame_id empty.
    Sees: WARN "camera 'side': its images have an empty header.frame_id"; others go on.
    Recovers: by itself when the driver names the frame.
    """
    raw.shows(framed(""), "camera 'side': its images have an empty header.frame_id")


def test_fault_transform_not_finite(raw: Faults) -> None:
    """Fault: TF carries a transform of NaN and a quaternion of zeros for a camera.
    Sees: ERROR in the log "TF of ... ignored", WARN "TF has no transform from 'broken_optical'"; others go on.
    Recovers: by itself with the first sound transform.
    """

    def broken(image: Any, info: Any) -> None:
        framed("broken_optical")(image, info)
        transform = TransformStamped(child_frame_id="broken_optical", header=image.header)
        transform.header = type(image.header)(stamp=image.header.stamp, frame_id="world")
        transform.transform.translation.x = float("nan")
        raw.broadcaster.sendTransform(transform)
        transform.transform.translation.x, transform.transform.rotation.w = 0.0, 0.0
        raw.broadcaster.sendTransform(transform)

    raw.shows(broken, "TF has no transform from 'broken_optical' to 'world'")


def moving(faults: Faults, sets_late: int) -> Spoil:
    """The camera's frame is dynamic; its transform of a frame set goes out so many sets later."""
    sent: list[int] = []
    place = np.linalg.inv(SIDE.cam_from_world)

    def spoil(image: Any, info: Any) -> None:
        framed("moving_optical")(image, info)
        sent.append(conversions.stamp_to_ns(image.header.stamp))
        if len(sent) > sets_late:
            stamp_ns = sent[-1 - sets_late]
            faults.broadcaster.sendTransform(conversions.transform_to_msg(place, "world", "moving_optical", stamp_ns))

    return spoil


def test_fault_transform_late(raw: Faults) -> None:
    """Fault: a moving camera's transform comes after its image, within tf_timeout_s.
    Sees: nothing: the image waits for it.
    Recovers: nothing to recover.
    """
    raw.begin(moving(raw, sets_late=1))
    raw.three_cameras("late transforms are waited for")


def test_fault_transform_too_late(raw: Faults) -> None:
    """Fault: a moving camera's transforms come later than tf_timeout_s, or stop.
    Sees: WARN "TF has no transform from 'moving_optical' to 'world' (Lookup would require extrapolation into the
    future ...)"; others go on.
    Recovers: by itself when they come in time.
    """
    raw.begin(moving(raw, sets_late=0))
    raw.three_cameras("transforms in time")
    raw.shows(framed("moving_optical"), "extrapolation into the future")
