import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.alignment import procrustes, rigid, similarity

angles = st.tuples(*[st.floats(-3, 3)] * 3)
shifts = st.tuples(*[st.floats(-50, 50)] * 3)
seeds = st.integers(0, 10_000)


def body(seed, shape=(17,)):
    return np.random.default_rng(seed).normal(0, 0.5, (*shape, 3))


@settings(max_examples=40, deadline=None)
@given(turn=angles, shift=shifts, scale=st.floats(0.1, 10), seed=seeds)
def test_similarity_finds_the_transform_that_was_applied(turn, shift, scale, seed):
    R, source = Rotation.from_rotvec(turn).as_matrix(), body(seed)
    target = scale * source @ R.T + shift
    found = similarity(source, target)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-9)
    np.testing.assert_allclose(found.rotation, R, atol=1e-9)
    np.testing.assert_allclose(found.translation, shift, atol=1e-8)
    np.testing.assert_allclose(procrustes(source, target), target, atol=1e-8)
    homogeneous = np.c_[source, np.ones(17)] @ found.matrix.T
    np.testing.assert_allclose(homogeneous[:, :3], target, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(turn=angles, shift=shifts, scale=st.floats(0.1, 10), seed=seeds)
def test_procrustes_is_invariant_to_similarity_of_the_source(turn, shift, scale, seed):
    source, target = body(seed), body(seed + 1)
    R = Rotation.from_rotvec(turn).as_matrix()
    np.testing.assert_allclose(procrustes(scale * source @ R.T + shift, target), procrustes(source, target), atol=1e-8)


def test_fit_is_no_worse_than_any_other_nearby():
    source, target = body(0), body(1)
    found = similarity(source, target)
    best = np.sum((found.apply(source) - target) ** 2)
    random = np.random.default_rng(2)
    for _ in range(50):
        R = Rotation.from_rotvec(random.normal(0, 0.05, 3)).as_matrix() @ found.rotation
        other = (found.scale * random.normal(1, 0.02)) * source @ R.T + found.translation + random.normal(0, 0.02, 3)
        assert np.sum((other - target) ** 2) >= best


def test_rigid_keeps_lengths():
    source = body(3)
    found = rigid(source, 2.0 * source)
    assert found.scale == 1.0
    np.testing.assert_allclose(found.rotation, np.eye(3), atol=1e-12)


def test_mirror_image_is_not_turned_into_the_original():
    source = body(4)
    mirrored = source * (-1, 1, 1)
    found = similarity(source, mirrored)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert np.linalg.norm(found.apply(source) - mirrored, axis=-1).mean() > 0.1


def test_flat_body_is_aligned():
    source = body(5) * (1, 1, 0)
    R = Rotation.from_rotvec((0.3, 1.0, -2.0)).as_matrix()
    np.testing.assert_allclose(procrustes(source, source @ R.T), source @ R.T, atol=1e-12)


def test_missing_joints_are_left_out_of_the_fit():
    source, R = body(6), Rotation.from_rotvec((0.1, 0.2, 0.3)).as_matrix()
    target = 1.5 * source @ R.T + 1.0
    partial, holed = source.copy(), target.copy()
    partial[3] = np.nan
    holed[5, 0] = np.nan
    found = similarity(partial, holed)
    np.testing.assert_allclose(found.apply(source), target, atol=1e-12)


def test_too_few_joints_or_a_line_give_nan():
    two = body(7)
    two[2:] = np.nan
    line = np.arange(17)[:, None] * np.array([1.0, 2.0, 3.0])
    for source in (two, line, np.zeros((17, 3)), np.full((17, 3), np.nan), np.zeros((0, 3))):
        assert np.isnan(procrustes(source, source)).all()


def test_poses_are_aligned_each_on_its_own():
    source, target = body(8, (2, 5, 17)), body(9, (2, 5, 17))
    source[1, 2] = np.nan
    together = procrustes(source, target)
    assert together.shape == (2, 5, 17, 3)
    np.testing.assert_allclose(together[1, 3], procrustes(source[1, 3], target[1, 3]))
    assert procrustes(np.zeros((0, 17, 3)), np.zeros((0, 17, 3))).shape == (0, 17, 3)


def test_different_shapes_are_rejected():
    with pytest.raises(InputError, match=r"source \(17, 3\) and target \(16, 3\)"):
        similarity(np.zeros((17, 3)), np.zeros((16, 3)))
