"""Images of one calibrated camera in, people in three dimensions out.

The chain is detect -> remap to h36m_17 -> lift -> track -> smooth. NumPy, float64; torch only inside the networks.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pose3d_ros.errors import InputError, WeightsMissingError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.lifting import LiftedPeople, Refusal, lift
from pose3d_ros.estimation.prediction import Motions
from pose3d_ros.estimation.publish_filter import MAX_PEOPLE_TEXT, MAX_TEXT, MIN_TEXT, check_workspace, filter_people
from pose3d_ros.estimation.smoothing import METHODS, Smoother
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.estimation.tracker_options import tracker_of
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.geometry.projection import project
from pose3d_ros.options import check, check_changes, option
from pose3d_ros.rigs.camera_checks import validate_camera
from pose3d_ros.skeletons import H36M_17, remap
from pose3d_ros.structures import Camera, Floats, FrameSet, JointSource, Keypoints2D, Pose3D

if TYPE_CHECKING:
    from pose3d_ros.detection.detector import Detector
    from pose3d_ros.weights.trained import Loaded

# A joint that nobody saw, only the network's idea of bodies puts there, is half as sure as the person's others.
UNSEEN_SHARE = 0.5
# A baby that sits up; whoever gives less has another unit in mind.
LEAST_HEIGHT_M = 0.5
INIT_JOINTS = 1  # the lifter gives all joints or none


@dataclass(frozen=True)
class MonocularOptions:
    """How the 2D people of one camera become 3D people."""

    lifter: str = option(
        "", "network that lifts: a shipped one's name, or a .safetensors file; empty: the one shipped", read_only=True
    )
    body_height_m: float = option(
        0.0, "height of everybody in view where it is known (0.5 or more), which makes depth surer; 0: unknown",
        unit="m", low=0.0, high=2.5,
    )  # fmt: skip
    min_joint_score: float = option(0.1, "2D joints with a lower score are not used", low=0.0, high=1.0)
    min_person_score: float = option(
        0.2, "2D people whose joints have a lower mean score are not used", low=0.0, high=1.0
    )
    min_person_joints: int = option(
        6, "of a person's 12 limb joints and nose so many must be seen, both hips or both shoulders among them",
        low=4, high=13,
    )  # fmt: skip
    # Sample footage, 60, 10 and 5 images/s, two networks: by this measure people move 0.06 to 0.17 m (p95) between two
    # images, and different people are 0.40 m apart or more. Plain distance parts them less: 0.2 to 0.4 m, and 0.8 m.
    match_distance_m: float = option(
        0.4,
        "mean joint distance within which a person is the one predicted; it counts the less the less certain its "
        "direction is, so that it is hardly more than distance across the view",
        unit="m", low=0.05, high=5.0,
    )  # fmt: skip
    duplicate_distance_m: float = option(
        0.1, "people whose joints are nearer to each other on average are one person", unit="m", low=0.0, high=1.0
    )
    jump_distance_m: float = option(
        0.0,
        "a new person this near to one who was missed a moment ago gets that person's id: for footage that is cut or "
        "looped, where people leap; 0: never, for life",
        unit="m",
        low=0.0,
        high=10.0,
    )
    min_hits: int = option(2, "images in which a person is seen before getting an id", low=1, high=100)
    init_score: float = option(0.4, "mean joint score a new person must have", low=0.0, high=1.0)
    lost_after_s: float = option(0.5, "time unseen after which a person is lost", unit="s", low=0.0, high=60.0)
    max_age_s: float = option(1.0, "time unseen after which a person is forgotten", unit="s", low=0.0, high=60.0)
    smoothing: str = option("none", "smoothing of joints over time", choices=METHODS)
    workspace_min: tuple[float, ...] = option((), MIN_TEXT, unit="m")
    workspace_max: tuple[float, ...] = option((), MAX_TEXT, unit="m")
    max_people: int = option(0, MAX_PEOPLE_TEXT, low=0, high=1000)

    def __post_init__(self) -> None:
        check(self)
        check_workspace(self.workspace_min, self.workspace_max)
        if self.max_age_s < self.lost_after_s:
            raise InputError(
                f"max_age_s ({self.max_age_s} s) must not be less than lost_after_s ({self.lost_after_s} s)"
            )
        if 0 < self.body_height_m < LEAST_HEIGHT_M:
            raise InputError(
                f"body_height_m is {self.body_height_m:g} m, expected {LEAST_HEIGHT_M:g} to 2.5 m, or 0 where it is "
                "not known"
            )


class MonocularEstimator:
    """People's poses from the images of one camera; remembers people between calls.

    Poses are in the camera's optical frame (x right, y down, z forward), m, whatever the camera's place, under the name
    <camera>_optical; with a frame_id they are in that frame, in which the camera is placed. detector defaults to the
    top-down one, lifter to the options'. Both are loaded on first use, which raises WeightsMissingError,
    WeightsCorruptError or InputError.
    """

    def __init__(
        self,
        camera: Camera,
        detector: Detector | None = None,
        lifter: Loaded | None = None,
        options: MonocularOptions = MonocularOptions(),
        *,
        frame_id: str = "",
    ) -> None:
        self._options = options
        self._detector = detector
        self._lifter = lifter
        self._tracker = tracker_of(options, INIT_JOINTS)
        self._smoother = Smoother(options.smoothing)
        self._motions = Motions()
        self.set_camera(camera, frame_id)

    @property
    def camera(self) -> Camera:
        """The camera as it is now."""
        return self._camera

    @property
    def lifter(self) -> Loaded:
        """The network that lifts, loaded now if it was not yet."""
        if self._lifter is None:
            self._lifter = load_lifter(self._options.lifter)
        return self._lifter

    def set_camera(self, camera: Camera, frame_id: str = "") -> None:
        """Use another calibration or place from now on; people keep their ids. frame_id as in the constructor.

        Raises CalibrationError for a calibration that cannot be true (rigs/camera_checks.py).
        """
        validate_camera(camera)
        self._camera = camera if frame_id else camera.placed(np.eye(4))
        self._frame_id = frame_id or f"{camera.name}_optical"

    def set_options(self, options: MonocularOptions) -> None:
        """Work by other options from the next image on; people keep their ids.

        Raises OptionError, and changes nothing, where one differs that is fixed at start.
        """
        check_changes(self._options, options)
        self._tracker = tracker_of(options, INIT_JOINTS, self._tracker)
        if options.smoothing != self._options.smoothing:
            self._smoother = Smoother(options.smoothing)
        self._options = options

    def reset(self) -> None:
        """Forget everybody; ids are not used again."""
        self._tracker.reset()
        self._smoother.reset()
        if self._detector is not None:
            self._detector.reset()

    def __call__(self, frames: FrameSet) -> Pose3D:
        """Everybody's pose at the image's stamp."""
        return self.estimate(frames).pose

    def estimate(self, frames: FrameSet) -> Estimate:
        """Everybody's pose, and how it came about; stages are detect and lift.

        Raises InputError unless the frames are one image of the camera, CalibrationError for an image that is not of
        the calibrated size.
        """
        if set(frames.images) != {self._camera.name}:
            raise InputError(f"expected one image, of camera {self._camera.name!r}, got {sorted(frames.images)}")
        check_image_size(self._camera, frames.images[self._camera.name].shape)
        start = time.perf_counter()
        if self._detector is None:
            # Imported late: estimating from keypoints needs no detector.
            from pose3d_ros.detection.factory import make_detector

            self._detector = make_detector()
        keypoints = self._detector(frames)[self._camera.name]
        detect_ms = (time.perf_counter() - start) * 1e3
        estimate = self.estimate_from_keypoints(keypoints)
        return replace(estimate, stage_ms={**estimate.stage_ms, "detect": detect_ms})

    def estimate_from_keypoints(self, keypoints: Keypoints2D) -> Estimate:
        """The same from 2D people, in any skeleton that h36m_17 can be derived from."""
        start = time.perf_counter()
        whole = remap(keypoints, H36M_17)
        usable = _usable(whole, self._options)
        lifted = lift(
            self._camera,
            usable,
            self.lifter,
            self._options.body_height_m or math.nan,
            min_joints=self._options.min_person_joints,
        )
        placed = np.flatnonzero(lifted.refusal == Refusal.NONE)
        observed = observed_people(self._camera, usable.select(placed), lifted.select(placed))
        observed = replace(observed, rejected=lifted.refused)
        pose, names = self._tracker.update(observed, keypoints.stamp_ns, self._frame_id)
        ids = [""] * len(whole)
        for row, name in zip(placed, names, strict=True):
            ids[int(row)] = name
        estimate = Estimate(
            pose=self._smoother(pose),
            keypoints={self._camera.name: whole},
            ids={self._camera.name: tuple(ids)},
            stage_ms={"detect": 0.0, "lift": (time.perf_counter() - start) * 1e3},
            single_view=len(placed),
            rejected=lifted.refused,
            motion=self._motions(self._tracker, keypoints.stamp_ns),
        )
        options = self._options
        return filter_people(estimate, options.workspace_min, options.workspace_max, options.max_people)


def observed_people(camera: Camera, keypoints: Keypoints2D, lifted: LiftedPeople) -> Observed3D:
    """Lifted people in the frame that the camera is placed in; keypoints (h36m_17) are theirs, nobody may be refused.

    A joint's score is its 2D score; one that was not seen gets UNSEEN_SHARE of the person's mean and n_views 0.
    """
    shown = np.where(lifted.seen, keypoints.score, np.nan)
    mean = np.nanmean(shown, axis=-1, keepdims=True) if len(shown) else np.zeros((0, 1))
    world_from_cam = np.linalg.inv(camera.cam_from_world)
    R, t = world_from_cam[:3, :3], world_from_cam[:3, 3]
    xyz = np.asarray(lifted.xyz @ R.T + t)
    reprojected = project(camera, xyz)
    return Observed3D(
        xyz=xyz,
        covariance=np.asarray(R @ lifted.covariance @ R.T),
        score=np.where(lifted.seen, keypoints.score, UNSEEN_SHARE * mean),
        n_views=lifted.seen.astype(np.uint8),
        reprojection_px=np.asarray(np.linalg.norm(reprojected - keypoints.xy, axis=-1), dtype=np.float64),
        source=np.full(lifted.seen.shape, JointSource.MONOCULAR, dtype=np.uint8),
    )


def load_lifter(name: str = "") -> Loaded:
    """The lifting network of a shipped name or a file; "" means the one that is shipped.

    Raises WeightsMissingError, WeightsCorruptError, or InputError for a network that lifts nothing or whose figures of
    covariance are not a lifter's.
    """
    from pose3d_ros.weights.trained import TRAINED, load

    shipped = [one.name for one in TRAINED if one.network == "lifter"]
    if not name and not shipped:
        raise WeightsMissingError("this installation ships no network that lifts: name your own .safetensors file")
    loaded = load(name or shipped[0])
    # Imported late: it brings torch.
    from pose3d_ros.networks.spread import LIFTED, check

    kind = loaded.recipe.get("network")
    if kind != "lifter":
        known = " or ".join((*shipped, "a .safetensors file of `pose3d train lifter`"))
        raise InputError(f"{name!r} holds the network {kind!r}, which lifts nothing: use {known}")
    check(loaded.spread, LIFTED)
    return loaded


def _usable(keypoints: Keypoints2D, options: MonocularOptions) -> Keypoints2D:
    """The same people without weak joints; whoever is weak as a whole is left without any."""
    good = keypoints.score >= max(options.min_joint_score, 1e-6)
    mean = np.where(good, keypoints.score, 0.0).sum(-1) / np.maximum(good.sum(-1), 1)
    good &= (mean >= options.min_person_score)[:, None]
    score: Floats = np.where(good, keypoints.score, 0.0)
    return replace(keypoints, xy=np.where(good[..., None], keypoints.xy, np.nan), score=score)
