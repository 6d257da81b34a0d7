"""The JSON document of people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_poses import HEAD, pose_of

from pose3d_ros.recordings.writers.people_json import _dump, _numbers, write_json
from pose3d_ros.structures import Floor


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


def test_bodies_and_the_floor_are_there_where_they_are_known(tmp_path: Path) -> None:
    pose = pose_of(0, ["1"])
    plane, covariance = np.array([0.0, 0.6, 0.8, -0.25]), np.diag([1e-4, 2e-4, 3e-4])
    pose.orientation[0, 0], pose.orientation_std[0, 0] = [0.0, 0.6, 0.0, 0.8], [0.1, 0.2, np.nan]
    pose.foot_contact[0], pose.stature_m[0] = [0.25, np.nan], 1.75
    write_json([pose, replace(pose, floor=Floor(plane, covariance))], tmp_path / "people.json")
    before, after = strict(tmp_path / "people.json")["frames"]
    assert (before["floor_plane"], before["floor_covariance"]) == (None, None)
    assert (after["floor_plane"], after["floor_covariance"]) == (plane.tolist(), covariance.tolist())
    (person,) = after["people"]
    assert (person["orientation_xyzw"][0], person["orientation_std_rad"][0]) == ([0.0, 0.6, 0.0, 0.8], [0.1, 0.2, None])
    assert person["orientation_xyzw"][1] == [None] * 4
    assert (person["stature_m"], person["stature_std_m"], person["foot_contact"]) == (1.75, None, [0.25, None])


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
