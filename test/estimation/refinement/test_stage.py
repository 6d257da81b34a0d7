"""The learned stage within the estimator: who is refined, what is kept, and that ids and velocities stay right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from synthetic_people import seen, walker
from trained_for_tests import CVUGCN, biased, file_of, moving
from two_people import CAMERAS, RIG, TRUTH, observe

from pose3d_ros.errors import WeightsMissingError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.observation import Grouped2D, gathered, triangulated, without_uncertain
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.gates import Refusal
from pose3d_ros.estimation.refinement.networks import PoseRNRefiner
from pose3d_ros.estimation.refinement.plan import RefinePlan
from pose3d_ros.estimation.refinement.stage import Refinement, debiased, refined
from pose3d_ros.estimation.refinement.training_domain import RigRange
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, JointSource, Keypoints2D
from pose3d_ros.weights import trained

WRIST, HEAD = H36M_17.index("LWrist"), H36M_17.index("HeadTop")
SHIFT = np.array([0.01, 0.0, 0.0])
triangulate = partial(triangulated, min_views=2, max_std_m=np.inf)


class Answer:
    """A PoseRefiner that says the same whatever it is asked; None: 10 mm along x from what was triangulated.

    By default so sure that its answer counts alone.
    """

    def __init__(self, xyz: Floats | None = None, views: Sequence[int] = (2, 3, 4), std_m: float = 1e-6) -> None:
        self.xyz, self.views, self.std_m, self.asked = xyz, views, std_m, 0

    def serves(self, views: int) -> bool:
        return views in self.views

    def __call__(self, cameras: Sequence[Camera], seen: Grouped2D, observed: Observed3D) -> tuple[Floats, Floats]:
        self.asked += len(observed)
        self.seen, self.observed = seen, observed
        xyz = observed.xyz + SHIFT if self.xyz is None else self.xyz
        return xyz, np.broadcast_to(self.std_m**2 * np.eye(3), (*xyz.shape, 3)).copy()


def scene(groups: Sequence[Sequence[int]] = ((0,) * 4, (1,) * 4), missing: int = 0) -> tuple[Grouped2D, Observed3D]:
    """Both people; of the first one's wrist nothing in so many views."""
    found, _ = observe(groups=np.array(groups))
    found.xy[:missing, 0, WRIST], found.score[:missing, 0, WRIST] = np.nan, 0.0
    return found, triangulate(CAMERAS, found)


# -- CV-UGCN's stage -----------------------------------------------------------------------------------------


def test_accepted_joints_are_refined_with_the_networks_covariance_and_the_rest_recomputed() -> None:
    found, observed = scene()
    result, refusal = refined(Answer(), CAMERAS, found, observed, None)
    assert not refusal.any()
    taught = np.arange(17) != HEAD
    np.testing.assert_allclose(result.xyz, observed.xyz + np.where(taught[:, None], SHIFT, 0.0))
    assert (result.source == np.where(taught, JointSource.REFINED, JointSource.TRIANGULATED)).all()
    np.testing.assert_allclose(result.covariance[:, taught], np.tile(1e-12 * np.eye(3), (2, 16, 1, 1)), atol=2e-12)
    assert (result.reprojection_px[:, taught] != observed.reprojection_px[:, taught]).all()
    np.testing.assert_array_equal(result.n_views, observed.n_views)
    np.testing.assert_array_equal(result.score, observed.score)


def test_a_refused_joint_keeps_everything_that_was_triangulated() -> None:
    found, observed = scene()
    wild = observed.xyz + SHIFT
    wild[0, WRIST] += 1.0
    result, refusal = refined(Answer(wild), CAMERAS, found, observed, None)
    assert refusal[0, WRIST] == Refusal.TOO_FAR
    assert refusal.astype(bool).sum() == 1
    for name in ("xyz", "covariance", "score", "n_views", "reprojection_px", "source"):
        np.testing.assert_array_equal(getattr(result, name)[0, WRIST], getattr(observed, name)[0, WRIST])
    assert result.source[1, WRIST] == JointSource.REFINED


