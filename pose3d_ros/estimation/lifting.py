"""From one camera's 2D people to people in metres: AbsPoseLifter's network and what it takes to trust it.

NumPy, float64; the network inside in torch, float32, imported when it is used. Axes: P people, J joints of h36m_17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry.projection import undistort
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS, remap
from pose3d_ros.structures import Camera, Floats, Keypoints2D

if TYPE_CHECKING:
    from pose3d_ros.weights.trained import Loaded

# Joints that a detector sees itself: those that are means of others say nothing more.
SEEN_JOINTS = [H36M_17.index(name) for name in (*LIMB_JOINTS, "Nose")]
PELVIS, THORAX = H36M_17.index("Pelvis"), H36M_17.index("Thorax")
# Of the 13 joints above: both hips or shoulders and two limbs.
MIN_JOINTS = 6
# Focal lengths that networks in the paper's form are trained at, px (simulation/simulated_rigs.py: robot heads to
# Human3.6M). Another image is scaled to the nearest: a camera resized is a camera too. On the sample footage (f 1680)
# that took the worst camera's root from 0.74 to 0.21 m off, and the spread of its depth over time from 24 to 8 %.
FOCAL_PX = (530.0, 1150.0)
# Where no figures came with a network (weights/trained.py): std of the depth as measured above, and across it, m.
ROUGH_DEPTH, ROUGH_ACROSS_M = 0.08, 0.10
# Nearer, a body does not fit into an image; further, a joint's error of 1 px is 3 % of a body's height (f 1000 px).
MIN_DEPTH_M, MAX_DEPTH_M = 0.3, 30.0


class Refusal(IntEnum):
    """Why a 2D person was not lifted."""

    NONE = 0
    FEW_JOINTS = 1
    NO_TRUNK = 2  # neither both hips nor both shoulders
    DEPTH = 3  # the depth found is no depth at which people are seen
    NOT_FINITE = 4  # the network gave no numbers


@dataclass(frozen=True, eq=False)
class LiftedPeople:
    """All 2D people of one image; those that were refused are NaN."""

    xyz: Floats  # (P, J, 3) m, the camera's optical frame; also the joints that were not seen
    covariance: Floats  # (P, J, 3, 3) m^2
    seen: NDArray[np.bool_]  # (P, J) joints that the detector gave
    canonical_depth_m: Floats  # (P,) of the pelvis: its depth if the image had a focal length of 1000 px
    height_m: Floats  # (P,) by the bones, whatever the posture
    refusal: NDArray[np.uint8]  # (P,) Refusal

    def select(self, people: NDArray[np.intp]) -> LiftedPeople:
        """The chosen people, in the order given."""
        return LiftedPeople(*(getattr(self, one.name)[people] for one in fields(self)))

    @property
    def refused(self) -> dict[str, int]:
        """How many people were refused, by the name of the Refusal."""
        counts = {reason.name.lower(): int((self.refusal == reason).sum()) for reason in Refusal if reason}
        return {name: count for name, count in counts.items() if count}


def lift(
    camera: Camera,
    keypoints: Keypoints2D,
    lifter: Loaded,
    body_height_m: float | Floats = math.nan,
    *,
    min_joints: int = MIN_JOINTS,
) -> LiftedPeople:
    """Absolute poses of 2D people, each from one sight.

    keypoints are px of the camera's original image, in any skeleton that h36m_17 can be derived from. Lens
    distortion is taken off, and the camera's K makes metres of the canonical depth (1910.12029, Eqs. 5-6; fx and fy
    may differ, skew drops out). An image of a focal length that the network was not made for is scaled (FOCAL_PX).
    The root lies behind the detected pelvis; where a hip is not seen, where the seen joints put it on the median, given
    the lifted pose. body_height_m, of all people or (P,) of each, where known, scales pose and depth alike; NaN or 0:
    unknown. A person needs min_joints of the 12 limb joints and the nose, and both hips or both shoulders.
    """
    import torch

    from pose3d_ros.networks.canonical import ROOT, absolute, metric_depth, scaled_to_height, stature, with_root

    focal, centre = np.diag(camera.K)[:2], camera.K[:2, 2]
    alpha = math.sqrt(focal.prod())
    ours = getattr(lifter.net, "options", None)
    # A network for any focal length brings the image to its own, and gets the height where it takes one.
    any_focal, takes_height = getattr(ours, "any_focal", False), getattr(ours, "height", False)
    scale = 1.0 if any_focal else float(np.clip(alpha, *FOCAL_PX)) / alpha
    ideal = undistort(camera, remap(keypoints, H36M_17).xy)  # (P, J, 2)
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(ideal).all(axis=-1))
    refusal = np.where(seen[:, PELVIS] | seen[:, THORAX], Refusal.NONE, Refusal.NO_TRUNK)
    refusal = np.where(seen[:, SEEN_JOINTS].sum(axis=-1) < min_joints, Refusal.FEW_JOINTS, refusal)
    good = np.flatnonzero(refusal == Refusal.NONE)
    people, joints = seen.shape
    xyz, covariance = np.full((people, joints, 3), np.nan), np.full((people, joints, 3, 3), np.nan)
    canonical, height = np.full(people, np.nan), np.full(people, np.nan)
    if len(good):
        height_m = np.broadcast_to(np.asarray(body_height_m, dtype=np.float64), people)
        height_m = np.asarray(np.where(height_m > 0, height_m, np.nan))
        focal, centre = scale * focal, scale * centre
        K = torch.tensor([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]], dtype=torch.float32)
        device = next((one.device for one in lifter.net.parameters()), K.device)
        K = K.expand(len(good), 3, 3).to(device)
        with torch.inference_mode():
            xy = torch.as_tensor(ideal[good] * focal + centre, dtype=torch.float32, device=device)
            stands = torch.as_tensor(height_m[good], dtype=torch.float32, device=device)
            lifted = lifter.net(xy, K, height=stands) if takes_height else scaled_to_height(lifter.net(xy, K), stands)
            pose = with_root(lifted.pose)
            depth = metric_depth(lifted.depth, K)
            root = _root(ideal[good], pose.cpu().numpy(), depth.cpu().numpy(), ROOT) * focal + centre
            placed = absolute(lifted, torch.as_tensor(root, dtype=torch.float32, device=device), K)
        canonical[good], height[good] = scale * lifted.depth.cpu().numpy(), stature(pose).cpu().numpy()
        xyz[good] = placed.cpu().numpy()
        reach = xyz[:, ROOT, 2]
        plausible: NDArray[np.bool_] = np.asarray(
            (reach > MIN_DEPTH_M) & (reach <= MAX_DEPTH_M) & np.isfinite(xyz).all(axis=(1, 2))
        )
        wrong = np.where(np.isfinite(xyz).all(axis=(1, 2)), Refusal.DEPTH, Refusal.NOT_FINITE)
        refusal = np.where((refusal == Refusal.NONE) & ~plausible, wrong, refusal)
        for array in (xyz, canonical, height):
            array[~plausible] = np.nan
        for known in (False, True):
            some: NDArray[np.bool_] = np.asarray(plausible & (np.isfinite(height_m) == known))
            covariance[some] = _covariance(lifter, xyz[some], seen[some], known)
    return LiftedPeople(xyz, covariance, seen, canonical, height, refusal.astype(np.uint8))


def _root(ideal: Floats, pose: Floats, depth: Floats, root: int) -> Floats:
    """Where the root is seen, (P, 2) in x/z, y/z: as detected, else where the other joints put it.

    ideal (P, J, 2) x/z, y/z; pose (P, J, 3) m root-relative; depth (P,) m of the root. A joint seen at p and lying
    (dx, dy, dz) from the root says that the root is at (p (Z + dz) - (dx, dy)) / Z.
    """
    said = (ideal * (depth[:, None, None] + pose[..., 2:]) - pose[..., :2]) / depth[:, None, None]
    # Outside the image's plane (Z = 0) nothing is said; such a person is refused by the depth afterwards.
    known = np.asarray(np.isfinite(said).any(axis=1))
    middle = np.nanmedian(np.where(known[:, None], said, 0.0), axis=1)
    detected = np.asarray(np.isfinite(ideal[:, root]).all(axis=-1))
    return np.where(detected[:, None], ideal[:, root], middle)


def _covariance(lifter: Loaded, xyz: Floats, seen: NDArray[np.bool_], height_known: bool) -> Floats:
    """(P, J, 3, 3) m^2 of poses xyz (P, J, 3) m in the camera's frame."""
    if lifter.spread:
        import torch

        from pose3d_ros.networks.spread import lifted_covariance

        given = torch.as_tensor(xyz), torch.as_tensor(seen)
        return lifted_covariance(lifter.spread, *given, height_known=height_known).numpy()
    ray = xyz / np.linalg.norm(xyz, axis=-1, keepdims=True)
    along = (ROUGH_DEPTH * xyz[..., 2]) ** 2
    return np.asarray(ROUGH_ACROSS_M**2 * np.eye(3) + along[..., None, None] * ray[..., :, None] * ray[..., None, :])
