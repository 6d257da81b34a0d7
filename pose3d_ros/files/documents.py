"""YAML, JSON, TOML and XML from users: whatever a text holds, its values or one error of the file's kind.

Parsers of other people raise almost anything for a text that is damaged on purpose, recurse as deep as it nests, and
double what an alias names. Here depth, aliases, length of numbers and repeated keys are looked at first.
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
# Values that a text may stand for once every alias is written out: a rig of 100 cameras has 4000.
MOST_VALUES = 50_000
# Digits of one number: a double has 17 that matter, and 309 before its point at most.
MOST_DIGITS = 400
# Memory that a JSON text becomes, bytes: CPython's list, dict and number take about these.
LIST_BYTES, DICT_BYTES, NUMBER_BYTES, MOST_JSON_BYTES = 64, 232, 32, 600_000_000

# A dot that is no decimal point: each nests a table, and tomllib takes a time that grows with their square.
_DOTTED = re.compile(r"[^\d\s.]\s*\.|\.\s*[^\d\s.]|\d\.\d+\.")
_LONG_NUMBER = re.compile(rf"[\d_]{{{MOST_DIGITS},}}")


def yaml_content(text: str, where: str, kind: Kind, *, plain: bool = False) -> Any:
    """The values of a YAML text; plain: all are texts, no types. Raises the kind's error that names `where`."""
    check_yaml(text, where, kind)
    try:
        return yaml.load(text, Loader=BaseLoader) if plain else yaml.load(text, Loader=SafeLoader)
    except Exception as error:  # constructors of dates, numbers and tags each raise their own
        _refuse(where, kind, "YAML", error)


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
                    _refuse(where, kind, "YAML", f"it nests more than {DEEPEST} deep")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                done = open_nodes.pop()
                size, anchor = values - done.before + 1, done.anchor
                if anchor:
                    sizes[anchor] = size
                size = 1
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in sizes:
                    _refuse(where, kind, "YAML", f"the alias {shown(event.anchor)} names nothing before it")
                size = sizes[event.anchor]
            elif isinstance(event, yaml.ScalarEvent):
                key = event.value
                if event.anchor:
                    sizes[event.anchor] = 1
            else:
                continue
            values += size
            if values > MOST_VALUES:
                _refuse(where, kind, "YAML", f"it stands for more than {MOST_VALUES} values")
            if open_nodes and open_nodes[-1].repeats(key):
                _refuse(where, kind, "YAML", f"the key {shown(key)} stands twice in one mapping")
    except (yaml.YAMLError, ValueError) as error:
        _refuse(where, kind, "YAML", error)


def json_content(text: str | bytes, where: str, kind: Kind) -> Any:
    """The values of a JSON text; raises the kind's error that names `where`."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            _refuse(where, kind, "JSON", error)
    _check_numbers(text, where, kind)
    memory = text.count("[") * LIST_BYTES + text.count("{") * DICT_BYTES + text.count(",") * NUMBER_BYTES
    if memory > MOST_JSON_BYTES:
        _refuse(where, kind, "JSON", f"its values would take {memory / 1e9:.1f} GB of memory: split it")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except Exception as error:  # RecursionError too
        _refuse(where, kind, "JSON", error)


def toml_content(text: str, where: str, kind: Kind) -> dict[str, Any]:
    """The tables of a TOML text; raises the kind's error that names `where`."""
    _check_numbers(text, where, kind)
    if any(len(_DOTTED.findall(line)) > DEEPEST for line in text.splitlines()):
        _refuse(where, kind, "TOML", f"a key nests more than {DEEPEST} deep")
    try:
        content: dict[str, Any] = tomllib.loads(text)
        return content
    except Exception as error:  # RecursionError too
        _refuse(where, kind, "TOML", error)


def xml_root(text: str, where: str, kind: Kind) -> ElementTree.Element:
    """The root element of an XML text; raises the kind's error that names `where`."""
    check_xml(text, where, kind)
    try:
        return ElementTree.fromstring(text)
    except Exception as error:
        _refuse(where, kind, "XML", error)


def check_xml(text: str, where: str, kind: Kind) -> None:
    """Raise the kind's error for a text that is no XML, nests too deep, or declares entities of its own."""
    _check_numbers(text, where, kind)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        _refuse(where, kind, "XML", "it declares a document type, expected elements only")
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
        _refuse(where, kind, "XML", error)


class _Open:
    """A collection of a YAML text that is not complete yet."""

    def __init__(self, anchor: str | None, mapping: bool, before: int) -> None:
        self.anchor, self.before = anchor, before
        self._keys: set[str] | None = set() if mapping else None
        self._at_key = True

    def repeats(self, key: str | None) -> bool:
        """Take the next value; whether it is a key of this mapping that was there before. None: no scalar."""
        if self._keys is None:
            return False
        at_key, self._at_key = self._at_key, not self._at_key
        if not at_key or key is None:
            return False
        known = key in self._keys and key != "<<"
        self._keys.add(key)
        return known


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {shown(next(n for n in names if names.count(n) > 1))} stands twice in one object")
    return content


def _check_numbers(text: str, where: str, kind: Kind) -> None:
    if found := _LONG_NUMBER.search(text):
        raise kind.error(
            f"{kind.what} {where} holds a number of {len(found[0])} digits ({found[0][:12]}...), expected "
            f"{MOST_DIGITS} at most: {kind.fix}"
        )


def _refuse(where: str, kind: Kind, form: str, why: object) -> NoReturn:
    """Raise the kind's error: not the form, why, and the fix."""
    reason = "it nests too deep" if isinstance(why, RecursionError) else " ".join(str(why).split())
    cause = why if isinstance(why, Exception) else None
    raise kind.error(f"{kind.what} {where} is not valid {form} ({reason[:300]}): {kind.fix}") from cause
