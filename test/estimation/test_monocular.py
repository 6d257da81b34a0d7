"""The whole chain of one camera after detection, with a lifter that knows the truth or errs as said."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from one_camera import one_camera
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import walker
from trained_for_tests import biased, file_of

from pose3d_ros.errors import CalibrationError, InputError, OptionError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.single_view import load_lifter
from pose3d_ros.geometry.projection import project
from pose3d_ros.networks.build import build
from pose3d_ros.options import from_mapping
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, FrameSet, JointSource, Keypoints2D, PersonState
from pose3d_ros.weights import trained

CAMERA = Camera("front", (1280, 720), np.array([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]]))
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera x right, y down, z forward, in the world
T0 = 5_000_000_000


def crossing(t_s: float) -> Floats:
    """(2, 17, 3) m in the camera's frame: two who cross the view in opposite directions, 1 m apart in depth."""
    world = np.stack([walker((4.0, 1.2), (0.0, -1.0), t_s), walker((5.0, -1.2), (0.0, 1.0), t_s, 1.65)])
    return np.asarray((world - (0.0, 0.0, 1.2)) @ AXES.T)


def seen(people: Floats, stamp_ns: int, rng: np.random.Generator | None = None) -> Keypoints2D:
    xy = project(CAMERA, people)
    if rng is not None:
        xy = xy + rng.normal(0.0, 3.0, xy.shape)
    return Keypoints2D(xy, np.full(xy.shape[:2], 0.8), H36M_17, stamp_ns)


def run(
    fps: float, depth_std: float, options: EstimatorOptions | None = None, seed: int = 0
) -> list[tuple[Floats, Estimate]]:
    """What comes of the crossing, with depths that err independently in each image by so much."""
    rng = np.random.default_rng(seed)
    net = Oracle(crossing(0.0))
    estimator = one_camera(CAMERA, OracleLoaded(net), options=options or EstimatorOptions())
    results = []
    for k in range(round(2.4 * fps)):
        people = crossing(k / fps)
        net.people = net.people.new_tensor(people)
        net.depth_error = 1.0 + rng.normal(0.0, depth_std)
        order = rng.permutation(2)
        keypoints = seen(people, T0 + round(k * 1e9 / fps), rng).select(order)
        results.append((people, estimator.estimate_from_keypoints({"front": keypoints})))
    return results


@pytest.mark.parametrize("fps", [30.0, 10.0])
@pytest.mark.parametrize("depth_std", [0.0, 0.05, 0.10])
def test_people_who_cross_keep_their_ids_though_their_depths_leap(fps: float, depth_std: float) -> None:
    who: dict[str, int] = {}
    missed = 0
    for people, estimate in run(fps, depth_std)[1:]:
        pose = estimate.pose
        assert sorted(pose.ids) == ["1", "2"]
        missed += int((pose.state != PersonState.VISIBLE).sum())
        # Who is who shows across the view, where depth does not disturb.
        bearing = people[:, 0, 0] / people[:, 0, 2]
        if abs(bearing[0] - bearing[1]) > 0.1:
            found = pose.xyz[:, 0, 0] / pose.xyz[:, 0, 2]
            now = {one: int(np.abs(bearing - x).argmin()) for one, x in zip(pose.ids, found, strict=True)}
            who = who or now
            assert now == who
    assert sorted(who.values()) == [0, 1]
    assert missed <= (2 if depth_std > 0.05 else 0)


def test_what_comes_out_is_monocular_in_the_cameras_frame_at_the_images_stamp() -> None:
    people, estimate = run(30.0, 0.0)[5]
    pose = estimate.pose
    assert pose.frame_id == "front_optical"
    assert pose.stamp_ns == T0 + round(5e9 / 30)
    assert (pose.source == JointSource.MONOCULAR).all()
    assert (pose.n_views == 1).all()
    assert estimate.ids["front"] in (("1", "2"), ("2", "1"))
    assert estimate.single_view == 2
    assert set(estimate.stage_ms) == {"lift"}
    order = np.argsort(pose.xyz[:, 0, 2])
    np.testing.assert_allclose(pose.xyz[order], people, atol=0.05)


def test_walking_speed_comes_out_despite_depths_that_leap() -> None:
    _, estimate = run(30.0, 0.05)[-1]
    order = np.argsort(estimate.pose.xyz[:, 0, 2])
    np.testing.assert_allclose(estimate.pose.velocity[order][:, 0, 0], [1.0, -1.0], atol=0.4)


def test_a_hidden_person_is_predicted_then_lost_then_removed_and_returns_with_a_new_id() -> None:
    people = crossing(0.3)[:1]
    estimator = one_camera(CAMERA, OracleLoaded(Oracle(people)))
    states = {}
    for k in range(30):
        stamp = T0 + k * 100_000_000
        shown = 3 <= k < 20
        given = Keypoints2D.empty(H36M_17, stamp) if shown else seen(people, stamp)
        pose = estimator.estimate_from_keypoints({"front": given}).pose
        states[k] = [(i, int(s)) for i, s in zip(pose.ids, pose.state, strict=True)]
    assert states[2] == [("1", PersonState.VISIBLE)]
    assert states[3] == [("1", PersonState.OCCLUDED)]
    assert states[8] == [("1", PersonState.LOST)]
    assert states[15] == []
    assert states[25] == [("2", PersonState.VISIBLE)]


