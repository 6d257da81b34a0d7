"""The whole chain after detection, on walkers seen by the Human3.6M cameras: who, where, and at what price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.errors import CalibrationError, InputError, OptionError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import EstimatorOptions, PoseEstimator
from pose3d_ros.options import from_mapping
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Floats, FrameSet, JointSource, Keypoints2D, PersonState, Skeleton
from pose3d_ros.weights import trained

RIG = h36m_rig()
T0 = 7_000_000_000_000


@pytest.fixture(autouse=True)
def without_shipped_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triangulation alone, whatever this version ships."""
    monkeypatch.setattr(trained, "TRAINED", ())


def walkers(t_s: float, count: int = 2) -> Floats:
    """(count, 17, 3) m: people who pass each other at 0.8 m."""
    paths = (((-1.2, 0.4), (0.8, 0)), ((1.2, -0.4), (-0.8, 0)), ((0.2, 1.4), (0.0, 0.1)))
    return np.stack([walker(start, velocity, t_s, 1.65 + 0.1 * p) for p, (start, velocity) in enumerate(paths[:count])])


def views(people: Floats, t_s: float, rng: np.random.Generator, noise_px: float = 4.0) -> dict[str, Keypoints2D]:
    stamp = T0 + round(t_s * 1e9)
    return {
        c.name: seen(c, people, rng, noise_px=noise_px, order=rng.permutation(len(people)), stamp_ns=stamp)
        for c in RIG.cameras
    }


def run(estimator: PoseEstimator, sets: Sequence[Mapping[str, Keypoints2D]]) -> list[Estimate]:
    return [estimator.estimate_from_keypoints(one) for one in sets]


def visible(estimate: Estimate) -> set[str]:
    return {i for i, s in zip(estimate.pose.ids, estimate.pose.state, strict=True) if s == PersonState.VISIBLE}


def errors_m(estimate: Estimate, people: Floats) -> dict[str, float]:
    """Mean joint error of each pose to the nearest true person."""
    apart = np.linalg.norm(estimate.pose.xyz[:, None] - people[None], axis=-1).mean(-1)
    return dict(zip(estimate.pose.ids, apart.min(axis=1), strict=True))


def test_two_people_who_pass_each_other_keep_their_ids_and_places() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(0, 3, 1 / 20)
    results = run(PoseEstimator(RIG), [views(walkers(t), t, rng) for t in times])
    nearest = []
    for t, result in zip(times, results, strict=True):
        assert visible(result) == {"1", "2"}, t
        assert max(errors_m(result, walkers(t)).values()) < 0.05, t
        assert result.single_view == 0
        apart = np.linalg.norm(result.pose.xyz[:, None, 0] - walkers(t)[None, :, 0], axis=-1)
        nearest.append(dict(zip(result.pose.ids, apart.argmin(axis=1), strict=True)))
    assert all(who == nearest[0] for who in nearest)
    assert {source for r in results for source in r.pose.source.ravel().tolist()} == {JointSource.TRIANGULATED}


def test_stamps_frame_and_two_dimensional_ids_come_out_as_they_went_in() -> None:
    rng = np.random.default_rng(1)
    estimator = PoseEstimator(replace(RIG, frame_id="map"))
    result = run(estimator, [views(walkers(t), t, rng) for t in (0.0, 0.1)])[-1]
    assert result.pose.stamp_ns == T0 + 100_000_000
    assert result.pose.frame_id == "map"
    assert set(result.ids) == set(RIG.names)
    for name in RIG.names:
        assert sorted(result.ids[name]) == ["1", "2"]
        assert result.keypoints[name].skeleton is H36M_17
    # The 2D people of one id are the 3D person of that id.
    from pose3d_ros.geometry.projection import project

    for camera in RIG.cameras:
        for row, person in enumerate(result.ids[camera.name]):
            xy = project(camera, result.pose.xyz[result.pose.ids.index(person)])
            assert np.nanmean(np.linalg.norm(xy - result.keypoints[camera.name].xy[row], axis=-1)) < 10


def test_detectors_that_speak_coco_are_understood() -> None:
    rng = np.random.default_rng(2)
    index = [H36M_17.index(n) if n in H36M_17.joint_names else 9 for n in COCO_17.joint_names]
    unseen = [n not in H36M_17.joint_names for n in COCO_17.joint_names]  # eyes and ears

    def coco(k: Keypoints2D) -> Keypoints2D:
        xy = np.where(np.array(unseen)[:, None], np.nan, k.xy[:, index])
        return Keypoints2D(xy, k.score[:, index], COCO_17, k.stamp_ns)

    sets = [{name: coco(k) for name, k in views(walkers(t), t, rng).items()} for t in (0.0, 0.05, 0.1)]
    pose = run(PoseEstimator(RIG), sets)[-1].pose
    assert len(pose) == 2
    assert np.isnan(pose.xyz[:, H36M_17.index("HeadTop")]).all()
    assert (pose.source[:, H36M_17.index("HeadTop")] == JointSource.ABSENT).all()
    others = np.delete(np.arange(17), H36M_17.index("HeadTop"))
    assert np.isfinite(pose.xyz[:, others]).all()


