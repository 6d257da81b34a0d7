"""Every joint that the detector has, in space: on walkers with feet, hands and faces whom the Human3.6M cameras see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle_lifter import Oracle, OracleLoaded
from own_joints import joints_triangulated, own_joints, seen_by
from synthetic_people import h36m_rig, walker

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import EstimatorOptions, PoseEstimator
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.estimation.staleness import grown, keypoints_now
from pose3d_ros.estimation.track import no_pose
from pose3d_ros.skeletons import BODY_25, COCO_17, H36M_17, HALPE_26, WHOLEBODY_133
from pose3d_ros.structures import Floats, JointSource, Keypoints2D, PersonState, Pose3D, Rig, Skeleton
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate
from pose3d_ros.weights import trained

RIG = h36m_rig()
T0_S = 5.0
SIGMA_PX = 4.0
# Squared distance in standard deviations that 95 % of three-dimensional normal errors stay within.
CHI2_95 = 7.815


@pytest.fixture(autouse=True)
def without_shipped_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triangulation alone, whatever this version ships."""
    monkeypatch.setattr(trained, "TRAINED", ())


def bodies(t_s: float) -> Floats:
    """(2, 17, 3) m: people who walk past each other."""
    return np.stack([walker((-1.2, 0.4), (0.8, 0.0), t_s), walker((1.2, -0.6), (-0.8, 0.0), t_s)])


def views(
    t_s: float,
    skeleton: Skeleton,
    rng: np.random.Generator,
    sigma_px: float = SIGMA_PX,
    late_s: Mapping[str, float] = {},
) -> dict[str, Keypoints2D]:
    """What every camera sees in a frame set stamped t_s, those in late_s so much earlier."""
    found = {}
    for camera in RIG.cameras:
        people = own_joints(skeleton, bodies(t_s - late_s.get(camera.name, 0.0)))
        stamp_ns = round(1e9 * (T0_S + t_s))
        found[camera.name] = seen_by(camera, people, skeleton, rng, sigma_px, stamp_ns).select(rng.permutation(2))
    return found


def run(sets: Sequence[Mapping[str, Keypoints2D]], **options: object) -> list[Estimate]:
    estimator = PoseEstimator(RIG, options=EstimatorOptions(**options))  # type: ignore[arg-type]
    return [estimator.estimate_from_keypoints(one) for one in sets]


def keypoints(estimate: Estimate) -> Pose3D:
    assert estimate.keypoints_3d is not None
    return estimate.keypoints_3d


def errors(estimate: Estimate, t_s: float) -> Floats:
    """(P, J, 3) m from the true joints of the person whose pelvis is nearest."""
    own, truth = keypoints(estimate), bodies(t_s)
    who = np.linalg.norm(estimate.pose.xyz[:, None, 0] - truth[None, :, 0], axis=-1).argmin(axis=1)
    return np.asarray(own.xyz - own_joints(own.skeleton, truth)[who])


def covered(estimate: Estimate, t_s: float) -> NDArray[np.bool_]:
    """Which joints (P, J) have the truth in their 95 % ellipsoid."""
    miss = errors(estimate, t_s)
    squared = np.einsum("pja,pjab,pjb->pj", miss, np.linalg.inv(keypoints(estimate).covariance), miss)
    return np.asarray(squared < CHI2_95)


@pytest.mark.parametrize("skeleton", [COCO_17, BODY_25, HALPE_26, WHOLEBODY_133], ids=lambda one: one.name)
def test_all_joints_of_the_detector_lie_where_they_are_within_their_covariance(skeleton: Skeleton) -> None:
    rng, inside = np.random.default_rng(0), []
    times = np.arange(0, 1.0, 0.1)
    for estimate, t_s in zip(run([views(t, skeleton, rng) for t in times], calibration_px=0.0), times, strict=True):
        own, pose = keypoints(estimate), estimate.pose
        assert own.skeleton is skeleton
        assert (own.ids, own.stamp_ns, own.frame_id) == (pose.ids, pose.stamp_ns, pose.frame_id)
        assert own.state.tolist() == pose.state.tolist() == [PersonState.VISIBLE] * 2
        assert (own.source == JointSource.TRIANGULATED).all()
        assert (own.n_views == 4).all()
        assert np.linalg.norm(errors(estimate, t_s), axis=-1).mean() < 0.03
        inside.append(covered(estimate, t_s))
    assert 0.93 < np.mean(inside) < 0.99


