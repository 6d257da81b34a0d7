"""`pose3d estimate` given a recording of ROS topics."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from bag_writing import small_bag, small_rig

from pose3d_ros.cli import build_parser
from pose3d_ros.data.rigs import save_rig
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.estimate_input import Request, open_input
from pose3d_ros.output.people_json import FORMAT

pytest.importorskip("rosbags")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recording_is_a_source_of_frame_sets_and_of_pictures(storage: str, tmp_path: Path) -> None:
    folder = small_bag(tmp_path / "take", range(9), storage=storage)
    save_rig(small_rig(), tmp_path / "rig.yaml")
    (file,) = (one for one in folder.iterdir() if one.suffix in (".mcap", ".db3"))
    for path in (folder, file):
        given = open_input(Request(tmp_path / "rig.yaml", (str(path),), start_s=0.1, stride=2))
        assert given.has_images
        assert given.pictures is given.source
        assert (len(given.source), given.source.name, given.source.rig.names) == (3, path.name, ("cam1", "cam2"))
        assert given.source.fps == pytest.approx(15.0)


def test_what_does_not_go_with_a_recording_is_refused_by_name(tmp_path: Path) -> None:
    take = str(small_bag(tmp_path / "take"))
    for request, what in (
        (Request(videos=(take, take)), "give one recording"),
        (Request(videos=(take,), fps=30.0), "--fps and a recording"),
        (Request(videos=(take,), offsets=("cam1=1",)), "--offset and a recording"),
        (Request(videos=(take,)), "no topic '/cam1/camera_info'"),
    ):
        with pytest.raises(InputError, match=what):
            open_input(request)
    with pytest.raises(FootageError, match="does not exist"):
        open_input(Request(videos=("nothing.mcap",)))


def test_the_page_on_recordings_and_formats_names_options_that_exist() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
    lines = re.findall(r"^pose3d ([^\n#]*)", text, re.MULTILINE)
    assert len(lines) >= 2
    for words in lines:
        build_parser().parse_args(shlex.split(words))
    assert f"`{FORMAT}`".replace("`", '"') in text
