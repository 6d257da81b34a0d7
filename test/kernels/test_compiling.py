"""Kernels are kept on disk by what they were compiled from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pose3d_ros import kernels
from pose3d_ros.kernels import compiling


def test_fault_constants_of_another_file_change(tmp_path: Path) -> None:
    """Fault: a constant of kernels/constants.py, or a function that other kernels call, changes after kernels were
    kept on disk.
    Sees: nothing: the kernels are compiled again, since the folder they are kept in carries all sources.
    Recovers: nothing to recover.
    Kind: K8
    Before: the old constant stayed compiled in, until the kernel's own file changed.
    """
    sources = Path(compiling.__file__).parent
    assert compiling.cache_folder() == compiling.cache_folder(sources)
    copy = tmp_path / "kernels"
    shutil.copytree(sources, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert compiling.cache_folder(copy) == compiling.cache_folder()
    constants = copy / "constants.py"
    constants.write_text(constants.read_text().replace("MAX_STEPS = 50", "MAX_STEPS = 51"))
    assert compiling.cache_folder(copy) != compiling.cache_folder()


def test_every_kernel_is_compiled_when_it_is_loaded() -> None:
    kernels.load()
    for part in kernels.PARTS:
        entries = [one for one in vars(getattr(kernels, part)).values() if getattr(one, "_cache", None) is not None]
        compiled = [one for one in entries if one.targetoptions.get("no_cpython_wrapper") is None]
        assert compiled, part
        assert all(len(one.signatures) == 1 and not one._can_compile for one in compiled), part


def test_first_time_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.load()
    assert compiling.all_kept()
    said: list[str] = []
    kernels.load(said.append)
    assert said == []
    monkeypatch.setattr(compiling, "_FOLDER", str(tmp_path))
    kernels.load(said.append)
    assert said == ["compiling the numeric kernels, once on this machine: this takes up to a minute or two"]
    kernels.load(said.append)
    assert len(said) == 1


LOADED_MEANWHILE = """
import sys
from pose3d_ros import kernels
with kernels.loading():
    pass
assert all(f"pose3d_ros.kernels.{part}" in sys.modules for part in kernels.PARTS)
"""


def test_kernels_load_in_parallel_with_the_block() -> None:
    kernels.load()
    subprocess.run([sys.executable, "-c", LOADED_MEANWHILE], check=True)


SHOW_KEPT = """
from pose3d_ros import kernels
for part in kernels.PARTS:
    for one in vars(getattr(kernels, part)).values():
        if getattr(one, "_cache", None) is not None and not one.targetoptions.get("no_cpython_wrapper"):
            print(one.py_func.__code__.co_filename)
"""


def test_same_sources_elsewhere_are_not_compiled_again() -> None:
    """numba keeps what it compiled by the path of the source, and another checkout has another.

    In a process of its own: here a test may have loaded kernels while it let the disk be full.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(kernels.__file__).parents[2])}
    command = [sys.executable, "-c", SHOW_KEPT]
    shown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    assert {Path(one).stem for one in shown} == set(kernels.PARTS)
    for one in map(Path, shown):
        assert one.parent == Path(compiling.cache_folder())
        assert one.read_bytes() == (Path(compiling.__file__).parent / one.name).read_bytes()
