"""The doctor names each seeded fault with its mend, and says nothing of a healthy system; no ROS is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeded_systems import (
    CLOCK_MESSAGES,
    DRIVER_SEEN,
    EDGES,
    HEALTHY,
    LISTENER,
    MOVING,
    NODE_SEEN,
    SEEDED,
    SHIFTED,
    STAMPS_NS,
    TO_KNOW,
    WITH_BASELINE,
    both,
    camera,
    info,
    looking_at_person,
    node,
    on_topic,
    parameters,
    right,
    right_edge,
    values,
)

from pose3d_ros.ros.doctor.checks import CHECKS, judge
from pose3d_ros.ros.doctor.facts import Edge, Facts, ImageSeen, Topic
from pose3d_ros.ros.doctor.placement import fixed_from, path
from pose3d_ros.ros.doctor.report import as_json, healthy, printed
from pose3d_ros.ros.qos_fit import Qos, qos_of, qos_problem
from pose3d_ros.synchronisation.stamp_distances import nearest_s


def names(facts: Facts) -> list[str]:
    return [name for name, _ in judge(facts)]


def says(facts: Facts) -> str:
    return "\n".join(f"{name}: {finding.subject}: {finding.says}" for name, finding in judge(facts))


def test_nothing_is_said_of_a_healthy_system() -> None:
    assert judge(HEALTHY) == []
    assert "healthy: nothing to mend" in printed(HEALTHY, [])


@pytest.mark.parametrize("name", [name for name in SEEDED if name not in TO_KNOW])
def test_each_seeded_fault_is_named_alone_with_its_mend(name: str) -> None:
    facts, words = SEEDED[name]
    found = [(check, finding) for check, finding in judge(facts) if finding.fault]
    assert {check for check, _ in found} == {name}
    assert words in says(facts)
    assert all(finding.mend and finding.subject for _, finding in found)
    assert not healthy(found)
    report = " ".join(printed(facts, found).split())
    assert f"[{name}]" in report
    assert words in report


def test_every_check_has_a_seeded_fault_and_there_are_enough() -> None:
    assert set(SEEDED) == set(CHECKS)
    assert len(SEEDED) >= 12


def test_an_empty_room_is_told_and_no_fault() -> None:
    empty = node(max_people=0, values=values(people="0"))
    assert names(empty) == ["no_person"]
    assert healthy(judge(empty))
    assert "(to know, no fault)" in printed(empty, judge(empty))
    assert not healthy(judge(replace(empty, expect_person=True)))
    # Somebody whom the node knows and leaves out is no empty room.
    assert not healthy(judge(node(max_people=0, values=values(people="0", people_left_out="1"))))


def test_a_hiccup_of_the_node_is_told_and_no_fault() -> None:
    hiccup = node(level=2, message="no poses for 0.6 s", bad_share=0.2)
    assert "(in 20% of what it said, else it is well): no poses for 0.6 s" in says(hiccup)
    assert healthy(judge(hiccup))


def test_a_topic_that_nobody_publishes_is_told_with_the_near_ones() -> None:
    facts, _ = SEEDED["topic_unpublished"]
    assert "/rear/image_raw" in judge(facts)[0][1].mend


def test_inverted_stereo_heads_are_told_by_joints_behind_the_cameras() -> None:
    behind = values(people="0", joints_rejected__cheirality="340")
    stereo = node(level=2, message="no poses for 4 s", max_people=0, values=behind)
    assert "tf_inverted: /multiview: 340 joints were found behind the cameras" in says(stereo)
    before = {"joints_rejected/cheirality": "340"}
    assert "tf_inverted" not in names(replace(stereo, nodes=(replace(stereo.nodes[0], before=before),)))


def test_all_transforms_inverted_are_told_as_one_and_not_where_people_are_found() -> None:
    turned = [replace(edge, parent_from_child=np.linalg.inv(edge.parent_from_child)) for edge in EDGES.values()]
    facts = replace(node(max_people=0), edges=tuple(turned))
    assert "TF looks inverted for left, right" in says(facts)
    assert judge(replace(facts, nodes=HEALTHY.nodes)) == []


def test_a_camera_that_looks_away_is_told_as_inverted_only_where_that_would_mend_it() -> None:
    away = looking_at_person((4.0, 0.75, 1.4)) @ np.diag([-1.0, 1.0, -1.0, 1.0])
    facts = replace(node(max_people=0), edges=(EDGES["left"], Edge("world", "right_optical", away)))
    assert "by TF left, right see nothing that another camera sees" in says(facts)
    # Inverted, an upright camera looks to -y, wherever it looked before.
    at_door, beside = np.eye(4), np.eye(4)
    at_door[:3] = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 2]]
    beside[:3] = [[1, 0, 0, 1], [0, 0, 1, 0], [0, -1, 0, 2]]
    edges = (Edge("world", "left_optical", at_door), Edge("world", "right_optical", np.linalg.inv(beside)))
    assert "TF is inverted for right: as given, left, right see nothing" in says(replace(facts, edges=edges))


def test_a_moving_camera_with_timely_transforms_is_healthy() -> None:
    assert judge(right_edge(replace(MOVING, late_s=(0.02,) * 150))) == []


def test_a_clock_that_the_node_does_not_use_is_told() -> None:
    playing = both(late_s=(9e7,) * 150, sim_late_s=(0.02,) * 150)
    words = (
        "/rosbag2_player publishes /clock, the images' stamps are of its time, and this node's use_sim_time is false"
    )
    assert words in says(on_topic("/clock", CLOCK_MESSAGES, playing))
    busy = node(parameters={"fixed_frame": "world"}, values=values(use_sim_time="false"))
    busy = replace(busy, nodes=(replace(busy.nodes[0], cameras=playing.nodes[0].cameras),))
    assert "this node's use_sim_time is false" in says(on_topic("/clock", CLOCK_MESSAGES, busy))
    following = both(late_s=(9e7,) * 150, sim_late_s=(0.02,) * 150)
    sim = replace(following.nodes[0], parameters=parameters(use_sim_time=True))
    paused = on_topic("/clock", CLOCK_MESSAGES, replace(following, nodes=(sim,)))
    assert "no /clock came (/rosbag2_player publishes it and sent nothing)" in says(paused)
    assert "50 messages on /clock name one time" in says(replace(paused, clock_ticks=50))
    assert judge(replace(paused, clock_ticks=50, clock_moved_s=5.0)) == []


def test_a_stereo_driver_placed_by_projection_needs_no_transform_and_no_frames_of_its_own() -> None:
    one_frame = ImageSeen((640, 480), "head")
    cameras = (camera("left", image=one_frame), camera("right", image=one_frame, info=WITH_BASELINE))
    head = replace(node(cameras=cameras, values=values(placement="projection")), edges=())
    assert judge(head) == []
    flat = replace(both(image=one_frame), edges=())
    flat = replace(flat, nodes=(replace(flat.nodes[0], values=values(placement="projection")),))
    assert "P holds no baseline (P[3] = Tx = 0) in any camera_info" in says(flat)


def test_a_rig_file_needs_neither_camera_info_nor_transforms() -> None:
    filed = node(
        cameras=(camera("left", info=None, infos=0), camera("right", info=info(k=[0.0] * 9))),
        values=values(placement="file"),
    )
    assert judge(replace(filed, edges=())) == []


def test_binning_and_regions_are_no_other_size() -> None:
    assert judge(right(info=info(binning_x=2, binning_y=2), image=ImageSeen((320, 240), "right_optical"))) == []


def test_cameras_without_a_node_are_judged_too() -> None:
    alone = replace(
        HEALTHY, nodes=(), topics={}, cameras=(camera("left"), camera("right", info=info(k=[float("nan")] * 9)))
    )
    assert names(alone) == ["node_not_running", "camera_info_zero"]


def test_images_that_a_qos_keeps_away_are_not_told_as_dropped() -> None:
    topic = Topic((DRIVER_SEEN,), (replace(LISTENER, qos=Qos()),))
    facts = on_topic("/right/image_raw", topic, right(stamps_ns=(), late_s=(), image=None))
    assert names(facts) == ["qos_mismatch"]


def test_stamps_that_vary_are_told_from_those_that_keep_step() -> None:
    step, vary = SHIFTED, tuple(stamp + 12_000_000 + (n % 7) * 1_500_000 for n, stamp in enumerate(STAMPS_NS))
    assert "synchronise the clocks" in judge(right(stamps_ns=step))[0][1].mend
    assert "one trigger" in judge(right(stamps_ns=vary))[0][1].mend
    assert judge(right(stamps_ns=tuple(stamp + 5_000_000 for stamp in STAMPS_NS))) == []


def test_stamps_in_the_future_are_told() -> None:
    assert "stamped 2.0 s in the future" in says(right(late_s=(-2.0,) * 150))


@given(offset_ms=st.integers(-16, 16), seed=st.integers(0, 99))
def test_the_nearest_stamps_tell_the_offset(offset_ms: int, seed: int) -> None:
    jitter = np.random.default_rng(seed).integers(-100_000, 100_000, len(STAMPS_NS))
    shifted = tuple(int(stamp) for stamp in np.array(STAMPS_NS) + offset_ms * 1_000_000 + jitter)
    assert abs(np.median(nearest_s(STAMPS_NS, shifted)) - offset_ms * 1e-3) < 2e-4


@given(st.lists(st.integers(0, 7), min_size=8, max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_transforms_are_chained_as_their_matrices_multiply(parents: list[int], target: int, source: int) -> None:
    """A random tree: frame n + 1 hangs on one before it; the truth is each frame's matrix from the root."""
    rng = np.random.default_rng(sum(parents))
    root_from, edges = [np.eye(4)], []
    for n, parent in enumerate(parents):
        parent = min(parent, n)
        matrix = np.eye(4)
        matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        matrix[:3, 3] = rng.normal(size=3)
        edges.append(Edge(str(parent), str(n + 1), matrix))
        root_from.append(root_from[parent] @ matrix)
    chain = path(tuple(edges), str(target), str(source))
    assert chain is not None
    expected = np.linalg.inv(root_from[target]) @ root_from[source]
    np.testing.assert_allclose(fixed_from(chain, str(target)), expected, atol=1e-9)
    assert path(tuple(edges), str(target), "elsewhere") is None


