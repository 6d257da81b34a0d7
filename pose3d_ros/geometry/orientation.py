"""How joints are turned, by where the joints around them are; msg/Joint3D defines the frames (NumPy, float64).

Each frame comes from two vectors that are functions of a few joints: `up`, its z, and `left`, whose part square to z is
its y. Errors of joints count as independent; first-order propagation gives the std of small rotations about the frame's
own axes. With x, y, z the frame's axes and d the change of a vector, these are
  about x: -y.d(up)/|up|    about y: x.d(up)/|up|    about z: (z.left x.d(up)/|up| - x.d(left)) / |left square to z|
Axes: P people, J joints, F frames, K joints of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pose3d_ros.structures import Floats, Pose3D, Skeleton, unchecked

# A hinge axis counts while its std is below this: the limb would have to be bent to the other side by three standard
# deviations to turn it over, since the std is that of the bend over the bend.
MAX_TWIST_STD_RAD = 1.0 / 3.0
# Torsos and limbs shorter than any person's give no reliable direction.
MIN_LENGTH_M = 0.02
_CORNERS = ("LHip", "RHip", "LShoulder", "RShoulder")
# Up is from the hips to the shoulders; left of each joint of the trunk along hips, shoulders, or both.
_TRUNK_UP = np.array([-0.5, -0.5, 0.5, 0.5])
_TRUNK = ("Pelvis", "Spine", "Thorax")
_BODY = _TRUNK.index("Spine")
_LEFT = np.array([(1.0, -1.0, 0.0, 0.0), (0.5, -0.5, 0.5, -0.5), (0.0, 0.0, 1.0, -1.0)])
# Joints of a limb, and whether the lower bone turns about +y or -y where it bends.
_LIMBS = (("Hip", "Knee", "Ankle", 1.0), ("Shoulder", "Elbow", "Wrist", -1.0))
_LIMB_UP = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])  # of the upper and the lower bone


@dataclass(frozen=True, eq=False)
class _Layout:
    """Which joints of a skeleton make which frames."""

    corners: NDArray[np.intp]  # (4,) _CORNERS; empty where the skeleton lacks one
    trunk: NDArray[np.intp]  # (T,) joints that turn with the trunk
    trunk_rows: NDArray[np.intp]  # (T,) which of _TRUNK they are
    limbs: NDArray[np.intp]  # (L, 3) start, hinge and end
    bends: Floats  # (L,) 1 or -1


def with_orientations(pose: Pose3D) -> Pose3D:
    """The pose with the orientation of every joint at which a bone of trunk, arm or leg begins."""
    orientation, std = joint_orientations(pose.skeleton, pose.xyz, pose.covariance)
    return unchecked(Pose3D, **{**vars(pose), "orientation": orientation, "orientation_std": std})


def body_rotation(skeleton: Skeleton, xyz: Floats) -> Floats:
    """world_from_body (P, 3, 3) of bodies of joints (P, J, 3) m: the axes of Spine; NaN where a corner is missing."""
    corners = _layout(skeleton).corners
    return trunk_frames(xyz[:, corners])[:, _BODY] if len(corners) else np.full((len(xyz), 3, 3), np.nan)


def joint_orientations(skeleton: Skeleton, xyz: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Quaternions x, y, z, w (P, J, 4) world_from_joint, and std (P, J, 3) rad about the joints' own axes.

    xyz (P, J, 3) m and covariance (P, J, 3, 3) m^2. NaN where a frame is not known; the twist's std where it is not
    measured: of a straight limb.
    """
    layout, people = _layout(skeleton), len(xyz)
    rotation = np.full((*xyz.shape, 3), np.nan)
    std = np.full(xyz.shape, np.nan)
    body = np.full((people, 3, 3), np.nan)
    if len(layout.corners) and people:
        corners = xyz[:, layout.corners]
        frames = trunk_frames(corners)
        body = frames[:, _BODY]
        rotation[:, layout.trunk] = frames[:, layout.trunk_rows]
        std[:, layout.trunk] = _trunk_std(frames, corners, covariance[:, layout.corners])[:, layout.trunk_rows]
    if len(layout.limbs) and people:
        frames, deviation = _limb_frames(xyz[:, layout.limbs], covariance[:, layout.limbs], layout.bends, body)
        rotation[:, layout.limbs[:, :2]] = frames
        std[:, layout.limbs[:, :2]] = deviation
    known = np.isfinite(rotation).all((-1, -2))
    quaternion = np.full((*xyz.shape[:2], 4), np.nan)
    if known.any():
        quaternion[known] = Rotation.from_matrix(rotation[known]).as_quat(canonical=True)
    std[~known] = np.nan
    return quaternion, std


def trunk_frames(corners: Floats) -> Floats:
    """world_from_joint (P, 3, 3, 3) of Pelvis, Spine and Thorax, of hips and shoulders (P, 4, 3) m as in _CORNERS.

    NaN where one is missing or they lie on a line.
    """
    return _frames((_TRUNK_UP @ corners)[:, None], _LEFT @ corners)


