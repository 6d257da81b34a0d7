"""Two figures: false alarms of healthy graphs, and the share of faults that are reported, and reported first.

`pytest -rP test/ros/doctor/test_doctor_table.py` prints the tables.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from healthy_systems import SYSTEMS
from seeded_systems import CAUSES, NOTES, SEEDED

from pose3d_ros.ros.doctor.checks import CHECKS, run_checks
from pose3d_ros.ros.doctor.facts import Facts
from pose3d_ros.ros.doctor.report import healthy, printed


def reported(facts: Facts) -> list[str]:
    """Names of the faults in the order of the report."""
    return [name for name, finding in run_checks(facts) if finding.fault]


@pytest.mark.parametrize("name", SYSTEMS)
def test_healthy_system_has_no_fault(name: str) -> None:
    found = run_checks(SYSTEMS[name])
    assert healthy(found), printed(SYSTEMS[name], found)


@pytest.mark.parametrize("name", CAUSES)
def test_first_finding_is_the_cause(name: str) -> None:
    facts, check, words = CAUSES[name]
    found = run_checks(facts)
    assert found, name
    assert found[0][0] == check, printed(facts, found)
    assert words in f"{found[0][1].subject}: {found[0][1].message}"


# Checks that need no node, or that depend on the node's own report.
NODELESS = {"ros_missing", "node_not_running", "node_silent", "node_report", "no_person", *NOTES}


@pytest.mark.parametrize("name", [name for name in SEEDED if name not in NODELESS])
def test_seeded_fault_comes_before_the_report_of_the_node(name: str) -> None:
    """The node has no poses and reports it, as in most of these systems."""
    facts = SEEDED[name][0]
    reporting = replace(facts.nodes[0], level=2, message="no poses yet: some consequence", max_people=0)
    assert reported(replace(facts, nodes=(reporting, *facts.nodes[1:])))[0] == name


def test_two_figures() -> None:
    alarms = {name: reported(facts) for name, facts in SYSTEMS.items()}
    faults = {**{name: (facts, name) for name, (facts, _) in SEEDED.items() if name not in NOTES},
              **{name: (facts, check) for name, (facts, check, _) in CAUSES.items()}}  # fmt: skip
    reports = {}
    for name, (facts, check) in faults.items():
        found = reported(facts)
        reports[name] = check in found, found[:1] == [check]
    print("| healthy graph | false alarms |\n|---|---|")
    for name, found in alarms.items():
        print(f"| {name} | {len(found)} {', '.join(found)} |")
    print("\n| fault | reported | first |\n|---|---|---|")
    for name, (is_reported, is_first) in reports.items():
        print(f"| {name} | {'yes' if is_reported else 'NO'} | {'yes' if is_first else 'NO'} |")
    n = len(faults)
    print(f"\n{len(alarms)} healthy graphs: {sum(map(len, alarms.values()))} false alarms")
    print(f"{n} faults: {sum(one for one, _ in reports.values())} reported,", end=" ")
    print(f"{sum(one for _, one in reports.values())} first")
    assert sum(map(len, alarms.values())) == 0
    assert all(is_reported and is_first for is_reported, is_first in reports.values())
    assert len(alarms) >= 10
    assert set(SEEDED) <= set(CHECKS)
