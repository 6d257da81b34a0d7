"""Adds the compiled ROS messages to what pyproject.toml says: `pip install .` runs CMakeLists.txt and ships the result.

Which ROS compiles them, first that has it: a sourced installation (AMENT_PREFIX_PATH), the ROS wheels of the build
requirements (x86_64 Linux). Where there is neither, the core is installed without messages and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
STAGE = Path("build") / "ros_stage"
PYTHON_IN_STAGE = "python"
CORE = [
    "matplotlib>=3.7",
    "numpy>=1.26",
    "numba>=0.60",
    # Its wheels: not for Macs with Intel's processors, nor 32 bits. Without it torch runs everything.
    "openvino>=2025.2; platform_machine in 'x86_64 AMD64 aarch64' and sys_platform != 'darwin' or "
    "platform_machine == 'arm64' and sys_platform == 'darwin'",
    "opencv-python-headless>=4.5",
    "platformdirs>=3",
    "PyYAML>=6",
    "safetensors>=0.4.3",
    "scipy>=1.11",
    "simplejpeg>=1.7",  # refuses JPEGs that libjpeg warns of; OpenCV does not say so
    "tomli>=2; python_version < '3.11'",  # later ones have tomllib
    "torch>=2.4",
    "tqdm>=4.60",
]
# Exact: the compiled messages need the very libraries they were linked with. Kilted, as wheels.
WHEELS_FOR = "platform_machine == 'x86_64' and sys_platform == 'linux'"
WHEELS = [
    "ros-rclpy[fastrtps]==9.1.2",
    "ros-diagnostic-msgs==5.5.1",
    "ros-geometry-msgs==5.5.1",
    "ros-sensor-msgs==5.5.1",
    "ros-std-msgs==5.5.1",
    "ros-visualization-msgs==5.5.1",
    # What our stand-ins for tf2_ros, cv_bridge and tf_transformations, which the wheels lack, are made of.
    "pytransform3d>=3.5",
    "rosbags-image>=0.10",
    "transforms3d>=0.4.1",
]


def sourced_prefixes() -> list[Path]:
    """The ROS prefixes of AMENT_PREFIX_PATH, when they can generate messages; else empty."""
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    # A prefix of ROS wheels in a virtual environment may run messages without being able to generate them.
    return prefixes if any(has_package(prefix, "rosidl_default_generators") for prefix in prefixes) else []


def wheel_prefixes() -> list[Path]:
    """The prefix that the ROS wheels of the build requirements make up; else empty."""
    spec = find_spec("rosidl_adapter")
    parents = Path(spec.origin).parents if spec and spec.origin else []
    return [parent for parent in parents if has_package(parent, "rosidl_default_generators")][:1]


def has_package(prefix: Path, package: str) -> bool:
    return (prefix / "share" / "ament_index" / "resource_index" / "packages" / package).is_file()


def cmake_environment(prefixes: list[Path]) -> dict[str, str]:
    """This process's environment with `prefixes` in front of every search path."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    additions = {
        "AMENT_PREFIX_PATH": [str(prefix) for prefix in prefixes],
        "CMAKE_PREFIX_PATH": [str(prefix) for prefix in prefixes],
        "LD_LIBRARY_PATH": [str(prefix / "lib") for prefix in prefixes],
        # pip's build isolation drops the PYTHONPATH that sourcing ROS sets; Debian keeps ROS's own tools apart.
        "PYTHONPATH": [
            str(folder)
            for prefix in prefixes
            for folder in (
                prefix / "lib" / version / "site-packages",
                prefix / "local" / "lib" / version / "dist-packages",
            )
            if folder.is_dir()
        ],
    }
    environ = dict(os.environ)
    for name, parts in additions.items():
        environ[name] = os.pathsep.join([*parts, *filter(None, [environ.get(name)])])
    return environ


