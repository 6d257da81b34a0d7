"""`pose3d demo` on real footage through the real graph, and its errors for wrong usage."""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import cv2
import numpy as np
import psutil
import pytest
from synthetic_people import STANDING

from pose3d_ros.cli import main
from pose3d_ros.commands import demo
from pose3d_ros.recordings.footage import reference_single, sample
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.ros.harness.processes import ChildProcesses

FRAMES = 12


@pytest.mark.usefixtures("footage", "weights")
def test_short_demo_writes_its_results_and_agrees_with_the_reference(tmp_path, capsys):
    output = tmp_path / "result"
    assert main(["demo", "--frames", str(FRAMES), "--output", str(output)]) == 0
    assert {file.name for file in output.iterdir()} == {*demo.RESULTS, demo.STILLS, "log"}
    assert load_rig(output / demo.STILLS / "rig.yaml").camera("cam01").size_wh == (1080, 1920)
    summary = json.loads((output / "summary.json").read_text())
    assert summary["frame_sets_sent"] == summary["poses_published"] == FRAMES
    assert summary["agreement_mm"]["mean"] <= 60.0
    assert summary["agreement_mm"]["joints_compared"] >= 0.98 * 12 * FRAMES
    assert summary["ghosts"] == summary["id_switches"] == 0
    assert summary["latency_ms"]["median"] > 0
    assert all(summary["stage_ms"][stage] > 0 for stage in ("detect", "triangulate", "publish"))
    assert summary["settings"]["cameras"] == ["cam01", "cam02", "cam03", "cam04"]
    video = cv2.VideoCapture(str(output / "overlay.mp4"))
    assert sum(video.grab() for _ in range(2 * FRAMES)) == FRAMES
    picture = cv2.imread(str(output / "skeleton.png"))
    assert picture.std() > 5
    assert len((output / "people.csv").read_text().splitlines()) > FRAMES
    printed = capsys.readouterr().out
    assert f"{FRAMES} / {FRAMES}" in printed
    assert str(output) in printed


@pytest.mark.usefixtures("footage", "weights")
def test_short_demo_of_one_camera_writes_results_in_world_metres(tmp_path, capsys):
    output = tmp_path / "result"
    lifter = standing_lifter(tmp_path / "standing.safetensors", true_depth_m("cam03"))
    arguments = ["--mono", "cam03", "--lifter", str(lifter), "--frames", str(FRAMES), "--output", str(output)]
    assert main(["demo", *arguments]) == 0
    assert {file.name for file in output.iterdir()} == {*demo.RESULTS, "log"}
    summary = json.loads((output / "summary.json").read_text())
    # A person gets an id with the second image.
    assert (summary["frame_sets_sent"], summary["poses_published"]) == (FRAMES, FRAMES - 1)
    assert summary["people"] == {"1": FRAMES - 1}
    assert summary["id_switches"] == 0
    assert all(summary["stage_ms"][stage] > 0 for stage in ("detect", "lift", "publish"))
    assert summary["settings"]["mono"] == "cam03"
    # The lifter returns the subject's true depth, so the root is right if lens, K and extrinsics are.
    assert summary["agreement"]["frames"] == FRAMES - 1
    assert summary["agreement"]["depth_percent"] < 2
    assert summary["agreement"]["root_mm"] < 120
    video = cv2.VideoCapture(str(output / "overlay.mp4"))
    assert sum(video.grab() for _ in range(2 * FRAMES)) == FRAMES
    rows = list(csv.DictReader((output / "people.csv").open()))
    assert {row["source"] for row in rows} == {"MONOCULAR"}
    printed = capsys.readouterr().out
    assert "Procrustes" in printed
    assert "depth off by" in printed


def true_depth_m(camera):
    """Mean depth of the subject's hips from a camera in the first frames."""
    names, xyz = reference_single()
    hips = xyz[:FRAMES, [names.index("LHip"), names.index("RHip")]].mean(axis=(0, 1))
    cam_from_world = sample("single").rig.camera(camera).cam_from_world
    return float(cam_from_world[2, :3] @ hips + cam_from_world[2, 3])


