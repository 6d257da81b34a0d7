"""The precision of networks follows the processor's features."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch

from pose3d_ros.detection import devices
from pose3d_ros.detection.devices import bfloat16_runs, halves, one_thread
from pose3d_ros.detection.graph import ONEDNN
from pose3d_ros.errors import InputError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_bfloat16_runs_where_a_convolution_of_it_does() -> None:
    """Against the convolution itself, which raises where the processor cannot compute it."""
    if ONEDNN is None:
        pytest.skip("this PyTorch has no oneDNN")
    x, weight = torch.ones(1, 1, 4, 4, dtype=torch.bfloat16), torch.ones(1, 1, 3, 3, dtype=torch.bfloat16)
    try:
        ONEDNN(x, weight, None, [0, 0], [1, 1], [1, 1], 1, "none", [], "")
        computes = True
    except RuntimeError:
        computes = False
    assert bfloat16_runs() == computes


def test_fault_half_precision_required_of_a_cpu_without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: precision is half on a CPU that cannot compute bfloat16 (AVX2 only).
    Sees: "precision is 'half', but this CPU cannot compute bfloat16 (it lacks AVX-512): use precision auto or full".
    Recovers: with precision auto or full.
    Kind: K7
    Before: the first image ended in a RuntimeError of oneDNN.
    """
    monkeypatch.setattr(devices, "bfloat16_runs", lambda: False)
    with pytest.raises(InputError, match=r"cannot compute bfloat16 \(it lacks AVX-512\): use precision auto or full"):
        halves("half", CPU)
    assert not halves("auto", CPU)
    assert not halves("full", CPU)
    assert halves("half", GPU)
    monkeypatch.setattr(devices, "bfloat16_runs", lambda: True)
    assert halves("half", CPU)


def test_one_thread_restores_the_thread_count_after_an_error() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with suppress(ZeroDivisionError), one_thread():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
