"""Kernels find what their definitions in NumPy find (test/definitions): other code, the same mathematics."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
from definitions import (
    association,
    camera_errors,
    distortion,
    heads,
    kalman,
    left_right,
    observations,
    robust,
    tracking,
    validation,
)
from numpy.typing import NDArray
from synthetic_people import h36m_rig, walker

from benchmarks.association import crowd, ring, seen
from pose3d_ros import kernels
from pose3d_ros.estimation import kalman as filtering
from pose3d_ros.estimation import left_right as sides
from pose3d_ros.estimation.observation import gathered
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.estimation.tracking import Tracker
from pose3d_ros.geometry.association import associate
from pose3d_ros.geometry.camera_errors import camera_error_covariance
from pose3d_ros.geometry.distortion import distort_views, undistort_views
from pose3d_ros.geometry.head import MODEL, fit_heads
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import (
    SIGMA_PX,
    Rejection,
    huber_objective,
    linear_points,
    triangulate,
    triangulate_linear,
)
from pose3d_ros.geometry.validation import Triangulation
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, JointSource, Keypoints2D

K = [[900.0, 0.0, 640.0], [0.0, 920.0, 360.0], [0.0, 0.0, 1.0]]
LENSES = {
    "none": ("plumb_bob", ()),
    "plumb_bob": ("plumb_bob", (-0.28, 0.11, 0.001, -0.0007, -0.02)),
    "rational": ("rational_polynomial", (0.4, -0.3, 0.0004, -0.0002, 0.05, 0.7, -0.2, 0.01)),
    "tilted": (
        "rational_polynomial",
        (0.3, -0.2, 0.0004, -0.0002, 0.05, 0.6, -0.2, 0.01, 0.001, -0.002, 0.0015, 0.001, 0.02, -0.03),
    ),
    "fisheye": ("equidistant", (-0.01, 0.02, -0.004, 0.0005)),
}


@pytest.mark.parametrize("names", [[one] for one in LENSES] + [list(LENSES)])
def test_lenses(names: list[str]) -> None:
    cameras = [Camera(name, (1280, 720), K, *LENSES[name]) for name in names]
    rng = np.random.default_rng(0)
    ideal = rng.uniform(-1.5, 1.5, (len(cameras), 400, 2))
    ideal[:, 0], ideal[:, 1], ideal[:, 2] = np.nan, 0.0, (1e-6, 2e-6)
    for limit in (True, False):
        ours, theirs = distort_views(cameras, ideal, limit=limit), distortion.distort_views(cameras, ideal, limit=limit)
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12, atol=1e-14)
        known = np.isfinite(ours[0]).all(-1)
        np.testing.assert_allclose(ours[1][known], theirs[1][known], rtol=1e-9, atol=1e-12)
    distorted = rng.uniform(-1.2, 1.2, ideal.shape)
    distorted[:, 0], distorted[:, 1] = np.nan, 0.0
    ours, theirs = undistort_views(cameras, distorted), distortion.undistort_views(cameras, distorted)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-11)
    known = np.isfinite(ours[0]).all(-1)
    assert known.mean() > 0.3
    np.testing.assert_allclose(ours[1][known], theirs[1][known], rtol=1e-8, atol=1e-10)


def scene(views: int, outliers: float = 0.0) -> tuple[Sequence[Camera], Floats, Floats]:
    """2,000 joints before real lenses, some not seen; pixels (V, N, 2) and weights (V, N)."""
    rng = np.random.default_rng(views)
    cameras = h36m_rig().cameras[:views]
    xyz = np.column_stack([rng.uniform(-1, 1, (2000, 2)), rng.uniform(0.1, 1.8, 2000)])
    xy = np.stack([project(camera, xyz) for camera in cameras]) + rng.normal(0, SIGMA_PX, (views, 2000, 2))
    wild = rng.random(xy.shape[:-1]) < outliers
    xy[wild] += rng.uniform(-50, 50, (int(wild.sum()), 2))
    xy[rng.random(xy.shape[:-1]) < 0.05] = np.nan
    return cameras, xy, rng.uniform(0.3, 1.0, xy.shape[:-1])


def same(ours: Triangulation, theirs: Triangulation, atol: float = 1e-9) -> None:
    np.testing.assert_array_equal(ours.rejection, theirs.rejection)
    np.testing.assert_array_equal(ours.n_views, theirs.n_views)
    np.testing.assert_allclose(ours.xyz, theirs.xyz, atol=atol)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(ours.reprojection_px, theirs.reprojection_px, rtol=1e-6, atol=2e-8)


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("max_std_m", [0.012, 0.5, np.inf])
def test_linear_triangulation(views: int, max_std_m: float) -> None:
    cameras, xy, weight = scene(views)
    sights = observations.observations(cameras, xy, weight, None, SIGMA_PX)
    theirs = validation.validate(sights, robust.linear(sights), np.inf, max_std_m)
    same(triangulate_linear(cameras, xy, weight, max_std_m=max_std_m), theirs)


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_robust_triangulation(views: int, outliers: float) -> None:
    cameras, xy, weight = scene(views, outliers)
    covariance = np.broadcast_to([[20.0, 4.0], [4.0, 10.0]], (*xy.shape, 2))
    sights = observations.observations(cameras, xy, weight, covariance, SIGMA_PX)
    theirs = validation.validate(sights, robust.fit(sights, 2.0), 2.0, 0.5)
    ours = triangulate(cameras, xy, weight, covariance)
    # Where the objective is flat to its last bit, the last step is taken or not by rounding. Lenses: undone to 1e-9 px.
    found = np.isfinite(theirs.xyz[:, 0])
    assert (np.abs(theirs.xyz - ours.xyz).max(axis=-1) < 1e-9)[found].mean() > 0.995
    same(ours, theirs, atol=1e-5)
    values = [robust.objective(sights, one.xyz.T, 2.0)[found] for one in (ours, theirs)]
    np.testing.assert_allclose(*values, rtol=1e-7)  # lenses are undone to 1e-9 px
    np.testing.assert_allclose(huber_objective(cameras, xy, ours.xyz, weight, covariance)[found], values[0], rtol=1e-7)


def test_impossible_points_are_rejected_alike() -> None:
    cameras = h36m_rig().cameras
    xy = np.full((4, 4, 2), np.nan)
    xy[0, 0] = 500.0  # one view
    xy[:2, 1] = [[0.0, 0.0], [999.0, 999.0]]
    # Behind all cameras, seen by mirrored pixels.
    behind = [project(camera.rectified(), [[50.0, 50.0, 51.0]])[0] for camera in cameras]
    xy[:, 2] = np.where(np.isfinite(behind), behind, 500.0)
    twins = [cameras[0], cameras[0]]
    for rig, px in ((cameras, xy), (twins, np.full((2, 5, 2), 400.0))):
        sights = observations.observations(rig, px, None, None, SIGMA_PX)
        same(triangulate(rig, px), validation.validate(sights, robust.fit(sights, 2.0), 2.0, 0.5))
    assert (triangulate(twins, np.full((2, 5, 2), 400.0)).rejection == Rejection.RANK).all()


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("lenses", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_linear_points_are_those_of_triangulate_linear(views: int, lenses: bool, weighted: bool) -> None:
    cameras, xy, weight = scene(views)
    cameras = cameras if lenses else [camera.rectified() for camera in cameras]
    points = linear_points(cameras, xy, weight if weighted else None)
    whole = triangulate_linear(cameras, xy, weight if weighted else None, max_std_m=np.inf).xyz
    judged = np.isfinite(whole[:, 0])
    assert judged.mean() > 0.85  # two views miss a joint 10 times in 100
    np.testing.assert_allclose(points[judged], whole[judged], atol=1e-9)
    assert np.isnan(points[np.isfinite(xy[..., 0]).sum(axis=0) < 2]).all()
    if not lenses and not weighted:
        projections = np.array([camera.K @ camera.cam_from_world[:3] for camera in cameras])
        np.testing.assert_allclose(points, robust.linear_px(projections, xy), atol=1e-9)


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("delta", [2.0, np.inf])
def test_errors_of_cameras(views: int, delta: float) -> None:
    cameras, xy, weight = scene(views, 0.05)
    covariance = np.broadcast_to([[20.0, 4.0], [4.0, 10.0]], (*xy.shape, 2))
    xyz = triangulate(cameras, xy, weight, covariance).xyz
    ours = camera_error_covariance(cameras, xy, xyz, weight, covariance, delta=delta)
    theirs = camera_errors.camera_error_covariance(cameras, xy, xyz, weight, covariance, delta=delta)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-14)


def missed(keypoints: Sequence[Keypoints2D], rng: np.random.Generator) -> list[Keypoints2D]:
    """Some people and joints are not found, some joints lie elsewhere."""
    found = []
    for one in keypoints:
        kept = one.select(np.flatnonzero(rng.random(len(one)) > 0.1))
        xy = kept.xy + np.where(rng.random(kept.score.shape) < 0.05, 60.0, 0.0)[..., None] * rng.normal(size=2)
        xy[rng.random(kept.score.shape) < 0.15] = np.nan
        found.append(Keypoints2D(xy, rng.uniform(0.2, 1.0, kept.score.shape), H36M_17))
    return found


@pytest.mark.parametrize(("views", "people"), [(2, 1), (2, 4), (3, 6), (5, 4), (8, 10)])
def test_association(views: int, people: int) -> None:
    for seed in range(8):
        rng = np.random.default_rng([seed, views, people])
        # Lenses of their own, one is wrongly placed: groups are torn and solved again.
        cameras = list(ring(views))
        cameras[-1] = cameras[-1].placed(cameras[-1].cam_from_world @ moved(0.01 * seed))
        bodies = crowd(people, rng)
        keypoints = missed(seen(tuple(cameras), bodies, rng)[0], rng)
        expected = bodies[rng.random(people) < 0.7] + rng.normal(0, 0.05)
        expected[rng.random(expected.shape[:2]) < 0.1] = np.nan
        for predicted in (None, expected):
            ours = associate(cameras, keypoints, predicted)
            np.testing.assert_array_equal(ours, association.associate(cameras, keypoints, predicted))


def moved(turn_rad: float) -> Floats:
    """Transform (4, 4) that turns about y."""
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    return np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1.0]])


def covariances(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    root = rng.normal(0, 0.05, (*shape, 3, 3))
    return root @ root.swapaxes(-1, -2) + 1e-5 * np.eye(3)


def test_filter() -> None:
    rng = np.random.default_rng(0)
    xyz, spread = rng.normal(0, 1, (3, 17, 3)), covariances((3, 17), rng)
    xyz[0, :4], spread[0, 2:6] = np.nan, np.nan
    ours, theirs = filtering.start(xyz, spread), kalman.start(xyz, spread)
    for _ in range(4):
        ours, theirs = filtering.predict(ours, 0.04), kalman.predict(theirs, 0.04)
        seen_now = xyz + rng.normal(0, 0.02, xyz.shape)
        seen_now[rng.random((3, 17)) < 0.2] = np.nan
        ours, theirs = filtering.update(ours, seen_now, spread), kalman.update(theirs, seen_now, spread)
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-9, atol=1e-13)
    offset = rng.normal(0, 0.3, xyz.shape)
    np.testing.assert_allclose(filtering.distance(offset, spread), kalman.distance(offset, spread), rtol=1e-10)


def observed(people: Floats, rng: np.random.Generator) -> Observed3D:
    """People (G, 17, 3) placed with noise; some joints are missed, some lifted from one view, some guessed."""
    shape = people.shape[:2]
    xyz = people + rng.normal(0, 0.02, people.shape)
    lost = rng.random(shape) < 0.2
    xyz[lost] = np.nan
    kinds = np.array([JointSource.TRIANGULATED, JointSource.REFINED, JointSource.MONOCULAR], dtype=np.uint8)
    source = rng.choice(kinds, shape, p=(0.6, 0.3, 0.1))
    spread = np.where(lost[..., None, None], np.nan, covariances(shape, rng))
    score, calibration_covariance = np.where(lost, 0.0, rng.uniform(0.4, 1.0, shape)), covariances(shape, rng)
    n_views = np.where(lost | (source == JointSource.REFINED), 0, 2).astype(np.uint8)
    return Observed3D(xyz, spread, score, n_views, np.where(lost, np.nan, 3.0), {}, source, calibration_covariance)


def test_tracks() -> None:
    rng = np.random.default_rng(1)
    tracker, gone_ns, guessed, passed = Tracker(H36M_17), 10**9, 0, 0
    for n in range(40):
        stamp_ns = 10**18 + 33_000_000 * n - (10**9 if n >= 30 else 0)  # a clock that is set back
        # One person jumps once, and is missing now and then.
        people = np.stack([walker((0, 0), (0.5, 0.1), n / 30), walker((2, 0), (0, 0), n / 30) + (0.5 * (n > 20))])
        found = observed(people[rng.random(2) < 0.85], rng)
        tracker._move_to(stamp_ns)
        for track in tracker._tracks:
            track.observed = -1
        pairs = tracker._match(found, np.arange(len(found)))
        theirs = copy.deepcopy([track for track, _ in pairs])
        for track, (_, row) in zip(theirs, pairs, strict=True):
            tracking.observe(gone_ns, track, found, row, stamp_ns)
        if pairs:
            tracker._observe([track for track, _ in pairs], found, [row for _, row in pairs], stamp_ns)
        for (ours, row), other in zip(pairs, theirs, strict=True):
            guessed, passed = guessed + found.guessed[row].sum(), passed + ours.ignored_joints.sum()
            np.testing.assert_allclose(ours.states.mean, other.states.mean, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(ours.states.covariance, other.states.covariance, rtol=1e-9, atol=1e-13)
            for name in ("joint_seen_ns", "joint_score", "calibration_covariance", "depth_noise", "ignored_joints"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(other, name), err_msg=name)
            assert (ours.seen_ns, ours.observed, ours.hits, ours.before_jump) == (stamp_ns, row, other.hits, False)
        free = set(range(len(found))) - {row for _, row in pairs}
        tracker._tracks += [tracker._begin(found, row, stamp_ns) for row in sorted(free)]
        tracker._give_ids(found)
        pose = tracker._pose(found, stamp_ns, "world")
        for p, track in enumerate(tracker._known()):
            for name, value in tracking.rows(track, found, stamp_ns, 5 * 10**8, gone_ns).items():
                np.testing.assert_allclose(getattr(pose, name)[p], value, rtol=1e-9, err_msg=name)
                assert getattr(pose, name).dtype == np.asarray(value).dtype
    assert guessed > 20 < passed  # guesses were taken, and passed over


def test_distances_of_people() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, (3, 17, 3)), rng.normal(0, 1, (4, 17, 3))
    a[0, :14], a[1, 3], b[2, :5] = np.nan, np.nan, np.nan
    noise_a, noise_b = covariances((3, 17), rng), covariances((4, 17), rng)
    none = np.empty((0, 0, 3, 3))
    np.testing.assert_allclose(kernels.tracking.apart(a, b, none, none), tracking.distances(a, b), rtol=1e-12)
    both = noise_a[:, None] + noise_b[None]
    np.testing.assert_allclose(
        kernels.tracking.apart(a, b, noise_a, noise_b), tracking.distances(a, b, both), rtol=1e-9
    )


@pytest.mark.parametrize("wrong", [(), (0,), (2,), (1, 3), (0, 1, 2)])
def test_left_right_swaps(wrong: Sequence[int]) -> None:
    rng, rig = np.random.default_rng(3), h36m_rig()
    people = np.stack([walker((-1, 0), (0.4, 0), 0.2), walker((1, 0.5), (0, 0.3), 0.4)])
    keypoints = []
    for v, camera in enumerate(rig.cameras):
        xy = project(camera, people[:, sides.OTHER_SIDE] if v in wrong else people)
        xy = xy + rng.normal(0, 3.0, xy.shape)
        xy[rng.random(xy.shape[:2]) < 0.1] = np.nan
        keypoints.append(Keypoints2D(xy, rng.uniform(0.4, 1.0, xy.shape[:2]), H36M_17))
    groups: NDArray[np.intp] = np.array([[0, 0, 0, 0], [1, 1, -1, 1]])
    expected = people[::-1] + rng.normal(0, 0.02, people.shape)
    expected[0, 3] = np.nan
    found = gathered(keypoints, groups)
    ours = sides.swapped(rig.cameras, found, expected)
    np.testing.assert_array_equal(ours, left_right.swapped(rig.cameras, found, expected))
    assert ours.any() or len(wrong) not in (1, 2)


@pytest.mark.parametrize("std_m", [0.005, 0.03])
def test_heads(std_m: float) -> None:
    rng = np.random.default_rng(11)
    turned, _ = np.linalg.qr(rng.normal(size=(400, 3, 3)))
    turned[..., 0] *= np.linalg.det(turned)[:, None]
    factor = std_m * rng.normal(size=(400, 6, 3, 3))
    spread = factor @ factor.swapaxes(-1, -2) + 1e-6 * np.eye(3)
    miss = np.einsum("gjab,gjb->gja", np.linalg.cholesky(spread), rng.normal(size=(400, 6, 3)))
    points = np.einsum("gab,jb->gja", turned, MODEL[:-1]) + rng.normal(size=(400, 1, 3)) + miss
    points[rng.random((400, 6)) < 0.25] = np.nan
    ours, theirs = fit_heads(points, spread), heads.fit_heads(points, spread)
    assert 0.3 < np.isfinite(ours.top[:, 0]).mean() < 0.99
    for name in vars(ours):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-9, err_msg=name)
