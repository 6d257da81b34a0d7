"""The examples without a running graph: what each writes, against the truth."""

from __future__ import annotations

import ast
import json
import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from example_scripts import FOLDER, SCRIPTS, loaded
from synthetic_poses import pose_at

from pose3d_ros.calibration import people_scene
from pose3d_ros.recordings.footage import reference_single, sample
from pose3d_ros.recordings.playback import T0_NS, write_stills
from pose3d_ros.recordings.trc import read_trc
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D

# Joints that the reference has under the names of h36m_17. It is OpenPose-made, so it agrees to centimetres only.
LIMBS = ("RKnee", "LKnee", "RAnkle", "LAnkle", "RElbow", "LElbow")
AGREES_M = 0.15


def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The script's main with these arguments."""
    monkeypatch.setattr(sys, "argv", [str(module.__file__), *map(str, arguments)])
    return module.main() or 0


def reference(frame: int) -> Floats:
    """(6, 3) m: LIMBS of the sample's person."""
    names, xyz = reference_single()
    return xyz[frame, [names.index(name) for name in LIMBS]]


@pytest.fixture(scope="session")
def stills(footage: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stills")
    write_stills(sample("single"), folder)
    return folder


def test_examples_are_numbered_and_listed() -> None:
    assert [path.name[:3] for path in SCRIPTS] == [f"{number:02}_" for number in range(1, len(SCRIPTS) + 1)]
    page = (FOLDER.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\(\.\./examples/(.*?)\)", page) == [path.name for path in SCRIPTS]
    for target in re.findall(r"\]\(([^)]*)\)", page):
        assert (FOLDER.parent / "docs" / target).exists(), target


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_an_example_says_what_it_gives_and_how_to_run_it(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert "Afterwards" in text
    assert f".venv/bin/python examples/{path.name}" in text
    for other in re.findall(r"examples/(\d\w+\.py)", text):
        assert (FOLDER / other).exists(), other


def test_two_images_give_the_person_in_metres(
    stills: Path, weights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(loaded(1), monkeypatch, stills, "--output", tmp_path / "two.png") == 0
    people = capsys.readouterr().out.split("person ")[1:]
    found = [
        [[float(value) for value in re.search(rf"{name} +\((.*?)\)", person)[1].split(",")] for name in LIMBS]  # type: ignore[index]
        for person in people
    ]
    nearest = min(np.linalg.norm(np.array(xyz) - reference(0), axis=-1).max() for xyz in found)
    assert nearest < AGREES_M
    picture = cv2.imread(str(tmp_path / "two.png"))
    assert picture is not None
    orange = (np.abs(picture.astype(int) - (0, 165, 255)).max(axis=-1) < 40).sum()
    assert orange > 500  # the bones of the first person


def test_one_camera_gives_the_person_in_metres(
    stills: Path, weights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = loaded(12)
    pose, _, camera = module.estimate(stills, "cam03", 0.0)
    rows = [H36M_17.index(name) for name in LIMBS]
    truth = reference(0).mean(axis=0)
    off = np.array([xyz[rows].mean(axis=0) - truth for xyz in pose.xyz])
    nearest = off[np.linalg.norm(off, axis=-1).argmin()]
    distance_m = np.linalg.norm(truth - camera.centre)
    along_m = nearest @ (truth - camera.centre) / distance_m
    assert abs(along_m) < 0.15 * distance_m
    assert np.sqrt(nearest @ nearest - along_m**2) < AGREES_M
    assert run(module, monkeypatch, stills, "--output", tmp_path / "one.png") == 0
    assert cv2.imread(str(tmp_path / "one.png")) is not None


def test_exported_files_hold_the_poses(
    footage: None, weights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(loaded(7), monkeypatch, "--frames", 6, "--output", tmp_path / "people") == 0
    folder = tmp_path / "people"
    document = json.loads((folder / "people.json").read_text(encoding="utf-8"))
    names = document["skeleton"]["joint_names"]
    person = document["frames"][-1]["people"][0]
    xyz = np.array(person["position_m"], dtype=float)
    assert np.linalg.norm(xyz[[names.index(name) for name in LIMBS]] - reference(5), axis=-1).max() < AGREES_M
    markers = read_trc(folder / "people.trc")
    columns = [markers.names.index(f"{person['id']}_{name}") for name in names]
    assert np.allclose(markers.xyz[-1, columns][:, [2, 0, 1]], xyz, atol=2e-6, equal_nan=True)
    assert len((folder / "people.csv").read_text(encoding="utf-8").splitlines()) > 5 * len(names)
    motion = (folder / f"people.{person['id']}.bvh").read_text(encoding="utf-8")
    assert motion.startswith("HIERARCHY")
    frames = int(re.search(r"Frames: (\d+)", motion)[1])  # type: ignore[index]
    assert frames == sum(bool(frame["people"]) for frame in document["frames"])
    script = ast.parse((folder / "import_into_blender.py").read_text(encoding="utf-8"))
    patterns = [node.value for node in ast.walk(script) if isinstance(node, ast.Constant)]
    assert any(isinstance(one, str) and fnmatch(f"people.{person['id']}.bvh", one) for one in patterns)


def test_an_own_detector_places_the_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = loaded(8)
    assert run(module, monkeypatch, "--output", tmp_path / "own.png") == 0
    off_mm = [float(value) for value in re.findall(r"([\d.]+) mm off", capsys.readouterr().out)]
    assert len(off_mm) == 12
    assert max(off_mm) < 5.0
    assert cv2.imread(str(tmp_path / "own.png")) is not None


def test_an_own_detector_gives_no_person_without_markers() -> None:
    images = {"left": np.full((72, 96, 3), 90, np.uint8)}
    keypoints = loaded(8).MarkerDetector()(FrameSet(images, {"left": 7}))["left"]
    assert isinstance(keypoints, Keypoints2D)
    assert (len(keypoints), keypoints.stamp_ns) == (0, 7)


def test_two_phones_give_a_rig_and_poses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fewer moments than usual, so that it takes seconds."""
    module = loaded(13)
    monkeypatch.setattr(people_scene, "MOST_MOMENTS", 80)
    monkeypatch.setattr(module, "SECONDS", 25.0)
    _, truth, _ = module.simulated(tmp_path / "truth")
    assert run(module, monkeypatch, "--output", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    late_s = float(re.search(r"the second began ([+-][\d.]+) s later", printed)[1])  # type: ignore[index]
    assert late_s == pytest.approx(module.LATE_S, abs=0.03)
    moments = int(re.search(r"(\d+) moments with people", printed)[1])  # type: ignore[index]
    assert moments > 0.8 * 15 * (25.0 - module.LATE_S)
    rig = load_rig(tmp_path / "out" / "rig.yaml")
    assert rig.frame_id == "floor"
    apart, true = (float(np.linalg.norm(a.centre - b.centre)) for a, b in (rig.cameras, truth.cameras))
    assert apart == pytest.approx(true, rel=0.06)
    for camera in rig.cameras:
        assert camera.K[0, 0] == pytest.approx(truth.camera(camera.name).K[0, 0], rel=0.06)


class FakeRerun:
    """Keeps what is logged: positional and named arguments of each archetype by entity."""

    def __init__(self) -> None:
        self.logged: dict[str, list[Any]] = {}
        self.times: list[Any] = []

    def log(self, path: str, *archetypes: Any, static: bool = False) -> None:
        self.logged.setdefault(path, []).extend(archetypes)

    def set_time(self, timeline: str, timestamp: Any) -> None:
        self.times.append(timestamp)

    def __getattr__(self, name: str) -> Any:
        if name in ("ViewCoordinates",):
            return self
        return lambda *args, **named: self.Image(name, args, named)

    class Image:
        def __init__(self, kind: Any, args: Any = (), named: Any = None, **others: Any) -> None:
            self.kind, self.args, self.named = kind, args, named

        def compress(self, jpeg_quality: int) -> FakeRerun.Image:
            return self


def test_the_rerun_log_holds_people_and_cameras(
    footage: None, weights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in for rerun, which need not be installed."""
    fake, module = FakeRerun(), loaded(10)
    monkeypatch.setitem(sys.modules, "rerun", fake)
    assert run(module, monkeypatch, "--frames", 3, "--output", tmp_path / "log.rrd") == 0
    assert fake.times == [np.datetime64(T0_NS + round(k * 1e9 / 60), "ns") for k in range(3)]
    placed, lens = fake.logged["world/cam01"][:2]
    camera = sample("single").rig.camera("cam01")
    assert np.allclose(placed.named["translation"], camera.centre)
    assert np.allclose(lens.named["image_from_camera"][0, 0] / camera.K[0, 0], 480 / camera.size_wh[1], rtol=2e-3)
    people = {path.split("/")[2] for path in fake.logged if path.startswith("world/people/")}
    errors = []
    for person in people:
        points = fake.logged[f"world/people/{person}/joints"][-1]
        joints = dict(zip(points.named["labels"], points.args[0], strict=True))
        errors.append(np.linalg.norm([joints[name] for name in LIMBS] - reference(2), axis=-1).max())
        assert len(fake.logged[f"world/people/{person}/bones"]) == len(fake.logged[f"std_mm/{person}"]) >= 1
    assert min(errors) < AGREES_M


def test_the_rerun_example_says_how_to_get_rerun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert run(loaded(10), monkeypatch) == 1
    assert "pip install rerun-sdk" in capsys.readouterr().err


def test_rerun_itself_reads_a_pose(tmp_path: Path) -> None:
    """Where rerun is installed: its own types take what the example gives them."""
    rr = pytest.importorskip("rerun")
    module = loaded(10)
    xyz = np.random.default_rng(0).normal(size=(1, 17, 3))
    xyz[0, H36M_17.index("HeadTop")] = np.nan
    pose = pose_at(xyz, ("7",), 1)
    rr.init("test")
    rr.save(str(tmp_path / "log.rrd"))
    module.log_pose(rr, pose, module.PersonColours())
    rr.disconnect()
    assert (tmp_path / "log.rrd").stat().st_size > 500
