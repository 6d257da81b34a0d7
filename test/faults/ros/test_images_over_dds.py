"""Cameras that send what cannot be used, to a real node over DDS: one graph for most faults, each begun and ended.

Of three cameras "side" is the bad one; left and right give the true pose all the while.
"""

from __future__ import annotations

import array
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from known_person import PERIOD_NS, T0_NS, ring
from rclpy.qos import QoSProfile, ReliabilityPolicy
from synthetic_cameras import TIMEOUT_S, Graph, error_mm, graph
from tf2_msgs.msg import TFMessage

from pose3d_ros.data.image_messages import PIXEL_BYTES
from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import TransformBroadcaster
from pose3d_ros.structures import Camera, Rig

RIG = ring("left", "right", "side")
SIDE = RIG.camera("side")
IN_WORLD = np.eye(4)
# Longer than a set takes, shorter than tf_wait: a set whose transform comes with the next one waits for it.
ANSWER_S, TF_WAIT_S = 0.2, 1.0
RELIABILITY = {"reliable": ReliabilityPolicy.RELIABLE, "best effort": ReliabilityPolicy.BEST_EFFORT}

Spoil = Callable[[Any, Any], None]  # (image, camera_info) of "side", before they go out


class Faults:
    """A running graph whose camera "side" is spoilt and mended."""

    def __init__(self, one: Graph) -> None:
        self.graph, self.transforms, self.since_ns = one, [], 0
        one.play_until = self.play_until
        one.controller.create_subscription(TFMessage, "/tf", self.transforms.append, 100)
        self.broadcaster = TransformBroadcaster(one.cameras)
        one.cameras.publish_transforms()
        self.three_cameras("all three cameras")

    def play_until(self, done: Callable[[], bool], what: str) -> None:
        """Publish frame sets, each once the one before is answered, so that none queue up on a busy machine."""
        give_up = time.monotonic() + TIMEOUT_S
        while not done():
            assert time.monotonic() < give_up, f"{what} does not come; diagnosis: {self.graph.controller.message}"
            stamp_ns, next_s = self.graph.cameras.publish_set(), time.monotonic() + ANSWER_S
            while time.monotonic() < next_s and not any(
                conversions.stamp_to_ns(pose.header.stamp) == stamp_ns for pose in self.graph.controller.poses[-2:]
            ):
                self.graph.executor.spin_once(timeout_sec=0.01)

    def begin(self, spoil: Spoil) -> None:
        self.since_ns = T0_NS + self.graph.cameras.sent * PERIOD_NS
        self.graph.cameras.alter = lambda name, image, info: spoil(image, info) if name == "side" else None

    def end(self) -> None:
        """The fault is over: the camera is used again, and nothing that ever went out was not finite."""
        self.graph.cameras.alter = lambda name, image, info: None
        self.three_cameras("recovery")
        poses, transforms = self.graph.controller.poses, self.transforms
        for pose in map(conversions.pose_from_msg, poses):
            present = pose.score > 0
            assert np.isfinite(pose.xyz[present]).all()
            assert np.isfinite(pose.covariance[present]).all()
            assert (present | np.isnan(pose.xyz).all(axis=-1)).all()
        for transform in (one for message in transforms for one in message.transforms):
            if transform.child_frame_id.startswith("human_"):
                assert np.isfinite(conversions.matrix_from_transform(transform)).all()
        poses.clear()
        transforms.clear()

    def pose_of(self, cameras: tuple[str, ...], what: str) -> HumanPose3DArray:
        """Play until a true pose of these cameras comes, of a frame set sent from now on; returns it."""
        since_ns = T0_NS + self.graph.cameras.sent * PERIOD_NS
        found: list[HumanPose3DArray] = []

        def good() -> bool:
            found[:] = [
                one
                for one in self.graph.controller.poses
                if conversions.stamp_to_ns(one.header.stamp) >= since_ns
                and one.people
                and tuple(one.camera_names) == cameras
                and one.people[0].joints[0].n_views == len(cameras)
                and error_mm(one, IN_WORLD) < 1.0
            ]
            return bool(found)

        self.graph.play_until(good, what)
        return found[-1]

    def three_cameras(self, what: str) -> HumanPose3DArray:
        return self.pose_of(RIG.names, what)

    def without_side(self, words: str) -> None:
        """The cause is told, the others' poses are true, and the camera is in none."""
        self.graph.diagnosis_says(words)
        self.pose_of(("left", "right"), "poses of the others")
        spoilt = [
            one for one in self.graph.controller.poses if conversions.stamp_to_ns(one.header.stamp) >= self.since_ns
        ]
        assert not any("side" in pose.camera_names for pose in spoilt)

    def shows(self, spoil: Spoil, words: str) -> None:
        """Begin the fault, see it named and the others go on."""
        self.begin(spoil)
        self.without_side(words)