def test_unseen_joints_are_filled_in_and_marked() -> None:
    people = crossing(0.3)[:1]
    estimator = one_camera(CAMERA, OracleLoaded(Oracle(people)), options=EstimatorOptions(min_hits=1))
    keypoints = seen(people, T0)
    feet = [H36M_17.index(name) for name in ("LAnkle", "RAnkle")]
    score = keypoints.score.copy()
    score[:, feet] = 0.05  # under min_joint_score
    pose = estimator.estimate_from_keypoints({"front": replace(keypoints, score=score)}).pose
    np.testing.assert_allclose(pose.xyz, people, atol=1e-3)
    assert (pose.n_views[0, feet] == 0).all()
    assert np.isnan(pose.reprojection_px[0, feet]).all()
    np.testing.assert_allclose(pose.score[0, feet], 0.4)
    assert pose.score[0, 0] == pytest.approx(0.8)


def test_people_that_cannot_be_lifted_are_counted_by_reason_without_an_id() -> None:
    people = crossing(0.3)
    estimator = one_camera(CAMERA, OracleLoaded(Oracle(people)), options=EstimatorOptions(min_hits=1))
    keypoints = seen(people, T0)
    score = keypoints.score.copy()
    score[0, 5:] = 0.0
    estimate = estimator.estimate_from_keypoints({"front": replace(keypoints, score=score)})
    assert estimate.ids["front"] == ("", "1")
    assert estimate.rejected == {"few_joints": 1}
    assert len(estimate.keypoints["front"]) == 2


def test_another_calibration_changes_the_metres_and_keeps_the_ids() -> None:
    people = crossing(0.3)[:1]
    net = Oracle(people)
    estimator = one_camera(CAMERA, OracleLoaded(net))
    for k in range(3):
        pose = estimator.estimate_from_keypoints({"front": seen(people, T0 + k * 33_000_000)}).pose
    assert pose.xyz[0, 0, 2] == pytest.approx(people[0, 0, 2], abs=1e-3)
    # The image is now half as large, and so is K: the same metres.
    estimator.set_rig(replace(estimator.rig, cameras=(CAMERA.resized((640, 360)),)))
    half = seen(people, T0 + 100_000_000)
    half = replace(half, xy=(half.xy + 0.5) / 2 - 0.5)
    pose = estimator.estimate_from_keypoints({"front": half}).pose
    assert pose.ids == ("1",)
    np.testing.assert_allclose(pose.xyz, people, atol=2e-3)


def test_smoothing_takes_off_most_of_the_leaps_in_depth() -> None:
    def wobble(smoothing: str) -> float:
        depths = [
            np.sort(estimate.pose.xyz[:, 0, 2])
            for _, estimate in run(30.0, 0.05, EstimatorOptions(smoothing=smoothing))[10:]
        ]
        return float(np.std(np.diff(depths, axis=0)))

    raw = wobble("none")
    assert wobble("one_euro") < 0.7 * raw
    assert wobble("kalman") < 0.5 * raw


def test_images_of_another_camera_or_size_are_refused() -> None:
    estimator = one_camera(CAMERA, OracleLoaded(Oracle(crossing(0.0))))
    image = np.zeros((720, 1280, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="the rig has no camera back: it has front"):
        estimator(FrameSet({"back": image}, {"back": 1}))
    with pytest.raises(CalibrationError, match="640"):
        estimator(FrameSet({"front": image[:360, :640]}, {"front": 1}))


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="body_height_m"):
        EstimatorOptions(body_height_m=3.0)
    with pytest.raises(InputError, match="max_age_s"):
        EstimatorOptions(lost_after_s=2.0)
    with pytest.raises(OptionError, match="did you mean 'body_height_m'"):
        from_mapping(EstimatorOptions, {"body_height": 1.7})


def test_importing_the_estimator_loads_no_torch() -> None:
    code = "import sys, pose3d_ros.estimation.single_view; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_network_that_is_no_lifter_is_rejected_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "TRAINED", ())
    with pytest.raises(InputError, match=r"'posern', which lifts nothing: use a .safetensors file of `pose3d train"):
        load_lifter(file_of(biased(), tmp_path))


def test_figures_of_covariance_that_are_no_lifters_are_refused_before_the_first_image(tmp_path: Path) -> None:
    recipe = {"network": "lifter", "form": "any", "width": 8, "without": []}
    trained.save(tmp_path / "old.safetensors", build(recipe), recipe, {"own": torch.ones(17)})
    with pytest.raises(InputError, match="no covariance figure 'along'"):
        load_lifter(str(tmp_path / "old.safetensors"))


@pytest.mark.parametrize("height_m", [0.0175, 0.4])
def test_an_impossible_height_is_rejected(height_m: float) -> None:
    with pytest.raises(InputError, match=r"body_height_m is .* expected 0.5 to 2.5 m, or 0 where it is not known"):
        EstimatorOptions(body_height_m=height_m)
    assert EstimatorOptions(body_height_m=0.0).body_height_m == 0.0
