"""The launch files under the genuine launch and launch_ros: what they start, with which parameters and environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip(
    "launch_ros",
    reason="launch_ros is not here (a ROS distribution has it, pip has not), and only it can load the launch files",
)

CHECKOUT = Path(__file__).resolve().parents[1]
PROFILES = "FASTDDS_DEFAULT_PROFILES_FILE"

LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(one.split(":=", 1)) for one in sys.argv[2:]]
file = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([file]))
sys.exit(service.run())
"""

# Stands for a node: writes down how it was started, then lives as long as its name's file says.
PROGRAM = """#!{python}
import json, os, sys, time
from pathlib import Path
here = Path({here!r})
name = Path(sys.argv[0]).name
files = [Path(after).read_text() for one, after in zip(sys.argv, sys.argv[1:]) if one == "--params-file"]
reported = {{"arguments": sys.argv[1:], "files": files, "profiles": os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE")}}
(here / f"{{name}}.json").write_text(json.dumps(reported))
starts = here / f"{{name}}.starts"
first = not starts.exists()
with starts.open("a") as file:
    file.write("started\\n")
if first and (here / f"{{name}}.dies").exists():
    os.kill(os.getpid(), 9)
time.sleep(float((here / f"{{name}}.lives").read_text()))
"""


class Launched:
    """A prefix whose package pose3d_ros is this checkout with programs that only say how they were started."""

    def __init__(self, folder: Path, *packages: str) -> None:
        self.folder = folder
        index = folder / "share" / "ament_index" / "resource_index" / "packages"
        index.mkdir(parents=True)
        (folder / "share" / "pose3d_ros").symlink_to(CHECKOUT)
        programs = {"pose3d_ros": ("multiview_node", "monocular_node", "detector_node", "player"), "rviz2": ("rviz2",)}
        for package in ("pose3d_ros", *packages):
            (index / package).touch()
            (folder / "lib" / package).mkdir(parents=True)
            for name in programs[package]:
                program = folder / "lib" / package / name
                program.write_text(PROGRAM.format(python=sys.executable, here=str(folder)))
                program.chmod(0o755)
                self.lives(name, 0.0)

    def lives(self, name: str, seconds: float) -> None:
        (self.folder / f"{name}.lives").write_text(str(seconds))

    def __call__(self, file: str, *arguments: str, **environment: str) -> str:
        """Launch until everything has ended, which with respawn it never has; returns what launch said."""
        if file != "demo.launch.py" and not any(one.startswith("respawn:=") for one in arguments):
            arguments = (*arguments, "respawn:=false")
        said, _ = self.running(file, *arguments, **environment).communicate(timeout=60)
        return str(said)

    def running(self, file: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Launch, and let it run."""
        inherited = {name: value for name, value in os.environ.items() if "_DEFAULT_PROFILES_FILE" not in name}
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(CHECKOUT / "launch" / file), *arguments],
            env={**inherited, "AMENT_PREFIX_PATH": str(self.folder), "ROS_LOG_DIR": str(self.folder), **environment},
            cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def starts(self, name: str) -> int:
        """How often a program was started."""
        file = self.folder / f"{name}.starts"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def started(self, name: str) -> dict[str, Any]:
        """How a program was started, its parameter files put together as ROS does it: the last one holds."""
        reported = json.loads((self.folder / f"{name}.json").read_text())
        reported["parameters"] = {}
        for text in reported["files"]:
            for section in yaml.load(text, Loader=yaml.UnsafeLoader).values():
                reported["parameters"].update(section["ros__parameters"])
        return reported

    def has_started(self, name: str) -> bool:
        return (self.folder / f"{name}.json").exists()


@pytest.fixture
def launched(tmp_path: Path) -> Launched:
    return Launched(tmp_path)


@pytest.mark.parametrize("file", ["stereo.launch.py", "demo.launch.py", "detector.launch.py"])
def test_every_argument_has_a_default_and_says_what_it_is(file: str, launched: Launched) -> None:
    code = (
        "import json, sys; from launch.launch_description_sources import PythonLaunchDescriptionSource as Source;"
        "from launch import LaunchContext;"
        "found = Source(sys.argv[1]).get_launch_description(LaunchContext()).get_launch_arguments();"
        "print(json.dumps({one.name: [one.description, one.default_value is not None] for one in found}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(CHECKOUT / "launch" / file)],
        env={**os.environ, "AMENT_PREFIX_PATH": str(launched.folder)},
        cwd=launched.folder, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    arguments = json.loads(done.stdout.splitlines()[-1])
    assert {"cameras", "device"} <= set(arguments)
    for name, (description, has_default) in arguments.items():
        assert has_default, name
        assert len(description) > 10, name
        assert description != "no description given", name


def test_without_arguments_the_parameter_file_alone_holds(launched: Launched) -> None:
    said = launched("stereo.launch.py")
    node = launched.started("multiview_node")
    assert "process has finished cleanly" in said
    assert node["files"] == [(CHECKOUT / "config" / "stereo.yaml").read_text()]
    assert node["parameters"]["cameras"] == ["left", "right"]
    assert "__node:=multiview" in node["arguments"]


def test_arguments_stand_over_the_parameter_file_and_camera_names_stay_as_written(launched: Launched) -> None:
    launched("stereo.launch.py", "cameras:=[front, no, c02]", "namespace:=robot1", "placement:=tf")
    node = launched.started("multiview_node")
    assert node["parameters"]["cameras"] in (["front", "no", "c02"], ("front", "no", "c02"))
    assert node["parameters"]["placement"] == "tf"
    assert "__ns:=/robot1" in node["arguments"]


def test_what_a_parameter_file_says_of_the_clock_holds_unless_the_argument_does(launched: Launched) -> None:
    file = launched.folder / "mine.yaml"
    file.write_text("multiview:\n  ros__parameters:\n    use_sim_time: true\n")
    launched("stereo.launch.py", f"params_file:={file}")
    assert launched.started("multiview_node")["parameters"]["use_sim_time"] is True
    launched("stereo.launch.py", f"params_file:={file}", "use_sim_time:=false")
    assert launched.started("multiview_node")["parameters"]["use_sim_time"] is False


def test_fast_dds_profiles_are_set_only_where_the_user_has_none(launched: Launched) -> None:
    said = launched("stereo.launch.py")
    profiles = launched.started("multiview_node")["profiles"]
    assert Path(profiles).samefile(CHECKOUT / "config" / "fastdds.xml")
    assert f"{PROFILES}={profiles}" in said
    launched("stereo.launch.py", **{PROFILES: "/mine.xml"})
    assert launched.started("multiview_node")["profiles"] == "/mine.xml"
    launched("stereo.launch.py", FASTRTPS_DEFAULT_PROFILES_FILE="/mine.xml")
    assert launched.started("multiview_node")["profiles"] is None


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("cameras:=left,right", "must list two names or more"),
        ("cameras:=[left]", "must list two names or more"),
        ("params_file:=/nowhere/mine.yaml", "'/nowhere/mine.yaml' is not there"),
        ("respawn:=yes", "respawn:='yes', expected true or false"),
        ("rviz:=true", "rviz2 is not installed: sudo apt install"),
    ],
)
def test_a_wrong_argument_is_reported_and_no_process_is_left_running(
    argument: str, words: str, launched: Launched
) -> None:
    assert words in launched("stereo.launch.py", argument)
    assert not launched.has_started("multiview_node")


def test_one_camera_by_its_parameter_file_alone(launched: Launched) -> None:
    said = launched("mono.launch.py")
    node = launched.started("monocular_node")
    assert "process has finished cleanly" in said
    assert node["files"] == [(CHECKOUT / "config" / "mono.yaml").read_text()]
    assert node["parameters"]["cameras"] == ["camera"]
    assert "__node:=monocular" in node["arguments"]
    assert Path(node["profiles"]).samefile(CHECKOUT / "config" / "fastdds.xml")


def test_one_cameras_arguments_stand_over_the_parameter_file(launched: Launched) -> None:
    launched(
        "mono.launch.py", "camera:=02", "namespace:=robot1", "image_topic:=/usb_cam/image_raw", "fixed_frame:=map",
        "body_height_m:=2", "device:=cpu", "use_sim_time:=true",
    )  # fmt: skip
    node = launched.started("monocular_node")
    given = node["parameters"]
    assert (list(given["cameras"]), given["image_topic"], given["fixed_frame"]) == (["02"], "/usb_cam/image_raw", "map")
    assert (given["device"], given["use_sim_time"]) == ("cpu", True)
    assert (given["body_height_m"], type(given["body_height_m"])) == (2.0, float)
    assert "__ns:=/robot1" in node["arguments"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("body_height_m:=tall", "body_height_m:='tall', expected a number of m"),
        ("params_file:=/nowhere/mine.yaml", "give the path of a copy of config/mono.yaml"),
    ],
)
def test_a_wrong_argument_for_one_camera_is_reported(argument: str, words: str, launched: Launched) -> None:
    assert words in launched("mono.launch.py", argument)
    assert not launched.has_started("monocular_node")


@pytest.mark.parametrize("name", ["realsense", "realsense_pair", "zed", "usb"])
def test_cameras_of_a_kind_are_named_and_a_file_and_arguments_stand_over_them(name: str, launched: Launched) -> None:
    shipped = yaml.safe_load((CHECKOUT / "config" / f"{name}.yaml").read_text())["/**"]["ros__parameters"]
    launched("stereo.launch.py", f"config:={name}")
    assert launched.started("multiview_node")["parameters"] == shipped
    file = launched.folder / "mine.yaml"
    file.write_text("/**:\n  ros__parameters:\n    stamp_tolerance_s: 0.5\n    smoothing: kalman\n")
    launched("stereo.launch.py", f"config:={name}", f"params_file:={file}", "placement:=file", "input:=keypoints")
    over = {"stamp_tolerance_s": 0.5, "smoothing": "kalman", "placement": "file", "input": "keypoints"}
    assert launched.started("multiview_node")["parameters"] == {**shipped, **over}


def test_a_file_of_ones_own_is_a_config_too_and_a_wrong_name_lists_those_that_ship(launched: Launched) -> None:
    file = launched.folder / "mine.yaml"
    file.write_text("/**:\n  ros__parameters:\n    cameras: [a, b]\n")
    launched("stereo.launch.py", f"config:={file}")
    assert launched.started("multiview_node")["files"] == [file.read_text()]
    assert "expected one of realsense, realsense_pair, usb, zed" in launched("stereo.launch.py", "config:=kinect")


def test_the_detector_of_one_machine_is_given_its_cameras(launched: Launched) -> None:
    said = launched("detector.launch.py", "cameras:=[02]", "config:=usb", "namespace:=robot1", "name:=detector_02")
    node = launched.started("detector_node")
    assert "process has finished cleanly" in said
    assert list(node["parameters"]["cameras"]) == ["02"]
    assert node["parameters"]["image_topic"] == "{camera}/image_raw"
    assert "__node:=detector_02" in node["arguments"]
    assert "__ns:=/robot1" in node["arguments"]
    assert Path(node["profiles"]).samefile(CHECKOUT / "config" / "fastdds.xml")
    assert "must list one name or more" in launched("detector.launch.py", "cameras:=left")


def test_fault_node_that_dies(launched: Launched) -> None:
    """Fault: the node's process is killed, or ends by an error.
    Sees: no poses, no /diagnostics of the node; launch says that the process has died.
    Recovers: the launch file starts it again after five seconds (respawn, the default).
    """
    launched.lives("multiview_node", 60.0)
    (launched.folder / "multiview_node.dies").touch()
    launch = launched.running("stereo.launch.py")
    try:
        give_up = time.monotonic() + 60.0
        while launched.starts("multiview_node") < 2:
            assert time.monotonic() < give_up, "the node was not started again"
            time.sleep(0.1)
    finally:
        launch.send_signal(signal.SIGINT)
        said, _ = launch.communicate(timeout=60)
    assert "process has died" in said
    assert launched.starts("multiview_node") == 2  # SIGINT ends it for good


def test_a_managed_node_waits_where_the_argument_says_so(launched: Launched) -> None:
    launched("stereo.launch.py")
    assert "autostart" not in launched.started("multiview_node")["parameters"]
    launched("stereo.launch.py", "autostart:=false")
    assert launched.started("multiview_node")["parameters"]["autostart"] is False


def test_rviz_looks_at_the_frame_of_the_poses_or_says_that_it_cannot_know_it(tmp_path: Path) -> None:
    launched = Launched(tmp_path, "rviz2")
    file = tmp_path / "mine.yaml"
    file.write_text("/**:\n  ros__parameters:\n    fixed_frame: map\n")
    for arguments, frame in (([f"params_file:={file}"], "map"), (["fixed_frame:=odom"], "odom"), ([], None)):
        said = launched("stereo.launch.py", "rviz:=true", *arguments)
        given = launched.started("rviz2")["arguments"]
        assert (given[given.index("-f") + 1] if "-f" in given else None) == frame
        assert ("RViz starts in frame 'world'" in said) == (frame is None)


def test_the_demo_plays_into_the_node_and_ends_with_whichever_ends(launched: Launched) -> None:
    launched.lives("player", 3600.0)  # far beyond what a launch is given to end
    launched.lives("multiview_node", 1.0)
    launched("demo.launch.py", "cameras:=[cam01,cam03]", "rate:=3.0", "people:=multi")
    node, player = launched.started("multiview_node"), launched.started("player")
    assert list(node["parameters"]["cameras"]) == list(player["parameters"]["cameras"]) == ["cam01", "cam03"]
    assert node["parameters"]["fixed_frame"] == "world"
    assert node["parameters"]["use_sim_time"] is True
    assert (player["parameters"]["footage"], player["parameters"]["rate"]) == ("multi", 3.0)
    assert Path(player["profiles"]).samefile(CHECKOUT / "config" / "fastdds.xml")
