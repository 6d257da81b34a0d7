"""Networks of an evaluation's rows: each trained by `pose3d train` in its own folder.

A row's folder is that of `pose3d train --output`, so a row may also be trained by hand, on another machine.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pose3d_ros.errors import InputError
from pose3d_ros.training.loop import BEST, read_checkpoint

DONE = "row.json"  # written when the training has ended: its arguments
# The user may choose size and duration of a row's training, not its data and losses.
SIZES = ("width", "people", "batch", "rig_count", "reuse", "schedule")
NOT_TRAINED = "not trained: --runs DIR --train"


def row_network(
    runs: Path, name: str, arguments: Sequence[str], *, data: Path, train: bool, minutes: float = math.inf
) -> Path | None:
    """The best checkpoint of row `name` in runs/name, or None if there is none and train is false.

    arguments are those of `pose3d train`, the network's name first, without --data, --output and --minutes. With train
    a missing row is trained and a stopped one resumed, in its own process, for `minutes` at most. Raises InputError
    if the row was trained with other arguments, and if training fails.
    """
    folder = runs / name
    best, done = folder / BEST, folder / DONE
    if train and not done.is_file():
        _train(folder, arguments, data, minutes)
        done.write_text(json.dumps({"arguments": list(arguments), "minutes": str(minutes)}, indent=1) + "\n")
    if not best.is_file():
        return None
    mismatches = differences(read_checkpoint(best)["recipe"], arguments)
    if mismatches:
        raise InputError(
            f"{best} was trained with other options ({'; '.join(mismatches)}): give another --runs folder, or remove "
            f"{folder}"
        )
    return best


def differences(recipe: Mapping[str, Any], arguments: Sequence[str]) -> list[str]:
    """Differences between a checkpoint's recipe and the arguments, except SIZES; a later argument wins."""
    wanted: dict[str, list[str]] = {"network": [arguments[0]]}
    for word in arguments[1:]:
        if word.startswith("--"):
            name = word[2:].replace("-", "_")
            wanted[name] = []
        else:
            wanted[name].append(word)
    mismatches = []
    for name, words in wanted.items():
        if name not in recipe or name in SIZES:
            continue
        has = recipe[name]
        same = set(words) == {str(one) for one in has} if isinstance(has, list) else _same(has, words)
        if not same:
            mismatches.append(f"{name} was {has!r}, is {' '.join(words) or 'given'}")
    return mismatches


def _same(has: Any, words: Sequence[str]) -> bool:
    if isinstance(has, bool):
        return has and not words
    if isinstance(has, float):
        return len(words) == 1 and float(words[0]) == has
    return [str(has)] == list(words)


def _train(folder: Path, arguments: Sequence[str], data: Path, minutes: float) -> None:
    command = [sys.executable, "-m", "pose3d_ros.cli", "train", *arguments, "--data", str(data)]
    command += ["--output", str(folder), "--resume"]
    if math.isfinite(minutes):
        command += ["--minutes", str(minutes)]
    print(f"training {folder.name}: pose3d {' '.join(command[3:])}", file=sys.stderr, flush=True)
    # Its progress and output go to stderr: our stdout has the tables.
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(ended.stdout, end="", file=sys.stderr, flush=True)
    if ended.returncode:
        raise InputError(f"training of row {folder.name!r} ended with code {ended.returncode}: see its output")
