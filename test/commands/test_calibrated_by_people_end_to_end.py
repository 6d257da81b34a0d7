"""From keypoint files to a rig and to people in space by the real solver: `calibrate people`, then `estimate`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from calibration_walks import FPS, crouching_films, motion, walking_films, with_motion

from pose3d_ros.calibration import people_scene
from pose3d_ros.cli import main
from pose3d_ros.evaluation.calibration_errors import from_first, rotation_log
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.simulation.walkers import Film
from pose3d_ros.structures import Rig


@pytest.fixture(autouse=True)
def few_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_scene, "MOST_MOMENTS", 80)


def written(folder: Path, films: list[Film]) -> list[str]:
    """The arguments of COCO keypoint files of the films, and of their lenses."""
    folder.mkdir()
    words = []
    for film in films:
        entries = []
        for image, person in np.argwhere(film.found).tolist():
            points = np.column_stack([np.nan_to_num(film.xy[image, person]), film.score[image, person]])
            entries.append(
                {"image_id": image, "category_id": 1, "keypoints": points.ravel().round(3).tolist(), "score": 0.8}
            )
        path = folder / f"{film.camera.name}.json"
        path.write_text(json.dumps(entries), encoding="utf-8")
        words.append(f"{film.camera.name}={path}")
    save_rig(Rig(tuple(film.camera for film in films)), folder / "lenses.yaml")
    return [*words, "--fps", f"{FPS:g}", "--intrinsics", str(folder / "lenses.yaml")]


def test_a_walk_gives_a_rig_and_then_people_in_its_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films, truth = walking_films("room3", 1, 12.0, seed=2)
    out = tmp_path / "out"
    words = [*written(tmp_path / "coco", films), "--synchronised", "--stature", f"{truth.statures_m[0]:.3f}"]
    assert main(["calibrate", "people", *words, "--output", str(out)]) == 0
    rig = load_rig(out / "rig.yaml")
    assert rig.frame_id == "floor"
    for found, true, camera in zip(from_first(rig), from_first(truth.rig), rig.cameras, strict=True):
        assert np.rad2deg(np.linalg.norm(rotation_log(found[:3, :3] @ true[:3, :3].T))) < 0.6
        assert np.linalg.norm(found[:3, 3] - true[:3, 3]) < 0.08
        np.testing.assert_allclose(camera.K, truth.rig.camera(camera.name).K)
    report = yaml.safe_load((out / "report.yaml").read_text(encoding="utf-8"))
    assert report["good"]
    assert 0.0 < report["cameras"]["cam2"]["rotation_std_deg"] < 2.0
    assert cv2.imread(str(out / "people.png")) is not None
    printed = capsys.readouterr().out
    next_line = next(line for line in printed.splitlines() if line.startswith("next: "))
    following = shlex.split(next_line.removeprefix("next: pose3d "))
    assert main([*following, "--output", str(tmp_path / "poses"), "--no-overlay", "--formats", "json"]) == 0
    frames = json.loads((tmp_path / "poses" / "people.json").read_text(encoding="utf-8"))["frames"]
    floor_from_world = np.linalg.inv(rig.cameras[0].cam_from_world) @ truth.rig.cameras[0].cam_from_world
    off = []
    for number, frame in enumerate(frames):
        true = truth.xyz[int(np.abs(truth.t_s - number / FPS).argmin()), 0]
        true = true @ floor_from_world[:3, :3].T + floor_from_world[:3, 3]
        for person in frame["people"]:
            off.append(np.nanmedian(np.linalg.norm(np.array(person["position_m"], dtype=float) - true, axis=-1)))
    assert len(off) > 90
    assert np.median(off) < 0.06


def test_people_who_show_no_floor_give_a_rig_in_the_first_camera_s_frame_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, _ = crouching_films("room3", 1, 12.0)
    out = tmp_path / "out"
    words = [*written(tmp_path / "coco", films), "--synchronised"]
    assert main(["calibrate", "people", *words, "--output", str(out)]) == 0
    assert load_rig(out / "rig.yaml").frame_id == "cam1_optical"
    report = yaml.safe_load((out / "report.yaml").read_text(encoding="utf-8"))
    assert report["good"]
    assert report["frame"] == "cam1_optical"
    assert report["floor_tilt_std_deg"] is None
    printed = capsys.readouterr().out
    assert "no floor: frame cam1_optical" in printed
    assert "Put it on the floor with `pose3d calibrate align`" in printed
    assert "nan" not in printed
    assert cv2.imread(str(out / "people.png")) is not None


def test_a_rig_of_which_a_camera_was_turned_is_refined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films, truth = walking_films("room3", 1, 12.0, seed=2)
    words = written(tmp_path / "coco", films)[:-2]  # the rig has the lenses
    turned = with_motion(truth.rig, "cam2", motion((0.0, np.deg2rad(1.5), 0.0)))
    save_rig(turned, tmp_path / "rig.yaml")
    out = tmp_path / "out"
    words += ["--synchronised", "--rig", str(tmp_path / "rig.yaml")]
    assert main(["calibrate", "refine", *words, "--output", str(out)]) == 0
    found = load_rig(out / "rig.yaml")
    assert found.frame_id == truth.rig.frame_id
    relative = zip(from_first(found)[1:], from_first(truth.rig)[1:], strict=True)
    assert max(np.rad2deg(np.linalg.norm(rotation_log(a[:3, :3] @ b[:3, :3].T))) for a, b in relative) < 0.6
    before, after = yaml.safe_load((out / "report.yaml").read_text(encoding="utf-8"))["reprojection_px_before_after"]
    assert after < 0.7 * before
    assert "nan" not in capsys.readouterr().out
