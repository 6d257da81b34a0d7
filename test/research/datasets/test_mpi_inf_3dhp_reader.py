"""MPI-INF-3DHP's files, written here as they are published, of points before cameras known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets import mpi_inf_3dhp
from pose3d_ros.research.datasets.containers import INSTALL
from pose3d_ros.skeletons import H36M_17

h5py = pytest.importorskip("h5py", reason=INSTALL)
CALIBRATION = """Skeletool Camera Calibration File V1.0
name          0
  sensor      10 10
  size        2048 2048
  animated    0
  intrinsic   1500 0 1024 0 0 1500 1030 0 0 0 1 0 0 0 0 1
  extrinsic   1 0 0 0 0 1 0 0 0 0 1 4000 0 0 0 1
  radial      0
name          1
  sensor      10 10
  size        2048 1024
  animated    0
  intrinsic   1400 0 1000 0 0 1400 500 0 0 0 1 0 0 0 0 1
  extrinsic   0 0 -1 0 0 1 0 0 1 0 0 5000 0 0 0 1
  radial      0
"""
# The joints of mpii_get_joint_set('relevant') among the 28, in the order of the test set's 17.
RELEVANT = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


def seen_by(world_mm: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points (T, 28, 3) mm in the two cameras' frames, and their pixels."""
    x, y, z = np.moveaxis(world_mm, -1, 0)
    first = np.stack([x, y, z + 4000], axis=-1)
    second = np.stack([-z, y, x + 5000], axis=-1)
    return [
        (first, first[..., :2] / first[..., 2:] * 1500 + (1024, 1030)),
        (second, second[..., :2] / second[..., 2:] * 1400 + (1000, 500)),
    ]


def cell(arrays: list[np.ndarray]) -> np.ndarray:
    made = np.empty((len(arrays), 1), dtype=object)
    for row, array in enumerate(arrays):
        made[row, 0] = array
    return made


def write_training(root: Path) -> np.ndarray:
    world = np.random.default_rng(0).uniform(-800, 800, (5, 28, 3))
    views = seen_by(world)
    folder = root / "S1/Seq2"
    folder.mkdir(parents=True)
    (folder / "camera.calibration").write_text(CALIBRATION)
    content = {
        "annot2": cell([xy.reshape(5, -1) for _, xy in views]),
        "annot3": cell([xyz.reshape(5, -1) for xyz, _ in views]),
        "univ_annot3": cell([0.9 * xyz.reshape(5, -1) for xyz, _ in views]),
        "frames": np.arange(5)[:, None],
    }
    savemat(folder / "annot.mat", content)
    return world / 1000


def test_training_sequences_are_in_the_world_and_project_onto_their_labels(tmp_path: Path) -> None:
    world = write_training(tmp_path)
    (sequence,) = mpi_inf_3dhp.sequences(tmp_path)
    assert (sequence.key, sequence.rig.names, sequence.rig.cameras[1].size_wh) == ("S1/Seq2", ("0", "1"), (2048, 1024))
    np.testing.assert_allclose(sequence.xyz[:, 0], world, atol=1e-12)
    projected = sequence.projected()
    for camera in ("0", "1"):
        np.testing.assert_allclose(projected.xy[camera], sequence.xy[camera], atol=1e-6)


def test_universal_poses_are_of_one_camera_each(tmp_path: Path) -> None:
    world = write_training(tmp_path)
    (sequence,) = mpi_inf_3dhp.sequences(tmp_path)
    views = mpi_inf_3dhp.universal(sequence, tmp_path)
    np.testing.assert_allclose(views["1"].xyz[0, 0, 3], 0.9 * seen_by(1000 * world)[1][0][0, 3] / 1000, atol=1e-12)
    np.testing.assert_allclose(views["1"].projected().xy["1"], sequence.xy["1"], atol=1e-6)  # along the rays


def test_28_joints_map_onto_h36m_17() -> None:
    source = mpi_inf_3dhp.JOINTS_28
    assert [source.index(name) for name in mpi_inf_3dhp.JOINTS_17.joint_names] == RELEVANT
    assert set(H36M_17.joint_names) == set(mpi_inf_3dhp.JOINTS_17.joint_names)


def write_test(root: Path) -> np.ndarray:
    xyz = np.random.default_rng(1).uniform(-500, 500, (4, 1, 17, 3)) + np.array([0, 0, 3000])
    folder = root / "TS6"
    folder.mkdir()
    with h5py.File(folder / "annot_data.mat", "w") as file:
        file["annot3"] = xyz
        file["univ_annot3"] = 1.1 * xyz
        file["annot2"] = xyz[..., :2] / xyz[..., 2:] * (1683, 1681) + (953, 546)
        file["valid_frame"] = np.array([[1, 0, 1, 1]])
        file["activity_annotation"] = np.array([[5, 5, 6, 7]])
    return xyz / 1000


def test_held_out_sequences_have_valid_frames_activities_and_a_fitted_camera(tmp_path: Path) -> None:
    xyz = write_test(tmp_path)
    (sequence,) = mpi_inf_3dhp.held_out(tmp_path)
    np.testing.assert_allclose(sequence.xyz, 1.1 * xyz[[0, 2, 3]])
    assert sequence.labels.tolist() == [5, 6, 7]
    assert sequence.images["0"][1] == tmp_path / "TS6/imageSequence/img_000003.jpg"
    camera = sequence.rig.cameras[0]
    assert camera.size_wh == (1920, 1080)
    np.testing.assert_allclose(camera.K, [[1683, 0, 953], [0, 1681, 546], [0, 0, 1]], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(next(mpi_inf_3dhp.held_out(tmp_path, universal=False)).xyz, xyz[[0, 2, 3]])


def test_wrong_files_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected S1/Seq1/annot\.mat .*vcai"):
        list(mpi_inf_3dhp.sequences(tmp_path))
    write_training(tmp_path)
    path = tmp_path / "S1/Seq2/camera.calibration"
    path.write_text(CALIBRATION.replace("radial      0", "radial      0.1"))
    with pytest.raises(InputError, match="camera 0 has radial distortion"):
        list(mpi_inf_3dhp.sequences(tmp_path))
    savemat(tmp_path / "S1/Seq2/annot.mat", {"annot2": cell([np.zeros((2, 56))]), "annot3": cell([np.zeros((2, 83))])})
    path.write_text(CALIBRATION)
    with pytest.raises(InputError, match=r"\(2, 83\), expected \(frames, 84\)"):
        list(mpi_inf_3dhp.sequences(tmp_path))
