"""The doctor reports each seeded fault with its fix, and nothing for a healthy system; needs no ROS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeded_systems import (
    CLOCK_MESSAGES,
    DRIVER_ENDPOINT,
    EDGES,
    HEALTHY,
    LISTENER,
    MOVING,
    NODE_FACTS,
    NOTES,
    SEEDED,
    SHIFTED,
    STAMPS_NS,
    WITH_BASELINE,
    both,
    camera,
    camera_pose,
    info,
    node,
    on_topic,
    parameters,
    right,
    right_edge,
    values,
)

from pose3d_ros.ros.doctor.checks import CHECKS, run_checks
from pose3d_ros.ros.doctor.facts import Edge, Facts, ImageFacts, Topic
from pose3d_ros.ros.doctor.placement import fixed_from, path
from pose3d_ros.ros.doctor.report import as_json, healthy, printed
from pose3d_ros.ros.qos_fit import Qos, qos_of, qos_problem
from pose3d_ros.synchronisation.stamp_distances import nearest_s


def names(facts: Facts) -> list[str]:
    return [name for name, _ in run_checks(facts)]


def report(facts: Facts) -> str:
    return "\n".join(f"{name}: {finding.subject}: {finding.message}" for name, finding in run_checks(facts))


def test_healthy_system_has_no_findings() -> None:
    assert run_checks(HEALTHY) == []
    assert "healthy: nothing to fix" in printed(HEALTHY, [])


@pytest.mark.parametrize("name", [name for name in SEEDED if name not in NOTES])
def test_each_seeded_fault_is_the_only_finding_and_has_a_fix(name: str) -> None:
    facts, words = SEEDED[name]
    found = [(check, finding) for check, finding in run_checks(facts) if finding.fault]
    assert {check for check, _ in found} == {name}
    assert words in report(facts)
    assert all(finding.fix and finding.subject for _, finding in found)
    assert not healthy(found)
    text = " ".join(printed(facts, found).split())
    assert f"[{name}]" in text
    assert words in text


def test_every_check_has_a_seeded_fault() -> None:
    assert set(SEEDED) == set(CHECKS)
    assert len(SEEDED) >= 12


def test_empty_room_is_a_note() -> None:
    empty = node(max_people=0, values=values(people="0"))
    assert names(empty) == ["no_person"]
    assert healthy(run_checks(empty))
    assert "(note, no fault)" in printed(empty, run_checks(empty))
    assert not healthy(run_checks(replace(empty, expect_person=True)))
    # A tracked person that the node does not publish is a fault.
    assert not healthy(run_checks(node(max_people=0, values=values(people="0", people_left_out="1"))))


def test_passing_fault_of_the_node_is_a_note() -> None:
    hiccup = node(level=2, message="no poses for 0.6 s", bad_share=0.2)
    assert "(20% of its diagnostics, else OK): no poses for 0.6 s" in report(hiccup)
    assert healthy(run_checks(hiccup))


def test_unpublished_topic_is_reported_with_similar_names() -> None:
    facts, _ = SEEDED["topic_unpublished"]
    assert "/rear/image_raw" in run_checks(facts)[0][1].fix


def test_inverted_transforms_are_one_finding_and_none_if_the_node_has_poses() -> None:
    turned = [replace(edge, parent_from_child=np.linalg.inv(edge.parent_from_child)) for edge in EDGES.values()]
    facts = replace(node(max_people=0), edges=tuple(turned))
    assert "TF seems inverted for left, right" in report(facts)
    assert run_checks(replace(facts, nodes=HEALTHY.nodes)) == []


def test_camera_without_common_view_is_reported_as_inverted_only_if_inversion_helps() -> None:
    away = camera_pose((4.0, 0.75, 1.4)) @ np.diag([-1.0, 1.0, -1.0, 1.0])
    facts = replace(node(max_people=0), edges=(EDGES["left"], Edge("world", "right_optical", away)))
    assert "by TF, left, right share no view with another camera" in report(facts)
    # The inverse of an upright camera's pose always faces -y.
    at_door, next_to_it = np.eye(4), np.eye(4)
    at_door[:3] = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 2]]
    next_to_it[:3] = [[1, 0, 0, 1], [0, 0, 1, 0], [0, -1, 0, 2]]
    edges = (Edge("world", "left_optical", at_door), Edge("world", "right_optical", np.linalg.inv(next_to_it)))
    assert "TF is inverted for right: as published, left, right share no view" in report(replace(facts, edges=edges))


def test_moving_camera_with_timely_transforms_is_healthy() -> None:
    assert run_checks(right_edge(replace(MOVING, late_s=(0.02,) * 150))) == []


def test_unused_or_paused_clock_is_reported() -> None:
    playing = both(late_s=(9e7,) * 150, sim_late_s=(0.02,) * 150)
    words = "/rosbag2_player publishes /clock and the images' stamps follow it, but this node's use_sim_time is false"
    assert words in report(on_topic("/clock", CLOCK_MESSAGES, playing))
    busy = node(parameters={"fixed_frame": "world"}, values=values(use_sim_time="false"))
    busy = replace(busy, nodes=(replace(busy.nodes[0], cameras=playing.nodes[0].cameras),))
    assert "this node's use_sim_time is false" in report(on_topic("/clock", CLOCK_MESSAGES, busy))
    following = both(late_s=(9e7,) * 150, sim_late_s=(0.02,) * 150)
    sim = replace(following.nodes[0], parameters=parameters(use_sim_time=True))
    paused = on_topic("/clock", CLOCK_MESSAGES, replace(following, nodes=(sim,)))
    assert "no /clock arrived (/rosbag2_player publishes it but sent nothing)" in report(paused)
    assert "50 messages on /clock have the same time" in report(replace(paused, clock_ticks=50))
    assert run_checks(replace(paused, clock_ticks=50, clock_moved_s=5.0)) == []


def test_stereo_driver_with_projection_needs_no_tf() -> None:
    one_frame = ImageFacts((640, 480), "head")
    cameras = (camera("left", image=one_frame), camera("right", image=one_frame, info=WITH_BASELINE))
    head = replace(node(cameras=cameras, values=values(placement="projection")), edges=())
    assert run_checks(head) == []
    flat = replace(both(image=one_frame), edges=())
    flat = replace(flat, nodes=(replace(flat.nodes[0], values=values(placement="projection")),))
    assert "P has no baseline (P[3] = Tx = 0) in any camera_info" in report(flat)


def test_rig_file_needs_neither_camera_info_nor_transforms() -> None:
    filed = node(
        cameras=(camera("left", info=None, infos=0), camera("right", info=info(k=[0.0] * 9))),
        values=values(placement="file"),
    )
    assert run_checks(replace(filed, edges=())) == []


def test_binning_and_roi_are_no_size_mismatch() -> None:
    assert run_checks(right(info=info(binning_x=2, binning_y=2), image=ImageFacts((320, 240), "right_optical"))) == []


def test_cameras_are_checked_without_a_node() -> None:
    alone = replace(
        HEALTHY, nodes=(), topics={}, cameras=(camera("left"), camera("right", info=info(k=[float("nan")] * 9)))
    )
    assert names(alone) == ["node_not_running", "camera_info_zero"]


def test_images_blocked_by_qos_are_not_reported_as_dropped() -> None:
    topic = Topic((DRIVER_ENDPOINT,), (replace(LISTENER, qos=Qos()),))
    facts = on_topic("/right/image_raw", topic, right(stamps_ns=(), late_s=(), image=None))
    assert names(facts) == ["qos_mismatch"]


def test_fix_of_stamp_spread_depends_on_whether_it_varies() -> None:
    step, vary = SHIFTED, tuple(stamp + 12_000_000 + (n % 7) * 1_500_000 for n, stamp in enumerate(STAMPS_NS))
    assert "synchronise the clocks" in run_checks(right(stamps_ns=step))[0][1].fix
    assert "one trigger" in run_checks(right(stamps_ns=vary))[0][1].fix
    assert run_checks(right(stamps_ns=tuple(stamp + 5_000_000 for stamp in STAMPS_NS))) == []


def test_stamps_in_the_future_are_reported() -> None:
    assert "stamped 2.0 s in the future" in report(right(late_s=(-2.0,) * 150))


@given(offset_ms=st.integers(-16, 16), seed=st.integers(0, 99))
def test_nearest_stamps_give_the_offset(offset_ms: int, seed: int) -> None:
    jitter = np.random.default_rng(seed).integers(-100_000, 100_000, len(STAMPS_NS))
    shifted = tuple(int(stamp) for stamp in np.array(STAMPS_NS) + offset_ms * 1_000_000 + jitter)
    assert abs(np.median(nearest_s(STAMPS_NS, shifted)) - offset_ms * 1e-3) < 2e-4


@given(st.lists(st.integers(0, 7), min_size=8, max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_transform_chain_equals_the_matrix_product(parents: list[int], target: int, source: int) -> None:
    """A random tree: the parent of frame n + 1 is an earlier one; the truth is each frame's matrix from the root."""
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


def test_qos_check_agrees_with_rclpy() -> None:
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
    for offered, requested in product(every, every):
        rclpy_result = qos_check_compatible(profile(*offered), profile(*requested))[0]
        compatible = qos_problem(Qos(*offered), Qos(*requested)) is None
        assert compatible == (rclpy_result == QoSCompatibility.OK), (offered, requested)
        assert qos_of(profile(*offered)) == Qos(*offered)


def test_json_report_has_every_finding() -> None:
    facts, words = SEEDED["camera_info_zero"]
    report = as_json(facts, run_checks(facts), "1.2.3")
    assert report["healthy"] is False
    assert report["nodes"][0]["name"] == NODE_FACTS.name
    assert report["nodes"][0]["cameras"] == {"left": "/left/image_raw", "right": "/right/image_raw"}
    (finding,) = report["findings"]
    assert finding["name"] == "camera_info_zero"
    assert finding["fault"] is True
    assert words in finding["message"]
    assert as_json(HEALTHY, [], "1.2.3")["healthy"] is True
