"""One output folder, one run."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from pose3d_ros.commands import demo, estimate, train
from pose3d_ros.errors import InputError
from pose3d_ros.files.output_lock import output_lock


@pytest.mark.parametrize("command", [estimate, demo, train])
def test_fault_two_runs_on_one_output_folder(command: object, tmp_path: Path) -> None:
    """Fault: two runs of `pose3d estimate`, `demo` or `train` are given one output folder at the same time.
    Sees: the second ends at once: "--output ...: another run is writing there now"; the first goes on unharmed.
    Recovers: another folder, or the first run's end.
    Kind: K8
    Before: both failed, and the results were incomplete.
    """
    with (
        output_lock(tmp_path / "results"),
        pytest.raises(InputError, match="results: another run is writing there now: wait for it, or choose another"),
    ):
        command.run(Namespace(output=tmp_path / "results", network="lifter", devices=1, nodes=1))  # type: ignore[attr-defined]


def test_run_that_was_killed_blocks_none(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from pose3d_ros.files.output_lock import output_lock
with output_lock(Path({str(tmp_path)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(InputError), output_lock(tmp_path):
        pass
    process.kill()
    process.wait()
    with output_lock(tmp_path):
        pass


def test_folder_is_free_again_after_a_run_and_an_empty_one_is_not_left(tmp_path: Path) -> None:
    with output_lock(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    with output_lock(tmp_path / "new"):
        (tmp_path / "new" / "result").touch()
    assert (tmp_path / "new" / "result").exists()
    (tmp_path / "file").touch()
    with output_lock(tmp_path / "file"):  # the command says what is wrong with it
        pass