def test_joints_that_h36m_has_too_are_those_of_the_pose() -> None:
    rng = np.random.default_rng(1)
    estimate = run([views(t, WHOLEBODY_133, rng) for t in (0.0, 0.1, 0.2)], smoothing="none")[-1]
    for name in ("Nose", "LWrist", "RAnkle"):
        own, pose = WHOLEBODY_133.index(name), H36M_17.index(name)
        apart = np.linalg.norm(keypoints(estimate).xyz[:, own] - estimate.pose.xyz[:, pose], axis=-1)
        assert apart.max() < 0.003, name
        assert np.allclose(keypoints(estimate).velocity[:, own], estimate.pose.velocity[:, pose])
    toe, ankle = WHOLEBODY_133.index("LBigToe"), H36M_17.index("LAnkle")
    assert np.allclose(keypoints(estimate).velocity[:, toe], estimate.pose.velocity[:, ankle])


def test_errors_of_the_cameras_widen_the_covariance_of_every_joint() -> None:
    sets = [views(t, HALPE_26, np.random.default_rng(2)) for t in (0.0, 0.1)]
    exact, rough = (keypoints(run(sets, calibration_px=px)[-1]) for px in (0.0, 10.0))
    assert np.allclose(exact.xyz, rough.xyz)
    wider = rough.covariance - exact.covariance
    # Off by 10 px of f = 1145 px is 46 mm at 5.2 m, half of it by four cameras, more along an axis that fewer measure.
    std = np.sqrt(np.linalg.eigvalsh(wider))
    assert std.min() > 0.015
    assert std.max() < 0.07


def test_joints_of_one_view_and_of_people_of_one_view_are_absent() -> None:
    rng = np.random.default_rng(3)
    sets = [views(t, HALPE_26, rng) for t in (0.0, 0.1, 0.2)]
    heel = HALPE_26.index("LHeel")
    for name in RIG.names[1:]:
        score = sets[-1][name].score.copy()
        score[:, heel] = 0.0
        sets[-1][name] = replace(
            sets[-1][name], xy=np.where(score[..., None] > 0, sets[-1][name].xy, np.nan), score=score
        )
    own = keypoints(run(sets)[-1])
    assert (own.source[:, heel] == JointSource.ABSENT).all()
    assert np.isnan(own.xyz[:, heel]).all()
    assert (np.delete(own.source, heel, axis=1) == JointSource.TRIANGULATED).all()
    # Of the person who is left in one camera only, the next set has no joint, but the id and the state.
    estimator = PoseEstimator(RIG)
    for one in sets[:2]:
        estimator.estimate_from_keypoints(one)
    gone = {name: k if name == RIG.names[0] else k.select([]) for name, k in sets[2].items()}
    estimate = estimator.estimate_from_keypoints(gone)
    assert keypoints(estimate).ids == estimate.pose.ids == ("1", "2")
    assert (keypoints(estimate).state == PersonState.OCCLUDED).all()
    assert (keypoints(estimate).source == JointSource.ABSENT).all()


def test_people_who_are_lifted_have_no_joints_of_their_detector() -> None:
    camera = RIG.cameras[0]
    place = camera.cam_from_world
    network = OracleLoaded(Oracle(bodies(0.0) @ place[:3, :3].T + place[:3, 3]))
    estimator = PoseEstimator(Rig((camera,)), lifter=PersonLifter(lifter=network))  # type: ignore[arg-type]
    sets = [views(0.0, COCO_17, np.random.default_rng(4), 0.5) for _ in range(2)]
    estimates = [estimator.estimate_from_keypoints({camera.name: one[camera.name]}) for one in sets]
    assert (estimates[-1].pose.source == JointSource.MONOCULAR).all()
    assert all(one.keypoints_3d is None for one in estimates)