def test_no_answer_is_counted_as_not_finite_and_changes_nothing() -> None:
    found, observed = scene()
    result, refusal = refined(Answer(np.full_like(TRUTH, np.nan)), CAMERAS, found, observed, None)
    assert (np.delete(refusal, HEAD, axis=1) == Refusal.NOT_FINITE).all()
    np.testing.assert_array_equal(result.xyz, observed.xyz)


def test_a_joint_without_triangulation_is_filled_in_and_marked() -> None:
    found, observed = scene(missing=4)
    result, refusal = refined(Answer(TRUTH.copy()), CAMERAS, found, observed, None)
    assert not refusal.any()
    np.testing.assert_array_equal(result.xyz[0, WRIST], TRUTH[0, WRIST])
    assert result.source[0, WRIST] == JointSource.REFINED
    assert result.n_views[0, WRIST] == 0
    assert np.isnan(result.reprojection_px[0, WRIST])
    assert 0 < result.score[0, WRIST] < 0.5 * result.score[0].max()
    assert result.joints[0] == observed.joints[0]  # no evidence of a person
    assert result.guessed[0, WRIST]


def test_people_outside_the_networks_range_are_not_refined() -> None:
    found, observed = scene([[0, -1, 0, -1], [1, 1, 1, 1]])
    answer = Answer(views=(2,))
    result, refusal = refined(answer, CAMERAS, found, observed, None)
    assert answer.asked == 1
    assert (np.delete(refusal, HEAD, axis=1) == [[Refusal.NONE], [Refusal.VIEWS]]).all()
    assert result.source[0, WRIST] == JointSource.REFINED
    assert result.source[1, WRIST] == JointSource.TRIANGULATED

    hips = np.arange(17) >= 7
    few = replace(observed, xyz=np.where(hips[:, None], np.nan, observed.xyz))
    assert set(refined(Answer(), CAMERAS, found, few, None)[1].ravel()) == {Refusal.NONE, Refusal.FEW_JOINTS}

    away = RigRange.of({**CVUGCN, "rigs": ["head530"]})
    assert set(refined(Answer(), CAMERAS, found, observed, away)[1].ravel()) == {Refusal.NONE, Refusal.OUT_OF_RANGE}
    known = RigRange.of(CVUGCN)
    assert not refined(Answer(), CAMERAS, found, observed, known)[1].any()


def test_an_outlier_joint_counts_as_not_triangulated() -> None:
    found, observed = scene()
    xyz, answer = observed.xyz.copy(), Answer(TRUTH.copy())
    xyz[0, WRIST] += (0.0, 2.6, 0.0)
    wrong = replace(observed, xyz=xyz)
    result, refusal = refined(answer, CAMERAS, found, wrong, None)
    assert not refusal.any()
    np.testing.assert_array_equal(result.xyz[0, WRIST], TRUTH[0, WRIST])
    assert (result.source[0, WRIST], result.n_views[0, WRIST]) == (JointSource.REFINED, 0)
    assert np.isnan(answer.seen.xy[:, 0, WRIST]).all()  # the keypoints that put it there tell nothing
    assert np.isfinite(answer.seen.xy[:, 1, WRIST]).all()
    assert np.isnan(answer.observed.xyz[0, WRIST]).all()


# -- PoseRN's stage ------------------------------------------------------------------------------------------


def debias(found: Grouped2D, observed: Observed3D, shift_px: Floats) -> tuple[Grouped2D, Observed3D, np.ndarray]:
    return debiased(lambda cameras, xyz, xy: xy - shift_px, triangulate, CAMERAS, found, observed)


def test_a_bias_that_all_cameras_share_is_taken_off_the_pose() -> None:
    found, observed = scene()
    moved = TRUTH.copy()
    moved[:, 12] += (0.0, 0.0, 0.03)  # an elbow seen 3 cm too high by every camera
    rng = np.random.default_rng(0)
    off = gathered([seen(camera, moved, rng, noise_px=3.0) for camera in CAMERAS], np.array([[0] * 4, [1] * 4]))
    better, result, refusal = debias(off, triangulate(CAMERAS, off), off.xy - found.xy)
    assert not refusal.any()
    np.testing.assert_allclose(result.xyz[:, 12], observed.xyz[:, 12], atol=1e-3)
    np.testing.assert_allclose(better.xy, found.xy, atol=1e-9)
    assert (result.source[:, 12] == JointSource.REFINED).all()
    assert (result.source[:, 11] == JointSource.TRIANGULATED).all()  # nothing moved there


