"""The subscriptions of one camera: its images, or keypoints made of them, each with the camera_info of its stamp."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose3d_ros.estimation.staleness import captured_s
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros.conversions import stamp_to_ns
from pose3d_ros.ros.conversions.poses import MOST_PEOPLE
from pose3d_ros.ros.distribution import SimpleFilter, Subscriber, TimeSynchronizer
from pose3d_ros.ros.options import InputOptions
from pose3d_ros.ros.qos_fit import refused
from pose3d_ros.ros.serialized_images import read_compressed_image, read_image
from pose3d_ros.synchronisation.stamp_checks import UNUSABLE, StampChecks, StampFault, pixel_digest, rate_words
from pose3d_ros.synchronisation.stamp_window import off_clock_words

# Best effort hears reliable publishers too; an image that came late is of no use, so the queue is short.
IMAGE_QOS = QoSProfile(depth=3, reliability=ReliabilityPolicy.BEST_EFFORT)
INFO_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)

# Keypoints are small, and a radio link may lose some of their packets: sent again they are still of use.
KEYPOINTS_QOS = QoSProfile(depth=3, reliability=ReliabilityPolicy.RELIABLE)

# Images and infos that wait for their partner: a driver publishes the two one right after the other.
PAIRING_QUEUE = 5
# Keypoints come as much later than camera_info as detecting and the network take: at 60 Hz this covers a second.
KEYPOINTS_PAIRING_QUEUE = 60
LONGEST_DETECTION_S = 10.0
# A person of 128 joints with covariances takes 3.7 kB; header, names and the like as much as 16 people.
MOST_KEYPOINT_BYTES = (MOST_PEOPLE + 16) * 4096
# So long it is reported that messages were thrown away unread, s.
UNREAD_TOLD_S = 5.0

# So many more images than pairs of one stamp show a driver that stamps them differently, or sends camera_info rarely.
IMAGES_BEFORE_NEWEST = 3
# The count of them ends here, so that few pairs are enough to go back to exact stamps.
MOST_UNPAIRED = 6

# Images that come within one step of a simulation's clock get stamps one after the other.
SAME_TICK_NS = 1_000_000
ARRIVAL = "arrival: poses carry the time when images came, not of their capture, and are older than their age says"

# Cameras that are all silent are reported so much before stale_after_s, for what is due soon is said now
# (node_report.py).
BEFORE_STALE_S = 0.15


@dataclass(frozen=True, eq=False)
class Frame:
    """One image, or its keypoints, as it came, not decoded yet."""

    topic: str
    message: Any  # SerializedImage or SerializedCompressedImage, or Keypoints2DArray
    info: Any  # sensor_msgs/CameraInfo; None with placement by file where none has come
    stamp_ns: int  # of its capture, or with stamps: arrival of its arrival
    arrived_s: float  # monotonic; of the image, also where its keypoints came later
    captured_s: float  # NodeReport.now_s() when the image was captured, by its stamp; never after it came


@dataclass(frozen=True)
class Stream:
    """What a CameraInput takes of its camera apart from camera_info."""

    kind: type[Any]
    topic: str  # not remapped yet
    qos: QoSProfile
    queue: int  # messages that may wait for the other one of their stamp
    what: str  # one of it, in words
    plural: str
    hint: str  # what may be wrong where it is published and nothing comes
    read: Callable[[bytes], Any]  # the message of its bytes; raises InputError or rclpy's errors
    took_s: Callable[[Any], float] = lambda message: 0.0  # since the image arrived where the message was made
    digest: Callable[[Any], int | None] = lambda message: None  # identifies a repeated one; None where nothing does
    most_bytes: float = float("inf")  # of a message; larger ones are not even read


def image_stream(node: Node, name: str, options: InputOptions) -> Stream:
    """The images of a camera, raw or compressed."""
    # The name as it was given goes to the subscription, which remaps it: remapped twice, two topics that were
    # exchanged would be exchanged back. For the compressed one the base is remapped, as image_transport does it.
    topic = options.image_topic.replace("{camera}", name)
    compressed = options.image_transport == "compressed"
    if compressed:
        topic = node.resolve_topic_name(topic) + "/compressed"
    hint = "if it sends any, Fast DDS may drop them: large ones need FASTDDS_DEFAULT_PROFILES_FILE at the publisher"
    kind, read = (CompressedImage, read_compressed_image) if compressed else (Image, read_image)
    keeps = options.repeated_images == "keep"
    digest = _no_digest if keeps else _digest_of_data
    return Stream(kind, topic, IMAGE_QOS, PAIRING_QUEUE, "image", "images", hint, read, digest=digest)


def _digest_of_data(message: Any) -> int | None:
    return pixel_digest(message.data)


def _no_digest(message: Any) -> int | None:
    return None


def keypoint_stream(name: str) -> Stream:
    """What a detector node makes of a camera's images."""
    hint = "do its images come? It says so in its own /diagnostics"
    topic = f"{name}/keypoints_2d"
    what = "keypoints message", "keypoints messages"
    queue = KEYPOINTS_PAIRING_QUEUE
    return Stream(
        Keypoints2DArray, topic, KEYPOINTS_QOS, queue, *what, hint, _keypoints, detection_s,
        most_bytes=MOST_KEYPOINT_BYTES,
    )  # fmt: skip


