"""Exchanged image topics and an inverted transform before a real node over DDS: named in /diagnostics with the fix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from known_person import KnownDetector, grey_of, looking_at, truth
from rclpy.parameter import Parameter
from synthetic_cameras import Cameras, Graph, error_mm, own_context, spun

from pose3d_ros.geometry.projection import project
from pose3d_ros.ros import conversions
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import FrameSet, Keypoints2D, Rig

# Cameras that stand alike towards the person would see about the same when exchanged.
PLACES = {"left": (4.0, -0.75, 1.3), "right": (4.0, 0.75, 1.4), "side": (0.5, 4.0, 2.2)}
RIG = Rig(tuple(looking_at(name, place) for name, place in PLACES.items()), "world")


class WhatImagesShow(KnownDetector):
    """Sees the person as the camera does whose grey an image has, on whatever topic it comes."""

    def __init__(self) -> None:
        super().__init__(RIG)

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        found = {}
        for name, image in frames.images.items():
            taken_by = int(np.argmin([abs(float(image.mean()) - grey_of(n)) for n in range(len(RIG.cameras))]))
            stamp_ns = frames.stamps_ns[name]
            xy = project(RIG.cameras[taken_by], truth(stamp_ns))[None]
            found[name] = Keypoints2D(xy, np.full((1, 17), 0.9), H36M_17, stamp_ns)
        return found


@pytest.fixture(scope="module")
def one() -> Iterator[Graph]:
    with own_context() as context:
        cameras = Cameras(context, RIG)
        given = {"cameras": list(RIG.names), "monocular_fallback": "never", "refine": "none", "fixed_frame": "world",
                 "smoothing": "none", "use_sim_time": True}  # fmt: skip
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        node = PoseNode(WhatImagesShow(), context=context, parameter_overrides=overrides)
        with spun(cameras, node) as running:
            yield running


def exchange(graph: Graph) -> None:
    """The images of left come on the topic of side, under its frame, and the other way round; a second call ends it."""
    images, other = graph.cameras.images, {"left": "side", "side": "left"}
    images["left"], images["side"] = images["side"], images["left"]
    exchanged = graph.cameras.frame_id("left") == "left_optical"
    graph.cameras.frame_id = lambda name: f"{other.get(name, name) if exchanged else name}_optical"


def ends(graph: Graph, words: str) -> None:
    """The words end, and what is published then is true."""
    graph.play_until(lambda: words not in graph.controller.message, f"an end of {words!r}")
    # A person at a wrong place is soon at the right one.
    graph.play_until(
        lambda: bool(graph.controller.poses[-1].people) and error_mm(graph.controller.poses[-1], np.eye(4)) < 1.0,
        "poses that are true",
    )


def test_fault_swapped_topics_over_dds(one: Graph) -> None:
    """Fault: the image topics of two of three cameras are exchanged.
    Sees: ERROR "the images of cameras 'left' and 'side' are swapped: swap their topics".
    Recovers: by itself when each image comes on its own topic.
    """
    one.cameras.publish_transforms()
    exchange(one)
    words = "the images of cameras 'left' and 'side' are swapped: swap their topics"
    one.diagnosis_says(words)
    assert one.controller.level == 2
    assert one.controller.diagnosis["calibration"] == "swapped"
    exchange(one)
    ends(one, words)


def test_fault_inverted_tf_over_dds(one: Graph) -> None:
    """Fault: TF says where the world is before a camera, instead of where the camera is in the world.
    Sees: ERROR "the transform of camera 'side' is inverted: publish the pose of the camera in the fixed frame".
    Recovers: at once with the right transform.
    """
    side = RIG.camera("side")
    one.cameras.publish_transforms("left", "right")
    upside_down = conversions.transform_to_msg(side.cam_from_world, "world", "side_optical", 0)
    one.cameras._static.sendTransform([upside_down])
    words = "the transform of camera 'side' is inverted: publish the pose of the camera"
    one.diagnosis_says(words)
    assert one.controller.level == 2
    one.cameras.publish_transforms()
    ends(one, words)
