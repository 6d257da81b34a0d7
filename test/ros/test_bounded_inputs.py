"""What others send is bounded: frames that come and go, bad transforms, messages of absurd size."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rclpy.time import Time
from synthetic_cameras import own_context

from pose3d_ros.msg import Keypoints2D, Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import MOST_KEYPOINT_BYTES, CameraInput, keypoint_stream, missing_inputs
from pose3d_ros.ros.conversions.poses import MOST_PEOPLE
from pose3d_ros.ros.options import InputOptions
from pose3d_ros.ros.standins.tf2_buffer import Buffer, LookupException

BODY_FRAMES = 18


def send(buffer: Buffer, child: str, stamp_s: float, x: float = 0.0, *, static: bool = False, w: float = 1.0) -> None:
    place = np.eye(4)
    place[0, 3] = x
    message = conversions.transform_to_msg(place, "world", child, round(1e9 * stamp_s))
    message.transform.rotation.w = w
    (buffer.set_transform_static if static else buffer.set_transform)(message, "test")


def test_fault_people_of_tf_come_and_go() -> None:
    """Fault: thousands of people came and went, each with frames of their own in TF, on a machine without tf2.
    Sees: memory and the time of a look-up as with the people of the last 10 s; cameras and static frames stay.
    Recovers: by itself.
    Kind: K8
    Before: 18 frames of every person for ever: 1.3 MB a person, look-ups 1.3 ms to 210 ms after 10,000.
    """
    now = [0.0]
    buffer = Buffer(now_s=lambda: now[0])
    send(buffer, "fixed_camera", 0.0, 3.0, static=True)

    def person(number: int) -> None:
        now[0] = 0.5 * number
        send(buffer, "camera", now[0], 1.0)
        for part in range(BODY_FRAMES):
            send(buffer, f"human_{number}_{part}", now[0])

    tracemalloc.start()
    for number in range(60):
        person(number)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(60, 260):
        person(number)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown / 200 < 1000  # bytes a person
    assert len(buffer.all_frames()) <= 2 + 21 * BODY_FRAMES
    assert buffer.lookup_transform("world", "fixed_camera", Time()).transform.translation.x == 3.0
    assert (
        buffer.lookup_transform("world", "camera", Time(nanoseconds=round(now[0] * 1e9))).transform.translation.x == 1
    )
    with pytest.raises(LookupException):
        buffer.lookup_transform("world", "human_0_0", Time())


def test_a_frame_stays_known_while_anything_names_it() -> None:
    now = [0.0]
    buffer = Buffer(now_s=lambda: now[0])
    send(buffer, "camera", 0.0)
    assert buffer.can_transform("world", "camera", Time())
    now[0] = 9.0
    send(buffer, "other", 9.0)
    assert buffer.can_transform("world", "camera", Time())
    now[0] = 11.0
    send(buffer, "other", 11.0)
    assert buffer.all_frames() == {"other": "world"}
    assert buffer.can_transform("world", "other", Time())
    buffer.clear()
    with pytest.raises(LookupException):
        buffer.lookup_transform("world", "world", Time())


def test_fault_a_thousand_bad_transforms(capfd: pytest.CaptureFixture[str]) -> None:
    """Fault: a node sends invalid transforms, a thousand in a moment.
    Sees: one line every 5 s that names one of them and counts all; sound ones are used.
    Recovers: by itself.
    Kind: K8
    Before: 1000 log lines.
    """
    buffer = Buffer()
    for number in range(1000):
        send(buffer, f"broken_{number}", 1.0, w=2.0)
    send(buffer, "camera", 1.0, 2.0)
    lines = [line for line in capfd.readouterr().err.splitlines() if "ignored" in line]
    assert len(lines) <= 2
    assert all("its quaternion has length 2, expected 1" in line for line in lines)
    assert buffer.lookup_transform("world", "camera", Time()).transform.translation.x == 2.0
    assert buffer.all_frames() == {"camera": "world"}


def message_of(people: int, joints: int = 17) -> Keypoints2DArray:
    one = Keypoints2D(
        id="1", confidence=0.5, xy=[1.0] * (2 * joints), scores=[0.5] * joints, covariance=[1.0] * (4 * joints)
    )
    msg = Keypoints2DArray(camera_name="left", width=640, height=480, detector="d", skeleton="s", people=[one] * people)
    msg.header.stamp = Time(nanoseconds=10**18).to_msg()
    return msg


def test_fault_keypoints_of_100000_people() -> None:
    """Fault: a keypoints message of far more people than an image can show.
    Sees: "... keypoints messages on /left/keypoints_2d larger than 475136 bytes (100 people) were thrown away unread".
    Recovers: by itself with the next message.
    Kind: K8
    Before: every camera stood still for 9 s, and 250 MB of memory were taken.
    """
    taken: list[int] = []
    with own_context() as context:
        node = Node("bounded", context=context)
        one = CameraInput(
            node, "left", InputOptions(), info_needed=False, stream=keypoint_stream("left"), now_s=time.monotonic,
            take=lambda camera, frame: taken.append(len(frame.message.people)),
        )  # fmt: skip
        hear = one._subscriptions[0].callback
        hear(serialize_message(message_of(MOST_PEOPLE)))
        assert one.images == 1
        hear(bytes(250_000_000))
        assert one.images == 1
        (words,) = [one for one in missing_inputs([one], 1.0, 1.0) if "thrown away" in one]
        assert f"1 keypoints messages on /left/keypoints_2d larger than {MOST_KEYPOINT_BYTES} bytes" in words
        hear(serialize_message(message_of(2)))
        assert one.images == 2
        one.close()
        node.destroy_node()


def test_fault_images_that_are_none() -> None:
    """Fault: what comes as an image is cut, or no image at all.
    Sees: "1 images on /left/image_raw that cannot be read (...) were thrown away unread".
    Recovers: by itself with the next image.
    """
    taken: list[int] = []
    with own_context() as context:
        node = Node("bounded", context=context)
        one = CameraInput(
            node, "left", InputOptions(), info_needed=False, now_s=time.monotonic,
            take=lambda camera, frame: taken.append(frame.message.width),
        )  # fmt: skip
        hear = one._subscriptions[0].callback
        image = conversions.image_to_msg(np.full((48, 64, 3), 7, np.uint8), time.time_ns(), "left_optical")
        hear(serialize_message(image)[:999])
        assert taken == []
        (words,) = [one for one in missing_inputs([one], 1.0, 1.0) if "thrown away" in one]
        assert "1 images on /left/image_raw that cannot be read (a message of 995 bytes ends within a field" in words
        hear(serialize_message(image))
        assert taken == [64]
        one.close()
        node.destroy_node()


def test_every_message_that_may_be_used_fits_the_bound() -> None:
    assert len(serialize_message(message_of(MOST_PEOPLE, joints=133))) < MOST_KEYPOINT_BYTES
