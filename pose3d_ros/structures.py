"""The nouns that everything in pose3d_ros speaks: frozen, and checked when made.

Axes stand in the order B batch, T time, P person, V view, J joint.
Missing is NaN with score 0, never a zero coordinate.
A transform `a_from_b` takes coordinates in b to coordinates in a.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose3d_ros.arguments import Floats, check_is, check_name, floats, sequence, small_numbers, whole_number
from pose3d_ros.errors import CalibrationError, InputError, shown

__all__ = [
    "DISTORTION_LENGTHS",
    "PERSON_ARRAYS",
    "Camera",
    "Floats",
    "Floor",
    "FrameSet",
    "JointSource",
    "Keypoints2D",
    "PersonState",
    "Pose3D",
    "Rig",
    "Skeleton",
    "unchecked",
    "unknown_body",
]

# The fields of Pose3D that have a row for each person.
PERSON_ARRAYS = (
    "xyz", "velocity", "covariance", "score", "n_views", "reprojection_px", "source", "state", "age_s",
    "orientation", "orientation_std", "stature_m", "stature_std_m", "foot_contact",
)  # fmt: skip

Noun = TypeVar("Noun", "Keypoints2D", "Pose3D")

# Coefficient counts of OpenCV's models, which are ROS's (sensor_msgs/CameraInfo, REP-104).
DISTORTION_LENGTHS: Mapping[str, tuple[int, ...]] = {
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}


class JointSource(IntEnum):
    """Where a 3D joint comes from; the numbers are those of pose3d_ros/msg/Joint3D."""

    ABSENT = 0
    TRIANGULATED = 1
    REFINED = 2
    MONOCULAR = 3
    PREDICTED = 4


class PersonState(IntEnum):
    """Whether a person was seen; the numbers are those of pose3d_ros/msg/HumanPose3D."""

    VISIBLE = 0
    OCCLUDED = 1
    LOST = 2


@dataclass(frozen=True)
class Skeleton:
    """Names, parents (root: -1) and left/right pairs of a body's J joints."""

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    left_right: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        check_name("a skeleton's name", self.name)
        for what in ("joint_names", "parents", "left_right"):
            object.__setattr__(self, what, sequence(f"skeleton {self.name!r}: {what}", getattr(self, what)))
        for joint in self.joint_names:
            check_name(f"skeleton {self.name!r}: a joint's name", joint)
        if len(self.parents) != len(self.joint_names):
            raise InputError(
                f"skeleton {self.name!r} has {len(self.joint_names)} joint names but "
                f"{len(self.parents)} parents: give one parent a joint, -1 for the root"
            )
        joints = range(len(self.joint_names))
        if any(parent not in (-1, *joints) for parent in self.parents):
            raise InputError(
                f"skeleton {self.name!r}: parents are {shown(self.parents)}, expected the number of a joint, or -1"
            )
        if any(not isinstance(pair, tuple) or len(pair) != 2 or set(pair) - {*joints} for pair in self.left_right):
            raise InputError(
                f"skeleton {self.name!r}: left_right is {shown(self.left_right)}, expected pairs of numbers of joints"
            )

    @property
    def size(self) -> int:
        """Number of joints J."""
        return len(self.joint_names)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) index pairs, one for every joint that has a parent."""
        return tuple((p, j) for j, p in enumerate(self.parents) if p >= 0)

    @property
    def other_side(self) -> tuple[int, ...]:
        """For every joint the index of the same joint on the other side; of one in the middle its own."""
        pairs = {one: other for pair in self.left_right for one, other in (pair, pair[::-1])}
        return tuple(pairs.get(joint, joint) for joint in range(self.size))

    def index(self, joint_name: str) -> int:
        """Index of a joint; raises InputError that lists the names."""
        if joint_name not in self.joint_names:
            raise InputError(
                f"skeleton {self.name!r} has no joint {joint_name!r}: use one of {', '.join(self.joint_names)}"
            )
        return self.joint_names.index(joint_name)


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera, pinhole or fisheye, after OpenCV's and ROS's conventions.

    The camera frame is optical (REP-103: x right, y down, z forward). The centre of the
    top-left pixel is (0, 0). A world point X is seen at K distort(x/z, y/z) with
    (x, y, z) = cam_from_world X. Raises CalibrationError for a K that cannot project and for
    a transform that is not rigid, InputError for wrong shapes.
    """

    name: str
    size_wh: tuple[int, int]  # px
    K: Floats  # (3, 3) px
    distortion_model: str = "plumb_bob"
    distortion: Floats = ()  # type: ignore[assignment]  # coefficients in OpenCV's order
    cam_from_world: Floats = ()  # type: ignore[assignment]  # (4, 4), translation in m; identity if empty
    # Left and top of this image in, and width and height of, the image that it was cropped from, px; empty: the whole.
    uncropped: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_name("a camera's name", self.name)
        width, height = size_of(f"camera {self.name!r}", self.size_wh)
        K = floats(f"camera {self.name!r}: K", self.K, (3, 3))
        if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
            raise CalibrationError(
                f"camera {self.name!r} is not calibrated: K has focal lengths fx={K[0, 0]}, fy={K[1, 1]} px, "
                "expected both positive: calibrate the camera, or have its driver publish the calibration"
            )
        # A transposed K would pass for a camera whose principal point is (0, 0).
        if K[1, 0] != 0 or (K[2] != (0, 0, 1)).any():
            raise CalibrationError(
                f"camera {self.name!r}: K is {K.tolist()}, expected rows fx s cx, 0 fy cy, 0 0 1 px: is it transposed?"
            )
        if not isinstance(self.distortion_model, str) or self.distortion_model not in DISTORTION_LENGTHS:
            raise CalibrationError(
                f"camera {self.name!r}: distortion model {shown(self.distortion_model)}, "
                f"expected one of {', '.join(DISTORTION_LENGTHS)}"
            )
        coefficients = floats(f"camera {self.name!r}: distortion", self.distortion, (None,))
        allowed = DISTORTION_LENGTHS[self.distortion_model]
        if len(coefficients) not in allowed and len(coefficients) != 0:
            raise CalibrationError(
                f"camera {self.name!r}: distortion has {len(coefficients)} coefficients for {self.distortion_model}, "
                f"expected {' or '.join(map(str, allowed))}"
            )
        if not np.isfinite(coefficients).all():
            raise CalibrationError(f"camera {self.name!r}: distortion {shown(coefficients.tolist())} must be finite")
        placed = (
            np.eye(4) if isinstance(self.cam_from_world, tuple) and not self.cam_from_world else self.cam_from_world
        )
        transform = floats(f"camera {self.name!r}: cam_from_world", placed, (4, 4))
        rotation = transform[:3, :3]
        # Published calibrations carry 6 digits; 1e-3 separates a rounded rotation from a wrong one.
        if (
            not np.isfinite(transform).all()
            or np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3
            or np.linalg.det(rotation) < 0
            or np.abs(transform[3] - (0, 0, 0, 1)).max() > 1e-9
        ):
            raise CalibrationError(
                f"camera {self.name!r}: cam_from_world is not a rigid transform (rotation with determinant +1, "
                f"last row 0 0 0 1), got {transform.tolist()}"
            )
        object.__setattr__(self, "size_wh", (width, height))
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "distortion", coefficients)
        object.__setattr__(self, "cam_from_world", transform)
        object.__setattr__(self, "uncropped", self._checked_uncropped())

    def _checked_uncropped(self) -> tuple[float, ...]:
        """uncropped as floats; raises InputError unless this image fits into it."""
        what = f"camera {self.name!r}: uncropped"
        box = floats(what, self.uncropped, (None,))
        if not len(box):
            return ()
        # Half a pixel: binning leaves away what does not fill a binned pixel.
        if (
            len(box) != 4
            or not np.isfinite(box).all()
            or (box[:2] + self.size_wh > box[2:] + 0.5).any()
            or box.min() < 0
        ):
            raise InputError(
                f"{what} is {box.tolist()}, expected left, top, width and height in px of an image that holds this one "
                f"of {self.size_wh[0]} x {self.size_wh[1]} px"
            )
        return tuple(box.tolist())

    @property
    def centre(self) -> Floats:
        """Position of the optical centre in the world, (3,) m."""
        centre: Floats = -self.cam_from_world[:3, :3].T @ self.cam_from_world[:3, 3]
        return centre

    def placed(self, cam_from_world: ArrayLike) -> Camera:
        """The same camera elsewhere."""
        return replace(self, cam_from_world=np.asarray(cam_from_world, dtype=np.float64))

    def resized(self, size_wh: tuple[int, int]) -> Camera:
        """The camera of an image scaled to size_wh px; pixel centres map to pixel centres."""
        scale = np.array([size_wh[0] / self.size_wh[0], size_wh[1] / self.size_wh[1]])
        K = self.K.copy()
        K[0] *= scale[0]
        K[1] *= scale[1]
        K[:2, 2] += 0.5 * scale - 0.5
        uncropped = tuple((np.reshape(self.uncropped, (-1, 2)) * scale).ravel().tolist())
        return replace(self, size_wh=size_wh, K=K, uncropped=uncropped)

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of the image cut to the given box in px."""
        K = self.K.copy()
        K[:2, 2] -= (left, top)
        x, y, *whole = self.uncropped or (0.0, 0.0, *self.size_wh)
        inside = min(left, top) >= 0 and left + width <= self.size_wh[0] and top + height <= self.size_wh[1]
        uncropped = (x + left, y + top, *whole) if inside else ()
        return replace(self, size_wh=(width, height), K=K, uncropped=uncropped)

    def rectified(self, K: ArrayLike | None = None) -> Camera:
        """The distortion-free camera of an undistorted image, with its own K if one is given."""
        new_K = self.K if K is None else np.asarray(K, dtype=np.float64)
        return replace(self, K=new_K, distortion_model="plumb_bob", distortion=np.zeros(0))


@dataclass(frozen=True, eq=False)
class Rig:
    """Cameras placed in one fixed frame; their names differ."""

    cameras: tuple[Camera, ...]
    frame_id: str = "world"

    def __post_init__(self) -> None:
        cameras = sequence("a rig's cameras", self.cameras)
        for camera in cameras:
            if not isinstance(camera, Camera):
                raise InputError(f"a rig's cameras hold {shown(camera)}, expected a Camera")
        check_name("a rig's frame_id", self.frame_id)
        names = [camera.name for camera in cameras]
        if not cameras:
            raise InputError("a rig needs at least one camera, got none")
        if len(set(names)) != len(names):
            raise InputError(f"a rig's cameras need different names, got {names}")
        object.__setattr__(self, "cameras", cameras)

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names in order."""
        return tuple(camera.name for camera in self.cameras)

    def camera(self, name: str) -> Camera:
        """A camera by name; raises InputError that lists the names."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise InputError(f"the rig has no camera {name!r}: it has {', '.join(self.names)}")

    def subset(self, names: Sequence[str]) -> Rig:
        """The rig of the named cameras only, in the order given."""
        return replace(self, cameras=tuple(self.camera(name) for name in names))

    @cached_property
    def calibration_hash(self) -> str:
        """First 16 hex digits of SHA-256 over every camera's name, size, intrinsics and place."""
        digest = hashlib.sha256(self.frame_id.encode())
        for camera in self.cameras:
            digest.update(f"{camera.name}|{camera.size_wh}|{camera.distortion_model}|".encode())
            # Rounded so that the last bits of a transform that came over TF do not change the hash.
            for numbers in (camera.K, camera.distortion, camera.cam_from_world):
                digest.update((np.round(numbers, 6) + 0.0).tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Keypoints2D:
    """People's joints in one image.

    xy is in px of the original (distorted) image, score in [0, 1], covariance in px^2. A joint that
    is not seen has NaN xy and score 0. boxes are left, top, width, height in px.
    """

    xy: Floats  # (P, J, 2) px
    score: Floats  # (P, J)
    skeleton: Skeleton
    stamp_ns: int = 0
    covariance: Floats | None = None  # (P, J, 2, 2) px^2
    boxes: Floats | None = None  # (P, 4) px

    def __post_init__(self) -> None:
        check_is("keypoints: skeleton", self.skeleton, Skeleton)
        object.__setattr__(self, "stamp_ns", whole_number("keypoints: stamp_ns", self.stamp_ns))
        joints = self.skeleton.size
        xy = floats("keypoints: xy", self.xy, (None, joints, 2))
        people = len(xy)
        score = floats("keypoints: score", self.score, (people, joints))
        if ((score < 0) | (score > 1)).any() or not np.isfinite(score).all():
            raise InputError(f"keypoints: score must lie in [0, 1], got {score.min()} to {score.max()}")
        absent = np.asarray(~np.isfinite(xy).all(axis=-1))
        object.__setattr__(self, "xy", np.where(absent[..., None], np.nan, xy))
        object.__setattr__(self, "score", np.where(absent, 0.0, score))
        if self.covariance is not None:
            shape = (people, joints, 2, 2)
            covariance = floats("keypoints: covariance", self.covariance, shape)
            _check_covariances(covariance)
            object.__setattr__(self, "covariance", covariance)
        if self.boxes is not None:
            object.__setattr__(self, "boxes", floats("keypoints: boxes", self.boxes, (people, 4)))

    def __len__(self) -> int:
        return len(self.xy)

    def select(self, people: Sequence[int] | NDArray[Any]) -> Keypoints2D:
        """The chosen people, in the order given."""
        index = np.asarray(people, dtype=np.intp)
        return unchecked(
            Keypoints2D,
            xy=self.xy[index],
            score=self.score[index],
            skeleton=self.skeleton,
            stamp_ns=self.stamp_ns,
            covariance=None if self.covariance is None else self.covariance[index],
            boxes=None if self.boxes is None else self.boxes[index],
        )

    @staticmethod
    def empty(skeleton: Skeleton, stamp_ns: int = 0) -> Keypoints2D:
        """No person."""
        joints = skeleton.size
        return Keypoints2D(
            xy=np.zeros((0, joints, 2)),
            score=np.zeros((0, joints)),
            skeleton=skeleton,
            stamp_ns=stamp_ns,
            covariance=np.zeros((0, joints, 2, 2)),
            boxes=np.zeros((0, 4)),
        )


@dataclass(frozen=True, eq=False)
class FrameSet:
    """One image a camera, taken at about the same time.

    images are uint8 BGR (H, W, 3) by camera name; a camera that is missing is an absent key.
    """

    images: Mapping[str, NDArray[np.uint8]]
    stamps_ns: Mapping[str, int]

    def __post_init__(self) -> None:
        check_is("a frame set's images", self.images, Mapping)
        check_is("a frame set's stamps_ns", self.stamps_ns, Mapping)
        if set(self.images) != set(self.stamps_ns):
            raise InputError(
                f"a frame set needs one stamp an image: images of {sorted(self.images)}, "
                f"stamps of {sorted(self.stamps_ns)}"
            )
        for name, image in self.images.items():
            # None is what cv2.imread gives for a file that it cannot read.
            array = isinstance(image, np.ndarray)
            if not array or image.dtype != np.uint8 or image.shape[2:] != (3,) or image.size == 0:
                given = f"{image.dtype} {image.shape}" if array else shown(image)
                raise InputError(
                    f"camera {name!r}: expected a uint8 BGR image of shape (H, W, 3), got {given}: was the file read?"
                )
        stamps = {name: whole_number(f"camera {name!r}: stamp_ns", stamp) for name, stamp in self.stamps_ns.items()}
        object.__setattr__(self, "stamps_ns", stamps)

    @property
    def stamp_ns(self) -> int:
        """Capture time of the newest image; raises InputError for an empty set."""
        if not self.stamps_ns:
            raise InputError("an empty frame set has no stamp: give at least one image")
        return max(self.stamps_ns.values())

    @property
    def spread_ns(self) -> int:
        """Newest minus oldest capture time."""
        stamps = self.stamps_ns.values()
        return max(stamps) - min(stamps) if stamps else 0


@dataclass(frozen=True, eq=False)
class Floor:
    """The plane on which people stand, in the poses' frame; msg/HumanPose3DArray defines the covariance's axes."""

    plane: Floats  # (4,): a x + b y + c z + d = 0 m, (a, b, c) a unit normal that points up
    covariance: Floats  # (3, 3) of two tilts in rad and the height in m

    def __post_init__(self) -> None:
        for field, shape in {"plane": (4,), "covariance": (3, 3)}.items():
            object.__setattr__(self, field, floats(f"floor: {field}", getattr(self, field), shape))
        # Messages of other programs may hold float32's digits.
        if not abs(np.linalg.norm(self.plane[:3]) - 1.0) < 1e-3 or not np.isfinite(self.plane[3]):
            raise InputError(f"floor: plane is {self.plane.tolist()}, expected a unit normal and a finite d in m")

    @property
    def normal(self) -> Floats:
        """Up, (3,)."""
        return self.plane[:3]

    def height(self, xyz: Floats) -> Floats:
        """How far points (..., 3) m lie above the floor, (...) m."""
        height: Floats = xyz @ self.plane[:3] + self.plane[3]
        return height


@dataclass(frozen=True, eq=False)
class Pose3D:
    """People's joints in three dimensions, in a fixed frame."""

    xyz: Floats  # (P, J, 3) m
    velocity: Floats  # (P, J, 3) m/s
    covariance: Floats  # (P, J, 3, 3) m^2
    score: Floats  # (P, J) in [0, 1]
    n_views: NDArray[np.uint8]  # (P, J) cameras used
    reprojection_px: Floats  # (P, J) RMS over those cameras
    source: NDArray[np.uint8]  # (P, J) JointSource
    ids: tuple[str, ...]  # P
    state: NDArray[np.uint8]  # (P,) PersonState
    age_s: Floats  # (P,) since the person was last seen
    skeleton: Skeleton
    frame_id: str
    stamp_ns: int
    # What is not known of bodies is NaN, and may be left out; msg/Joint3D defines the joints' frames.
    orientation: Floats = ()  # type: ignore[assignment]  # (P, J, 4) world_from_joint, quaternion x, y, z, w
    orientation_std: Floats = ()  # type: ignore[assignment]  # (P, J, 3) rad, about the joint's own x, y, z
    stature_m: Floats = ()  # type: ignore[assignment]  # (P,) standing height
    stature_std_m: Floats = ()  # type: ignore[assignment]  # (P,)
    foot_contact: Floats = ()  # type: ignore[assignment]  # (P, 2) left, right: probability that the foot stands
    floor: Floor | None = None

    def __post_init__(self) -> None:
        check_is("pose: skeleton", self.skeleton, Skeleton)
        check_is("pose: frame_id", self.frame_id, str)
        object.__setattr__(self, "stamp_ns", whole_number("pose: stamp_ns", self.stamp_ns))
        object.__setattr__(self, "ids", sequence("pose: ids", self.ids))
        people, joints = len(self.ids), self.skeleton.size
        shapes: dict[str, tuple[int, ...]] = {
            "xyz": (people, joints, 3),
            "velocity": (people, joints, 3),
            "covariance": (people, joints, 3, 3),
            "score": (people, joints),
            "reprojection_px": (people, joints),
            "age_s": (people,),
        }
        unknown = unknown_body(people, joints)
        for field, array in unknown.items():
            if isinstance(given := getattr(self, field), tuple) and not given:
                object.__setattr__(self, field, array)
            shapes[field] = array.shape
        for field, shape in shapes.items():
            object.__setattr__(self, field, floats(f"pose: {field}", getattr(self, field), shape))
        if (below := np.diagonal(self.covariance, axis1=-2, axis2=-1) < 0).any():
            raise InputError(
                f"pose: covariance holds {self.covariance[below.any(-1)][0].tolist()} m^2, none may be below 0"
            )
        off = np.abs((self.orientation**2).sum(-1) - 1.0) > 1e-3
        if off.any():
            raise InputError(
                f"pose: orientation holds {self.orientation[off][0].tolist()}, expected unit quaternions x, y, z, w, "
                "or NaN where it is not known"
            )
        if self.floor is not None:
            check_is("pose: floor", self.floor, Floor)
        small: dict[str, tuple[tuple[int, ...], int]] = {
            "n_views": ((people, joints), 255),
            "source": ((people, joints), max(JointSource)),
            "state": ((people,), max(PersonState)),
        }
        for field, (size, most) in small.items():
            object.__setattr__(self, field, small_numbers(f"pose: {field}", getattr(self, field), size, most))

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, people: Sequence[int] | NDArray[Any]) -> Pose3D:
        """The chosen people, in the order given."""
        index = np.asarray(people, dtype=np.intp)
        rows = {name: getattr(self, name)[index] for name in PERSON_ARRAYS}
        return unchecked(Pose3D, **{**vars(self), **rows, "ids": tuple(self.ids[p] for p in index)})


