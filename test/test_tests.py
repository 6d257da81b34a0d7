"""The tests themselves: each of them ends, and none depends on how busy the machine is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
SLEEP_S = 0.5
CLOCKS = {"monotonic", "perf_counter", "thread_time", "process_time"}
MEASURES = FOLDER / "timing.py"


def reads_a_clock(node: ast.AST) -> bool:
    """Whether a clock is read anywhere in it."""
    called = [ast.unparse(one.func).rpartition(".")[2] for one in ast.walk(node) if isinstance(one, ast.Call)]
    return bool(CLOCKS & set(called))


def compares_a_clock(node: ast.AST) -> bool:
    return any(reads_a_clock(one) for one in ast.walk(node) if isinstance(one, ast.Compare))


def bounded(loop: ast.While) -> bool:
    """Whether a loop ends at a time: its condition, or an assertion in its body, compares a clock."""
    return compares_a_clock(loop.test) or any(compares_a_clock(one) for one in loop.body if isinstance(one, ast.Assert))


def without_limit(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and not bounded(node):
            yield f"{node.lineno}: no deadline of `while {ast.unparse(node.test)}`: count with `for` or compare a clock"


def long_sleeps(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sleep" and node.args:
            length = node.args[0]
            if isinstance(length, ast.Constant) and length.value > SLEEP_S:
                yield f"{node.lineno}: sleeps {length.value} s: wait for what must come, up to a deadline"


def timed(tree: ast.AST) -> Iterator[str]:
    """Times that some work took: a busy machine takes several times as long."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and reads_a_clock(node.left):
            yield f"{node.lineno}: `{ast.unparse(node)}`: count the work, or compare CPU times of this run (timing.py)"


@pytest.mark.parametrize("rule", [without_limit, long_sleeps, timed])
def test_every_test_ends_and_none_measures_the_machine(rule) -> None:
    found = {
        str(path.relative_to(FOLDER)): list(rule(ast.parse(path.read_text(encoding="utf-8"))))
        for path in FOLDER.rglob("*.py")
        if path != MEASURES
    }
    assert not (wrong := {name: lines for name, lines in found.items() if lines}), wrong


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (without_limit, "while True:\n    pass"),
        (without_limit, "while not done():\n    give_up = time.monotonic() + 1\n    spin()"),
        (long_sleeps, "time.sleep(2)"),
        (timed, "assert time.monotonic() - begin < 3"),
        (timed, "took_s = time.perf_counter() - begin"),
    ],
)
def test_the_rules_find_what_they_forbid(rule, code: str) -> None:
    assert list(rule(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "while not done() and time.monotonic() < end_s:\n    spin()",
        "while not done():\n    assert time.monotonic() < end_s, 'not done'\n    spin()",
        "while time.monotonic() < end_s:\n    time.sleep(0.1)",
    ],
)
def test_a_loop_with_a_deadline_is_accepted(code: str) -> None:
    tree = ast.parse(code)
    assert [*without_limit(tree), *long_sleeps(tree), *timed(tree)] == []
