"""The soak notices what grows, and its scene has what it says."""

from __future__ import annotations

import json
from mmap import mmap
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.scene import rig
from benchmarks.soak import LEAST_VISITORS, held, judged, judged_by_person, scene


def samples(mb_an_hour: float = 0.0, threads: int = 0, descriptors: int = 0, hours: float = 1.0) -> np.ndarray:
    """(60, 4) of a run that leaks so much; threads and descriptors grow by so many towards its end."""
    at_h = np.linspace(0.1, hours, 60)
    noise = np.random.default_rng(0).normal(0, 0.2, 60)
    late = at_h > 0.9 * hours
    return np.stack([at_h, 400 + mb_an_hour * at_h + noise, 4 + threads * late, 6 + descriptors * late], axis=1)


def test_steady_run_holds_the_target() -> None:
    slope, target = judged(samples())
    assert abs(slope) < 0.3
    assert target == "held"


@pytest.mark.parametrize("leak", [{"mb_an_hour": 3.0}, {"threads": 1}, {"descriptors": 1}, {"descriptors": -1}])
def test_leak_is_noticed(leak: dict[str, float]) -> None:
    assert judged(samples(**leak))[1] == "missed"  # type: ignore[arg-type]


def test_short_run_has_no_verdict() -> None:
    assert judged(samples(hours=0.2))[1] == "not judged below 0.25 h"


def test_resources_are_counted() -> None:
    before_mb, _, before = held()
    # Not np.ones: malloc may serve that from pages which earlier work left resident.
    with Path("/proc/self/statm").open(), mmap(-1, 32_000_000) as block:
        for page in range(0, len(block), 4096):
            block[page] = 1
        after_mb, _, after = held()
    assert after == before + 1
    assert after_mb - before_mb == pytest.approx(32, abs=8)


def test_people_come_and_go_and_a_camera_fails() -> None:
    sets = list(scene(rig(), 700))
    people = [max(len(one.xy) for one in found.values()) for found in sets]
    assert max(people[:50]) == 1
    assert max(people[60:400]) == 2
    assert max(people[410:600]) == 1
    assert {tuple(found) for found in sets[500:600]} == {("left",)}
    assert {tuple(found) for found in sets[:500]} == {("left", "right")}


def test_it_runs_and_draws(tmp_path: Path) -> None:
    plot, file = tmp_path / "soak.png", tmp_path / "soak.json"
    assert main(["soak", "--quick", "--plot", str(plot), "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())["tables"]["soak"]["rows"]
    assert row["frame sets"] >= 100
    assert row["people"] >= 1
    assert row["threads"] >= 1
    assert plot.stat().st_size > 5_000


@pytest.mark.parametrize(("kb", "target"), [(0.0, "held"), (0.9, "held"), (3.0, "missed")])
def test_memory_left_behind_by_visitors_is_noticed(kb: float, target: str) -> None:
    people = np.linspace(100, 2 * LEAST_VISITORS, 100)
    noise = np.random.default_rng(0).normal(0, 0.05, 100)
    slope, found = judged_by_person(people, 400 + kb * 1e-3 * people + noise)
    assert slope == pytest.approx(kb, abs=0.05)
    assert found == target


def test_every_visitor_has_an_id(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    assert main(["soak", "--visitors", "12", "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())["tables"]["visitors"]["rows"]
    assert row["people"] == 12
    assert row["frame sets"] == 18
