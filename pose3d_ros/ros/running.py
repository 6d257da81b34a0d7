"""How a node is run as a program: --help, a clean end by SIGINT or SIGTERM, user mistakes in one line."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from pose3d_ros.errors import InputError, Pose3DError
from pose3d_ros.options import describe
from pose3d_ros.ros import environment
from pose3d_ros.ros.ending import listen
from pose3d_ros.ros.mailbox import busy_workers

# A thread that wants the interpreter's lock waits so long for one that computes (Python's default: 5 ms). Receiving an
# image takes the lock several times, and next to a worker that never lets go each of them waited.
SWITCH_S = 0.0005
# How often the signals are looked at: C code that waits for messages does not hear them.
SPIN_S = 0.1


def run_node(make: Callable[[], Any], options: Sequence[type[Any]], argv: Sequence[str] | None = None) -> int:
    """Make a node, spin it until SIGINT or SIGTERM, close() and destroy it; returns the exit code.

    0 after SIGINT or SIGTERM, also while it starts; 1 with the reason where it cannot start; 128 and the signal's
    number where a second signal, or work that does not end, cuts it short (ending.py). rclpy's handlers would raise
    KeyboardInterrupt wherever the program happens to be: a second SIGINT (a terminal's to the process group, and
    launch's own) hits destroy_node.
    """
    arguments = list(sys.argv if argv is None else argv)
    if (code := answered(make, options, arguments)) is not None:
        return code
    ending = listen(make.__name__)
    node = None
    try:
        sys.setswitchinterval(SWITCH_S)
        start_ros(arguments)
        # What is loaded stays: looking through it for garbage while it grows takes half a second.
        gc.disable()
        node = make()
        gc.enable()
        executor = make_executor()
        executor.add_node(node)
        ending.started = True
        while not ending.notice():
            executor.spin_once(timeout_sec=SPIN_S)
    except Pose3DError as error:
        print(f"{make.__name__}: {error}", file=sys.stderr, flush=True)
        return 1
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    finally:
        gc.enable()
        ending.started = True
        if node is not None:
            node.close()
            if ending.notice() and (busy := busy_workers()):
                ending.abandon(f"the {busy[0]} still works on its last frame set")
            node.destroy_node()
        rclpy.try_shutdown()
        ending.stop_listening()
    return 0


def make_executor(context: Context | None = None) -> Executor:
    """The executor that costs the least, to be spun by spin_once: rclpy's events executor, where it has one.

    It waits in C++: 60 turns of a timer and 60 small messages a second took 46 ms of CPU a second, the other executor
    106. In rclpy 9.1 its spin() never calls back, spin_once does, and a subscription's callback must take the message
    alone: with a MessageInfo it is a SystemError.
    """
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:  # before ROS 2 Kilted
        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


def start_ros(arguments: Sequence[str]) -> None:
    """Initialise rclpy without its signal handlers; raises InputError for arguments that ROS cannot read."""
    environment.prepare()
    try:
        rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy's RCLError, which has no public name
        # rcl repeats itself in several lines; the first one has the cause.
        cause = str(error).strip().splitlines()[0]
        raise InputError(
            f"ROS cannot read the arguments {' '.join(arguments[1:])}: {cause}; parameters are given as "
            "--ros-args -p name:=value, or --params-file with an existing YAML file"
        ) from error


def answered(make: Callable[[], Any], options: Sequence[type[Any]], arguments: Sequence[str]) -> int | None:
    """Answer --help and arguments that are no ROS arguments; the exit code, or None where the node is to run.

    arguments begin with the program's name, or with --ros-args.
    """
    until = arguments.index("--ros-args") if "--ros-args" in arguments else len(arguments)
    own = list(arguments[1:until])
    if "--help" in own or "-h" in own:
        print(help_text(options, make.__doc__ or ""))
        return 0
    if own:
        # ROS ignores them, so that `cameras:=[a,b]` alone would change nothing and say nothing.
        print(
            f"{make.__name__}: unknown argument {own[0]!r}: parameters are set with --ros-args -p name:=value",
            file=sys.stderr,
        )
        return 2
    return None


def help_text(options: Sequence[type[Any]], summary: str) -> str:
    """Parameters with default, range and description, for --help."""
    lines = [summary.strip().splitlines()[0], "", "Set parameters with --ros-args -p name:=value:", ""]
    for kind in options:
        for name, default, allowed, description in describe(kind):
            lines.append(f"  {name} (default: {default or 'empty'}{', ' if allowed else ''}{allowed})")
            lines.append(f"      {description}")
    return "\n".join(lines)
