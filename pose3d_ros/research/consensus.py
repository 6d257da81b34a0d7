"""2D labels of one's own recordings, from what their cameras agree on (NumPy, float64).

A detector errs differently in each view, so a joint that several calibrated cameras see in one place is surer than any
camera's keypoint of it, and labels the images in which it is hidden or taken for another joint too. That is how
Simon et al., "Hand keypoint detection in single images using multiview bootstrapping" (CVPR 2017), Sec. 3, train on
images without annotations: triangulate robustly, reject what too few views agree with, project into every view.

Axes: V cameras; P people times moments; J joints of h36m_17, mapped from the detector's (skeletons.remap), so HeadTop
has no label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection.box_tracks import joint_box
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.observation import Grouped2D, triangulated
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.recorded_people import recorded_people
from pose3d_ros.geometry.projection import project, project_views
from pose3d_ros.recordings.observations import Observations2D
from pose3d_ros.structures import Camera, Floats, Rig

# A camera agrees with a joint this near to its keypoint, in shares of the longer side of the person's box of joints. By
# choice: in the sample footage keypoints are 3 % from the other cameras' joints in the median, calibration included.
AGREE = 0.06
LABELLED_BY = 3  # cameras that must agree on a label, of any
PREDICTED_BY = 2  # of the cameras other than the one that is judged
LEAST_JOINTS = 8  # a camera's keypoints of a person that make a box to cut


@dataclass(frozen=True, eq=False)
class Consensus:
    """P people at their moments, as V cameras see them."""

    stamps_ns: NDArray[np.int64]  # (P,)
    ids: NDArray[np.str_]  # (P,)
    detected: Floats  # (P, V, J, 2) px by the detector; NaN where it saw no joint
    label: Floats  # (P, V, J, 2) px where all cameras agree that the joint is; NaN where too few agree
    others: Floats  # (P, V, J, 2) px where all cameras but this one agree that it is, or NaN
    boxes: Floats  # (P, V, 4) left, top, right, bottom px of the keypoints; NaN where there are too few

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def select(self, rows: NDArray[np.intp]) -> Consensus:
        """The chosen people, in the order given."""
        return Consensus(*(getattr(self, one.name)[rows] for one in fields(self)))


def consensus(rig: Rig, observations: Observations2D, options: EstimatorOptions = EstimatorOptions()) -> Consensus:
    """What the rig's cameras agree on; observations are of the rig. Raises InputError for fewer than three cameras."""
    cameras = rig.cameras
    if len(cameras) < LABELLED_BY:
        raise InputError(
            f"the recording has {len(cameras)} cameras, expected {LABELLED_BY} at least: labels are what {LABELLED_BY} "
            "cameras agree on"
        )
    people = recorded_people(observations, options)
    boxes = _boxes(people)
    limit = AGREE * (boxes[..., 2:] - boxes[..., :2]).max(axis=-1)  # (V, P) px; NaN: the camera agrees with nothing
    label = project_views(cameras, agreed(cameras, people, limit, LABELLED_BY))
    others = np.empty_like(label)
    for view, camera in enumerate(cameras):
        rest = [other for other in range(len(cameras)) if other != view]
        xyz = agreed([cameras[other] for other in rest], people.of(rest), limit[rest], PREDICTED_BY)
        others[view] = project(camera, xyz)
    return Consensus(
        np.array([stamp for stamp, _ in observations.keys], dtype=np.int64),
        np.array([one for _, one in observations.keys], dtype=np.str_),
        *(np.moveaxis(one, 0, 1) for one in (people.xy, label, others, boxes)),
    )


def agreed(cameras: Sequence[Camera], people: Grouped2D, limit_px: Floats, needed: int) -> Floats:
    """Joints (P, J, 3) m that `needed` cameras see within limit_px (V, P) of their keypoints; NaN for the others.

    Every two cameras propose a joint; the one that most cameras agree with, and of these most nearly, is triangulated
    again by all who do.
    """
    best = np.full(people.score.shape, False)
    most = np.full(people.score.shape[1:], -np.inf)
    for pair in combinations(range(len(cameras)), 2):
        two = [cameras[view] for view in pair]
        agrees, apart = _agreement(cameras, people, limit_px, _triangulated(two, people.of(pair), 2))
        votes = agrees.sum(axis=0) - np.where(agrees, apart / limit_px[..., None], 0.0).sum(axis=0) / (len(cameras) + 1)
        best = np.where(votes > most, agrees, best)
        most = np.maximum(votes, most)
    kept = Grouped2D(np.where(best[..., None], people.xy, np.nan), np.where(best, people.score, 0.0), people.covariance)
    xyz = _triangulated(cameras, kept, needed)
    agrees, _ = _agreement(cameras, people, limit_px, xyz)
    return np.where((agrees.sum(axis=0) >= needed)[..., None], xyz, np.nan)


def _agreement(
    cameras: Sequence[Camera], people: Grouped2D, limit_px: Floats, xyz: Floats
) -> tuple[NDArray[np.bool_], Floats]:
    """Which cameras agree with joints (P, J, 3) m, and their distances px: both (V, P, J)."""
    apart = np.linalg.norm(project_views(cameras, xyz) - people.xy, axis=-1)
    return np.asarray(apart <= limit_px[..., None]), apart  # False for NaN


def _triangulated(cameras: Sequence[Camera], people: Grouped2D, needed: int) -> Floats:
    return triangulated(cameras, people, min_views=needed, max_std_m=np.inf).xyz


def _boxes(people: Grouped2D) -> Floats:
    """(V, P, 4) px; NaN where a camera sees fewer than LEAST_JOINTS."""
    views, count, _ = people.score.shape
    boxes = np.full((views, count, 4), np.nan)
    for view, row in np.argwhere(people.seen.sum(axis=-1) >= LEAST_JOINTS):
        boxes[view, row] = joint_box(people.xy[view, row], people.score[view, row])
    return boxes