def test_keypoints_that_fit_together_worse_are_refused_with_the_person() -> None:
    found, observed = scene()
    shift = np.zeros_like(found.xy)
    shift[:, 1] = np.random.default_rng(1).normal(scale=4.0, size=shift[:, 1].shape)
    better, result, refusal = debias(found, observed, shift)
    assert not refusal[0].any()
    assert (refusal[1] == Refusal.KEYPOINTS).all()
    np.testing.assert_array_equal(better.xy, found.xy)
    np.testing.assert_array_equal(result.xyz, observed.xyz)


def test_a_joint_that_debiasing_carries_away_is_refused_alone() -> None:
    found, observed = scene()
    away = TRUTH.copy()
    away[0, WRIST] += (0.0, 0.0, 0.5)
    rng = np.random.default_rng(0)
    there = gathered([seen(camera, away, rng, noise_px=3.0) for camera in CAMERAS], np.array([[0] * 4, [1] * 4]))
    better, _, refusal = debias(found, observed, found.xy - there.xy)
    assert refusal[0, WRIST] == Refusal.TOO_FAR
    assert refusal.astype(bool).sum() == 1
    np.testing.assert_array_equal(better.xy[:, 0, WRIST], found.xy[:, 0, WRIST])


# -- in the estimator ----------------------------------------------------------------------------------------


def walkers(t_s: float) -> Floats:
    return np.stack([walker((-0.8, 0.4), (0.8, 0), t_s), walker((0.8, -0.4), (-0.8, 0), t_s, 1.7)])


def run(options: EstimatorOptions, cameras: int = 4, sets: int = 20, hide: Sequence[int] = ()) -> list[Estimate]:
    """Two people who pass each other; in the last five sets joints of both are hidden from all cameras."""
    rig, rng, results = RIG.subset(RIG.names[:cameras]), np.random.default_rng(0), []
    estimator = PoseEstimator(rig, options=options)
    for k in range(sets):
        people = {c.name: seen(c, walkers(k / 20), rng, stamp_ns=10**9 + k * 50_000_000) for c in rig.cameras}
        if k >= sets - 5:
            for one in people.values():
                one.xy[:, list(hide)], one.score[:, list(hide)] = np.nan, 0.0
        results.append(estimator.estimate_from_keypoints(people))
    return results


def method(estimate: Estimate) -> str:
    assert estimate.refinement is not None
    return estimate.refinement.method


def test_with_refine_none_and_with_no_weights_the_poses_are_bit_for_bit_the_triangulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trained, "TRAINED", ())
    plain, auto = run(EstimatorOptions(refine="none")), run(EstimatorOptions())
    for one, other in zip(plain, auto, strict=True):
        for name in ("xyz", "velocity", "covariance", "source"):
            np.testing.assert_array_equal(getattr(one.pose, name), getattr(other.pose, name))
    assert auto[-1].refinement == RefinePlan("none", "cvugcn: no weights; posern: no weights")
    assert "refine" not in auto[-1].stage_ms
    assert not auto[-1].not_refined


def test_a_refined_pose_keeps_ids_and_its_velocity_is_that_of_the_refined_joints(tmp_path: Path) -> None:
    weights = file_of(moving((0.0, 0.04, 0.0)), tmp_path)
    plain = run(EstimatorOptions(refine="none", smoothing="none"), cameras=2)
    fine = run(EstimatorOptions(cvugcn_weights=weights, smoothing="none"), cameras=2)
    assert method(fine[-1]) == "cvugcn"
    assert fine[-1].stage_ms["refine"] > 0
    for one, other in zip(plain, fine, strict=True):
        assert one.pose.ids == other.pose.ids
        assert one.ids == other.ids
    moved = fine[-1].pose.xyz - plain[-1].pose.xyz
    taught = np.arange(17) != HEAD
    np.testing.assert_allclose(np.linalg.norm(moved[:, taught], axis=-1), 0.02, atol=1e-4)  # half of the network's
    np.testing.assert_allclose(moved[:, ~taught], 0.0, atol=1e-9)
    assert (fine[-1].pose.source[:, taught] == JointSource.REFINED).all()
    speed = np.linalg.norm(fine[-1].pose.velocity - plain[-1].pose.velocity, axis=-1)
    assert speed.max() < 0.15  # m/s


