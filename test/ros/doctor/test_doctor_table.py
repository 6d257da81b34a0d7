"""Two figures: of healthy graphs how many false alarms, of faults how many are named, and named first.

`pytest -rP test/ros/doctor/test_doctor_table.py` prints the tables.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from healthy_systems import SYSTEMS
from seeded_systems import CAUSES, SEEDED, TO_KNOW

from pose3d_ros.ros.doctor.checks import CHECKS, judge
from pose3d_ros.ros.doctor.facts import Facts
from pose3d_ros.ros.doctor.report import healthy, printed


def reported(facts: Facts) -> list[str]:
    """Names of the faults in the order of the report."""
    return [name for name, finding in judge(facts) if finding.fault]


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_fault_is_reported_of_a_healthy_system(name: str) -> None:
    found = judge(SYSTEMS[name])
    assert healthy(found), printed(SYSTEMS[name], found)


@pytest.mark.parametrize("name", CAUSES)
def test_the_first_finding_is_the_cause(name: str) -> None:
    facts, check, words = CAUSES[name]
    found = judge(facts)
    assert found, name
    assert found[0][0] == check, printed(facts, found)
    assert words in f"{found[0][1].subject}: {found[0][1].says}"


# What is found without a node, or is made of what the node itself reports.
NODELESS = {"ros_missing", "node_not_running", "node_silent", "node_says", "no_person", *TO_KNOW}


@pytest.mark.parametrize("name", [name for name in SEEDED if name not in NODELESS])
def test_a_fault_stays_first_with_what_the_node_makes_of_it(name: str) -> None:
    """The node gives no poses and says so, as it does in most of these systems."""
    facts = SEEDED[name][0]
    sick = replace(facts.nodes[0], level=2, message="no poses yet: some consequence", max_people=0)
    assert reported(replace(facts, nodes=(sick, *facts.nodes[1:])))[0] == name


def test_the_two_figures() -> None:
    alarms = {name: reported(facts) for name, facts in SYSTEMS.items()}
    faults = {**{name: (facts, name) for name, (facts, _) in SEEDED.items() if name not in TO_KNOW},
              **{name: (facts, check) for name, (facts, check, _) in CAUSES.items()}}  # fmt: skip
    named = {}
    for name, (facts, check) in faults.items():
        found = reported(facts)
        named[name] = check in found, found[:1] == [check]
    print("| healthy graph | false alarms |\n|---|---|")
    for name, found in alarms.items():
        print(f"| {name} | {len(found)} {', '.join(found)} |")
    print("\n| fault | named | first |\n|---|---|---|")
    for name, (is_named, is_first) in named.items():
        print(f"| {name} | {'yes' if is_named else 'NO'} | {'yes' if is_first else 'NO'} |")
    n = len(faults)
    print(f"\n{len(alarms)} healthy graphs: {sum(map(len, alarms.values()))} false alarms")
    print(f"{n} faults: {sum(one for one, _ in named.values())} named, {sum(one for _, one in named.values())} first")
    assert sum(map(len, alarms.values())) == 0
    assert all(is_named and is_first for is_named, is_first in named.values())
    assert len(alarms) >= 10
    assert set(SEEDED) <= set(CHECKS)
