"""Calibrations of every format, spoilt in seeded ways: refused in one short message, or read as what they say."""

from __future__ import annotations

import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bad_refusals import case, check_message, refusal, run
from bad_templates import FILE_OF, rig, rig_text, single
from bad_values import shorn_trees, spoilt_bytes, spoilt_texts, spoilt_trees

from pose3d_ros.files import documents
from pose3d_ros.rigs.formats.anipose_toml import _toml
from pose3d_ros.rigs.formats.rig_file import FORMATS, read_rig
from pose3d_ros.structures import Rig

NAMES = tuple(FORMATS)
YAML_FORMATS = ("rig", "ros", "kalibr")
TOML_FORMATS = ("anipose", "pose2sim")


def seed_of(*words: str) -> int:
    return zlib.crc32("|".join(words).encode())


def expected(name: str) -> Rig:
    return single() if name == "ros" else rig()


def same(a: Rig, b: Rig) -> bool:
    """Whether two rigs place the same cameras alike."""
    return a.names == b.names and all(
        x.size_wh == y.size_wh and np.allclose(x.K, y.K) and np.allclose(x.cam_from_world, y.cam_from_world, atol=1e-6)
        for x, y in zip(a.cameras, b.cameras, strict=True)
    )


def check_plausible(found: Rig) -> None:
    """What a rig that is taken must be at least."""
    for camera in found.cameras:
        width, height = camera.size_wh
        assert 0 < min(width, height) <= max(width, height) < 100_000
        for numbers in (camera.K, camera.distortion, camera.cam_from_world):
            assert np.isfinite(numbers).all()
        assert 0.001 * max(width, height) < camera.K[0, 0] < 10_000 * max(width, height), camera.K
        assert np.abs(camera.cam_from_world[:3, 3]).max() < 1e5, camera.cam_from_world
        assert 0 < len(camera.name) < 300, camera.name


def dumped(name: str, tree: Any) -> str:
    if name in TOML_FORMATS:
        lines = [f"{key} = {toml(value)}" for key, value in tree.items() if not isinstance(value, dict)]
        for table, values in tree.items():
            if isinstance(values, dict):
                lines += [f"[{toml(table)}]", *(f"{key} = {toml(value)}" for key, value in values.items())]
        return "\n".join(lines) + "\n"
    return str(yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=None))


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not np.isfinite(value):
        return {"nan": "nan", "inf": "inf", "-inf": "-inf"}[str(value)]
    return '"null"' if value is None else _toml(value)


def tree_of(name: str) -> Any:
    text = rig_text(name)
    return documents.tomllib.loads(text) if name in TOML_FORMATS else yaml.safe_load(text)


def check_read(name: str, path: Path, *, strict: bool = False) -> None:
    """Refused well, or read as a plausible rig; strict: as the same rig, for what was spoilt was of no consequence."""
    found, message = refusal(lambda: read_rig(path))
    if message:
        check_message(message, path.name)
        return
    check_plausible(found)
    if strict:
        assert same(found, expected(name)), "taken as another rig"


@pytest.mark.parametrize("name", NAMES)
def test_every_format_is_read_unspoilt_and_with_what_editors_leave(name: str, tmp_path: Path) -> None:
    path = tmp_path / FILE_OF.get(name, "rig.yaml")
    text = rig_text(name)
    variants = {"as it is": text.encode(), "CRLF": text.replace("\n", "\r\n").encode(), "BOM": text.encode("utf-8-sig")}
    variants["a line feed more"] = (text + "\n\n").encode()
    if name in YAML_FORMATS + TOML_FORMATS:
        variants["comments"] = ("# made by hand\n" + text.replace("\n", "   # note\n", 1) + "# end\n").encode()
        tree = tree_of(name)
        turned = {key: tree[key] for key in reversed(tree)}
        variants["other order"] = dumped(name, turned if name not in TOML_FORMATS else tree).encode()
    for what, data in variants.items():
        path.write_bytes(data)
        assert same(read_rig(path), expected(name)), what
    code, out, err = run("rig", "show", path)
    assert (code in (0, 1), err) == (True, "")
    assert "camera(s) in frame" in out


@pytest.mark.parametrize("name", [*YAML_FORMATS, *TOML_FORMATS])
def test_values_of_the_wrong_type_are_rejected(name: str, tmp_path: Path) -> None:
    path, faults = tmp_path / FILE_OF.get(name, "rig.yaml"), []
    for what, tree in spoilt_trees(tree_of(name), seed_of(name), 60):
        path.write_text(dumped(name, tree), encoding="utf-8")
        with case(faults, what):
            check_read(name, path, strict=True)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", [*YAML_FORMATS, *TOML_FORMATS])
def test_missing_key_is_rejected_or_of_no_consequence(name: str, tmp_path: Path) -> None:
    path, faults = tmp_path / FILE_OF.get(name, "rig.yaml"), []
    for what, tree in shorn_trees(tree_of(name)):
        path.write_text(dumped(name, tree), encoding="utf-8")
        with case(faults, what):
            check_read(name, path)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_rejected_or_plausible(name: str, tmp_path: Path) -> None:
    path, faults = tmp_path / FILE_OF.get(name, "rig.yaml"), []
    text = rig_text(name)
    for what, data in spoilt_bytes(text.encode(), seed_of(name, "bytes"), 40):
        path.write_bytes(data)
        with case(faults, what):
            check_read(name, path)
    for what, data in spoilt_texts(text):
        path.write_bytes(data)
        with case(faults, what):
            _, message = refusal(lambda: read_rig(path))
            assert message, "was taken"
            check_message(message, path.name)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", NAMES)
def test_repeated_and_reordered_lines_are_rejected_or_plausible(name: str, tmp_path: Path) -> None:
    path, faults = tmp_path / FILE_OF.get(name, "rig.yaml"), []
    lines = rig_text(name).splitlines()
    draw = random.Random(seed_of(name, "lines"))
    for _ in range(20):
        at = draw.randrange(len(lines))
        changed = [*lines[:at], lines[at], *lines[at:]] if draw.random() < 0.5 else lines[:at] + lines[at + 1 :]
        path.write_text("\n".join(changed) + "\n", encoding="utf-8")
        with case(faults, f"line {at}"):
            check_read(name, path)
    assert not faults, "\n".join(faults)
