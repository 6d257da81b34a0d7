"""What a frame becomes before it is estimated: an image for the detector here, or keypoints that one elsewhere made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros.camera_inputs import Frame
from pose3d_ros.ros.conversions import image_from_msg, image_size, keypoints_from_msg
from pose3d_ros.skeletons import COCO_17, H36M_17, remap
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D, Skeleton

# A detector may place a hidden joint outside the image; this many image sizes away none is meant.
FURTHEST_SIZES = 2.0
# The message has names, not texts: what is longer is cut before it is reported.
LONGEST_NAME = 80


class FrameDecoder(Protocol):
    """How the frames of a node are read."""

    def decode(self, frame: Frame, camera: Camera) -> Any:
        """What the frame holds; raises Pose3DError where it cannot be used."""
        ...

    def estimate(self, estimator: PoseEstimator, decoded: Mapping[str, Any], stamps_ns: Mapping[str, int]) -> Estimate:
        """All people's poses from what was decoded, by camera."""
        ...


class ImageDecoder:
    """Frames hold images: the estimator's own detector processes them."""

    def decode(self, frame: Frame, camera: Camera) -> Any:
        """The image, uint8 BGR (H, W, 3); raises InputError or CalibrationError."""
        # A few kilobytes may announce gigabytes: what is too large is not decoded to be refused.
        announced = image_size(frame.message)
        if announced is not None and announced[0] * announced[1] > camera.size_wh[0] * camera.size_wh[1]:
            check_image_size(camera, announced[::-1])
        image = image_from_msg(frame.message)
        check_image_size(camera, image.shape)
        return image

    def estimate(self, estimator: PoseEstimator, decoded: Mapping[str, Any], stamps_ns: Mapping[str, int]) -> Estimate:
        """All people's poses in these images."""
        return estimator.estimate(FrameSet(decoded, stamps_ns))


class KeypointDecoder:
    """Frames hold Keypoints2DArray; remembers which detector each camera's came from."""

    def __init__(self, detectors: DetectorsElsewhere) -> None:
        self._detectors = detectors
        self._planned_for = ""

    def decode(self, frame: Frame, camera: Camera) -> Keypoints2D:
        """The keypoints, checked; raises InputError or CalibrationError that says what is wrong with the message."""
        message: Keypoints2DArray = frame.message
        keypoints = checked(message, camera)
        self._detectors.names[camera.name] = message.detector[:LONGEST_NAME]
        return replace(keypoints, stamp_ns=frame.stamp_ns)

    def estimate(self, estimator: PoseEstimator, decoded: Mapping[str, Any], stamps_ns: Mapping[str, int]) -> Estimate:
        """All people's poses from these keypoints."""
        if self._planned_for != self._detectors.name:
            self._planned_for = self._detectors.name
            estimator.set_rig(estimator.rig)  # which networks refine may depend on the detector
        return estimator.estimate_from_keypoints(decoded)


class DetectorsElsewhere:
    """Stands in the estimator for the detectors whose keypoints come as messages: it has their names, and none runs."""

    skeleton: Skeleton = COCO_17

    def __init__(self, device: str) -> None:
        """device: where networks that refine run."""
        self.device = device
        self.names: dict[str, str] = {}  # by camera

    @property
    def name(self) -> str:
        """The detectors' names; several where cameras have different ones."""
        return ", ".join(sorted(set(self.names.values()))) or "not known yet"

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """Never: there are no images here."""
        raise InputError("this node takes keypoints (input: keypoints), so it has no detector for images")

    def reset(self) -> None:
        """Nothing to forget: the detectors run elsewhere."""


def checked(message: Keypoints2DArray, camera: Camera) -> Keypoints2D:
    """The keypoints of a message that speaks of this camera.

    Raises InputError for another camera's, for an unknown skeleton, lengths that do not fit, too many people,
    scores outside [0, 1], joints far outside the image, or covariances that are none; CalibrationError for an image of
    another size than the calibrated one.
    """
    if message.camera_name != camera.name:
        raise InputError(
            f"the message is of camera {message.camera_name[:LONGEST_NAME]!r}, expected {camera.name!r}: are topics "
            "exchanged?"
        )
    check_image_size(camera, (message.height, message.width))
    keypoints, _ = keypoints_from_msg(message)
    remap(Keypoints2D.empty(keypoints.skeleton), H36M_17)  # raises where nothing can be derived from it
    size = np.array(camera.size_wh)
    away = np.abs(np.nan_to_num(keypoints.xy) - (size - 1) / 2) / size
    if (away[keypoints.score > 0] > 0.5 + FURTHEST_SIZES).any():
        raise InputError(
            f"a joint lies more than {FURTHEST_SIZES:g} image sizes outside the image of {size[0]} x {size[1]} px"
        )
    if keypoints.covariance is not None:
        _check_covariance(keypoints)
    return keypoints


def _check_covariance(keypoints: Keypoints2D) -> None:
    """Raise InputError unless every present joint's covariance (2, 2) px^2 is NaN, or symmetric and positive."""
    assert keypoints.covariance is not None
    known = np.asarray((keypoints.score > 0) & ~np.isnan(keypoints.covariance).any(axis=(-1, -2)))
    given = keypoints.covariance[known]
    a, b, c, d = given[:, 0, 0], given[:, 0, 1], given[:, 1, 0], given[:, 1, 1]
    with np.errstate(invalid="ignore", over="ignore"):
        sound = np.isfinite(given).all(axis=(-1, -2)) & (a > 0) & (d > 0) & (a * d > b * c) & (b == c)
    if not sound.all():
        wrong = given[~np.asarray(sound)][0].tolist()
        raise InputError(f"a joint's covariance is {wrong} px^2, expected a symmetric positive matrix, or NaN")
