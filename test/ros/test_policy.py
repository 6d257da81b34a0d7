"""The SROS2 policy that ships allows what the nodes use, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from known_person import KnownDetector, ring
from rclpy.expand_topic_name import expand_topic_name
from rclpy.parameter import Parameter

from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.ros.detector_node import DetectorNode
from pose3d_ros.ros.monocular_node import monocular_node
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.ros.rep155 import TRACKED

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "config" / "sros2_policy.xml"
# Every way that a node takes its images or gives its results; what is off is not advertised.
EVERYTHING = {"publish_keypoints": True, "prediction_horizon_s": 0.1}
WAYS = {
    "multiview": (
        {"fixed_frame": "map", "use_sim_time": True, **EVERYTHING},
        {"image_transport": "compressed"},
        {"input": "keypoints", **EVERYTHING},
    ),
    "monocular": ({"fixed_frame": "map", "use_sim_time": True, **EVERYTHING}, {"image_transport": "compressed"}),
    "detector": ({"use_sim_time": True}, {"image_transport": "compressed"}),
}
# Each needs what is not everywhere: hri_msgs, or a distribution after Humble.
ELSEWHERE = {("publish", TRACKED)}


def allowed(node: str) -> set[tuple[str, str]]:
    """(what is done, full name) of a node's profile."""
    (profile,) = ElementTree.parse(POLICY).getroot().findall(f".//profile[@node='{node}']")
    found = set()
    for part in profile:
        ((doing, qualifier),) = part.attrib.items()
        assert qualifier == "ALLOW"
        names = [expand_topic_name(str(one.text), node, profile.attrib["ns"]) for one in part]
        assert len(names) == len(set(names))
        found |= {(doing, name) for name in names}
    return found


@contextmanager
def running(node: str, context: Any, parameters: dict[str, Any]) -> Iterator[Any]:
    """A node of this name, on the cameras of the policy."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    detector = KnownDetector(ring("left", "right"))
    if node == "multiview":
        overrides += [Parameter("monocular_fallback", value="never"), Parameter("refine", value="none")]
        one: Any = PoseNode(detector, context=context, parameter_overrides=overrides)
    elif node == "monocular":
        one = monocular_node(detector, PersonLifter(lifter=object()), context=context, parameter_overrides=overrides)  # type: ignore[arg-type]
    else:
        overrides.append(Parameter("cameras", value=["left", "right"]))
        one = DetectorNode(detector, context=context, parameter_overrides=overrides)
    with closing(one):
        yield one
    one.destroy_node()


def used(one: Any) -> set[tuple[str, str]]:
    """(what is done, full name) of a running node, as the graph tells it; waits until it tells what the node knows."""
    until = time.monotonic() + 60
    made = {("publish", publisher.topic_name) for publisher in one.publishers} | {("publish", "/rosout")}
    made |= {("subscribe", subscription.topic_name) for subscription in one.subscriptions}
    found: set[tuple[str, str]] = set()
    while not made <= found:
        assert time.monotonic() < until, f"the graph does not report {sorted(made - found)}"
        for doing, asked in (
            ("publish", one.get_publisher_names_and_types_by_node),
            ("subscribe", one.get_subscriber_names_and_types_by_node),
            ("reply", one.get_service_names_and_types_by_node),
            ("request", one.get_client_names_and_types_by_node),
        ):
            found |= {(doing, name) for name, _ in asked(one.get_name(), one.get_namespace())}
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("node", WAYS)
def test_the_policy_is_what_running_nodes_use(node: str, context: Any) -> None:
    policy, seen = allowed(node), set()
    for parameters in WAYS[node]:
        with running(node, context, parameters) as one:
            seen |= used(one)
    assert seen <= policy, f"add to {POLICY.name}: {sorted(seen - policy)}"
    # Services and topics of the node's own differ between distributions.
    own = {one for one in policy if one[1].startswith(f"/{node}/")}
    assert not (more := policy - own - seen - ELSEWHERE), f"nothing uses: {sorted(more)}"


def test_the_policy_has_the_form_that_sros2_reads() -> None:
    """sros2/policy/schemas/policy.xsd of ros2/sros2."""
    root = ElementTree.parse(POLICY).getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    paths = [one.attrib["path"] for one in root.findall("./enclaves/enclave")]
    assert paths == [f"/pose3d/{node}" for node in WAYS]
    for part in root.findall("./enclaves/enclave/profiles/profile/*"):
        assert part.tag in ("topics", "services")
        assert {one.tag for one in part} == {part.tag.removesuffix("s")}
    text = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")
    assert all(path in text for path in paths)