def test_sides_that_were_swapped_in_a_view_are_swapped_back_in_feet_hands_and_face() -> None:
    rng, turned = np.random.default_rng(5), RIG.names[1]
    times = [0.1 * n for n in range(6)]
    sets = [views(t, WHOLEBODY_133, rng) for t in times]
    other = list(WHOLEBODY_133.other_side)
    wrong = sets[-1][turned]
    sets[-1][turned] = replace(wrong, xy=wrong.xy[:, other], score=wrong.score[:, other])
    estimate = run(sets)[-1]
    assert estimate.swapped == (turned,)
    assert (keypoints(estimate).n_views == 4).all()
    assert covered(estimate, times[-1]).mean() > 0.9


def test_late_clocks_are_compensated_in_every_joint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera stamps its images 25 ms late: people who walk with 0.8 m/s are 20 mm from where its stamps have them."""
    late = {RIG.names[1]: 0.025, RIG.names[3]: 0.025}
    monkeypatch.setattr(ClockEstimate, "usable_s", property(lambda estimate: late))  # measured by another part
    miss = {}
    for compensated in (True, False):
        # The offsets in use follow the measured ones by 2 ms a set: 24 sets are enough.
        rng = np.random.default_rng(6)
        sets = [views(0.05 * n, HALPE_26, rng, 1.0, late) for n in range(24)]
        last = run(sets, compensate_offsets=compensated)[-1]
        miss[compensated] = np.linalg.norm(errors(last, last.pose.stamp_ns * 1e-9 - T0_S), axis=-1).mean()
    assert miss[True] < 0.008
    assert miss[False] > 1.5 * miss[True]


def test_cameras_with_different_detectors_give_the_joints_that_each_has() -> None:
    rng = np.random.default_rng(7)
    sets = [views(t, WHOLEBODY_133, rng) for t in (0.0, 0.1, 0.2)]
    body = list(range(17))
    for one in sets:
        for name in RIG.names[2:]:
            k = one[name]
            assert k.covariance is not None
            one[name] = Keypoints2D(k.xy[:, body], k.score[:, body], COCO_17, k.stamp_ns, k.covariance[:, body])
    own = keypoints(run(sets)[-1])
    assert own.skeleton is WHOLEBODY_133
    assert (own.n_views[:, body] == 4).all()
    assert (np.delete(own.n_views, body, axis=1) == 2).all()


def test_nothing_is_triangulated_until_the_joints_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for nose, eyes and ears, of which HeadTop of the pose comes."""
    joints = joints_triangulated(monkeypatch)
    estimate = run([views(t, BODY_25, np.random.default_rng(8)) for t in (0.0, 0.1)])[-1]
    assert set(joints) == {5}
    assert estimate.keypoints_3d is estimate.keypoints_3d
    assert joints.count(BODY_25.size) == 1


def test_joints_go_out_as_sure_as_they_are_by_then_and_only_of_visible_people() -> None:
    """The same people, states and ages as in the message of the pose; a joint may have moved since the images."""
    estimate = run([views(t, HALPE_26, np.random.default_rng(9)) for t in (0.0, 0.1, 0.2)])[-1]
    own, later_s = keypoints(estimate), 0.1
    states = np.array([PersonState.OCCLUDED, PersonState.VISIBLE], dtype=np.uint8)
    judged = replace(grown(estimate.pose, later_s), state=states)
    now = keypoints_now(own, judged, later_s)
    assert now.ids == judged.ids
    assert now.state.tolist() == states.tolist()
    assert np.allclose(now.age_s, later_s)
    assert (now.source[0] == JointSource.ABSENT).all()
    assert np.isnan(now.xyz[0]).all()
    np.testing.assert_array_equal(now.xyz[1], own.xyz[1])
    std = [np.sqrt(np.trace(one.covariance[1], axis1=-2, axis2=-1)) for one in (own, now)]
    # People walk with 0.8 m/s.
    assert (std[1] > np.hypot(std[0], 0.05)).all()
    assert (std[1] < 0.3).all()
    gone = keypoints_now(own, no_pose(H36M_17, judged.stamp_ns, judged.frame_id), later_s)
    assert len(gone) == 0
    assert gone.skeleton is HALPE_26
