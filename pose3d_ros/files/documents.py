"""YAML, JSON, TOML and XML from users: for any text, its values or one error of the file's kind.

For maliciously damaged text, parsers raise almost any exception, recurse as deep as it nests, and expand aliases
exponentially. Depth, aliases, length of numbers and repeated keys are checked here first.
"""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from typing import Any, NoReturn
from xml.parsers import expat

import yaml
from yaml import BaseLoader

from pose3d_ros.errors import shown
from pose3d_ros.files.door import Kind

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A calibration nests 4 deep, a file of ROS parameters 5.
DEEPEST = 32
# Maximum number of values after expanding every alias: a rig of 100 cameras has 4000.
MOST_VALUES = 50_000
# Digits of one number: a double has 17 significant ones, and at most 309 before its point.
MOST_DIGITS = 400
# Memory of parsed JSON, bytes: approximate sizes of CPython's list, dict and number.
LIST_BYTES, DICT_BYTES, NUMBER_BYTES, MOST_JSON_BYTES = 64, 232, 32, 600_000_000

# A dot that is not a decimal point nests a table; tomllib's time grows with the square of their number.
_DOTTED = re.compile(r"[^\d\s.]\s*\.|\.\s*[^\d\s.]|\d\.\d+\.")
_LONG_NUMBER = re.compile(rf"[\d_]{{{MOST_DIGITS},}}")


def yaml_content(text: str, where: str, kind: Kind, *, plain: bool = False) -> Any:
    """Parse a YAML text; plain: all values are strings. Raises the kind's error with `where`."""
    check_yaml(text, where, kind)
    try:
        return yaml.load(text, Loader=BaseLoader) if plain else yaml.load(text, Loader=SafeLoader)
    except Exception as error:  # constructors of dates, numbers and tags each raise their own
        _reject(where, kind, "YAML", error)


def check_yaml(text: str, where: str, kind: Kind) -> None:
    """Raise the kind's error for a text that is no YAML, nests too deep, expands too far or repeats a key."""
    _check_numbers(text, where, kind)
    sizes: dict[str, int] = {}  # values behind an anchor that is complete
    open_nodes: list[_Open] = []
    values = 0
    try:
        for event in yaml.parse(text, Loader=SafeLoader):
            size, key = 1, None
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent), values))
                if len(open_nodes) > DEEPEST:
                    _reject(where, kind, "YAML", f"it nests more than {DEEPEST} deep")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                done = open_nodes.pop()
                size, anchor = values - done.before + 1, done.anchor
                if anchor:
                    sizes[anchor] = size
                size = 1
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in sizes:
                    _reject(where, kind, "YAML", f"the alias {shown(event.anchor)} refers to no earlier anchor")
                size = sizes[event.anchor]
            elif isinstance(event, yaml.ScalarEvent):
                key = event.value
                if event.anchor:
                    sizes[event.anchor] = 1
            else:
                continue
            values += size
            if values > MOST_VALUES:
                _reject(where, kind, "YAML", f"it stands for more than {MOST_VALUES} values")
            if open_nodes and open_nodes[-1].repeats(key):
                _reject(where, kind, "YAML", f"the key {shown(key)} stands twice in one mapping")
    except (yaml.YAMLError, ValueError) as error:
        _reject(where, kind, "YAML", error)


def json_content(text: str | bytes, where: str, kind: Kind) -> Any:
    """Parse a JSON text; raises the kind's error with `where`."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            _reject(where, kind, "JSON", error)
    _check_numbers(text, where, kind)
    memory = text.count("[") * LIST_BYTES + text.count("{") * DICT_BYTES + text.count(",") * NUMBER_BYTES
    if memory > MOST_JSON_BYTES:
        _reject(where, kind, "JSON", f"its values would take {memory / 1e9:.1f} GB of memory: split it")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except Exception as error:  # RecursionError too
        _reject(where, kind, "JSON", error)


def toml_content(text: str, where: str, kind: Kind) -> dict[str, Any]:
    """Parse a TOML text; raises the kind's error with `where`."""
    _check_numbers(text, where, kind)
    if any(len(_DOTTED.findall(line)) > DEEPEST for line in text.splitlines()):
        _reject(where, kind, "TOML", f"a key nests more than {DEEPEST} deep")
    try:
        content: dict[str, Any] = tomllib.loads(text)
        return content
    except Exception as error:  # RecursionError too
        _reject(where, kind, "TOML", error)


def xml_root(text: str, where: str, kind: Kind) -> ElementTree.Element:
    """Parse an XML text to its root element; raises the kind's error with `where`."""
    check_xml(text, where, kind)
    try:
        return ElementTree.fromstring(text)
    except Exception as error:
        _reject(where, kind, "XML", error)


def check_xml(text: str, where: str, kind: Kind) -> None:
    """Raise the kind's error for a text that is no XML, nests too deep, or declares entities of its own."""
    _check_numbers(text, where, kind)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        _reject(where, kind, "XML", "it declares a document type, expected elements only")
    depth = 0

    def start(name: str, attributes: Any) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"it nests more than {DEEPEST} deep")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError) as error:
        _reject(where, kind, "XML", error)


class _Open:
    """A collection of a YAML text that is not complete yet."""

    def __init__(self, anchor: str | None, mapping: bool, before: int) -> None:
        self.anchor, self.before = anchor, before
        self._keys: set[str] | None = set() if mapping else None
        self._at_key = True

    def repeats(self, key: str | None) -> bool:
        """Add the next value; returns whether it is a repeated key of this mapping. None: not a scalar."""
        if self._keys is None:
            return False
        at_key, self._at_key = self._at_key, not self._at_key
        if not at_key or key is None:
            return False
        repeated = key in self._keys and key != "<<"
        self._keys.add(key)
        return repeated


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {shown(next(n for n in names if names.count(n) > 1))} stands twice in one object")
    return content


def _check_numbers(text: str, where: str, kind: Kind) -> None:
    if number := _LONG_NUMBER.search(text):
        raise kind.error(
            f"{kind.what} {where} has a number of {len(number[0])} digits ({number[0][:12]}...), expected "
            f"{MOST_DIGITS} at most: {kind.fix}"
        )


def _reject(where: str, kind: Kind, form: str, problem: object) -> NoReturn:
    """Raise the kind's error with the form, the problem and the fix."""
    reason = "it nests too deep" if isinstance(problem, RecursionError) else " ".join(str(problem).split())
    cause = problem if isinstance(problem, Exception) else None
    raise kind.error(f"{kind.what} {where} is not valid {form} ({reason[:300]}): {kind.fix}") from cause
