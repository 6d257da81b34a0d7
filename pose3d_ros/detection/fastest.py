"""Which of several ways is the fastest on this machine: measured once, and kept in the cache (fastest_backend.json)."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch

from pose3d_ros.cache import cache_dir
from pose3d_ros.errors import Pose3DError
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import TIMINGS, read_text

Way = TypeVar("Way")
Timings = dict[str, dict[str, dict[str, float]]]  # machine -> what was timed -> way -> ms

FILE = "fastest_backend.json"
ROUNDS = 4  # of each way in turn, after one that is not timed; the best counts, since other processes only slow it
MOST_MACHINES = 16  # in one file, such as one in a home folder that many machines share


def fastest(what: str, makers: Mapping[str, Callable[[], Way]], run: Callable[[Way], Any]) -> Way:
    """The way, made, that takes the least time to run; only that one is made where the cache knows it.

    A cache that cannot be read or written is no error: it is measured again.
    """
    machine = machine_now()
    known = read_timings().get(machine, {}).get(what, {})
    if known.keys() == makers.keys():
        return makers[min(known, key=lambda name: known[name])]()
    ways = {name: make() for name, make in makers.items()}
    times_ms = dict.fromkeys(ways, math.inf)
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            run(way)
            if number:
                times_ms[name] = min(times_ms[name], (time.perf_counter() - start) * 1e3)
    _write(machine, what, {name: round(ms, 2) for name, ms in times_ms.items()})
    return ways[min(times_ms, key=lambda name: times_ms[name])]


def machine_now() -> str:
    """What decides how fast a network runs: the processor with what it can do, threads and versions."""
    cpu, flags = platform.processor() or platform.machine(), ""
    file = Path("/proc/cpuinfo")
    if file.is_file():
        lines = (line.partition(":") for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
        facts = {name.strip(): value.strip() for name, _, value in lines}
        cpu = facts.get("model name", cpu)
        flags = " ".join(facts.get(name, "") for name in ("cpu family", "model", "flags", "Features"))
    digest = hashlib.sha256(flags.encode()).hexdigest()[:12]
    packages = ", ".join(f"{name} {_version(name)}" for name in ("torch", "openvino"))
    return f"{cpu}, flags {digest}, {torch.get_num_threads()} threads, {packages}"


def read_timings() -> Timings:
    """What was measured so far; nothing where the file is missing, damaged or of another form."""
    place = cache_dir() / FILE
    try:
        content = json_content(read_text(place, TIMINGS), str(place), TIMINGS)
    except Pose3DError:
        return {}
    return content if _well_formed(content) else {}


def _well_formed(content: Any) -> bool:
    if not isinstance(content, dict) or not all(isinstance(one, dict) for one in content.values()):
        return False
    timed = [ways for machine in content.values() for ways in machine.values()]
    return all(isinstance(ways, dict) for ways in timed) and all(
        type(ms) in (int, float) and 0 <= ms < math.inf for ways in timed for ms in ways.values()
    )


def _write(machine: str, what: str, times_ms: Mapping[str, float]) -> None:
    """Put times into the file, whole or not at all; of two processes that write at once one measures again."""
    timings = read_timings()
    newest = {**timings.pop(machine, {}), what: dict(times_ms)}
    kept = dict([*timings.items(), (machine, newest)][-MOST_MACHINES:])
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache_dir(), prefix=FILE, delete=False, encoding="utf-8") as file:
            json.dump(kept, file, indent=2)
        os.replace(file.name, cache_dir() / FILE)
    except OSError:  # a full disk, or a cache that is another user's
        return


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
