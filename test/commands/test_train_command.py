import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'pose3d_ros[train]'")

from pose3d_ros.cli import main
from pose3d_ros.commands import train
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.networks.cvugcn import CvUgcn
from pose3d_ros.networks.lifter import AbsPoseLifter
from pose3d_ros.networks.posern import PoseRN
from pose3d_ros.networks.residual_mlp import LifterMlp, MlpRefiner, ResidualMlp
from pose3d_ros.simulation.detector_noise import rendered_noise, training_noise
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.training.draws import Draws, noise_of, rigs_of
from pose3d_ros.training.loop import BEST, LAST, read_checkpoint
from pose3d_ros.training.recipes import load_trained, recipe_of
from pose3d_ros.weights.trained import load


@pytest.fixture(scope="module")
def motion_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    up = (0.95, 0.95, 0.5, 0.08, 0.95, 0.5, 0.08, 1.2, 1.45, 1.6, 1.75, 1.42, 1.15, 0.9, 1.42, 1.15, 0.9)
    left = (0, -0.13, -0.13, -0.13, 0.13, 0.13, 0.13, 0, 0, 0, 0, 0.18, 0.25, 0.3, -0.18, -0.25, -0.3)
    body = np.stack([np.zeros(17), np.array(left), np.array(up)], axis=-1)
    xyz = body + 0.03 * generator.normal(size=(200, 17, 3))
    path = tmp_path_factory.mktemp("motion") / "motion.npz"
    np.savez(
        path, xyz=xyz, joint_names=np.array(H36M_17.joint_names),
        clip_start=np.arange(4) * 50, clip_len=np.full(4, 50), fps=np.full(4, 12.0),
        subject=np.array(["a", "b", "c", "d"]), split=np.array(["train", "train", "val", "test"]),
    )  # fmt: skip
    return path


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args(arguments)


def arguments(network: str, motion: Path, output: Path, *words: str) -> argparse.Namespace:
    short = ("--epochs", "1", "--people", "64", "--rig-count", "2", "--width", "16", "--accelerator", "cpu", "--quiet")
    return parsed(network, "--data", str(motion), "--output", str(output), *short, *words)


@pytest.mark.parametrize(
    ("network", "words", "kind"),
    [
        ("posern", (), PoseRN),
        ("posern", ("--baseline",), ResidualMlp),
        ("cvugcn", (), CvUgcn),
        ("cvugcn", ("--form", "pair", "--pairs", "P1", "P3", "--losses", "r"), CvUgcn),
        ("cvugcn", ("--rigs", "head530", "--side-views", "--labels", "detected"), CvUgcn),
        ("cvugcn", ("--form", "paper", "--schedule", "paper", "--without", "spatial", "stems"), CvUgcn),
        ("cvugcn", ("--noise", "gaussian", "--sigma-px", "3"), CvUgcn),
        ("cvugcn", ("--rigs", "room3", "--views", "3"), CvUgcn),
        ("cvugcn", ("--loss", "paper", "--noise", "mixed"), CvUgcn),
        ("cvugcn", ("--baseline",), MlpRefiner),
        ("lifter", (), AbsPoseLifter),
        ("lifter", ("--without", "scale", "--plain-depth"), AbsPoseLifter),
        ("lifter", ("--form", "any", "--rigs", "mono", "h36m", "--reuse", "2", "--epochs", "3"), AbsPoseLifter),
        ("lifter", ("--zoom", "0.5", "2", "--dropout", "0", "--depth-weight", "4"), AbsPoseLifter),
        ("lifter", ("--baseline",), LifterMlp),
    ],
)
def test_every_recipe_trains_and_reloads_from_its_checkpoint(network, words, kind, motion_file, tmp_path, capsys):
    args = arguments(network, motion_file, tmp_path, *words)
    assert train.run(args) == 0
    *_, best, export = capsys.readouterr().out.splitlines()
    assert "best:" in best
    assert f"for use: {tmp_path / network}.safetensors (" in export
    net, recipe = load_trained(tmp_path / BEST)
    assert type(net) is kind
    assert not net.training
    assert recipe == recipe_of(args)
    loaded = load(tmp_path / f"{network}.safetensors")
    assert loaded.recipe == recipe
    assert bool(loaded.spread) == (network != "posern" and not recipe.get("plain_depth"))
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(loaded.net.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)


def test_resumed_run_continues_where_it_stopped(motion_file, tmp_path):
    assert train.run(arguments("lifter", motion_file, tmp_path)) == 0
    again = arguments("lifter", motion_file, tmp_path, "--epochs", "2", "--resume")
    assert train.run(again) == 0
    assert read_checkpoint(tmp_path / LAST)["epoch"] == 2


def test_resuming_a_finished_run_exports_its_weights_again(motion_file, tmp_path):
    assert train.run(arguments("lifter", motion_file, tmp_path)) == 0
    file = tmp_path / "lifter.safetensors"
    first = file.read_bytes()
    file.unlink()
    assert train.run(arguments("lifter", motion_file, tmp_path, "--resume")) == 0
    assert file.read_bytes() == first


def test_people_of_an_epoch_are_reproducible_and_differ_between_epochs(motion_file):
    from pose3d_ros.mocap.load import load_motion

    args = arguments("cvugcn", motion_file, Path())
    draws = Draws(recipe_of(args), load_motion(motion_file), 32)
    first, again, other = draws.epoch(0), draws.epoch(0), draws.epoch(1)
    for name in first:
        torch.testing.assert_close(first[name], again[name], equal_nan=True, rtol=0, atol=0)
    assert not torch.allclose(first["observed"], other["observed"], equal_nan=True)


