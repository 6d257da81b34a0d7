"""Sequences of poses: shapes, choice of frames, maps between skeletons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets.pose_sequence import (
    PoseSequence,
    fitted_camera,
    in_camera,
    in_world,
    placed,
    weighted,
)
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Camera


def sequence(frames: int = 4) -> PoseSequence:
    xyz = np.arange(frames * 2 * 17 * 3, dtype=float).reshape(frames, 2, 17, 3)
    images = {"a": tuple(Path(f"{number}.jpg") for number in range(frames))}
    return PoseSequence("test", "S1", "Sit", COCO_17, xyz, np.arange(frames) + 10, None, {"a": xyz[..., :2]}, images,
                        np.arange(frames))  # fmt: skip


def test_chosen_frames_keep_everything_together() -> None:
    chosen = sequence().at(slice(1, None, 2))
    assert chosen.frames.tolist() == [11, 13]
    assert (chosen.xyz == sequence().xyz[[1, 3]]).all()
    assert (chosen.xy["a"] == chosen.xyz[..., :2]).all()
    assert [path.name for path in chosen.images["a"]] == ["1.jpg", "3.jpg"]
    assert chosen.labels.tolist() == [1, 3]


def test_another_skeleton_has_middles_and_nan_for_what_cannot_be_derived() -> None:
    given_one = sequence()
    mapped = given_one.in_skeleton()
    hips = given_one.xyz[:, :, [11, 12]].mean(axis=2)
    np.testing.assert_allclose(mapped.xyz[:, :, 0], hips)
    np.testing.assert_allclose(mapped.xy["a"][:, :, 0], hips[..., :2])
    assert np.isnan(mapped.xyz[:, :, H36M_17.index("HeadTop")]).all()
    given_one.xyz[0, 0, 11] = np.nan
    again = given_one.in_skeleton()
    assert np.isnan(again.xyz[0, 0, 0]).all()  # a middle of one hip is no pelvis
    assert np.isfinite(again.xyz[0, 1, 0]).all()


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_means_are_missing_where_a_part_is(lost: list[bool]) -> None:
    weights = np.array([[0.5, 0.5, 0], [0, 0, 1], [0, 0, 0]])
    points = np.array([[1.0, 2], [3, 4], [5, 6]])
    points[lost] = np.nan
    found = weighted(weights, points)
    assert np.isnan(found[0]).all() == (lost[0] or lost[1])
    assert np.isnan(found[1]).all() == lost[2]
    assert np.isnan(found[2]).all()


def test_shapes_that_do_not_fit_are_rejected() -> None:
    xyz = np.zeros((2, 1, 17, 3))
    with pytest.raises(InputError, match=r"S1/Sit: xyz is \(2, 1, 17, 3\), expected \(3, people, 17, 3\)"):
        PoseSequence("test", "S1", "Sit", COCO_17, xyz, np.arange(3))
    with pytest.raises(InputError, match="xy of a is"):
        PoseSequence("test", "S1", "Sit", COCO_17, xyz, np.arange(2), None, {"a": np.zeros((2, 2, 17, 2))})
    with pytest.raises(InputError, match="labels has 1 entries for 2 frames"):
        PoseSequence("test", "S1", "Sit", COCO_17, xyz, np.arange(2), labels=np.zeros(1, dtype=np.int64))
    with pytest.raises(InputError, match="has no cameras"):
        sequence().projected()


def test_points_go_to_a_camera_and_back() -> None:
    camera = Camera("a", (10, 10), np.eye(3), cam_from_world=placed([[0, 0, -1], [0, 1, 0], [1, 0, 0]], [1, 2, 3]))
    np.testing.assert_allclose(in_camera(np.array([1.0, 2, 3]), camera), [-2, 4, 4])
    np.testing.assert_allclose(in_world(np.array([-2.0, 4, 4]), camera), [1, 2, 3])


def test_rounded_rotations_become_orthonormal() -> None:
    exact = placed(np.round([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]], 1) + 1e-3, [0, 0, 0])[:3, :3]
    np.testing.assert_allclose(exact @ exact.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_rotations_that_are_not_finite_are_rejected(wrong: float) -> None:
    """LAPACK's decomposition of infinities may never return."""
    with pytest.raises(ValueError, match="expected finite numbers"):
        placed(np.diag([1, wrong, 1]), [0, 0, 0])


def test_a_camera_needs_points_that_differ() -> None:
    with pytest.raises(InputError, match="1 joints in 2D and 3D fix no intrinsics"):
        fitted_camera("a", (10, 10), np.array([[1.0, 1, 2], [np.nan] * 3]), np.ones((2, 2)))
