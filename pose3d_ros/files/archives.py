"""NumPy's .npz and torch's checkpoints from users: an archive's headers are verified before use."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.files.door import MB, Kind, checked, refused

# Sum of all arrays in memory. Motion of 700,000 frames of 17 joints has 290 MB.
MOST_UNPACKED_MB = 512
MOST_MEMBERS = 10_000

_format: Any = np.lib.format  # NumPy's own stubs leave it untyped


def npz_arrays(source: Path | str | bytes, kind: Kind, where: str = "") -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, or of the bytes of one that `where` names; raises the kind's error.

    Each header is compared with the available bytes before its array is created; nothing is unpickled.
    """
    name = where if isinstance(source, bytes) else str(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else checked(source, kind)
    try:
        with zipfile.ZipFile(file) as archive:
            members = _sound(archive, name, kind)
            _check_arrays(archive, members, name, kind)
            return {one.filename.removesuffix(".npy"): _array(archive, one) for one in members}
    except kind.error:
        raise
    except Exception as error:  # zip, zlib and NumPy each have their own errors for a damaged file
        raise refused(name, kind, _line(error)) from error


def checked_checkpoint(path: Path | str, kind: Kind) -> Path:
    """The path of a whole archive as torch.save writes it, none of it compressed; raises the kind's error."""
    place = checked(path, kind)
    try:
        with zipfile.ZipFile(place) as archive:
            if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
                raise refused(path, kind, "it is compressed, expected what torch.save writes")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise refused(path, kind, f"{_line(error)}: check that it is complete") from error
    return place


def _sound(archive: zipfile.ZipFile, name: str, kind: Kind) -> list[zipfile.ZipInfo]:
    """The members, few and of known compression: others unpack without bound."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or len({one.filename for one in members}) < len(members):
        raise refused(name, kind, f"it has {len(members)} members, expected {MOST_MEMBERS} of different names at most")
    for one in members:
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or one.flag_bits & 1:
            raise refused(name, kind, f"{one.filename} is encrypted or of another compression than NumPy's")
    return members


def _check_arrays(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str, kind: Kind) -> None:
    """Raise the kind's error unless every header fits its member's bytes, and all together fit into memory."""
    total = sum(one.file_size for one in members)
    if total > MOST_UNPACKED_MB * MB:
        raise refused(name, kind, f"it unpacks to {total / MB:.0f} MB, expected {MOST_UNPACKED_MB} MB at most")
    for one in members:
        with archive.open(one) as stream:
            version = _format.read_magic(stream)
            read = {(1, 0): _format.read_array_header_1_0, (2, 0): _format.read_array_header_2_0}
            if version not in read:
                raise refused(name, kind, f"{one.filename} has NumPy's format {version}, expected 1.0 or 2.0")
            shape, _, dtype = read[version](stream)
            held = one.file_size - stream.tell()
        if dtype.hasobject:
            raise refused(name, kind, f"{one.filename} has Python objects, which are never unpickled")
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held:
            raise refused(name, kind, f"{one.filename} says shape {shape} of {dtype}, its data are {held} bytes")


def _array(archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(one) as stream:
        array: NDArray[Any] = _format.read_array(stream, allow_pickle=False)
        stream.read(1)  # to the end, where the checksum is compared
    return array


def _line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]
