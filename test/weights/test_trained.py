"""The table of shipped networks agrees with the files; files come back as they were, or not at all."""

import json
import pickle
import struct

import pytest
import torch

from pose3d_ros.cache import sha256_of
from pose3d_ros.errors import InputError, WeightsCorruptError, WeightsMissingError
from pose3d_ros.networks.build import build
from pose3d_ros.weights import trained
from pose3d_ros.weights.trained import FOLDER, TRAINED, TrainedNetwork, load, save

LIFTER = {
    "network": "lifter",
    "form": "paper",
    "dropout": 0.5,
    "width": 32,
    "without": [],
    "seed": 3,
    "sigma_px": None,
    "rigs": ["h36m"],
}
CVUGCN = {"network": "cvugcn", "width": 8, "form": "rig", "views": 2, "without": ["view"]}
POSERN = {"network": "posern", "width": 32}
MAX_TOTAL = 60_000_000


def network(recipe, seed=0):
    """A network whose batch norm figures are not the initial ones."""
    torch.manual_seed(seed)
    net = build(recipe).train()
    if recipe["network"] == "cvugcn":
        net.norm.measure(3.0 + 2.0 * torch.randn(64, recipe["views"], 17, net.options.features))
    forward(net, recipe, seed=1)
    return net.eval()