def _trunk_std(frames: Floats, corners: Floats, covariance: Floats) -> Floats:
    """Std (P, 3, 3) rad of trunk_frames about their axes; covariance (P, 4, 3, 3) m^2."""
    up, left, x = (_TRUNK_UP @ corners)[:, None], _LEFT @ corners, frames[..., 0]
    along = (left * frames[..., 2]).sum(-1)
    lean = along / np.sqrt((up**2).sum(-1))
    square = np.sqrt(np.maximum((left**2).sum(-1) - along**2, 0.0))
    gradient = (lean[..., None] * _TRUNK_UP - _LEFT)[..., None] * x[..., None, :]  # (P, T, K, 3)
    spread = covariance[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        twist = _std(gradient, spread) / square
    return np.concatenate([_tilts(frames, up, _TRUNK_UP, spread), twist[..., None]], axis=-1)


def _limb_frames(joints: Floats, covariance: Floats, bends: Floats, body: Floats) -> tuple[Floats, Floats]:
    """world_from_joint (P, L, 2, 3, 3) of limbs' upper and lower bones, and std (P, L, 2, 3).

    joints (P, L, 3, 3) m are start, hinge and end of each limb, body (P, 3, 3) the trunk's frame.
    """
    upper, lower = joints[:, :, 1] - joints[:, :, 0], joints[:, :, 2] - joints[:, :, 1]
    up = np.stack([-upper, -lower], axis=2)  # (P, L, 2, 3)
    hinge = bends[:, None] * _cross(upper, lower)
    frames = _frames(up, np.broadcast_to(hinge[:, :, None], up.shape), least=0.0)
    x = bends[:, None, None] * frames[..., 0]
    over_upper, over_lower = _cross(x, upper[:, :, None]), _cross(x, lower[:, :, None])
    gradient = np.stack([over_lower, -over_upper - over_lower, over_upper], axis=-2)  # of x.hinge, (P, L, 2, K, 3)
    spread = covariance[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        twist = _std(gradient, spread) / np.sqrt((hinge**2).sum(-1))[:, :, None]
    straight = ~(twist < MAX_TWIST_STD_RAD)
    if straight.any():
        onto = _frames(up, _turned_shortest(body[:, None, None], up))
        frames = np.where(straight[..., None, None], onto, frames)
        twist = np.where(straight, np.nan, twist)
    return frames, np.concatenate([_tilts(frames, up, _LIMB_UP, spread), twist[..., None]], axis=-1)


def _turned_shortest(body: Floats, up: Floats) -> Floats:
    """The left axis of the trunk's frame, turned with it so that its z is along up the shortest way: (..., 3)."""
    y, z, target = body[..., 1], body[..., 2], _unit(up)
    cosine = (z * target).sum(-1, keepdims=True)
    # Straight against the trunk, as an arm that points up, every way is the shortest: that about y.
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = y - (z + target) * (target * y).sum(-1, keepdims=True) / (1.0 + cosine)
    return np.where(cosine < -1.0 + 1e-9, y, turned)


def _frames(up: Floats, left: Floats, least: float = MIN_LENGTH_M) -> Floats:
    """Rotations (..., 3, 3) with z along up (..., 3) m and y along left square to z; NaN where that is too short."""
    z = np.broadcast_to(_unit(up), left.shape)
    square = left - (left * z).sum(-1, keepdims=True) * z
    y = _unit(square, least)
    return np.stack([_cross(y, z), y, z], axis=-1)


def _tilts(frames: Floats, up: Floats, weights: Floats, covariance: Floats) -> Floats:
    """Std (..., 2) rad about x and y of frames (..., 3, 3); up is the sum of K joints by weights (..., K), m."""
    across = frames[..., [1, 0]].swapaxes(-1, -2) / np.sqrt((up**2).sum(-1))[..., None, None]  # (..., 2, 3)
    return _std(weights[..., None, :, None] * across[..., None, :], covariance[..., None, :, :, :])


def _std(gradient: Floats, covariance: Floats) -> Floats:
    """Std (...) of a number with this gradient (..., K, 3) by K joints of covariance (..., K, 3, 3)."""
    moved = (gradient[..., None, :] @ covariance)[..., 0, :]
    return np.asarray(np.sqrt(np.maximum((moved * gradient).sum((-1, -2)), 0.0)))


def _unit(vector: Floats, least: float = MIN_LENGTH_M) -> Floats:
    """Vectors (..., 3) of length 1; NaN for those not longer than least, m."""
    length = np.sqrt((vector**2).sum(-1, keepdims=True))
    return np.asarray(vector / np.where(length > least, length, np.nan))


def _cross(a: Floats, b: Floats) -> Floats:
    """np.cross of (..., 3), which takes five times as long for a few vectors."""
    return np.asarray(a[..., [1, 2, 0]] * b[..., [2, 0, 1]] - a[..., [2, 0, 1]] * b[..., [1, 2, 0]])


@lru_cache(maxsize=16)
def _layout(skeleton: Skeleton) -> _Layout:
    names = skeleton.joint_names
    corners = [names.index(name) for name in _CORNERS if name in names]
    trunk = [name for name in _TRUNK if name in names and len(corners) == len(_CORNERS)]
    limbs = [
        ([f"{side}{joint}" for joint in (start, hinge, end)], bend)
        for start, hinge, end, bend in _LIMBS
        for side in "LR"
    ]
    whole = [(one, bend) for one, bend in limbs if all(name in names for name in one)]
    return _Layout(
        corners=np.array(corners if len(corners) == len(_CORNERS) else [], dtype=np.intp),
        trunk=np.array([names.index(name) for name in trunk], dtype=np.intp),
        trunk_rows=np.array([_TRUNK.index(name) for name in trunk], dtype=np.intp),
        limbs=np.array([[names.index(name) for name in one] for one, _ in whole], dtype=np.intp).reshape(-1, 3),
        bends=np.array([bend for _, bend in whole]),
    )
