"""The benchmarks run, and what they compare with solves the same problem; how fast is not asserted."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import association, detector, geometry, triangulators
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.conditions import conditions
from benchmarks.timing import interleaved
from pose3d_ros.detection import factory
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.geometry.triangulation import huber_objective, triangulate
from pose3d_ros.recordings import footage
from pose3d_ros.structures import FrameSet


def exact(views: int) -> geometry.Scene:
    """A frame without noise."""
    one = geometry.scene(views, 1, 3)
    px, _ = triangulators._projected(one.P, one.xyz)
    return geometry.Scene(one.cameras, one.P, one.xyz, px)


@pytest.mark.parametrize("views", [2, 4])
def test_every_linear_method_gives_back_exact_points(views: int) -> None:
    one = exact(views)
    methods = geometry._linear_methods(views)
    assert len(methods) >= 4
    for run in methods.values():
        np.testing.assert_allclose(run(one), one.xyz, atol=1e-6)


@pytest.mark.parametrize("analytic", [False, True])
def test_scipy_finds_the_points_and_ours_an_objective_no_larger(analytic: bool) -> None:
    clean = exact(4)
    start = clean.xyz + 0.01
    found = triangulators.scipy_huber(clean.P, clean.px, start, 4.0, 2.0, analytic=analytic)
    np.testing.assert_allclose(found, clean.xyz, atol=1e-4)
    wild = geometry.scene(4, 1, 5, outliers=0.1)
    start = triangulators.svd_batched(wild.P, wild.px)
    theirs = triangulators.scipy_huber(wild.P, wild.px, start, 4.0, 2.0, analytic=analytic)
    ours = triangulate(wild.cameras, wild.px, sigma_px=4.0, delta=2.0, max_std_m=np.inf).xyz
    mine = triangulators.huber_sum(wild.P, wild.px, ours, 4.0, 2.0)
    assert mine == pytest.approx(huber_objective(wild.cameras, wild.px, ours, sigma_px=4.0, delta=2.0).sum())
    assert mine <= triangulators.huber_sum(wild.P, wild.px, theirs, 4.0, 2.0) * (1 + 1e-6)


def test_sparse_jacobian_is_the_derivative() -> None:
    one = geometry.scene(2, 1, 4)
    residual, jacobian = triangulators._norm_residual(one.P, one.px, 4.0)
    at = one.xyz.ravel()
    steps = 1e-6 * np.eye(at.size)
    differences = np.stack([(residual(at + d) - residual(at - d)) / 2e-6 for d in steps], axis=1)
    np.testing.assert_allclose(jacobian(at).toarray(), differences, rtol=1e-5, atol=1e-4)


def test_geometry_runs_and_writes_its_tables_and_conditions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["geometry", "--quick", "--json", str(tmp_path / "new" / "g.json")]) == 0
    written = json.loads((tmp_path / "new" / "g.json").read_text())
    assert set(written["tables"]) == {"linear2", "linear4", "live2", "live4"}
    assert written["conditions"]["cpu"]
    assert written["conditions"]["numpy"] == np.__version__
    for row in written["tables"]["linear4"]["rows"]:
        assert 0.85 < row["RMSE / bound"] < 1.3  # 340 joints: the bound is met within their scatter
    for row in written["tables"]["live4"]["rows"][2:]:
        assert float(row["objective above scipy's, at most"]) <= 1e-6
    assert "numpy" in capsys.readouterr().out


def test_association_runs_and_draws_its_growth(tmp_path: Path) -> None:
    plot, file = tmp_path / "growth.png", tmp_path / "a.json"
    assert main(["association", "--quick", "--plot", str(plot), "--json", str(file)]) == 0
    assert plot.stat().st_size > 5_000
    rows = json.loads(file.read_text())["tables"]["people"]["rows"]
    assert [row["of 4 people, right"] for row in rows] == ["4 of 4", "4 of 4"]


class SlowDetector:
    """Takes as long as its options and the number of images say."""

    threads: list[int] = []  # noqa: RUF012

    def __init__(self, options: DetectorOptions, device: str) -> None:
        self.threads.append(torch.get_num_threads())
        self.seconds = {"full": 0.02, "half": 0.01}[options.precision]
        assert device == "cpu"

    def __call__(self, frames: FrameSet) -> None:
        time.sleep(self.seconds * len(frames.images))


def test_detectors_are_timed_over_views_threads_and_precision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(footage, "fetch_sample", lambda name: name)
    monkeypatch.setattr(factory, "make_detector", SlowDetector)
    images = {f"cam{n}": np.zeros((4, 4, 3), dtype=np.uint8) for n in range(4)}
    monkeypatch.setattr(detector, "_frames", lambda sample, count: [FrameSet(images, dict.fromkeys(images, 0))] * count)
    before, file, plot = torch.get_num_threads(), tmp_path / "d.json", tmp_path / "d.png"
    arguments = ["--devices", "cpu", "--threads", "1", "3", "--sets", "3", "--json", str(file), "--plot", str(plot)]
    assert main(["detector", *arguments]) == 0
    assert torch.get_num_threads() == before
    rows = json.loads(file.read_text())["tables"]["detector"]["rows"]
    assert len(rows) == 2 * 2 * 2 * 3  # clips, threads, precisions, views
    assert SlowDetector.threads == [row["threads"] for row in rows]
    for row in rows:
        slept = {"full": 20.0, "half": 10.0}[row["precision"]] * row["views"]
        assert slept <= row["median ms"] <= row["p95 ms"]
        assert row["CPU ms"] < slept
        assert row["sets/s"] == pytest.approx(1000 / row["median ms"], rel=0.02)
    assert plot.stat().st_size > 5_000


def test_exponents_are_those_of_powers() -> None:
    counts = (2, 4, 8, 16)
    assert association.exponent(counts, [1 + 0.001 * n**2 for n in counts]) < 1.0
    assert association.exponent(counts, [3.0 * n**2 for n in counts]) == pytest.approx(2.0)


def test_only_complete_groups_of_one_person_are_correct() -> None:
    who = np.array([[0, 1, 2], [2, 0, 1]])  # views, their detections
    right = np.array([[0, 1], [1, 2], [2, 0]])
    assert association.whole_groups(right, who) == 3
    assert association.whole_groups(np.array([[0, 2], [1, 1], [2, -1]]), who) == 0


def test_functions_are_timed_in_turn() -> None:
    order: list[str] = []
    now = iter(range(1000))
    seconds = interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=2, clock=lambda: next(now)
    )
    assert order[-4:] == ["a", "b", "a", "b"]
    assert seconds["a"].tolist() == seconds["b"].tolist() == [1.0, 1.0]


def test_every_benchmark_has_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    for name in BENCHMARKS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        said = capsys.readouterr().out
        assert "--json FILE" in said
        assert "--quick" in said


def test_conditions_list_versions_and_hardware() -> None:
    assert {"cpu", "cores", "load_1min", "OMP_NUM_THREADS", "python", "numpy", "scipy", "torch"} <= set(conditions())
