"""Regions into a camera left out: against keypoints whose errors, and cameras whose displacements, are known."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_people import h36m_rig, walker

from pose3d_ros.commands import evaluate
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.calibration_noise import MEASURED
from pose3d_ros.evaluation.left_out import Predictions, fitted_px, predictions
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import COCO_17, H36M_17, LIMB_JOINTS, remap
from pose3d_ros.structures import Keypoints2D, Rig

FRAMES, STD_PX, OFFSET_PX = 24, 4.0, 9.0
LIMBS = [H36M_17.index(name) for name in LIMB_JOINTS]  # the others are means of them, more exact than one


def recording(offsets: bool, seed: int = 0, cameras: int = 4) -> Recording:
    """A person in view of Human3.6M's cameras; offsets displace the keypoints of every camera."""
    random = np.random.default_rng(seed)
    rig = Rig(h36m_rig("S9").cameras[:cameras])
    keypoints: dict[str, dict[int, tuple[Keypoints2D, tuple[str, ...]]]] = {}
    for camera in rig.cameras:
        offset = random.normal(0, OFFSET_PX, 2) if offsets else np.zeros(2)
        keypoints[camera.name] = {}
        for frame in range(FRAMES):
            stamp = round(frame * 1e9 / 60)
            px = project(camera, to_coco(walker((-0.5, 0.2), (0.9, 0.3), frame / 60)))[None] + offset
            px = px + random.normal(0, STD_PX, px.shape)
            covariance = np.broadcast_to(STD_PX**2 * np.eye(2), (1, COCO_17.size, 2, 2))
            people = Keypoints2D(px, np.full((1, COCO_17.size), 0.8), COCO_17, stamp, covariance=covariance)
            keypoints[camera.name][stamp] = (remap(people, H36M_17), ("1",))
    return Recording(rig, (), np.zeros(0), {}, keypoints, 0, 60.0, FRAMES, FRAMES)


def limbs(found: Predictions) -> Predictions:
    return found.select(np.isin(found.joint, LIMBS))


def test_exact_cameras_are_covered_by_the_keypoints_own_errors() -> None:
    found = limbs(predictions(recording(False), "none"))
    asked = FRAMES * len(LIMBS) * (12 + 4)  # a camera out of four, predicted by 3 pairs and 1 trio each
    assert 0.98 * asked < len(found) <= asked  # a pair cannot place a joint on its baseline
    for views in (2, 3):
        assert found.select(found.views == views).coverage() == pytest.approx(0.95, abs=0.025)
    assert found.coverage(level=0.5) == pytest.approx(0.5, abs=0.04)
    assert found.coverage(MEASURED) >= found.coverage()


def test_displaced_cameras_need_calibration_px_and_measure_it() -> None:
    found = [limbs(predictions(recording(True, seed), "none")) for seed in range(8)]
    assert np.mean([one.coverage() for one in found]) < 0.6
    assert fitted_px(found) == pytest.approx(OFFSET_PX, rel=0.35)  # 64 numbers were drawn
    assert np.mean([one.coverage(OFFSET_PX) for one in found]) == pytest.approx(0.95, abs=0.04)
    assert np.mean([one.coverage(MEASURED) for one in found]) > 0.85


def test_recordings_without_a_camera_to_leave_out_are_rejected() -> None:
    with pytest.raises(InputError, match="2 cameras, expected at least 3"):
        predictions(recording(False, cameras=2))
    bare = recording(False)
    stripped = {
        camera: {stamp: (replace(people, covariance=None), ids) for stamp, (people, ids) in seen.items()}
        for camera, seen in bare.keypoints.items()
    }
    with pytest.raises(InputError, match="no covariance"):
        predictions(replace(bare, keypoints=stripped))


def test_command_prints_writes_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(("first", "second")):
        (tmp_path / name).mkdir()
        recording(True, seed, cameras=3).save(tmp_path / name / "recording.npz")
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    folders = [str(tmp_path / name) for name in ("first", "second")]
    words = ["footage", *folders, "--json", str(tmp_path / "out.json"), "--plots", str(tmp_path / "plots")]
    assert evaluate.run(parser.parse_args(words)) == 0
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "out.json").read_text())
    rows = {row["what"]: row for row in content["tables"][0]["rows"]}
    shown = f"{rows['2 cameras']['as refine: auto, -1 px']:.1f}"
    assert shown in printed
    assert {"everything", "hips"} <= rows.keys()
    assert (tmp_path / "plots" / "left_out.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="0 px or more"):
        evaluate.run(parser.parse_args([*words, "--calibration-px", "-3"]))
