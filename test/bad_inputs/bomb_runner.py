"""Runs `pose3d` command lines from standard input, each in a fork with limits; prints how each one ended, as JSON.

One process imports everything once; a fork takes milliseconds. A line in is a list of words; a line out is
{"code": exit code or minus the signal, "seconds" of CPU time, "mb": peak of resident memory, "text": all output}.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
from importlib import import_module

LIMIT_S = 30
MORE_BYTES = 1_500_000_000  # of address space, beyond what the imports take
MODULES = (
    "pose3d_ros.cli", "pose3d_ros.commands.estimate_results", "pose3d_ros.estimation.estimator",
    "pose3d_ros.files.media",
    "pose3d_ros.training.recipes", "pose3d_ros.estimation.single_view", "pose3d_ros.plots.still_image",
    "PIL.PngImagePlugin", "rosbags.rosbag2", "rosbags.typesys", "onnxruntime",
)  # fmt: skip


def attempt(words: list[str]) -> None:
    """Become the command; never returns."""
    with open("/proc/self/statm") as statm:
        own = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MORE_BYTES, own + MORE_BYTES))
    signal.alarm(LIMIT_S)
    code = 99
    try:
        code = import_module("pose3d_ros.cli").main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:  # a traceback, which the test looks for by its exit code
        print(f"Traceback: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    for module in MODULES:
        import_module(module)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                attempt(json.loads(line))
            _, status, usage = os.wait4(child, 0)
            output.seek(0)
            text = output.read(100_000).decode(errors="replace")
        ended = {"code": os.waitstatus_to_exitcode(status), "seconds": usage.ru_utime + usage.ru_stime}
        print(json.dumps(ended | {"mb": usage.ru_maxrss / 1000, "text": text}), flush=True)


if __name__ == "__main__":
    main()
