"""What a data set's reader gives: people over time before cameras, or labelled images (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project_views
from pose3d_ros.skeletons import H36M_17, map_matrix
from pose3d_ros.structures import Camera, Floats, Rig, Skeleton


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """P people over T frames; what is missing is NaN. Raises InputError for shapes that do not fit."""

    dataset: str
    subject: str
    action: str
    skeleton: Skeleton
    xyz: Floats  # (T, P, J, 3) m, in the rig's frame
    frames: NDArray[np.int64]  # (T,) as the data set counts them
    rig: Rig | None = None  # None: the files at hand hold no cameras
    xy: Mapping[str, Floats] = field(default_factory=dict)  # camera -> (T, P, J, 2) px of the original image
    images: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)  # camera -> T files
    labels: NDArray[np.int64] | None = None  # (T,) the data set's number of what is done

    def __post_init__(self) -> None:
        moments, joints = len(self.frames), self.skeleton.size
        if self.xyz.ndim != 4 or self.xyz.shape[0] != moments or self.xyz.shape[2:] != (joints, 3):
            raise InputError(f"{self.key}: xyz is {self.xyz.shape}, expected ({moments}, people, {joints}, 3)")
        for camera, xy in self.xy.items():
            if xy.shape != (*self.xyz.shape[:3], 2):
                raise InputError(f"{self.key}: xy of {camera} is {xy.shape}, expected {(*self.xyz.shape[:3], 2)}")
        lengths = {camera: len(files) for camera, files in self.images.items()}
        if self.labels is not None:
            lengths["labels"] = len(self.labels)
        for what, length in lengths.items():
            if length != moments:
                raise InputError(f"{self.key}: {what} has {length} entries for {moments} frames")

    @property
    def key(self) -> str:
        """SUBJECT/ACTION, which names the sequence in results files."""
        return f"{self.subject}/{self.action}"

    def at(self, rows: ArrayLike | slice) -> PoseSequence:
        """The chosen frames, by their place in the sequence."""
        chosen = np.arange(len(self.frames))[rows if isinstance(rows, slice) else np.asarray(rows)]
        return replace(
            self,
            xyz=self.xyz[chosen],
            frames=self.frames[chosen],
            xy={camera: xy[chosen] for camera, xy in self.xy.items()},
            images={camera: tuple(files[row] for row in chosen) for camera, files in self.images.items()},
            labels=None if self.labels is None else self.labels[chosen],
        )

    def without_pixels(self) -> PoseSequence:
        """Without pixels and images, which scores do not need."""
        return replace(self, xy={}, images={})

    def in_skeleton(self, target: Skeleton = H36M_17) -> PoseSequence:
        """The same people with another skeleton's joints; a joint that cannot be derived is NaN."""
        if self.skeleton == target:
            return self
        weights = map_matrix(self.skeleton, target)
        xy = {camera: weighted(weights, one) for camera, one in self.xy.items()}
        return replace(self, skeleton=target, xyz=weighted(weights, self.xyz), xy=xy)

    def projected(self) -> PoseSequence:
        """With xy as the rig's cameras see xyz; raises InputError without a rig."""
        if self.rig is None:
            raise InputError(f"{self.key} has no cameras: put the data set's calibration where docs/datasets.md says")
        views = project_views(self.rig.cameras, self.xyz)
        return replace(self, xy=dict(zip(self.rig.names, views, strict=True)))


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """The people of one image and their joints in 2D."""

    file: str  # below the data set's folder of images
    number: int  # the data set's own
    skeleton: Skeleton
    xy: Floats  # (P, J, 2) px, the centre of the first pixel (0, 0); NaN: not labelled
    visible: NDArray[np.bool_]  # (P, J): labelled and not hidden
    scale: Floats  # (P,) COCO: px^2 of the person's area; MPII: px of the head; NaN: not in the file
    boxes: Floats  # (P, 4) left, top, width, height px; NaN: not in the file
    crowd: NDArray[np.bool_]  # (P,): one label for many people

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """(P,) crowds and people without a labelled joint, who count neither way."""
        return np.asarray(self.crowd | ~np.isfinite(self.xy).all(axis=-1).any(axis=-1))


def weighted(weights: Floats, points: Floats) -> Floats:
    """Joints (..., K, C) as weighted means (K, J) of joints (..., J, C); NaN where a part is, or none is weighted."""
    found: Floats = np.einsum("kj,...jc->...kc", weights, np.nan_to_num(points))
    missing = ~np.isfinite(points).all(axis=-1)
    lost = np.einsum("kj,...j->...k", (weights > 0).astype(np.float64), missing.astype(np.float64)) > 0
    found[lost | ~weights.any(axis=1)] = np.nan
    return found


def in_camera(xyz: Floats, camera: Camera) -> Floats:
    """World points (..., 3) m in the camera's frame."""
    moved: Floats = xyz @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
    return moved


def in_world(xyz: Floats, camera: Camera) -> Floats:
    """Points (..., 3) m in the camera's frame in the world."""
    moved: Floats = (xyz - camera.cam_from_world[:3, 3]) @ camera.cam_from_world[:3, :3]
    return moved


def placed(R: ArrayLike, t_m: ArrayLike) -> Floats:
    """cam_from_world (4, 4) of x_cam = R X + t; R is made exactly orthonormal, for files round its digits.

    Raises ValueError for numbers that are not finite.
    """
    rotation = np.asarray(R, dtype=np.float64).reshape(3, 3)
    if not np.isfinite(rotation).all():  # of infinities a decomposition may never end
        raise ValueError(f"a camera's rotation is {rotation.tolist()}, expected finite numbers")
    U, _, Vt = np.linalg.svd(rotation)
    matrix = np.eye(4)
    matrix[:3, :3] = U @ Vt
    matrix[:3, 3] = np.ravel(t_m)
    return matrix


def intrinsics(fx: float, fy: float, cx: float, cy: float) -> Floats:
    """K (3, 3) px without skew."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def fitted_camera(name: str, size_wh: tuple[int, int], xyz: Floats, xy: Floats) -> Camera:
    """The pinhole camera that sees points (..., 3) m of its own frame at pixels (..., 2), by least squares.

    For data sets that publish both, but no intrinsics. Raises InputError for fewer than two points that differ.
    """
    points, pixels = xyz.reshape(-1, 3), xy.reshape(-1, 2)
    good = np.isfinite(points).all(axis=1) & np.isfinite(pixels).all(axis=1)
    points, pixels = points[good], pixels[good]
    solved = []
    for axis in (0, 1):
        # Weighted by depth, as the published tools do: u Z = f X + c Z.
        rows = np.stack([points[:, axis], points[:, 2]], axis=1)
        answer, _, rank, _ = np.linalg.lstsq(rows, pixels[:, axis] * points[:, 2], rcond=None)
        if rank < 2:
            raise InputError(f"camera {name}: {len(points)} joints in 2D and 3D fix no intrinsics, give more frames")
        solved.append(answer)
    (fx, cx), (fy, cy) = solved
    return Camera(name, size_wh, intrinsics(fx, fy, cx, cy))
