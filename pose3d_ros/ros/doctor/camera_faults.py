"""Faults of cameras: camera_info, sizes, images that do not arrive, rates and stamps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.camera_info import FIX, camera_from_msgs
from pose3d_ros.rigs.placement import frames_disagree
from pose3d_ros.ros.diagnostics import STALE_S
from pose3d_ros.ros.doctor.facts import CameraSeen, Facts, Finding, NodeSeen
from pose3d_ros.ros.environment import PROFILES_VARIABLE
from pose3d_ros.ros.qos_fit import qos_problem
from pose3d_ros.synchronisation.stamp_distances import Stream, disagreements
from pose3d_ros.synchronisation.stamp_window import off_clock_words

# A person who was not seen for 0.2 s is OCCLUDED (tracking.py): slower cameras make everybody flicker.
LOW_HZ = 5.0
# Fast DDS's default shared memory loses all best-effort images of 640x480 and more, and few of the infos beside them;
# so many infos must have come, and less than this share of images.
INFOS_JUDGED, IMAGES_SHARE = 5, 0.2
# Clocks kept by NTP agree within some ms; nothing arrives before it was made.
FUTURE_S = 0.1
# Pairs of stamps before their distance is judged.
STAMPS_JUDGED = 5
# Of cameras of one make the images arrive alike; JPEG next to raw images over one network costs some tens of ms.
APART_S = 0.15


def camera_info_missing(facts: Facts) -> Iterator[Finding]:
    """Images come, and no camera_info."""
    for node, camera in facts.cameras_seen():
        senders = facts.topic(camera.info_topic).publishers
        if camera.info is not None or not (senders or camera.stamps_ns):
            continue  # neither is published: topic_unpublished
        if node is not None and not node.calibrated_by_info:
            continue
        who = ", ".join(sorted({one.node for one in senders}))
        yield Finding(
            camera.info_topic,
            f"{camera.plural} of camera {camera.name!r} come, but no camera_info: "
            + (f"{who} publishes it and sent none in {facts.watched_s:.0f} s" if who else "nothing publishes it"),
            "let the driver publish it with every image (same stamp) or once, latched; without a driver that can: "
            "placement file with rig_file",
        )


def camera_info_zero(facts: Facts) -> Iterator[Finding]:
    """A camera_info without a calibration in it."""
    for camera, problem in _refused_infos(facts):
        if "not calibrated" in problem:
            yield Finding(camera.info_topic, *_says_and_fix(problem))


def camera_info_unusable(facts: Facts) -> Iterator[Finding]:
    """A calibration that cannot be: an unknown lens model, a region beyond the sensor."""
    for camera, problem in _refused_infos(facts):
        if "not calibrated" not in problem:
            yield Finding(camera.info_topic, *_says_and_fix(problem))


def _refused_infos(facts: Facts) -> Iterator[tuple[CameraSeen, str]]:
    """Cameras whose camera_info is refused, in the words of what refuses it everywhere."""
    for node, camera in _calibrated_by_info(facts):
        try:
            camera_from_msgs(
                camera.name, camera.info, np.eye(4), node is not None and node.rectified, topic=camera.info_topic
            )
        except CalibrationError as error:
            yield camera, str(error)


def _says_and_fix(problem: str) -> tuple[str, str]:
    """A message that ends in how to fix it, in two."""
    says, _, mend = problem.rpartition(": ")
    return (says, mend) if says else (problem, FIX)


def info_frame_differs(facts: Facts) -> Iterator[Finding]:
    """camera_info names another frame than the images: who reads the one and who the other disagree."""
    for _, camera in _calibrated_by_info(facts):
        images = camera.image.frame_id if camera.image is not None else ""
        says, _, mend = frames_disagree(camera.name, images, camera.info_frame_id).partition("; ")
        if says:
            yield Finding(camera.info_topic, says, mend)


def size_mismatch(facts: Facts) -> Iterator[Finding]:
    """Images of another size than they were calibrated for."""
    for node, camera in _calibrated_by_info(facts):
        if camera.image is None or 0 in camera.image.size_wh:
            continue
        try:
            known = camera_from_msgs(camera.name, camera.info, np.eye(4), node is not None and node.rectified)
        except CalibrationError:
            continue  # camera_info_zero, camera_info_unusable
        if known.size_wh != camera.image.size_wh:
            (width, height), (w, h) = camera.image.size_wh, known.size_wh
            yield Finding(
                camera.topic,
                f"images of camera {camera.name!r} are {width} x {height} px, its camera_info is for {w} x {h} px",
                "calibrate at the size that the driver publishes, or let it fill in binning and roi (REP-104)",
            )


def _calibrated_by_info(facts: Facts) -> Iterator[tuple[NodeSeen | None, CameraSeen]]:
    """Cameras whose camera_info came and is used: neither a detector's, nor those that a rig file calibrates."""
    for node, camera in facts.cameras_seen():
        if camera.info is not None and (node is None or node.calibrated_by_info):
            yield node, camera


