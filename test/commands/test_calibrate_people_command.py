"""`pose3d calibrate people`, `sync` and `refine`: what is read, printed, written and refused; the solver is put in."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from people_recordings import RIG, A, B, calibration, write_coco
from synthetic_recording import recording

from pose3d_ros.calibration.people import Clock, PeopleCalibration, PeopleOptions
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.cli import build_parser, main
from pose3d_ros.commands import calibrate_people, calibrate_refine, calibrate_sync
from pose3d_ros.commands.people_report import camera_std
from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.structures import Rig

OFFSETS = {A: 0.0, B: 0.4}


class Solver:
    """Stands where calibrate_people, refine_rig and recording_clocks do; keeps what it was given."""

    def __init__(self, found: PeopleCalibration) -> None:
        self.found, self.views, self.options = found, (), PeopleOptions()
        self.rig: Rig | None = None

    def people(self, views: Sequence[PeopleViews], options: PeopleOptions) -> PeopleCalibration:
        self.views, self.options = tuple(views), options
        return self.found

    def refine(self, rig: Rig, views: Sequence[PeopleViews], options: PeopleOptions) -> PeopleCalibration:
        self.rig = rig
        return self.people(views, options)

    def clocks(self, views: Sequence[PeopleViews], rig: Rig | None, options: PeopleOptions) -> dict[str, Clock]:
        self.rig = rig
        return dict(self.people(views, options).clocks)


@pytest.fixture
def solver(monkeypatch: pytest.MonkeyPatch) -> Solver:
    made = Solver(calibration())
    monkeypatch.setattr(calibrate_people, "calibrate_people", made.people)
    monkeypatch.setattr(calibrate_refine, "refine_rig", made.refine)
    monkeypatch.setattr(calibrate_sync, "recording_clocks", made.clocks)
    return made


@pytest.fixture
def coco(tmp_path: Path) -> list[str]:
    """The arguments of two cameras' keypoint files and their lenses."""
    paths = write_coco(tmp_path / "coco", 15.0, 60, OFFSETS)
    save_rig(RIG, tmp_path / "lenses.yaml")
    return [*(f"{name}={path}" for name, path in paths.items()), "--fps", "15"]


def run(tmp_path: Path, action: str, *arguments: str) -> int:
    return main(["calibrate", action, *arguments, "--output", str(tmp_path / "out")])


def test_people_write_a_rig_a_report_a_picture_and_the_next_command(
    tmp_path: Path, coco: list[str], solver: Solver, capsys: pytest.CaptureFixture[str]
) -> None:
    lenses = ["--intrinsics", str(tmp_path / "lenses.yaml")]
    assert run(tmp_path, "people", *coco, *lenses, "--stature", "1.75", "--drift") == 0
    assert solver.options == PeopleOptions(stature_m=1.75, offsets_s=None, drift=True, focal=False)
    assert [len(view.people) for view in solver.views] == [60, 60]
    out = tmp_path / "out"
    assert load_rig(out / "rig.yaml").frame_id == "floor"
    report = yaml.safe_load((out / "report.yaml").read_text())
    assert report["good"]
    row = report["cameras"][B]
    assert row["clock"] == {"offset_s": 0.37, "offset_std_s": 0.002, "drift_ppm": 0.0, "drift_std_ppm": 0.0}
    assert (row["rotation_std_deg"], row["position_std_mm"]) == (pytest.approx(0.0573, abs=1e-4), 20.0)
    assert (report["scale_std_percent"], report["floor_tilt_std_deg"]) == (4.0, pytest.approx(0.573, abs=1e-3))
    picture = cv2.imread(str(out / "people.png"))
    for half in np.array_split(picture, 2, axis=1):
        assert (half < 200).all(axis=-1).sum() > 500
    printed = capsys.readouterr().out
    assert f"{B}: began +0.3700 +-0.0020 s" in printed
    assert "scale +-4.0 %, floor +-0.57 deg; people of 1.75 m" in printed
    next_line = next(line for line in printed.splitlines() if line.startswith("next: "))
    words = shlex.split(next_line.removeprefix("next: pose3d "))
    assert build_parser().parse_args(words).offset == [f"{B}=0.3700"]
    assert main([*words, "--output", str(tmp_path / "poses"), "--no-overlay"]) == 0


