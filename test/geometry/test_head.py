"""Where the top of the head is and where the head faces: heads of the shape, and bodies that had no part in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from rendered_people import NEEDS_RENDER
from scipy.spatial.transform import Rotation

from pose3d_ros.geometry.head import HEAD_POINTS, MODEL, MODEL_STD, Heads, fit_heads, head_orientation
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.simulation.rendering.bodies import draw_shapes, pose_body
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Floats

CHI2_95 = 7.815  # of three dimensions
BODIES, FRAMES, DRAWS = 16, 16, 4
# How far a head nods, tilts and turns on the neck, in addition to the motion: that of formulas does neither much.
TURNS_RAD = np.deg2rad((15.0, 8.0, 25.0))


class Truth(NamedTuple):
    """Heads of bodies."""

    points: Floats  # (N, 6, 3) m, in the order of HEAD_POINTS
    top: Floats  # (N, 3) m
    world_from_head: Floats  # (N, 3, 3)


def placed(count: int = 1, size: float = 1.0) -> Truth:
    """Heads of the very shape, anywhere and in any direction."""
    rng = np.random.default_rng(3)
    turned = Rotation.random(count, random_state=3).as_matrix()
    all_points = size * np.einsum("gab,jb->gja", turned, MODEL) + rng.normal(size=(count, 1, 3))
    return Truth(all_points[:, :-1], all_points[:, -1], turned)


def exact(count: int, std_m: float = 0.005) -> Floats:
    return np.tile(std_m**2 * np.eye(3), (count, 6, 1, 1))


def test_head_of_the_shape_is_found_wherever_it_faces() -> None:
    truth = placed(200)
    heads = fit_heads(truth.points, exact(200))
    np.testing.assert_allclose(heads.top, truth.top, atol=1e-6)
    np.testing.assert_allclose(heads.world_from_head, truth.world_from_head, atol=1e-6)


def test_size_of_a_head_is_found() -> None:
    truth = placed(20, size=0.9)
    heads = fit_heads(truth.points, exact(20))
    # Its prior draws it to the mean by a little: 13 mm without.
    assert np.linalg.norm(heads.top - truth.top, axis=-1).max() < 0.008


def test_orientation_is_that_of_ears_and_nose() -> None:
    truth = placed(50)
    quaternion, std = head_orientation(fit_heads(truth.points, exact(50)))
    axes = Rotation.from_quat(quaternion).as_matrix()
    nose, left, right = (truth.points[:, HEAD_POINTS.index(name)] for name in ("Nose", "LEar", "REar"))
    ahead, across = nose - (left + right) / 2, left - right
    np.testing.assert_allclose(axes[..., 0], ahead / np.linalg.norm(ahead, axis=-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(axes[..., 1], across / np.linalg.norm(across, axis=-1, keepdims=True), atol=1e-5)
    assert (std > 0.02).all()
    assert (std < 0.15).all()


def test_orientation_of_no_head_is_unknown() -> None:
    truth = placed(2)
    points = truth.points.copy()
    points[1] = np.nan
    quaternion, std = head_orientation(fit_heads(points, exact(2)))
    assert np.isfinite(quaternion[0]).all()
    assert np.isnan(quaternion[1]).all()
    assert np.isnan(std[1]).all()
    assert head_orientation(fit_heads(points[:0], exact(0)))[0].shape == (0, 4)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("LEar", "REar", "Thorax"), True),
        (("Nose", "LEar", "Thorax"), True),
        (("Nose", "LEye", "LEar"), True),
        (("LEar", "REar"), False),
        (("LEar", "Thorax"), False),
        (("Nose", "LEye", "REye", "Thorax"), False),
    ],
)
def test_an_ear_and_another_point_of_the_face_are_needed_and_three_in_all(names: tuple[str, ...], found: bool) -> None:
    truth = placed()
    absent = [name not in names for name in HEAD_POINTS]
    points = np.where(np.array(absent)[:, None], np.nan, truth.points)
    assert np.isfinite(fit_heads(points, exact(1)).top).all() == found


def test_what_is_no_head_has_no_top() -> None:
    truth = placed()
    points = truth.points.copy()
    points[0, HEAD_POINTS.index("REar")] += 0.2
    assert np.isnan(fit_heads(points, exact(1)).top).all()


@pytest.fixture(scope="module")
def held_out() -> Truth:
    """Bodies drawn from another seed than MODEL's, moved by formulas in the place of motion capture."""
    rng = np.random.default_rng(20_000)
    motion = generated_motion(77, subjects=4)
    points, tops = [], []
    for shape in draw_shapes(BODIES, rng):
        xyz = motion.xyz[rng.integers(len(motion.xyz), size=FRAMES)].astype(np.float64)
        thorax = xyz[:, H36M_17.index("Thorax")]
        turn = Rotation.from_euler("YXZ", rng.normal(0.0, TURNS_RAD, (FRAMES, 3)))
        for name in ("Nose", "HeadTop"):
            joint = H36M_17.index(name)
            xyz[:, joint] = thorax + turn.apply(xyz[:, joint] - thorax)
        body = pose_body(shape, xyz, rng)
        face = body.coco[:, [COCO_17.index(name) for name in HEAD_POINTS[:-1]]]
        points.append(np.concatenate([face, body.joints[:, [H36M_17.index("Thorax")]]], axis=1))
        tops.append(body.joints[:, H36M_17.index("HeadTop")])
    all_points = np.concatenate(points)
    nose, left, right = (all_points[:, HEAD_POINTS.index(name)] for name in ("Nose", "LEar", "REar"))
    y = (left - right) / np.linalg.norm(left - right, axis=-1, keepdims=True)
    x = nose - (left + right) / 2
    x -= (x * y).sum(-1, keepdims=True) * y
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return Truth(all_points, np.concatenate(tops), np.stack([x, y, np.cross(x, y)], axis=-1))


