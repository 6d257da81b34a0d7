"""The runner of test/mutations notices entries that no longer fit, and mutations that nothing notices."""

from __future__ import annotations

import ast
import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCE = "def guarded(x):\n    if x < 0:\n        return 0\n    return x\n"
TESTS = """
import pytest
from pose3d_ros.thing import guarded

@pytest.mark.parametrize("x", [-1, 1])
def test_fault_guarded(x):
    assert guarded(x) >= 0

def test_fault_unguarded():
    assert guarded(1) == 1
"""


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    sys.path.insert(0, str(CHECKOUT / "scripts"))  # the processes that it forks import it too
    module = importlib.import_module("mutations")
    return module


def test_every_entry_fits_the_sources_and_names_tests_that_exist(runner: ModuleType) -> None:
    entries = runner.listed()
    assert len(entries) > 10
    for one in entries:
        assert one.mistake() is None, f"{one}: {one.mistake()}"
        for test in one.tests:
            path, *_, name = test.split("::")
            tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name.partition("[")[0] in functions, test


@pytest.fixture
def checkout(runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of one function with a guard, and its tests."""
    monkeypatch.setattr(runner, "CHECKOUT", tmp_path)
    files = {"pose3d_ros/__init__.py": "", "pose3d_ros/thing.py": SOURCE, "test/test_thing.py": TESTS}
    for name, text in {**files, "pyproject.toml": "[tool.pytest.ini_options]\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def mutation(runner: ModuleType, checkout: Path) -> object:
    tests = ("test/test_thing.py::test_fault_guarded",)
    return runner.Mutation("a.toml", "pose3d_ros/thing.py", "if x < 0:", "if False:", tests)


def test_a_guard_that_a_test_needs_is_noticed_and_the_checkout_stays_as_it_is(
    runner: ModuleType, checkout: Path, mutation: object
) -> None:
    assert runner.survived(mutation, checkout) == ""
    assert (checkout / "pose3d_ros/thing.py").read_text(encoding="utf-8") == SOURCE


def test_each_test_must_notice(runner: ModuleType, checkout: Path, mutation: object) -> None:
    both = replace(mutation, tests=(*mutation.tests, "test/test_thing.py::test_fault_unguarded"))  # type: ignore[attr-defined, type-var]
    assert runner.survived(both, checkout) == "without it these pass: test/test_thing.py::test_fault_unguarded"


def test_a_mutation_that_is_no_program_counts_as_a_mistake(
    runner: ModuleType, checkout: Path, mutation: object
) -> None:
    assert "could not be run" in runner.survived(replace(mutation, put="if"), checkout)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"remove": "x"}, "occurs 3 times"),
        ({"remove": "if y:"}, "occurs 0 times"),
        ({"file": "pose3d_ros/gone.py"}, "there is no pose3d_ros/gone.py"),
        ({"put": "if x < 0:"}, "a `put` that differs"),
        ({"tests": ()}, "expected tests"),
    ],
)
def test_an_entry_that_does_not_fit_is_named(
    runner: ModuleType, mutation: object, change: dict[str, object], words: str
) -> None:
    assert words in replace(mutation, **change).mistake()  # type: ignore[type-var]