def test_a_fault_refuses_the_rig_unless_it_is_forced(
    tmp_path: Path, coco: list[str], solver: Solver, capsys: pytest.CaptureFixture[str]
) -> None:
    solver.found = calibration(findings=(Finding(True, "people moved 0.2 m, expected 2 m: walk through the space"),))
    arguments = [*coco, "--intrinsics", str(tmp_path / "lenses.yaml")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rig.yaml").write_text("of an earlier run")
    assert run(tmp_path, "people", *arguments) == 1
    assert "people moved 0.2 m" in (message := capsys.readouterr().err)
    assert "is not written (--force writes it), report.yaml and people.png are" in message
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["people.png", "report.yaml"]
    assert not yaml.safe_load((tmp_path / "out" / "report.yaml").read_text())["good"]
    assert run(tmp_path, "people", *arguments, "--force") == 0
    assert "FAULT: people moved 0.2 m" in capsys.readouterr().out
    assert (tmp_path / "out" / "rig.yaml").exists()


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--distance", A, B, "2.9"], {"distance": (A, B, 2.9)}),
        (["--offset", f"{B}=-7.25"], {"offsets_s": {B: -7.25}}),
        (["--synchronised"], {"offsets_s": {}}),
        (["--intrinsics", "guess", "--size", "1000x1002"], {"focal": True}),
    ],
)  # fmt: skip
def test_options_reach_the_solver(
    tmp_path: Path, coco: list[str], solver: Solver, words: list[str], options: dict[str, Any]
) -> None:
    lenses = [] if "--intrinsics" in words else ["--intrinsics", str(tmp_path / "lenses.yaml")]
    assert run(tmp_path, "people", *coco, *lenses, *words) == 0
    assert solver.options == replace(PeopleOptions(), **options)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--stature", "175"], "--stature 175: give 0.8 to 2.4 m"),
        (["--stature", "1.7", "--distance", A, B, "2"], "give one of the two"),
        (["--distance", A, "x", "2"], "no camera 'x': there are"),
        (["--distance", A, A, "2"], "give two different cameras"),
        (["--distance", A, B, "2900"], "give two different cameras and 0.05 to 50 m"),
        (["--offset", "x=1"], "no camera 'x'"),
        (["--offset", B], "give it as CAMERA=SECONDS"),
        (["--offset", f"{B}=nan"], "give it as CAMERA=SECONDS"),
        (["--offset", f"{B}=1", "--offset", f"{B}=2"], "given twice"),
        (["--offset", f"{B}=1", "--synchronised"], "give one of the two"),
    ],
)
def test_wrong_options_are_rejected_with_the_fix(
    tmp_path: Path, coco: list[str], solver: Solver, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "people", *coco, "--intrinsics", str(tmp_path / "lenses.yaml"), *words) == 1
    assert says in capsys.readouterr().err
    assert solver.views == ()
    assert not (tmp_path / "out").exists()


def test_a_solver_that_refuses_ends_with_its_reason(
    tmp_path: Path, coco: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> PeopleCalibration:
        raise CalibrationError("people stand still")

    monkeypatch.setattr(calibrate_people, "calibrate_people", refuse)
    assert run(tmp_path, "people", *coco, "--intrinsics", str(tmp_path / "lenses.yaml")) == 1
    assert "pose3d calibrate: people stand still" in capsys.readouterr().err


def test_sync_prints_offsets_and_drift_as_estimate_takes_them(
    tmp_path: Path, coco: list[str], solver: Solver, capsys: pytest.CaptureFixture[str]
) -> None:
    solver.found = calibration(clocks={A: Clock(), B: Clock(0.4, 0.001, -48.5, 2.0)})
    save_rig(RIG, tmp_path / "rig.yaml")
    assert run(tmp_path, "sync", *coco, "--rig", str(tmp_path / "rig.yaml"), "--drift") == 0
    assert solver.rig is not None
    assert solver.rig.names == (A, B)
    assert solver.options == PeopleOptions(drift=True)
    printed = capsys.readouterr().out
    assert f"{B}: began +0.4000 +-0.0010 s, drift -48.5 +-2.0 ppm" in printed
    assert f"for `pose3d estimate`: --offset {B}=0.4000,-48.50" in printed
    assert yaml.safe_load((tmp_path / "out" / "clocks.yaml").read_text())[B]["drift_ppm"] == -48.5
    assert run(tmp_path, "sync", *coco, "--intrinsics", str(tmp_path / "lenses.yaml")) == 0
    assert solver.rig is None
    assert run(tmp_path, "sync", *coco, "--intrinsics", "guess", "--rig", str(tmp_path / "rig.yaml")) == 1
    assert "a rig has both" in capsys.readouterr().err


def moved(rig: Rig, name: str, by_m: float) -> Rig:
    """The rig with one camera elsewhere."""
    cameras = []
    for camera in rig.cameras:
        cam_from_world = camera.cam_from_world.copy()
        cam_from_world[0, 3] += by_m if camera.name == name else 0.0
        cameras.append(camera.placed(cam_from_world))
    return Rig(tuple(cameras), rig.frame_id)


def test_refine_reports_what_moved_and_leaves_the_rig_alone(
    tmp_path: Path, solver: Solver, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(cameras=2).save(tmp_path / "take.npz")
    save_rig(moved(RIG, B, 0.1), tmp_path / "rig.yaml")
    before = (tmp_path / "rig.yaml").read_text()
    arguments = [str(tmp_path / "take.npz"), "--rig", str(tmp_path / "rig.yaml")]
    solver.found = replace(calibration(clocks={A: Clock(), B: Clock()}), rig=RIG)
    assert run(tmp_path, "refine", *arguments) == 0
    assert solver.options.offsets_s == {}
    printed = capsys.readouterr().out
    assert f"{B}: moved 100.0 mm, turned 0.000 deg (+-20.0 mm, +-0.057 deg to {A})" in printed
    report = yaml.safe_load((tmp_path / "out" / "report.yaml").read_text())
    px_before, px_after = report["reprojection_px_before_after"]
    assert px_after < 0.7 * px_before
    assert load_rig(tmp_path / "out" / "rig.yaml").calibration_hash == RIG.calibration_hash
    assert (tmp_path / "rig.yaml").read_text() == before
    assert main(["calibrate", "refine", *arguments, "--output", str(tmp_path)]) == 1
    assert "is the rig itself" in capsys.readouterr().err
    assert main(["calibrate", "refine", "--rig", str(tmp_path / "rig.yaml")]) == 1
    assert "give recordings (CAMERA=PATH ...), or --topics SECONDS" in capsys.readouterr().err


def test_the_form_without_an_action_names_the_board(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["left=left.mp4", "--board", "chessboard:9x6:0.025"], ["--board", "x", "left=a"], []):
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", *words])
        assert ended.value.code == 2
        assert "pose3d calibrate board CAMERA=VIDEO" in capsys.readouterr().err


def test_the_first_camera_is_the_origin_of_all_errors() -> None:
    assert camera_std(calibration(), A) == (0.0, 0.0)
