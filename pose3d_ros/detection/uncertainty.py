"""2D covariance of a keypoint from the crop's scale, the joint and the score.

    sigma_px = (image px per crop px) * s_joint * exp(DECAY * (1 - score))        (one axis, isotropic)

Measured on Pose2Sim's multi-person demonstration (100 moments, 2 people, 4 cameras): each camera's keypoints against
the projection of the others' triangulation, whose own covariance is added; the constant offset of each camera over the
clip is due to its calibration and is removed. s and DECAY are chosen so that 95 % of the errors of each kind of joint
and each tenth of score are inside the 95 % ellipse. On the single-person demonstration, which was not used in the fit,
96.6 % are (6788 keypoints; shoulders to ankles 98-100 %, the pixelated face 90-93 %), and 89 % if the clip's camera
offsets are not removed: a rig's calibration error is not part of this covariance. Errors have longer tails than a
normal distribution: the 50 % ellipse contains 76 %.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, Skeleton

NOSE, EYES, EARS, SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES = 0.93, 1.23, 1.27, 1.43, 1.62, 2.01, 1.92, 1.29, 1.35
# s of COCO's joints in order, px of the 256 px crop.
JOINT_SIGMA_PX = np.array([NOSE, *np.repeat([EYES, EARS, SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES], 2)])
DECAY = 3.9
# For joints outside COCO (toes, neck, ...): the largest measured value.
OTHER_SIGMA_PX = WRISTS
# Below this score there were too few keypoints to measure, and none worth using.
MIN_SCORE = 0.1


def covariance(score: Floats, px_per_crop_px: Floats, skeleton: Skeleton = COCO_17) -> Floats:
    """Return the covariance (P, J, 2, 2) px^2 of keypoints with score (P, J) from crops of scale (P,)."""
    growth = np.exp(DECAY * (1.0 - np.clip(score, MIN_SCORE, 1.0)))
    measured = dict(zip(COCO_17.joint_names, JOINT_SIGMA_PX, strict=True))
    joint_sigma_px = np.array([measured.get(name, OTHER_SIGMA_PX) for name in skeleton.joint_names])
    sigma = px_per_crop_px[:, None] * joint_sigma_px * growth
    return np.asarray(sigma[..., None, None] ** 2 * np.eye(2))
