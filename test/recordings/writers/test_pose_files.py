"""TRC and CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from synthetic_poses import pose_at

from pose3d_ros.errors import FootageError
from pose3d_ros.recordings.trc import read_trc
from pose3d_ros.recordings.writers.pose_files import CSV_COLUMNS, write_csv, write_trc
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import PersonState, Pose3D

T0 = 1_700_000_000_000_000_000


def _pose(frame: int, ids: tuple[str, ...], states: tuple[int, ...]) -> Pose3D:
    xyz = np.random.default_rng(frame).normal(size=(len(ids), 17, 3))
    xyz[:, H36M_17.index("HeadTop")] = np.nan
    each = np.ones(xyz.shape[:2])
    return pose_at(
        xyz, ids, T0 + round(frame * 1e9 / 60), state=states, score=0.75 * each, n_views=4 * each,
        reprojection_px=1.5 * each, velocity=np.full_like(xyz, np.nan),
        covariance=np.broadcast_to(np.arange(9.0).reshape(3, 3), (*each.shape, 3, 3)),
    )  # fmt: skip


@pytest.fixture
def poses() -> list[Pose3D]:
    visible, lost = PersonState.VISIBLE, PersonState.LOST
    return [_pose(1, ("1", "7"), (visible, lost)), _pose(0, ("1",), (visible,)), _pose(2, ("7",), (visible,))]


def test_trc_header_is_the_one_that_opensim_reads(poses: list[Pose3D], tmp_path: Path) -> None:
    write_trc(poses, tmp_path / "people.trc")
    lines = (tmp_path / "people.trc").read_text().split("\n")
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\tpeople.trc"
    assert lines[1] == (
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames"
    )
    assert lines[2] == "60\t60\t3\t34\tm\t60\t1\t3"
    assert lines[3].startswith("Frame#\tTime\t1_Pelvis\t\t\t1_RHip\t\t\t")
    assert lines[4].startswith("\t\tX1\tY1\tZ1\tX2")
    assert lines[4].endswith("\tX34\tY34\tZ34")
    assert lines[5] == ""
    for line in (lines[3], lines[4], *lines[6:9]):
        assert line.count("\t") == 1 + 3 * 34  # as many cells in every line: OpenSim refuses others
    assert lines[9:] == [""]


def test_trc_is_y_up_in_order_of_capture_with_blanks_for_what_is_absent(poses: list[Pose3D], tmp_path: Path) -> None:
    write_trc(poses, tmp_path / "people.trc")
    markers = read_trc(tmp_path / "people.trc")
    np.testing.assert_allclose(markers.times_s, [0, 1 / 60, 2 / 60], atol=1e-6)
    world = markers.xyz[..., [2, 0, 1]].reshape(3, 2, 17, 3)
    np.testing.assert_allclose(world[0, 0], poses[1].xyz[0], atol=1e-6)
    np.testing.assert_allclose(world[2, 1], poses[2].xyz[0], atol=1e-6)
    assert np.isnan(world[0, 1]).all()  # not there yet
    assert np.isnan(world[1, 1]).all()  # lost, so not measured
    assert np.isnan(world[:, :, H36M_17.index("HeadTop")]).all()


def test_trc_without_people_is_a_header(tmp_path: Path) -> None:
    write_trc([], tmp_path / "people.trc")
    assert read_trc(tmp_path / "people.trc").xyz.shape == (0, 0, 3)


def test_file_that_is_not_trc_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "x.trc").write_text("hello")
    with pytest.raises(FootageError, match=r"x\.trc is not a readable TRC"):
        read_trc(tmp_path / "x.trc")


def test_csv_has_one_line_for_each_joint_and_units_in_its_header(poses: list[Pose3D], tmp_path: Path) -> None:
    write_csv(poses, tmp_path / "people.csv")
    with (tmp_path / "people.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == 4 * 17
    first = rows[0]
    assert (first["stamp_ns"], first["frame"], first["id"], first["joint"]) == (str(T0), "0", "1", "Pelvis")
    assert (first["state"], first["source"], first["n_views"], first["confidence"]) == (
        "VISIBLE", "TRIANGULATED", "4", "0.75",
    )  # fmt: skip
    np.testing.assert_allclose([float(first[axis]) for axis in ("x_m", "y_m", "z_m")], poses[1].xyz[0, 0], rtol=1e-5)
    assert [first[name] for name in CSV_COLUMNS[11:17]] == ["0", "1", "2", "4", "5", "8"]
    assert first["reprojection_px"] == "1.5"


def test_csv_leaves_absent_numbers_blank(poses: list[Pose3D], tmp_path: Path) -> None:
    write_csv(poses, tmp_path / "people.csv")
    with (tmp_path / "people.csv").open() as file:
        head = next(row for row in csv.DictReader(file) if row["joint"] == "HeadTop")
    assert [head[name] for name in ("x_m", "y_m", "z_m", "vx_m_s")] == [""] * 4
    assert head["source"] == "ABSENT"
