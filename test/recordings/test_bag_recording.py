"""Recordings of both storages: what they hold, and what is said of damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bag_writing import T0, BagWriter, picture, small_bag, small_rig
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings.bag_recording import COMPRESSED, RAW, header_stamp_ns, is_bag, open_bag

pytest.importorskip("rosbags")
BOTH = pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
ENDING = {"mcap": ".mcap", "sqlite3": ".db3"}


@BOTH
def test_folder_its_file_and_a_folder_without_metadata_are_the_same(storage: str, tmp_path: Path) -> None:
    folder = small_bag(tmp_path / "take", storage=storage)
    (file,) = folder.glob(f"*{ENDING[storage]}")
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(file, bare)
    read = [list(open_bag(path).messages(["/cam2/image_raw"])) for path in (folder, file, bare)]
    assert len(read[0]) == 5
    assert read[0] == read[1] == read[2]
    assert all(is_bag(path) for path in (folder, file, bare))
    assert not is_bag(tmp_path / "cam1.mp4")


@BOTH
def test_messages_come_in_order_of_recording_from_a_time_on(storage: str, tmp_path: Path) -> None:
    bag = open_bag(small_bag(tmp_path / "take", storage=storage))
    later = list(bag.messages(["/cam1/image_raw", "/cam2/image_raw"], since_ns=T0 + 50_000_000))
    assert [topic for topic, _, _ in later] == ["/cam1/image_raw", "/cam2/image_raw"] * 3
    assert list(bag.messages([])) == []
    topic, _, raw = later[0]
    image = bag.decode(topic, raw)
    assert (image.encoding, image.width) == ("rgb8", 32)
    assert image.data.reshape(24, 32, 3)[0, 0].tolist() == picture(20)[0, 0, ::-1].tolist()


@given(seconds=st.integers(0, 2**31 - 1), nanoseconds=st.integers(0, 10**9 - 1), frame=st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_stamp_is_read_as_a_whole_decoder_reads_it(seconds: int, nanoseconds: int, frame: str) -> None:
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    time = store.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    header = store.types["std_msgs/msg/Header"](stamp=time, frame_id=frame.replace("\0", ""))
    for little in (True, False):
        raw = store.serialize_cdr(header, "std_msgs/msg/Header", little_endian=little)
        assert header_stamp_ns(bytes(raw)) == seconds * 10**9 + nanoseconds


def test_cameras_are_found_by_the_pattern_and_compressed_ones_are_taken_where_raw_is_not(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "take") as writer:
        writer.image("/left/image_raw", picture(0), T0)
        writer.compressed("/left/image_raw/compressed", picture(0), T0)
        writer.compressed("/right/image_raw/compressed", picture(0), T0)
        writer.topic("/right/image_raw", RAW)  # declared, but never published
        writer.image("/depth/image", picture(0), T0)
    bag = open_bag(tmp_path / "take")
    assert bag.camera_topics("{camera}/image_raw") == {
        "left": "/left/image_raw",
        "right": "/right/image_raw/compressed",
    }
    assert bag.types["/right/image_raw/compressed"] == COMPRESSED
    assert bag.camera_topics("/{camera}/image_raw/compressed", ["left"]) == {"left": "/left/image_raw/compressed"}
    with pytest.raises(InputError, match=r"'/front/image_raw': its topics of images are .*/depth/image \(1\)"):
        bag.camera_topics("{camera}/image_raw", ["front"])
    with pytest.raises(InputError, match=r"no images on '\{camera\}/color'"):
        bag.camera_topics("{camera}/color")
    with pytest.raises(InputError, match=r"expected \{camera\} in it"):
        bag.camera_topics("image_raw")


def test_wrong_types_and_topics_without_messages_are_rejected(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "take") as writer:
        writer.info(small_rig().cameras[0], "cam1_optical", T0)
        writer.topic("/cam2/image_raw", RAW)
    bag = open_bag(tmp_path / "take")
    with pytest.raises(
        InputError, match="'/cam1/camera_info' has type sensor_msgs/msg/CameraInfo, expected sensor_msgs"
    ):
        bag.camera_topics("{camera}/camera_info", ["cam1"])
    with pytest.raises(InputError, match="'/cam2/image_raw' has no message"):
        bag.check_topic("cam2/image_raw", RAW)


@pytest.mark.parametrize("name", ["take.mcap", "take.db3"])
@pytest.mark.parametrize("content", [b"", b"not a recording" * 100])
def test_files_that_are_not_recordings_are_rejected(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FootageError, match=f"{name} cannot be read"):
        open_bag(tmp_path / name)


def test_missing_paths_and_topics_have_distinct_errors(tmp_path: Path) -> None:
    with pytest.raises(FootageError, match="does not exist"):
        open_bag(tmp_path / "nothing.mcap")
    with pytest.raises(FootageError, match=r"no metadata\.yaml and 0 files"):
        open_bag(tmp_path)
    (tmp_path / "old.bag").touch()
    with pytest.raises(FootageError, match="rosbags-convert"):
        open_bag(tmp_path / "old.bag")


@BOTH
@settings(max_examples=12, deadline=None)
@given(part=st.floats(0, 0.999))
def test_cut_recording_is_rejected_or_gives_whole_messages(
    storage: str, part: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = small_bag(tmp_path_factory.mktemp("cut") / "take", storage=storage)
    (file,) = folder.glob(f"*{ENDING[storage]}")
    whole = [raw for _, _, raw in open_bag(file).messages(["/cam1/image_raw"])]
    data = file.read_bytes()
    file.write_bytes(data[: int(part * len(data))])
    found, problem = [], ""
    try:
        for _, _, raw in open_bag(file).messages(["/cam1/image_raw"]):
            found.append(bytes(raw))
    except FootageError as error:
        problem = str(error)
    # SQLite's last pages are not needed for these messages.
    assert "cannot be read" in problem or len(found) == len(whole)
    assert found == [bytes(raw) for raw in whole[: len(found)]]