def _keypoints(message: bytes) -> Any:
    return deserialize_message(message, Keypoints2DArray)


def detection_s(message: Keypoints2DArray) -> float:
    """How long detecting took by the message's own word; 0 where that is not known, or no time that it can have."""
    return message.processing_latency if 0.0 <= message.processing_latency <= LONGEST_DETECTION_S else 0.0


class CameraInput:
    """Subscribes to one camera and hands every usable image, or what stream takes in its place, on as a Frame.

    message_filters pairs image and camera_info by their exact stamp, so that a zoom camera's image never gets the
    camera_info of another moment. Where a driver stamps them differently, or sends a camera_info only now and then,
    the newest one is taken after a few images, and `pairing` says so.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        options: InputOptions,
        *,
        info_needed: bool,
        now_s: Callable[[], float],
        take: Callable[[str, Frame], None],
        stream: Stream | None = None,
    ) -> None:
        self.name = name
        self.stream = stream or image_stream(node, name, options)
        self.pairing = "exact stamps"
        self.images = 0
        self.image_s = 0.0  # monotonic time of the last image
        self.info: CameraInfo | None = None
        self._node = node
        self._info_needed = info_needed
        self._take, self._now_s = take, now_s
        self._unpaired = 0
        self.checks = StampChecks(options.stamp_window_s)
        self._by_arrival, self._arrival_ns = options.stamps == "arrival", 0
        # Stamp in the header -> (stamp to use, captured_s) of images that may be handed on and have not been.
        self._usable: dict[int, tuple[int, float]] = {}
        self._unread, self._unread_s, self._unread_why = 0, float("-inf"), ""
        self._closed = False
        raw = Subscriber(node, self.stream.kind, self.stream.topic, qos_profile=self.stream.qos, raw=True)
        info = Subscriber(node, CameraInfo, options.camera_info_topic.replace("{camera}", name), qos_profile=INFO_QOS)
        self._subscriptions = [raw.sub, info.sub]
        self.topic = raw.sub.topic_name
        self.info_topic = info.sub.topic_name
        self._info_name = options.camera_info_topic.replace("{camera}", name)
        self._latched: Any = None  # a second subscription, where camera_info was published once for all to come
        image = SimpleFilter()
        raw.registerCallback(self._on_bytes, image)
        image.registerCallback(self._on_image)
        info.registerCallback(self._on_info)
        self._pairs = TimeSynchronizer([image, info], self.stream.queue)
        self._pairs.registerCallback(self._on_pair)

    @property
    def waited_for(self) -> list[str]:
        """The topics without which there is no frame."""
        return [self.topic, self.info_topic] if self._info_needed else [self.topic]

    def close(self) -> None:
        """Stop listening; what an executor still holds for it is thrown away when it comes."""
        self._closed = True
        for one in self._subscriptions:
            self._node.destroy_subscription(one)

    def missing(self) -> list[str]:
        """What has not come yet, in words: 'no image on /left/image_raw'."""
        nothing = []
        if self.images == 0:
            nothing.append(f"no {self.stream.what} on {self._described(self._subscriptions[0], self.stream.hint)}")
        if self.info is None and self._info_needed:
            self._hear_latched()
            hint = "it must come with every image, or be latched"
            nothing.append(f"no camera_info on {self._described(self._subscriptions[1], hint)}")
        return nothing

    def silent_s(self) -> float:
        """Seconds since the last image; infinity before the first."""
        return time.monotonic() - self.image_s if self.images else float("inf")

    def _hear_latched(self) -> None:
        """Ask for the camera_info that was published once, transient local, before this node started.

        Only where there is such a publisher: to any other one the request is a fault, which it logs.
        """
        publishers = self._node.get_publishers_info_by_topic(self.info_topic)
        latched = any(one.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in publishers)
        if latched and self._latched is None:
            self._latched = self._node.create_subscription(CameraInfo, self._info_name, self._on_info, LATCHED_QOS)
            self._subscriptions.append(self._latched)

    def _described(self, subscription: Any, hint: str) -> str:
        """The topic, with who publishes it, and why that is not heard, or else what may be wrong."""
        topic = subscription.topic_name
        publishers = self._node.get_publishers_info_by_topic(topic)
        if not publishers:
            return f"{topic} (nothing publishes it)"
        if why := refused(self._node, subscription):
            return f"{topic} ({why})"
        names = ", ".join(sorted({publisher.node_name for publisher in publishers}))
        return f"{topic} ({names} publishes it; {hint})"

    def _on_bytes(self, data: bytes, image: SimpleFilter) -> None:
        """Make a message of its bytes, unless there are more than it can have: 100,000 people would take seconds."""
        if len(data) > self.stream.most_bytes:
            self._not_read(f"larger than {self.stream.most_bytes} bytes ({MOST_PEOPLE} people)")
            return
        try:
            message = self.stream.read(data)
        except Exception as error:  # rclpy's errors have no common type, and one message must not end the node
            self._not_read(f"that cannot be read ({error})")
            return
        image.signalMessage(message)

    def _not_read(self, why: str) -> None:
        self._unread, self._unread_s, self._unread_why = self._unread + 1, time.monotonic(), why

    def unread(self) -> list[str]:
        """That messages were thrown away unread of late, and why, in words."""
        if time.monotonic() - self._unread_s > UNREAD_TOLD_S:
            return []
        return [f"{self._unread} {self.stream.plural} on {self.topic} {self._unread_why} were thrown away unread"]

    def _on_info(self, info: CameraInfo) -> None:
        self.info = info

    def _on_image(self, image: Any) -> None:
        """Count the image; hand it on at once where pairing by stamp is of no use."""
        self.images += 1
        self.image_s = time.monotonic()
        self._check(image)
        self._unpaired = min(self._unpaired + 1, MOST_UNPAIRED)
        if not self._info_needed:
            self._hand_on(image, self.info)
        elif self._unpaired > IMAGES_BEFORE_NEWEST and self.info is not None:
            self.pairing = "newest camera_info: few have an image's stamp"
            self._hand_on(image, self.info)

    def _check(self, image: Any) -> None:
        """Judge its stamp and pixels; message_filters hands it to its pairing whatever comes out."""
        header_ns, now_ns = stamp_to_ns(image.header.stamp), self._node.get_clock().now().nanoseconds
        now_s = self._now_s()
        if self._by_arrival and not now_ns:
            return  # there is no time yet that it could have come at
        # Detection elsewhere took its time after the image came.
        came_ns = max(now_ns - round(1e9 * self.stream.took_s(image)), 0)
        stamp_ns = self._arrival(came_ns) if self._by_arrival else header_ns
        came_ns = min(max(stamp_ns, came_ns), now_ns)
        fault = self.checks.check(stamp_ns, came_ns, self.image_s, self.stream.digest(image))
        if fault not in UNUSABLE:
            self._usable[header_ns] = stamp_ns, captured_s(now_s, now_ns, stamp_ns)
            while len(self._usable) > self.stream.queue + MOST_UNPAIRED:
                del self._usable[next(iter(self._usable))]
        elif fault is not StampFault.DUPLICATE:
            self._usable.pop(header_ns, None)

    def _arrival(self, came_ns: int) -> int:
        """A stamp of the arrival that no image before has, though a simulation's clock moves in steps."""
        if 0 <= self._arrival_ns - came_ns < SAME_TICK_NS:
            came_ns = self._arrival_ns + 1
        self._arrival_ns = came_ns
        return came_ns

    def _on_pair(self, image: Any, info: CameraInfo) -> None:
        self._unpaired = max(self._unpaired - 2, 0)
        if self._unpaired <= IMAGES_BEFORE_NEWEST:
            self.pairing = "exact stamps"
        self._hand_on(image, info)

    def _hand_on(self, image: Any, info: CameraInfo | None) -> None:
        usable = self._usable.pop(stamp_to_ns(image.header.stamp), None)
        if usable is not None and not self._closed:
            arrived_s = time.monotonic() - self.stream.took_s(image)
            self._take(self.name, Frame(self.topic, image, info, usable[0], arrived_s, usable[1]))


