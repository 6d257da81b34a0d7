#!/usr/bin/env python3
"""Writes the tables of faults in docs/reliability.md from the docstrings of the fault tests, `test_fault_...`.

  python3 scripts/reliability.py            write them again
  python3 scripts/reliability.py --check    only report whether they are as the tests have them; exit code 1 if not

Such a docstring has three parts: "Fault: ...", "Sees: ..." and "Recovers: ...", each from a line of its own on. A fault
that users met has two more: "Kind: K1" (a key of KINDS) and "Before: ...", what the package did then.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "reliability.md"
BEGIN, END = "<!-- written by scripts/reliability.py -->\n", "<!-- end of what it writes -->\n"
PARTS = re.compile(r"Fault:\s(.+?)\nSees:\s(.+?)\nRecovers:\s(.+?)(?:\nKind:\s(K\d+)\nBefore:\s(.+?))?\s*", re.DOTALL)
KINDS = {
    "K1": "age",
    "K2": "plausibility",
    "K3": "silence",
    "K4": "vertical",
    "K5": "time and identity",
    "K6": "verdicts",
    "K7": "texts",
    "K8": "lifetimes",
    "K9": "readers",
    "K10": "graph manners",
}


@dataclass(frozen=True)
class Fault:
    """One fault test: what its docstring says, and whether real nodes show it over DDS."""

    test: str  # path::name
    fault: str
    sees: str
    recovers: str
    over_dds: bool
    kind: str = ""  # a key of KINDS, or none
    before: str = ""


def faults(top: Path = CHECKOUT / "test") -> list[Fault]:
    """Every fault test below top, by file and line; raises ValueError naming a test without the three parts."""
    found = []
    for path in sorted(top.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_fault_"):
                continue
            test = f"{path.relative_to(top.parent).as_posix()}::{node.name}"
            parts = PARTS.fullmatch(ast.get_docstring(node) or "")
            if parts is None:
                raise ValueError(f"{test}: expected a docstring of 'Fault: ...', 'Sees: ...' and 'Recovers: ...'")
            fault, sees, recovers, kind, before = (" ".join((part or "").split()) for part in parts.groups())
            if kind and kind not in KINDS:
                raise ValueError(f"{test}: kind {kind!r}, expected one of {', '.join(KINDS)}")
            starts_nodes = re.search(r"\b\w*(graph|context)\(", ast.get_source_segment(source, node) or "")
            over_dds = path.parent.name == "ros" and (path.stem.endswith("_over_dds") or bool(starts_nodes))
            found.append(Fault(test, fault, sees, recovers, over_dds, kind, before))
    return found


def table(found: list[Fault]) -> str:
    """Markdown: a row a fault; tests that say the same share one."""
    rows: dict[tuple[str, str, str], bool] = {}
    for one in found:
        key = (one.fault, one.sees, one.recovers)
        rows[key] = rows.get(key, False) or one.over_dds
    over_dds = sum(one.over_dds for one in found)
    lines = [
        f"{len(found)} fault tests, {over_dds} of them with real nodes over DDS (●).",
        "",
        "| fault | what you see | what ends it | |",
        "|---|---|---|---|",
    ]
    for texts, dds in rows.items():
        lines.append(_row(*texts, "●" if dds else ""))
    return "\n".join([*lines, "", *changes(found)]) + "\n"


def changes(found: list[Fault]) -> list[str]:
    """Markdown lines: what each fault that users met did before, and what it does now, by kind."""
    met = sorted((one for one in found if one.kind), key=lambda one: list(KINDS).index(one.kind))
    rows = dict.fromkeys(_row(f"{one.kind} {KINDS[one.kind]}", one.fault, one.before, one.sees) for one in met)
    return ["Faults that users met, by kind:", "", "| kind | situation | before | now |", "|---|---|---|---|", *rows]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page_with(text: str, generated: str) -> str:
    """The page with the table in place of the one it has."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks the line {(END if begin else BEGIN).strip()!r}")
    return before + begin + generated + end + after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 where the table is not current"
    )
    check = parser.parse_args().check
    text = PAGE.read_text(encoding="utf-8")
    try:
        wanted = page_with(text, table(faults()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if check:
        if text != wanted:
            print("docs/reliability.md is not as the tests have it: run scripts/reliability.py", file=sys.stderr)
        return int(text != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
