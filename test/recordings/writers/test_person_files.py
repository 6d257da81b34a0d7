"""One file a person."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from people_poses import pose_of

from pose3d_ros.errors import DependencyError
from pose3d_ros.mocap.bvh import read_bvh
from pose3d_ros.recordings.writers.person_files import check_formats, write_person_files


def test_each_person_gets_a_file_per_format_and_a_line(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    poses = [pose_of(n, ["1", "2"] if n > 5 else ["1"]) for n in range(12)]
    for pose in poses[6:]:
        pose.xyz[1, 0] = np.nan  # no pelvis, so no BVH
    lines = list(write_person_files(poses, tmp_path, ["c3d", "bvh"]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.1.bvh", "people.1.c3d", "people.2.c3d"]
    assert lines[0] == "people.1.c3d, people.1.bvh: 0.4 s from 0.000 s on"
    assert lines[1].startswith("people.2.c3d, no people.2.bvh (Pelvis is never seen")
    assert len(read_bvh(tmp_path / "people.1.bvh").position["Pelvis"]) == 12
    assert list(write_person_files(poses, tmp_path / "none", [])) == []


def test_missing_library_is_reported_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    check_formats(["bvh", "json"])
    with pytest.raises(DependencyError, match="pip install ezc3d"):
        check_formats(["c3d"])