def unknown_body(people: int, joints: int) -> dict[str, Any]:
    """The fields of Pose3D of bodies of which only joints are known: NaN."""
    shapes = {
        "orientation": (people, joints, 4),
        "orientation_std": (people, joints, 3),
        "stature_m": (people,),
        "stature_std_m": (people,),
        "foot_contact": (people, 2),
    }
    return {field: np.full(shape, np.nan) for field, shape in shapes.items()}


def unchecked(kind: type[Noun], /, **fields: Any) -> Noun:
    """A Keypoints2D or Pose3D of all its fields, arrays as its checks leave them: part of a checked one, say.

    The checks take a tenth of a millisecond, and a frame set makes a dozen of them.
    """
    made = object.__new__(kind)
    made.__dict__.update(fields)
    return made


def size_of(where: str, size_wh: Any) -> tuple[int, int]:
    """Width and height in px; raises InputError unless they are two positive whole numbers."""
    sides = sequence(f"{where}: size_wh", size_wh)
    if len(sides) != 2:
        raise InputError(f"{where}: image size is {shown(size_wh)}, expected width and height in px")
    width, height = (whole_number(f"{where}: {side}", n) for side, n in zip(("width", "height"), sides, strict=True))
    if width <= 0 or height <= 0:
        raise InputError(f"{where}: image size is {width} x {height} px, expected both positive")
    return width, height


def _check_covariances(covariance: Floats) -> None:
    """Raise InputError for a covariance (..., 2, 2) px^2 below zero in some direction; NaN is not known."""
    a, b, c, d = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 0], covariance[..., 1, 1]
    # Sums of products of rounded numbers come out a little below zero.
    below = (a < 0) | (d < 0) | (a * d * (1 + 1e-6) < b * c)
    if below.any():
        raise InputError(
            f"keypoints: covariance holds {covariance[below][0].tolist()} px^2, expected symmetric positive matrices"
        )
