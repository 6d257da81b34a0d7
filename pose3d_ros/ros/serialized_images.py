"""sensor_msgs/Image and CompressedImage read in place from the bytes in which they came.

rclpy makes a message of its bytes by several copies of the pixels, with the interpreter's lock held: that took most of
the receiving thread's time. The layout is that of OMG's CDR (DDS-XTypes 1.3, 7.4.1 and 7.4.2), which is the same for
these fields in its first and second version.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from std_msgs.msg import Header

from pose3d_ros.errors import InputError
from pose3d_ros.ros.conversions.stamps import NS_PER_S, header

# The second byte of the encapsulation header: CDR and CDR2, big and little endian.
BIG, LITTLE = (0, 6), (1, 7)
ENCAPSULATION = 4  # bytes, from which alignment counts


@dataclass(frozen=True, eq=False)
class SerializedImage:
    """The fields of sensor_msgs/Image; data is the part of the message's bytes that holds the pixels."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


@dataclass(frozen=True, eq=False)
class SerializedCompressedImage:
    """The fields of sensor_msgs/CompressedImage; data is the part of the message's bytes that holds the file."""

    header: Header
    format: str
    data: memoryview


def read_image(message: bytes) -> SerializedImage:
    """An Image of its bytes; raises InputError where they are none."""
    fields = _Fields(message)
    begin = fields.header()
    height, width = fields.number(), fields.number()
    encoding, is_bigendian = fields.text(), fields.byte()
    return SerializedImage(begin, height, width, encoding, is_bigendian, fields.number(), fields.bytes())


def read_compressed_image(message: bytes) -> SerializedCompressedImage:
    """A CompressedImage of its bytes; raises InputError where they are none."""
    fields = _Fields(message)
    return SerializedCompressedImage(fields.header(), fields.text(), fields.bytes())


class _Fields:
    """Reads one field after the other."""

    def __init__(self, message: bytes) -> None:
        if len(message) < ENCAPSULATION or message[0] != 0 or message[1] not in (*BIG, *LITTLE):
            raise InputError(f"a message begins with {message[:ENCAPSULATION].hex()!r}, expected CDR: 0001 or 0000")
        self._body = memoryview(message)[ENCAPSULATION:]
        self._number = struct.Struct(">I" if message[1] in BIG else "<I")
        self._at = 0

    def number(self) -> int:
        """A uint32."""
        self._at += -self._at % 4
        part = self._part(4)
        return int(self._number.unpack(part)[0])

    def byte(self) -> int:
        """A uint8."""
        return self._part(1)[0]

    def bytes(self) -> memoryview:
        """A sequence of uint8."""
        return self._part(self.number())

    def text(self) -> str:
        """A string, which ends with a zero."""
        return bytes(self.bytes()).rstrip(b"\0").decode("utf-8", errors="replace")

    def header(self) -> Header:
        """A std_msgs/Header."""
        sec, nanosec = self.number(), self.number()
        sec -= (sec & 0x80000000) << 1
        return header(sec * NS_PER_S + nanosec, self.text())

    def _part(self, size: int) -> memoryview:
        part = self._body[self._at : self._at + size]
        if len(part) != size:
            raise InputError(f"a message of {len(self._body)} bytes ends within a field of {size} bytes")
        self._at += size
        return part