def image_unreadable(facts: Facts) -> Iterator[Finding]:
    """Images that cannot be decoded: an unknown encoding, a broken JPEG."""
    for _, camera in facts.cameras_seen():
        if camera.image is not None and camera.image.unreadable:
            yield Finding(
                camera.topic,
                f"an image of camera {camera.name!r} cannot be decoded: {camera.image.unreadable}",
                "let the driver publish bgr8, rgb8 or mono8, or another encoding that ROS names; a broken JPEG: look "
                "at the cable and the network",
            )


def large_images_dropped(facts: Facts) -> Iterator[Finding]:
    """camera_info arrives, and most of the images do not."""
    for node, camera in facts.cameras_seen():
        topic = facts.topic(camera.image_topic)
        few = len(camera.stamps_ns) < IMAGES_SHARE * camera.infos
        if not topic.publishers or camera.infos < INFOS_JUDGED or not few:
            continue
        listeners = [one for one in topic.subscriptions if node is not None and one.node == node.name]
        sender = topic.publishers[0]
        if any(one.kind != sender.kind or qos_problem(sender.qos, one.qos) for one in listeners):
            continue  # wrong_type, qos_mismatch
        profile = {
            True: "its process has a Fast DDS profile, which may be too small for these images or not read",
            False: f"its process runs without {PROFILES_VARIABLE}, and Fast DDS then drops what exceeds 512 KiB",
            None: "whether its process has a Fast DDS profile is not seen; without one what exceeds 512 KiB is dropped",
        }[sender.profiles]
        yield Finding(
            camera.image_topic,
            f"{sender.node} publishes it, {camera.infos} camera_info, {len(camera.stamps_ns)} images came: {profile}",
            "in the driver's terminal, then start it again: export "
            f"{PROFILES_VARIABLE}=$(ros2 pkg prefix --share pose3d_ros)/config/fastdds.xml",
        )


def camera_silent(facts: Facts) -> Iterator[Finding]:
    """A driver that is there and sends nothing."""
    for _, camera in facts.cameras_seen():
        if not camera.topic or camera.stamps_ns or (camera.image_topic and camera.infos >= INFOS_JUDGED):
            continue
        for sender in facts.topic(camera.topic).publishers[:1]:
            one = "image" if camera.image_topic else "keypoints message"
            yield Finding(
                camera.topic,
                f"{sender.node} publishes it, but no {one} came in {facts.watched_s:.0f} s",
                "look at that node's terminal, the cable, and, where it is on another machine, whether the network "
                "lets it through",
            )


def low_rate(facts: Facts) -> Iterator[Finding]:
    """Cameras too slow to follow people."""
    for _, camera in facts.cameras_seen():
        if len(camera.stamps_ns) >= 2 and (rate := facts.rate_hz(camera)) < LOW_HZ:
            yield Finding(
                camera.topic,
                f"{rate:.1f} {camera.plural} a second come, fewer than {LOW_HZ:g}: people are OCCLUDED between them",
                "raise the driver's frame rate, shorten the exposure, or look for a network or USB port that is full",
            )


