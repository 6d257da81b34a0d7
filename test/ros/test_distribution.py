"""Which packages are taken: the distribution's where they work, else our stand-ins, with one warning if broken."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings

import pytest

from pose3d_ros.errors import DependencyError
from pose3d_ros.ros import distribution

PACKAGES = {
    "cv_bridge": ("rosbags-image", distribution.CV_BRIDGE),
    "message_filters": ("rclpy", distribution.MESSAGE_FILTERS),
    "tf2_ros": ("pytransform3d", distribution.TF2_ROS),
    "tf_transformations": ("transforms3d", distribution.TF_TRANSFORMATIONS),
}

# What cv_bridge built for NumPy 1 was seen to do under NumPy 2, and a package of another version.
BROKEN = {
    "ImportError": "raise ImportError('numpy.core.multiarray failed to import')",
    "AttributeError": "raise AttributeError('_ARRAY_API not found')",
    "SystemError": "raise SystemError('initialization of cv_bridge_boost raised unreported exception')",
    "ModuleNotFoundError": "import a_part_that_is_not_there",
    "missing names": "",
}


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """A folder of packages that stands first on the import path, in this process and in those it starts."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    for package in PACKAGES:
        monkeypatch.delitem(sys.modules, package, raising=False)
    yield tmp_path
    for package in PACKAGES:
        sys.modules.pop(package, None)


def put(prefix, package, code):
    (prefix / f"{package}.py").write_text(code, encoding="utf-8")
    importlib.invalidate_caches()


@pytest.mark.parametrize("package", PACKAGES)
def test_sources_say_which_package_was_taken(package):
    library, names = PACKAGES[package]
    there = importlib.util.find_spec(package) is not None
    assert distribution.sources[package] in ({"distribution", library} if there else {library})
    module = sys.modules[f"pose3d_ros.ros.standins.{package}" if distribution.sources[package] == library else package]
    for name in names:
        assert getattr(distribution, name) is getattr(module, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_works_is_taken_without_a_word(package, prefix):
    library, names = PACKAGES[package]
    put(prefix, package, "\n".join(f"class {name}: pass" for name in names))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module, source = distribution.choose(package, library, names)
    assert (module.__name__, source) == (package, "distribution")


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("package", PACKAGES)
def test_a_broken_package_gives_the_stand_in_and_one_warning_that_names_it(package, code, prefix):
    library, names = PACKAGES[package]
    put(prefix, package, code)
    with pytest.warns(RuntimeWarning, match=f"{package} is installed but broken .*stand-in over {library}") as caught:
        module, source = distribution.choose(package, library, names)
    assert len(caught) == 1
    assert (module.__name__, source) == (f"pose3d_ros.ros.standins.{package}", library)


def test_without_either_the_error_names_both_ways_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags", None)
    monkeypatch.setattr(distribution.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "pose3d_ros.ros.standins.cv_bridge", raising=False)
    monkeypatch.setitem(sys.modules, "rosbags.image", None)
    with pytest.raises(DependencyError, match=r"no working cv_bridge here.*'rosbags.*pip install rosbags-image"):
        distribution.choose("cv_bridge", "rosbags-image", distribution.CV_BRIDGE)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("raise AttributeError('_ARRAY_API not found')", "_ARRAY_API not found"),
        ("import os; os.kill(os.getpid(), 11)", "ended by signal 11"),
        ("import numpy; return numpy.array([[[1, 2, 3]]])", r"bgr8 pixel \[1, 2, 3\]"),
    ],
)
def test_a_cv_bridge_that_imports_but_cannot_convert_is_broken(body, complaint, prefix, monkeypatch):
    # The path through another process is for NumPy 2, where a cv_bridge for NumPy 1 may end this one.
    monkeypatch.setattr(distribution.np, "__version__", "2.0.0")
    code = f"CvBridgeError = TypeError\nclass CvBridge:\n    def imgmsg_to_cv2(self, *a, **k):\n        {body}\n"
    put(prefix, "cv_bridge", code)
    with pytest.warns(RuntimeWarning, match=complaint):
        _, source = distribution.choose(
            "cv_bridge", "rosbags-image", distribution.CV_BRIDGE, distribution.try_cv_bridge
        )
    assert source == "rosbags-image"


@pytest.mark.parametrize("numpy_version", ["1.26.4", "2.1.0"])
def test_a_cv_bridge_that_converts_is_taken_under_either_numpy(numpy_version, prefix, monkeypatch):
    monkeypatch.setattr(distribution.np, "__version__", numpy_version)
    stand_in = "from pose3d_ros.ros.standins.cv_bridge import CvBridge, CvBridgeError"
    put(prefix, "cv_bridge", stand_in)
    _, source = distribution.choose("cv_bridge", "rosbags-image", distribution.CV_BRIDGE, distribution.try_cv_bridge)
    assert source == "distribution"
