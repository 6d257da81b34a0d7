"""Messages that no sound program sends: too large, too many, or texts where names belong."""

from __future__ import annotations

import array
import struct
import zlib
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from synthetic_cameras import own_context

from pose3d_ros.errors import CalibrationError, InputError, Pose3DError
from pose3d_ros.estimation.track import no_pose
from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Keypoints2D, Keypoints2DArray
from pose3d_ros.recordings import encoded_images
from pose3d_ros.ros import conversions, viewer
from pose3d_ros.ros.frame_decoders import ImageDecoder, checked
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Camera

CAMERA = Camera("left", (64, 48), np.array([[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]]))


def png_bomb(side: int) -> bytes:
    """A whole PNG of side x side px, all black, 1000 times smaller than its pixels."""
    rows = zlib.compress(bytes((side + 1) * side), 9)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_fault_decompression_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a PNG of 4 kB that holds 4 million pixels, on a camera of 64 x 48 px.
    Sees: "image is 2000 x 2000 px, its calibration is for 64 x 48 px"; it is not decoded.
    Recovers: with the next sound image.
    """
    bomb = CompressedImage(format="png", data=array.array("B", png_bomb(2000)))
    assert conversions.image_from_msg(bomb).shape == (2000, 2000, 3), "it can be decoded: only its size forbids it"
    monkeypatch.setattr(encoded_images.cv2, "imdecode", lambda *given: pytest.fail("it was decoded"))
    with pytest.raises(CalibrationError, match="image is 2000 x 2000 px, its calibration is for 64 x 48 px"):
        ImageDecoder().decode(SimpleNamespace(message=bomb), CAMERA)


@pytest.mark.parametrize(
    ("width", "height", "step"),
    [(2**32 - 1, 2**32 - 1, 2**32 - 1), (2**32 - 1, 1, 0), (1, 2**32 - 1, 3), (0, 0, 0), (64, 48, 2**32 - 1)],
)
def test_fault_image_header_of_absurd_size(width: int, height: int, step: int) -> None:
    """Fault: an Image whose header announces up to 2^64 pixels, and whose data are 9 kB.
    Sees: the sizes, and that they are not the camera's or do not fit the data; nothing is allocated for it.
    Recovers: with the next sound image.
    """
    message = Image(width=width, height=height, step=step, encoding="bgr8", data=array.array("B", bytes(64 * 48 * 3)))
    with pytest.raises(Pose3DError, match=f"{width} x {height} px"):
        ImageDecoder().decode(SimpleNamespace(message=message), CAMERA)


def keypoints(people: int) -> Keypoints2DArray:
    message = Keypoints2DArray(camera_name="left", width=64, height=48, skeleton="coco_17", detector="known")
    message.joint_names = list(COCO_17.joint_names)
    one = Keypoints2D(xy=array.array("f", [10.0] * 34), scores=array.array("f", [0.9] * 17))
    message.people = [one] * people
    return message


def test_fault_keypoints_of_absurd_size() -> None:
    """Fault: 2D people by the thousand, or one with a million numbers.
    Sees: "5000 people in one image, expected at most 100", or how many numbers there are and should be.
    Recovers: with the next sound message.
    """
    assert len(checked(keypoints(100), CAMERA)) == 100
    with pytest.raises(InputError, match="5000 people in one image, expected at most 100"):
        checked(keypoints(5000), CAMERA)
    long = keypoints(1)
    long.people = [Keypoints2D(xy=array.array("f", bytes(4_000_000)), scores=array.array("f", [0.9] * 17))]
    with pytest.raises(InputError, match=r"\(1000000, 17, 0\) numbers in xy, scores, covariance, expected 34, 17"):
        checked(long, CAMERA)


def test_fault_texts_where_names_belong() -> None:
    """Fault: a message whose names are texts of a megabyte.
    Sees: the cause with the first 80 characters, so that neither the log nor /diagnostics is flooded.
    Recovers: with the next sound message.
    """
    text = "x" * 1_000_000
    for field, value in (
        ("camera_name", text),
        ("skeleton", text),
        ("joint_names", [text]),
        ("joint_names", ["x"] * 10**5),
    ):
        message = keypoints(1)
        setattr(message, field, value)
        with pytest.raises(InputError) as reported:
            checked(message, CAMERA)
        assert len(str(reported.value)) < 1500
    crowd = HumanPose3DArray(skeleton=H36M_17.name, joint_names=list(H36M_17.joint_names))
    crowd.people = [HumanPose3D(id=text)]
    with pytest.raises(InputError, match=r"person 'x{80}\.\.\.' has 0 joints") as reported:
        conversions.pose_from_msg(crowd)
    crowd.people = [HumanPose3D()] * 101
    with pytest.raises(InputError, match="101 people in one message, expected at most 100"):
        conversions.pose_from_msg(crowd)


def test_fault_poses_that_name_absurd_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a HumanPose3DArray that names a thousand cameras, or one that is no topic's name.
    Sees: the view goes on; it listens to 64 of them at most, and its log names the one.
    Recovers: with the next sound message.
    """
    monkeypatch.setattr(viewer, "serve", lambda port: MagicMock())
    message = conversions.pose_to_msg(no_pose(H36M_17, 1, "map"), camera_stamps_ns={"no name!": 1}, calibration_hash="")
    with own_context() as context:
        node = viewer.Viewer(context=context)
        before = len(list(node.subscriptions))
        node._take_pose(message)
        message.camera_names = [f"camera_{n}" for n in range(1000)]
        node._take_pose(message)
        assert len(list(node.subscriptions)) - before == viewer.MOST_CAMERAS
        node.destroy_node()
