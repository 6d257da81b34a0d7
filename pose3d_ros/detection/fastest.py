"""Choose the fastest of several implementations on this machine, measured once and cached (fastest_backend.json)."""

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

Implementation = TypeVar("Implementation")
Timings = dict[str, dict[str, dict[str, float]]]  # machine -> workload -> implementation -> ms

FILE = "fastest_backend.json"
ROUNDS = 4  # after a first run that is not timed; the best counts, as other processes can only slow it down
MAX_MACHINES = 16  # per file, for a home folder that is shared by many machines


def fastest(
    what: str, makers: Mapping[str, Callable[[], Implementation]], run: Callable[[Implementation], Any]
) -> Implementation:
    """Create and return the fastest implementation; only that one is created if the cache has the timings.

    A cache that cannot be read or written is not an error: the timings are measured again.
    """
    machine = machine_now()
    cached = read_timings().get(machine, {}).get(what, {})
    if cached.keys() == makers.keys():
        return makers[min(cached, key=lambda name: cached[name])]()
    candidates = {name: make() for name, make in makers.items()}
    times_ms = dict.fromkeys(candidates, math.inf)
    for number in range(ROUNDS + 1):
        for name, candidate in candidates.items():
            start = time.perf_counter()
            run(candidate)
            if number:
                times_ms[name] = min(times_ms[name], (time.perf_counter() - start) * 1e3)
    _write(machine, what, {name: round(ms, 2) for name, ms in times_ms.items()})
    return candidates[min(times_ms, key=lambda name: times_ms[name])]


def machine_now() -> str:
    """Return what determines a network's speed: the processor and its features, threads and versions."""
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
    """Return the cached timings; empty if the file is missing, damaged or malformed."""
    path = cache_dir() / FILE
    try:
        content = json_content(read_text(path, TIMINGS), str(path), TIMINGS)
    except Pose3DError:
        return {}
    return content if _well_formed(content) else {}


def _well_formed(content: Any) -> bool:
    if not isinstance(content, dict) or not all(isinstance(timings, dict) for timings in content.values()):
        return False
    workloads = [times_ms for machine in content.values() for times_ms in machine.values()]
    return all(isinstance(times_ms, dict) for times_ms in workloads) and all(
        type(ms) in (int, float) and 0 <= ms < math.inf for times_ms in workloads for ms in times_ms.values()
    )


def _write(machine: str, what: str, times_ms: Mapping[str, float]) -> None:
    """Write times to the file atomically; if two processes write at once, one of them measures again later."""
    timings = read_timings()
    newest = {**timings.pop(machine, {}), what: dict(times_ms)}
    kept = dict([*timings.items(), (machine, newest)][-MAX_MACHINES:])
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache_dir(), prefix=FILE, delete=False, encoding="utf-8") as file:
            json.dump(kept, file, indent=2)
        os.replace(file.name, cache_dir() / FILE)
    except OSError:  # a full disk, or another user's cache
        return


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
