"""The JSON document of people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_poses import HEAD, pose_of

from pose3d_ros.recordings.writers.people_json import _dump, _numbers, write_json


def strict(path: Path) -> dict:
    """As a parser reads it that knows JSON only: NaN is none."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_every_number_is_there_and_absent_ones_are_null(tmp_path: Path) -> None:
    poses = [pose_of(0, ["1", "2"]), pose_of(1, []), pose_of(2, ["2"])]
    write_json(iter(poses), tmp_path / "people.json")
    read = strict(tmp_path / "people.json")
    assert (read["format"], read["version"], read["frame_id"]) == ("pose3d_ros people", 1, "world")
    assert read["skeleton"]["joint_names"][HEAD] == "HeadTop"
    assert read["skeleton"]["parents"] == list(poses[0].skeleton.parents)
    assert [frame["stamp_ns"] for frame in read["frames"]] == [pose.stamp_ns for pose in poses]
    assert [[one["id"] for one in frame["people"]] for frame in read["frames"]] == [["1", "2"], [], ["2"]]
    two = read["frames"][0]["people"][1]
    np.testing.assert_allclose(np.array(two["position_m"], dtype=float), poses[0].xyz[1], rtol=1e-5, atol=1e-6)
    assert two["position_m"][HEAD] == [None, None, None]
    assert two["velocity_m_s"][0] == [None, None, None]
    assert two["covariance_m2"][0] == pytest.approx([1e-4, 0, 0, 2e-4, 0, 3e-4])
    assert (two["state"], two["source"][0], two["source"][HEAD]) == ("VISIBLE", "TRIANGULATED", "ABSENT")
    assert (two["n_views"][0], two["confidence"][0], two["reprojection_px"][HEAD]) == (3, 0.75, None)


def test_no_pose_is_an_empty_document(tmp_path: Path) -> None:
    write_json([], tmp_path / "people.json")
    assert strict(tmp_path / "people.json")["frames"] == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)
def test_numbers_keep_six_digits_and_no_more(numbers: list[float]) -> None:
    values = np.array([*numbers, np.inf, np.nan])
    found = json.loads(_dump(_numbers(values)))
    assert found[3:] == [None, None]
    for number, value in zip(found, numbers, strict=False):
        assert number == pytest.approx(value, rel=6e-6, abs=1e-15)
        assert abs(value) < 1e-9 or len(f"{number!r}".split("e")[0].replace("-", "").replace(".", "").strip("0")) <= 6
