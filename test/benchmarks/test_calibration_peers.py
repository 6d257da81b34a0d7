"""What calibration's peers are given and how they are compared, without running them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_recording import recording

from benchmarks import calibration_peers, humancalib_rig
from benchmarks.__main__ import main
from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.summary import left_out_camera_px, observations_2d
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.simulated_rigs import rotation_vector
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Rig

WITH_COVARIANCE = 9.0 * np.eye(2)


@pytest.fixture(scope="module")
def walk() -> Recording:
    """A person before four cameras, keypoints without error."""
    plain = recording(sigma=0.0)
    keypoints = {
        name: {
            stamp: (replace(people, covariance=np.tile(WITH_COVARIANCE, (1, H36M_17.size, 1, 1))), ids)
            for stamp, (people, ids) in by_stamp.items()
        }
        for name, by_stamp in plain.keypoints.items()
    }
    return replace(plain, keypoints=keypoints)


def elsewhere(rig: Rig, scale: float = 1.0) -> Rig:
    """The rig in another world, and larger."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_vector((0.3, -0.2, 1.0)), (3.0, 1.0, -2.0)
    cameras = []
    for camera in rig.cameras:
        moved = camera.cam_from_world @ matrix
        moved[:3, 3] *= scale
        cameras.append(camera.placed(moved))
    return Rig(tuple(cameras))


def test_a_rig_of_any_size_is_scaled_to_the_known_distance_in_the_first_camera_s_frame(walk: Recording) -> None:
    one, other = walk.rig.cameras[0], walk.rig.cameras[2]
    metres = float(np.linalg.norm(one.centre - other.centre))
    found = humancalib_rig.with_distance(elsewhere(walk.rig, 0.1), (one.name, other.name, metres))
    np.testing.assert_allclose(found.cameras[0].cam_from_world, np.eye(4), atol=1e-9)
    wanted = other.cam_from_world @ np.linalg.inv(one.cam_from_world)
    np.testing.assert_allclose(found.cameras[2].cam_from_world, wanted, atol=1e-6)


def test_the_peer_s_files_hold_the_person_and_its_answer_becomes_a_rig(
    walk: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, dict[str, object]] = {}

    def solved(python: Path, folder: Path, skip: str) -> dict[str, object]:
        assert skip == "1"
        assert sorted(path.name for path in folder.glob("*.mp4")) == [f"{name}.mp4" for name in walk.rig.names]
        for kind in ("2d_joint", "3d_joint"):
            path = folder / humancalib_rig.SUBSET / kind / "A001_P001_G001_C003.json"
            files[kind] = json.loads(path.read_text())
        cameras = elsewhere(walk.rig, 0.2).cameras
        return {
            "R_w2c": [one.cam_from_world[:3, :3].tolist() for one in cameras],
            "t_w2c": [one.cam_from_world[:3, 3:].tolist() for one in cameras],
        }

    monkeypatch.setattr(humancalib_rig, "_solved", solved)
    monkeypatch.setattr(humancalib_rig.subprocess, "run", lambda *_, **__: type("Done", (), {"returncode": 0}))
    one, other = walk.rig.cameras[:2]
    rig = humancalib_rig.humancalib_rig(
        Path("python"), walk, (one.name, other.name, float(np.linalg.norm(one.centre - other.centre)))
    )
    assert np.median(left_out_camera_px(replace(walk, rig=rig))) < 0.1
    flat, lifted = (files[kind]["data"] for kind in ("2d_joint", "3d_joint"))
    assert [entry["frame_index"] for entry in flat] == list(range(len(walk.keypoints[one.name])))
    camera = walk.rig.cameras[2].rectified()
    observations = observations_2d(walk)
    xyz = triangulate(walk.rig.cameras, observations.xy).xyz[5, H36M_17.index("LKnee")]
    seen = camera.K @ (camera.cam_from_world[:3, :3] @ xyz + camera.cam_from_world[:3, 3])
    px = np.array(flat[5]["skeleton"][0]["pose"]).reshape(25, 2)
    np.testing.assert_allclose(px[13], seen[:2] / seen[2], atol=0.1)
    assert flat[5]["skeleton"][0]["score"][20] == 0.0  # no toes
    joints = np.array(lifted[5]["skeleton"][0]["pose"]).reshape(25, 3)
    np.testing.assert_allclose(joints[8], 0.0)
    assert 0.5 < np.linalg.norm(joints[14] - joints[8]) < 1.3  # m from pelvis to ankle


def test_agreement_does_not_depend_on_the_world(walk: Recording) -> None:
    observations = observations_2d(walk)
    truth = triangulate(walk.rig.cameras, observations.xy).xyz[:, [H36M_17.index(name) for name in LIMB_JOINTS]]
    moved = replace(walk, rig=elsewhere(walk.rig))
    assert calibration_peers.agreement_mm(moved, (LIMB_JOINTS, truth), align=True) < 0.5
    off = truth + (0.0, 0.0, 0.02) * (np.arange(len(LIMB_JOINTS)) % 2)[:, None]
    assert calibration_peers.agreement_mm(moved, (LIMB_JOINTS, off), align=True) == pytest.approx(10.0, abs=2.0)


def test_views_have_neither_ids_nor_places(walk: Recording) -> None:
    views = calibration_peers.views_of(walk)
    assert [one.camera.name for one in views] == list(walk.rig.names)
    for one in views:
        np.testing.assert_array_equal(one.camera.cam_from_world, np.eye(4))
        assert len(one.people) == len(walk.keypoints[one.camera.name])


def test_the_table_has_a_row_a_method_and_says_how_to_install_the_peer(
    walk: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk.save(tmp_path / "recording.npz")
    assert main(["calibration_peers", str(tmp_path), "--methods", "published", "humancalib"]) == 0
    printed = capsys.readouterr().out
    assert "| published" in printed
    assert "| humancalib" in printed
    assert "peer/bin/pip install humancalib" in printed


def test_an_environment_without_the_peer_is_rejected(walk: Recording, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'raise SystemExit(1)'\n")
    fake.chmod(0o755)
    with pytest.raises(InputError, match="has no humancalib"):
        humancalib_rig.humancalib_rig(fake, walk, ("c1", "c2", 1.0))
