"""Which part of a late pose's way is named, with its ms and what to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pose3d_ros.ros.diagnostics import Level, Record, Result
from pose3d_ros.ros.lateness import Way, lateness

STAGES = {"decode": 4.0, "detect": 40.0, "associate": 1.0, "triangulate": 3.0, "publish": 2.0}


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (Way(860.0, 840.0, {**STAGES, "detect": 760.0}), "detect takes 760 ms: use a faster detector, a GPU"),
        (Way(860.0, 840.0, {**STAGES, "decode": 700.0}), "decode takes 700 ms: send fewer or smaller images"),
        (Way(860.0, 840.0, {**STAGES, "refine": 600.0}), "refine takes 600 ms: set refine: none"),
        (Way(860.0, 840.0, {**STAGES, "associate": 500.0}), "associate takes 500 ms: use a faster machine"),
        (Way(860.0, 840.0, STAGES), "waiting takes 792 ms: let all cameras send at one rate"),
        (Way(860.0, 60.0, STAGES), "images come 800 ms after their stamps: synchronise clocks (chrony, PTP)"),
        (
            Way(860.0, 840.0, {"associate": 3.0}, detected_here=False),
            "detection elsewhere takes 837 ms: use a faster detector or a GPU on the cameras' machines",
        ),
    ],
)
def test_the_part_that_takes_the_most_is_named_with_its_fix(way: Way, words: str) -> None:
    said = lateness(way, 200.0, 5, 25)
    assert words in said
    assert "poses are 860 ms old when they leave, expected below 200" in said
    assert len(said) <= 240
    # The machine is to blame for what it does, not for clocks and networks.
    assert ("slower than the cameras" in said) == ("after their stamps" not in said)


def result(age_ms: float, stage_ms: float) -> Result:
    return Result({"detect": stage_ms}, age_ms - 20.0, 0.0, 1, ("left", "right"), age_ms=age_ms, visible_ms=200.0)


@pytest.mark.parametrize("period_s", [0.3, 0.7, 1.0])
def test_fault_machine_too_slow_for_its_cameras(period_s: float) -> None:
    """Fault: a frame set takes 0.3, 0.7 or 1 s.
    Sees: one message, "poses are 720 ms old when they leave, expected below 200: detect takes 690 ms: use a faster
    detector, ...", at every moment: between poses too, when there was none for more than stale_after_s.
    Recovers: by itself within 10 s of poses in time.
    Kind: K1
    Before: "no poses for 0.6 s: images come and are being worked on", or nothing.
    """
    record, age_ms = Record(), 1000 * period_s + 20.0
    for n in range(10):
        at_s = n * period_s
        record.begun(at_s)
        for _ in range(9):
            record.count("replaced")
        record.heard(at_s)
        record.processed(at_s, result(age_ms, age_ms - 30.0))
    for after_s in (0.05, 0.95 * period_s):
        record.heard(at_s + after_s)
        health = record.health(at_s + after_s, [], {})
        assert health.level is not Level.OK
        assert health.message.count("poses are") == 1
        assert f"poses are {age_ms:.0f} ms old when they leave, expected below 200" in health.message
        assert f"detect takes {age_ms - 30:.0f} ms: use a faster detector" in health.message
        assert health.values["age_ms"] == f"{age_ms:.2f}"
    stuck = record.health(at_s + 3.0, [], {}).message
    assert "one frame set has been in work for 3.0 s" in stuck
    record.ended()
    for n in range(400):
        record.heard(at_s + n / 30)
        record.processed(at_s + n / 30, result(40.0, 20.0))
    assert record.health(at_s + 400 / 30, [], {}).level is Level.OK


def test_a_machine_that_skips_sets_but_is_on_time_is_well() -> None:
    record = Record()
    for n in range(20):
        record.count("replaced")
        record.processed(0.1 * n, replace(result(120.0, 90.0)))
    health = record.health(2.0, [], {})
    assert health.level is Level.OK
    assert "takes the newest 19 of 38 frame sets, and poses are 120 ms old when they leave: detect" in health.message
