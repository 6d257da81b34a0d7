"""Networks of an evaluation's rows: trained by the very `pose3d train` arguments, each in a folder of its own.

A row's folder is what `pose3d train --output` leaves, so a row may as well be trained by hand, on another machine.
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

DONE = "row.json"  # left when the training ended by itself: what it was trained with
# How large and how long a row is trained is the user's choice; what it is trained on and for is the row's.
SIZES = ("width", "people", "batch", "rig_count", "reuse", "schedule")
NOT_TRAINED = "not trained: --runs DIR --train"


def row_network(
    runs: Path, name: str, arguments: Sequence[str], *, data: Path, train: bool, minutes: float = math.inf
) -> Path | None:
    """The best checkpoint of row `name` in runs/name, or None where there is none and it is not to be trained.

    arguments are those of `pose3d train`, the network's name first, without --data, --output and --minutes. With train
    a missing row is trained and one that was stopped goes on, in a process of its own, for `minutes` at most. Raises
    InputError when the row was trained with other arguments, and when training fails.
    """
    folder = runs / name
    best, done = folder / BEST, folder / DONE
    if train and not done.is_file():
        _train(folder, arguments, data, minutes)
        done.write_text(json.dumps({"arguments": list(arguments), "minutes": str(minutes)}, indent=1) + "\n")
    if not best.is_file():
        return None
    told = differences(read_checkpoint(best)["recipe"], arguments)
    if told:
        raise InputError(
            f"{best} was trained otherwise ({'; '.join(told)}): give another --runs folder, or remove {folder}"
        )
    return best


def differences(recipe: Mapping[str, Any], arguments: Sequence[str]) -> list[str]:
    """Where a checkpoint's recipe says something else than the arguments, but for SIZES; a later argument wins."""
    wanted: dict[str, list[str]] = {"network": [arguments[0]]}
    for word in arguments[1:]:
        if word.startswith("--"):
            name = word[2:].replace("-", "_")
            wanted[name] = []
        else:
            wanted[name].append(word)
    told = []
    for name, words in wanted.items():
        if name not in recipe or name in SIZES:
            continue
        has = recipe[name]
        same = set(words) == {str(one) for one in has} if isinstance(has, list) else _same(has, words)
        if not same:
            told.append(f"{name} was {has!r}, is {' '.join(words) or 'given'}")
    return told


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
    # Its progress goes to stderr by itself; so does what it prints: our stdout holds the tables.
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(ended.stdout, end="", file=sys.stderr, flush=True)
    if ended.returncode:
        raise InputError(f"training of row {folder.name!r} ended with code {ended.returncode}: its output says why")
