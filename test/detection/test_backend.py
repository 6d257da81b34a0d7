"""Both backends give the same heads, and the faster one is chosen, measured once."""

import json

import numpy as np
import pytest
import torch

from pose3d_ros.cache import cache_dir
from pose3d_ros.detection import backend, fastest, movenet, multipose, nanodet
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.errors import DependencyError, InputError, OptionError
from pose3d_ros.weights import store

CPU = torch.device("cpu")
NETWORKS = {
    "movenet-thunder": ((256, 256), lambda path: movenet.MoveNet(path, 256)),
    "movenet-lightning": ((192, 192), lambda path: movenet.MoveNet(path, 192)),
    "movenet-multipose": ((160, 256), multipose.MultiPose),
    "nanodet": ((416, 256), nanodet.NanoDet),
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("threads", [1, 2])
def test_openvino_gives_the_same_heads_as_torch(weights, name, threads):
    openvino_backend = pytest.importorskip("pose3d_ros.detection.openvino_backend")
    size_hw, network = NETWORKS[name]
    graph = network(store.path(name)).eval().network
    by_openvino = openvino_backend.OpenVinoBackend(graph, threads, size_hw)
    rng = np.random.default_rng(5)
    for count in (3, 1):  # two in their streams and one remaining; one alone
        images = rng.integers(0, 256, (count, *size_hw, 3), dtype=np.uint8)
        expected = backend.TorchBackend(graph, CPU)(images)
        heads = by_openvino(images)
        assert [head.shape for head in heads] == [head.shape for head in expected]
        for ours, theirs in zip(heads, expected, strict=True):
            assert (ours - theirs).abs().max() <= 1e-4 * (theirs.max() - theirs.min())


class _Way:
    """An implementation with a fixed time, by an injected clock."""

    def __init__(self, name, seconds, made):
        self.name, self.seconds = name, seconds
        made.append(name)


@pytest.fixture
def choose(cache, monkeypatch):
    """What fastest() chooses of a (1 s) and b, and what it created; b's runs take these seconds in turn."""
    now = [0.0]
    monkeypatch.setattr(fastest.time, "perf_counter", lambda: now[0])

    def chosen(*b_seconds, what="net"):
        made = []
        runs = iter([*b_seconds, *[b_seconds[-1]] * fastest.ROUNDS])

        def run(way):
            now[0] += 1.0 if way.name == "a" else next(runs)

        makers = {name: lambda name=name: _Way(name, 0, made) for name in "ab"}
        return fastest.fastest(what, makers, run).name, made

    return chosen


def test_faster_implementation_is_chosen_and_measured_once(choose):
    assert choose(0.5) == ("b", ["a", "b"])
    assert choose(9.0) == ("b", ["b"])  # from the cache: only it is created, and nothing is run
    assert choose(9.0, what="another net") == ("a", ["a", "b"])
    assert choose(9.0) == ("b", ["b"])


def test_first_run_and_slowed_runs_do_not_count(choose):
    assert choose(30.0, 7.0, 0.5, 7.0)[0] == "b"


def test_another_number_of_threads_is_measured_separately(choose, monkeypatch):
    assert choose(0.5)[0] == "b"
    monkeypatch.setattr(fastest.torch, "get_num_threads", lambda: 77)
    assert choose(2.0) == ("a", ["a", "b"])
    assert len(fastest.read_timings()) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"x": 1}',
        '{"x": {"net": [1]}}',
        '{"x": {"net": {"a": "fast"}}}',
        "[" * 9000,
        '{"x": {"n": NaN}}',
    ],
)
def test_damaged_cache_is_measured_again(choose, cache, content):
    (cache / fastest.FILE).write_text(content)
    assert choose(0.5) == ("b", ["a", "b"])
    assert choose(9.0) == ("b", ["b"])
    json.loads((cache / fastest.FILE).read_text())


def test_unwritable_cache_is_not_an_error(choose, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "file" / "below"))
    assert choose(0.5) == ("b", ["a", "b"])
    assert choose(2.0) == ("a", ["a", "b"])


def test_cache_size_is_bounded(choose, cache, monkeypatch):
    for threads in range(fastest.MAX_MACHINES + 3):
        monkeypatch.setattr(fastest.torch, "get_num_threads", lambda threads=threads: threads)
        choose(0.5)
    assert len(fastest.read_timings()) == fastest.MAX_MACHINES
    assert [file.name for file in cache_dir().iterdir()] == [fastest.FILE]  # nothing half-written is left


def _backend(**options):
    network = torch.nn.Identity()
    return backend.backend_of("net", network, None, (8, 8), options.pop("device", CPU), DetectorOptions(**options))


def test_without_openvino_torch_runs_and_requesting_openvino_names_the_install_command(monkeypatch):
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert _backend().name == "torch"
    with pytest.raises(DependencyError, match="pip install 'openvino"):
        _backend(backend="openvino")


def test_openvino_is_rejected_for_a_gpu_or_half_precision():
    with pytest.raises(InputError, match="use device cpu"):
        _backend(backend="openvino", device=torch.device("meta"))
    assert _backend(device=torch.device("meta")).name == "torch"
    with pytest.raises(OptionError, match="full precision"):
        DetectorOptions(backend="openvino", precision="half")
