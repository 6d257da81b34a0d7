"""HumanEva-I's files, written here as its toolbox reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets import humaneva
from pose3d_ros.research.datasets.containers import INSTALL

ezc3d = pytest.importorskip("ezc3d", reason=INSTALL)
CAL = "770 760\n330 250\n0\n-0.2 0.1 0.001 0.002 0\n0 0 -1\n0 1 0\n1 0 0\n100 200 3000\n"


def write_markers(path: Path, *, without: str = "") -> None:
    names = [name for name in ("HEDO", *humaneva.MARKERS.values()) if name != without]
    points = np.ones((4, len(names), 3))
    points[:3] = np.arange(len(names))[None, :, None] * 100.0
    points[:3, names.index("LTIO"), 1] = 0  # lost
    content = ezc3d.c3d()
    content["parameters"]["POINT"]["RATE"]["value"] = [120]
    content["parameters"]["POINT"]["LABELS"]["value"] = [f"Gregor:{name}" for name in names]
    content["data"]["points"] = points
    path.parent.mkdir(parents=True)
    content.write(str(path))


def test_a_calibration_is_read_in_the_toolbox_order(tmp_path: Path) -> None:
    (tmp_path / "Calibration_Data").mkdir()
    (tmp_path / "Calibration_Data/C2.cal").write_text(CAL)
    (camera,) = humaneva.read_rig(tmp_path).cameras
    assert camera.name == "C2"
    assert camera.K.tolist() == [[770, 0, 330], [0, 760, 250], [0, 0, 1]]
    assert camera.distortion.tolist() == [-0.2, 0.1, 0.001, 0.002, 0]
    np.testing.assert_allclose(camera.cam_from_world @ [1, 2, 3, 1], [-3 + 0.1, 2.2, 4, 1])
    (tmp_path / "Calibration_Data/C2.cal").write_text(CAL[:-5])
    with pytest.raises(InputError, match="21 numbers, expected 22"):
        humaneva.read_rig(tmp_path)


def test_offsets_map_images_to_motion_capture(tmp_path: Path) -> None:
    (tmp_path / "Walking_1_(C1).ofs").write_text("82\n1\n2.004\n")
    offset = humaneva.read_offset(tmp_path / "Walking_1_(C1).ofs")
    assert offset.mocap_of(82) == 1
    assert offset.mocap_of(182) == pytest.approx(201.4)


def test_the_toolbox_form_has_poses_and_pixels(tmp_path: Path) -> None:
    folder = tmp_path / "Validate/S2"
    folder.mkdir(parents=True)
    poses = np.arange(2 * 15 * 3, dtype=float).reshape(2, 15, 3)
    poses[1] = np.nan  # lost
    savemat(folder / "Jog_1.mat", {"poses_3d": poses, "poses_2d": np.full((3, 2, 15, 2), 7.0)})
    (sequence,) = humaneva.sequences(tmp_path)
    assert sequence.key == "S2/Jog 1"
    np.testing.assert_allclose(sequence.xyz[0, 0], poses[0] / 1000)
    assert np.isnan(sequence.xyz[1]).all()
    assert set(sequence.xy) == {"C1", "C2", "C3"}


def test_markers_are_the_joint_centres_that_the_toolbox_names(tmp_path: Path) -> None:
    write_markers(tmp_path / "S1/Mocap_Data/Box_1.c3d")
    (sequence,) = humaneva.sequences(tmp_path)
    assert (sequence.key, sequence.frames.tolist()) == ("S1/Box 1", [1, 2, 3])
    order = ["HEDO", *humaneva.MARKERS.values()]
    np.testing.assert_allclose(sequence.xyz[0, 0, humaneva.JOINTS.index("RElbow")], [0.1 * order.index("RHUO")] * 3)
    ankle = sequence.xyz[:, 0, humaneva.JOINTS.index("LAnkle"), 0]
    assert np.isnan(ankle).tolist() == [False, True, False]
    assert np.isnan(sequence.xyz[:, 0, humaneva.JOINTS.index("HeadTop")]).all()


def test_trials_without_virtual_markers_are_rejected(tmp_path: Path) -> None:
    write_markers(tmp_path / "S1/Mocap_Data/Box_1.c3d", without="PELO")
    with pytest.raises(InputError, match="no marker PELO"):
        list(humaneva.sequences(tmp_path))
    with pytest.raises(InputError, match="holds no HumanEva-I"):
        list(humaneva.sequences(tmp_path / "S1"))
