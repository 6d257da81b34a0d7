"""A run on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import PERSON_ARRAYS, Camera, Floor, Keypoints2D, Pose3D, Rig

T0 = 1_700_000_000_000_000_000


def _squares(factors: np.ndarray) -> np.ndarray:
    """Covariances (..., n, n) of factors (..., n, n)."""
    return np.asarray(factors @ np.swapaxes(factors, -1, -2))


def _pose(random: np.random.Generator, ids: tuple[str, ...], stamp_ns: int) -> Pose3D:
    people, joints = len(ids), H36M_17.size
    xyz = random.normal(size=(people, joints, 3))
    xyz[:, 10] = np.nan
    return Pose3D(
        xyz=xyz,
        velocity=random.normal(size=(people, joints, 3)),
        covariance=_squares(random.normal(size=(people, joints, 3, 3))),
        score=random.uniform(size=(people, joints)),
        n_views=random.integers(0, 5, (people, joints)),
        reprojection_px=random.uniform(size=(people, joints)),
        source=random.integers(0, 5, (people, joints)),
        ids=ids,
        state=np.zeros(people, dtype=np.uint8),
        age_s=random.uniform(size=people),
        skeleton=H36M_17,
        frame_id="world",
        stamp_ns=stamp_ns,
        orientation=np.where(np.isfinite(xyz[..., :1]), [0.0, 0.6, 0.0, 0.8], np.nan),
        orientation_std=random.uniform(size=(people, joints, 3)),
        stature_m=random.uniform(1.5, 2.0, people),
        foot_contact=random.uniform(size=(people, 2)),
        floor=Floor(np.array([0.0, 0.6, 0.8, 0.1]), np.eye(3) * random.uniform()) if people else None,
    )


def _people(random: np.random.Generator, count: int, stamp_ns: int, whole: bool) -> Keypoints2D:
    joints = H36M_17.size
    return Keypoints2D(
        xy=random.normal(size=(count, joints, 2)),
        score=random.uniform(0.1, 1, (count, joints)),
        skeleton=H36M_17,
        stamp_ns=stamp_ns,
        covariance=_squares(random.uniform(size=(count, joints, 2, 2))) if whole else None,
        boxes=random.uniform(size=(count, 4)) if whole else None,
    )


@pytest.fixture
def recording() -> Recording:
    random = np.random.default_rng(0)
    K = np.array([[1000.0, 0, 320], [0, 1000, 240], [0, 0, 1]])
    stamps = [T0, T0 + 16_666_667, T0 + 33_333_333]
    return Recording(
        rig=Rig((Camera("a", (640, 480), K), Camera("b/left", (640, 480), K, "equidistant", np.ones(4)))),
        poses=(_pose(random, ("1", "2"), stamps[0]), _pose(random, (), stamps[1]), _pose(random, ("2",), stamps[2])),
        received_ns=np.array([5, 6, 7]),
        published_ns={stamp: 10**15 + k for k, stamp in enumerate(stamps)},
        keypoints={
            "a": {
                stamps[0]: (_people(random, 2, stamps[0], True), ("1", "")),
                stamps[2]: (_people(random, 1, stamps[2], False), ("2",)),
            },
            "b/left": {stamps[1]: (_people(random, 0, stamps[1], True), ())},
        },
        t0_ns=T0,
        fps=60.0,
        frames_per_loop=2,
        frame_sets_sent=3,
        stage_ms={"detect": 12.5},
        settings={"people": "multi", "cameras": ["a", "b/left"], "rate": None},
        markers_received=3,
        tf_received=2,
    )


def _same(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> None:
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        np.testing.assert_array_equal(one, other)


def test_recording_survives_the_round_trip_through_a_file(recording: Recording, tmp_path: Path) -> None:
    recording.save(tmp_path / "run.npz")
    back = Recording.load(tmp_path / "run.npz")
    assert back.rig.calibration_hash == recording.rig.calibration_hash
    np.testing.assert_array_equal(back.received_ns, recording.received_ns)
    for name in ("published_ns", "t0_ns", "fps", "frames_per_loop", "frame_sets_sent", "stage_ms", "settings",
                 "markers_received", "tf_received"):  # fmt: skip
        assert getattr(back, name) == getattr(recording, name), name
    for one, other in zip(back.poses, recording.poses, strict=True):
        assert (one.ids, one.stamp_ns, one.frame_id) == (other.ids, other.stamp_ns, other.frame_id)
        for name in PERSON_ARRAYS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        _same(one.floor and one.floor.plane, other.floor and other.floor.plane)
        _same(one.floor and one.floor.covariance, other.floor and other.floor.covariance)
    assert set(back.keypoints) == {"a", "b/left"}
    for camera, by_stamp in recording.keypoints.items():
        assert list(back.keypoints[camera]) == list(by_stamp)
        for stamp, (people, ids) in by_stamp.items():
            seen, seen_ids = back.keypoints[camera][stamp]
            assert seen_ids == ids
            assert seen.stamp_ns == stamp
            for name in ("xy", "score", "covariance", "boxes"):
                _same(getattr(seen, name), getattr(people, name))


def test_recording_of_nothing_survives_the_round_trip(recording: Recording, tmp_path: Path) -> None:
    nothing = Recording(recording.rig, (), np.zeros(0, dtype=np.int64), {}, {}, T0, 60.0, 100, 0)
    nothing.save(tmp_path / "run.npz")
    assert Recording.load(tmp_path / "run.npz").poses == ()


def test_frames_are_counted_over_loops_from_rounded_stamps(recording: Recording) -> None:
    assert [recording.frame_index(pose.stamp_ns) for pose in recording.poses] == [0, 1, 2]
    assert [recording.footage_frame(pose.stamp_ns) for pose in recording.poses] == [0, 1, 0]


def test_file_that_is_no_recording_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    path.write_bytes(b"something")
    with pytest.raises(FootageError, match="cannot be read"):
        Recording.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(FootageError, match="record it again"):
        Recording.load(path)


def test_damaged_recording_is_rejected(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    recording.save(path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 101):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            Recording.load(path)  # some bytes do not matter: dates, names of systems
        except FootageError:
            refused += 1
    assert refused > len(whole) / 101 / 2
    np.save(tmp_path / "run.npy", np.zeros(3))
    with pytest.raises(FootageError, match="cannot be read"):
        Recording.load(tmp_path / "run.npy")


def test_recording_refuses_another_skeleton_when_saved(recording: Recording, tmp_path: Path) -> None:
    coco = {"a": {T0: (Keypoints2D.empty(COCO_17), ())}}
    wrong = Recording(recording.rig, (), np.zeros(0, dtype=np.int64), {}, coco, T0, 60.0, 1, 0)
    with pytest.raises(InputError, match="expected h36m_17"):
        wrong.save(tmp_path / "run.npz")


def test_recording_needs_one_receipt_a_pose(recording: Recording) -> None:
    with pytest.raises(InputError, match="received_ns"):
        Recording(recording.rig, recording.poses, np.zeros(1, dtype=np.int64), {}, {}, T0, 60.0, 1, 0)
