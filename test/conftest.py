"""Fixtures for what must have been fetched before: a test that needs it is skipped by name where it is absent."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import FootageError

# benchmarks/ and examples/ are no part of what is installed. Last: the checkout's own package has no messages.
sys.path.append(str(Path(__file__).resolve().parents[1]))


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