def measured(truth: Truth, std_m: float) -> tuple[Truth, Heads]:
    """Heads from points off by their covariance, of any shape, and by a detector's own definition of each point."""
    rng = np.random.default_rng(5)
    many = Truth(*(np.repeat(one, DRAWS, axis=0) for one in truth))
    factor = std_m * rng.normal(size=(len(many.top), 6, 3, 3)) / np.sqrt(3.0)
    spread = factor @ factor.swapaxes(-1, -2) + (0.2 * std_m) ** 2 * np.eye(3)
    miss = np.einsum("gjab,gjb->gja", np.linalg.cholesky(spread), rng.normal(size=many.points.shape))
    definition = np.repeat(rng.normal(0.0, MODEL_STD[:5], (BODIES, 5, 3)), FRAMES * DRAWS, axis=0)
    points = many.points + miss
    points[:, :5] += np.einsum("gab,gjb->gja", many.world_from_head, definition)
    return many, fit_heads(points, spread)


def inside(miss: Floats, covariance: Floats) -> float:
    """Share of errors (N, 3) in their 95 % ellipsoids."""
    return float(np.mean(np.einsum("ga,gab,gb->g", miss, np.linalg.inv(covariance), miss) < CHI2_95))


@NEEDS_RENDER
def test_shape_is_the_mean_of_held_out_bodies(held_out: Truth) -> None:
    ears = held_out.points[:, [HEAD_POINTS.index("LEar"), HEAD_POINTS.index("REar")]].mean(axis=1, keepdims=True)
    everything = np.concatenate([held_out.points, held_out.top[:, None]], axis=1) - ears
    mean = np.einsum("gab,gja->gjb", held_out.world_from_head, everything).mean(axis=0)
    apart = np.linalg.norm(mean - MODEL, axis=-1)
    # 16 bodies, whose sizes differ by 6 %; the neck moves the thorax by 5 cm.
    assert np.delete(apart, HEAD_POINTS.index("Thorax")).max() < 0.006
    assert apart[HEAD_POINTS.index("Thorax")] < 0.03


@NEEDS_RENDER
@pytest.mark.parametrize(("std_m", "error_m", "error_rad"), [(0.01, 0.022, 0.16), (0.02, 0.032, 0.24)])
def test_tops_and_directions_of_held_out_bodies_lie_where_their_covariance_says(
    held_out: Truth, std_m: float, error_m: float, error_rad: float
) -> None:
    truth, heads = measured(held_out, std_m)
    there = np.isfinite(heads.top).all(-1)
    assert there.mean() > 0.99
    miss = heads.top[there] - truth.top[there]
    turn = Rotation.from_matrix(truth.world_from_head[there].swapaxes(-1, -2) @ heads.world_from_head[there])
    assert np.linalg.norm(miss, axis=-1).mean() < error_m
    assert 0.92 < inside(miss, heads.top_covariance[there]) < 0.99
    assert np.linalg.norm(turn.as_rotvec(), axis=-1).mean() < error_rad
    assert 0.92 < inside(turn.as_rotvec(), heads.rotation_covariance[there]) < 0.99
