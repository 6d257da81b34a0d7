"""`pose3d bench ros`: the figures from what both processes wrote, and one short run of the real graph."""

import pytest

from pose3d_ros.benchmarks.ros import figures, played
from pose3d_ros.data.bench_scene import PERSON, RATE_HZ, KnownDetector, rig
from pose3d_ros.estimation.multiview import MultiViewEstimator
from pose3d_ros.estimation.multiview_options import MultiViewOptions
from pose3d_ros.structures import Keypoints2D


def test_figures_count_what_was_lost_and_only_the_first_answer():
    ms = 1_000_000
    told = {
        "sent": [[number, number * 33 * ms] for number in range(10)],
        # Set 7 is lost, 8 answered twice, 99 was before the sets that count.
        "received": [[n, n * 33 * ms + 5 * ms, 0.002] for n in (0, 1, 2, 3, 4, 5, 6, 8, 9, 99)]
        + [[8, 8 * 33 * ms + 50 * ms, 0.04]],
    }
    node = {"arrived_ns": [[n, n * 33 * ms + 2 * ms] for n in range(10)], "cpu_ms": 6.5}
    sets, lost, *times = figures(told, node)
    assert (sets, lost) == (10, 1)
    assert times == pytest.approx([2.0, 2.0, 3.0, 3.0, 5.0, 5.0, 6.5])


def test_nothing_answered_gives_no_times():
    assert figures({"sent": [[0, 0]], "received": []}, {"arrived_ns": [], "cpu_ms": 1.0}) == (1, 1, *[None] * 6, 1.0)


def test_the_known_person_is_found_where_they_stand():
    cameras = rig()
    detector, estimator = KnownDetector(cameras), MultiViewEstimator(cameras, options=MultiViewOptions(refine="none"))
    for number in range(3):
        stamps = dict.fromkeys(cameras.names, round(number * 1e9 / RATE_HZ))
        found: dict[str, Keypoints2D] = detector(type("Frames", (), {"stamps_ns": stamps}))
        pose = estimator.estimate_from_keypoints(found).pose
    assert len(pose) == 1
    assert abs(pose.xyz[0, 0, 2] - PERSON[0, 2]) < 0.1


def test_the_graph_runs_and_answers():
    for seconds in (1.0, 5.0, 15.0):  # a machine that is busy with other things may lose every set of a second
        told, node = played(seconds, "none")
        assert len(told["sent"]) == seconds * RATE_HZ
        if told["received"]:
            break
    assert len(node["arrived_ns"]) > 1
    assert told["received"]
    assert all(inside_s > 0 for _, _, inside_s in told["received"])
