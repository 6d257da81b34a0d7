"""Small tables: what they measure is the shape of the evaluation, not the figures of the networks."""

from __future__ import annotations

import pytest
from rendered_people import FRAMES, STARTS, made_up_scene, walkers
from synthetic_people import h36m_rig

from pose3d_ros.evaluation import trials
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene


@pytest.fixture(autouse=True)
def _few_people_for_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise (b) is scaled over fewer people; the tables' own figures take trials.MATCHING_PEOPLE."""
    monkeypatch.setattr(trials, "MATCHING_PEOPLE", 24)


@pytest.fixture(scope="module")
def scene() -> RenderedScene:
    """Two people before four cameras; joints are the COCO points."""
    return made_up_scene(h36m_rig(), walkers(STARTS, FRAMES))