def test_a_network_that_displaces_all_people_is_rejected_and_counted(tmp_path: Path) -> None:
    plain = run(EstimatorOptions(refine="none"))
    mad = run(EstimatorOptions(refine="cvugcn", cvugcn_weights=file_of(moving((0.0, 0.5, 0.0)), tmp_path)))
    np.testing.assert_array_equal(plain[-1].pose.xyz, mad[-1].pose.xyz)
    assert (mad[-1].pose.source == JointSource.TRIANGULATED).all()
    assert mad[-1].not_refined == {"too_far": 32}


BIAS = (0.15, 0.0)  # thirds of the spine to the right in every image: no shift in space does that


def strollers(t_s: float) -> Floats:
    """Who stays in the room."""
    return walkers(0.5 + 0.4 * np.sin(t_s))


def with_bias(t_s: float, rng: np.random.Generator, share: float = 1.0) -> dict[str, Keypoints2D]:
    """What a detector gives that sees every joint too far to the right, by so much of what PoseRN predicts."""
    people, stamp = strollers(t_s), 10**9 + round(t_s * 1e9)
    exact = np.stack([seen(c, people, rng, noise_px=0.0).xy for c in CAMERAS])
    off = exact - PoseRNRefiner(biased(BIAS))(CAMERAS, people, exact)
    noisy = [seen(c, people, rng, noise_px=1.0, stamp_ns=stamp) for c in CAMERAS]
    return {c.name: replace(k, xy=k.xy + share * o) for c, k, o in zip(CAMERAS, noisy, off, strict=True)}


def debiased_run(tmp_path: Path, refine: str, share: float = 1.0, sets: int = 3) -> list[Estimate]:
    options = EstimatorOptions(
        refine=refine,
        posern_weights=file_of(biased(BIAS), tmp_path),
        cvugcn_weights=file_of(moving((0.0, 0.04, 0.0)), tmp_path),
        smoothing="none",
    )
    estimator, rng = PoseEstimator(RIG, options=options), np.random.default_rng(0)
    return [estimator.estimate_from_keypoints(with_bias(k / 12, rng, share)) for k in range(sets)]


def test_posern_by_name_takes_its_bias_off_from_the_first_frame_set(tmp_path: Path) -> None:
    moved = np.arange(17) != HEAD
    for k, estimate in enumerate(debiased_run(tmp_path, "posern")):
        pose, truth = estimate.pose, strollers(k / 12)
        assert (pose.source[:, moved] == JointSource.REFINED).all()
        assert np.median(pose.reprojection_px[:, moved]) > 3  # against the keypoints as they came
        apart = np.linalg.norm(pose.xyz[:, None] - truth[None], axis=-1)[..., moved].mean(-1).min(-1)
        assert (apart < 0.01).all()


def test_posern_by_name_leaves_keypoints_that_its_correction_would_pull_apart(tmp_path: Path) -> None:
    last = debiased_run(tmp_path, "posern", share=0.0)[-1]
    assert method(last) == "posern"
    assert (last.pose.source == JointSource.TRIANGULATED).all()
    assert last.not_refined == {"keypoints": 34}


def test_auto_leaves_the_bias_to_weights_that_were_measured_on_real_footage(tmp_path: Path) -> None:
    last = debiased_run(tmp_path, "auto")[-1]
    assert method(last) == "none"
    assert last.refinement is not None
    assert "posern: its weights were not measured on real footage" in last.refinement.reason


