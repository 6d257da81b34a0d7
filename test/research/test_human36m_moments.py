"""Human3.6M's images as moments before four cameras, from files in the layout of h36m-fetch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets.containers import INSTALL
from pose3d_ros.research.human36m_moments import human36m_moments

h5py = pytest.importorskip("h5py", reason=INSTALL)
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
JOINTS = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
PLACES_M = np.array([[4.0, 0, 1], [0, 4, 1], [-4, 0, 1], [0, -4, 1]])


def write_subject(root: Path, subject: int, frames: list[list[int]]) -> np.ndarray:
    """Points (T, 32, 3) m of the world, in the frames of four cameras that are moved and not turned."""
    places = np.zeros((4, 11, 6))
    places[:, subject - 1, 3:] = 1000 * PLACES_M
    lenses = np.tile([1100.0, 1200.0, 510.0, 515.0, -0.2, 0.24, -0.003, 0.001, 0.002], (4, 1))
    numbers = " ".join(map(repr, [*places.ravel().tolist(), *lenses.ravel().tolist()]))
    (root / "metadata.xml").write_text(f"<a><mapping/><w0>[{numbers}]</w0></a>")
    world = np.random.default_rng(0).normal(size=(1000, 32, 3))
    folder = root / f"S{subject}" / "Directions-1"
    folder.mkdir(parents=True)
    points = np.concatenate([1000 * (world[own] - place) for own, place in zip(frames, PLACES_M, strict=True)])
    with h5py.File(folder / "annot.h5", "w") as file:
        file["pose/2d"], file["pose/3d"] = points[..., :2], points
        file["camera"] = np.repeat([int(name) for name in CAMERAS], [len(own) for own in frames])
        file["frame"] = np.concatenate(frames)
        for name in CAMERAS:
            file[f"intrinsics/{name}"] = [1145.0, 512.0, 1143.0, 515.0]
    return world


def test_moments_are_those_that_all_cameras_have_in_the_world(tmp_path):
    every = list(range(1, 200))
    world = write_subject(tmp_path, 9, [every, every[3:], every, every[:-50]])
    with pytest.raises(InputError, match=r"Human3\.6M"):
        human36m_moments(tmp_path, "test")  # S11 is missing
    (tmp_path / "S11").symlink_to(tmp_path / "S9")
    moments = [moment for moment in human36m_moments(tmp_path, "test") if moment.group.startswith("S9")]
    assert [int(moment.images[2].stem[4:]) for moment in moments] == [4, 68, 132]  # every 64th that all have
    for moment, frame in zip(moments, (4, 68, 132), strict=True):
        assert moment.joints_m == pytest.approx(world[frame][JOINTS], abs=1e-6)
        assert [camera.name for camera in moment.cameras] == list(CAMERAS)
        assert np.stack([camera.centre for camera in moment.cameras]) == pytest.approx(PLACES_M)
        assert {path.parent.name for path in moment.images} == set(CAMERAS)
        assert moment.cameras[0].distortion.any()


def test_an_action_without_one_of_the_cameras_is_named(tmp_path):
    write_subject(tmp_path, 8, [[1], [1], [1], []])
    with pytest.raises(InputError, match=r"S8/Directions 1 has images of cameras .*58860488, expected all of"):
        human36m_moments(tmp_path, "val")


def test_missing_camera_places_are_named_with_the_file_that_has_them(tmp_path):
    write_subject(tmp_path, 8, [[1]] * 4)
    (tmp_path / "metadata.xml").unlink()
    with pytest.raises(InputError, match=r"does not say where S8's cameras are: put the release's metadata.xml there"):
        human36m_moments(tmp_path, "val")