@torch.no_grad()
def forward(net, recipe, seed=2):
    generator = torch.Generator().manual_seed(seed)
    if recipe["network"] == "lifter":
        K = torch.tensor([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]]).expand(40, 3, 3)
        depth, pose = net(500 + 100 * torch.randn(40, 17, 2, generator=generator), K)
        return torch.cat((depth, pose.flatten()))
    if recipe["network"] == "posern":
        return net(torch.randn(40, 102, generator=generator))
    features = torch.randn(40, recipe["views"], 17, net.options.features, generator=generator)
    return net(features, features[..., :3])


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A table of one row, and its file."""
    digest = save(tmp_path / "tiny.safetensors", network(LIFTER), LIFTER, {"depth": torch.tensor(0.05)})
    size = (tmp_path / "tiny.safetensors").stat().st_size
    one = TrainedNetwork("tiny", "lifter", "tiny.safetensors", digest, size, "", "h36m_17", "h36m", "MIT", "none", "no")
    monkeypatch.setattr(trained, "FOLDER", tmp_path)
    monkeypatch.setattr(trained, "TRAINED", (one,))
    return tmp_path / "tiny.safetensors"


@pytest.mark.parametrize("recipe", [LIFTER, CVUGCN, POSERN], ids=lambda recipe: recipe["network"])
def test_saved_network_reloads_with_the_same_output_to_half_precision(recipe, tmp_path):
    net = network(recipe)
    digest = save(tmp_path / "net.safetensors", net, recipe)
    found = load(str(tmp_path / "net.safetensors"))
    assert sha256_of(tmp_path / "net.safetensors") == digest
    assert found.recipe == recipe
    assert not found.verified
    assert not found.net.training
    assert {tensor.dtype for tensor in found.net.state_dict().values()} <= {torch.float32, torch.int64, torch.bool}
    expected, got = forward(net, recipe), forward(found.net, recipe)
    assert 0 < (got - expected).norm() < 1e-3 * expected.norm()


def test_batch_norm_and_input_figures_come_back_exactly(tmp_path):
    net = network(CVUGCN)
    save(tmp_path / "net.safetensors", net, CVUGCN)
    found = load(tmp_path / "net.safetensors").net.state_dict()
    exact = [name for name in found if "running" in name or name.startswith("norm.")]
    assert len(exact) > 2
    for name in exact:
        torch.testing.assert_close(found[name], net.state_dict()[name], rtol=0, atol=0)


def test_same_network_gives_the_same_bytes_in_half_the_size(tmp_path):
    recipe = LIFTER | {"width": 256}
    first = save(tmp_path / "a.safetensors", network(recipe), recipe, {"b": torch.ones(2), "a": torch.zeros(1)})
    again = save(tmp_path / "b.safetensors", network(recipe), recipe, {"a": torch.zeros(1), "b": torch.ones(2)})
    assert first == again
    weights = sum(parameter.numel() for parameter in build(recipe).parameters())
    assert (tmp_path / "a.safetensors").stat().st_size < 2.1 * weights


def test_shipped_network_is_verified_and_has_its_spread(shipped):
    found = load("tiny")
    assert (found.name, found.verified) == ("tiny", True)
    assert float(found.spread["depth"]) == pytest.approx(0.05)


@pytest.mark.parametrize("place", [20, -5])
def test_flipped_byte_in_a_shipped_file_is_rejected(shipped, place):
    content = bytearray(shipped.read_bytes())
    content[place] ^= 1
    shipped.write_bytes(content)
    with pytest.raises(WeightsCorruptError, match=r"tiny\.safetensors is not the file that was shipped.*install"):
        load("tiny")


def test_missing_shipped_file_is_rejected(shipped):
    shipped.unlink()
    with pytest.raises(WeightsMissingError, match=r"no .*tiny\.safetensors.*install pose3d_ros again"):
        load("tiny")


def test_unknown_name_lists_the_known_ones(shipped):
    with pytest.raises(InputError, match=r"'large'.*use one of tiny, or the path"):
        load("large")


def test_missing_file_is_rejected(tmp_path):
    with pytest.raises(WeightsMissingError, match="pose3d train"):
        load(tmp_path / "none.safetensors")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the file was executed",))


def named(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", WeightsCorruptError),
        (b"garbage" * 100, WeightsCorruptError),
        (b"\xff" * 64, WeightsCorruptError),
        (pickle.dumps(Trap()), WeightsCorruptError),
        (named({}), InputError),
        (named({"__metadata__": {"recipe": "not JSON"}}), InputError),
        (named({"__metadata__": {"recipe": "[" * 5000}}), InputError),
        (named({"__metadata__": {"recipe": "[1]"}}), InputError),
        (named({"__metadata__": {"recipe": "{}"}}), InputError),
        (named({"__metadata__": {"recipe": json.dumps(LIFTER | {"width": 10**12})}}), InputError),
        (named({"__metadata__": {"recipe": json.dumps(LIFTER)}}), InputError),
    ],
)
def test_garbage_is_rejected(content, error, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(error, match=r"bad\.safetensors|recipe|there is no network"):
        load(tmp_path / "bad.safetensors")


def test_truncated_file_is_rejected_as_damaged(tmp_path):
    save(tmp_path / "net.safetensors", network(LIFTER), LIFTER)
    content = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "net.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsCorruptError, match="damaged"):
        load(tmp_path / "net.safetensors")


def test_weights_of_another_recipe_are_rejected(tmp_path):
    save(tmp_path / "net.safetensors", network(LIFTER), LIFTER | {"width": 64})
    with pytest.raises(InputError, match="does not hold the network of its recipe"):
        load(tmp_path / "net.safetensors")


def test_numbers_that_half_precision_cannot_hold_are_not_saved(tmp_path):
    net = network(POSERN)
    with torch.no_grad():
        net.out.weight[0, 0] = 1e6
    with pytest.raises(InputError, match=r"out\.weight"):
        save(tmp_path / "net.safetensors", net, POSERN)
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_rejected(tmp_path):
    with pytest.raises(InputError, match="safetensors"):
        save(tmp_path / "net.ckpt", network(POSERN), POSERN)


@pytest.mark.parametrize("row", TRAINED, ids=lambda row: row.name)
def test_every_row_of_the_table_is_there_sound_and_loads(row):
    place = FOLDER / row.file
    assert place.stat().st_size == row.size
    found = load(row.name)
    assert found.verified
    assert found.recipe["network"] == row.network
    assert all((row.skeleton, row.rigs, row.licence, row.data, row.measured))
    assert row.network == "posern" or found.spread, "a refiner and a lifter ship with their covariance"
    assert row.network != "posern" or row.detector, "a bias belongs to one detector"


def test_table_and_the_folder_hold_the_same_files_within_60_mb():
    assert {row.file for row in TRAINED} == {path.name for path in FOLDER.glob("*.safetensors")}
    assert len(set(trained.names())) == len(TRAINED)
    assert sum(row.size for row in TRAINED) <= MAX_TOTAL


def test_reading_the_table_does_not_load_torch():
    import subprocess
    import sys

    code = "import sys, pose3d_ros.weights.trained; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
