"""`pose3d demo` on the real footage through the real graph, and what it says of wrong wishes."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import cv2
import psutil
import pytest

from pose3d_ros import demo
from pose3d_ros.cli import main
from pose3d_ros.ros.processes import ChildProcesses

FRAMES = 12


@pytest.mark.usefixtures("footage", "weights")
def test_a_short_demo_writes_exactly_its_results_and_they_agree_with_the_reference(tmp_path, capsys):
    output = tmp_path / "result"
    assert main(["demo", "--frames", str(FRAMES), "--output", str(output)]) == 0
    assert {file.name for file in output.iterdir()} == {*demo.RESULTS, "log"}
    summary = json.loads((output / "summary.json").read_text())
    assert summary["frame_sets_sent"] == summary["poses_published"] == FRAMES
    assert summary["agreement_mm"]["mean"] <= 60.0
    assert summary["agreement_mm"]["joints_compared"] >= 0.98 * 12 * FRAMES
    assert summary["ghosts"] == summary["id_switches"] == 0
    assert 0 < summary["latency_ms"]["median"] < 5000
    assert all(summary["stage_ms"][stage] > 0 for stage in ("detect", "triangulate", "publish"))
    assert summary["settings"]["cameras"] == ["cam01", "cam02", "cam03", "cam04"]
    video = cv2.VideoCapture(str(output / "overlay.mp4"))
    assert sum(video.grab() for _ in range(2 * FRAMES)) == FRAMES
    picture = cv2.imread(str(output / "skeleton.png"))
    assert picture.std() > 5
    assert len((output / "people.csv").read_text().splitlines()) > FRAMES
    said = capsys.readouterr().out
    assert f"{FRAMES} / {FRAMES}" in said
    assert str(output) in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cameras", "cam01,cam09"], "no camera 'cam09': use two or more of cam01, cam02, cam03, cam04"),
        (["--cameras", "cam01"], "name two or more different cameras"),
        (["--cameras", "cam01,cam01"], "name two or more different cameras"),
        (["--frames", "0"], "--frames 0: give 1 or more"),
        (["--rate", "-1"], "--rate -1: give 0"),
        (["--loop", "0"], "--loop 0: give 1 or more"),
    ],
)
def test_a_wrong_wish_is_refused_in_one_line_before_anything_is_made(tmp_path, capsys, arguments, message):
    output = tmp_path / "result"
    assert main(["demo", "--output", str(output), *arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert message in said[0]
    assert not output.exists()


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["demo", "--output", str(tmp_path / "file" / "result")]) == 2
    assert "cannot write there" in capsys.readouterr().err


def test_results_of_an_earlier_run_do_not_survive(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "mine.txt").write_text("keep")
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    request = demo.checked(parser.parse_args(["--output", str(tmp_path)]))
    assert request.output == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "mine.txt"]


def test_importing_the_demo_needs_neither_ros_nor_torch():
    code = "import sys, pose3d_ros.demo; print('rclpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.usefixtures("footage")
def test_a_process_that_fails_is_named_with_its_last_lines_and_the_others_end(tmp_path):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    request = demo.checked(parser.parse_args(["--device", "abacus", "--output", str(tmp_path)]))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    environment = demo.isolated_environment()
    died = r"the multiview_node process ended with exit code 1; the last lines of .*multiview\.log:\n.*'abacus'"
    with pytest.raises(demo.DemoError, match=died), ChildProcesses(environment) as children:
        demo.record(request, children, tmp_path / "log")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


@pytest.mark.usefixtures("footage", "weights")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_behind(tmp_path, number):
    command = [sys.executable, "-m", "pose3d_ros.cli", "demo", "--loop", "100", "--output", str(tmp_path)]
    # A shell's background job ignores SIGINT, and so would its children: here they do not.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=listen, **pipe) as process:
        until = time.monotonic() + 30
        children: list[psutil.Process] = []
        while len(children) < 3 and time.monotonic() < until:
            time.sleep(0.1)
            children = psutil.Process(process.pid).children(recursive=True)
        try:
            assert len(children) == 3
            os.kill(process.pid, number)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "stopped" in said
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
