"""Rows of an evaluation are trained once, with the arguments that they say."""

import pytest

pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric")


from pose3d_ros.errors import InputError
from pose3d_ros.training.rows import differences, row_network

SHORT = ("cvugcn", "--epochs", "1", "--people", "32", "--rig-count", "1", "--width", "8", "--pairs", "P1",
         "--accelerator", "cpu", "--quiet", "--threads", "1")  # fmt: skip


def test_row_is_trained_once_and_reused(motion_file, tmp_path):
    assert row_network(tmp_path, "row", SHORT, data=motion_file, train=False) is None
    best = row_network(tmp_path, "row", SHORT, data=motion_file, train=True)
    assert best is not None
    written = best.stat().st_mtime_ns
    assert row_network(tmp_path, "row", SHORT, data=motion_file, train=True) == best
    assert best.stat().st_mtime_ns == written
    with pytest.raises(InputError, match="losses was 'rstb', is r"):
        row_network(tmp_path, "row", (*SHORT, "--losses", "r"), data=motion_file, train=False)


def test_failed_training_is_reported(motion_file, tmp_path):
    with pytest.raises(InputError, match="row 'bad' ended with code 2"):
        row_network(tmp_path, "bad", ("cvugcn", "--no-such-argument"), data=motion_file, train=True)


def test_recipe_is_compared_with_the_arguments_that_name_it():
    recipe = {"network": "cvugcn", "baseline": False, "without": ["view"], "lambda_b": 0.02, "pairs": ["P1", "P2"]}
    assert differences(recipe, ("cvugcn", "--without", "view", "--lambda-b", "0.020", "--pairs", "P1", "P2")) == []
    assert differences(recipe, ("cvugcn", "--epochs", "3")) == []
    assert differences(recipe | {"width": 32}, ("cvugcn", "--width", "128")) == []  # a size
    assert len(differences(recipe, ("cvugcn", "--without", "--baseline"))) == 2
    assert len(differences(recipe, ("lifter",))) == 1
