#!/usr/bin/env python3
"""Shows that each fault test fails when the guard it tests is taken out of the program.

  python3 scripts/bootstrap.py mutations                  every entry of test/mutations/*.toml
  python3 scripts/bootstrap.py mutations --only time      entries of files, sources or tests whose name holds a word

An entry names a source file, text that occurs there once, what stands in its place without the guard, and tests:

  [[mutation]]
  file = "pose3d_ros/synchronisation/stamp_checks.py"
  remove = "if stamp_ns <= 0:"
  put = "if False:"
  tests = ["test/faults/test_fault_time.py::test_fault_stamps_zero"]

First all named tests run on an unchanged copy of the checkout and must pass. Then every entry is put into a copy of its
own, and each of its tests must fail there. The exit code is 0 when all do, else 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from tqdm import tqdm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parents[1]
# The tests of an entry take seconds; a test that hangs without the guard proves nothing.
LONGEST_S = 180
# What a test with nodes waits for does not come without the guard; with it, it comes in a second or two.
PATIENCE_S = "10"
MOST_JOBS = 4  # each takes 1.5 GB at the most
# Every entry's tests run in a process forked from one that has imported these: that takes longer than most tests.
FORKS = multiprocessing.get_context("forkserver")
# start() of one process reads the exit codes of all that ended: of two threads that read the same one, one gets 255.
POLLING = threading.Lock()
SLOW_IMPORTS = (
    "torch",
    "scipy.optimize",
    "scipy.spatial",
    "scipy.stats",
    "cv2",
    "yaml",
    "hypothesis",
    "pytest",
    "rclpy",
)
# Of `pytest -rA`: "FAILED test/a.py::test_b[c] - AssertionError".
OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR) (\S+?::\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutation:
    """One entry: `remove`, which occurs once in `file`, becomes `put`; then each of `tests` fails in some case."""

    listed_in: str
    file: str
    remove: str
    put: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.listed_in}: {self.file}: {self.remove.strip().splitlines()[0]}"

    def apply(self, tree: Path) -> None:
        """Change the file of that copy."""
        path = tree / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.remove, self.put), encoding="utf-8")
        # Python takes a compiled file for current by its source's size and second.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def mistake(self) -> str | None:
        """What is wrong with the entry itself."""
        source = CHECKOUT / self.file
        if not source.is_file():
            return f"there is no {self.file}"
        found = source.read_text(encoding="utf-8").count(self.remove)
        if found != 1:
            return f"`remove` occurs {found} times in {self.file}, expected once: give the text as it stands there now"
        return None if self.tests and self.put != self.remove else "expected tests, and a `put` that differs"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="only entries whose files or tests hold this text")
    # One more than cores: tests with nodes wait for what does not come.
    jobs = min((os.cpu_count() or 1) + 1, MOST_JOBS)
    parser.add_argument("--jobs", type=int, default=jobs, metavar="N", help="entries at a time (default: %(default)s)")
    arguments = parser.parse_args()
    mutations = [one for one in listed() if arguments.only in f"{one} {' '.join(one.tests)}"]
    if not mutations:
        print(f"no entry of test/mutations holds {arguments.only!r}", file=sys.stderr)
        return 1
    if mistakes := [f"{one}\n    {mistake}" for one in mutations if (mistake := one.mistake())]:
        print("\n".join(mistakes), file=sys.stderr)
        return 1
    FORKS.set_forkserver_preload(list(SLOW_IMPORTS))
    # Read when rclpy is imported; the tests' own conftest sets them too.
    os.environ.update(ROS_PYTHON_CHECK_FIELDS="1", ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", OMP_NUM_THREADS="1")
    with tempfile.TemporaryDirectory(prefix="mutations_") as folder:
        clean = copy_of_the_checkout(Path(folder) / "clean")
        tests = list(dict.fromkeys(test for one in mutations for test in one.tests))
        print(f"{len(mutations)} mutations; their {len(tests)} tests without any:", flush=True)
        side_by_side = ["-n", str(arguments.jobs), "--dist", "loadfile"]
        code, said = pytest(clean, [*side_by_side, *tests], timeout_s=LONGEST_S * len(mutations))
        if code or set(tests) - (passed := outcomes(said, "PASSED")):
            lacking = "" if code else f"\nnot run: {', '.join(sorted(set(tests) - passed))}"
            print(f"{said}\nThe tests must pass on the unchanged program first.{lacking}", file=sys.stderr)
            return 1
        with ThreadPoolExecutor(arguments.jobs) as pool:
            running = {pool.submit(survived, one, clean): one for one in mutations}
            done = tqdm(as_completed(running), total=len(running), unit="mutation", mininterval=5)
            survivors = {running[future]: why for future in done if (why := future.result())}
    for one, why in survivors.items():
        print(f"{one}\n    {why}", file=sys.stderr)
    print(f"{len(mutations) - len(survivors)} of {len(mutations)} mutations make their tests fail")
    return 1 if survivors else 0


def listed() -> list[Mutation]:
    """Every entry, in the order of the files' names."""
    return [
        Mutation(path.name, one["file"], one["remove"], one["put"], tuple(one["tests"]))
        for path in sorted((CHECKOUT / "test" / "mutations").glob("*.toml"))
        for one in tomllib.loads(path.read_text(encoding="utf-8")).get("mutation", [])
    ]


