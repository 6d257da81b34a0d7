"""Rows of an evaluation are trained once, with the arguments that they say."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric")

from tiny_motion import arrays

from pose3d_ros.errors import InputError
from pose3d_ros.training.rows import differences, row_network

SHORT = ("cvugcn", "--epochs", "1", "--people", "32", "--rig-count", "1", "--width", "8", "--pairs", "P1",
         "--accelerator", "cpu", "--quiet", "--threads", "1")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "motion.npz"
    np.savez(path, **arrays())
    return path


def test_row_is_trained_once_and_reused(data, tmp_path):
    assert row_network(tmp_path, "row", SHORT, data=data, train=False) is None
    best = row_network(tmp_path, "row", SHORT, data=data, train=True)
    assert best is not None
    written = best.stat().st_mtime_ns
    assert row_network(tmp_path, "row", SHORT, data=data, train=True) == best
    assert best.stat().st_mtime_ns == written
    with pytest.raises(InputError, match="losses was 'rstb', is r"):
        row_network(tmp_path, "row", (*SHORT, "--losses", "r"), data=data, train=False)


def test_failed_training_is_reported(data, tmp_path):
    with pytest.raises(InputError, match="row 'bad' ended with code 2"):
        row_network(tmp_path, "bad", ("cvugcn", "--no-such-argument"), data=data, train=True)


def test_recipe_is_compared_with_the_arguments_that_name_it():
    recipe = {"network": "cvugcn", "baseline": False, "without": ["view"], "lambda_b": 0.02, "pairs": ["P1", "P2"]}
    assert differences(recipe, ("cvugcn", "--without", "view", "--lambda-b", "0.020", "--pairs", "P1", "P2")) == []
    assert differences(recipe, ("cvugcn", "--epochs", "3")) == []
    assert differences(recipe | {"width": 32}, ("cvugcn", "--width", "128")) == []  # a size
    assert len(differences(recipe, ("cvugcn", "--without", "--baseline"))) == 2
    assert len(differences(recipe, ("lifter",))) == 1
