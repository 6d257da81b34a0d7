"""Clips of motion capture one after another: one body, no jump, near where it should be."""

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.chains import chained
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.mocap.walks import FPS, moments
from pose3d_ros.skeletons import H36M_17


@pytest.fixture(scope="module")
def motion():
    return generated_motion(3, subjects=3)


def of(motion, seed, seconds=40.0):
    rng = np.random.default_rng(seed)
    return chained(motion, moments(0.0, seconds), rng, lambda: tuple(rng.uniform(-0.5, 0.5, 2).tolist()))


@pytest.mark.parametrize("seed", range(4))
def test_a_chain_is_one_body_without_a_jump(motion, seed):
    one = of(motion, seed)
    parents, children = np.array(H36M_17.bones).T
    lengths = np.linalg.norm(one.xyz[:, children] - one.xyz[:, parents], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-9
    assert len(one.xyz) == len(one.t_s) == int(40 * FPS) + 1
    assert np.linalg.norm(np.diff(one.xyz, axis=0), axis=-1).max() * FPS < 9
    assert np.median(np.linalg.norm(one.xyz[:, 0, :2], axis=-1)) < 3


def test_the_stature_is_the_subject_s(motion):
    for seed in range(3):
        one = of(motion, seed, 60.0)
        standing = np.percentile(one.xyz[:, H36M_17.index("HeadTop"), 2], 95)
        assert one.stature_m == pytest.approx(standing, abs=0.06)


def test_motion_without_a_long_enough_clip_is_refused():
    with pytest.raises(InputError, match="no clip of 2 s"):
        of(generated_motion(0, subjects=1, seconds=1.0), 0)
