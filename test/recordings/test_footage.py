"""The sample footage: read, fetched, and refused."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.downloads import Wheel, download_wheel
from pose3d_ros.errors import DependencyError, DownloadError, FootageError, InputError
from pose3d_ros.recordings import footage
from pose3d_ros.recordings.footage import fetch_sample, read_video, reference_single, sample, video_rate, video_size


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Twelve frames of 64x48, brighter by 20 each."""
    path = tmp_path / "grey.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, (64, 48))
    for k in range(12):
        writer.write(np.full((48, 64, 3), 20 * k, dtype=np.uint8))
    writer.release()
    return path


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A small wheel that stands for the published one; the cache is empty."""
    path = tmp_path / "videos-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/video.mp4", b"moving picture")
        archive.writestr("a/other.txt", b"not wanted")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    files = {"a/video.mp4": hashlib.sha256(b"moving picture").hexdigest()}
    wheel = Wheel("videos==1", path.name, path.stat().st_size, digest, "BSD", files)
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    return wheel


def test_video_gives_the_requested_frames_in_order(video: Path) -> None:
    grey = [image.mean() for image in read_video(video, start=3, stop=6)]
    np.testing.assert_allclose(grey, [60, 80, 100], atol=4)


def test_video_without_a_stop_gives_every_frame_as_bgr(video: Path) -> None:
    images = list(read_video(video))
    assert len(images) == 12
    assert images[0].shape == (48, 64, 3)
    assert images[0].dtype == np.uint8
    assert video_size(video) == (64, 48)


def test_rate_is_the_videos_own(video: Path, tmp_path: Path) -> None:
    assert video_rate(video) == pytest.approx(30)
    with pytest.raises(FootageError, match=r"nowhere\.mp4 cannot be read"):
        video_rate(tmp_path / "nowhere.mp4")


def test_missing_video_is_named() -> None:
    with pytest.raises(FootageError, match=r"nowhere\.mp4 cannot be read \(no such file\)"):
        read_video("nowhere.mp4")


def test_file_that_is_no_video_is_rejected_at_once(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("this is no video")
    with pytest.raises(FootageError, match="not a video"):
        read_video(path)


def test_broken_video_in_the_cache_is_reported_with_the_command_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    path = tmp_path / "text.mp4"
    path.write_text("this is no video")
    with pytest.raises(FootageError, match="delete it and run `pose3d demo`"):
        read_video(path)


def test_absent_sample_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    with pytest.raises(FootageError, match="pose3d demo --people multi"):
        sample("multi")
    with pytest.raises(FootageError, match="pose3d demo --people single"):
        reference_single()


def test_unknown_sample_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="single, multi"):
        fetch_sample("crowd")


def test_missing_network_is_reported_with_the_fix(
    published: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DownloadError, match=r"could not download videos==1 .*connect to the network"):
        download_wheel(published, tmp_path / "cache", tmp_path / "by_hand", progress=False)


def test_missing_pip_is_reported_with_the_fix(
    published: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="ensurepip"):
        download_wheel(published, tmp_path / "cache", tmp_path / "by_hand", progress=False)


def test_pip_download_is_checked_and_shown(
    published: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _fake_pip(monkeypatch, tmp_path / published.filename)
    path = download_wheel(published, _made(tmp_path / "into"), tmp_path / "by_hand")
    assert path.read_bytes() == (tmp_path / published.filename).read_bytes()
    assert "videos==1: 100%" in capfd.readouterr().err


def test_wheel_that_is_not_the_published_one_is_rejected(
    published: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / published.filename).write_bytes(b"something else")
    _fake_pip(monkeypatch, tmp_path / published.filename)
    with pytest.raises(DownloadError, match=f"expected {published.sha256}"):
        download_wheel(published, _made(tmp_path / "into"), tmp_path / "by_hand", progress=False)


def test_only_the_listed_files_reach_the_cache(published: Wheel, tmp_path: Path) -> None:
    _put_by_hand(published, tmp_path)
    footage._provide(published, progress=False)
    place = tmp_path / "cache" / "footage"
    assert (place / "videos-1" / "a" / "video.mp4").read_bytes() == b"moving picture"
    assert not (place / "videos-1" / "a" / "other.txt").exists()
    assert not list(place.glob(".fetch-*"))


def test_incomplete_folder_in_the_cache_is_replaced(published: Wheel, tmp_path: Path) -> None:
    _put_by_hand(published, tmp_path)
    _made(tmp_path / "cache" / "footage" / "videos-1" / "a")
    footage._provide(published, progress=False)
    assert (tmp_path / "cache" / "footage" / "videos-1" / "a" / "video.mp4").is_file()


def test_damaged_cached_file_is_reported_and_fetched_again(published: Wheel, tmp_path: Path) -> None:
    _put_by_hand(published, tmp_path)
    footage._provide(published, progress=False)
    path = footage._verified(published, "a/video.mp4", "single")
    path.write_bytes(b"moving pictura")
    with pytest.raises(FootageError, match=r"video\.mp4 is damaged.*pose3d demo --people single"):
        footage._verified(published, "a/video.mp4", "single")
    footage._provide(published, progress=False)
    assert footage._verified(published, "a/video.mp4", "single").read_bytes() == b"moving picture"


def test_two_processes_may_fetch_at_once(published: Wheel, tmp_path: Path) -> None:
    _put_by_hand(published, tmp_path)
    code = (
        "from pose3d_ros.recordings import footage; from pose3d_ros.downloads import Wheel\n"
        f"footage._provide({published!r}, progress=False)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert (tmp_path / "cache" / "footage" / "videos-1" / "a" / "video.mp4").is_file()


@pytest.mark.usefixtures("footage")
def test_both_samples_have_four_cameras_of_a_hundred_frames() -> None:
    for name, widths in (("single", [1080, 1080, 1088, 1088]), ("multi", [1088] * 4)):
        scene = sample(name)
        assert scene.fps == 60
        assert [camera.size_wh for camera in scene.rig.cameras] == [(width, 1920) for width in widths]
        assert sum(1 for _ in read_video(scene.videos["cam02"])) == 100


@pytest.mark.usefixtures("footage")
def test_reference_is_on_the_floor_and_visible_in_every_camera() -> None:
    names, xyz = reference_single()
    assert xyz.shape == (100, 21, 3)
    assert np.abs(xyz[:, names.index("RBigToe"), 2].min()) < 0.15
    assert 1.4 < xyz[:, names.index("Nose"), 2].mean() < 2.0
    for camera in sample("single").rig.cameras:
        rotation = cv2.Rodrigues(camera.cam_from_world[:3, :3])[0]
        points = xyz[:, names.index("Neck")]
        px = cv2.projectPoints(points, rotation, camera.cam_from_world[:3, 3], camera.K, camera.distortion)[0][:, 0]
        assert (px > 0).all()
        assert (px < camera.size_wh).all()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _put_by_hand(wheel: Wheel, folder: Path) -> None:
    (_made(folder / "cache" / "footage") / wheel.filename).write_bytes((folder / wheel.filename).read_bytes())


def _fake_pip(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    """A subprocess that copies a local file to pip's target folder."""
    real = subprocess.Popen

    def copy(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        target = command[command.index("--dest") + 1]
        return real([sys.executable, "-c", f"import shutil; shutil.copy({str(source)!r}, {target!r})"], **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", copy)
