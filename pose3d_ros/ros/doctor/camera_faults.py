"""Faults of cameras: camera_info, sizes, images that do not arrive, rates and stamps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from pose3d_ros.data.camera_info import MEND, camera_from_msgs
from pose3d_ros.errors import CalibrationError
from pose3d_ros.ros.diagnostics import STALE_S
from pose3d_ros.ros.doctor.facts import CameraSeen, Facts, Finding, NodeSeen
from pose3d_ros.ros.doctor.graph_faults import qos_problem
from pose3d_ros.structures import Floats

# A person who was not seen for 0.2 s is OCCLUDED (tracking.py): slower cameras make everybody flicker.
LOW_HZ = 5.0
# Fast DDS's default shared memory loses all best-effort images of 640x480 and more, and few of the infos beside them;
# so many infos must have come, and less than this share of images.
INFOS_JUDGED, IMAGES_SHARE = 5, 0.2
# Clocks kept by NTP agree within some ms; nothing arrives before it was made.
FUTURE_S = 0.1
# Stamps of a pair that vary less than this are of cameras in step, whose clocks or exposures differ.
STEADY_S = 0.002
# Pairs of stamps before their distance is judged.
STAMPS_JUDGED = 5


def camera_info_missing(facts: Facts) -> Iterator[Finding]:
    """Images come, and no camera_info."""
    for node, camera in facts.cameras_seen():
        senders = facts.topic(camera.info_topic).publishers
        if camera.info is not None or not (senders or camera.stamps_ns):
            continue  # nobody publishes either: topic_unpublished
        if node is not None and node.values.get("placement") == "file":
            continue
        who = ", ".join(sorted({one.node for one in senders}))
        yield Finding(
            camera.info_topic,
            f"images of camera {camera.name!r} come, but no camera_info: "
            + (f"{who} publishes it and sent none in {facts.watched_s:.0f} s" if who else "nobody publishes it"),
            "let the driver publish it with every image (same stamp) or once, latched; without a driver that can: "
            "placement file with rig_file",
        )


def camera_info_zero(facts: Facts) -> Iterator[Finding]:
    """A camera_info without a calibration in it."""
    for node, camera in _calibrated_by_info(facts):
        if why := _not_calibrated(camera, node is not None and node.rectified):
            yield Finding(camera.info_topic, f"camera {camera.name!r} is not calibrated: {why}", MEND)


def camera_info_unusable(facts: Facts) -> Iterator[Finding]:
    """A calibration that cannot be: an unknown lens model, a region beyond the sensor."""
    for node, camera in _calibrated_by_info(facts):
        rectified = node is not None and node.rectified
        if _not_calibrated(camera, rectified):
            continue
        try:
            camera_from_msgs(camera.name, camera.info, np.eye(4), rectified, topic=camera.info_topic)
        except CalibrationError as error:
            yield Finding(camera.info_topic, str(error).removesuffix(f": {MEND}"), MEND)


def size_mismatch(facts: Facts) -> Iterator[Finding]:
    """Images of another size than they were calibrated for."""
    for node, camera in _calibrated_by_info(facts):
        if camera.image is None or _not_calibrated(camera, node is not None and node.rectified):
            continue
        try:
            known = camera_from_msgs(camera.name, camera.info, np.eye(4), node is not None and node.rectified)
        except CalibrationError:
            continue  # camera_info_unusable
        if known.size_wh != camera.image.size_wh:
            (width, height), (w, h) = camera.image.size_wh, known.size_wh
            yield Finding(
                camera.image_topic,
                f"images of camera {camera.name!r} are {width} x {height} px, its camera_info is for {w} x {h} px",
                "calibrate at the size that the driver publishes, or let it fill in binning and roi (REP-104)",
            )


def _calibrated_by_info(facts: Facts) -> Iterator[tuple[NodeSeen | None, CameraSeen]]:
    """Cameras whose camera_info came and is used: not those that a rig file calibrates."""
    for node, camera in facts.cameras_seen():
        if camera.info is not None and not (node is not None and node.values.get("placement") == "file"):
            yield node, camera


def _not_calibrated(camera: CameraSeen, rectified: bool) -> str:
    """What of the camera_info is zero or not a number."""
    letter, numbers = ("P", camera.info.p) if rectified else ("K", camera.info.k)
    fx, fy = float(numbers[0]), float(numbers[5 if rectified else 4])
    if not np.isfinite(np.asarray(numbers, dtype=np.float64)).all() or fx <= 0 or fy <= 0:
        return f"{letter} of its camera_info has fx={fx:g}, fy={fy:g} px, expected both positive"
    if camera.info.width == 0 or camera.info.height == 0:
        return f"its camera_info says {camera.info.width} x {camera.info.height} px"
    return ""


def large_images_dropped(facts: Facts) -> Iterator[Finding]:
    """camera_info arrives, and the images beside it do not."""
    for node, camera in facts.cameras_seen():
        topic = facts.topic(camera.image_topic)
        few = len(camera.stamps_ns) < IMAGES_SHARE * camera.infos
        if not topic.publishers or camera.infos < INFOS_JUDGED or not few:
            continue
        listeners = [one for one in topic.subscriptions if node is not None and one.node == node.name]
        if any(one.kind != topic.publishers[0].kind or qos_problem(topic.publishers[0], one) for one in listeners):
            continue  # told as such
        sender = topic.publishers[0]
        seen = {
            True: "its process has a profile, too small for these images or not read",
            False: "its process runs without FASTDDS_DEFAULT_PROFILES_FILE",
            None: "most likely its process runs without FASTDDS_DEFAULT_PROFILES_FILE",
        }[sender.profiles]
        yield Finding(
            camera.image_topic,
            f"{sender.node} publishes it, {camera.infos} camera_info came and {len(camera.stamps_ns)} images: Fast DDS "
            f"drops messages larger than its shared memory (512 KiB); {seen}",
            "in the driver's terminal, then start it again: export "
            "FASTDDS_DEFAULT_PROFILES_FILE=$(ros2 pkg prefix --share pose3d_ros)/config/fastdds.xml",
        )


def camera_silent(facts: Facts) -> Iterator[Finding]:
    """A driver that is there and sends nothing."""
    for _, camera in facts.cameras_seen():
        if not camera.image_topic or camera.stamps_ns or camera.infos >= INFOS_JUDGED:
            continue
        for sender in facts.topic(camera.image_topic).publishers[:1]:
            yield Finding(
                camera.image_topic,
                f"{sender.node} publishes it, but no image came in {facts.watched_s:.0f} s",
                "look at the driver's terminal and the cable; a driver on another machine: does the network let its "
                "images through?",
            )


def low_rate(facts: Facts) -> Iterator[Finding]:
    """Cameras, or a node, too slow to follow people."""
    for _, camera in facts.cameras_seen():
        if len(camera.stamps_ns) >= 2 and (rate := len(camera.stamps_ns) / facts.watched_s) < LOW_HZ:
            yield Finding(
                camera.image_topic,
                f"{rate:.1f} images a second come, fewer than {LOW_HZ:g}: people are OCCLUDED between them",
                "raise the driver's frame rate, shorten the exposure, or look for the network or USB port that is full",
            )
    for node in facts.nodes:
        rates = [len(camera.stamps_ns) / facts.watched_s for camera in node.cameras]
        rate = float(node.values.get("rate_hz", "nan"))
        if rates and min(rates) >= LOW_HZ and 0 < rate < LOW_HZ:
            yield Finding(
                node.name,
                f"it works off {rate:.1f} frame sets a second of the {min(rates):.1f} that the cameras give",
                "run it on a GPU (device: cuda), with fewer or smaller images, or on a machine with less to do",
            )


def stamps_zero(facts: Facts) -> Iterator[Finding]:
    """Images without a stamp."""
    for _, camera in facts.cameras_seen():
        if zero := sum(stamp == 0 for stamp in camera.stamps_ns):
            yield Finding(
                camera.image_topic,
                f"{zero} of {len(camera.stamps_ns)} images carry the stamp 0.000 s and are not used",
                "let the driver stamp each image with its capture time",
            )


def stamp_offset(facts: Facts) -> Iterator[Finding]:
    """Stamps of another time than now."""
    for _, camera in facts.cameras_seen():
        if not camera.late_s or 0 in camera.stamps_ns:
            continue
        late = float(np.median(camera.late_s))
        if late > STALE_S or late < -FUTURE_S:
            way = f"{late:.1f} s old when they arrive" if late > 0 else f"{-late:.1f} s in the future"
            yield Finding(
                camera.image_topic,
                f"its images are stamped {way}",
                "synchronise the machines' clocks (chrony, PTP); where a bag or a simulation plays: --clock, and "
                "use_sim_time: true for the node",
            )


def stamp_spread(facts: Facts) -> Iterator[Finding]:
    """Cameras whose stamps do not meet within the tolerance."""
    for node in facts.nodes:
        tolerance = float(node.parameters.get("stamp_tolerance", 0.01))
        seen = [one for one in node.cameras if len(one.stamps_ns) >= STAMPS_JUDGED and 0 not in one.stamps_ns]
        for a, b in combinations(seen, 2):
            apart = nearest_s(a.stamps_ns, b.stamps_ns)
            median = float(np.median(apart))
            if abs(median) <= tolerance and float(np.mean(np.abs(apart) > tolerance)) < 0.5:
                continue
            vary = float(np.median(np.abs(apart - median)))
            steady = vary < STEADY_S
            yield Finding(
                f"{a.image_topic} and {b.image_topic}",
                f"their stamps are {1000 * float(np.median(np.abs(apart))):.0f} ms apart (median"
                f"{f', {b.name} later' if steady and median > 0 else f', {a.name} later' if steady else ', varying'}), "
                f"stamp_tolerance is {1000 * tolerance:g} ms: few or no frame sets come of them",
                "they keep step, so synchronise the clocks that stamp them (PTP), or trigger both at once"
                if steady
                else "let one trigger start all exposures; a larger stamp_tolerance costs 1.5 mm a ms of who walks",
            )


def nearest_s(a_ns: tuple[int, ...], b_ns: tuple[int, ...]) -> Floats:
    """For every stamp of a, how much later the nearest one of b is, in s; those of a beyond b's are left out."""
    b = np.sort(np.array(b_ns, dtype=np.int64))
    a = np.array([stamp for stamp in a_ns if b[0] <= stamp <= b[-1]] or list(a_ns), dtype=np.int64)
    at = np.clip(np.searchsorted(b, a), 1, len(b) - 1)
    before, after = b[at - 1] - a, b[at] - a
    return np.where(np.abs(before) < np.abs(after), before, after) * 1e-9
