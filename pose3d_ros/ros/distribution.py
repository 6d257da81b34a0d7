"""The single place that decides between a ROS distribution's packages and our stand-ins.

cv_bridge, message_filters, tf2_ros and tf_transformations come with a ROS distribution and not with pip.
Each is taken from the distribution where it is there and works, else from standins/, which has the same
interface over a well-kept library. `sources` says which was taken. launch has no stand-in: only launch
files import it, and only a launch system reads those.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np

from pose3d_ros.errors import DependencyError
from pose3d_ros.ros.standins import cv_bridge_trial

# The trial takes 0.4 s on two cores; this is for a busy machine.
TRIAL_TIMEOUT_S = 60


def choose(
    package: str, library: str, names: tuple[str, ...], trial: Callable[[], None] | None = None
) -> tuple[ModuleType, str]:
    """The distribution's package if it imports, has the names and passes the trial; else our stand-in. And its source.

    A package that is not there is no news. One that is there but broken (ImportError, AttributeError and
    SystemError were all seen of cv_bridge under another NumPy than its own) gives one RuntimeWarning. Raises
    DependencyError where the stand-in's library is missing too.
    """
    try:
        if importlib.util.find_spec(package) is not None:
            if trial is not None:
                trial()
            module = importlib.import_module(package)
            for name in names:
                getattr(module, name)
            return module, "distribution"
    except Exception as error:
        warnings.warn(
            f"{package} is installed but broken ({type(error).__name__}: {error}): using the stand-in over {library}. "
            f"To fix it, install your ROS distribution's {package} again, with the Python packages it was built for",
            RuntimeWarning,
            stacklevel=2,
        )
    try:
        return importlib.import_module(f"pose3d_ros.ros.standins.{package}"), library
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"there is no working {package} here, and its stand-in over {library} lacks the module {error.name!r}: "
            f"install your ROS distribution's {package}, or pip install {library}"
        ) from error


def try_cv_bridge() -> None:
    """Convert a pixel with the distribution's cv_bridge; raises what that raises, ImportError if it ends the process.

    Built for NumPy 1 it may do so under NumPy 2 (no exception: a segmentation fault), hence another process there.
    """
    if int(np.__version__.split(".")[0]) < 2:
        cv_bridge_trial.convert_a_pixel()
        return
    trial = subprocess.run(
        [sys.executable, "-m", cv_bridge_trial.__name__],
        capture_output=True,
        text=True,
        timeout=TRIAL_TIMEOUT_S,
        check=False,
    )
    if trial.returncode < 0:
        raise ImportError(f"its C++ half was ended by signal {-trial.returncode} under NumPy {np.__version__}")
    if trial.returncode > 0:
        raise ImportError((trial.stderr.strip().splitlines() or ["no message"])[-1])


CV_BRIDGE = ("CvBridge", "CvBridgeError")
MESSAGE_FILTERS = ("SimpleFilter", "Subscriber", "TimeSynchronizer", "ApproximateTimeSynchronizer")
TF2_ROS = (
    "Buffer",
    "TransformListener",
    "TransformBroadcaster",
    "StaticTransformBroadcaster",
    "TransformException",
    "LookupException",
    "ConnectivityException",
    "ExtrapolationException",
)
TF_TRANSFORMATIONS = ("quaternion_matrix", "quaternion_from_matrix", "translation_matrix")

# Package -> "distribution", or the library under our stand-in.
sources: dict[str, str] = {}

_cv_bridge, sources["cv_bridge"] = choose("cv_bridge", "rosbags-image", CV_BRIDGE, try_cv_bridge)
CvBridge = _cv_bridge.CvBridge
CvBridgeError = _cv_bridge.CvBridgeError

_message_filters, sources["message_filters"] = choose("message_filters", "rclpy", MESSAGE_FILTERS)
SimpleFilter = _message_filters.SimpleFilter
Subscriber = _message_filters.Subscriber
TimeSynchronizer = _message_filters.TimeSynchronizer
ApproximateTimeSynchronizer = _message_filters.ApproximateTimeSynchronizer

_tf2_ros, sources["tf2_ros"] = choose("tf2_ros", "pytransform3d", TF2_ROS)
Buffer = _tf2_ros.Buffer
TransformListener = _tf2_ros.TransformListener
TransformBroadcaster = _tf2_ros.TransformBroadcaster
StaticTransformBroadcaster = _tf2_ros.StaticTransformBroadcaster
TransformException = _tf2_ros.TransformException
LookupException = _tf2_ros.LookupException
ConnectivityException = _tf2_ros.ConnectivityException
ExtrapolationException = _tf2_ros.ExtrapolationException

_tf_transformations, sources["tf_transformations"] = choose("tf_transformations", "transforms3d", TF_TRANSFORMATIONS)
quaternion_matrix = _tf_transformations.quaternion_matrix
quaternion_from_matrix = _tf_transformations.quaternion_from_matrix
translation_matrix = _tf_transformations.translation_matrix
