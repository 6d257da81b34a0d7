"""What a benchmark ran on: figures without it cannot be compared."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pose3d_ros import __version__

# Packages whose version changes a figure; None if not installed.
PACKAGES = ("numpy", "scipy", "opencv-python-headless", "torch", "openvino", "numba", "onnxruntime")
THREADS_VARIABLE = "OMP_NUM_THREADS"


def conditions() -> dict[str, str | float | int | None]:
    """CPU, cores, load, threads and versions, by name."""
    found: dict[str, str | float | int | None] = {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        THREADS_VARIABLE: os.environ.get(THREADS_VARIABLE),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "pose3d_ros": __version__,
    }
    return found | {name: _version(name) for name in PACKAGES}


def _cpu() -> str:
    """The processor's model with its family and number: several share the name "Intel(R) Xeon(R) Processor"."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    facts = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    return f"{facts['model name']}, family {facts.get('cpu family')} model {facts.get('model')}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
