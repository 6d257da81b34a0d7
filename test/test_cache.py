"""Where fetched files lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pose3d_ros.cache import cache_dir, sha256_of


@pytest.mark.parametrize(("chosen", "meant"), [("here", "work/here"), ("~/there", "home/there")])
def test_a_chosen_folder_is_the_same_for_processes_that_run_elsewhere(
    chosen: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POSE3D_CACHE", chosen)
    assert cache_dir() == tmp_path / meant


def test_the_users_own_cache_is_taken_unless_another_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE3D_CACHE", "")
    assert cache_dir().name == "pose3d_ros"
    assert cache_dir().is_absolute()


def test_a_file_larger_than_one_piece_is_hashed_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000  # 1.28 MB
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