@pytest.fixture(scope="module")
def running() -> Iterator[Faults]:
    with graph(RIG, fixed_frame="world", tf_wait=TF_WAIT_S) as one:
        yield Faults(one)


@pytest.fixture
def raw(running: Faults) -> Iterator[Faults]:
    """Raw images; after the test the fault ends, and the camera must come back."""
    yield running
    running.end()


@pytest.fixture(scope="module")
def running_compressed() -> Iterator[Faults]:
    with graph(RIG, compressed=True, fixed_frame="world") as one:
        yield Faults(one)


@pytest.fixture
def compressed(running_compressed: Faults) -> Iterator[Faults]:
    yield running_compressed
    running_compressed.end()


# -- camera_info -------------------------------------------------------------------------------------------


def changed_info(**fields: Any) -> Spoil:
    return lambda image, info: [setattr(info, name, value) for name, value in fields.items()] and None


def described(camera: Camera, **fields: Any) -> Spoil:
    """A camera_info that says the images are of that camera."""

    def spoil(image: Any, info: Any) -> None:
        other = conversions.camera_info_to_msg(camera, 0, "")
        for name in ("width", "height", "k", "d", "distortion_model", "p"):
            setattr(info, name, getattr(other, name))
        changed_info(**fields)(image, info)

    return spoil


def test_fault_camera_info_of_zeros(raw: Faults) -> None:
    """Fault: a driver publishes an uncalibrated camera_info, K full of zeros.
    Sees: WARN "camera 'side' (side/camera_info) is not calibrated: its K has fx=0", with the mend; others go on.
    Recovers: by itself with a calibrated camera_info.
    """
    raw.shows(changed_info(k=np.zeros(9)), "camera 'side' (side/camera_info) is not calibrated: its K has fx=0")


def test_fault_camera_info_of_nan(raw: Faults) -> None:
    """Fault: K holds NaN.
    Sees: WARN "camera 'side' (side/camera_info) is not calibrated: its K is [[nan, ..."; others go on.
    Recovers: by itself with a sound camera_info.
    """
    raw.shows(changed_info(k=np.full(9, np.nan)), "is not calibrated: its K is [[nan,")


def test_fault_camera_info_of_absurd_numbers(raw: Faults) -> None:
    """Fault: a focal length of 1e308 px.
    Sees: WARN "... has fx=1e+308 ... expected 0.05 to 1000 times the size"; others go on.
    Recovers: by itself with a sound camera_info.
    """
    k = SIDE.K.copy()
    k[0, 0] = 1e308
    raw.shows(changed_info(k=k.ravel()), "has fx=1e+308, fy=150 px at 160 x 120 px, expected")


def test_fault_distortion_model_unknown(raw: Faults) -> None:
    """Fault: camera_info names a distortion model that nobody knows.
    Sees: WARN "... has distortion model 'division', expected one of ..."; others go on.
    Recovers: by itself with a known model.
    """
    raw.shows(changed_info(distortion_model="division"), "has distortion model 'division', expected one of plumb_bob")


def test_fault_distortion_of_nan(raw: Faults) -> None:
    """Fault: D holds NaN.
    Sees: WARN "camera 'side': distortion [nan, ...] must be finite"; others go on.
    Recovers: by itself with a sound camera_info.
    """
    raw.shows(changed_info(d=array.array("d", [np.nan] * 5)), "camera 'side': distortion [nan,")


def test_fault_distortion_empty(raw: Faults) -> None:
    """Fault: D is empty.
    Sees: the camera is used as one without distortion; calibration_hash changes.
    Recovers: by itself with the coefficients.
    """
    before = raw.three_cameras("poses").calibration_hash
    raw.begin(described(replace(SIDE, distortion=np.zeros(0))))
    poses = raw.graph.controller.poses
    raw.graph.play_until(lambda: poses[-1].calibration_hash != before, "another calibration")
    pose = raw.graph.poses_after(1)[-1]
    assert list(pose.camera_names) == list(RIG.names)
    assert error_mm(pose, IN_WORLD) < 50.0


