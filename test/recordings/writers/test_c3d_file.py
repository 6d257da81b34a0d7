"""C3D as another library reads it than the one that wrote it."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from people_poses import HEAD, pose_of

from pose3d_ros.errors import DependencyError
from pose3d_ros.recordings.writers.c3d_file import write_c3d
from pose3d_ros.recordings.writers.person_tracks import PersonTrack, person_tracks
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Skeleton


def read(path: Path):
    """The c3d package's reader: header and labels, frame numbers, points (T, N, 5)."""
    c3d = pytest.importorskip("c3d")
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no analogue data
        reader = c3d.Reader(file)
        frames = [(number, points.copy()) for number, points, _ in reader.read_frames()]
    return reader, [number for number, _ in frames], np.array([points for _, points in frames])


def test_another_library_finds_every_joint_in_mm_and_the_absent_ones_invalid(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    poses = [pose_of(n, ["1"] if n < 4 else ["1", "2"]) for n in range(20) if n != 9]
    _, two = person_tracks(poses)
    write_c3d(two, tmp_path / "two.c3d")
    reader, numbers, points = read(tmp_path / "two.c3d")
    assert [label.strip() for label in reader.point_labels] == list(H36M_17.joint_names)
    assert reader.get("POINT:UNITS").string_value.strip() == "mm"
    assert reader.point_rate == pytest.approx(30.0)
    assert reader.get("POINT:Y_SCREEN").string_value.strip() == "+Z"
    assert numbers == list(range(5, 21))  # frame 1 is the recording's first
    valid = points[..., 3] >= 0
    assert not valid[:, HEAD].any()
    assert not valid[5].any()  # the frame that is missing
    np.testing.assert_array_equal(valid, np.isfinite(two.xyz).all(axis=-1))
    np.testing.assert_allclose(points[valid][:, :3] / 1000, two.xyz[valid], atol=1e-6)


def test_more_frames_than_sixteen_bits_count_are_all_there(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    c3d = pytest.importorskip("c3d")
    xyz = np.zeros((66_000, 1, 3))
    xyz[-1] = 1.25
    dot = Skeleton("dot", ("Nose",), (-1,), ())
    write_c3d(PersonTrack("1", dot, xyz, 30.0, first=9, start_s=0.3), tmp_path / "long.c3d")
    with (tmp_path / "long.c3d").open("rb") as file:
        reader = c3d.Reader(file)
        assert (reader.first_frame, reader.last_frame) == (1, 66_000)  # from the recording's first they would not fit
    # Reading every frame takes that package 10 s: the last one must be there.
    assert np.float32(1250.0).tobytes() in (tmp_path / "long.c3d").read_bytes()[-1024:]


def test_missing_ezc3d_is_reported_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    (track,) = person_tracks([pose_of(0, ["1"])])
    with pytest.raises(DependencyError, match="pip install ezc3d"):
        write_c3d(track, tmp_path / "one.c3d")
