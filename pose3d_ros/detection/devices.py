"""Device and precision of torch networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pose3d_ros.errors import InputError


def torch_device(name: str) -> torch.device:
    """Return the torch device; raises InputError for one that torch does not have."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {error}: use auto, cpu or cuda") from error
    return torch.device(name)


def halves(precision: str, device: torch.device) -> bool:
    """Whether networks run in half precision: if requested, or (auto) if the hardware supports it natively.

    Raises InputError if half precision is requested on a CPU without bfloat16.
    """
    if precision == "half" and device.type == "cpu" and not bfloat16_runs():
        raise InputError(
            "precision is 'half', but this CPU cannot compute bfloat16 (it lacks AVX-512): use precision auto or full"
        )
    return precision == "half" or (precision == "auto" and _halves_natively(device))


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch operations in the block on the calling thread only, for small operations on the CPU.

    Each operation waits for all its threads: with other processes on the cores, decoding six crops took 116 ms on two
    threads and 3 on one (median of 40; 1.7 and 2.1 at best).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def bfloat16_runs() -> bool:
    """Whether oneDNN's convolutions accept bfloat16 on this CPU; where emulated, they are slow but work."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _halves_natively(device: torch.device) -> bool:
    """Whether a device has instructions for half precision: any GPU, and CPUs with AVX-512 BF16."""
    if device.type != "cpu":
        return True
    cpuinfo = Path("/proc/cpuinfo")  # torch has no public query; elsewhere full precision is used
    return cpuinfo.is_file() and "avx512_bf16" in cpuinfo.read_text() and bfloat16_runs()
