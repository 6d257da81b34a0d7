"""Weights tuned on one's own rig: what is learnt, what decides, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rig_recording import PAIR, RIG, person, walking
from trained_for_tests import moving

pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'pose3d_ros[train]'")

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.refinement.tuned_rig import TunedRig
from pose3d_ros.recordings.observations import observations_2d
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Rig
from pose3d_ros.training import rig as tuning
from pose3d_ros.training.rig import SHIPPED, TRIANGULATED, TUNED, halves, least_change, tune_on_rig
from pose3d_ros.training.rig_figures import RigFigures, published
from pose3d_ros.training.rig_people import RigPeople, rig_people

START = moving(losses="rstb", lambda_b=0.002)


def people(recording: Recording, rig: Rig | None = None) -> RigPeople:
    rig = recording.rig if rig is None else rig
    return rig_people(rig, observations_2d(recording, rig), PAIR)


def error_mm(some: RigPeople, network: object) -> float:
    """Mean over the hips and shoulders, against the walker."""
    truth = np.stack([person(stamp * 1e-9) for stamp in some.stamps_ns])
    joints = [H36M_17.index(name) for name in ("RHip", "LHip", "RShoulder", "LShoulder")]
    return 1000.0 * float(np.linalg.norm((published(some, network) - truth)[:, joints], axis=-1).mean())


def test_what_a_detector_gets_wrong_in_one_camera_is_learnt_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "STEPS", (20,))
    monkeypatch.setattr(tuning, "LEARNING_RATE", 6e-3)  # as far as many steps
    recording = walking()
    found = tune_on_rig(people(recording), recording.rig, START)
    plain, shipped, tuned = (found.held_out[name] for name in (TRIANGULATED, SHIPPED, TUNED))
    assert found.better
    assert tuned.left_out_px < 0.9 * min(plain.left_out_px, shipped.left_out_px)
    whole = people(recording)
    assert error_mm(whole, found.network) < error_mm(whole, None) - 3.0
    rig = TunedRig.of(found.network.recipe)
    assert rig is not None
    assert rig.rig.names == PAIR
    assert 2.0 < rig.distance_m[0] <= rig.distance_m[1] < 8.0


def test_nothing_but_scales_and_offsets_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "STEPS", (2,))
    recording = walking()
    after = tune_on_rig(people(recording), recording.rig, START).network.net.state_dict()
    before = START.net.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(before[name].ndim == 1 and "running" not in name for name in changed)


def test_a_network_that_gains_nothing_is_not_better_and_the_reason_names_all_three(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuning, "STEPS", (2,))
    recording = walking(bias=False)
    found = tune_on_rig(people(recording), recording.rig, START)
    assert not found.better
    assert "px from the tuned network's joints" in found.why_not
    assert "from triangulated ones" in found.why_not


def test_labels_of_the_pair_alone_are_judged_by_keypoints_and_bones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "STEPS", (2,))
    recording = walking(cameras=2)
    found = tune_on_rig(people(recording), recording.rig, START)
    assert np.isnan(found.held_out[TUNED].left_out_px)
    assert not found.better or found.held_out[TUNED].bones_cv < found.held_out[TRIANGULATED].bones_cv
    good = {
        TRIANGULATED: RigFigures(np.nan, 1.0, 0.10),
        SHIPPED: RigFigures(np.nan, 2.0, 0.05),
        TUNED: RigFigures(np.nan, 1.5, 0.05),
    }
    assert tuning.why_not(good) == ""
    assert "expected 2 % nearer" in tuning.why_not({**good, TUNED: RigFigures(np.nan, 1.99, 0.05)})
    assert "bones at most half way" in tuning.why_not({**good, TUNED: RigFigures(np.nan, 1.5, 0.08)})


@pytest.mark.parametrize(
    ("recording", "rig", "words"),
    [
        (walking(speed=0.0), None, "people hardly move in the recording"),
        (walking(frames=30), None, "the recording is too short"),
        (walking(), "turned", "the rig does not fit the recording: the keypoints of "),
        (walking(), "exchanged", "the rig does not fit the recording: the keypoints of "),
    ],
)
def test_recordings_that_teach_nothing_are_rejected_with_the_reason(
    recording: Recording, rig: str | None, words: str
) -> None:
    cameras = list(recording.rig.cameras)
    if rig == "turned":  # by 4 degrees about its own y
        c, s = np.cos(np.deg2rad(4)), np.sin(np.deg2rad(4))
        turn = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1]])
        cameras[1] = cameras[1].placed(turn @ cameras[1].cam_from_world)
    if rig == "exchanged":
        one, other = cameras[2:]
        cameras[2:] = one.placed(other.cam_from_world), other.placed(one.cam_from_world)
    with pytest.raises(InputError, match=words):
        tune_on_rig(people(recording, Rig(tuple(cameras))), recording.rig, START)


@pytest.mark.parametrize("names", [(), PAIR[:1], (PAIR[0], PAIR[0])])
def test_the_networks_cameras_are_two_different_ones(names: tuple[str, ...]) -> None:
    recording = walking(frames=2)
    with pytest.raises(InputError, match="name two or more different ones"):
        rig_people(recording.rig, observations_2d(recording), names)


def test_weights_of_another_form_are_rejected() -> None:
    recording = walking()
    paper = replace(START, recipe={**START.recipe, "form": "paper"})
    with pytest.raises(InputError, match="is no CV-UGCN of form rig"):
        tune_on_rig(people(recording), recording.rig, paper)


def test_every_moment_is_judged_once_and_never_by_a_network_that_saw_it_or_a_neighbour() -> None:
    stamps = np.repeat(np.arange(200) * 50_000_000, 2)  # two people, 20 Hz
    judged = np.zeros(len(stamps))
    for taught, held_out in halves(stamps):
        assert len(taught) > 100
        judged[held_out] += 1
        apart_ns = np.abs(stamps[taught][:, None] - stamps[held_out][None]).min()
        assert apart_ns > 0.25e9
    assert (judged == 1).all()


def test_of_candidates_that_are_hardly_worse_the_one_that_changes_least_is_taken() -> None:
    assert least_change({(0.5, 40): 10.2, (0.5, 80): 10.1, (1.0, 40): 10.0}) == (0.5, 40)
    assert least_change({(0.5, 40): 12.0, (0.5, 80): 11.0, (1.0, 40): 10.0}) == (1.0, 40)


def test_a_tuned_rig_survives_its_recipe_and_knows_its_cameras_wherever_the_world_is(tmp_path: Path) -> None:
    pair = RIG.subset(PAIR)
    back = TunedRig.of({"tuned": TunedRig(pair, (2.0, 6.0)).entry()})
    assert back is not None
    assert back.distance_m == (2.0, 6.0)
    elsewhere = np.eye(4)
    elsewhere[:3, 3] = 3.0, -2.0, 0.5
    moved = tuple(camera.placed(camera.cam_from_world @ elsewhere) for camera in pair.cameras)
    assert back.why_not(moved) == ""
    assert back.why_not(moved[::-1]) == ""
    apart = np.eye(4)
    apart[0, 3] = 0.01
    other = (pair.cameras[0], pair.cameras[1].placed(pair.cameras[1].cam_from_world @ apart))
    assert "another calibration of them" in back.why_not(other)
    assert "other cameras" in back.why_not(RIG.cameras[2:])
    assert TunedRig.of({}) is None
    for broken in ({}, {"rig": {}, "distance_m": [1, 2]}, {"rig": TunedRig(pair, (1, 2)).entry()["rig"]}, 3):
        with pytest.raises(InputError):
            TunedRig.of({"tuned": broken})
