"""TotalCapture, CMU Panoptic, Shelf and Campus: files written here as they are published, numbers known by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets import panoptic, shelf_campus, total_capture
from pose3d_ros.skeletons import H36M_17

CAL = """2 1
0 1079 0 1919
0.5 0.6 960 540
-0.1
1 0 0
0 1 0
0 0 1
0.1 0.2 3
0 1079 0 1919
1000 1001 950 530
0
0 0 -1
0 1 0
1 0 0
0 0 4
"""


def write_total_capture(root: Path) -> None:
    folder = root / "s4/walking2"
    folder.mkdir(parents=True)
    (root / "calibration.cal").write_text(CAL)
    rows = ["\t".join(total_capture.VICON) + "\t"]
    rows += ["\t".join(f"{joint} {frame} -10" for joint in range(21)) + "\t" for frame in range(3)]
    (folder / "gt_skel_gbl_pos.txt").write_text("\n".join(rows) + "\n\n")


def test_total_capture_is_read_in_metres_with_its_cameras(tmp_path: Path) -> None:
    write_total_capture(tmp_path)
    (sequence,) = total_capture.sequences(tmp_path)
    assert sequence.key == "S4/Walking2"
    np.testing.assert_allclose(sequence.xyz[2, 0, 15], [15 * 0.0254, 2 * 0.0254, -0.254])
    assert sequence.rig.names == ("cam1", "cam2")
    camera = sequence.rig.cameras[0]
    assert (camera.size_wh, camera.K[0, 0], camera.K[1, 2]) == ((1920, 1080), 0.5, 540)
    assert camera.distortion.tolist() == [-0.1, 0, 0, 0]
    np.testing.assert_allclose(sequence.rig.cameras[1].cam_from_world @ [1, 2, 3, 1], [-3, 2, 5, 1])
    mapped = sequence.in_skeleton()
    # Vicon's RightUpLeg is the hip; the head's own joints are not among Vicon's.
    np.testing.assert_allclose(mapped.xyz[:, 0, H36M_17.index("RHip")], sequence.xyz[:, 0, 15])
    missing = [name for name, xyz in zip(H36M_17.joint_names, mapped.xyz[0, 0], strict=True) if np.isnan(xyz).all()]
    assert missing == ["Nose", "HeadTop"]


def test_total_capture_of_other_joints_or_a_cut_calibration_is_rejected(tmp_path: Path) -> None:
    write_total_capture(tmp_path)
    path = tmp_path / "s4/walking2/gt_skel_gbl_pos.txt"
    path.write_text(path.read_text().replace("Hips", "Root", 1))
    with pytest.raises(InputError, match="the first line is 'Root"):
        list(total_capture.sequences(tmp_path))
    (tmp_path / "calibration.cal").write_text(CAL[:-6])
    with pytest.raises(InputError, match="13 lines for 2 cameras"):
        list(total_capture.sequences(tmp_path))


def write_panoptic(root: Path) -> None:
    folder = root / "171204_pose1/hdPose3d_stage1_coco19"
    folder.mkdir(parents=True)
    camera = {"name": "00_03", "type": "hd", "resolution": [1920, 1080],
              "K": [[1400, 0, 960], [0, 1400, 540], [0, 0, 1]],
              "distCoef": [0, 0, 0, 0, 0], "R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "t": [[0], [0], [300]]}  # fmt: skip
    vga = dict(camera, name="01_01", type="vga")
    (folder.parent / "calibration_171204_pose1.json").write_text(json.dumps({"cameras": [vga, camera]}))
    joints = [[joint, 10, 20, 0.5] for joint in range(19)]
    joints[8] = [0, 0, 0, -1]
    for frame, ids in ((140, (0, 2)), (139, (2,))):
        bodies = [{"id": one, "joints19": np.add(joints, [100 * one, 0, 0, 0]).ravel().tolist()} for one in ids]
        (folder / f"body3DScene_{frame:08d}.json").write_text(json.dumps({"bodies": bodies}))


def test_panoptic_people_keep_their_ids(tmp_path: Path) -> None:
    write_panoptic(tmp_path)
    (sequence,) = panoptic.sequences(tmp_path)
    assert (sequence.key, sequence.frames.tolist(), sequence.rig.names) == ("171204_pose1/all", [139, 140], ("00_03",))
    assert np.isnan(sequence.xyz[0, 0]).all()
    np.testing.assert_allclose(sequence.xyz[0, 1, 5], [2.05, 0.1, 0.2])
    assert np.isnan(sequence.xyz[1, :, 8]).all()  # LAnkle: confidence -1
    np.testing.assert_allclose(sequence.projected().xy["00_03"][1, 0, 0], [960, 540 + 1400 * 0.1 / 3.2])
    assert sequence.images["00_03"][1] == tmp_path / "171204_pose1/hdImgs/00_03/00_03_00000140.jpg"
    mapped = sequence.in_skeleton()
    np.testing.assert_allclose(mapped.xyz[1, 0, H36M_17.index("Thorax")], [0, 0.1, 0.2])
    # Spine is the middle of hips and shoulders: joints 6, 12, 3, 9.
    np.testing.assert_allclose(mapped.xyz[1, 0, H36M_17.index("Spine")], [0.075, 0.1, 0.2])


def test_panoptic_cameras_and_frames_can_be_chosen(tmp_path: Path) -> None:
    write_panoptic(tmp_path)
    (sequence,) = panoptic.sequences(tmp_path, ["171204_pose1"], ["00_03"], step=2)
    assert sequence.frames.tolist() == [139]
    with pytest.raises(InputError, match="the rig has no camera '00_04'"):
        list(panoptic.sequences(tmp_path, cameras=["00_04"]))
    with pytest.raises(InputError, match="holds no CMU Panoptic"):
        list(panoptic.sequences(tmp_path, ["170000_other"]))


def actors(frames: int) -> np.ndarray:
    """actor3D of two actors; the second is absent in all frames but the last."""
    made = np.empty((1, 2), dtype=object)
    for number in range(2):
        column = np.empty((frames, 1), dtype=object)
        for frame in range(frames):
            present = number == 0 or frame == frames - 1
            column[frame, 0] = np.full((14, 3), 10.0 * number + frame) if present else np.zeros((1, 0))
        made[0, number] = column
    return made


ENTRY = {"k": [[0.1], [0.2], [0.3]], "p": [[0.4], [0.5]], "R": [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
         "T": [[1000], [2000], [3000]], "fx": 100, "fy": 200, "cx": 30, "cy": 40}  # fmt: skip


def test_shelf_actors_are_absent_where_their_cells_are_empty(tmp_path: Path) -> None:
    savemat(tmp_path / "actorsGT.mat", {"actor3D": actors(3)})
    (tmp_path / "calibration_shelf.json").write_text(json.dumps({"0": ENTRY}))
    sequence = shelf_campus.read_sequence(tmp_path, "Shelf")
    assert sequence.xyz.shape == (3, 2, 14, 3)
    assert np.isfinite(sequence.xyz).all(axis=(2, 3)).tolist() == [[True, False], [True, False], [True, True]]
    assert (sequence.xyz[2, 1] == 12).all()
    (camera,) = sequence.rig.cameras
    np.testing.assert_allclose(camera.centre, [1, 2, 3])
    np.testing.assert_allclose(camera.cam_from_world[:3, :3] @ [1, 0, 0], [0, 0, 1])
    assert camera.distortion.tolist() == [0.1, 0.2, 0.4, 0.5, 0.3]
    assert camera.size_wh == (1032, 776)


def test_the_evaluated_frames_of_campus(tmp_path: Path) -> None:
    folder = tmp_path / "CampusSeq1"
    folder.mkdir()
    savemat(folder / "actorsGT.mat", {"actor3D": actors(800)})
    (sequence,) = shelf_campus.sequences(tmp_path, ["Campus"])
    frames = shelf_campus.tested(sequence).frames
    assert (len(frames), frames[0], frames[120], frames[121], frames[-1]) == (222, 350, 470, 650, 750)
    assert sequence.rig is None


@settings(deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3), t=st.tuples(*[st.floats(-5, 5)] * 3),
    lens=st.tuples(st.floats(100, 2000), st.floats(100, 2000), st.floats(-5, 5), st.floats(0, 1000), st.floats(0, 800)),
    scale=st.sampled_from([1.0, -1.0, 0.002, -300.0]),
)  # fmt: skip
def test_projection_matrices_come_apart(angles, t, lens, scale) -> None:
    """Whatever a matrix is multiplied by, as it is given up to scale."""
    fx, fy, skew, cx, cy = lens
    K = np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1]])
    R = Rotation.from_euler("xyz", angles).as_matrix()
    found_K, place = shelf_campus.decomposed(scale * K @ np.column_stack([R, t]))
    np.testing.assert_allclose(found_K, K, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(place[:3], np.column_stack([R, t]), atol=1e-6)


def test_cameras_as_matrices(tmp_path: Path) -> None:
    matrix = np.array([[100.0, 0, 30], [0, 200, 40], [0, 0, 1]]) @ np.column_stack([np.eye(3), [0, 0, 5]])
    (tmp_path / "Calibration").mkdir()
    np.savetxt(tmp_path / "Calibration/prmat_0.txt", matrix)
    rig = shelf_campus.read_rig(tmp_path, "Campus")
    assert rig.names == ("Camera0",)
    np.testing.assert_allclose(rig.cameras[0].centre, [0, 0, -5], atol=1e-9)
    np.savetxt(tmp_path / "Calibration/prmat_0.txt", matrix[:2])
    with pytest.raises(InputError, match=r"prmat_0\.txt cannot be read"):
        shelf_campus.read_rig(tmp_path, "Campus")
