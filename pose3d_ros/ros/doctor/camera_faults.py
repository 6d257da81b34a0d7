"""Faults of cameras: camera_info, sizes, images that do not arrive, rates and stamps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.camera_info import FIX, camera_from_msgs
from pose3d_ros.rigs.placement import frames_disagree
from pose3d_ros.ros.diagnostics import STALE_S
from pose3d_ros.ros.doctor.facts import CameraFacts, Facts, Finding, NodeFacts
from pose3d_ros.ros.environment import PROFILES_VARIABLE
from pose3d_ros.ros.qos_fit import qos_problem
from pose3d_ros.synchronisation.stamp_distances import Stream, stamp_differences
from pose3d_ros.synchronisation.stamp_window import off_clock_words

# A person not detected for 0.2 s is OCCLUDED (tracking.py): with slower cameras the state of every person flickers.
LOW_HZ = 5.0
# Fast DDS's default shared memory loses all best-effort images of 640x480 and more, but few of their camera_info:
# the check requires so many camera_info, and less than this share of images.
MIN_INFOS, MIN_IMAGE_SHARE = 5, 0.2
# Clocks synchronised by NTP agree within some ms; no message arrives before it is sent.
FUTURE_S = 0.1
# Stamps required before two cameras are compared.
MIN_STAMPS = 5
# Cameras of one model have equal delays; JPEG next to raw images over one network differ by some tens of ms.
APART_S = 0.15


def camera_info_missing(facts: Facts) -> Iterator[Finding]:
    """Images arrive, but no camera_info."""
    for node, camera in facts.all_cameras():
        senders = facts.topic(camera.info_topic).publishers
        if camera.info is not None or not (senders or camera.stamps_ns):
            continue  # neither is published: reported by topic_unpublished
        if node is not None and not node.calibrated_by_info:
            continue
        publishers = ", ".join(sorted({one.node for one in senders}))
        yield Finding(
            camera.info_topic,
            f"camera {camera.name!r} has {camera.plural} but no camera_info: "
            + (f"{publishers} sent none in {facts.watched_s:.0f} s" if publishers else "nothing publishes it"),
            "publish it with every image (same stamp) or once, latched; if the driver cannot: set rig_file",
        )


def camera_info_zero(facts: Facts) -> Iterator[Finding]:
    """A camera_info is not calibrated."""
    for camera, problem in _unusable_infos(facts):
        if "not calibrated" in problem:
            yield Finding(camera.info_topic, *_split_fix(problem))


def camera_info_unusable(facts: Facts) -> Iterator[Finding]:
    """A calibration is impossible: an unknown lens model, a region outside the sensor."""
    for camera, problem in _unusable_infos(facts):
        if "not calibrated" not in problem:
            yield Finding(camera.info_topic, *_split_fix(problem))


def _unusable_infos(facts: Facts) -> Iterator[tuple[CameraFacts, str]]:
    """Cameras whose camera_info is rejected, with the library's error message."""
    for node, camera in _calibrated_by_info(facts):
        try:
            camera_from_msgs(
                camera.name, camera.info, np.eye(4), node is not None and node.rectified, topic=camera.info_topic
            )
        except CalibrationError as error:
            yield camera, str(error)


def _split_fix(problem: str) -> tuple[str, str]:
    """The problem and the fix of an error message that ends in the fix."""
    message, _, fix = problem.rpartition(": ")
    return (message, fix) if message else (problem, FIX)


def info_frame_differs(facts: Facts) -> Iterator[Finding]:
    """camera_info and images have different frames, so their readers disagree."""
    for _, camera in _calibrated_by_info(facts):
        images = camera.image.frame_id if camera.image is not None else ""
        message, _, fix = frames_disagree(camera.name, images, camera.info_frame_id).partition("; ")
        if message:
            yield Finding(camera.info_topic, message, fix)


def size_mismatch(facts: Facts) -> Iterator[Finding]:
    """Images have another size than their calibration."""
    for node, camera in _calibrated_by_info(facts):
        if camera.image is None or 0 in camera.image.size_wh:
            continue
        try:
            calibrated = camera_from_msgs(camera.name, camera.info, np.eye(4), node is not None and node.rectified)
        except CalibrationError:
            continue  # reported by camera_info_zero or camera_info_unusable
        if calibrated.size_wh != camera.image.size_wh:
            (width, height), (w, h) = camera.image.size_wh, calibrated.size_wh
            yield Finding(
                camera.topic,
                f"images of camera {camera.name!r} are {width} x {height} px, its camera_info is for {w} x {h} px",
                "calibrate at the size the driver publishes, or make the driver fill in binning and roi (REP-104)",
            )


def _calibrated_by_info(facts: Facts) -> Iterator[tuple[NodeFacts | None, CameraFacts]]:
    """Cameras whose camera_info arrived and is used: no detector's camera, none that a rig file calibrates."""
    for node, camera in facts.all_cameras():
        if camera.info is not None and (node is None or node.calibrated_by_info):
            yield node, camera


def image_unreadable(facts: Facts) -> Iterator[Finding]:
    """Images cannot be decoded: an unknown encoding, a broken JPEG."""
    for _, camera in facts.all_cameras():
        if camera.image is not None and camera.image.unreadable:
            yield Finding(
                camera.topic,
                f"an image of camera {camera.name!r} cannot be decoded: {camera.image.unreadable}",
                "publish bgr8, rgb8, mono8 or another encoding of sensor_msgs/image_encodings.hpp; for a broken JPEG "
                "check the cable and the network",
            )


