#!/usr/bin/env python3
"""From a bare clone to the running program, with nothing but Python 3.10 to 3.13.

  python3 scripts/bootstrap.py demo [...]     install, then `pose3d demo [...]`: the main job on real footage
  python3 scripts/bootstrap.py test [...]     install, then pytest [...] against the installed package
  python3 scripts/bootstrap.py mutations      install, then show that each fault test fails without its guard
  python3 scripts/bootstrap.py run CMD [...]  install, then a command of the environment: run pose3d models list
  python3 scripts/bootstrap.py install        install only

What is installed lands in .venv in this checkout; delete it to start over. Footage and models are kept in the user's
cache (~/.cache/pose3d_ros, or POSE3D_CACHE), results in ./pose3d_output unless --output says else. A run with nothing
changed installs nothing and needs no network; after a change in the sources only the package is built again.

Options go before the command, the command's own after it:
  python3 scripts/bootstrap.py --torch cpu --index URL demo --people multi --output out
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

CHECKOUT = Path(__file__).resolve().parents[1]
CONSTRAINTS = CHECKOUT / "constraints.txt"
SUPPORTED = ("3.13", "3.12", "3.11", "3.10")
# What a wheel of the package is made of.
SOURCES = (
    "pose3d_ros", "msg", "cmake", "launch", "config", "scripts/node", "CMakeLists.txt", "package.xml", "setup.py",
    "README.md", "LICENSE",
)  # fmt: skip
# A process of the tests takes 1.5 GB at the most.
MOST_PROCESSES = 4
USED = {"view", "export", "bag"}
TESTED = {*USED, "train", "render", "onnx", "cpp", "datasets", "test"}
EXTRAS = {"demo": USED, "test": TESTED, "mutations": TESTED, "run": USED, "install": USED}


def main() -> int:
    arguments = parse()
    python = choose_python(arguments.python)
    try:
        check_prerequisites(python)
        environment = Environment(Path(arguments.venv).resolve(), python, arguments.torch, arguments.index)
        environment.install(EXTRAS[arguments.command])
        return run(environment, arguments.command, arguments.rest)
    except KeyboardInterrupt:
        print("\nstopped; the next run goes on from here", file=sys.stderr)
        return 130


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="the Python to build upon (default: this one, or a 3.10 to 3.13 on PATH)")
    parser.add_argument("--venv", default=str(CHECKOUT / ".venv"), help="where to install (default: .venv)")
    parser.add_argument(
        "--torch",
        default="",
        metavar="cpu|cuda|SPEC",
        help="which PyTorch: the CPU build (about 200 MB; on x86_64 Linux pip needs the index of CPU builds, "
        "see --index), the CUDA build (about 3 GB with its libraries), or a requirement such as torch==2.9.1. "
        "Default: whatever pip finds for the version in constraints.txt, its size said before",
    )
    parser.add_argument(
        "--index",
        metavar="URL",
        help="one more package index for PyTorch (the environment's PIP_EXTRA_INDEX_URL works too); "
        "PyTorch's installation page names its index of CPU builds",
    )
    parser.add_argument("command", choices=EXTRAS, help="what to do, see above")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="passed on to the command")
    return parser.parse_args()


# -- before anything is installed ------------------------------------------------------------------------------------


def choose_python(wanted: str | None) -> str:
    """The interpreter to build upon: the wanted one, this one, or the first fitting one on PATH."""
    if wanted:
        return shutil.which(wanted) or fail(f"--python {wanted}: there is no such program.")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version in SUPPORTED:
        return sys.executable
    for other in SUPPORTED:
        path = shutil.which(f"python{other}")
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            print(f"Python {version} is not supported (no ROS wheels are tested with it): using {path}")
            return path
    fail(f"Python {version} is not supported: install one of {', '.join(SUPPORTED)} and give it with --python.")


def check_prerequisites(python: str) -> None:
    """Name everything that is missing at once, with the one line that brings it."""
    questions = (
        "import importlib.util as u, json, os, platform, sys, sysconfig;"
        "print(json.dumps({'version': '%d.%d' % sys.version_info[:2],"
        "'venv': all(u.find_spec(m) for m in ('venv', 'ensurepip')),"
        "'headers': os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h')),"
        "'wheels': sys.platform == 'linux' and platform.machine() == 'x86_64'}))"
    )
    done = subprocess.run([python, "-c", questions], capture_output=True, text=True)
    if done.returncode:
        fail(f"{python} does not run:\n{done.stderr.strip()}\nGive another Python with --python.")
    facts = json.loads(done.stdout)
    version = facts["version"]
    if version not in SUPPORTED:
        fail(f"{python} is Python {version}; the ROS wheels are tested with {', '.join(SUPPORTED)}. Give --python.")
    compiles = facts["wheels"] or "AMENT_PREFIX_PATH" in os.environ
    missing = {
        f"the modules venv and ensurepip of Python {version}": None if facts["venv"] else f"python{version}-venv",
        f"the header Python.h of Python {version}": None
        if facts["headers"] or not compiles
        else f"python{version}-dev",
        "a C and C++ compiler": None
        if not compiles or (program("CC", "cc", "gcc", "clang") and program("CXX", "c++", "g++", "clang++"))
        else "build-essential",
    }
    packages = [package for package in missing.values() if package]
    if packages:
        names = "\n".join(f"  - {name}" for name, package in missing.items() if package)
        fail(f"missing:\n{names}\nOn Debian and Ubuntu:\n  sudo apt install {' '.join(packages)}")
    if not compiles:
        print("No ROS wheels exist for this platform and no ROS is sourced: installing the core, without ROS nodes.")


def program(variable: str, *names: str) -> str | None:
    return next(filter(None, map(shutil.which, (os.environ.get(variable) or names[0], *names))), None)


# -- installing ------------------------------------------------------------------------------------------------------


class Environment:
    """The virtual environment and the stamp of what is in it."""

    def __init__(self, folder: Path, python: str, torch: str, index: str | None) -> None:
        self.folder, self.python, self.index = folder, python, index
        self.stamp = folder / "pose3d_bootstrap.json"
        known = self.read_stamp()
        # Without --torch an environment keeps the torch it has.
        self.torch = torch or known.get("torch", "")
        self.torch_requirement = torch_requirement(self.torch)
        # What decides which other packages are installed, and what a wheel of this one is made of.
        project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").partition("\n[tool.")[0]
        self.requirements = digest(("constraints.txt", "setup.py"), project + self.torch)
        self.sources = digest(SOURCES, project)

    def read_stamp(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.stamp.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def write_stamp(self, **fields: object) -> None:
        self.stamp.write_text(json.dumps(self.read_stamp() | fields), encoding="utf-8")

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    def runs(self) -> bool:
        """Whether its Python and pip start."""
        try:
            return subprocess.run([self.program("python"), "-m", "pip", "-V"], capture_output=True).returncode == 0
        except OSError:
            return False

    def install(self, extras: set[str]) -> None:
        """Bring the environment up to date, doing only what the stamp says is to be done."""
        known = self.read_stamp()
        extras = extras | set(known.get("extras", []))
        fresh = known.get("requirements") != self.requirements
        rebuild = known.get("sources") != self.sources
        if not fresh and not rebuild and extras == set(known.get("extras", [])):
            return
        start = time.monotonic()
        if not known and self.folder.exists() and any(self.folder.iterdir()):
            fail(f"{self.folder} exists, but not of this script's making: remove it or give another --venv.")
        if known and not self.runs():
            say(f"{self.folder} is unfinished or its Python is gone: starting over")
            shutil.rmtree(self.folder)
        if not self.folder.exists():
            say(f"making a virtual environment in {self.folder}")
            self.folder.mkdir(parents=True)
            self.write_stamp(python=self.python)
            call([self.python, "-m", "venv", str(self.folder)])
        if fresh:
            self.write_stamp(torch=self.torch)
            # The pip that comes with Python 3.10 knows neither metadata without download nor clear progress.
            self.pip("installing pip", ["pip>=24.2"])
            self.install_torch()
        wheel = self.build_wheel(fresh) if fresh or rebuild else None
        if fresh or extras != set(known.get("extras", [])):
            name = f"{wheel or 'pose3d_ros'}[{','.join(sorted(extras))}]"
            with self.constraints() as constraints:
                self.pip("installing the packages this one needs", ["-c", constraints, name])
        if wheel:
            self.pip("installing pose3d_ros", ["--no-deps", "--no-index", "--force-reinstall", str(wheel)])
        self.write_stamp(requirements=self.requirements, sources=self.sources, extras=sorted(extras))
        say(f"installed in {time.monotonic() - start:.0f} s")

    def install_torch(self) -> None:
        index = ["--extra-index-url", self.index] if self.index else []
        with self.constraints() as constraints:
            target = ["-c", constraints, *index, self.torch_requirement]
            self.tell_size(target)
            self.pip(f"installing {self.torch_requirement}", target)

    def tell_size(self, target: list[str]) -> None:
        """Say what a CUDA build costs before it is downloaded; refuse it when the CPU build was asked for."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            say("asking pip which PyTorch there is")
            command = ["install", "--dry-run", "--quiet", "--report", str(report), *target]
            done = subprocess.run([self.program("python"), "-m", "pip", *command], capture_output=True, text=True)
            if done.returncode:
                fail(
                    f"pip finds no {target[-1]} for this Python and platform:\n{done.stderr.strip()[-800:]}\n"
                    "Check the network; for CPU builds give --index URL or set PIP_EXTRA_INDEX_URL."
                )
            found = json.loads(report.read_text(encoding="utf-8"))["install"]
        cuda = [item for item in found if re.match(r"(nvidia|cuda|triton|torch$)", item["metadata"]["name"])]
        if not any(item["metadata"]["name"].startswith(("nvidia", "cuda")) for item in cuda):
            return
        size = download_size([item["download_info"]["url"] for item in cuda])
        say(f"this PyTorch comes with CUDA: {len(cuda)} packages, {size} to download, nearly twice that on disk.")
        if self.torch == "cpu":
            fail("--torch cpu, but pip only finds the CUDA build: give --index URL or set PIP_EXTRA_INDEX_URL.")
        if self.torch != "cuda":
            say("Without a GPU, stop here (Ctrl-C) and use: --torch cpu --index URL (see --help).")

    def build_wheel(self, fresh: bool) -> Path:
        """Build the package in an environment that is kept, so that a rebuild needs no network."""
        builder = self.folder / "build"
        python = str(builder / "bin" / "python")
        if fresh or not builder.exists():
            shutil.rmtree(builder, ignore_errors=True)
            call([self.python, "-m", "venv", str(builder)])
            self.pip("installing what compiles the messages", ["pip>=24.2"], python)
            with self.constraints() as constraints:
                self.pip("", ["-c", constraints, "wheel", *build_requirements()], python)
        say("building pose3d_ros and its messages")
        with tempfile.TemporaryDirectory() as folder:
            # A copy: setuptools leaves build/ and *.egg-info behind.
            for name in (*SOURCES, "pyproject.toml"):
                copy(CHECKOUT / name, Path(folder) / "source" / name)
            wheels = self.folder / "wheels"
            shutil.rmtree(wheels, ignore_errors=True)
            command = ["wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir"]
            environ = clean_environment() | {"PATH": f"{builder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
            call([python, "-m", "pip", *command, str(wheels), str(Path(folder) / "source")], env=environ)
        return next(wheels.glob("*.whl"))

    def pip(self, title: str, arguments: list[str], python: str | None = None) -> None:
        if title:
            say(title)
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        common = ["install", "--disable-pip-version-check", *quiet]
        call([python or self.program("python"), "-m", "pip", *common, *arguments], env=clean_environment())

    def constraints(self) -> Constraints:
        return Constraints(self.torch)


class Constraints:
    """A context: the path of the constraints to use, those of the project but for a torch the user chose."""

    def __init__(self, torch: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "constraints.txt"
        lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
        if torch not in ("", "cpu", "cuda"):
            lines = [line for line in lines if not line.startswith("torch==")] + [torch]
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def __enter__(self) -> str:
        return str(self.path)

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


def torch_requirement(choice: str) -> str:
    pinned = re.search(r"^torch==\S+", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned, "constraints.txt pins torch"
    if choice in ("", "cuda"):
        return pinned.group()
    # Only x86_64 Linux has CPU builds under a name of their own.
    if choice == "cpu":
        return pinned.group() + ("+cpu" if sys.platform == "linux" and os.uname().machine == "x86_64" else "")
    if not re.match(r"torch\b", choice):
        fail(f"--torch {choice}: expected cpu, cuda or a requirement such as torch==2.9.1.")
    return choice


def build_requirements() -> list[str]:
    """build-system.requires of pyproject.toml, in which every entry is one quoted line (Python 3.10 has no tomllib)."""
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^requires = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block, "pyproject.toml has build-system.requires"
    return re.findall(r'^\s*"(.+)",', block.group(1), re.MULTILINE)


def download_size(urls: list[str]) -> str:
    """The sum of what the servers say, in GB; about 3 GB where they do not."""
    total = 0
    for url in urls:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10) as answer:
                total += int(answer.headers["Content-Length"])
        except (OSError, TypeError, ValueError):
            return "about 3 GB"
    return f"{total / 1e9:.1f} GB"


def digest(names: tuple[str, ...], text: str) -> str:
    """One hash over `text` and the names and contents of the files below `names`; generated files do not count."""
    summed = hashlib.sha256(text.encode())
    for name in names:
        top = CHECKOUT / name
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file() and not generated(path):
                summed.update(str(path.relative_to(CHECKOUT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return summed.hexdigest()


def generated(path: Path) -> bool:
    parts = path.relative_to(CHECKOUT).parts
    return path.suffix in (".so", ".pyc") or "__pycache__" in parts or parts[:2] == ("pose3d_ros", "msg")


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=lambda top, names: [n for n in names if generated(Path(top) / n)])
    else:
        shutil.copy2(source, target)


# -- running ---------------------------------------------------------------------------------------------------------


def run(environment: Environment, command: str, rest: list[str]) -> int:
    """Run the command with the installed package: nowhere is the checkout on the import path."""
    if command == "install":
        print(f"Installed. Next: {environment.program('pose3d')} --help")
        return 0
    if command == "demo":
        return wait([environment.program("pose3d"), "demo", *rest])
    if command == "run":
        if not rest or not Path(environment.program(rest[0])).exists():
            fail(f"run: expected a command of {environment.folder / 'bin'} such as `pose3d`, got {rest[:1]}")
        return wait([environment.program(rest[0]), *rest[1:]])
    if command == "mutations":
        return wait([environment.program("python"), str(CHECKOUT / "scripts" / "mutations.py"), *rest])
    # From test/, where no package folder hides the installed one, neither here nor in the processes that tests start.
    options = ["-c", str(CHECKOUT / "pyproject.toml"), "--rootdir", str(CHECKOUT)]
    if any(argument.startswith("--cov") for argument in rest):
        options.append(f"--cov-config={CHECKOUT / 'pyproject.toml'}")
    tests = [absolute(argument) for argument in rest]
    environ = {"COVERAGE_FILE": os.environ.get("COVERAGE_FILE", str(CHECKOUT / ".coverage"))}
    if not tests:
        # The whole suite: each process has files of its own, so that their graphs start once. One more than cores, for
        # a third of the time tests wait for nodes.
        options += ["-n", str(min((os.cpu_count() or 1) + 1, MOST_PROCESSES)), "--dist", "loadfile"]
        options += ["--no-loadscope-reorder"]  # test/conftest.py puts the longest files first
        environ["OMP_NUM_THREADS"] = "1"
    if not any(Path(test.partition("::")[0]).exists() for test in tests if not test.startswith("-")):
        tests.append(str(CHECKOUT / "test"))
    return wait([environment.program("pytest"), *options, *tests], cwd=CHECKOUT / "test", env=environ)


def absolute(argument: str) -> str:
    """A path (with ::test) as seen from where the user is, or the argument as it is."""
    path, separator, test = argument.partition("::")
    return f"{Path(path).resolve()}{separator}{test}" if path and Path(path).exists() else argument


def wait(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> int:
    """Run to the end; Ctrl-C reaches the command itself, and this waits until it has cleaned up."""
    with subprocess.Popen(command, cwd=cwd, env=clean_environment() | (env or {})) as process:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                continue
    return code if code >= 0 else 128 - code


def call(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env or clean_environment())
    if done.returncode:
        fail(f"`{' '.join(command)}` failed, see above. The next run goes on from here.")


def clean_environment() -> dict[str, str]:
    """This process's environment without what would put another Python's packages or ROS wheels into the next."""
    unwanted = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONHOME"}
    if not os.environ.get("AMENT_PREFIX_PATH"):
        unwanted.add("PYTHONPATH")
    if "_ROS_WHEELS_BOOTSTRAP_COMPLETE" in os.environ:
        unwanted.add("LD_LIBRARY_PATH")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def say(line: str) -> None:
    print(f"bootstrap: {line}", flush=True)


def fail(message: str) -> NoReturn:
    print(f"bootstrap: {message}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
