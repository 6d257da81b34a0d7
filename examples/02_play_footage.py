"""A running graph to try the next examples with, where no cameras are connected.

    .venv/bin/python examples/02_play_footage.py

Afterwards /human_pose_3d carries people, and the ROS examples have something to subscribe to. A player publishes two
cameras of the sample footage in a loop and the multi-view node estimates; Ctrl-C ends both. Stamps are the footage's,
so give subscribers `--ros-args -p use_sim_time:=true`. In a sourced workspace this does the same:
`ros2 launch pose3d_ros demo.launch.py cameras:='[cam01,cam02]'`. With your own cameras start stereo.launch.py instead.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

from pose3d_ros.recordings.footage import fetch_sample
from pose3d_ros.ros.environment import node_command, prepare


def commands(cameras: list[str], rate: float, loops: int, frames: int) -> list[list[str]]:
    """What to start: the same node programs as `ros2 run pose3d_ros multiview_node` and `... player`."""
    names = f"[{','.join(cameras)}]"
    return [
        [
            *node_command("pose3d_ros.ros.multiview_node"), "--ros-args",
            "-p", f"cameras:={names}", "-p", "placement:=tf", "-p", "fixed_frame:=world", "-p", "use_sim_time:=true",
            # The footage is looped, so the person leaps from its end to its start.
            "-p", "jump_distance_m:=1.5",
        ],
        [
            *node_command("pose3d_ros.ros.harness.player"), "--ros-args",
            "-p", "footage:=single", "-p", f"cameras:={names}",
            "-p", f"rate:={rate}", "-p", f"loop:={loops}", "-p", f"frames:={frames}",
        ],
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cameras", nargs="+", default=["cam01", "cam02"])
    parser.add_argument("--rate", type=float, default=0.0, help="frame sets a second; 0: all are answered")
    parser.add_argument("--loops", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=0, help="frame sets of each loop; 0: all")
    args = parser.parse_args()
    fetch_sample("single")  # a download of 67 MB where the footage is not in the cache yet
    prepare()  # Fast DDS's memory for images, and the folder of the ROS wheels
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes = [subprocess.Popen(each) for each in commands(args.cameras, args.rate, args.loops, args.frames)]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.1)
    except KeyboardInterrupt:
        return 0
    finally:
        ended = [process.poll() for process in processes]
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait(timeout=20)
    return max(abs(code or 0) for code in ended)  # a node that could not start has given the reason


if __name__ == "__main__":
    sys.exit(main())
