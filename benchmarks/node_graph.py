"""The genuine multi-view node between a process that plays cameras and hears it, on this machine's own DDS domain."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import CHECKOUT
from pose3d_ros.errors import Pose3DError

if TYPE_CHECKING:
    from pose3d_ros.ros.harness.processes import Child

# Beyond what a run takes: starting both processes on a busy machine.
START_S = 180.0


class BenchError(Pose3DError):
    """A process of the benchmark ended or hung; the message shows its last lines."""


@dataclass(frozen=True)
class Played:
    """What a run left behind."""

    report: Any  # written by the cameras' process
    node: Any  # what the node wrote
    begun_s: float  # when the node's process was started, of time.monotonic()
    end_s: float  # from SIGINT to the node's end
    heard: Any = None  # what the listener wrote


def play(
    cameras_module: str,
    arguments: Sequence[str],
    parameters: Mapping[str, Any],
    seconds: float,
    *,
    slow_s: float = 0.0,
    cameras: int = 2,
    people: int = 1,
    listener: str = "",
) -> Played:
    """Run the node and a module that plays benchmarks/scene.py's cameras for about so many seconds.

    The module's first arguments are `arguments` and the file to write its report to, as JSON. slow_s: how long the
    node's detector takes; cameras, people: how many it knows; listener: a module that hears the node until SIGINT, and
    writes its report to its first argument. Raises BenchError.
    """
    from benchmarks.scene import rig
    from pose3d_ros.ros.harness.processes import ChildProcesses, isolated_environment, sigterm_as_interrupt

    given = {"cameras": list(rig(cameras).names), "placement": "tf", "fixed_frame": "world", **parameters}
    words = [word for key, value in given.items() for word in ("-p", f"{key}:={json.dumps(value)}")]
    ros = ["--ros-args", "--disable-external-lib-logs"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = folder / "node.json", folder / "cameras.json"
        heard = folder / "heard.json"
        with sigterm_as_interrupt(), ChildProcesses(isolated_environment()) as children:
            begun_s = time.monotonic()
            own = [str(files[0]), str(slow_s), str(cameras), str(people)]
            # Last on the import path of the children, so that an installed package goes before it.
            path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), CHECKOUT]))
            start = partial(children.start, environment={"PYTHONPATH": path})
            node = start("benchmarks.ros_node", [*own, *ros, *words], folder / "node.log")
            if listener:
                ears = start(listener, [str(heard), *ros], folder / "listener.log")
            player = start(cameras_module, [*arguments, str(files[1]), *ros], folder / "cameras.log")
            _follow(player, node, seconds)
            stopped_s = time.monotonic()
            children.stop([node])
            end_s = time.monotonic() - stopped_s
            if listener:
                children.stop([ears])
        if not files[0].exists():
            raise BenchError(f"the node left no report; its log ends with:\n{node.last_lines()}")
        node_report, cameras_report = (json.loads(file.read_text(encoding="utf-8")) for file in files)
        heard_report = json.loads(heard.read_text(encoding="utf-8")) if listener else None
        return Played(cameras_report, node_report, begun_s, end_s, heard_report)


def _follow(cameras: Child, node: Child, seconds: float) -> None:
    give_up = time.monotonic() + seconds + START_S
    while cameras.process.poll() is None and node.process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.1)
    if cameras.process.poll() != 0 or node.process.poll() is not None:
        logs = "\n".join(f"--- {one.name}\n{one.last_lines()}" for one in (cameras, node))
        raise BenchError(f"the cameras or the node did not end as they should; their logs end with:\n{logs}")