def node_slow(facts: Facts) -> Iterator[Finding]:
    """A node too slow for its cameras."""
    for node in facts.nodes:
        rates = [facts.rate_hz(camera) for camera in node.cameras]
        rate = float(node.values.get("rate_hz", "nan"))
        if rates and min(rates) >= LOW_HZ and 0 < rate < LOW_HZ:
            yield Finding(
                node.name,
                f"it works off {rate:.1f} frame sets a second of the {min(rates):.1f} that the cameras give",
                "run it on a GPU (device: cuda), with fewer or smaller images, or on a machine with less to do",
            )


def _stamped(facts: Facts) -> Iterator[tuple[NodeSeen | None, CameraSeen]]:
    """Cameras whose stamps are used: not those of a node that takes arrival for capture (stamps: arrival)."""
    for node, camera in facts.cameras_seen():
        if node is None or node.parameters.get("stamps", "capture") != "arrival":
            yield node, camera


def stamps_zero(facts: Facts) -> Iterator[Finding]:
    """Images without a stamp."""
    for _, camera in _stamped(facts):
        if zero := sum(stamp == 0 for stamp in camera.stamps_ns):
            yield Finding(
                camera.topic,
                f"{zero} of {len(camera.stamps_ns)} {camera.plural} carry the stamp 0.000 s and are not used",
                "let the driver stamp each image with its capture time",
            )


def stamp_offset(facts: Facts) -> Iterator[Finding]:
    """Stamps of another time than now."""
    for node, camera in _stamped(facts):
        late_s = facts.late_s(camera, node)
        if not late_s or 0 in camera.stamps_ns:
            continue
        late = float(np.median(late_s))
        if late > STALE_S or late < -FUTURE_S:
            stamp_ns = camera.stamps_ns[-1]
            words = off_clock_words(f"its {camera.plural}", stamp_ns, stamp_ns + round(1e9 * late))
            yield Finding(camera.topic, *words)


def clocks_differ(facts: Facts) -> Iterator[Finding]:
    """Images of one camera are older on arrival than another's: clocks that differ, which rates alone do not show."""
    for node in facts.nodes:
        if node.parameters.get("stamps", "capture") == "arrival":
            continue
        late = {
            camera.topic: float(np.median(late_s))
            for camera in node.cameras
            if len(late_s := facts.late_s(camera, node)) >= STAMPS_JUDGED and 0 not in camera.stamps_ns
        }
        if len(late) < 2 or not all(-FUTURE_S <= one <= STALE_S for one in late.values()):
            continue  # stamp_offset
        oldest, newest = max(late, key=late.__getitem__), min(late, key=late.__getitem__)
        if late[oldest] - late[newest] > APART_S:
            yield Finding(
                f"{newest} and {oldest}",
                f"on arrival images of the first are {1000 * late[newest]:.0f} ms old by their stamps, of the second "
                f"{1000 * late[oldest]:.0f} ms: the clocks that stamp them differ, or one comes later",
                "synchronise the clocks (chrony, PTP); where they are, look at what delays the second",
            )


def stamp_spread(facts: Facts) -> Iterator[Finding]:
    """Cameras whose stamps do not meet within the tolerance."""
    for node in facts.nodes:
        if node.parameters.get("stamps", "capture") == "arrival":
            continue
        tolerance_s = float(node.parameters.get("stamp_tolerance_s", 0.01))
        streams = [Stream(one.name, one.topic, one.stamps_ns) for one in node.cameras if 0 not in one.stamps_ns]
        for a, b, says, mend in disagreements(streams, tolerance_s):
            yield Finding(f"{a.topic} and {b.topic}", says, mend)


def images_dark(facts: Facts) -> Iterator[Finding]:
    """Images that show nothing: nearly black, or overexposed."""
    for _, camera in facts.cameras_seen():
        if camera.image is not None and camera.image.dark:
            what, _, mend = camera.image.dark.partition(": ")
            yield Finding(camera.topic, f"images of camera {camera.name!r} are {what}", mend)