def test_qos_is_judged_as_the_middleware_judges_it() -> None:
    """Against rclpy's own check, over every pair of reliability, durability, deadline and liveliness."""
    pytest.importorskip("rclpy")
    from itertools import product

    from rclpy.duration import Duration
    from rclpy.qos import (
        DurabilityPolicy,
        LivelinessPolicy,
        QoSCompatibility,
        QoSProfile,
        ReliabilityPolicy,
        qos_check_compatible,
    )

    def profile(reliable: bool, latched: bool, deadline_s: float, manual: bool) -> QoSProfile:
        return QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            deadline=Duration(seconds=deadline_s if np.isfinite(deadline_s) else 0),
            liveliness=LivelinessPolicy.MANUAL_BY_TOPIC if manual else LivelinessPolicy.AUTOMATIC,
        )

    every = list(product((True, False), (True, False), (float("inf"), 0.1, 0.5), (True, False)))
    for offered, asked in product(every, every):
        judged = qos_check_compatible(profile(*offered), profile(*asked))[0]
        assert (qos_problem(Qos(*offered), Qos(*asked)) is None) == (judged == QoSCompatibility.OK), (offered, asked)
        assert qos_of(profile(*offered)) == Qos(*offered)


def test_the_report_for_programs_holds_every_finding() -> None:
    facts, words = SEEDED["camera_info_zero"]
    report = as_json(facts, judge(facts), "1.2.3")
    assert report["healthy"] is False
    assert report["nodes"][0]["name"] == NODE_SEEN.name
    assert report["nodes"][0]["cameras"] == {"left": "/left/image_raw", "right": "/right/image_raw"}
    (finding,) = report["findings"]
    assert finding["name"] == "camera_info_zero"
    assert finding["fault"] is True
    assert words in finding["says"]
    assert as_json(HEALTHY, [], "1.2.3")["healthy"] is True