def copy_of_the_checkout(target: Path) -> Path:
    """What git knows or would take, and the compiled messages of the package that is installed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (CHECKOUT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name)
    messages = importlib.util.find_spec("pose3d_ros.msg")
    if messages is not None and messages.origin:
        installed = Path(messages.origin).parents[1]
        shutil.copytree(installed / "msg", target / "pose3d_ros" / "msg")
        for library in installed.glob("*.so"):
            shutil.copy2(library, target / "pose3d_ros")
    return target


def survived(mutation: Mutation, clean: Path) -> str:
    """Why the mutation was not noticed by each of its tests; empty where it was."""
    with tempfile.TemporaryDirectory(prefix="mutation_", dir=clean.parent) as folder:
        tree = Path(shutil.copytree(clean, Path(folder) / "tree"))
        mutation.apply(tree)
        code, said = pytest(tree, mutation.tests, timeout_s=LONGEST_S, POSE3D_TEST_TIMEOUT_S=PATIENCE_S)
    if code is None:
        return f"its tests ran longer than {LONGEST_S} s: name tests that fail"
    if code < 0:
        return ""  # a guard without which the program crashes
    if code > 1:
        return f"its tests could not be run (pytest's code {code}): {said.strip()[-800:]}"
    unnoticed = sorted(set(mutation.tests) - outcomes(said, "FAILED") - outcomes(said, "ERROR"))
    return f"without it these pass: {', '.join(unnoticed)}" if unnoticed else ""


def pytest(tree: Path, tests: Iterable[str], *, timeout_s: float, **environment: str) -> tuple[int | None, str]:
    """pytest's exit code, None where it took too long, and what it said; the package imported is that of the tree."""
    environ = {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", **environment}
    with tempfile.NamedTemporaryFile(prefix="said_", dir=tree.parent) as said:
        one = FORKS.Process(target=_pytest, args=(str(tree), list(tests), environ, said.name))
        with POLLING:
            one.start()
        late = not wait([one.sentinel], timeout_s)
        if late and one.pid is not None:
            os.killpg(one.pid, signal.SIGKILL)  # with the nodes that its tests started
        wait([one.sentinel])
        with POLLING:
            code = one.exitcode
        text = Path(said.name).read_text(encoding="utf-8", errors="replace")
    return (None, f"longer than {timeout_s:.0f} s") if late else (code, text)


def _pytest(tree: str, tests: list[str], environ: dict[str, str], said: str) -> None:
    """pytest in this process, which was forked from one that has imported what is slow to import."""
    os.setsid()
    os.chdir(tree)
    os.environ.update(environ)
    sys.path.insert(0, tree)
    with open(said, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    runner = importlib.import_module("pytest")  # pytest here is the function above

    options = ["-q", "-rA", "--tb=short", "-p", "no:cacheprovider", "-c", "pyproject.toml", "--rootdir", "."]
    code = int(runner.main([*options, *tests]))
    sys.stdout.flush()
    os._exit(code)  # what tests leave running must not hold this process up


def outcomes(said: str, outcome: str) -> set[str]:
    """The cases that ended so, each also as its test, without the parameters."""
    cases = {case for found, case in OUTCOME.findall(said) if found == outcome}
    return cases | {case.partition("[")[0] for case in cases}


if __name__ == "__main__":
    sys.exit(main())
