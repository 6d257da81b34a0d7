"""`pose3d estimate` on recordings with known people, on runs that stop, and on wrong usage."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_people import h36m_rig, walker

from pose3d_ros.cli import main
from pose3d_ros.commands.estimate import PARTS, RESULTS
from pose3d_ros.errors import FootageError
from pose3d_ros.estimation import missing_poses, offline, tracking
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.bvh import read_bvh
from pose3d_ros.recordings.footage_keypoints import keypoint_sample
from pose3d_ros.recordings.recording_log import RecordingLog
from pose3d_ros.recordings.trc import read_trc
from pose3d_ros.rigs.rig_frames import Z_UP_FROM
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import BODY_25, COCO_17, H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Rig

FPS, FRAMES, PART = 50.0, 40, 8
RIG = Rig(h36m_rig("S9").cameras[:3])
PATHS = (((-0.5, 0.2), (0.9, 0.3)), ((0.9, -0.8), (-0.5, 0.4)))


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    """Parts of 8 frame sets, so that a short recording has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline, "PART", PART)
        yield


def body(person: int, frame: int) -> np.ndarray:
    """(17, 3) m in h36m_17."""
    return walker(*PATHS[person], frame / FPS)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rig.yaml, truth.trc of the first person, and OpenPose files of two people in three cameras."""
    folder = tmp_path_factory.mktemp("recording")
    save_rig(RIG, folder / "rig.yaml")
    coco = [[to_coco(body(person, frame)) for person in (0, 1)] for frame in range(FRAMES)]
    for camera in RIG.cameras:
        (folder / camera.name).mkdir()
        for frame, people in enumerate(coco):
            rows = []
            for xyz in people:
                points = np.zeros((BODY_25.size, 3))
                pixels = dict(zip(COCO_17.joint_names, project(camera, xyz), strict=True))
                pixels["Neck"] = (pixels["LShoulder"] + pixels["RShoulder"]) / 2
                for joint, xy in pixels.items():
                    if np.isfinite(xy).all():
                        points[BODY_25.index(joint)] = (*xy, 0.8)
                rows.append({"pose_keypoints_2d": points.ravel().tolist()})
            text = json.dumps({"people": rows if frame % 2 else rows[::-1]})
            (folder / camera.name / f"{frame:05d}.json").write_text(text)
    names = "\t\t\t".join(LIMB_JOINTS)
    lines = ["PathFileType\t4\t(X/Y/Z)\ttruth.trc", "DataRate\tNumFrames\tUnits", f"{FPS}\t{FRAMES}\tmm"]
    lines += [f"Frame#\tTime\t{names}\t\t", "\t\tX1\tY1\tZ1"]
    for frame in range(FRAMES):
        xyz = 1000 * body(0, frame)[[H36M_17.index(name) for name in LIMB_JOINTS]]
        lines.append(f"{frame + 1}\t{frame / FPS}\t" + "\t".join(f"{value:.4f}" for value in xyz[:, [1, 2, 0]].ravel()))
    (folder / "truth.trc").write_text("\n".join(lines) + "\n")
    return folder


def arguments(recording: Path, output: Path, *more: str) -> list[str]:
    keypoints = [f"--keypoints={name}={recording / name}" for name in RIG.names]
    rest = ["--fps", f"{FPS:g}", "--output", str(output), "--no-overlay", "--refine", "none", *more]
    return ["estimate", "--rig", str(recording / "rig.yaml"), *keypoints, *rest]


# The walkers' bones swing apart: what is measured of them is right without constant bones.
AS_MEASURED = ("--param", "smoothing:=none")


def read(output: Path) -> dict[str, object]:
    return dict(json.loads((output / "summary.json").read_text()))


def reproducible(output: Path) -> Mapping[str, object]:
    """The part of the results that two runs must share: everything but their timing."""
    summary = read(output)
    files = {name: (output / name).read_bytes() for name in ("people.trc", "people.csv")}
    return {**files, **{key: value for key, value in summary.items() if key not in ("rate_hz", "stage_ms")}}


@pytest.fixture(scope="module")
def whole(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run without interruption."""
    output = tmp_path_factory.mktemp("whole") / "out"
    assert main(arguments(recording, output, "--reference", str(recording / "truth.trc"))) == 0
    return output


