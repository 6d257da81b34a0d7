"""Files that are no readable recording: what they are is said, and no cause that was not seen."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pose3d_ros.errors import FootageError
from pose3d_ros.recordings.bag_recording import open_bag

MAGIC = b"\x89MCAP0\r\n"


def text(value: str | bytes) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(value)) + value


def record(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<Q", len(data)) + data


def mcap(profile: str, schema_encoding: str, encoding: str) -> bytes:
    """A whole MCAP file of one message, after https://mcap.dev/spec: header, chunk, data end, summary, footer."""
    schema = record(3, struct.pack("<H", 1) + text("RawImage") + text(schema_encoding) + text(b"\x0a\x00"))
    channel = record(4, struct.pack("<HH", 1, 1) + text("/left/image_raw") + text(encoding) + struct.pack("<I", 0))
    body = schema + channel + record(5, struct.pack("<HIQQ", 1, 0, 10, 10) + b"\x08\x01")
    chunk = record(6, struct.pack("<QQQI", 10, 10, len(body), 0) + text("") + struct.pack("<Q", len(body)) + body)
    data = MAGIC + record(1, text(profile) + text("test")) + chunk + record(15, struct.pack("<I", 0))
    summary = schema + channel
    return data + summary + record(2, struct.pack("<QQI", len(data), 0, 0)) + MAGIC


@pytest.mark.parametrize("name", ["walk.bag", "walk.mcap", "walk.db3"])
def test_fault_bag_of_ros1(name: str, tmp_path: Path) -> None:
    """Fault: `pose3d estimate` is given a recording of ROS 1, under its own or another name.
    Sees: "it is a recording of ROS 1", with the command that converts it.
    Recovers: with the converted recording.
    Kind: K7
    Before: "was the recorder stopped before it had finished? Try `mcap recover`".
    """
    (tmp_path / name).write_bytes(b"#ROSBAG V2.0\nE\x00\x00\x00" + bytes(4096))
    with pytest.raises(FootageError, match=r"recording of ROS 1.*rosbags-convert") as raised:
        open_bag(tmp_path / name)
    assert "recover" not in str(raised.value)


@pytest.mark.parametrize("encoding", ["protobuf", "json", "ros1"])
def test_fault_bag_of_other_messages(encoding: str, tmp_path: Path) -> None:
    """Fault: an MCAP file holds no messages of ROS 2 but protobuf, JSON or ROS 1's.
    Sees: "its MCAP profile is '', expected 'ros2', and its messages are protobuf".
    Recovers: with a recording of `ros2 bag record`.
    Kind: K7
    Before: "was the recorder stopped before it had finished? Try `mcap recover`".
    """
    (tmp_path / "walk.mcap").write_bytes(mcap("", encoding, encoding))
    with pytest.raises(
        FootageError, match=f"profile is '', expected 'ros2', and its messages are {encoding}"
    ) as raised:
        open_bag(tmp_path / "walk.mcap")
    assert "recover" not in str(raised.value)


def test_whole_mcap_of_ros2_opens(tmp_path: Path) -> None:
    (tmp_path / "walk.mcap").write_bytes(mcap("ros2", "ros2msg", "cdr"))
    assert set(open_bag(tmp_path / "walk.mcap").types) == {"/left/image_raw"}


def test_truncated_mcap_is_reported_as_such(tmp_path: Path) -> None:
    whole = mcap("ros2", "ros2msg", "cdr")
    (tmp_path / "walk.mcap").write_bytes(whole[:-40])
    with pytest.raises(FootageError, match=r"its end is missing \(\d+ bytes\).*mcap recover walk.mcap"):
        open_bag(tmp_path / "walk.mcap")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("walk.mcap", b"", "it is empty"),
        ("walk.mcap", b"SQLite format 3\0" + bytes(100), r"begins like a \.db3 file: rename it"),
        ("walk.db3", MAGIC + bytes(100), r"begins like a \.mcap file: rename it"),
        ("walk.mcap", b"<html><body>404</body></html>" * 9, r"begins with b'<html><b', which is not a \.mcap file"),
        ("walk.db3", b"SQLite format 3\0" + bytes(2000), "it is damaged or incomplete"),
    ],
)
def test_other_file_is_identified(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FootageError, match=words):
        open_bag(tmp_path / name)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_file_with_wrong_lengths_is_rejected(cut: int, tmp_path: Path) -> None:
    """Four bytes here and there are the largest number: nothing is read beyond the file."""
    data = bytearray(mcap("", "protobuf", "protobuf"))
    at = len(MAGIC) + 1 + 3 * cut
    data[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "walk.mcap").write_bytes(bytes(data))
    with pytest.raises(FootageError):
        open_bag(tmp_path / "walk.mcap")
