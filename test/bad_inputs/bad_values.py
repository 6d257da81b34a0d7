"""Seeded ways to spoil what was valid: values of a tree, texts, bytes. The same seed gives the same bad inputs."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

LONG = "x" * 50_000
# What may stand where something else belongs; the words name the case.
WRONG_TYPES: dict[str, Any] = {
    "null": None, "true": True, "text": "seventeen", "empty text": "", "empty list": [], "list": ["a", None],
    "mapping": {"a": 1}, "nested": [[[[[[[[[1]]]]]]]]], "long text": LONG, "long list": list(range(5_000)),
}  # fmt: skip
WRONG_NUMBERS: dict[str, Any] = {
    "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "1e300": 1e300, "10**400": 10**400,
}  # fmt: skip


def leaves(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything in a tree of mappings and lists: of a list its first and last."""
    if at:
        yield at
    if isinstance(tree, dict):
        for key in tree:
            yield from leaves(tree[key], (*at, key))
    elif isinstance(tree, list) and tree:
        for index in sorted({0, len(tree) - 1}):
            yield from leaves(tree[index], (*at, index))


def replaced(tree: Any, at: tuple[Any, ...], value: Any) -> Any:
    """The tree with another value at a path."""
    changed = copy.deepcopy(tree)
    inside = changed
    for step in at[:-1]:
        inside = inside[step]
    inside[at[-1]] = value
    return changed


def removed(tree: Any, at: tuple[Any, ...]) -> Any:
    """The tree without what is at a path."""
    changed = copy.deepcopy(tree)
    inside = changed
    for step in at[:-1]:
        inside = inside[step]
    del inside[at[-1]]
    return changed


def got(tree: Any, at: tuple[Any, ...]) -> Any:
    """What is at a path."""
    for step in at:
        tree = tree[step]
    return tree


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def spoilt_trees(tree: Any, seed: int, count: int) -> list[tuple[str, Any]]:
    """(case, tree) of values of the wrong type at any place and wrong numbers at numbers, drawn by seed."""
    cases = []
    for at in leaves(tree):
        where = ".".join(map(str, at))
        value = got(tree, at)
        kinds = dict(WRONG_TYPES)
        if is_number(value):
            kinds |= WRONG_NUMBERS
        for name, wrong in kinds.items():
            if type(wrong) is not type(value):
                cases.append((f"{where} is {name}", at, wrong))
    drawn = random.Random(seed).sample(cases, min(count, len(cases)))
    return [(name, replaced(tree, at, wrong)) for name, at, wrong in drawn]


def shorn_trees(tree: Any) -> list[tuple[str, Any]]:
    """(case, tree) without each key of each mapping."""
    return [(f"without {'.'.join(map(str, at))}", removed(tree, at)) for at in leaves(tree) if isinstance(at[-1], str)]


def spoilt_bytes(data: bytes, seed: int, count: int) -> list[tuple[str, bytes]]:
    """(case, bytes): cut, changed, doubled, with zeros inside; always the empty one and noise."""
    draw = random.Random(seed)
    cases = [("empty", b""), ("noise", draw.randbytes(300)), ("zeros", bytes(300))]
    for _ in range(count - len(cases)):
        at, changed = draw.randrange(len(data)), bytearray(data)
        how = draw.choice(("cut", "flip", "flips", "zero", "gone"))
        if how == "cut":
            changed = changed[:at]
        elif how == "flip":
            changed[at] ^= 1 << draw.randrange(8)
        elif how == "flips":
            for _ in range(20):
                changed[draw.randrange(len(data))] = draw.randrange(256)
        elif how == "zero":
            changed[at : at + 8] = bytes(len(changed[at : at + 8]))
        else:
            del changed[at : at + draw.randrange(1, 100)]
        cases.append((f"{how} at {at}", bytes(changed)))
    return cases


def spoilt_texts(text: str) -> list[tuple[str, bytes]]:
    """(case, bytes) of texts that no reader may take: other encodings, nesting, endless numbers, binary."""
    middle = text.index("\n", len(text) // 2)
    return [
        ("UTF-16", text.encode("utf-16")),
        ("UTF-32", text.encode("utf-32")),
        ("NUL inside", (text[:middle] + "\0" + text[middle:]).encode()),
        ("a byte that is no UTF-8", text[:middle].encode() + b"\xff\xfe\x80" + text[middle:].encode()),
        ("only spaces", b"   \n  \n"),
        ("100,000 brackets", b"[" * 100_000),
        ("100,000 braces", b'{"a":' * 100_000),
        ("a number of 5000 digits", b"1" * 5000),
        ("one word of 500 kB", LONG.encode()),
    ]
