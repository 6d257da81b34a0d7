"""A graph of our own stays by itself."""

import pytest

from pose3d_ros.ros.processes import DOMAINS, isolated_environment


def test_what_leads_to_other_machines_does_not_reach_our_own_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER", "ROS_SUPER_CLIENT", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(name, "SUBNET")
    monkeypatch.setenv("ROS_DOMAIN_ID", "232")
    environment = isolated_environment()
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert int(environment["ROS_DOMAIN_ID"]) in DOMAINS
    assert not {"ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER", "ROS_SUPER_CLIENT"} & environment.keys()
