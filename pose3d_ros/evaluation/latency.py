"""Size and latency of a refinement network for one person and one pair of cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.evaluation.bench import Bench
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.networks.cvugcn import CvUgcn, CvUgcnOptions
from pose3d_ros.networks.refiner import FEATURES, FORMS, refine
from pose3d_ros.networks.residual_mlp import MlpRefiner
from pose3d_ros.networks.rig_features import Sight
from pose3d_ros.simulation.simulated_rigs import PAIRS

REPEATS, WARM_UP = 200, 20


def size(bench: Bench) -> Iterator[Table]:
    """Parameters, memory and latency; none depends on the training."""
    rig = bench.rig()[1]
    pair = CvUgcn(CvUgcnOptions(features=FEATURES["pair"]))
    shared = rig[0].net if rig else CvUgcn(CvUgcnOptions(features=FEATURES["rig"], stems="shared"))
    networks: dict[str, tuple[nn.Module, str]] = {
        "CV-UGCN, a network a pair": (pair, "pair"),
        bench.rig()[0]: (shared, "rig"),
        "residual MLP, pair form": (MlpRefiner(2, FEATURES["pair"]), "pair"),
        "residual MLP, rig form": (MlpRefiner(2, FEATURES["rig"]), "rig"),
    }
    trial = bench.pair(next(iter(PAIRS)), "a").trials[0]
    sight = Sight(*(tensor[:1] for tensor in trial.sight))
    rows: list[tuple[Cell, ...]] = [("paper", None, 20.0, None, None, None, 10.0)]
    for label, (net, form) in networks.items():
        parameters = sum(parameter.numel() for parameter in net.parameters())
        given = FORMS[form](sight)
        alone, whole = on_one_thread(net.eval(), sight, form, given.features, given.coarse)
        gpu = on_gpu(net, sight, form) if torch.cuda.is_available() else {}
        rows.append((label, parameters / 1e6, 4.0 * parameters / 1e6, alone, whole, gpu.get("graph"), gpu.get("whole")))
    columns = ("row", "M parameters", "MB in fp32", "CPU net ms", "CPU whole ms", "GPU net as graph ms", "GPU whole ms")
    note = (
        f"One person, one pair of cameras, median of {REPEATS} after {WARM_UP}; on one CPU thread. Whole: from the "
        "triangulated pose to the refined one, features and fusion included. The paper's 10 ms are on an RTX 2080 Ti."
    )
    yield Table("size", "size and latency", columns, rows, note, decimals=2)


def on_one_thread(net: nn.Module, sight: Sight, form: str, features: Tensor, coarse: Tensor) -> tuple[float, float]:
    """(network alone, all of the refinement) ms on one CPU thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return median_ms(lambda: net(features, coarse)), median_ms(lambda: refine(net, sight, form))
    finally:
        torch.set_num_threads(threads)


def on_gpu(net: nn.Module, sight: Sight, form: str) -> Mapping[str, float]:
    """ms of the network as a CUDA graph, and of all of the refinement launched step by step."""
    device = torch.device("cuda")
    moved = Sight(*(tensor.to(device) for tensor in sight))
    net.to(device)
    try:
        with torch.inference_mode():
            given = FORMS[form](moved)
            whole = median_ms(lambda: refine(net, moved, form), torch.cuda.synchronize)
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # CUDA wants a few runs on another stream before a capture
                for _ in range(3):
                    net(given.features, given.coarse)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                net(given.features, given.coarse)
            return {"graph": median_ms(graph.replay, torch.cuda.synchronize), "whole": whole}
    finally:
        net.to("cpu")


def median_ms(work: Callable[[], object], finish: Callable[[], object] = lambda: None) -> float:
    """Median time of work, including the GPU work it starts, ms."""
    taken = []
    for _ in range(WARM_UP + REPEATS):
        began = time.perf_counter()
        work()
        finish()
        taken.append(1000.0 * (time.perf_counter() - began))
    return float(np.median(taken[WARM_UP:]))