def test_fault_size_differs(raw: Faults) -> None:
    """Fault: camera_info is for another image size.
    Sees: WARN "camera 'side' ... image is 160 x 120 px, its calibration is for 320 x 240 px"; others go on.
    Recovers: by itself when the two agree.
    """
    words = "image is 160 x 120 px, its calibration is for 320 x 240 px"
    raw.shows(changed_info(width=320, height=240), words)


def test_fault_size_of_zero(raw: Faults) -> None:
    """Fault: camera_info says 0 x 0 px.
    Sees: WARN "... says its images are 0 x 0 px, expected the sensor's size"; others go on.
    Recovers: by itself with the size.
    """
    raw.shows(changed_info(width=0, height=0), "says its images are 0 x 0 px")


def test_fault_binned(raw: Faults) -> None:
    """Fault: a camera is set to binning while running, its camera_info still gives the sensor's size (REP-104).
    Sees: nothing: the poses stay true.
    Recovers: nothing to recover.
    """
    raw.begin(described(SIDE.resized((320, 240)), binning_x=2, binning_y=2))
    raw.three_cameras("the binned camera's images are used")


def test_fault_binning_told_but_not_done(raw: Faults) -> None:
    """Fault: camera_info tells of binning, but the images are whole.
    Sees: WARN "image is 160 x 120 px, its calibration is for 80 x 60 px"; others go on.
    Recovers: by itself when the two agree.
    """
    words = "image is 160 x 120 px, its calibration is for 80 x 60 px"
    raw.shows(changed_info(binning_x=2, binning_y=2), words)


def test_fault_region_of_interest(raw: Faults) -> None:
    """Fault: a camera is set to a region of interest while running.
    Sees: nothing: the poses stay true.
    Recovers: nothing to recover.
    """
    K = SIDE.K.copy()
    K[:2, 2] += (40, 30)

    def cut(image: Any, info: Any) -> None:
        described(replace(SIDE, K=K, size_wh=(240, 180)))(image, info)
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 40, 30, 160, 120

    raw.begin(cut)
    raw.three_cameras("the cut camera's images are used")


def test_fault_region_of_interest_beyond_the_sensor(raw: Faults) -> None:
    """Fault: a region of interest that lies beyond the sensor.
    Sees: WARN "... has a region of interest of 160 x 120 px at (40, 30), beyond its 160 x 120 px"; others go on.
    Recovers: by itself with a sound camera_info.
    """

    def beyond(image: Any, info: Any) -> None:
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 40, 30, 160, 120

    raw.shows(beyond, "has a region of interest of 160 x 120 px at (40, 30), beyond its 160 x 120 px")


def test_fault_intrinsics_change(raw: Faults) -> None:
    """Fault: a camera zooms while people are followed.
    Sees: calibration_hash changes with the first zoomed image; the poses stay true under the same id.
    Recovers: nothing to recover.
    """
    cameras, detector = raw.graph.cameras, raw.graph.node._detector
    before = raw.three_cameras("poses")
    zoomed = Rig((*RIG.cameras[:2], replace(SIDE, K=np.diag([1.3, 1.3, 1.0]) @ SIDE.K)), "world")
    cameras.rig = detector.rig = zoomed
    try:
        poses = raw.graph.controller.poses
        raw.graph.play_until(lambda: poses[-1].calibration_hash == zoomed.calibration_hash, "the zoomed calibration")
        raw.graph.poses_after(3)
        after = raw.three_cameras("true poses")
        assert {one.id for one in after.people} == {one.id for one in before.people}
    finally:
        cameras.rig = detector.rig = RIG


def test_fault_camera_info_stops(raw: Faults) -> None:
    """Fault: a driver stops sending camera_info while images go on.
    Sees: camera_info/side "newest camera_info: few have an image's stamp" in /diagnostics; the newest one holds.
    Recovers: by itself; "exact stamps" again.
    """
    one = raw.graph
    one.cameras.without_info = {"side"}
    try:
        one.play_until(lambda: "newest" in one.controller.diagnosis.get("camera_info/side", ""), "pairing is told")
        raw.three_cameras("the camera is used without camera_info")
    finally:
        one.cameras.without_info = set()
    one.play_until(lambda: one.controller.diagnosis["camera_info/side"] == "exact stamps", "exact stamps again")


