"""Files that were altered: weights, and the state of a run that stopped."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_people import h36m_rig, walker

from pose3d_ros.cache import sha256_of
from pose3d_ros.errors import FootageError, WeightsCorruptError
from pose3d_ros.estimation import checkpoint
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Keypoints2D, Rig
from pose3d_ros.weights import store
from pose3d_ros.weights.table import MODELS, ModelFile


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_fault_weights_tampered_with(place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a byte of a network's weights on disk is another one than was published.
    Sees: the node ends at start: "... is not the published file: SHA-256 ..., expected ..." with the command.
    Recovers: `pose3d models fetch`.
    """
    good = tmp_path / "cache" / "weights" / "a" / "a.bin"
    good.parent.mkdir(parents=True)
    good.write_bytes(bytes(range(256)) * 16)
    files = (ModelFile("a.bin", "a.bin", sha256_of(good), 4096),)
    monkeypatch.setattr(store, "MODELS", (replace(MODELS[0], name="a", files=files),))
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    assert store.path("a") == good
    published = tmp_path / "published.bin"
    shutil.copy(good, published)
    data = bytearray(good.read_bytes())
    data[place] ^= 1
    good.write_bytes(bytes(data))
    with pytest.raises(WeightsCorruptError, match=r"a\.bin is not the published file.*pose3d models fetch"):
        store.path("a")
    shutil.copy(published, good)
    assert store.path("a") == good


def state() -> bytes:
    """What an estimator knows after three frame sets."""
    rig = Rig(h36m_rig("S9").cameras[:2])
    estimator = PoseEstimator(rig, options=EstimatorOptions(refine="none", smoothing="kalman"))
    for k in range(3):
        xyz = to_coco(walker((-0.5, 0.2), (0.9, 0.3), k / 30))[None]
        estimator.estimate_from_keypoints(
            {
                one.name: Keypoints2D(project(one, xyz), COCO_17_SCORE, COCO_17, round(k * 1e9 / 30))
                for one in rig.cameras
            }
        )
    return checkpoint.to_bytes(estimator.state_dict())


COCO_17_SCORE = [[0.8] * 17]
STATE = state()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(STATE) - 1), st.integers(1, 255))
def test_fault_state_of_a_run_tampered_with(place: int, change: int) -> None:
    """Fault: a byte of the state of a stopped `pose3d estimate` changes on disk, or the file is cut short.
    Sees: "the estimator's state cannot be read (...): start again with --overwrite"; nothing of it is run.
    Recovers: --overwrite; a byte that nothing depends on is not reported.
    """
    data = bytearray(STATE)
    data[place] ^= change
    with suppress(FootageError):
        assert checkpoint.to_bytes(checkpoint.from_bytes(bytes(data))) == STATE
    with pytest.raises(FootageError, match="start again with --overwrite"):
        checkpoint.from_bytes(STATE[:place])