def test_a_camera_that_stops_costs_no_id() -> None:
    rng = np.random.default_rng(3)
    estimator = PoseEstimator(RIG)
    for k in range(40):
        detected = views(walkers(k / 20), k / 20, rng)
        if k >= 10:
            del detected[RIG.names[0]]
        if 20 <= k < 30:
            del detected[RIG.names[3]]
        result = estimator.estimate_from_keypoints(detected)
        assert visible(result) == {"1", "2"}, k


def test_false_detections_and_duplicates_never_become_people() -> None:
    rng = np.random.default_rng(4)
    estimator = PoseEstimator(RIG)
    for k in range(60):
        detected = {}
        for name, true in views(walkers(k / 20), k / 20, rng).items():
            camera = RIG.camera(name)
            clutter = rng.uniform(0.1, 0.9, 2) * camera.size_wh + rng.normal(0, 60, (1, 17, 2))
            double = true.xy[:1] + rng.normal(0, 6, (1, 17, 2))
            detected[name] = Keypoints2D(
                np.concatenate([true.xy, clutter, double]),
                np.concatenate([true.score, rng.uniform(0, 0.5, (1, 17)), 0.8 * true.score[:1]]),
                H36M_17,
                true.stamp_ns,
            )
        result = estimator.estimate_from_keypoints(detected)
        assert visible(result) == {"1", "2"}, k
        assert set(result.pose.ids) == {"1", "2"}, k


def test_a_person_seen_by_one_camera_is_counted_and_not_placed() -> None:
    rng = np.random.default_rng(5)
    estimator = PoseEstimator(RIG)
    for k in range(20):
        detected = views(walkers(k / 20, 2), k / 20, rng)
        lonely = RIG.names[1]
        detected[lonely] = seen(RIG.cameras[1], walkers(k / 20, 3), rng, stamp_ns=detected[lonely].stamp_ns)
        result = estimator.estimate_from_keypoints(detected)
        assert result.single_view == 1, k
        assert set(result.pose.ids) <= {"1", "2"}
        assert result.ids[lonely][2] == ""


def test_a_person_behind_a_pillar_is_predicted_and_comes_back_with_the_same_id() -> None:
    rng = np.random.default_rng(6)
    estimator = PoseEstimator(RIG)
    for k in range(40):
        people = walkers(k / 20)
        shown = people[:1] if 20 <= k < 28 else people
        result = estimator.estimate_from_keypoints(views(shown, k / 20, rng))
        assert set(result.pose.ids) == {"1", "2"}, k
        if k == 27:
            state = dict(zip(result.pose.ids, result.pose.state.tolist(), strict=True))
            assert sorted(state.values()) == [PersonState.VISIBLE, PersonState.OCCLUDED]
            assert max(errors_m(result, people).values()) < 0.15
    assert visible(result) == {"1", "2"}


def test_a_body_half_hidden_from_all_cameras_but_one_keeps_its_joints_as_predictions() -> None:
    rng = np.random.default_rng(7)
    estimator = PoseEstimator(RIG)
    wrist = H36M_17.index("RWrist")
    for k in range(20):
        detected = views(walkers(k / 20, 1), k / 20, rng)
        if k >= 15:
            for name in RIG.names[1:]:
                detected[name].xy[:, wrist] = np.nan
                detected[name].score[:, wrist] = 0.0
        result = estimator.estimate_from_keypoints(detected)
        pose = result.pose
    assert result.rejected == {"few_views": 1}
    assert pose.source[0, wrist] == JointSource.PREDICTED
    assert np.linalg.norm(pose.xyz[0, wrist] - walkers(19 / 20, 1)[0, wrist]) < 0.25


@pytest.mark.parametrize("smoothing", ["one_euro", "kalman"])
def test_smoothing_by_option_reduces_jitter(smoothing: str) -> None:
    still = np.stack([walker((0, 0), (0, 0), 0.0)])

    def jitter(method: str) -> float:
        rng = np.random.default_rng(8)
        estimator = PoseEstimator(RIG, options=EstimatorOptions(smoothing=method))
        xyz = [r.pose.xyz[0] for r in run(estimator, [views(still, k / 30, rng) for k in range(60)]) if len(r.pose)]
        return float(np.std(xyz[20:], axis=0).mean())

    assert jitter(smoothing) < 0.8 * jitter("none")


def test_a_new_calibration_keeps_the_people() -> None:
    rng = np.random.default_rng(9)
    estimator = PoseEstimator(RIG)
    run(estimator, [views(walkers(t), t, rng) for t in (0.0, 0.05)])
    estimator.set_rig(RIG.subset(RIG.names[:3]))
    detected = views(walkers(0.1), 0.1, rng)
    del detected[RIG.names[3]]
    assert visible(estimator.estimate_from_keypoints(detected)) == {"1", "2"}


