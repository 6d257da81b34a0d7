"""All that `pose3d doctor` looks for, by name, in the order in which causes are told; docs/doctor.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pose3d_ros.ros.doctor import camera_faults, graph_faults, node_faults, placement_faults
from pose3d_ros.ros.doctor.facts import Facts, Finding

CHECKS: dict[str, Callable[[Facts], Iterator[Finding]]] = {
    check.__name__: check
    for check in (
        graph_faults.ros_missing,
        graph_faults.node_not_running,
        graph_faults.node_silent,
        node_faults.package_broken,
        graph_faults.definitions_differ,
        graph_faults.wrong_type,
        graph_faults.qos_mismatch,
        graph_faults.topic_unpublished,
        graph_faults.two_publishers,
        camera_faults.camera_silent,
        camera_faults.large_images_dropped,
        camera_faults.camera_info_missing,
        camera_faults.camera_info_zero,
        camera_faults.camera_info_unusable,
        camera_faults.size_mismatch,
        camera_faults.low_rate,
        node_faults.sim_time,
        camera_faults.stamps_zero,
        camera_faults.stamp_offset,
        camera_faults.stamp_spread,
        placement_faults.tf_missing,
        placement_faults.frames_equal,
        placement_faults.tf_two_parents,
        placement_faults.tf_late,
        placement_faults.tf_inverted,
        placement_faults.zero_baseline,
        node_faults.gpu_unused,
        node_faults.no_person,
        node_faults.node_says,
    )
}


def judge(facts: Facts) -> list[tuple[str, Finding]]:
    """Every finding with the name of its check; empty for a healthy system."""
    return [(name, finding) for name, check in CHECKS.items() for finding in check(facts)]
