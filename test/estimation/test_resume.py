"""A run that stops and goes on gives, to the last bit, what one that never stopped gives, with every option on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from object_graph import differences
from reports import report_of
from small_lifter import FlatLoaded
from synthetic_people import h36m_rig, seen, walker
from trained_for_tests import biased, file_of

from pose3d_ros.errors import FootageError
from pose3d_ros.estimation import checkpoint
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.monitoring.health import CalibrationReport
from pose3d_ros.state import load_state
from pose3d_ros.structures import Keypoints2D, Rig
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate

RIG = Rig(h36m_rig("S9").cameras[:3])
RATE_HZ, COUNT = 8, 104
STOPS = (70, 99)  # in the middle of a clock estimate; while one camera is alone
ALONE = range(97, 101)
LATE_S = dict(zip(RIG.names, (0.0, 0.03, -0.02), strict=True))


def moment(k: int) -> dict[str, Keypoints2D]:
    """Two people who walk, one of them hidden now and then; clocks that differ, and one camera alone for a while."""
    random = np.random.default_rng(k)
    found = {}
    for camera in RIG.cameras[: 1 if k in ALONE else 3]:
        t_s = k / RATE_HZ - LATE_S[camera.name]
        people = np.stack([walker((-2.5, -0.6), (0.5, 0.05), t_s), walker((0.9, -2.5), (-0.05, 0.45), t_s)])
        one = seen(camera, people, random, noise_px=0.3, stamp_ns=10**18 + round(k * 1e9 / RATE_HZ))
        found[camera.name] = one.select([0] if k % 11 == 7 else [0, 1])
    return found


class Made:
    """Estimators with everything switched on that remembers anything, over small networks."""

    def __init__(self, folder: Path) -> None:
        self.options = EstimatorOptions(
            refine="posern", posern_weights=file_of(biased((0.01, 0.0)), folder), smoothing="body",
            compensate_offsets=True, calibration_px=-1.0, jump_distance_m=0.5, max_people=5,
        )  # fmt: skip

    def __call__(self) -> PoseEstimator:
        fallback = PersonLifter(lifter=FlatLoaded())  # type: ignore[arg-type]
        return PoseEstimator(RIG, options=self.options, lifter=fallback)


class Straight(NamedTuple):
    """A run that never stops: what it gave, the estimator afterwards, and its state after so many moments."""

    made: Made
    estimates: list[Estimate]
    estimator: PoseEstimator
    kept: dict[int, bytes]

    def resumed(self, stop: int, **other: Any) -> PoseEstimator:
        estimator = self.made()
        estimator.load_state_dict({**checkpoint.from_bytes(self.kept[stop]), **other})
        return estimator


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Straight]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small networks wait for each other's threads where the machine is busy
    made = Made(tmp_path_factory.mktemp("networks"))
    estimator, estimates, kept = made(), [], {}
    for k in range(COUNT):
        estimates.append(estimator.estimate_from_keypoints(moment(k)))
        if k + 1 in STOPS:
            kept[k + 1] = checkpoint.to_bytes(estimator.state_dict())
    yield Straight(made, estimates, estimator, kept)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("stop", STOPS)
def test_fault_resumed_run_with_every_option(stop: int, straight: Straight) -> None:
    """Fault: `pose3d estimate` is stopped and goes on with --resume, with compensate_offsets and every other option.
    Sees: the poses of a run that never stopped, to the last bit; nothing that the estimator holds differs.
    Recovers: --resume.
    Kind: K8
    Before: clock offsets and the images before began again: poses 33 mm and 29 ms different.
    """
    resumed = straight.resumed(stop)
    for k in range(stop, COUNT):
        pair = [
            replace(one, stage_ms={}) for one in (straight.estimates[k], resumed.estimate_from_keypoints(moment(k)))
        ]
        assert not list(differences(*pair)), k
    assert not list(differences(straight.estimator, resumed))


def test_the_run_that_is_compared_uses_everything(straight: Straight) -> None:
    last = straight.estimates[-1]
    assert report_of(last, ClockEstimate).usable_s  # compensate_offsets has something to compensate
    assert report_of(last, CalibrationReport).state == "as at the start"
    assert any(one.lifted_from for one in straight.estimates)
    assert last.refinement.method == "posern"
    state = checkpoint.from_bytes(straight.kept[70])
    assert state["background"]["clock_offsets"]["_under_way"].number > 0
    assert all(part for name, part in state.items()), state.keys()


def test_a_part_that_begins_again_is_found(straight: Straight) -> None:
    whole, fresh = straight.resumed(99), straight.made().state_dict()
    for name in fresh.keys() - {"earlier_rigs"}:  # there is one rig
        assert list(differences(whole, straight.resumed(99, **{name: fresh[name]}))), name


def test_a_state_of_another_version_is_refused(straight: Straight) -> None:
    state = checkpoint.from_bytes(straight.kept[70])
    with pytest.raises(FootageError, match=r"other parts \(tracker\): another version"):
        straight.made().load_state_dict({name: one for name, one in state.items() if name != "tracker"})
    with pytest.raises(FootageError, match=r"state of Smoother does not fit \(_more\): another version"):
        straight.made().load_state_dict({**state, "smoother": {**state["smoother"], "_more": 1}})


class Part:
    def __init__(self) -> None:
        self.a = 1


def test_a_part_keeps_its_attributes_when_the_state_does_not_fit() -> None:
    part = Part()
    with pytest.raises(FootageError):
        load_state(part, {"b": 2})
    assert vars(part) == {"a": 1}