def large_images_dropped(facts: Facts) -> Iterator[Finding]:
    """camera_info arrives, but most of the images do not."""
    for node, camera in facts.all_cameras():
        topic = facts.topic(camera.image_topic)
        few = len(camera.stamps_ns) < MIN_IMAGE_SHARE * camera.infos
        if not topic.publishers or camera.infos < MIN_INFOS or not few:
            continue
        listeners = [one for one in topic.subscriptions if node is not None and one.node == node.name]
        sender = topic.publishers[0]
        if any(one.kind != sender.kind or qos_problem(sender.qos, one.qos) for one in listeners):
            continue  # reported by wrong_type or qos_mismatch
        profile = {
            True: "its process has a Fast DDS profile, which may be too small for these images or not loaded",
            False: f"its process has no {PROFILES_VARIABLE}, so Fast DDS drops images over 512 KiB",
            None: "its process may have no Fast DDS profile; without one, images over 512 KiB are dropped",
        }[sender.profiles]
        yield Finding(
            camera.image_topic,
            f"{sender.node} publishes it, {camera.infos} camera_info but {len(camera.stamps_ns)} images arrived: "
            f"{profile}",
            "restart the driver in a terminal with: export "
            f"{PROFILES_VARIABLE}=$(ros2 pkg prefix --share pose3d_ros)/config/fastdds.xml",
        )


def camera_silent(facts: Facts) -> Iterator[Finding]:
    """A driver runs but sends nothing."""
    for _, camera in facts.all_cameras():
        if not camera.topic or camera.stamps_ns or (camera.image_topic and camera.infos >= MIN_INFOS):
            continue
        for sender in facts.topic(camera.topic).publishers[:1]:
            message = "image" if camera.image_topic else "keypoints message"
            yield Finding(
                camera.topic,
                f"{sender.node} publishes it, but no {message} arrived in {facts.watched_s:.0f} s",
                "check that node's terminal, the cable and, if it runs on another machine, the network and firewall",
            )


def low_rate(facts: Facts) -> Iterator[Finding]:
    """Cameras are too slow to track people."""
    for _, camera in facts.all_cameras():
        if len(camera.stamps_ns) >= 2 and (rate := facts.rate_hz(camera)) < LOW_HZ:
            yield Finding(
                camera.topic,
                f"{camera.plural} arrive at {rate:.1f} Hz, expected at least {LOW_HZ:g} Hz: people become OCCLUDED "
                "between them",
                "raise the driver's frame rate, shorten the exposure, or relieve the network or USB port",
            )


def _stamped(facts: Facts) -> Iterator[tuple[NodeFacts | None, CameraFacts]]:
    """Cameras whose stamps are used: not those of a node that uses the arrival time (stamps: arrival)."""
    for node, camera in facts.all_cameras():
        if node is None or node.parameters.get("stamps", "capture") != "arrival":
            yield node, camera


def stamps_zero(facts: Facts) -> Iterator[Finding]:
    """Images have no stamp."""
    for _, camera in _stamped(facts):
        if zero := sum(stamp == 0 for stamp in camera.stamps_ns):
            yield Finding(
                camera.topic,
                f"{zero} of {len(camera.stamps_ns)} {camera.plural} have the stamp 0.000 s and are not used",
                "make the driver stamp each image with its capture time",
            )


def stamp_offset(facts: Facts) -> Iterator[Finding]:
    """Stamps are far from the current time."""
    for node, camera in _stamped(facts):
        late_s = facts.late_s(camera, node)
        if not late_s or 0 in camera.stamps_ns:
            continue
        late = float(np.median(late_s))
        if late > STALE_S or late < -FUTURE_S:
            stamp_ns = camera.stamps_ns[-1]
            yield Finding(
                camera.topic, *off_clock_words(f"its {camera.plural}", stamp_ns, stamp_ns + round(1e9 * late))
            )


def clocks_differ(facts: Facts) -> Iterator[Finding]:
    """Images of one camera are older on arrival than another's: their clocks differ."""
    for node in facts.nodes:
        if node.parameters.get("stamps", "capture") == "arrival":
            continue
        late = {
            camera.topic: float(np.median(late_s))
            for camera in node.cameras
            if len(late_s := facts.late_s(camera, node)) >= MIN_STAMPS and 0 not in camera.stamps_ns
        }
        if len(late) < 2 or not all(-FUTURE_S <= one <= STALE_S for one in late.values()):
            continue  # reported by stamp_offset
        oldest, newest = max(late, key=late.__getitem__), min(late, key=late.__getitem__)
        if late[oldest] - late[newest] > APART_S:
            yield Finding(
                f"{newest} and {oldest}",
                f"by their stamps, images of the first are {1000 * late[newest]:.0f} ms old on arrival, of the second "
                f"{1000 * late[oldest]:.0f} ms: their clocks differ, or the second is delayed",
                "synchronise the clocks (chrony, PTP); if they are, find what delays the second",
            )


def stamp_spread(facts: Facts) -> Iterator[Finding]:
    """Cameras' stamps differ by more than the tolerance."""
    for node in facts.nodes:
        if node.parameters.get("stamps", "capture") == "arrival":
            continue
        tolerance_s = float(node.parameters.get("stamp_tolerance_s", 0.01))
        streams = [Stream(one.name, one.topic, one.stamps_ns) for one in node.cameras if 0 not in one.stamps_ns]
        for a, b, message, fix in stamp_differences(streams, tolerance_s):
            yield Finding(f"{a.topic} and {b.topic}", message, fix)


def images_dark(facts: Facts) -> Iterator[Finding]:
    """Images show nothing: nearly black, or overexposed."""
    for _, camera in facts.all_cameras():
        if camera.image is not None and camera.image.dark:
            exposure, _, fix = camera.image.dark.partition(": ")
            yield Finding(camera.topic, f"images of camera {camera.name!r} are {exposure}", fix)
