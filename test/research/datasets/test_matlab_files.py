"""MATLAB files as SciPy writes them, and what its own reader makes of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import savemat

from pose3d_ros.research.datasets.matlab import variables

NUMBERS = st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])


def written(content: dict[str, object], *, compressed: bool) -> bytes:
    file = io.BytesIO()
    savemat(file, content, do_compression=compressed)
    return file.getvalue()


@settings(deadline=None, max_examples=30)
@given(
    array=NUMBERS.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=4, max_side=5))),
    compressed=st.booleans(),
)
def test_numbers_of_any_class_and_shape_come_back(array: np.ndarray, compressed: bool) -> None:
    raw = written({"other": 1, "wanted": array, "last": "text"}, compressed=compressed)
    found = variables(raw, ("wanted",))
    assert list(found) == ["wanted"]
    assert found["wanted"].dtype == array.dtype
    np.testing.assert_array_equal(found["wanted"], array)


@pytest.mark.parametrize("compressed", [True, False])
def test_cells_structs_and_texts_come_back(compressed: bool) -> None:
    cell = np.empty((2, 2), dtype=object)
    cell[:] = [[np.ones((1, 3)), "a text"], [np.zeros((0, 0)), 5.0]]
    made = np.empty((1, 2), dtype=[("name", object), ("size", object)])
    made[0, 0], made[0, 1] = ("first", 1.5), ("second, \u00e9", np.arange(3))
    found = variables(written({"cell": cell, "made": made}, compressed=compressed), ("cell", "made", "absent"))
    assert set(found) == {"cell", "made"}
    assert found["cell"].shape == (2, 2)
    assert found["cell"][0, 1] == "a text"
    assert found["cell"][1, 0].size == 0
    assert found["cell"][1, 1] == 5
    assert [one["name"] for one in found["made"][0]] == ["first", "second, \u00e9"]
    assert found["made"][0, 1]["size"].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\x89HDF" * 40, "no MATLAB file of version 5 to 7"),
        (written({"x": np.eye(3)}, compressed=False)[:-8], "bytes before the end"),
        (written({"x": 1j * np.eye(3)}, compressed=False), "is complex"),
    ],
)
def test_other_and_cut_files_are_rejected(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        variables(raw, ("x",))


def test_a_shape_larger_than_the_data_is_rejected() -> None:
    raw = bytearray(written({"x": np.eye(3)}, compressed=False))
    place = raw.index(np.array([3, 3], dtype="<i4").tobytes())
    raw[place : place + 4] = np.array([2**30], dtype="<i4").tobytes()
    with pytest.raises(ValueError, match=r"says it is \(1073741824, 3\)"):
        variables(bytes(raw), ("x",))
