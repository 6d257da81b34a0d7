"""Images read in place from their bytes, compared with rclpy's own reading."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from pose3d_ros.errors import InputError
from pose3d_ros.ros.conversions.stamps import header
from pose3d_ros.ros.serialized_images import read_compressed_image, read_image

UINT32 = st.integers(0, 2**32 - 1)
# The bytes of a string end at the first zero.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
STAMPS_NS = st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1)


@given(STAMPS_NS, TEXTS, UINT32, UINT32, TEXTS, st.integers(0, 255), UINT32, st.binary(max_size=99))
def test_an_image_is_what_rclpy_reads(stamp_ns, frame_id, height, width, encoding, is_bigendian, step, data):
    sent = Image(
        header=header(stamp_ns, frame_id), height=height, width=width, encoding=encoding,
        is_bigendian=is_bigendian, step=step, data=data,
    )  # fmt: skip
    read = read_image(serialize_message(sent))
    assert read.header == sent.header
    for name in ("height", "width", "encoding", "is_bigendian", "step"):
        assert getattr(read, name) == getattr(sent, name)
    assert bytes(read.data) == data


@given(STAMPS_NS, TEXTS, TEXTS, st.binary(max_size=99))
def test_a_compressed_image_is_what_rclpy_reads(stamp_ns, frame_id, kind, data):
    sent = CompressedImage(header=header(stamp_ns, frame_id), format=kind, data=data)
    read = read_compressed_image(serialize_message(sent))
    assert (read.header, read.format, bytes(read.data)) == (sent.header, kind, data)


@pytest.mark.parametrize("second", [0, 6])
def test_big_endian_is_read_too(second):
    message = struct.pack(">4B iI I2s2x II I6s B x I I3s", 0, second, 0, 0, -5, 7, 2, b"c\0", 480, 640, 6, b"mono8\0",
                          1, 640, 3, b"xyz")  # fmt: skip
    read = read_image(message)
    assert (read.header.stamp.sec, read.header.stamp.nanosec, read.header.frame_id) == (-5, 7, "c")
    assert (read.height, read.width, read.encoding, read.is_bigendian, read.step) == (480, 640, "mono8", 1, 640)
    assert bytes(read.data) == b"xyz"


def test_what_ends_early_or_is_no_cdr_is_refused():
    whole = serialize_message(Image(header=header(1, "camera"), encoding="mono8", data=b"12345678"))
    assert bytes(read_image(whole).data) == b"12345678"
    end = whole.index(b"12345678") + 8
    for length in range(end):
        with pytest.raises(InputError, match=r"ends within a field of \d+ bytes|expected CDR"):
            read_image(whole[:length])
    with pytest.raises(InputError, match="begins with '00030000', expected CDR"):
        read_image(b"\0\3\0\0" + whole[4:])
