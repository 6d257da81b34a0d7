"""The benchmarks ros and runtime: figures from the reports of both processes, and short runs of the real graph."""

import numpy as np
import pytest

from benchmarks.age import figures as age_figures
from benchmarks.node_graph import BenchError, Played, play
from benchmarks.ros import figures, played
from benchmarks.runtime import tables
from benchmarks.scale import figures as scale_figures
from benchmarks.scene import PERSON, RATE_HZ, KnownDetector, crowd, rig
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.structures import Keypoints2D


def test_figures_count_lost_sets_and_first_answers():
    ms = 1_000_000
    report = {
        "sent": [[number, number * 33 * ms] for number in range(10)],
        # Set 7 is lost, 8 answered twice, 99 was before the sets that count.
        "received": [[n, n * 33 * ms + 5 * ms, 0.002] for n in (0, 1, 2, 3, 4, 5, 6, 8, 9, 99)]
        + [[8, 8 * 33 * ms + 50 * ms, 0.04]],
    }
    node = {"arrived_ns": [[n, n * 33 * ms + 2 * ms] for n in range(10)], "cpu_ms": 6.5}
    sets, lost, *times = figures(report, node)
    assert (sets, lost) == (10, 1)
    assert times == pytest.approx([2.0, 2.0, 3.0, 3.0, 5.0, 5.0, 6.5])


def test_age_figures_count_people_with_a_wrong_state():
    ms = 1_000_000
    heard = [
        (0, 10 * ms, 11 * ms, 0, []),  # before the first person
        (0, 150 * ms, 160 * ms, 2, [0, 1]),
        (0, 190 * ms, 210 * ms, 2, [0]),  # late on its way
        (0, 300 * ms, 310 * ms, 2, [0]),  # wrong
        (0, 600 * ms, 610 * ms, 0, [1, 2]),  # the first is
        (0, 990 * ms, 1010 * ms, 0, [2]),
        (0, 1200 * ms, 1210 * ms, 0, []),
    ]
    messages, of_images, *late = age_figures(heard)
    assert (messages, of_images) == (7, 3)
    assert late[:6] == [1, 1, 0, 2, 1, 1]
    assert late[6:11] == pytest.approx([75.0, 300 / 7, 100.0, 100 * 5 / 6, 1010.0])


def test_scale_figures_count_complete_sets_and_people_visible_for_too_long():
    ms = 1_000_000
    sent = [[10 * ms, 0], [40 * ms, 0]]
    heard = [
        (0, 20 * ms, 30 * ms, 4, [0]),  # before the sets that count
        (10 * ms, 40 * ms, 50 * ms, 4, [0, 0]),
        (10 * ms, 60 * ms, 70 * ms, 0, [0, 0]),  # made by time alone
        (40 * ms, 250 * ms, 260 * ms, 4, [0, 1]),  # VISIBLE at 210 ms
        (70 * ms, 80 * ms, 90 * ms, 3, [0]),  # a camera was missing
        (99 * ms, 99 * ms, 99 * ms, 4, []),
    ]
    assert scale_figures(sent, heard, 4, 2.0) == pytest.approx((1.0, 2.0, 130.0, 211.0, 100 / 3))
    assert scale_figures(sent, [], 4, 2.0) == (0.0, 0.0, None, None, None)


@pytest.mark.parametrize(("cameras", "people"), [(2, 1), (4, 4), (16, 20)])
def test_scene_of_any_size_is_triangulated(cameras, people):
    scene = rig(cameras)
    detector = KnownDetector(scene, people)
    estimator = PoseEstimator(scene, options=EstimatorOptions(refine="none", max_people=0))
    for number in range(3):
        stamps = dict.fromkeys(scene.names, round(number * 1e9 / RATE_HZ))
        found = detector(type("Frames", (), {"stamps_ns": stamps}))
        pose = estimator.estimate_from_keypoints(found).pose
    assert len(pose) == people
    assert np.abs(np.sort(pose.xyz[:, 0, 2]) - np.sort(crowd(people)[:, 0, 2])).max() < 0.05


def test_no_answers_give_no_times():
    assert figures({"sent": [[0, 0]], "received": []}, {"arrived_ns": [], "cpu_ms": 1.0}) == (1, 1, *[None] * 6, 1.0)


def test_known_person_has_the_right_position():
    cameras = rig()
    detector, estimator = KnownDetector(cameras), PoseEstimator(cameras, options=EstimatorOptions(refine="none"))
    for number in range(3):
        stamps = dict.fromkeys(cameras.names, round(number * 1e9 / RATE_HZ))
        found: dict[str, Keypoints2D] = detector(type("Frames", (), {"stamps_ns": stamps}))
        pose = estimator.estimate_from_keypoints(found).pose
    assert len(pose) == 1
    assert abs(pose.xyz[0, 0, 2] - PERSON[0, 2]) < 0.1


def test_graph_publishes_poses():
    for seconds in (1.0, 5.0, 15.0):  # a machine that is busy with other things may lose every set of a second
        report, node = played(seconds, "none")
        assert len(report["sent"]) == seconds * RATE_HZ
        if report["received"]:
            break
    assert len(node["arrived_ns"]) > 1
    assert report["received"]
    assert all(inside_s > 0 for _, _, inside_s in report["received"])


def trial(fault: str, named: float | None, pose: float | None, ok: float | None) -> dict[str, object]:
    aged = {"visible": 0.1, "occluded": 0.2, "lost": 0.45, "gone": 0.95}
    return {"fault": fault, "well": True, "named": named, "again_pose": pose, "again_ok": ok, **aged}


def test_runtime_counts_unreported_faults_and_gives_the_latest() -> None:
    trials = [
        trial("both cameras stop", 0.5, 0.1, 3.0),
        trial("both cameras stop", 0.7, 0.3, 5.0),
        trial("one camera hangs", None, None, 2.0),
        {"fault": "one camera hangs", "well": False},
    ]
    faults, ageing, process = tables(Played({"trials": trials, "first_pose_s": 12.5}, {}, 10.0, 0.7))
    stop, hang = (pytest.approx(row[1:], nan_ok=True) for row in faults.rows)
    assert stop == (2, 2, 0.6, 0.7, 0.2, 0.3, 4.0, 5.0)
    assert hang == (2, 0, None, None, None, None, 2.0, 2.0)
    # The last images came a thirtieth of a second before the first missing set.
    since_s = [[seconds - 1 / 30 for seconds in row[1:3]] for row in ageing.rows]
    np.testing.assert_allclose(since_s, [[0.1] * 2, [0.2] * 2, [0.45] * 2, [0.95] * 2])
    assert [row[3] for row in ageing.rows] == [None, 0.2, 0.5, 1.0]
    assert [row[1] for row in process.rows] == [2.5, 0.7]


def test_graph_reports_a_fault_and_recovers() -> None:
    run = play("benchmarks.ros_faults", ["1", "1"], {}, 60.0)
    (found,) = run.report["trials"]
    assert found["fault"] == "both cameras stop"
    assert found["well"]
    # The times are figures of the benchmark; a busy machine may skip a state, or have it before the fault.
    ages = [found[name] for name in ("visible", "occluded", "lost", "gone")]
    assert found["gone"] == max(age for age in ages if age is not None)
    assert found["named"] > 0
    assert 0 < found["again_pose"] <= found["again_ok"]
    assert run.end_s > 0


def test_error_of_a_dead_graph_has_its_log() -> None:
    with pytest.raises(BenchError, match="not_there"):
        play("pose3d_ros.ros.not_there", [], {}, 1.0)
