"""Nodes of other makers that publish our messages are not taken for ours, nor ours for theirs."""

from __future__ import annotations

from pose3d_ros.ros.doctor.facts import DIAGNOSTICS, KEYPOINTS, POSES, Endpoint, Topic
from pose3d_ros.ros.doctor.ours import TRANSITIONS, is_ours, may_be_ours


def graph(**nodes: tuple[str, ...]) -> dict[str, Topic]:
    """Each node with the types that it publishes; a managed node its events under its name."""
    found = {}
    for node, kinds in nodes.items():
        for kind in kinds:
            name = f"/{node}/transition_event" if kind == TRANSITIONS else f"/{node}/{kind.rpartition('/')[2]}"
            found[name] = Topic((Endpoint(f"/{node}", kind),))
    return found


def test_another_makers_publisher_is_not_ours() -> None:
    seen = graph(theirs=(KEYPOINTS,), fusion=(POSES, DIAGNOSTICS), multiview=(POSES, DIAGNOSTICS, TRANSITIONS))
    assert may_be_ours(seen, {}, ["/theirs", "/fusion", "/multiview"]) == {"/multiview": POSES}


def test_a_managed_node_of_another_maker_is_told_by_its_parameters() -> None:
    seen = graph(theirs=(KEYPOINTS, DIAGNOSTICS, TRANSITIONS))
    assert may_be_ours(seen, {}, ["/theirs"]) == {"/theirs": KEYPOINTS}
    assert not is_ours("/theirs", {}, {"use_sim_time": False, "cameras": ["left"]})


def test_ours_is_known_by_diagnostics_or_parameters_and_though_it_answers_nothing() -> None:
    assert may_be_ours({}, {"/multiview": POSES}, ["/multiview"]) == {"/multiview": POSES}
    assert is_ours("/multiview", {"/multiview": POSES}, {})
    assert is_ours("/multiview", {}, {"use_sim_time": False, "tf_timeout_s": 0.1})
    assert is_ours("/multiview", {}, {})


def test_diagnostics_that_a_bag_plays_make_no_node() -> None:
    assert may_be_ours({}, {"/multiview": POSES}, ["/rosbag2_player"]) == {}
