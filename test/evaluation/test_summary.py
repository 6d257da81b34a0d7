"""The figures of a run, on made-up runs whose figures are known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_poses import pose_at

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.identity import Identity, TruthPerson, load_people, score_identity
from pose3d_ros.evaluation.summary import agreement_mm, bone_length_cv, left_out_camera_px, reprojection_px, summarise
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Camera, JointSource, Keypoints2D, PersonState, Pose3D, Rig

Floats = NDArray[np.float64]
T0 = 1_700_000_000_000_000_000
FPS = 60.0
LIMBS = [H36M_17.index(name) for name in LIMB_JOINTS]

KEYS = [
    "frame_sets_sent", "poses_published", "rate_hz", "latency_ms", "stage_ms", "reprojection_px", "left_out_camera_px",
    "bone_length_cv", "people", "id_switches", "ghosts", "agreement_mm", "settings",
]  # fmt: skip


def _looking_at_origin(name: str, azimuth: float, distance: float = 5.0) -> Camera:
    """A camera at 1 m height on a circle around the origin."""
    centre = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), 1.0])
    z = np.array([-np.cos(azimuth), -np.sin(azimuth), 0.0])
    x = np.cross(z, [0, 0, 1.0])
    rotation = np.stack([x, np.cross(z, x), z])
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = rotation, -rotation @ centre
    return Camera(name, (1280, 960), np.array([[800.0, 0, 640], [0, 800, 480], [0, 0, 1]]), cam_from_world=placed)


RIG = Rig(tuple(_looking_at_origin(name, azimuth) for name, azimuth in (("a", 0.0), ("b", 1.2), ("c", 2.5))))

# A standing person, feet at the origin, in the order of h36m_17; HeadTop unknown.
BODY = np.array(
    [
        [0, 0, 0.95], [0, -0.15, 0.95], [0, -0.15, 0.5], [0, -0.15, 0.05], [0, 0.15, 0.95], [0, 0.15, 0.5],
        [0, 0.15, 0.05], [0, 0, 1.2], [0, 0, 1.45], [0.1, 0, 1.6], [np.nan] * 3, [0, 0.2, 1.45], [0, 0.25, 1.15],
        [0, 0.25, 0.9], [0, -0.2, 1.45], [0, -0.25, 1.15], [0, -0.25, 0.9],
    ]
)  # fmt: skip


def _stamp(frame: int) -> int:
    return T0 + round(frame * 1e9 / FPS)


def _pose(frame: int, people: Mapping[str, Floats], states: Sequence[int] = ()) -> Pose3D:
    xyz, state = list(people.values()), states or [PersonState.VISIBLE] * len(people)
    return pose_at(xyz, tuple(people), _stamp(frame), state=state)


def _recording(poses: Sequence[Pose3D], sent: int | None = None, loop: int = 10, **more: Any) -> Recording:
    sent = len(poses) if sent is None else sent
    return Recording(
        rig=RIG,
        poses=tuple(poses),
        received_ns=np.arange(len(poses)) * 50_000_000 + 30_000_000,
        published_ns={_stamp(k): k * 50_000_000 for k in range(sent)},
        keypoints=more.pop("keypoints", {}),
        t0_ns=T0,
        fps=FPS,
        frames_per_loop=loop,
        frame_sets_sent=sent,
        **more,
    )


def _truth(name: str, xyz: Sequence[Floats], required: bool = True) -> TruthPerson:
    """Boxes of a person at xyz, one entry per frame, as an annotator draws them: 15 px larger than the joints."""
    boxes = {}
    for camera in RIG.cameras:
        xy = project(camera, np.array(xyz))
        low, high = np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)
        boxes[camera.name] = np.concatenate([low - 15, high + 15], axis=1)
    return TruthPerson(name, required, boxes)


def _at(x: float, y: float) -> Floats:
    return BODY + np.array([x, y, 0])


def test_summary_has_the_documented_keys_and_is_json_without_nan() -> None:
    recording = _recording([_pose(k, {"1": BODY}) for k in range(10)], settings={"people": "single"})
    summary = summarise(recording, (H36M_17.joint_names, np.repeat(BODY[None], 10, axis=0)), [_truth("x", [BODY] * 10)])
    assert list(summary) == KEYS
    json.dumps(summary, allow_nan=False)
    assert summary["poses_published"] == 10
    assert summary["people"] == {"1": 10}
    assert summary["latency_ms"] == {"median": 30.0, "p95": 30.0}
    assert summary["rate_hz"] == 20.0
    assert (summary["id_switches"], summary["ghosts"]) == (0, 0)
    assert summary["agreement_mm"] == {"mean": 0.0, "median": 0.0, "joints_compared": 120}


def test_summary_of_a_run_without_poses_is_json() -> None:
    nothing = _recording([], sent=10)
    summary = summarise(nothing, (H36M_17.joint_names, np.repeat(BODY[None], 10, axis=0)), load_people("multi"))
    json.dumps(summary, allow_nan=False)
    assert summary["poses_published"] == 0
    assert summary["agreement_mm"] == {"mean": 200.0, "median": 200.0, "joints_compared": 0}


def test_poses_without_a_visible_person_are_not_counted() -> None:
    poses = [_pose(0, {"1": BODY}), _pose(1, {}), _pose(2, {"1": BODY}, [PersonState.OCCLUDED])]
    summary = summarise(_recording(poses))
    assert summary["poses_published"] == 1
    assert summary["people"] == {"1": 1}


def test_missing_joints_and_frames_count_200_mm() -> None:
    without_wrist = BODY.copy()
    without_wrist[H36M_17.index("LWrist")] = np.nan
    shifted = _at(0.03, 0)
    poses = [_pose(0, {"1": shifted}), _pose(1, {"1": without_wrist})]  # and nothing in frame 2
    found = agreement_mm(_recording(poses, sent=3), (H36M_17.joint_names, np.repeat(BODY[None], 3, axis=0)))
    assert found["mean"] == pytest.approx((12 * 30 + 200 + 12 * 200) / 36, abs=0.01)
    assert found["median"] == pytest.approx(30.0)
    assert found["joints_compared"] == 23


def test_agreement_uses_the_best_id_over_all_loops() -> None:
    poses = [_pose(k, {"far": _at(2, 0), "1": BODY} if k < 6 else {"2": BODY}) for k in range(8)]
    reference = (H36M_17.joint_names, np.repeat(BODY[None], 4, axis=0))
    found = agreement_mm(_recording(poses, loop=4), reference)
    assert found["mean"] == pytest.approx(200 * 2 / 8)
    assert found["joints_compared"] == 6 * 12


def test_agreement_with_a_reference_that_ends_early_leaves_the_rest_of_every_loop_out() -> None:
    poses = [_pose(k, {"1": _at(k % 4, 0)}) for k in range(8)]
    truth = np.stack([_at(k, 0) for k in range(3)])
    found = agreement_mm(_recording(poses, loop=4), (H36M_17.joint_names, truth))
    assert found == {"mean": 0.0, "median": 0.0, "joints_compared": 2 * 3 * 12}


def test_agreement_finds_reference_joints_by_name() -> None:
    order = np.random.default_rng(0).permutation(LIMBS)
    names = [H36M_17.joint_names[k] for k in order]
    found = agreement_mm(_recording([_pose(0, {"1": BODY})]), (names, BODY[None, order]))
    assert found["mean"] == 0.0


def _keypoints(noise: float, ids: str = "1") -> dict[str, dict[int, tuple[Keypoints2D, tuple[str, ...]]]]:
    random = np.random.default_rng(0)
    seen: dict[str, dict[int, tuple[Keypoints2D, tuple[str, ...]]]] = {}
    for camera in RIG.cameras:
        seen[camera.name] = {}
        for frame in range(30):
            xy = project(camera, BODY)[None] + random.normal(size=(1, 17, 2)) * noise
            score = np.where(np.isfinite(xy).all(axis=-1), 0.9, 0.0)
            seen[camera.name][_stamp(frame)] = (Keypoints2D(xy, score, H36M_17, _stamp(frame)), (ids,))
    return seen


def test_left_out_camera_is_predicted_by_the_others() -> None:
    exact = _recording([_pose(0, {"1": BODY})], keypoints=_keypoints(0.0))
    noisy = _recording([_pose(0, {"1": BODY})], keypoints=_keypoints(4.0))
    assert len(left_out_camera_px(exact)) == 3 * 30 * 16
    assert left_out_camera_px(exact).max() < 1e-3
    # A keypoint's own noise alone has a median of 1.18 sigma (Rayleigh); the prediction adds its own.
    assert 4.0 * 1.18 < np.median(left_out_camera_px(noisy)) < 4.0 * 1.18 * 3


def test_reprojection_is_the_distance_of_each_camera_s_keypoint() -> None:
    poses = [_pose(k, {"1": BODY}) for k in range(30)]
    assert reprojection_px(_recording(poses, keypoints=_keypoints(0.0))).max() < 1e-9
    distances = reprojection_px(_recording(poses, keypoints=_keypoints(4.0)))
    assert len(distances) == 3 * 30 * 16
    assert np.median(distances) == pytest.approx(4.0 * 1.1774, rel=0.05)  # Rayleigh


def test_reprojection_ignores_joints_of_two_views() -> None:
    pair = replace(_pose(0, {"1": BODY}), n_views=np.full((1, 17), 2))
    assert len(reprojection_px(_recording([pair], keypoints=_keypoints(4.0)))) == 0
    two = replace(_recording([pair], keypoints=_keypoints(4.0)), rig=RIG.subset(["a", "b"]))
    assert len(reprojection_px(two)) == 2 * 16  # unless the rig has no more


def test_keypoints_without_an_id_and_rigs_of_two_leave_no_camera_out() -> None:
    assert len(left_out_camera_px(_recording([], sent=1, keypoints=_keypoints(1.0, ids="")))) == 0
    two = replace(_recording([], sent=1, keypoints=_keypoints(1.0)), rig=RIG.subset(["a", "b"]))
    assert len(left_out_camera_px(two)) == 0
    assert summarise(two)["left_out_camera_px"] == {"median": None}


def test_bone_length_spread_is_std_over_mean_of_long_lived_people() -> None:
    scales = [0.9, 1.1] * 5
    wild = [3.0, 0.2]
    poses = [
        _pose(k, {"1": BODY * scale, **({"2": BODY * wild[k]} if k < 2 else {})}) for k, scale in enumerate(scales)
    ]
    assert bone_length_cv(_recording(poses)) == pytest.approx(0.1)


def test_bone_length_spread_uses_triangulated_joints_only() -> None:
    poses = [_pose(k, {"1": BODY}) for k in range(9)]
    guessed = _pose(9, {"1": BODY * 2})
    poses.append(replace(guessed, source=np.full((1, 17), JointSource.PREDICTED)))
    assert bone_length_cv(_recording(poses)) == pytest.approx(0.0, abs=1e-12)


def test_perfect_ids_score_one() -> None:
    poses = [_pose(k, {"1": _at(0.1 * k, 0), "2": _at(0, 1.5)}) for k in range(10)]
    truth = [_truth("x", [_at(0.1 * k, 0) for k in range(10)]), _truth("y", [_at(0, 1.5)] * 10)]
    assert score_identity(_recording(poses), truth) == Identity(1.0, 0, 0)
    assert summarise(_recording(poses), boxes_fixture=truth)["idf1"] == 1.0


def test_swapped_ids_are_two_switches_and_half_the_score() -> None:
    one, other = _at(0, 0), _at(0, 1.5)
    poses = [_pose(k, {"1": one, "2": other} if k < 5 else {"2": one, "1": other}) for k in range(10)]
    truth = [_truth("x", [one] * 10), _truth("y", [other] * 10)]
    assert score_identity(_recording(poses), truth) == Identity(0.5, 2, 0)


def test_published_person_without_a_true_one_is_a_ghost_in_every_frame_set() -> None:
    poses = [_pose(k, {"1": BODY, **({"2": _at(0, -1.8)} if k >= 7 else {})}) for k in range(10)]
    identity = score_identity(_recording(poses), [_truth("x", [BODY] * 10)])
    assert identity.ghosts == 3
    assert identity.switches == 0
    assert identity.idf1 == pytest.approx(2 * 10 / (10 + 13))


def test_two_ids_for_one_person_make_one_of_them_a_ghost() -> None:
    poses = [_pose(k, {"1": BODY, "2": _at(0.02, 0)}) for k in range(10)]
    assert score_identity(_recording(poses), [_truth("x", [BODY] * 10)]).ghosts == 10


def test_frame_sets_without_a_pose_count_as_missed() -> None:
    identity = score_identity(_recording([_pose(0, {"1": BODY})], sent=3), [_truth("x", [BODY] * 10)])
    assert identity.idf1 == pytest.approx(2 * 1 / (3 + 1))


def test_person_who_is_not_required_is_ignored() -> None:
    truth = [_truth("x", [BODY] * 10), _truth("bystander", [_at(0, 1.5)] * 10, required=False)]
    with_her = [_pose(k, {"1": BODY, "2": _at(0, 1.5)}) for k in range(10)]
    without = [_pose(k, {"1": BODY}) for k in range(10)]
    assert score_identity(_recording(with_her), truth) == Identity(1.0, 0, 0)
    assert score_identity(_recording(without), truth) == Identity(1.0, 0, 0)


def test_people_who_are_not_visible_are_no_ghosts() -> None:
    poses = [_pose(k, {"1": BODY, "2": _at(0, -1.8)}, [PersonState.VISIBLE, PersonState.LOST]) for k in range(10)]
    assert score_identity(_recording(poses), [_truth("x", [BODY] * 10)]) == Identity(1.0, 0, 0)


def test_footage_played_again_is_compared_with_the_same_boxes() -> None:
    walk = [_at(0.3 * k, 0) for k in range(5)]
    poses = [_pose(k, {"1": walk[k % 5]}) for k in range(15)]
    assert score_identity(_recording(poses, loop=5), [_truth("x", walk)]) == Identity(1.0, 0, 0)


def test_fixture_of_each_sample_has_its_people_in_every_frame() -> None:
    single, multi = load_people("single"), load_people("multi")
    assert [(person.name, person.required) for person in single] == [("subject", True), ("bystander", False)]
    assert [person.name for person in multi] == ["subject", "bystander", "second"]
    for person in multi:
        assert set(person.boxes) >= {"cam01", "cam02"}
        for boxes in person.boxes.values():
            assert boxes.shape == (100, 4)
            assert (boxes[:, :2] < boxes[:, 2:]).all()
            assert (boxes >= 0).all()
            assert (boxes <= (1088, 1920, 1088, 1920)).all()
    np.testing.assert_allclose(single[0].boxes["cam01"][10], [285, 351, 625, 1169])  # half way between two key frames


def test_sample_without_a_fixture_is_rejected() -> None:
    with pytest.raises(InputError, match="single or multi"):
        load_people("crowd")


@pytest.mark.usefixtures("footage")
def test_reference_of_the_single_sample_is_the_fixture_s_subject() -> None:
    from pose3d_ros.recordings.footage import reference_single, sample

    names, xyz = reference_single()
    body = np.full((100, 17, 3), np.nan)
    body[:, LIMBS] = xyz[:, [names.index(name) for name in LIMB_JOINTS]]
    poses = [_pose(k, {"7": body[k]}) for k in range(100)]
    recording = replace(_recording(poses, loop=100), rig=sample("single").rig)
    assert score_identity(recording, load_people("single")) == Identity(1.0, 0, 0)
