"""The Dockerfile against the rest of the tree: no image can be built here."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
# What setup.py calls as pip does, and package.xml as rosdep does.
ROSDEP = {"opencv-python-headless": "python3-opencv", "pyyaml": "python3-yaml"}


def test_everything_that_the_package_needs_is_installed_by_rosdep_or_pip() -> None:
    assignments = [node for node in ast.parse((ROOT / "setup.py").read_text()).body if isinstance(node, ast.Assign)]
    core = next(ast.literal_eval(node.value) for node in assignments if node.targets[0].id == "CORE")
    # Jazzy and later bring Python 3.12.
    needed = {re.match(r"[\w.-]+", one).group().lower() for one in core if "python_version <" not in one}
    declared = {element.text for element in ElementTree.parse(ROOT / "package.xml").getroot().iter("exec_depend")}
    by_rosdep = {name for name in needed if ROSDEP.get(name, f"python3-{name}") in declared}
    pip = re.search(r"pip install .*?\n\s+(.*?)\n", DOCKERFILE).group(1)
    assert needed - by_rosdep <= set(pip.split())


def test_what_is_copied_is_there_and_what_is_private_or_built_stays_outside() -> None:
    for name in re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE):
        assert (ROOT / name).exists(), name
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".*", "build", "install", "log", "pose3d_ros/msg", "**/*.so"} <= set(ignored)
    for name in ("package.xml", "CMakeLists.txt", "msg", "launch", "config", "scripts", "docker", "constraints.txt"):
        assert name not in ignored


def test_it_runs_as_an_ordinary_user_and_starts_a_launch_file_that_exists() -> None:
    user = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1]
    assert user.isdigit()
    assert int(user) > 0
    command = re.search(r'^CMD \["(.*?)"\]', DOCKERFILE, re.MULTILINE).group(1)
    assert (ROOT / "launch" / command).is_file()


def test_the_entry_point_takes_a_launch_file_or_any_command(tmp_path: Path) -> None:
    """With stand-ins for the two set-ups and for ros2."""
    (tmp_path / "jazzy").mkdir()
    for file in (tmp_path / "jazzy" / "setup.bash", tmp_path / "setup.bash"):
        file.write_text('export SOURCED="$SOURCED+"\n')
    script = (ROOT / "scripts" / "container_entrypoint").read_text()
    script = script.replace("/opt/ros/", f"{tmp_path}/").replace("/opt/pose3d_ros/", f"{tmp_path}/")
    (tmp_path / "entrypoint").write_text(script)
    (tmp_path / "ros2").write_text('#!/bin/sh\necho "$SOURCED ros2" "$@"\n')
    (tmp_path / "ros2").chmod(0o755)

    def said(*arguments: str) -> str:
        env = {"ROS_DISTRO": "jazzy", "PATH": f"{tmp_path}:/usr/bin:/bin"}
        command = ["bash", str(tmp_path / "entrypoint"), *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()

    assert said("mono.launch.py", "camera:=a b") == "++ ros2 launch pose3d_ros mono.launch.py camera:=a b"
    assert said("echo", "stereo.launch.py") == "stereo.launch.py"
