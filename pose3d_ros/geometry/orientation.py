"""How joints are turned, by where the joints around them are; msg/Joint3D defines the frames (NumPy, float64).

Each frame comes from two vectors that are functions of a few joints: `up`, its z, and `left`, whose part square to z is
its y. Errors of joints count as independent; first-order propagation gives the std of small rotations about the frame's
own axes. With x, y, z the frame's axes and d the change of a vector, these are
  about x: -y.d(up)/|up|    about y: x.d(up)/|up|    about z: (z.left x.d(up)/|up| - x.d(left)) / |left square to z|
All frames of all people are worked out at once. Axes: P people, J joints, F frames (the trunk's, then two for each
limb), K = 4 joints of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.structures import Floats, Pose3D, Skeleton, unchecked

# A hinge axis counts fully while its std is below this, since the limb would have to be bent to the other side by three
# standard deviations to turn it over (the std is that of the bend over the bend), and no more from twice of it on.
MAX_TWIST_STD_RAD = 1.0 / 3.0
# Torsos and bones shorter than any person's give no reliable direction.
MIN_LENGTH_M = 0.02
# Up is from the hips to the shoulders; left of each joint of the trunk along hips, both, or shoulders.
_CORNERS = ("LHip", "RHip", "LShoulder", "RShoulder")
_TRUNK = ("Pelvis", "Spine", "Thorax")
_TRUNK_UP = np.array([-0.5, -0.5, 0.5, 0.5])
_TRUNK_LEFT = np.array([(1.0, -1.0, 0.0, 0.0), (0.5, -0.5, 0.5, -0.5), (0.0, 0.0, 1.0, -1.0)])
_BODY = _TRUNK.index("Spine")
# Joints of a limb, and whether the lower bone turns about +y or -y where it bends.
_LIMBS = (("Hip", "Knee", "Ankle", 1.0), ("Shoulder", "Elbow", "Wrist", -1.0))
_LIMB_UP = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0]])  # of the upper and the lower bone
# Four times the products of a quaternion's numbers, (4, 4), from a rotation matrix: a linear map, and _ONE to be added.
_PRODUCTS = np.zeros((3, 3, 4, 4))
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _PRODUCTS[(0, 1, 2), (0, 1, 2), _i, _i] = np.where(np.arange(3) == _i, 1.0, -1.0)
    _PRODUCTS[(_i, _j), (_j, _i), _i, _j] = _PRODUCTS[(_i, _j), (_j, _i), _j, _i] = 1.0
    _PRODUCTS[(_k, _j), (_j, _k), _i, 3] = _PRODUCTS[(_k, _j), (_j, _k), 3, _i] = (1.0, -1.0)
    _PRODUCTS[_i, _i, 3, 3] = 1.0
_ONE = np.eye(4).ravel()


@dataclass(frozen=True, eq=False)
class _Layout:
    """Which joints of a skeleton make which frames."""

    joints: NDArray[np.intp]  # (F, K) that a frame comes from; of limbs start, hinge, end, and one that does not count
    up: Floats  # (F, K, 1) weights of their sum that is up
    least: (
        Floats  # (F, 1) that left must be longer than: m of the trunk; limbs' hinge axes are in m^2, and have their std
    )
    trunk: int  # how many of the frames are the trunk's: len(_TRUNK) or 0
    bends: Floats  # (F - trunk, 1) 1 or -1
    rows: NDArray[np.intp]  # frames that belong to a joint of the skeleton
    targets: NDArray[np.intp]  # and to which


def with_orientations(pose: Pose3D) -> Pose3D:
    """The pose with the orientation of every joint at which a bone of trunk, arm or leg begins; others keep theirs."""
    orientation, std = joint_orientations(pose.skeleton, pose.xyz, pose.covariance)
    others = np.setdiff1d(np.arange(pose.skeleton.size), _layout(pose.skeleton).targets)
    orientation[:, others], std[:, others] = pose.orientation[:, others], pose.orientation_std[:, others]
    return unchecked(Pose3D, **{**vars(pose), "orientation": orientation, "orientation_std": std})


def body_rotation(skeleton: Skeleton, xyz: Floats) -> Floats:
    """world_from_body (P, 3, 3) of bodies of joints (P, J, 3) m: the axes of Spine; NaN where a corner is missing."""
    layout = _layout(skeleton)
    if not layout.trunk:
        return np.full((len(xyz), 3, 3), np.nan)
    corners = xyz[:, layout.joints[_BODY]]
    return _frames(_TRUNK_UP @ corners, _TRUNK_LEFT[_BODY] @ corners, MIN_LENGTH_M)


def joint_orientations(skeleton: Skeleton, xyz: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Quaternions x, y, z, w (P, J, 4) world_from_joint, and std (P, J, 3) rad about the joints' own axes.

    xyz (P, J, 3) m and covariance (P, J, 3, 3) m^2. NaN where a frame is not known; the twist's std where it is not
    measured: of a straight limb.
    """
    layout = _layout(skeleton)
    quaternion, std = np.full((*xyz.shape[:2], 4), np.nan), np.full(xyz.shape, np.nan)
    if len(layout.rows) and len(xyz):
        with np.errstate(divide="ignore", invalid="ignore"):
            frames, deviations = _oriented(layout, xyz[:, layout.joints], covariance[:, layout.joints])
        quaternion[:, layout.targets] = _quaternions(frames[:, layout.rows])
        std[:, layout.targets] = deviations[:, layout.rows]
    return quaternion, std


