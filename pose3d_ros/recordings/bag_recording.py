"""A rosbag2 recording (a folder, an .mcap or a .db3 file) as messages; rosbags reads it, no ROS is needed."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pose3d_ros.errors import DependencyError, FootageError, InputError
from pose3d_ros.files.documents import yaml_content
from pose3d_ros.files.door import BAG, BAG_INDEX, checked, read_text
from pose3d_ros.recordings.bag_damage import CONVERT, damage

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TRANSFORMS = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
STORAGES = (".mcap", ".db3")
MAX_CHARACTERS = 160  # of another library's message


@dataclass(frozen=True)
class BagRecording:
    """A recording that was looked into: its topics, and how many messages each has."""

    path: Path
    types: Mapping[str, str]  # topic -> message type
    counts: Mapping[str, int]  # topic -> messages

    def camera_topics(self, pattern: str, cameras: Sequence[str] = ()) -> dict[str, str]:
        """Camera -> its image topic; pattern has {camera} in it, cameras empty means all that fit it.

        Where a camera has no raw images, <topic>/compressed is taken. Raises InputError, naming what the recording has.
        """
        if "{camera}" not in pattern:
            raise InputError(f"--image-topic is {pattern!r}, expected {{camera}} in it, as in '{{camera}}/image_raw'")
        if not cameras:
            wanted = re.escape(_absolute(pattern)).replace(re.escape("{camera}"), "(?P<camera>[^/]+)", 1)
            fits = [re.fullmatch(f"{wanted}(/compressed)?", topic) for topic in self.image_topics()]
            cameras = tuple(dict.fromkeys(fit["camera"] for fit in fits if fit))
        if not cameras:
            raise InputError(f"{self.path.name} has no images on {pattern!r}: {self._has()}; give --image-topic")
        return {camera: self._image_topic(pattern.replace("{camera}", camera)) for camera in cameras}

    def image_topics(self) -> list[str]:
        """Topics of images, raw or compressed, that hold any."""
        return [topic for topic, kind in self.types.items() if kind in (RAW, COMPRESSED) and self.counts[topic]]

    def check_topic(self, topic: str, kind: str) -> str:
        """The topic's name as it is in the recording; raises InputError if it is absent, empty or of another type."""
        topic = _absolute(topic)
        if topic not in self.types:
            raise InputError(
                f"{self.path.name} has no topic {topic!r}: it has {', '.join(sorted(self.types)) or 'none'}"
            )
        if self.types[topic] != kind:
            raise InputError(f"{self.path.name}: topic {topic!r} has type {self.types[topic]}, expected {kind}")
        if not self.counts[topic]:
            raise InputError(f"{self.path.name}: topic {topic!r} has no message: record it again")
        return topic

    def messages(self, topics: Iterable[str], since_ns: int | None = None) -> Iterator[tuple[str, int, bytes]]:
        """(topic, time of recording in ns, serialised message) in order of recording; raises FootageError if cut."""
        wanted = set(topics)
        with _opened(self.path) as reader:
            chosen = [one for one in reader.connections if one.topic in wanted]
            for connection, recorded_ns, raw in reader.messages(chosen, start=since_ns) if chosen else ():
                yield connection.topic, recorded_ns, raw

    def decode(self, topic: str, raw: bytes) -> Any:
        """The message; raises FootageError for bytes that are none of its type."""
        try:
            return _types().deserialize_cdr(raw, self.types[topic])
        except Exception as error:  # rosbags' own code is generated: it raises whatever the bytes lead to
            raise FootageError(
                f"{self.path.name}: a message of {topic!r} is damaged ({error!r}): record it again, or cut it out"
            ) from error

    def _image_topic(self, topic: str) -> str:
        compressed = f"{_absolute(topic)}/compressed"
        if self.types.get(_absolute(topic)) == COMPRESSED:
            return self.check_topic(topic, COMPRESSED)
        if self.counts.get(_absolute(topic), 0) or compressed not in self.types:
            if _absolute(topic) not in self.types:
                raise InputError(f"{self.path.name} has no topic {_absolute(topic)!r}: {self._has()}")
            return self.check_topic(topic, RAW)
        return self.check_topic(compressed, COMPRESSED)

    def _has(self) -> str:
        found = ", ".join(f"{topic} ({self.counts[topic]})" for topic in self.image_topics())
        return f"its topics of images are {found}" if found else "it has no images at all"


