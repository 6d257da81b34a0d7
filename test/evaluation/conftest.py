"""Small tables: what they measure is the shape of the evaluation, not the figures of the networks."""

from __future__ import annotations

import pytest

from pose3d_ros.evaluation import trials


@pytest.fixture(autouse=True)
def _few_people_for_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise (b) is scaled over fewer people; the tables' own figures take trials.MATCHING_PEOPLE."""
    monkeypatch.setattr(trials, "MATCHING_PEOPLE", 24)