def _oriented(layout: _Layout, joints: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Frames (P, F, 3, 3) and their std (P, F, 3), of joints (P, F, K, 3) m of covariance (P, F, K, 3, 3) m^2."""
    trunk, weights = layout.trunk, layout.up
    up = (weights * np.where(weights == 0, 0.0, joints)).sum(-2)  # without what does not count but may be absent
    length = np.sqrt((up**2).sum(-1, keepdims=True))
    upper, lower = (joints[:, trunk:, k + 1] - joints[:, trunk:, k] for k in (0, 1))
    left = np.concatenate(
        [(_TRUNK_LEFT[:trunk, :, None] * joints[:, :trunk]).sum(-2), layout.bends * _cross(upper, lower)], axis=1
    )
    frames = _frames(up, left, layout.least)
    x = frames[..., 0]
    # What x.left changes by with each joint, (P, F, K, 3).
    turned = layout.bends * x[:, trunk:]
    over_upper, over_lower = _cross(turned, upper), _cross(turned, lower)
    hinge = np.stack([over_lower, -over_upper - over_lower, over_upper, np.zeros_like(turned)], axis=-2)
    gradient = np.concatenate([_TRUNK_LEFT[:trunk, :, None] * x[:, :trunk, None], hinge], axis=1)
    along = (left * frames[..., 2]).sum(-1, keepdims=True)
    square = np.sqrt((left**2).sum(-1) - along[..., 0] ** 2)
    twist = _std((along / length)[..., None] * weights * x[..., None, :] - gradient, covariance) / square
    straight = ~(twist[:, trunk:] < MAX_TWIST_STD_RAD)
    if straight.any():
        body = frames[:, _BODY, None] if trunk else np.full((len(frames), 1, 3, 3), np.nan)
        onto = _turned_shortest(body, up[:, trunk:])
        # Towards it bit by bit, so that a limb that is stretched does not turn at once.
        share = np.nan_to_num(np.clip(2.0 - twist[:, trunk:, None] / MAX_TWIST_STD_RAD, 0.0, 1.0))
        onto = np.where(share > 0, onto + share * (frames[:, trunk:, :, 1] - onto), onto)
        onto = _frames(up[:, trunk:], onto, 0.0)
        frames[:, trunk:] = np.where(straight[..., None, None], onto, frames[:, trunk:])
        twist[:, trunk:][straight] = np.nan
    tilts = frames[..., [1, 0]].swapaxes(-1, -2) / length[..., None]  # (P, F, 2, 3) per m along y and x
    counting = np.where(weights[..., None] == 0, 0.0, covariance)
    std = _std(weights[:, None] * tilts[..., None, :], counting[:, :, None])
    std = np.concatenate([std, twist[..., None]], axis=-1)
    std[np.isnan(frames[..., 0, 0])] = np.nan
    return frames, std


def _turned_shortest(body: Floats, up: Floats) -> Floats:
    """The left axis of the trunk's frame (..., 3), turned with it the shortest way to have z along up."""
    y, z, target = body[..., 1], body[..., 2], _unit(up, MIN_LENGTH_M)
    cosine = (z * target).sum(-1, keepdims=True)
    # Straight against the trunk, as an arm that points up, every way is the shortest: it is that about y.
    turned = y - (z + target) * (target * y).sum(-1, keepdims=True) / (1.0 + cosine)
    return np.where(cosine < -1.0 + 1e-9, y, turned)


def _frames(up: Floats, left: Floats, least: float | Floats) -> Floats:
    """Rotations (..., 3, 3), z along up (..., 3) m, y along left square to z; NaN where that is not over least."""
    z = _unit(up, MIN_LENGTH_M)
    y = _unit(left - (left * z).sum(-1, keepdims=True) * z, least)
    return np.stack([_cross(y, z), y, z], axis=-1)


def _std(gradient: Floats, covariance: Floats) -> Floats:
    """Std (...) of a number with this gradient (..., K, 3) by K joints of covariance (..., K, 3, 3)."""
    moved = (gradient[..., None, :] @ covariance)[..., 0, :]
    return np.asarray(np.sqrt((moved * gradient).sum((-1, -2))))


def _quaternions(rotation: Floats) -> Floats:
    """x, y, z, w (..., 4) with w >= 0 of rotations (..., 3, 3): the longest row of its products with itself."""
    products = (rotation.reshape(-1, 9) @ _PRODUCTS.reshape(9, 16) + _ONE).reshape(-1, 4, 4)
    row = products[np.arange(len(products)), products[:, range(4), range(4)].argmax(-1)]
    row *= np.where(row[:, 3:] < 0, -1.0, 1.0) / np.sqrt((row**2).sum(-1, keepdims=True))
    return np.asarray(row.reshape(*rotation.shape[:-2], 4))


def _unit(vector: Floats, least: float | Floats) -> Floats:
    """Vectors (..., 3) of length 1; NaN for those not longer than least."""
    length = np.sqrt((vector**2).sum(-1, keepdims=True))
    return np.asarray(vector / np.where(length > least, length, np.nan))


def _cross(a: Floats, b: Floats) -> Floats:
    """np.cross of (..., 3), which takes five times as long for a few vectors."""
    return np.asarray(a[..., [1, 2, 0]] * b[..., [2, 0, 1]] - a[..., [2, 0, 1]] * b[..., [1, 2, 0]])


@lru_cache(maxsize=16)
def _layout(skeleton: Skeleton) -> _Layout:
    names = skeleton.joint_names
    whole = all(name in names for name in _CORNERS)
    trunk = [name if name in names else "" for name in _TRUNK] if whole else []
    limbs = [
        ([f"{side}{joint}" for joint in (start, hinge, end, start)], bend)
        for start, hinge, end, bend in _LIMBS
        for side in "LR"
        if all(f"{side}{joint}" in names for joint in (start, hinge, end))
    ]
    joints = [_CORNERS] * len(trunk) + [one for one, _ in limbs for _ in range(2)]
    owners = [*trunk, *(name for one, _ in limbs for name in one[:2])]
    return _Layout(
        joints=np.array([[names.index(name) for name in one] for one in joints], dtype=np.intp).reshape(-1, 4),
        up=np.concatenate([np.tile(_TRUNK_UP, (len(trunk), 1)), np.tile(_LIMB_UP, (len(limbs), 1))])[..., None],
        least=np.repeat([MIN_LENGTH_M, 0.0], [len(trunk), 2 * len(limbs)])[:, None],
        trunk=len(trunk),
        bends=np.repeat([bend for _, bend in limbs], 2)[:, None],
        rows=np.array([k for k, owner in enumerate(owners) if owner], dtype=np.intp),
        targets=np.array([names.index(owner) for owner in owners if owner], dtype=np.intp),
    )