def is_bag(path: Path) -> bool:
    """Whether a path looks like a rosbag2 recording; nothing is read."""
    return path.suffix in STORAGES or (path.is_dir() and bool(_storages(path) or (path / "metadata.yaml").exists()))


def open_bag(path: Path) -> BagRecording:
    """Open a recording; raises FootageError for a file that is not one, or is truncated."""
    with _opened(path) as reader:
        types: dict[str, str] = {}
        counts: dict[str, int] = {}
        for one in reader.connections:
            types[one.topic] = one.msgtype
            counts[one.topic] = counts.get(one.topic, 0) + one.msgcount
        return BagRecording(path, types, counts)


def header_stamp_ns(raw: bytes) -> int:
    """Capture stamp of a serialised message that begins with a std_msgs/Header, without decoding its image."""
    # CDR: four bytes of encapsulation, the second one odd for little endian; then sec and nanosec.
    if len(raw) < 12:
        raise FootageError(f"a message has {len(raw)} bytes, too few for a header: the recording is damaged")
    seconds, nanoseconds = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def header_frame_id(raw: bytes) -> str:
    """frame_id of a serialised message that begins with a std_msgs/Header; empty for bytes that hold none."""
    # CDR: the stamp's eight bytes, then length and characters of the text, with a zero at its end.
    if len(raw) < 16:
        return ""
    (length,) = struct.unpack_from("<I" if raw[1] & 1 else ">I", raw, 12)
    return raw[16 : 16 + max(0, length - 1)].decode("utf-8", "replace")


@cache
def _types() -> Any:
    """Definitions of messages; those read here are the same in every ROS 2, so what the file says is not needed."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_HUMBLE)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A rosbags reader; its errors about the file become a FootageError with the fix."""
    try:
        from rosbags.rosbag2 import Reader
    except ImportError as error:
        raise DependencyError(
            f"recordings are read by rosbags, which is not installed ({error}): pip install rosbags"
        ) from error
    if path.suffix == ".bag":
        raise FootageError(f"{path} is a recording of ROS 1: {CONVERT}")
    try:
        with Reader(_openable(path)) as reader:
            yield reader
    except (FootageError, InputError):
        raise
    except Exception as error:  # SQLite, zstd, lz4 and struct each have their own errors for a damaged file
        # Of a folder the reader's own words say which file; where there is one only, its bytes say more.
        file = next(iter(_storages(path)), path) if path.is_dir() else path
        found = damage(file, (str(error) or repr(error))[:MAX_CHARACTERS])
        raise FootageError(f"{path} cannot be read as a rosbag2 recording: {found}") from error


def _openable(path: Path) -> Path:
    """What to open: the path, or the only storage file of a folder whose metadata.yaml was never written.

    Every file that rosbags will open is checked first: its reader would block on a pipe.
    """
    if not path.exists():
        raise FootageError(f"{path} does not exist: give a rosbag2 folder, an .mcap or a .db3 file")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = _storages(path)
        if len(files) != 1:
            raise FootageError(
                f"{path} has no metadata.yaml and {len(files)} files of {' or '.join(STORAGES)}, expected a rosbag2 "
                f"recording: run `ros2 bag reindex {path.name}`"
            )
        return checked(files[0], BAG)
    if not path.is_dir():
        return checked(path, BAG)
    index = path / "metadata.yaml"
    content = yaml_content(read_text(index, BAG_INDEX), str(index), BAG_INDEX)
    about = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    names = about.get("relative_file_paths") if isinstance(about, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FootageError(f"{index} names no files: expected relative_file_paths: run `ros2 bag reindex {path.name}`")
    for name in names:
        checked(path / Path(name).name, BAG)
    return path


def _storages(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix in STORAGES)


def _absolute(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"
