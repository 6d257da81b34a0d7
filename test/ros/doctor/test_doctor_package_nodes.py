"""Nodes of other packages that publish our messages are not confused with ours."""

from __future__ import annotations

from pose3d_ros.ros.doctor.facts import DIAGNOSTICS, KEYPOINTS, POSES, Endpoint, Topic
from pose3d_ros.ros.doctor.package_nodes import TRANSITIONS, candidate_nodes, is_package_node


def graph(**nodes: tuple[str, ...]) -> dict[str, Topic]:
    """Each node with the types it publishes; a managed node publishes its events under its name."""
    topics = {}
    for node, kinds in nodes.items():
        for kind in kinds:
            name = f"/{node}/transition_event" if kind == TRANSITIONS else f"/{node}/{kind.rpartition('/')[2]}"
            topics[name] = Topic((Endpoint(f"/{node}", kind),))
    return topics


def test_publisher_of_another_package_is_no_candidate() -> None:
    topics = graph(theirs=(KEYPOINTS,), fusion=(POSES, DIAGNOSTICS), multiview=(POSES, DIAGNOSTICS, TRANSITIONS))
    assert candidate_nodes(topics, {}, ["/theirs", "/fusion", "/multiview"]) == {"/multiview": POSES}


def test_managed_node_of_another_package_is_excluded_by_its_parameters() -> None:
    topics = graph(theirs=(KEYPOINTS, DIAGNOSTICS, TRANSITIONS))
    assert candidate_nodes(topics, {}, ["/theirs"]) == {"/theirs": KEYPOINTS}
    assert not is_package_node("/theirs", {}, {"use_sim_time": False, "cameras": ["left"]})


def test_own_node_is_identified_by_diagnostics_or_parameters_or_without_an_answer() -> None:
    assert candidate_nodes({}, {"/multiview": POSES}, ["/multiview"]) == {"/multiview": POSES}
    assert is_package_node("/multiview", {"/multiview": POSES}, {})
    assert is_package_node("/multiview", {}, {"use_sim_time": False, "tf_timeout_s": 0.1})
    assert is_package_node("/multiview", {}, {})


def test_diagnostics_from_a_bag_are_no_node() -> None:
    assert candidate_nodes({}, {"/multiview": POSES}, ["/rosbag2_player"]) == {}