@pytest.mark.parametrize("network", ["cvugcn", "lifter", "posern"])
def test_postures_are_even_in_training_and_the_motions_own_in_validation(network, motion_file, monkeypatch):
    from pose3d_ros.mocap.load import load_motion

    shares = []
    drawn = Motion.draw
    monkeypatch.setattr(Motion, "draw", lambda *given: shares.append(given[4]) or drawn(*given))
    args = arguments(network, motion_file, Path(), "--even-postures", "1")
    draws = Draws(recipe_of(args), load_motion(motion_file), 32)
    draws.epoch(0)
    assert set(shares) == {1.0}
    shares.clear()
    draws.validation()
    assert set(shares) == {0.0}


def test_half_of_a_lifters_people_have_even_postures_and_none_of_the_others():
    assert {name: parsed(name).even_postures for name in ("lifter", "cvugcn", "posern")} == {
        "lifter": 0.5, "cvugcn": 0.0, "posern": 0.0,
    }  # fmt: skip


def test_training_starts_from_given_weights(motion_file, tmp_path):
    """One epoch on has a smaller loss than one from random weights, and the same scale of data."""
    assert train.run(arguments("lifter", motion_file, tmp_path / "first")) == 0
    file = tmp_path / "first" / "lifter.safetensors"
    first, _ = load_trained(tmp_path / "first" / BEST)
    scores = {}
    for name, more in {"fresh": (), "started": ("--start", str(file))}.items():
        assert train.run(arguments("lifter", motion_file, tmp_path / name, *more)) == 0
        scores[name] = read_checkpoint(tmp_path / name / LAST)
    assert scores["started"]["loss"][0] < scores["fresh"]["loss"][0]
    assert scores["started"]["recipe"]["start"] == str(file)
    assert scores["fresh"]["recipe"]["start"] is None
    for name, value in scores["started"]["net"].items():
        if name.endswith("mean") and "norm" not in name and "running" not in name:
            assert torch.equal(value, first.state_dict()[name]), name  # the data's figures stay those of the weights


def test_weights_of_another_width_are_rejected_as_a_start(motion_file, tmp_path):
    assert train.run(arguments("lifter", motion_file, tmp_path / "first")) == 0
    file = tmp_path / "first" / "lifter.safetensors"
    with pytest.raises(InputError, match=r"--start .* holds another network .*'width': 16.*'width': 32"):
        train.run(arguments("lifter", motion_file, tmp_path / "second", "--start", str(file), "--width", "32"))


def test_half_of_the_rigs_have_the_noise_of_rendered_people():
    recipe = recipe_of(arguments("cvugcn", Path(), Path(), "--noise", "mixed"))
    rng = np.random.default_rng(0)
    (family, one), *_ = rigs_of(recipe)
    drawn = [noise_of(recipe, family, one, rng) for _ in range(200)]
    rendered = [noise.fitted_to == rendered_noise().fitted_to for noise in drawn]
    assert 70 < sum(rendered) < 130
    assert {noise.fitted_to for noise in drawn} == {rendered_noise().fitted_to, training_noise("h36m").fitted_to}


def test_missing_data_is_rejected_with_the_option(tmp_path):
    args = parsed("posern", "--output", str(tmp_path), "--quiet")
    with pytest.raises(InputError, match="--data"):
        train.run(args)


def test_too_few_rendered_scenes_are_rejected_in_one_line_without_data(tmp_path, capsys):
    scenes = Path(__file__).parents[1] / "rendered"
    words = ("--rendered", str(scenes), "--output", str(tmp_path), "--accelerator", "cpu", "--quiet")
    assert main(["train", "posern", *words]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "--rendered holds 1 scenes, expected 6 at least" in printed.err
    assert printed.out == ""
    assert not list(tmp_path.glob("*.ckpt"))


def test_folder_without_rendered_scenes_is_rejected_with_the_command_that_makes_them(tmp_path):
    args = parsed("posern", "--rendered", str(tmp_path), "--output", str(tmp_path / "run"), "--quiet")
    with pytest.raises(FootageError, match="pose3d render"):
        train.run(args)


def test_unknown_loss_is_rejected(motion_file, tmp_path):
    with pytest.raises(InputError, match="rstb"):
        train.run(arguments("cvugcn", motion_file, tmp_path, "--losses", "rx"))


def test_parsing_the_command_does_not_load_torch():
    import subprocess
    import sys

    code = "import sys, pose3d_ros.commands.train; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "0"), "0 is too few: give 1 or more"),
        (("--rig-count", "-3"), "'-3' is not an integer"),
        (("--minutes", "-1"), "'-1' is not a duration"),
        (("--threads", "many"), "'many' is not an integer"),
        (("--even-postures", "1.01"), "'1.01' is not a share: give 0 to 1"),
    ],
)
def test_invalid_numbers_are_rejected(capsys, words, message):
    with pytest.raises(SystemExit):
        parsed("posern", *words)
    assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_missing_gpu_is_rejected_with_the_fix(motion_file, tmp_path):
    arguments = parsed("posern", "--data", str(motion_file), "--output", str(tmp_path), "--accelerator", "gpu",
                       "--people", "64", "--batch", "32", "--rig-count", "1", "--quiet")  # fmt: skip
    with pytest.raises(InputError, match=r"accelerator 'gpu'.*use --accelerator cpu"):
        train.run(arguments)
