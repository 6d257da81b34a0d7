"""Views that disagree about a joint: a jointed figure of which one view's keypoints are elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from jointed_figure import figure
from synthetic_people import h36m_rig, seen

from pose3d_ros.estimation.body import MADE
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, Keypoints2D, Pose3D, Rig

RIG = h36m_rig()
LEFT, RIGHT = H36M_17.index("LWrist"), H36M_17.index("RWrist")
RATE_HZ, FIRST, COUNT, NOISE_PX = 30, 30, 36, 3.0

Change = Callable[[int, int, Floats], Floats]  # frame set, view, joints (17, 3) m -> where the view sees them


def run(cameras: int, change: Change, **options: object) -> tuple[list[Pose3D], Floats]:
    """Poses of COUNT sets, and the truth (COUNT, 17, 3) m; from FIRST on, views see the figure changed."""
    rng, rig = np.random.default_rng(5), Rig(RIG.cameras[:cameras])
    chosen = EstimatorOptions(refine="none", min_hits=1, calibration_px=0.0, **options)  # type: ignore[arg-type]
    estimator = PoseEstimator(rig, options=chosen)
    spread = np.broadcast_to(NOISE_PX**2 * np.eye(2), (1, 17, 2, 2))
    poses, truth = [], []
    for k in range(COUNT):
        xyz = figure(k / RATE_HZ)
        views = {}
        for v, camera in enumerate(rig.cameras):
            found = seen(camera, xyz[None], rng, noise_px=NOISE_PX, stamp_ns=round(k * 1e9 / RATE_HZ))
            if k >= FIRST:
                found.xy[0] += project(camera, change(k, v, xyz)) - project(camera, xyz)
            score = np.full(found.score.shape, 0.9)
            views[camera.name] = Keypoints2D(found.xy, score, H36M_17, found.stamp_ns, covariance=spread)
        poses.append(estimator.estimate_from_keypoints(views).pose)
        truth.append(xyz)
    return poses, np.array(truth)


def clean(k: int, view: int, xyz: Floats) -> Floats:
    return xyz


def on_the_other_arm(k: int, view: int, xyz: Floats) -> Floats:
    """The first view's right wrist follows the left arm."""
    moved = xyz.copy()
    if view == 0:
        moved[RIGHT] = xyz[LEFT]
    return moved


def scattered(k: int, view: int, xyz: Floats) -> Floats:
    """Every view has the right wrist elsewhere."""
    moved = xyz.copy()
    names = ("LAnkle", "HeadTop", "LWrist", "LKnee")
    moved[RIGHT] = xyz[H36M_17.index(names[view])]
    return moved


def errors_m(poses: list[Pose3D], truth: Floats, joint: int) -> Floats:
    """(COUNT - FIRST,) m, NaN where the joint is absent."""
    return np.array([np.linalg.norm(poses[k].xyz[0, joint] - truth[k, joint]) for k in range(FIRST, COUNT)])


@pytest.mark.parametrize("cameras", [2, 3, 4])
def test_a_wrist_on_the_other_arm_is_left_out_and_the_other_views_tell(cameras: int) -> None:
    plain, truth = run(cameras, on_the_other_arm, smoothing="none")
    poses, _ = run(cameras, on_the_other_arm)
    if cameras < 4:  # of four, the robust fit leaves one out by itself
        assert np.nanmax(errors_m(plain, truth, RIGHT)) > 0.1
    assert (errors_m(poses, truth, RIGHT) < (0.1 if cameras == 2 else 0.05)).all()
    for pose in poses[FIRST:]:
        assert pose.n_views[0, RIGHT] == cameras - 1
        assert pose.n_views[0, LEFT] == cameras


@pytest.mark.parametrize("cameras", [3, 4])
def test_a_joint_that_no_views_agree_on_is_never_at_a_wrong_place(cameras: int) -> None:
    plain, truth = run(cameras, scattered, smoothing="none")
    poses, _ = run(cameras, scattered)
    assert np.nanmax(errors_m(plain, truth, RIGHT)) > 0.2
    found = errors_m(poses, truth, RIGHT)
    assert not (found > 0.15).any()
    sources = {JointSource(pose.source[0, RIGHT]) for pose in poses[FIRST:]}
    assert sources <= {JointSource.PREDICTED, JointSource.ABSENT}
    last = poses[-1]
    assert last.source[0, RIGHT] == JointSource.ABSENT
    assert np.isnan(last.xyz[0, RIGHT]).all()
    assert np.isnan(last.covariance[0, RIGHT]).all()
    assert last.score[0, RIGHT] == last.n_views[0, RIGHT] == 0
    assert np.isfinite(last.xyz[0, MADE]).all(axis=-1).sum() == MADE.sum() - 1


def test_a_late_pose_leaves_out_what_its_own_set_contradicts() -> None:
    poses, truth = run(3, on_the_other_arm, lag_sets=2)
    by_stamp = {pose.stamp_ns: pose for pose in poses if len(pose)}
    for k in range(FIRST - 2, COUNT - 2):
        pose = by_stamp[round(k * 1e9 / RATE_HZ)]
        assert pose.n_views[0, RIGHT] == (3 if k < FIRST else 2)
        assert np.linalg.norm(pose.xyz[0, RIGHT] - truth[k, RIGHT]) < 0.05


@pytest.mark.parametrize("cameras", [2, 3, 4])
def test_every_view_of_a_clean_person_is_used(cameras: int) -> None:
    poses, _ = run(cameras, clean)
    plain, _ = run(cameras, clean, smoothing="none")
    for one, other in zip(poses, plain, strict=True):
        np.testing.assert_array_equal(one.n_views, other.n_views)
        np.testing.assert_array_equal(one.source, other.source)
        np.testing.assert_array_equal(one.score, other.score)
