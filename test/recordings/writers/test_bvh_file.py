"""BVH as our own reader and an independent one find it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from people_poses import HEAD, pose_of

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.bvh import read_bvh
from pose3d_ros.recordings.writers.bvh_file import write_bvh
from pose3d_ros.recordings.writers.bvh_fit import rigid_turn, shortest_turn
from pose3d_ros.recordings.writers.person_tracks import PersonTrack, person_tracks
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Floats

NAMES = H36M_17.joint_names


def fixed_bones(frames: int, seed: int) -> Floats:
    """Joints (T, J, 3) m, z up: every bone keeps its length and wanders over the whole sphere of directions."""
    random = np.random.default_rng(seed)
    xyz = np.zeros((frames, 17, 3))
    xyz[:, 0] = np.array([3.0, -2.0, 1.0]) + np.cumsum(random.normal(0, 0.02, (frames, 3)), axis=0)
    for j, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            direction = random.normal(size=3) + np.cumsum(random.normal(0, 0.2, (frames, 3)), axis=0)
            direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
            xyz[:, j] = xyz[:, parent] + random.uniform(0.1, 0.5) * direction
    return xyz


def track(xyz: Floats) -> PersonTrack:
    return PersonTrack("1", H36M_17, xyz, 30.0, 0, 0.0)


def by_us(path: Path) -> Floats:
    motion = read_bvh(path)
    return np.stack([motion.position[name] for name in NAMES if name in motion.position], axis=1)[..., [2, 0, 1]] / 100


def by_pybvh(path: Path) -> Floats:
    pybvh = pytest.importorskip("pybvh")
    motion = pybvh.read_bvh_file(path)
    found = motion.joint_positions()
    names = [name for name in NAMES if name in motion.joint_names]
    return np.stack([found[:, motion.joint_names.index(name)] for name in names], axis=1)[..., [2, 0, 1]] / 100


@pytest.mark.parametrize("read", [by_us, by_pybvh])
def test_readers_find_a_body_of_fixed_bones_within_a_millimetre(read, tmp_path: Path) -> None:
    xyz = fixed_bones(300, seed=1)
    write_bvh(track(xyz), tmp_path / "people.1.bvh")
    assert np.abs(read(tmp_path / "people.1.bvh") - xyz).max() < 1e-3


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 20))
def test_any_body_of_fixed_bones_is_met(seed: int, frames: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    xyz = fixed_bones(frames, seed)
    path = tmp_path_factory.mktemp("bvh") / "people.1.bvh"
    write_bvh(track(xyz), path)
    assert np.abs(by_us(path) - xyz).max() < 1e-3


def test_walker_stands_upright_turned_as_in_the_world(tmp_path: Path) -> None:
    (one,) = person_tracks([pose_of(n, ["1"]) for n in range(40)])
    write_bvh(one, tmp_path / "people.1.bvh")
    motion = read_bvh(tmp_path / "people.1.bvh")
    assert motion.fps == pytest.approx(30.0)
    assert "HeadTop" not in motion.position
    assert (motion.position["Nose"] - motion.position["RAnkle"])[:, 1].min() > 130  # cm, y up
    # The walker goes along world x, which is z here: the root's z looks there, its x to the left (world y, x here).
    np.testing.assert_allclose(motion.rotation["Pelvis"][:, :, 2], np.tile([0.08, 0, 1], (40, 1)), atol=0.1)
    # The walker's limbs stretch a little with the stride; bones of the median length stay close to them.
    rest = [j for j in range(17) if j != HEAD]
    assert np.abs(by_us(tmp_path / "people.1.bvh") - one.xyz[:, rest]).max() < 0.08


def test_gaps_are_bridged_straight_and_what_was_seen_stays(tmp_path: Path) -> None:
    xyz = np.repeat(fixed_bones(1, seed=3), 31, axis=0) + np.linspace(0, 3, 31)[:, None, None] * (1.0, 0, 0)
    seen = xyz.copy()
    seen[10:20] = np.nan  # no person
    seen[5, [3, 8]] = np.nan  # an ankle and the thorax
    write_bvh(track(seen), tmp_path / "people.1.bvh")
    assert np.abs(by_us(tmp_path / "people.1.bvh") - xyz).max() < 1e-3


def test_joint_that_is_never_seen_is_left_out_and_its_children_hang_above(tmp_path: Path) -> None:
    xyz = fixed_bones(50, seed=4)
    spine = NAMES.index("Spine")
    # Rigid from pelvis to thorax, so that the bone between them has a length.
    xyz[:, 8:] += (xyz[:, [0]] + (0, 0, 0.5)) - xyz[:, [8]]
    xyz[:, spine] = np.nan
    write_bvh(track(xyz), tmp_path / "people.1.bvh")
    rest = [j for j in range(17) if j != spine]
    assert np.abs(by_us(tmp_path / "people.1.bvh") - xyz[:, rest]).max() < 1e-3


def test_person_without_pelvis_and_other_skeletons_are_rejected(tmp_path: Path) -> None:
    xyz = fixed_bones(3, seed=5)
    xyz[:, 0] = np.nan
    with pytest.raises(InputError, match="Pelvis is never seen"):
        write_bvh(track(xyz), tmp_path / "people.1.bvh")
    with pytest.raises(InputError, match="h36m_17 only"):
        write_bvh(PersonTrack("1", COCO_17, xyz, 30.0, 0, 0.0), tmp_path / "people.1.bvh")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
@example([0.0, 0.0, 0.0, 0.0, 0.0, 5.960464477539063e-08])  # nearly opposite
def test_turns_are_rotations_that_hit_their_aim(numbers: list[float]) -> None:
    start, end = np.array(numbers[:3]) + 1e-3, np.array(numbers[3:]) - 2e-3
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    for aim in (end, start, -start):
        (turn,) = shortest_turn(start, aim[None])
        np.testing.assert_allclose(turn @ start, aim, atol=1e-6)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(turn) == pytest.approx(1.0, abs=1e-6)


def test_rigid_fit_is_a_rotation_even_of_a_mirrored_body() -> None:
    rest = np.eye(3)
    (turn,) = rigid_turn(rest, (rest * (1, 1, -1))[None])
    assert np.linalg.det(turn) == pytest.approx(1.0)