def standing_lifter(path, depth_m):
    """A lifting network that places every person standing at that depth in front of cam03."""
    import torch

    from pose3d_ros.networks.build import build
    from pose3d_ros.networks.canonical import targets
    from pose3d_ros.weights.trained import save

    recipe = {"network": "lifter", "width": 8, "without": [], "form": "paper", "dropout": 0.0}
    net = build(recipe)
    axes = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera x right, y down, z forward
    body = (STANDING - STANDING[0]) @ axes.T + (0.0, 0.0, depth_m)
    K = torch.diag(torch.tensor([1681.0, 1681, 1]))[None]
    output = targets(torch.as_tensor(body[None], dtype=torch.float32), K)
    last = net.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        # The network outputs canonical depth, for the focal length that the image is rescaled to.
        last.bias.copy_(torch.cat((output.depth * 1681 / 1150, output.pose.flatten())))
    save(path, net, recipe)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mono", "cam09"], "--mono: unknown camera 'cam09': use one of cam01, cam02, cam03, cam04"),
        (["--mono", "cam01", "--cameras", "cam01,cam02"], "--mono cam01 and --cameras cam01,cam02: give one"),
        (["--lifter", "mine.safetensors"], "give --mono CAMERA too"),
        (["--cameras", "cam01,cam09"], "unknown camera 'cam09': use two or more of cam01, cam02, cam03, cam04"),
        (["--cameras", "cam01"], "name two or more different cameras"),
        (["--cameras", "cam01,cam01"], "name two or more different cameras"),
        (["--frames", "0"], "--frames 0: give 1 or more"),
        (["--rate", "-1"], "--rate -1: give 0"),
        (["--loop", "0"], "--loop 0: give 1 or more"),
    ],
)
def test_wrong_usage_is_rejected_in_one_line_before_anything_is_written(tmp_path, capsys, arguments, message):
    output = tmp_path / "result"
    assert main(["demo", "--output", str(output), *arguments]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert message in printed[0]
    assert not output.exists()


def test_output_folder_that_cannot_be_created_is_rejected(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["demo", "--output", str(tmp_path / "file" / "result")]) == 2
    assert "cannot write there" in capsys.readouterr().err


def test_results_of_an_earlier_run_are_deleted(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "mine.txt").write_text("keep")
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    request = demo.checked(parser.parse_args(["--output", str(tmp_path)]))
    assert request.output == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "mine.txt"]


def test_importing_the_demo_needs_neither_ros_nor_torch():
    code = "import sys, pose3d_ros.commands.demo; print('rclpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.usefixtures("footage")
def test_failing_process_is_reported_with_its_last_lines_and_the_others_end(tmp_path):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    request = demo.checked(parser.parse_args(["--device", "abacus", "--output", str(tmp_path)]))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    environment = demo.isolated_environment()
    died = r"the multiview_node process exited with code 1; the last lines of .*multiview\.log:\n.*'abacus'"
    with pytest.raises(demo.DemoError, match=died), ChildProcesses(environment) as children:
        demo.record(request, children, tmp_path / "log")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


@pytest.mark.usefixtures("footage", "weights")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_stays_on_this_machine_and_leaves_no_process_behind(tmp_path, number):
    command = [sys.executable, "-m", "pose3d_ros.cli", "demo", "--loop", "100", "--output", str(tmp_path)]
    abroad = {"ROS_DOMAIN_ID": "177", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_STATIC_PEERS": "192.0.2.1"}
    # A shell's background job ignores SIGINT, and so would its children: here they do not.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": os.environ | abroad}
    with subprocess.Popen(command, preexec_fn=listen, **pipe) as process:
        until = time.monotonic() + 120  # a busy machine starts three nodes slowly
        children: list[psutil.Process] = []
        environments: list[dict[str, str]] = []
        while len(environments) < 3 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
            with suppress(psutil.NoSuchProcess):  # what starts the nodes may have children for a moment
                children = psutil.Process(process.pid).children(recursive=True)
                environments = [child.environ() for child in children]
        try:
            assert len(environments) == 3, process.poll()
            for environment in environments:
                assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
                assert environment["ROS_DOMAIN_ID"] != "177"
                assert "ROS_STATIC_PEERS" not in environment
            os.kill(process.pid, number)
            _, printed = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "stopped" in printed
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
