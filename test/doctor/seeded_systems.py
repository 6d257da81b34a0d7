"""A healthy system as the doctor sees it, and one system a fault, each with the words that must be said of it.

ROS-free: facts are made by hand. docs/doctor.md is made of what the doctor says of these systems.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from pose3d_ros.ros.doctor.facts import (
    POSES,
    CameraSeen,
    Edge,
    Endpoint,
    Facts,
    ImageSeen,
    Machine,
    NodeSeen,
    Topic,
)

NODE, DRIVER = "/multiview", "/{}_camera"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
T0_NS = 1_700_000_000 * 10**9
STAMPS_NS = tuple(T0_NS + n * 33_333_333 for n in range(150))
SIZE_WH = (640, 480)


def info(**changes: Any) -> SimpleNamespace:
    """A camera_info of 600 px focal length."""
    K = [600.0, 0, 319.5, 0, 600.0, 239.5, 0, 0, 1]
    P = [600.0, 0, 319.5, 0, 0, 600.0, 239.5, 0, 0, 0, 1, 0]
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    given = {"width": 640, "height": 480, "distortion_model": "plumb_bob", "d": [0.0] * 5, "k": K, "p": P,
             "r": list(np.eye(3).ravel()), "binning_x": 0, "binning_y": 0, "roi": roi}  # fmt: skip
    return SimpleNamespace(**{**given, **changes})


def looking_at_person(centre: tuple[float, float, float]) -> Any:
    """world_from_camera (4, 4) of a camera at centre (m) that looks at (0, 0, 1)."""
    forward = np.array([0.0, 0.0, 1.0]) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = centre
    return matrix


def camera(name: str, **changes: Any) -> CameraSeen:
    return replace(
        CameraSeen(
            name,
            f"/{name}/image_raw",
            f"/{name}/camera_info",
            image=ImageSeen(SIZE_WH, f"{name}_optical"),
            info=info(),
            infos=150,
            stamps_ns=STAMPS_NS,
            late_s=(0.02,) * 150,
        ),
        **changes,
    )


NODE_SEEN = NodeSeen(
    name=NODE,
    kind="multiview",
    parameters={"cameras": ["left", "right"], "placement": "auto", "fixed_frame": "world", "stamp_tolerance": 0.01,
                "tf_wait": 0.1, "use_sim_time": False},
    level=0,
    message="running: 29.9 frame sets a second, 1 person",
    values={"placement": "tf", "device": "cuda:0", "rate_hz": "29.90", "people": "1", "input": "images"},
    most_people=1,
    cameras=(camera("left"), camera("right")),
)  # fmt: skip
EDGES = {
    "left": Edge("world", "left_optical", looking_at_person((4.0, -0.75, 1.3))),
    "right": Edge("world", "right_optical", looking_at_person((4.0, 0.75, 1.4))),
}


def topics() -> dict[str, Topic]:
    found = {"/human_pose_3d": Topic((Endpoint(NODE, POSES, "RIHS01_aa"),), (Endpoint("/arm", POSES, "RIHS01_aa"),))}
    for name in ("left", "right"):
        for kind, topic in ((IMAGE, f"/{name}/image_raw"), (INFO, f"/{name}/camera_info")):
            driver = Endpoint(DRIVER.format(name), kind, "RIHS01_bb", reliable=False)
            found[topic] = Topic((driver,), (Endpoint(NODE, kind, "RIHS01_bb", reliable=False),))
    return found


HEALTHY = Facts(
    nodes=(NODE_SEEN,),
    other_nodes=("/arm", "/left_camera", "/right_camera"),
    topics=topics(),
    edges=tuple(EDGES.values()),
    machine=Machine(gpus=("NVIDIA A2",)),
)


def node(**changes: Any) -> Facts:
    """The healthy system with another node."""
    return replace(HEALTHY, nodes=(replace(NODE_SEEN, **changes),))


def values(**changes: str) -> dict[str, str]:
    return {**NODE_SEEN.values, **{key.replace("__", "/"): value for key, value in changes.items()}}


def right(**changes: Any) -> Facts:
    """The healthy system with another right camera."""
    return node(cameras=(camera("left"), camera("right", **changes)))


def both(**changes: Any) -> Facts:
    return node(cameras=(camera("left", **changes), camera("right", **changes)))


def on_topic(name: str, topic: Topic, facts: Facts = HEALTHY) -> Facts:
    return replace(facts, topics={**facts.topics, name: topic})


def right_edge(edge: Edge, *more: Edge) -> Facts:
    return replace(HEALTHY, edges=(EDGES["left"], edge, *more))


def parameters(**changes: Any) -> dict[str, Any]:
    return {**NODE_SEEN.parameters, **changes}


DRIVER_SEEN = HEALTHY.topics["/right/image_raw"].publishers[0]
REAR, WITHOUT_PROFILES = replace(DRIVER_SEEN, node="/rear_camera"), replace(DRIVER_SEEN, profiles=False)
LISTENER = HEALTHY.topics["/right/image_raw"].subscriptions[0]
RIGHT_SILENT = {"stamps_ns": (), "late_s": (), "image": None}
SHIFTED = tuple(stamp + 17_000_000 for stamp in STAMPS_NS)
WITH_BASELINE = info(p=[600.0, 0, 319.5, -72.0, 0, 600.0, 239.5, 0, 0, 0, 1, 0])
INVERTED = Edge("world", "right_optical", np.linalg.inv(EDGES["right"].parent_from_child))
MOVING = replace(EDGES["right"], static=False)
ONE_FRAME = ImageSeen(SIZE_WH, "camera")
CLOCK = Topic((Endpoint("/rosbag2_player", "rosgraph_msgs/msg/Clock"),))

# Check -> (a system with that fault and no other, words that must be said of it).
SEEDED: dict[str, tuple[Facts, str]] = {
    "ros_missing": (
        Facts(machine=Machine(ros_missing="rclpy is not installed for /usr/bin/python3")),
        "rclpy is not installed for /usr/bin/python3",
    ),
    "node_not_running": (
        Facts(other_nodes=("/left_camera", "/right_camera")),
        "no node of pose3d_ros is there; other nodes (2): /left_camera",
    ),
    "node_silent": (
        node(level=None, message="", values={"placement": "tf"}, most_people=None),
        "said nothing on /diagnostics in 5 s",
    ),
    "package_broken": (
        replace(
            HEALTHY,
            machine=Machine(
                broken_packages=(
                    "cv_bridge is installed but broken (ImportError: numpy.core.multiarray failed to import): using "
                    "the stand-in over rosbags-image. To mend it, install your ROS distribution's cv_bridge again",
                )
            ),
        ),
        "cv_bridge is installed but broken (ImportError: numpy.core.multiarray failed to import)",
    ),
    "definitions_differ": (
        on_topic(
            "/human_pose_3d",
            Topic((Endpoint(NODE, POSES, "RIHS01_aa"),), (Endpoint("/arm", POSES, "RIHS01_0d"),)),
        ),
        "two definitions of pose3d_ros/msg/HumanPose3DArray are in use",
    ),
    "wrong_type": (
        on_topic("/right/image_raw", Topic((replace(DRIVER_SEEN, kind=COMPRESSED),), (LISTENER,))),
        "/right_camera publishes sensor_msgs/msg/CompressedImage, /multiview takes sensor_msgs/msg/Image",
    ),
    "qos_mismatch": (
        on_topic("/human_pose_3d", Topic(
            (Endpoint(NODE, POSES),), (Endpoint("/arm", POSES, latched=True),))),
        "/multiview -> /arm: it is published volatile, the subscription asks for transient local",
    ),
    "topic_unpublished": (
        on_topic("/right/image_raw", Topic((), (LISTENER,)),
                 on_topic("/rear/image_raw", Topic((REAR,)), right(**RIGHT_SILENT))),
        "/multiview waits for it, and nobody publishes it",
    ),
    "two_publishers": (
        on_topic("/human_pose_3d", Topic((Endpoint(NODE, POSES), Endpoint("/head/multiview", POSES)))),
        "2 publish it (/head/multiview, /multiview), and their messages mix",
    ),
    "camera_silent": (
        right(**RIGHT_SILENT, infos=0, info=info()),
        "/right_camera publishes it, but no image came in 5 s",
    ),
    "large_images_dropped": (
        on_topic("/right/image_raw", Topic((WITHOUT_PROFILES,), (LISTENER,)), right(**RIGHT_SILENT)),
        "/right_camera publishes it, 150 camera_info came and 0 images: Fast DDS drops messages larger than its shared "
        "memory (512 KiB); its process runs without FASTDDS_DEFAULT_PROFILES_FILE",
    ),
    "camera_info_missing": (
        right(info=None, infos=0),
        "images of camera 'right' come, but no camera_info: /right_camera publishes it and sent none in 5 s",
    ),
    "camera_info_zero": (
        right(info=info(k=[0.0] * 9)),
        "camera 'right' is not calibrated: K of its camera_info has fx=0, fy=0 px, expected both positive",
    ),
    "camera_info_unusable": (
        right(info=info(distortion_model="thin_prism", d=[0.1] * 8)),
        "has distortion model 'thin_prism', expected one of",
    ),
    "size_mismatch": (
        right(image=ImageSeen((1280, 720), "right_optical")),
        "images of camera 'right' are 1280 x 720 px, its camera_info is for 640 x 480 px",
    ),
    "low_rate": (
        both(stamps_ns=STAMPS_NS[::10], late_s=(0.02,) * 15, infos=15),
        "3.0 images a second come, fewer than 5",
    ),
    "sim_time": (
        node(parameters=parameters(use_sim_time=True)),
        "use_sim_time is true, and no /clock came (nobody publishes it)",
    ),
    "stamps_zero": (right(stamps_ns=(0,) * 150), "150 of 150 images carry the stamp 0.000 s and are not used"),
    "stamp_offset": (right(late_s=(3600.02,) * 150), "its images are stamped 3600.0 s old when they arrive"),
    "stamp_spread": (
        right(stamps_ns=SHIFTED),
        "their stamps are 16 ms apart (median, left later), stamp_tolerance is 10 ms",
    ),
    "tf_missing": (
        replace(HEALTHY, edges=(EDGES["left"],)),
        "TF has no transform from 'right_optical' to 'world': TF has left_optical, world",
    ),
    "frames_equal": (
        both(image=ONE_FRAME),
        "images of several cameras carry the same header.frame_id ('camera')",
    ),
    "tf_two_parents": (
        right_edge(EDGES["right"], replace(EDGES["left"], parent="map"), Edge("map", "world")),
        "this frame has 2 parents in TF (map, world)",
    ),
    "tf_late": (
        right_edge(replace(MOVING, late_s=(0.35,) * 50)),
        "this transform comes up to 0.43 s after the images of camera 'right' (10.0 a second), which wait 0.1 s",
    ),
    "tf_inverted": (
        replace(right_edge(INVERTED), nodes=node(most_people=0).nodes),
        "TF looks inverted for right: as given, the image lies on its side or head; turned round it would be upright",
    ),
    "zero_baseline": (
        right_edge(replace(EDGES["left"], child="right_optical")),
        "by TF both stand at one place (0 mm apart)",
    ),
    "gpu_unused": (
        node(values=values(device="cpu")),
        "its networks run on the CPU, and this machine has NVIDIA A2",
    ),
    "no_person": (
        replace(node(most_people=0, values=values(people="0", joints_rejected__uncertain="60")), expect_person=True),
        "it runs, and saw nobody in 5 s; joints were seen and refused: 60 uncertain",
    ),
    "node_says": (
        node(level=1, message="running, but 20% of the images on /left/image_raw are lost"),
        "its own diagnostics: running, but 20% of the images on /left/image_raw are lost",
    ),
}  # fmt: skip