def compile_package(source: Path, prefixes: list[Path]) -> None:
    """Configure, build and install one ament package into STAGE."""
    build = Path("build") / f"ros_{source.name}"
    # Always fresh: CMake's cache keeps paths of pip's temporary environment.
    shutil.rmtree(build, ignore_errors=True)
    environ = cmake_environment(prefixes)
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = [
        "cmake", "-S", str(source), "-B", str(build), *generator,
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_TESTING=OFF",
        f"-DPython3_EXECUTABLE={sys.executable}",
        f"-DPYTHON_INSTALL_DIR={PYTHON_IN_STAGE}",
        f"-DCMAKE_INSTALL_PREFIX={STAGE.resolve()}",
        f"-DCMAKE_PROJECT_INCLUDE={ROOT / 'cmake' / 'prune_missing_includes.cmake'}",
    ]  # fmt: skip
    for command in (configure, ["cmake", "--build", str(build), "--target", "install"]):
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{done.stdout}\npose3d_ros: `{' '.join(command)}` failed; its last lines are above.")


def staged_data_files(packages: list[str]) -> list[tuple[str, list[str]]]:
    """(folder below the prefix, files) of what belongs outside site-packages: libraries, headers, node scripts, share/.

    Shell hooks are colcon's.
    """
    index = STAGE / "share" / "ament_index" / "resource_index"
    # Not its parent_prefix_path: that is the temporary environment of the build.
    kept = [
        STAGE / "lib",
        STAGE / "include",
        *(index / name for name in ("packages", "package_run_dependencies", "rosidl_interfaces")),
    ]
    for package in packages:
        kept += [STAGE / "share" / package / name for name in ("package.xml", "msg", "launch", "config", "cmake")]
    found: dict[str, list[str]] = {}
    for top in kept:
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file():
                found.setdefault(str(path.parent.relative_to(STAGE)), []).append(str(path))
    return list(found.items())


class BuildWithMessages(build_py):
    """Also compiles the messages, and tf2_msgs where no prefix has it."""

    def run(self) -> None:
        if self.editable_mode:
            raise SystemExit("pose3d_ros: an editable install cannot carry compiled messages; use `pip install .`.")
        # Left over from an earlier build in this folder: a deleted module would be shipped again.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        prefixes = PREFIXES
        if not prefixes:
            self.warn("no ROS wheels for this platform and no ROS installation sourced: the core only, no messages")
            return
        shutil.rmtree(STAGE, ignore_errors=True)
        packages = {"pose3d_ros": ROOT}
        if not any(has_package(prefix, "tf2_msgs") for prefix in prefixes):
            packages["tf2_msgs"] = ROOT / "cmake" / "tf2_msgs"
        for name, source in packages.items():
            compile_package(source, prefixes)
            self.copy_generated(name)
        self.distribution.data_files[:] = staged_data_files(list(packages))

    def copy_generated(self, package: str) -> None:
        """The generated modules and the extension modules next to them, into the wheel's package."""
        source, target = STAGE / PYTHON_IN_STAGE / package, Path(self.build_lib) / package
        target.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source / "msg", target / "msg", ignore=shutil.ignore_patterns("*.c", "__pycache__"))
        for extension in source.glob("*.so"):
            shutil.copy2(extension, target)
        if not (target / "__init__.py").exists():
            (target / "__init__.py").touch()


class PlatformDistribution(Distribution):
    """A wheel with compiled messages is good for one platform and one Python."""

    def has_ext_modules(self) -> bool:
        return bool(PREFIXES)


SOURCED = sourced_prefixes()
PREFIXES = SOURCED or wheel_prefixes()

setup(
    # A sourced ROS brings its own rclpy and messages; wheels next to it would mix two distributions' libraries.
    install_requires=CORE if SOURCED else CORE + [f"{requirement}; {WHEELS_FOR}" for requirement in WHEELS],
    data_files=[],
    cmdclass={"build_py": BuildWithMessages},
    distclass=PlatformDistribution,
)
