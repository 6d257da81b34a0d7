"""Builds the C++ program of this folder against the pose3d_ros that this Python imports, runs it and reads its message.

  python test/cpp/check.py FOLDER      FOLDER is made for the build; a colcon workspace must be sourced

Needs a C++ compiler and what `pip install 'pose3d_ros[cpp]'` or a ROS distribution brings.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pose3d_ros
from pose3d_ros.ros import environment

HERE = Path(__file__).resolve().parent


def run(command: list[str], environ: dict[str, str]) -> str:
    """The output of a command; raises RuntimeError with it where the command fails."""
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout[-6000:]}")
    return done.stdout


def wire_bytes(build: Path) -> bytes:
    """What the program wrote: a HumanPose3DArray as it goes over the wire."""
    environ = dict(os.environ)
    environment.prepare(environ)
    prefixes = environ["AMENT_PREFIX_PATH"].split(os.pathsep)
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])  # cmake's wheel
    environ["CMAKE_PREFIX_PATH"] = os.pathsep.join(prefixes)
    libraries = [*(f"{one}/lib" for one in prefixes), environ.get("LD_LIBRARY_PATH", "")]
    environ["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    configure = ["cmake", "-S", str(HERE), "-B", str(build), f"-DPython3_EXECUTABLE={sys.executable}"]
    said = run(configure, environ)
    (own,) = (one for one in prefixes if Path(pose3d_ros.__file__).is_relative_to(one))
    assert f"({own}/share/pose3d_ros/cmake)" in said, said
    run(["cmake", "--build", str(build)], environ)
    run([str(build / "fills_poses"), str(build / "message")], environ)
    return (build / "message").read_bytes()


def check(build: Path) -> None:
    """Raise unless the message reads in Python as C++ filled it."""
    from rclpy.serialization import deserialize_message

    from pose3d_ros.msg import HumanPose3DArray

    message = deserialize_message(wire_bytes(build), HumanPose3DArray)
    (person,) = message.people
    assert (message.skeleton, message.header.frame_id, message.header.stamp.sec) == ("h36m_17", "world", 5)
    assert (person.id, len(person.joints)) == ("7", 17)
    assert [joint.position.x for joint in person.joints] == [0.5 * j for j in range(17)]
    assert {joint.confidence for joint in person.joints} == {0.25}
    assert {(joint.orientation.z, *joint.orientation_std) for joint in person.joints} == {(1.0, 0.5, 0.25, 0.125)}
    assert [*person.foot_contact, person.stature, *message.floor_plane] == [0.0, 1.0, 1.75, 0.0, 0.0, 1.0, -0.5]


if __name__ == "__main__":
    check(Path(sys.argv[1]))
    print(f"C++ against {Path(pose3d_ros.__file__).parent}: right")