# -- images ------------------------------------------------------------------------------------------------


def changed_image(**fields: Any) -> Spoil:
    return lambda image, info: [setattr(image, name, value) for name, value in fields.items()] and None


def recoded(image: Any, encoding: str, count: int) -> None:
    """The camera's grey in that encoding, each row with 16 bytes behind it."""
    grey = int(np.frombuffer(image.data, np.uint8)[0])
    studio, rows = round(16 + grey * 219 / 255), image.height  # BT.601
    pixels = np.full((rows, image.width * PIXEL_BYTES[encoding]), grey, np.uint8)  # of 16 bits: grey * 257
    if encoding in ("nv12", "nv21"):
        pixels[:] = studio
        pixels = np.vstack([pixels, np.full((rows // 2, image.width), 128, np.uint8)])
    elif encoding in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv"):
        pixels[:] = np.tile([128, studio] if encoding in ("yuv422", "uyvy") else [studio, 128], image.width)
    image.encoding, image.step = encoding, pixels.shape[1] + 16
    # The padding differs, as nothing else does: no camera sends one image twice.
    image.data = np.pad(pixels, ((0, 0), (0, 16)), constant_values=count % 256).tobytes()


def test_fault_encodings_with_padded_rows(raw: Faults) -> None:
    """Fault: a driver changes its encoding while running, through every one that is read, its rows padded.
    Sees: nothing: the poses stay true.
    Recovers: nothing to recover.
    """
    for encoding in PIXEL_BYTES:
        raw.begin(lambda image, info, encoding=encoding: recoded(image, encoding, raw.graph.cameras.sent))
        raw.three_cameras(f"{encoding} is used")


def test_fault_encoding_unknown(raw: Faults) -> None:
    """Fault: a driver sends depth, or any encoding that is not read.
    Sees: WARN "camera 'side' on /side/image_raw: image has encoding '32FC1', expected one of ..."; others go on.
    Recovers: by itself with an encoding that is read.
    """
    raw.shows(changed_image(encoding="32FC1"), "camera 'side' on /side/image_raw: image has encoding '32FC1'")


def test_fault_image_cut(raw: Faults) -> None:
    """Fault: an image has fewer bytes than its header says.
    Sees: WARN "... has 100 bytes, expected 57600: it was cut on its way"; others go on.
    Recovers: by itself with the next whole image.
    """

    def cut(image: Any, info: Any) -> None:
        image.data = image.data[:100]

    raw.shows(cut, "has 100 bytes, expected 57600: it was cut on its way")


def test_fault_step_too_short(raw: Faults) -> None:
    """Fault: a step shorter than a row.
    Sees: WARN "image of 160 px bgr8 has a step of 160 bytes, expected at least 480"; others go on.
    Recovers: by itself with the next sound image.
    """
    raw.shows(changed_image(step=160), "image of 160 px bgr8 has a step of 160 bytes, expected at least 480")


def test_fault_image_without_pixels(raw: Faults) -> None:
    """Fault: an image of 0 x 0 px.
    Sees: WARN "image of 0 x 0 px is empty"; others go on.
    Recovers: by itself with the next sound image.
    """
    raw.shows(changed_image(width=0, height=0, step=0), "image of 0 x 0 px is empty")


def test_fault_header_of_absurd_size(raw: Faults) -> None:
    """Fault: a header that says 4294967295 x 4294967295 px over a small image's data.
    Sees: WARN "image is 4294967295 x 4294967295 px, its calibration is for 160 x 120 px"; no memory is taken.
    Recovers: by itself with the next sound image.
    """
    most = 2**32 - 1
    spoil = changed_image(encoding="mono8", width=most, height=most, step=most)
    raw.shows(spoil, f"image is {most} x {most} px, its calibration is for 160 x 120 px")


def test_fault_odd_width_of_yuv(raw: Faults) -> None:
    """Fault: an odd width in an encoding whose neighbouring pixels share their colour.
    Sees: WARN "image of 159 x 120 px yuv422: 2 x 1 px share their colour there"; others go on.
    Recovers: by itself with the next image of an even width.
    """
    words = "image of 159 x 120 px yuv422: 2 x 1 px share their colour there"
    raw.shows(changed_image(encoding="yuv422", width=159, step=318), words)


def replaced(data: bytes) -> Spoil:
    def spoil(image: Any, info: Any) -> None:
        image.data = data

    return spoil


def test_fault_jpeg_cut(compressed: Faults) -> None:
    """Fault: a JPEG is cut on its way.
    Sees: WARN "... compressed image of format ... cannot be decoded, expected a whole JPEG or PNG"; others go on.
    Recovers: by itself with the next whole one.
    """

    def cut(image: Any, info: Any) -> None:
        image.data = image.data[: len(image.data) - 40]

    compressed.shows(cut, "cannot be decoded, expected a whole JPEG or PNG")


def test_fault_jpeg_of_rubbish(compressed: Faults) -> None:
    """Fault: a compressed image that holds no picture, or nothing.
    Sees: WARN "... with 17 bytes cannot be decoded" on the camera's topic; others go on.
    Recovers: by itself with the next whole one.
    """
    topic = "camera 'side' on /side/image_raw/compressed: "
    compressed.shows(replaced(b"no picture at all"), topic + "compressed image of format 'bgr8; jpeg compressed bgr8'")
    compressed.shows(replaced(b""), "with 0 bytes cannot be decoded")


def test_fault_jpeg_announces_gigabytes(compressed: Faults) -> None:
    """Fault: a JPEG of some hundred bytes announces 65500 x 65500 px.
    Sees: WARN "image is 65500 x 65500 px, its calibration is for 160 x 120 px"; no memory is taken; others go on.
    Recovers: by itself with the next sound one.
    """

    def announce(image: Any, info: Any) -> None:
        data = bytearray(image.data.tobytes())
        frame = data.find(b"\xff\xc0")
        data[frame + 5 : frame + 9] = (65500).to_bytes(2, "big") * 2
        image.data = bytes(data)

    compressed.shows(announce, "image is 65500 x 65500 px, its calibration is for 160 x 120 px")


def test_fault_png_comes_instead_of_jpeg(compressed: Faults) -> None:
    """Fault: a driver changes from JPEG to PNG while running; then the PNG is corrupt.
    Sees: nothing while the PNG is whole; then WARN "... cannot be decoded"; others go on.
    Recovers: by itself with the next whole one.
    """

    def png(image: Any) -> bytes:
        pixels = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
        return bytes(cv2.imencode(".png", pixels)[1])

    compressed.begin(lambda image, info: setattr(image, "data", png(image)))
    compressed.three_cameras("PNGs are used")
    compressed.shows(lambda image, info: setattr(image, "data", png(image)[:60]), "with 60 bytes cannot be decoded")


# -- TF ----------------------------------------------------------------------------------------------------


def framed(frame: str) -> Spoil:
    def spoil(image: Any, info: Any) -> None:
        image.header.frame_id = info.header.frame_id = frame

    return spoil


def test_fault_transform_missing(raw: Faults) -> None:
    """Fault: TF does not know the frame of a camera's images.
    Sees: WARN "TF has no transform from 'lost_optical' to 'world'", with the command that publishes one; others go on.
    Recovers: by itself when TF knows it.
    """
    raw.shows(framed("lost_optical"), "TF has no transform from 'lost_optical' to 'world'")
    assert "static_transform_publisher" in raw.graph.controller.message


def test_fault_frame_id_empty(raw: Faults) -> None:
    """Fault: a driver leaves header.frame_id empty.
    Sees: WARN "camera 'side': its images have an empty header.frame_id"; others go on.
    Recovers: by itself when the driver names the frame.
    """
    raw.shows(framed(""), "camera 'side': its images have an empty header.frame_id")


def test_fault_transform_not_finite(raw: Faults) -> None:
    """Fault: TF carries a transform of NaN and a quaternion of zeros for a camera.
    Sees: ERROR in the log "TF of ... ignored", WARN "TF has no transform from 'broken_optical'"; others go on.
    Recovers: by itself with the first sound transform.
    """

    def broken(image: Any, info: Any) -> None:
        framed("broken_optical")(image, info)
        transform = TransformStamped(child_frame_id="broken_optical", header=image.header)
        transform.header = type(image.header)(stamp=image.header.stamp, frame_id="world")
        transform.transform.translation.x = float("nan")
        raw.broadcaster.sendTransform(transform)
        transform.transform.translation.x, transform.transform.rotation.w = 0.0, 0.0
        raw.broadcaster.sendTransform(transform)

    raw.shows(broken, "TF has no transform from 'broken_optical' to 'world'")


def moving(faults: Faults, sets_late: int) -> Spoil:
    """The camera's frame is dynamic; its transform of a frame set goes out so many sets later."""
    sent: list[int] = []
    place = np.linalg.inv(SIDE.cam_from_world)

    def spoil(image: Any, info: Any) -> None:
        framed("moving_optical")(image, info)
        sent.append(conversions.stamp_to_ns(image.header.stamp))
        if len(sent) > sets_late:
            stamp_ns = sent[-1 - sets_late]
            faults.broadcaster.sendTransform(conversions.transform_to_msg(place, "world", "moving_optical", stamp_ns))

    return spoil


def test_fault_transform_late(raw: Faults) -> None:
    """Fault: a moving camera's transform comes after its image, within tf_wait.
    Sees: nothing: the image waits for it.
    Recovers: nothing to recover.
    """
    raw.begin(moving(raw, sets_late=1))
    raw.three_cameras("late transforms are waited for")


def test_fault_transform_too_late(raw: Faults) -> None:
    """Fault: a moving camera's transforms come later than tf_wait, or stop.
    Sees: WARN "TF has no transform from 'moving_optical' to 'world' (Lookup would require extrapolation into the
    future ...)"; others go on.
    Recovers: by itself when they come in time.
    """
    raw.begin(moving(raw, sets_late=0))
    raw.three_cameras("transforms in time")
    raw.shows(framed("moving_optical"), "extrapolation into the future")


# -- QoS ---------------------------------------------------------------------------------------------------


def test_fault_reliability_differs(raw: Faults) -> None:
    """Fault: images and camera_info come reliable or best effort, controllers listen reliable or best effort.
    Sees: nothing: in all four combinations poses arrive.
    Recovers: nothing to recover.
    """
    one = raw.graph
    cameras, controller = one.cameras, one.controller
    kept = cameras.images["side"], cameras.infos["side"]
    for sends, hears in product(RELIABILITY, RELIABILITY):
        sending, hearing = (QoSProfile(depth=5, reliability=RELIABILITY[one]) for one in (sends, hears))
        cameras.images["side"] = cameras.create_publisher(kept[0].msg_type, "side/image_raw", sending)
        cameras.infos["side"] = cameras.create_publisher(kept[1].msg_type, "side/camera_info", sending)
        heard: list[HumanPose3DArray] = []
        listener = controller.create_subscription(HumanPose3DArray, "/human_pose_3d", heard.append, hearing)
        raw.three_cameras(f"{sends} images are used")
        heard.clear()
        one.play_until(lambda heard=heard: bool(heard), f"{sends} images reach a {hears} controller")
        controller.destroy_subscription(listener)
        for publisher in (cameras.images["side"], cameras.infos["side"]):
            cameras.destroy_publisher(publisher)
    cameras.images["side"], cameras.infos["side"] = kept


def test_fault_keypoints_best_effort() -> None:
    """Fault: a detector of another make publishes its keypoints best effort, where reliable is asked for.
    Sees: ERROR "no keypoints message on /left/keypoints_2d (cameras publishes it; it must be published reliable ...)".
    Recovers: by itself when it publishes reliable.
    """
    with graph(ring("left", "right"), fixed_frame="world", input="keypoints") as one:
        best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        publisher = one.cameras.create_publisher(Keypoints2DArray, "left/keypoints_2d", best_effort)

        def detect(name: str, image: Any, info: Any) -> None:
            if name == "left":
                publisher.publish(Keypoints2DArray(header=image.header))

        one.cameras.alter = detect
        words = "no keypoints message on /left/keypoints_2d"
        one.diagnosis_says(f"{words} (cameras publishes it; it must be published reliable")
        reliable = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        publisher = one.cameras.create_publisher(Keypoints2DArray, "left/keypoints_2d", reliable)
        one.play_until(lambda: words not in one.controller.message, "recovery")
