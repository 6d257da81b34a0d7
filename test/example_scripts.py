"""The scripts of examples/, loaded as modules although their names begin with a number."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pose3d_ros

FOLDER = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def script(number: int) -> Path:
    (path,) = FOLDER.glob(f"{number:02}_*.py")
    return path


def loaded(number: int) -> ModuleType:
    path = script(number)
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def environment() -> dict[str, str]:
    """For a script as a program: the package under test, which in an installation is not the checkout's."""
    return {**os.environ, "PYTHONPATH": str(Path(pose3d_ros.__file__).parents[1])}
