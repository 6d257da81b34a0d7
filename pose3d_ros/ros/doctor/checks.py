"""The checks of `pose3d doctor` by name, in the order in which causes are reported; docs/doctor.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pose3d_ros.ros.doctor import camera_faults, graph_faults, node_faults, placement_faults
from pose3d_ros.ros.doctor.facts import Facts, Finding

# A cause comes before its consequences: the graph, types and QoS, time, calibration, camera poses, speed, and last the
# node's own report.
CHECKS: dict[str, Callable[[Facts], Iterator[Finding]]] = {
    check.__name__: check
    for check in (
        graph_faults.ros_missing,
        graph_faults.node_not_running,
        graph_faults.node_inactive,
        node_faults.package_broken,
        graph_faults.definitions_differ,
        graph_faults.wrong_type,
        graph_faults.qos_mismatch,
        graph_faults.topic_unpublished,
        graph_faults.two_publishers,
        graph_faults.people_collide,
        node_faults.sim_time,
        camera_faults.camera_silent,
        camera_faults.large_images_dropped,
        camera_faults.image_unreadable,
        camera_faults.stamps_zero,
        camera_faults.stamp_offset,
        camera_faults.clocks_differ,
        camera_faults.stamp_spread,
        camera_faults.camera_info_missing,
        camera_faults.camera_info_zero,
        camera_faults.camera_info_unusable,
        camera_faults.size_mismatch,
        camera_faults.info_frame_differs,
        camera_faults.low_rate,
        placement_faults.frames_equal,
        placement_faults.tf_missing,
        placement_faults.tf_two_parents,
        placement_faults.tf_late,
        placement_faults.body_frame,
        placement_faults.tf_inverted,
        placement_faults.zero_baseline,
        placement_faults.rig_implausible,
        camera_faults.images_dark,
        graph_faults.node_silent,
        node_faults.gpu_unused,
        node_faults.node_report,
        node_faults.no_person,
    )
}


def run_checks(facts: Facts) -> list[tuple[str, Finding]]:
    """Every finding with the name of its check, faults first; empty for a healthy system.

    Equal findings of several cameras become one.
    """
    subjects_by_finding: dict[tuple[str, str, str, bool], list[str]] = {}
    for name, check in CHECKS.items():
        for one in check(facts):
            subjects_by_finding.setdefault((name, one.message, one.fix, one.fault), []).append(one.subject)
    merged = [
        (name, Finding(", ".join(dict.fromkeys(subjects)), message, fix, fault))
        for (name, message, fix, fault), subjects in subjects_by_finding.items()
    ]
    return sorted(merged, key=lambda one: not one[1].fault)