def test_both_runs_both_networks(tmp_path: Path) -> None:
    posern, both = (debiased_run(tmp_path, refine)[-1] for refine in ("posern", "both"))
    assert method(both) == "both"
    moved = np.linalg.norm(both.pose.xyz - posern.pose.xyz, axis=-1)
    np.testing.assert_allclose(np.delete(moved, HEAD, axis=1), 0.02, atol=1e-3)  # half of CV-UGCN's


def test_missing_weights_of_a_named_network_abort_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "TRAINED", ())
    with pytest.raises(WeightsMissingError, match="this installation ships none of cvugcn"):
        PoseEstimator(RIG, options=EstimatorOptions(refine="cvugcn"))


def test_the_plan_follows_the_rig(tmp_path: Path) -> None:
    weights = file_of(moving(rigs=["room2"]), tmp_path)
    far = RIG.subset(RIG.names[:2])
    estimator = PoseEstimator(far, options=EstimatorOptions(cvugcn_weights=weights))
    assert estimator.refinement.method == "none"
    assert "m apart, the weights were trained for 1 to 5 m" in estimator.refinement.reason
    estimator.set_rig(RIG.subset([RIG.names[0], RIG.names[2]]))
    assert estimator.refinement.method == "cvugcn"


def test_a_joint_hidden_from_all_is_predicted_while_surer_and_then_filled_in_without_a_velocity(tmp_path: Path) -> None:
    weights = file_of(moving(), tmp_path)  # fills in at the body's middle, 10 cm a bone from what was seen
    results = run(EstimatorOptions(refine="cvugcn", cvugcn_weights=weights), hide=(WRIST,))
    first, last = results[-5].pose, results[-1].pose
    assert (first.source[:, WRIST] == JointSource.PREDICTED).all()
    assert np.linalg.norm(first.xyz[:, WRIST] - walkers(15 / 20)[:, WRIST], axis=-1).max() < 0.1
    assert first.ids == last.ids == ("1", "2")
    assert (last.source[:, WRIST] == JointSource.REFINED).all()
    assert (last.n_views[:, WRIST] == 0).all()
    assert np.isnan(last.velocity[:, WRIST]).all()
    assert (np.trace(last.covariance[:, WRIST], axis1=-2, axis2=-1) < 3 * 0.11**2).all()


def test_people_outside_the_training_range_are_refined_only_by_a_named_network(tmp_path: Path) -> None:
    found, observed = scene()
    heads = file_of(moving(rigs=["head530"]), tmp_path)
    plan = RefinePlan("cvugcn", "")
    auto, asked = (
        Refinement(refine, "", heads, triangulate)(plan, CAMERAS, found, observed) for refine in ("auto", "cvugcn")
    )
    assert auto.refused == {"out_of_range": 32}
    assert (auto.observed.source == JointSource.TRIANGULATED).all()
    assert not asked.refused
    assert (asked.observed.source == JointSource.REFINED).sum() == 32


def test_empty_views_and_a_single_camera_pass_through(tmp_path: Path) -> None:
    estimator = PoseEstimator(RIG, options=EstimatorOptions(cvugcn_weights=file_of(moving(), tmp_path)))
    assert len(estimator.estimate_from_keypoints({n: Keypoints2D.empty(H36M_17) for n in RIG.names}).pose) == 0
    rng = np.random.default_rng(0)
    alone = {RIG.names[0]: seen(CAMERAS[0], TRUTH, rng)}
    assert estimator.estimate_from_keypoints(alone).single_view == 2


def test_the_limit_of_certainty_judges_what_the_network_leaves() -> None:
    _, observed = scene()
    covariance = observed.covariance.copy()
    covariance[0, WRIST] = np.diag([0.01, 0.01, 0.16])
    left = without_uncertain(replace(observed, covariance=covariance), 0.3)
    assert np.isnan(left.xyz[0, WRIST]).all()
    assert (left.score[0, WRIST], left.n_views[0, WRIST]) == (0, 0)
    assert left.rejected == {"uncertain": 1}
    assert np.isfinite(left.xyz).all(-1).sum() == 33
    again = triangulate(CAMERAS, scene()[0])
    np.testing.assert_array_equal(without_uncertain(again, 0.3).xyz, again.xyz)
