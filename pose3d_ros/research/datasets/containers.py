"""The binary files of data sets, opened past the door of files/door.py: MATLAB's, HDF5, NASA's CDF.

None of these readers executes what it reads. Pickles (VideoPose3D's npz of objects) are never loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import DependencyError, InputError
from pose3d_ros.files.documents import json_content, xml_root
from pose3d_ros.files.door import Kind, checked, read_bytes, read_text, reading
from pose3d_ros.research.datasets.matlab import variables

# The largest, MPI-INF-3DHP's annot.mat, have 300 MB.
ANNOTATIONS = Kind("annotations", 4000, InputError, "copy the file again from the data set's owner")
CALIBRATION = Kind("calibration", 16, InputError, "copy the file again from the data set's owner")
INSTALL = "pip install 'pose3d_ros[datasets]'"


def mat5(path: Path, *names: str) -> dict[str, Any]:
    """Variables of a MATLAB file up to version 7, as of matlab.variables.

    Raises InputError for another file and a missing variable.
    """
    raw = read_bytes(path, ANNOTATIONS)
    with reading(path, ANNOTATIONS):
        content = variables(raw, names)
    _all(content, names, path)
    return content


def cells(value: Any) -> list[Any]:
    """What a cell array holds, without the axes of length 1 that MATLAB adds around it."""
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.reshape(-1)[0]
    return list(value.reshape(-1)) if isinstance(value, np.ndarray) and value.dtype == object else [value]


@contextmanager
def hdf5(path: Path, *names: str) -> Iterator[Any]:
    """An open HDF5 file, also MATLAB's of version 7.3; raises InputError, DependencyError without h5py."""
    h5py = optional_module("h5py", "HDF5 files (.h5, MATLAB 7.3)")
    place = checked(path, ANNOTATIONS)
    with reading(place, ANNOTATIONS):
        file = h5py.File(str(place), "r")
    with file, reading(place, ANNOTATIONS):
        _all(file, names, place)
        yield file


def cdf_variable(path: Path, name: str = "Pose") -> NDArray[np.float64]:
    """A variable of a NASA CDF file as float64; raises InputError, DependencyError without cdflib."""
    cdflib = optional_module("cdflib", "Human3.6M's .cdf files")
    place = checked(path, ANNOTATIONS)
    with reading(place, ANNOTATIONS):
        return np.asarray(cdflib.CDF(str(place)).varget(name), dtype=np.float64)


def json_file(path: Path, kind: Kind = ANNOTATIONS) -> Any:
    """A whole JSON file; raises InputError."""
    return json_content(read_bytes(path, kind), str(path), kind)


def xml_file(path: Path) -> Any:
    """The root of an XML file; raises InputError."""
    return xml_root(read_text(path, CALIBRATION), str(path), CALIBRATION)


def number_lines(path: Path, kind: Kind = CALIBRATION) -> list[NDArray[np.float64]]:
    """The lines of a text of finite numbers, without empty ones; raises InputError."""
    with reading(path, kind):
        lines = [np.array(line.split(), dtype=np.float64) for line in read_text(path, kind).splitlines()]
        if not all(np.isfinite(line).all() for line in lines):
            raise ValueError("it holds numbers that are not finite")
        return [line for line in lines if line.size]


def missing(dataset: str, root: Path, expected: str, site: str) -> InputError:
    """The error for a folder without the data set: what was expected in it and where the data set comes from."""
    return InputError(f"{root} holds no {dataset}: expected {expected}; {site}")


def optional_module(name: str, what: str) -> Any:
    """A module of an optional part of the installation, which reads `what`; raises DependencyError."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyError(f"{what} are read by {name}, which is not installed ({error}): {INSTALL}") from error


def _all(content: Any, names: tuple[str, ...], place: Path) -> None:
    absent = [name for name in names if name not in content]
    if absent:
        raise InputError(f"{place} has no {', '.join(absent)}: {ANNOTATIONS.fix}")