def test_reset_forgets_people_and_resets_the_detector() -> None:
    rng = np.random.default_rng(10)
    detector = FakeDetector(rng)
    estimator = PoseEstimator(RIG, detector)
    run(estimator, [views(walkers(t), t, rng) for t in (0.0, 0.05)])
    estimator.reset()
    assert detector.resets == 1
    assert visible(estimator.estimate_from_keypoints(views(walkers(0.1), 0.1, rng))) == {"3", "4"}


class FakeDetector:
    """Sees the walkers in any image."""

    name = "fake"
    skeleton: Skeleton = H36M_17

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.resets = rng, 0

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        detected = views(walkers((frames.stamp_ns - T0) * 1e-9), (frames.stamp_ns - T0) * 1e-9, self.rng)
        return {name: detected[name] for name in frames.images}

    def reset(self) -> None:
        self.resets += 1


def frame_set(names: Sequence[str], t_s: float = 0.0) -> FrameSet:
    sizes = {camera.name: camera.size_wh for camera in RIG.cameras}
    black = {name: np.zeros((*sizes.get(name, (4, 4))[::-1], 3), dtype=np.uint8) for name in names}
    return FrameSet(black, dict.fromkeys(names, T0 + round(t_s * 1e9)))


def test_images_go_through_the_detector_and_every_stage_is_timed() -> None:
    estimator = PoseEstimator(RIG, FakeDetector(np.random.default_rng(11)))
    result = estimator.estimate(frame_set(RIG.names))
    assert set(result.stage_ms) == {"detect", "associate", "triangulate"}
    assert all(ms > 0 for ms in result.stage_ms.values())
    assert visible(result) == {"1", "2"}
    assert estimator(frame_set(RIG.names, 0.1)).ids == ("1", "2")


def test_one_camera_alone_gives_an_empty_pose() -> None:
    rng = np.random.default_rng(12)
    name = RIG.names[0]
    result = PoseEstimator(RIG).estimate_from_keypoints({name: views(walkers(0), 0, rng)[name]})
    assert len(result.pose) == 0
    assert result.single_view == 2
    assert result.ids[name] == ("", "")


def test_empty_images_give_an_empty_pose() -> None:
    empty = {name: Keypoints2D.empty(COCO_17, T0) for name in RIG.names}
    result = PoseEstimator(RIG).estimate_from_keypoints(empty)
    assert len(result.pose) == 0
    assert result.pose.skeleton is H36M_17
    assert result.ids == dict.fromkeys(RIG.names, ())


def test_a_camera_that_the_rig_lacks_is_named() -> None:
    estimator = PoseEstimator(RIG)
    with pytest.raises(InputError, match="no camera front: it has"):
        estimator.estimate_from_keypoints({"front": Keypoints2D.empty(H36M_17)})
    with pytest.raises(InputError, match="no camera front"):
        estimator.estimate(frame_set(["front"]))
    with pytest.raises(InputError, match="at least one camera"):
        estimator.estimate_from_keypoints({})


def test_a_rig_without_a_baseline_is_refused() -> None:
    one = RIG.cameras[0]
    with pytest.raises(CalibrationError, match="have the same position"):
        PoseEstimator(replace(RIG, cameras=(one, replace(one, name="twin"))))


def test_a_rig_of_fewer_cameras_than_must_see_a_joint_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"1 cameras \(.*\), but 2 must see a joint"):
        PoseEstimator(RIG.subset(RIG.names[:1]))
    estimator = PoseEstimator(RIG, options=EstimatorOptions(min_views=3))
    with pytest.raises(CalibrationError, match="lower min_views"):
        estimator.set_rig(RIG.subset(RIG.names[:2]))
    assert estimator.rig is RIG


def test_images_of_another_size_than_the_calibrated_one_are_refused() -> None:
    estimator = PoseEstimator(RIG, FakeDetector(np.random.default_rng(0)))
    width, height = RIG.cameras[0].size_wh
    half = np.zeros((height // 2, width // 2, 3), dtype=np.uint8)
    name = RIG.names[0]
    with pytest.raises(CalibrationError, match=f"'{name}': image is .*, its calibration is for {width} x {height} px"):
        estimator(FrameSet({name: half}, {name: 0}))


def test_invalid_options_are_rejected_with_the_fix() -> None:
    with pytest.raises(OptionError, match="'smoothing' is 'heavy', expected one of none, body, one_euro, kalman"):
        EstimatorOptions(smoothing="heavy")
    with pytest.raises(OptionError, match="did you mean 'min_views'"):
        from_mapping(EstimatorOptions, {"min_view": 3})
    with pytest.raises(InputError, match="max_age_s"):
        EstimatorOptions(lost_after_s=2.0, max_age_s=1.0)