def missing_inputs(inputs: Iterable[CameraInput], silent_after_s: float, stale_after_s: float) -> list[str]:
    """What does not come or looks wrong, of all cameras, in words.

    One that is silent is reported after silent_after_s; where all are, that is why the node gets nothing, and they are
    reported in time for stale_after_s.
    """
    words, inputs = [], list(inputs)
    soon_s = stale_after_s - BEFORE_STALE_S
    if min(one.silent_s() for one in inputs) > soon_s:
        silent_after_s = min(silent_after_s, soon_s)
    for one in inputs:
        absent = one.missing()
        words += absent
        if not absent and one.silent_s() > silent_after_s:
            words.append(f"no {one.stream.what} on {one.topic} for {one.silent_s():.1f} s")
        words += one.unread()
        words += one.checks.words(one.topic, one.stream.plural, time.monotonic())
    return [*_off_clock(inputs), *words, *rate_words({one.name: one.checks.rate_hz for one in inputs})]


def _off_clock(inputs: Iterable[CameraInput]) -> list[str]:
    """Cameras whose stamps are of another time than the node's clock, those of one kind in one line."""
    alike: dict[tuple[str, str], tuple[list[str], int, int]] = {}
    for one in inputs:
        if (found := one.checks.off_clock(time.monotonic())) is not None:
            _, fix = off_clock_words("", *found)
            alike.setdefault((one.stream.plural, fix), ([], *found))[0].append(one.topic)
    return [
        ": ".join(off_clock_words(f"{plural} on {', '.join(topics)}", stamp_ns, now_ns))
        for (plural, _), (topics, stamp_ns, now_ns) in alike.items()
    ]


def note_stamps(node: Node, options: InputOptions) -> None:
    """Log once where the arrival stands in for the capture."""
    if options.stamps == "arrival":
        node.get_logger().warning(f"stamps: {ARRIVAL}")


def camera_facts(inputs: Iterable[CameraInput], options: InputOptions) -> dict[str, str]:
    """Topics of every camera as they are after remapping, and rate, loss and faults of its stamps, as key values."""
    inputs = list(inputs)
    stamps = {"stamps": ARRIVAL if options.stamps == "arrival" else options.stamps}
    return (
        stamps
        | {f"topics/{one.name}": f"{one.topic} {one.info_topic}" for one in inputs}
        | {f"stamps/{one.name}": one.checks.facts() for one in inputs}
    )
