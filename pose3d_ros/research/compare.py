"""`pose3d compare`: its rows one after the other, the table and the training curves."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.tables import as_json, printed
from pose3d_ros.plots.sweep_plot import write_sweep_plot
from pose3d_ros.research.budgets import BUDGETS
from pose3d_ros.research.comparison import Comparison, Figures
from pose3d_ros.research.rows import ROWS, comparison_table
from pose3d_ros.structures import Floats
from pose3d_ros.training.loop import LAST, FitOptions, read_checkpoint


def list_rows() -> str:
    """The names of the rows and what they are."""
    return "\n".join(f"{row.name:18} {row.text}" for row in ROWS)


def compare(args: argparse.Namespace) -> str:
    """Measure the rows of the arguments, see commands/compare.py; the table. Raises InputError for an unknown row."""
    names = [row.name for row in ROWS]
    if unknown := [name for name in args.rows if name not in names]:
        raise InputError(f"--rows {unknown[0]}: there is no such row: use some of {', '.join(names)}")
    budget = BUDGETS[args.budget]
    if args.passes:
        budget = replace(budget, passes=args.passes)
    options = FitOptions(
        epochs=1, batch_size=1, seed=args.seed, accelerator=args.accelerator, devices=args.devices, resume=True,
        progress=not args.quiet,
    )  # fmt: skip
    run = Comparison(args.data, args.output, budget, args.seeds, options)
    measured: dict[str, Figures] = {}
    for row in ROWS:
        if row.name not in (args.rows or names):
            continue
        if row.name.startswith("ours") and not run.rendered:
            print(f"{row.name}: left out, it takes scenes of `pose3d render`; Human3.6M: `pose3d reproduce`")
            continue
        found = run.kept(row.name)
        if found is None:
            print(f"{row.name}: {row.text}", flush=True)
            found = row.measure(run)
            run.keep(row.name, found)
        measured[row.name] = found
    table = comparison_table(run, measured)
    (args.output / "compare.json").write_text(json.dumps(as_json(table), indent=1) + "\n", encoding="utf-8")
    (args.output / "compare.md").write_text(printed(table), encoding="utf-8")
    curves = write_curves(args.output / "networks")
    return printed(table) + "\n".join(f"training curves: {path}" for path in curves)


def write_curves(folder: Path) -> list[Path]:
    """Plot the validation figure of every epoch of the networks in a folder: px, mm, or a loss."""
    series: dict[str, dict[str, tuple[Floats, Floats]]] = {"px": {}, "mm": {}, "loss": {}}
    for path in sorted(folder.glob(f"*/{LAST}")):
        content = read_checkpoint(path)
        name, unit = path.parent.name, str(content["recipe"].get("unit", "mm"))
        score: Floats = np.array(content["score"], dtype=np.float64)
        per_epoch = float(content["recipe"].get("epoch_images", 1))
        images: Floats = per_epoch * np.arange(1, len(score) + 1, dtype=np.float64)
        if "-s" not in name:  # lifters take no images
            series[unit][name] = images, score
    written = []
    for unit, curves in series.items():
        if curves:
            path = folder.parent / f"curves_{unit}.png"
            write_sweep_plot(
                curves,
                path,
                title="people held out for validation",
                x_label="images",
                y_label=unit if unit == "loss" else f"mean error, {unit}",
                both_log=unit == "mm",  # one that fails would hide the others
            )
            written.append(path)
    return written