def test_estimated_people_agree_with_the_truth(recording: Path, tmp_path: Path) -> None:
    assert main(arguments(recording, tmp_path, "--reference", str(recording / "truth.trc"), *AS_MEASURED)) == 0
    summary = read(tmp_path)
    assert summary["agreement_mm"]["mean"] < 0.5
    assert summary["agreement_mm"]["joints_compared"] == FRAMES * len(LIMB_JOINTS)
    assert summary["people"] == {"1": FRAMES, "2": FRAMES}
    assert summary["poses_published"] == summary["frame_sets_sent"] == FRAMES
    assert summary["reprojection_px"]["p95"] < 0.5
    assert (tmp_path / "skeleton.png").stat().st_size > 10_000


def test_overlay_is_black_without_videos(recording: Path, tmp_path: Path) -> None:
    assert main([*arguments(recording, tmp_path, "--end", "0.1"), "--overlay"]) == 0
    capture = cv2.VideoCapture(str(tmp_path / "overlay.mp4"))
    pictures = [picture for ok, picture in iter(capture.read, (False, None)) if ok]
    assert len(pictures) == 5
    assert np.median(pictures[0]) < 20 < pictures[0].max()


@pytest.mark.parametrize("stops", [(0, 7, 8), (5, 30)])
def test_stopped_run_resumes_to_the_same_result(
    stops: tuple[int, ...], whole: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C at these frame sets, the final files are the same, byte for byte."""
    command = arguments(recording, tmp_path, "--reference", str(recording / "truth.trc"))
    stamps = {round(stop * 1e9 / FPS) for stop in stops}

    class Interrupting(offline.PoseEstimator):
        def estimate_from_keypoints(self, keypoints):
            if max(people.stamp_ns for people in keypoints.values()) in stamps:
                os.kill(os.getpid(), signal.SIGINT)
            return super().estimate_from_keypoints(keypoints)

    monkeypatch.setattr("pose3d_ros.estimation.estimator.PoseEstimator", Interrupting)
    for stop in stops:
        assert main([*command, "--resume"]) == 130
        assert len(RecordingLog(tmp_path / PARTS)) == stop + 1
        assert not (tmp_path / "summary.json").exists()
    assert main([*command, "--resume"]) == 0
    assert reproducible(tmp_path) == reproducible(whole)


def test_killed_run_resumes_to_the_same_result(whole: Path, recording: Path, tmp_path: Path) -> None:
    command = arguments(recording, tmp_path, "--reference", str(recording / "truth.trc"))
    code = (
        f"import sys; from pose3d_ros.cli import main; from pose3d_ros.estimation import offline; offline.PART = {PART}"
    )
    child = subprocess.Popen([sys.executable, "-c", f"{code}; main(sys.argv[1:])", *command], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while child.poll() is None and not len(RecordingLog(tmp_path / PARTS)) and time.monotonic() < until:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert len(RecordingLog(tmp_path / PARTS)) in range(PART, FRAMES + 1, PART)
    # A file left half written is not read as a part.
    (tmp_path / PARTS / "000000040-000000048.partial").write_bytes(b"half")
    assert main([*command, "--resume"]) == 0
    assert reproducible(tmp_path) == reproducible(whole)


def test_fault_disk_full_in_estimate(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fault: the disk is full while `pose3d estimate` works, or while it writes its results.
    Sees: "the disk of ... is full ...: the ... frame sets so far are kept. Free some space ... --resume"; exit code 1.
    Recovers: with --resume, which gives the files that a run without the fault gives.
    """
    # A limit on the file size simulates a full disk: both make write() fail.
    # Smoothing writes larger files than people.csv.
    rest = "--reference", str(recording / "truth.trc"), *AS_MEASURED
    command = arguments(recording, tmp_path, *rest)
    assert main(arguments(recording, tmp_path / "whole", *rest)) == 0
    whole = tmp_path / "whole"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    part = max(path.stat().st_size for path in (whole / PARTS).glob("*.npz"))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (part // 2, limits[1]))
        assert main(command) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = capsys.readouterr().err
    assert "is full" in message
    assert "--resume" in message
    assert not list((tmp_path / PARTS).glob("*.partial"))
    table = whole / "people.csv"
    try:  # enough for the parts and the run's settings, too little for people.csv
        resource.setrlimit(resource.RLIMIT_FSIZE, (table.stat().st_size - 1, limits[1]))
        assert main([*command, "--resume"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "people.csv is not written" in capsys.readouterr().err
    assert not (tmp_path / "people.csv").exists()
    assert len(RecordingLog(tmp_path / PARTS)) == FRAMES
    assert main([*command, "--resume"]) == 0
    assert reproducible(tmp_path) == reproducible(whole)


def test_resume_with_a_later_end_extends_an_earlier_run(recording: Path, whole: Path, tmp_path: Path) -> None:
    command = arguments(recording, tmp_path, "--reference", str(recording / "truth.trc"))
    assert main([*command, "--end", "0.4"]) == 0
    assert read(tmp_path)["frame_sets_sent"] == 20
    assert main([*command, "--resume"]) == 0
    assert reproducible(tmp_path) == reproducible(whole)


def test_start_stride_and_cameras_select_the_frame_sets(recording: Path, tmp_path: Path) -> None:
    cameras = ",".join(RIG.names[1:])
    more = ("--start", "0.2", "--stride", "2", "--cameras", cameras, "--reference", str(recording / "truth.trc"))
    assert main(arguments(recording, tmp_path, *more, *AS_MEASURED)) == 0
    summary = read(tmp_path)
    assert summary["frame_sets_sent"] == 15
    # With two cameras a person gets an id in the second frame set; a missing joint counts 200 mm.
    assert summary["agreement_mm"]["joints_compared"] == 14 * len(LIMB_JOINTS)
    assert summary["agreement_mm"]["mean"] == pytest.approx(200 / 15, abs=5)
    first = (tmp_path / "people.csv").read_text().splitlines()[1]
    assert int(first.split(",")[0]) == round(0.24e9)


def test_formats_select_the_files_and_all_contain_the_true_people(recording: Path, tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    assert main(arguments(recording, tmp_path, "--end", "0.4", "--formats", "json", "c3d", "bvh", *AS_MEASURED)) == 0
    files = {path.name for path in tmp_path.glob("people*")}
    assert files == {"people.json", *(f"people.{n}.{kind}" for n in (1, 2) for kind in ("c3d", "bvh"))}
    head = H36M_17.index("Nose")
    last = json.loads((tmp_path / "people.json").read_text())["frames"][-1]
    positions = {person["id"]: np.array(person["position_m"][head]) for person in last["people"]}
    points = {n: ezc3d.c3d(str(tmp_path / f"people.{n}.c3d"))["data"]["points"][:3, head, -1] for n in (1, 2)}
    motions = {n: read_bvh(tmp_path / f"people.{n}.bvh") for n in (1, 2)}
    order = (0, 1) if np.linalg.norm(positions["1"] - body(0, 19)[head]) < 0.1 else (1, 0)
    for person, n in zip(order, (1, 2), strict=True):
        true = body(person, 19)[head]
        np.testing.assert_allclose(positions[str(n)], true, atol=0.002)
        np.testing.assert_allclose(points[n] / 1000, true, atol=0.002)
        assert motions[n].fps == pytest.approx(FPS)
        pelvis = motions[n].position["Pelvis"][-1, [2, 0, 1]] / 100
        np.testing.assert_allclose(pelvis, body(person, 19)[0], atol=0.02)


def test_offset_aligns_the_cameras(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One camera's files start 10 frames late, so its frame 0 was taken 0.2 s after the others'."""
    late = tmp_path / "late"
    late.mkdir()
    for frame in range(10, FRAMES):
        text = (recording / RIG.names[0] / f"{frame:05d}.json").read_text()
        (late / f"{frame - 10:05d}.json").write_text(text)
    command = arguments(recording, tmp_path / "out", "--reference", str(recording / "truth.trc"), *AS_MEASURED)
    command = [
        f"--keypoints={RIG.names[0]}={late}" if f"={RIG.names[0]}=" in argument else argument for argument in command
    ]
    assert "the cameras end at different times" in failure(command, capsys)
    assert main([*command, f"--offset={RIG.names[0]}=0.2"]) == 0
    summary = read(tmp_path / "out")
    assert summary["frame_sets_sent"] == FRAMES - 10
    assert summary["agreement_mm"]["mean"] < 0.5


def failure(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(command) == 1
    return capsys.readouterr().err


def test_folder_with_a_run_is_not_overwritten_by_default(
    whole: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = reproducible(whole)
    command = arguments(recording, whole)
    assert "contains a run of 40 frame sets" in failure(command, capsys)
    assert "has other settings (options:" in failure([*command, "--resume", "--param", "min_views:=3"], capsys)
    assert "already has 40 frame sets, 20 are requested" in failure([*command, "--resume", "--end", "0.4"], capsys)
    assert "give one of the two" in failure([*command, "--resume", "--overwrite"], capsys)
    assert reproducible(whole) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--stride", "0"], "--stride 0: give 1 or more"),
        (["--start", "-1"], "--start -1: give seconds"),
        (["--offset", "here=1"], "the rig has no camera 'here': it has"),
        (["--offset", f"{RIG.names[0]}=soon"], "'soon' is not a number of seconds"),
        (["--cameras", "here"], "the rig has no camera 'here': it has"),
        (["--cameras", RIG.names[0]], "two cameras or more are required"),
        (["--param", "smoothing"], "give it as NAME:=VALUE"),
        (["--param", "smoothin:=none"], "did you mean 'smoothing'"),
        (["--start", "100"], "no moment is common to all cameras"),
    ],
)
def test_wrong_usage_is_rejected_with_the_fix(
    more: list[str], message: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in failure(arguments(recording, tmp_path / "out", *more), capsys)
    assert not (tmp_path / "out" / "summary.json").exists()


def test_estimating_needs_no_ros() -> None:
    names = (
        "commands.estimate",
        "commands.estimate_input",
        "commands.estimate_results",
        "estimation.offline",
        "detection.top_down",
    )
    modules = ", ".join(f"pose3d_ros.{name}" for name in names)
    code = f"import sys, {modules}; print('rclpy' in sys.modules, 'pose3d_ros.ros' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.fixture(scope="session")
def openpose() -> None:
    """Skip unless the sample's OpenPose files are in the cache."""
    try:
        keypoint_sample()
    except FootageError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("openpose")
def test_published_openpose_people_agree_with_the_reference_within_18_mm(tmp_path: Path) -> None:
    assert main(["estimate", "--footage", "openpose", "--output", str(tmp_path), "--no-overlay", *AS_MEASURED]) == 0
    summary = read(tmp_path)
    assert summary["agreement_mm"]["mean"] <= 18.0
    assert summary["agreement_mm"]["joints_compared"] == 1200
    assert {name for name in RESULTS if (tmp_path / name).exists()} == set(RESULTS) - {"overlay.mp4"}


def output_lines(command: list[str], capsys: pytest.CaptureFixture[str], code: int) -> list[str]:
    assert main(command) == code
    return capsys.readouterr().out.splitlines()


def test_fault_recording_without_a_person(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: `pose3d estimate` ends without a pose: no people, in one view only, or none that can be triangulated.
    Sees: its last line, "no person in 3D in 40 frame sets: 80 of 80 2D people score low ...", and exit code 1.
    Recovers: with another recording, rig or limit; a recording with a person exits 0.
    Kind: K3
    Before: an empty "people (id: frames)" in the table, exit code 0.
    """
    for module in (tracking, missing_poses):
        monkeypatch.setattr(module, "INIT_SCORE", 1.0)
    lines = output_lines(arguments(recording, tmp_path / "a"), capsys, 1)
    assert "no person in 3D in 40 frame sets" in lines[-1]
    assert "2D people score low" in lines[-1]
    assert (tmp_path / "a" / "people.csv").exists()
    # The same holds for a finished run that is only written again.
    again = output_lines([*arguments(recording, tmp_path / "a"), "--resume"], capsys, 1)
    assert again[-1] == lines[-1]
    one_view = tmp_path / "one_view"
    for name in RIG.names[:2]:
        (one_view / name).mkdir(parents=True)
        for frame in range(FRAMES):
            people = json.loads((recording / name / f"{frame:05d}.json").read_text())["people"]
            text = json.dumps({"people": people if (frame < FRAMES // 2) == (name == RIG.names[0]) else []})
            (one_view / name / f"{frame:05d}.json").write_text(text)
    save_rig(RIG, one_view / "rig.yaml")
    command = [argument for argument in arguments(one_view, tmp_path / "b") if f"={RIG.names[2]}=" not in argument]
    lines = output_lines(command, capsys, 1)
    assert lines[-1].endswith("never by two cameras at once")


def test_fault_recording_in_another_unit_or_world(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fault: the rig of `pose3d estimate` is in mm, or in a world whose y points down.
    Sees: "people's legs measure ...: convert its translations (or Tx) from mm to m"; "people stand along -y ...".
    Recovers: with `pose3d rig convert --unit mm`, or `--world y-down`, which the lines name.
    Kind: K4
    Before: no person and no word; y-down people upside down in people.trc and people.bvh.
    """
    folder = tmp_path / "y_down"
    folder.mkdir()
    from_true = Z_UP_FROM["-y"].T
    cameras = []
    for camera in RIG.cameras:
        cam_from_world = camera.cam_from_world.copy()
        cam_from_world[:3, :3] = cam_from_world[:3, :3] @ from_true.T
        cameras.append(camera.placed(cam_from_world))
    down = Rig(tuple(cameras))
    command = arguments(recording, tmp_path / "out", "--formats", "trc", "bvh", "csv")
    save_rig(down, folder / "rig.yaml")
    y_down = [str(folder / "rig.yaml") if argument.endswith("rig.yaml") else argument for argument in command]
    lines = output_lines(y_down, capsys, 0)
    assert any("people stand along -y of frame 'world', expected +z" in line for line in lines)
    assert "turned upright" in lines[-1]
    assert read(tmp_path / "out")["up"] == "-y"
    trc = read_trc(tmp_path / "out" / "people.trc")
    height = {name.partition("_")[2]: float(np.nanmedian(trc.xyz[:, k, 1])) for k, name in enumerate(trc.names)}
    assert height["Nose"] - height["LAnkle"] > 1.0  # y is up in a TRC file
    motion = read_bvh(tmp_path / "out" / "people.1.bvh")
    assert (motion.position["Nose"] - motion.position["LAnkle"])[:, 1].min() > 80  # cm
    # The recommended world is the right one.
    again = tmp_path / "again.yaml"
    assert main(["rig", "convert", str(folder / "rig.yaml"), str(again), "--world", "y-down"]) == 0
    np.testing.assert_allclose(load_rig(again).cameras[0].centre, RIG.cameras[0].centre, atol=1e-6)
