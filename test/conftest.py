"""Fixtures for what must have been fetched before: a test that needs it is skipped by name where it is absent."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import FootageError

# benchmarks/ and examples/ are no part of what is installed. Last: the checkout's own package has no messages.
sys.path.append(str(Path(__file__).resolve().parents[1]))


# Files that take the longest. They begin first: one of them alone at the end would leave the other processes idle.
LONG = (
    "commands/test_demo.py", "ros/test_examples_over_dds.py", "ros/test_multiview_node.py", "ros/test_detector_node.py",
    "ros/test_monocular_node.py", "faults/ros/test_lifecycle_over_dds.py", "bad_inputs/test_bombs.py", "test_cpp.py",
    "commands/test_estimate_command.py", "commands/test_train_command.py", "commands/test_evaluate_command.py",
    "commands/test_calibrate_command.py", "evaluation/test_rendered_chain.py", "simulation/rendering/test_scenes.py",
    "ros/doctor/test_doctor_over_dds.py", "ros/test_policy.py", "test_launch.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in LONG first, the others as they were; within a file nothing changes."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONG)))


@pytest.fixture(scope="session")
def footage() -> None:
    """The sample footage lies in the cache."""
    from pose3d_ros.recordings.footage import reference_single, sample

    try:
        for name in ("single", "multi"):
            sample(name)
        reference_single()
    except FootageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def weights() -> None:
    """The default detector's weights lie in the cache."""
    from pose3d_ros.detection.options import DetectorOptions, weights_of
    from pose3d_ros.weights import store

    for name in weights_of(DetectorOptions()):
        if not store.present(name):
            pytest.skip(f"the weights of {name} are not in the cache: run `pose3d models fetch`")


@pytest.fixture(scope="session")
def motion_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of motion data (docs/training.md) of a few made-up people."""
    from tiny_motion import arrays

    path = tmp_path_factory.mktemp("motion") / "motion.npz"
    np.savez(path, **arrays())
    return path
