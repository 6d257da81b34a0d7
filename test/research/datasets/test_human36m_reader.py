"""Human3.6M's forms, written here as they are published, with numbers known by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import DependencyError, InputError
from pose3d_ros.research.datasets import human36m, human36m_cameras
from pose3d_ros.research.datasets.containers import INSTALL
from pose3d_ros.skeletons import H36M_17

cdfwrite = pytest.importorskip("cdflib.cdfwrite", reason=INSTALL)
h5py = pytest.importorskip("h5py", reason=INSTALL)
QUARTER = np.pi / 2
# The 32 points that move on their own, in h36m_17's order (Martinez et al.'s list of the published order).
MOVING = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]


def numbered(frames: int, axes: int = 3) -> np.ndarray:
    """(T, 32 * axes): point p of frame t is (1000 p, t, -1) mm, or (p, t) px."""
    points = np.zeros((frames, 32, axes))
    points[..., 0] = np.arange(32) * (1000 if axes == 3 else 1)
    points[..., 1] = np.arange(frames)[:, None]
    points[..., 2:] = -1
    return points.reshape(frames, -1)


def write_cdf(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = cdfwrite.CDF(path)
    file.write_var(
        {"Variable": "Pose", "Data_Type": 45, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": list(values.shape)},
        var_data=values[None],
    )
    file.close()


def write_metadata(folder: Path, subject: int, angles: list[tuple[float, float, float]]) -> None:
    """metadata.xml with four cameras of one subject at T = (1, 2, 3) m."""
    places = np.zeros((4, 11, 6))
    places[:, subject - 1, :3] = angles
    places[:, subject - 1, 3:] = (1000, 2000, 3000)
    places[..., 3:][places[..., 3] == 0] = (9, 9, 9)
    lenses = np.tile([1100.0, 1200.0, 510.0, 515.0, -0.2, 0.24, -0.003, 0.001, 0.002], (4, 1))
    numbers = " ".join(map(repr, [*places.ravel().tolist(), *lenses.ravel().tolist()]))
    (folder / "metadata.xml").write_text(f"<a><mapping/><w0>[{numbers}]</w0></a>")


def test_cdf_files_become_joints_of_h36m_17_in_metres(tmp_path: Path) -> None:
    write_cdf(tmp_path / "S9/MyPoseFeatures/D3_Positions/WalkingDog 1.cdf", numbered(3))
    write_cdf(tmp_path / "S9/MyPoseFeatures/D3_Positions/_ALL 1.cdf", numbered(2))
    write_cdf(tmp_path / "S9/MyPoseFeatures/D2_Positions/WalkingDog 1.55011271.cdf", numbered(3, 2))
    (sequence,) = human36m.sequences(tmp_path)
    assert (sequence.key, sequence.skeleton, sequence.rig) == ("S9/WalkDog 1", H36M_17, None)
    assert human36m.action_of(sequence) == "WalkDog"
    assert sequence.xyz.shape == (3, 1, 17, 3)
    assert sequence.xyz[2, 0, :, 0].tolist() == MOVING
    assert sequence.xyz[2, 0, 5, 1:].tolist() == [0.002, -0.001]
    assert sequence.xy["55011271"][1, 0].tolist() == [[p, 1] for p in MOVING]
    assert list(sequence.xy) == ["55011271"]


def test_metadata_places_the_cameras_as_the_release_turns_them(tmp_path: Path) -> None:
    write_metadata(tmp_path, 9, [(0, 0, 0), (QUARTER, 0, 0), (QUARTER, QUARTER, 0), (0, 0, QUARTER)])
    rig = human36m_cameras.read_rig(tmp_path, "S9")
    assert rig is not None
    assert rig.names == ("54138969", "55011271", "58860488", "60457274")
    for camera in rig.cameras:
        np.testing.assert_allclose(camera.centre, [1, 2, 3], atol=1e-12)
    turned = [camera.cam_from_world[:3, :3] for camera in rig.cameras]
    np.testing.assert_allclose(turned[0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turned[1] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turned[2] @ [1, 0, 0], [0, 1, 0], atol=1e-12)  # about y, then about x
    np.testing.assert_allclose(turned[3] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    assert rig.cameras[0].size_wh == (1000, 1002)
    assert rig.cameras[1].size_wh == (1000, 1000)
    assert rig.cameras[0].distortion.tolist() == [-0.2, 0.24, 0.001, 0.002, -0.003]
    assert rig.cameras[0].K.tolist() == [[1100, 0, 510], [0, 1200, 515], [0, 0, 1]]


def test_metadata_of_another_length_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "metadata.xml").write_text("<a><w0>[1 2 3]</w0></a>")
    with pytest.raises(InputError, match="3 numbers, expected 300"):
        human36m_cameras.read_rig(tmp_path, "S9")


def test_unknown_subjects_are_rejected(tmp_path: Path) -> None:
    write_metadata(tmp_path, 9, [(0, 0, 0)] * 4)
    with pytest.raises(InputError, match="no subject 'S12'"):
        human36m_cameras.read_rig(tmp_path, "S12")


def test_martinez_files_and_their_transposed_rotations(tmp_path: Path) -> None:
    folder = tmp_path / "S11/MyPoses/3D_positions"
    folder.mkdir(parents=True)
    with h5py.File(folder / "TakingPhoto_1.h5", "w") as file:
        file["3D_positions"] = numbered(4).T
    about_z = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    with h5py.File(tmp_path / "cameras.h5", "w") as file:
        for number in range(1, 5):
            values = {"R": about_z.T, "T": [[0], [0], [5000]], "f": [[1], [2]], "c": [[3], [4]],
                      "k": [[0.1], [0.2], [0.3]], "p": [[0.4], [0.5]]}  # fmt: skip
            for field, value in values.items():
                file[f"subject11/camera{number}/{field}"] = np.array(value, dtype=float)
    (sequence,) = human36m.sequences(tmp_path)
    assert sequence.key == "S11/Photo 1"
    assert sequence.xyz[3, 0, :, 0].tolist() == MOVING
    assert sequence.rig is not None
    camera = sequence.rig.cameras[2]
    np.testing.assert_allclose(camera.cam_from_world[:3, :3], about_z, atol=1e-12)
    np.testing.assert_allclose(camera.cam_from_world[:3, 3], [0, 0, -5], atol=1e-12)
    assert camera.distortion.tolist() == [0.1, 0.2, 0.4, 0.5, 0.3]


def test_fetched_annotations_are_a_sequence_a_camera(tmp_path: Path) -> None:
    folder = tmp_path / "S9/Directions-1"
    folder.mkdir(parents=True)
    with h5py.File(folder / "annot.h5", "w") as file:
        file["pose/2d"] = np.concatenate([numbered(2, 2), numbered(2, 2)]).reshape(4, 32, 2)
        file["pose/3d"] = np.concatenate([numbered(2), numbered(2)]).reshape(4, 32, 3)
        file["camera"] = [54138969, 54138969, 60457274, 60457274]
        file["frame"] = [1, 65, 1, 65]
        file["intrinsics/54138969"] = [1145.0, 512.0, 1143.0, 515.0]
    first, second = human36m.sequences(tmp_path)
    assert (first.key, second.key) == ("S9/Directions 1/54138969", "S9/Directions 1/60457274")
    assert human36m.action_of(second) == "Directions"
    assert first.rig is not None
    assert first.rig.cameras[0].K.tolist() == [[1145, 0, 512], [0, 1143, 515], [0, 0, 1]]
    assert second.rig is None
    assert first.frames.tolist() == [1, 65]
    assert first.images["54138969"][1] == folder / "imageSequence/54138969/img_000065.jpg"
    assert first.xyz[1, 0, :, 0].tolist() == MOVING


def test_flat_npz_of_17_or_32_joints(tmp_path: Path) -> None:
    metres = numbered(2).reshape(2, 32, 3) / 1000
    path = tmp_path / "data_3d_h36m.npz"
    np.savez(path, **{"S9/Directions": metres, "S9/Eating 1": metres[:, MOVING], "S1/Directions": metres})
    found = list(human36m.sequences(tmp_path, ["S9"]))
    assert [one.key for one in found] == ["S9/Directions", "S9/Eating 1"]
    for one in found:
        np.testing.assert_allclose(one.xyz[1, 0, :, 0], MOVING)


def test_pickled_npz_is_not_loaded_and_the_error_says_how_to_convert_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=np.array({"S9": {}}, dtype=object))
    with pytest.raises(InputError, match=r"never unpickled.*convert them once as docs/datasets\.md shows"):
        list(human36m.sequences(tmp_path))


def test_a_folder_without_the_data_set_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected S1 to S11 with MyPoseFeatures.*vision\.imar\.ro"):
        list(human36m.sequences(tmp_path))


def test_a_cut_file_is_rejected(tmp_path: Path) -> None:
    write_cdf(tmp_path / "S9/MyPoseFeatures/D3_Positions/Eating.cdf", np.zeros((3, 95)))
    with pytest.raises(InputError, match="285 numbers are no frames of 32 points"):
        list(human36m.sequences(tmp_path))
    (tmp_path / "S9/MyPoseFeatures/D3_Positions/Eating.cdf").write_bytes(b"no cdf")
    with pytest.raises(InputError, match=r"annotations .*Eating\.cdf cannot be read"):
        list(human36m.sequences(tmp_path))


def test_a_missing_module_is_reported_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cdf(tmp_path / "S9/MyPoseFeatures/D3_Positions/Eating.cdf", numbered(1))
    monkeypatch.setitem(sys.modules, "cdflib", None)
    with pytest.raises(DependencyError, match=r"pip install 'pose3d_ros\[datasets\]'"):
        list(human36m.sequences(tmp_path))
