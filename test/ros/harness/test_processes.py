"""A graph of our own stays by itself."""

import os
import subprocess
import sys

import pytest

from benchmarks import ros as bench_ros
from benchmarks.node_graph import BenchError
from pose3d_ros.commands.mono import run as run_mono
from pose3d_ros.ros.environment import PROFILES_VARIABLE, share_directory
from pose3d_ros.ros.harness import processes
from pose3d_ros.ros.harness.processes import DOMAINS, isolated_environment

# What a user may have set for a robot's graph, of every middleware.
ABROAD = {
    "ROS_DOMAIN_ID": "177", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_STATIC_PEERS": "192.0.2.1",
    "ROS_DISCOVERY_SERVER": "192.0.2.1:11811", "ROS_SUPER_CLIENT": "TRUE", "ROS_LOCALHOST_ONLY": "0",
    "FASTDDS_DEFAULT_PROFILES_FILE": "/robot/peers.xml", "FASTRTPS_DEFAULT_PROFILES_FILE": "/robot/peers.xml",
    "FASTDDS_ENVIRONMENT_FILE": "/robot/environment.json", "CYCLONEDDS_URI": "file:///robot/cyclone.xml",
    "ZENOH_CONFIG_OVERRIDE": "mode='client'", "ZENOH_SESSION_CONFIG_URI": "/robot/zenoh.json5",
    "ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": "/robot/keys",
}  # fmt: skip


@pytest.fixture
def abroad(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that belongs to a robot's graph."""
    for name, value in ABROAD.items():
        monkeypatch.setenv(name, value)


def stays_here(environment: dict[str, str]) -> bool:
    """Whether nothing of ABROAD is left, and the graph is one of this machine."""
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert int(environment["ROS_DOMAIN_ID"]) in DOMAINS
    assert environment[PROFILES_VARIABLE] == str(share_directory() / "config" / "fastdds.xml")
    return not ABROAD.items() & environment.items()


@pytest.mark.usefixtures("abroad")
def test_variables_of_other_machines_do_not_reach_the_isolated_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stays_here(isolated_environment())
    monkeypatch.setenv("ROS_DISTRO", "humble")  # it knows the older variable only
    assert isolated_environment()["ROS_LOCALHOST_ONLY"] == "1"
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert "ROS_LOCALHOST_ONLY" not in isolated_environment()


@pytest.mark.usefixtures("abroad")
def test_benchmark_over_ros_keeps_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of its processes; they end at once here, which is reported."""
    seen: list[dict[str, str]] = []
    real = processes.subprocess.Popen

    def started(command: list[str], **given: object) -> object:
        seen.append(dict(given["env"]))  # type: ignore[call-overload]
        return real([sys.executable, "-c", ""], **given)

    monkeypatch.setattr(processes.subprocess, "Popen", started)
    with pytest.raises(BenchError):
        bench_ros.played(1.0, "none")
    assert len(seen) == 2
    assert all(stays_here(environment) for environment in seen)


@pytest.mark.usefixtures("abroad")
def test_node_for_the_users_own_camera_keeps_the_users_ros_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pose3d mono` live owns no graph: it becomes a node of the user's."""
    from pose3d_ros.cli import build_parser

    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, command: started.append(command))
    run_mono(build_parser().parse_args(["mono", "--camera", "front"]))
    assert len(started) == 1
    assert ABROAD.items() <= os.environ.items()


@pytest.mark.skipif(sys.platform != "linux", reason="domains are reserved by names that only Linux has")
def test_no_two_processes_are_given_one_domain(monkeypatch):
    """Not even before the first of them has a participant there, whose port is taken."""
    order = list(DOMAINS)
    monkeypatch.setattr(processes.random, "sample", lambda domains, count: order)
    first = processes.free_domain()
    code = (
        "from pose3d_ros.ros.harness import processes\n"
        "processes.random.sample = lambda domains, count: list(domains)\n"
        "print(processes.free_domain())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert int(other.stdout) != first
    assert processes.free_domain() != first  # nor is the same one given twice in one process
    for _ in range(processes.MOST_RESERVED):
        processes.free_domain()
    assert len(processes._reserved) == processes.MOST_RESERVED
