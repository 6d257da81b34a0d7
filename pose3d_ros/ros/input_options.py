"""Parameters that every node which takes images has: which topics it reads, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pose3d_ros.options import check, option
from pose3d_ros.rigs.camera_info import named_rectified
from pose3d_ros.synchronisation.stamp_window import WINDOW_S


@dataclass(frozen=True)
class InputOptions:
    """Where images and CameraInfo come from, and what kind of images they are."""

    image_topic: str = option(
        "{camera}/image_raw", "topic of each camera's images; {camera} stands for its name", read_only=True
    )
    camera_info_topic: str = option(
        "{camera}/camera_info", "topic of each camera's CameraInfo; {camera} stands for its name", read_only=True
    )
    image_transport: str = option(
        "raw",
        "raw: sensor_msgs/Image; compressed: JPEG or PNG on <image topic>/compressed",
        choices=("raw", "compressed"),
        read_only=True,
    )
    rectified: str = option(
        "auto",
        "true: images are rectified, so CameraInfo's P holds; false: K and D hold; auto: true if every image topic has "
        "the word rect or rectified in its name, as in image_rect_color",
        choices=("auto", "true", "false"),
        read_only=True,
    )
    silent_after_s: float = option(
        1.0,
        "a camera without images for so long is told in /diagnostics, and not waited for",
        unit="s",
        low=0.05,
        high=60.0,
        read_only=True,
    )
    stale_after_s: float = option(
        0.5,
        "/diagnostics says ERROR after so long without an image, or without a result",
        unit="s",
        low=0.1,
        high=60.0,
        read_only=True,
    )
    stamps: str = option(
        "capture",
        "capture: header.stamp is when an image was captured; arrival: the time when it came is used and published in "
        "its place, for cameras whose stamps are of no clock of ours: poses are then older than their age says",
        choices=("capture", "arrival"),
        read_only=True,
    )
    stamp_window_s: float = option(
        WINDOW_S,
        "with stamps: capture an image stamped further from the node's clock, back or ahead, is not used; without a "
        "clock yet (use_sim_time before /clock comes) all are",
        unit="s",
        low=0.05,
        high=60.0,
        read_only=True,
    )
    repeated_images: str = option(
        "drop",
        "drop: an image with the same pixels as the one before under a new stamp is not used, so that a camera that "
        "hangs gives no fresh poses; keep: it is, for a simulation without noise, where nothing may have moved",
        choices=("drop", "keep"),
        read_only=True,
    )
    tf_timeout_s: float = option(
        0.1, "wait this long for a transform of a moving camera to come", unit="s", low=0.0, high=5.0, read_only=True
    )
    device: str = option("auto", "where the networks run: auto, cpu, cuda or cuda:<n>", read_only=True)

    def __post_init__(self) -> None:
        check(self)

    def images_rectified(self, topics: Iterable[str]) -> bool:
        """rectified, with auto decided by the topics as they are after remapping."""
        if self.rectified != "auto":
            return self.rectified == "true"
        return named_rectified(topics)
