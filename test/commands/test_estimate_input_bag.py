"""`pose3d estimate` on a recording of ROS topics."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from bag_writing import T0, BagWriter, small_bag, small_rig
from synthetic_people import h36m_rig, walker

from pose3d_ros.cli import build_parser, main
from pose3d_ros.commands.estimate_input import Request, open_input
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.writers.people_json import FORMAT
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import COCO_17, H36M_17, LIMB_JOINTS
from pose3d_ros.structures import FrameSet, Keypoints2D, Rig

pytest.importorskip("rosbags")

PATH = ((-0.5, 0.2), (0.9, 0.3))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_recording_provides_frame_sets_and_images(storage: str, tmp_path: Path) -> None:
    folder = small_bag(tmp_path / "take", range(9), storage=storage)
    save_rig(small_rig(), tmp_path / "rig.yaml")
    (file,) = (path for path in folder.iterdir() if path.suffix in (".mcap", ".db3"))
    for path in (folder, file):
        recording = open_input(Request(tmp_path / "rig.yaml", (str(path),), start_s=0.1, stride=2))
        assert recording.has_images
        assert recording.pictures is recording.source
        assert (len(recording.source), recording.source.name, recording.source.rig.names) == (
            3,
            path.name,
            ("cam1", "cam2"),
        )
        assert recording.source.fps == pytest.approx(15.0)


class OracleDetector:
    """A detector that returns the true 2D pose of a walking person for the images' stamps."""

    name, skeleton = "oracle", COCO_17

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        keypoints = {}
        for camera in self._rig.cameras:
            stamp_ns = frames.stamps_ns[camera.name]
            xy = project(camera, to_coco(walker(*PATH, (stamp_ns - T0) * 1e-9))[None])
            keypoints[camera.name] = Keypoints2D(xy, np.full((1, 17), 0.9), COCO_17, stamp_ns)
        return keypoints

    def reset(self) -> None:
        pass


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_command_estimates_the_people_of_a_recording(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One argument reads images, camera_info and /tf_static; the command writes people and overlay."""
    rig = Rig(tuple(camera.resized((250, 250)) for camera in h36m_rig("S9").cameras[:3]), "map")
    grey = np.full((250, 250, 3), 40, np.uint8)
    with BagWriter(tmp_path / "take", storage) as bag:
        transforms = {("map", camera.name): np.linalg.inv(camera.cam_from_world) for camera in rig.cameras}
        bag.static(transforms, T0)
        for k in range(6):
            for camera in rig.cameras:
                stamp_ns = T0 + round(k * 1e9 / 30)
                bag.info(camera, camera.name, stamp_ns)
                bag.image(f"/{camera.name}/image_raw", grey, stamp_ns, None, camera.name)
    monkeypatch.setattr("pose3d_ros.commands.estimate._detector", lambda args: OracleDetector(rig))
    arguments = [str(tmp_path / "take"), "--fixed-frame", "map", "--output", str(tmp_path / "out"), "--refine", "none"]
    arguments += ["--param", "smoothing:=none"]  # the walker's bones swing apart
    assert main(["estimate", *arguments, "--formats", "json"]) == 0
    frames = json.loads((tmp_path / "out" / "people.json").read_text())["frames"]
    assert [len(frame["people"]) for frame in frames] == [1] * 6
    for frame in frames:
        true = walker(*PATH, (frame["stamp_ns"] - T0) * 1e-9)
        for joint in LIMB_JOINTS:
            position = frame["people"][0]["position_m"][H36M_17.index(joint)]
            np.testing.assert_allclose(position, true[H36M_17.index(joint)], atol=0.002)
    assert (tmp_path / "out" / "overlay.mp4").stat().st_size > 0


def test_options_that_do_not_apply_to_a_recording_are_rejected(tmp_path: Path) -> None:
    take = str(small_bag(tmp_path / "take"))
    for request, message in (
        (Request(videos=(take, take)), "give one recording"),
        (Request(videos=(take,), fps=30.0), "--fps does not apply to a recording"),
        (Request(videos=(take,), offsets=("cam1=1",)), "--offset does not apply to a recording"),
        (Request(videos=(take,)), "no topic '/cam1/camera_info'"),
    ):
        with pytest.raises(InputError, match=message):
            open_input(request)
    with pytest.raises(FootageError, match="does not exist"):
        open_input(Request(videos=("nothing.mcap",)))


def test_export_documentation_names_existing_options() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    lines = re.findall(r"^pose3d ([^\n#]*)", text, re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        build_parser().parse_args(shlex.split(line))
    assert f"`{FORMAT}`".replace("`", '"') in text
