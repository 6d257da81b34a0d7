"""A healthy system as the doctor observes it, and one system per fault, each with words its report must contain.

ROS-free: facts are made by hand. docs/doctor.md is generated from the doctor's reports of these systems.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from pose3d_ros.monitoring.exposure import WORDS
from pose3d_ros.rigs.rig_checks import OPTICAL_FROM_BODY
from pose3d_ros.ros.doctor.facts import (
    CLOCK,
    KEYPOINTS,
    POSES,
    TRANSFORMS,
    CameraFacts,
    Edge,
    Endpoint,
    Facts,
    ImageFacts,
    Machine,
    NodeFacts,
    Topic,
)
from pose3d_ros.ros.qos_fit import Qos

BEST_EFFORT, LATCHED = Qos(reliable=False), Qos(latched=True)
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
    fields = {"width": 640, "height": 480, "distortion_model": "plumb_bob", "d": [0.0] * 5, "k": K, "p": P,
             "r": list(np.eye(3).ravel()), "binning_x": 0, "binning_y": 0, "roi": roi,
             "header": SimpleNamespace(frame_id="")}  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def camera_pose(centre: tuple[float, float, float]) -> Any:
    """world_from_camera (4, 4) of a camera at centre (m) that faces (0, 0, 1)."""
    forward = np.array([0.0, 0.0, 1.0]) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = centre
    return matrix


def camera(name: str, **changes: Any) -> CameraFacts:
    return replace(
        CameraFacts(
            name,
            f"/{name}/image_raw",
            f"/{name}/camera_info",
            image=ImageFacts(SIZE_WH, f"{name}_optical"),
            info=info(),
            infos=150,
            stamps_ns=STAMPS_NS,
            late_s=(0.02,) * 150,
        ),
        **changes,
    )


NODE_FACTS = NodeFacts(
    name=NODE,
    kind="multiview",
    parameters={"cameras": ["left", "right"], "placement": "auto", "fixed_frame": "world", "stamp_tolerance_s": 0.01,
                "tf_timeout_s": 0.1, "use_sim_time": False},
    level=0,
    message="running: 29.9 frame sets a second, 1 person",
    values={"placement": "tf", "device": "cuda:0", "rate_hz": "29.90", "people": "1", "input": "images"},
    max_people=1,
    cameras=(camera("left"), camera("right")),
)  # fmt: skip
EDGES = {
    "left": Edge("world", "left_optical", camera_pose((4.0, -0.75, 1.3))),
    "right": Edge("world", "right_optical", camera_pose((4.0, 0.75, 1.4))),
}


def topics() -> dict[str, Topic]:
    found = {"/human_pose_3d": Topic((Endpoint(NODE, POSES, "RIHS01_aa"),), (Endpoint("/arm", POSES, "RIHS01_aa"),))}
    found["/tf"] = Topic((Endpoint(NODE, TRANSFORMS),), (Endpoint(NODE, TRANSFORMS),))
    found["/tf_static"] = Topic(
        (Endpoint("/static_tf", TRANSFORMS, qos=LATCHED),), (Endpoint(NODE, TRANSFORMS, qos=LATCHED),)
    )
    for name in ("left", "right"):
        for kind, topic in ((IMAGE, f"/{name}/image_raw"), (INFO, f"/{name}/camera_info")):
            driver = Endpoint(DRIVER.format(name), kind, "RIHS01_bb", qos=BEST_EFFORT)
            found[topic] = Topic((driver,), (Endpoint(NODE, kind, "RIHS01_bb", qos=BEST_EFFORT),))
    return found


HEALTHY = Facts(
    nodes=(NODE_FACTS,),
    other_nodes=("/arm", "/left_camera", "/right_camera"),
    topics=topics(),
    edges=tuple(EDGES.values()),
    machine=Machine(gpus=("NVIDIA A2",)),
)


def node(**changes: Any) -> Facts:
    """The healthy system with another node."""
    return replace(HEALTHY, nodes=(replace(NODE_FACTS, **changes),))


def values(**changes: str) -> dict[str, str]:
    return {**NODE_FACTS.values, **{key.replace("__", "/"): value for key, value in changes.items()}}


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
    return {**NODE_FACTS.parameters, **changes}


DRIVER_ENDPOINT = HEALTHY.topics["/right/image_raw"].publishers[0]
REAR, WITHOUT_PROFILES = replace(DRIVER_ENDPOINT, node="/rear_camera"), replace(DRIVER_ENDPOINT, profiles=False)
LISTENER = HEALTHY.topics["/right/image_raw"].subscriptions[0]
RIGHT_SILENT = {"stamps_ns": (), "late_s": (), "image": None}
SILENT = {**RIGHT_SILENT, "infos": 0}
SHIFTED = tuple(stamp + 17_000_000 for stamp in STAMPS_NS)
WITH_BASELINE = info(p=[600.0, 0, 319.5, -72.0, 0, 600.0, 239.5, 0, 0, 0, 1, 0])
INVERTED = Edge("world", "right_optical", np.linalg.inv(EDGES["right"].parent_from_child))
MOVING = replace(EDGES["right"], static=False)
ONE_FRAME = ImageFacts(SIZE_WH, "camera")
CLOCK_MESSAGES = Topic((Endpoint("/rosbag2_player", CLOCK),))

# Check -> (a system with only that fault, words its report must contain).
SEEDED: dict[str, tuple[Facts, str]] = {
    "ros_missing": (
        Facts(machine=Machine(ros_missing="rclpy is not installed for /usr/bin/python3")),
        "rclpy is not installed for /usr/bin/python3",
    ),
    "node_not_running": (
        Facts(other_nodes=("/left_camera", "/right_camera")),
        "no pose3d_ros node is running; other nodes (2): /left_camera",
    ),
    "node_silent": (
        node(level=None, message="", values={"placement": "tf"}, max_people=None),
        "it is on the graph, but sent nothing on /diagnostics in 5 s",
    ),
    "package_broken": (
        replace(
            HEALTHY,
            machine=Machine(
                broken_packages=(
                    "cv_bridge is installed but broken (ImportError: numpy.core.multiarray failed to import): using "
                    "the stand-in over rosbags-image. To fix it, install your ROS distribution's cv_bridge again",
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
        on_topic("/right/image_raw", Topic((replace(DRIVER_ENDPOINT, kind=COMPRESSED),), (LISTENER,))),
        "/right_camera publishes sensor_msgs/msg/CompressedImage, /multiview expects sensor_msgs/msg/Image",
    ),
    "qos_mismatch": (
        on_topic("/human_pose_3d", Topic(
            (Endpoint(NODE, POSES),), (Endpoint("/arm", POSES, qos=LATCHED),))),
        "/multiview -> /arm: it is published volatile, the subscription asks for transient local",
    ),
    "topic_unpublished": (
        on_topic("/right/image_raw", Topic((), (LISTENER,)),
                 on_topic("/rear/image_raw", Topic((REAR,)), right(**RIGHT_SILENT))),
        "/multiview subscribes to it, but nothing publishes it",
    ),
    "two_publishers": (
        on_topic("/human_pose_3d", Topic((Endpoint(NODE, POSES), Endpoint("/head/multiview", POSES)))),
        "it has 2 publishers (/head/multiview, /multiview), expected 1: their messages mix",
    ),
    "camera_silent": (
        right(**RIGHT_SILENT, infos=0, info=info()),
        "/right_camera publishes it, but no image arrived in 5 s",
    ),
    "large_images_dropped": (
        on_topic("/right/image_raw", Topic((WITHOUT_PROFILES,), (LISTENER,)), right(**RIGHT_SILENT)),
        "/right_camera publishes it, 150 camera_info but 0 images arrived: its process has no "
        "FASTDDS_DEFAULT_PROFILES_FILE, so Fast DDS drops images over 512 KiB",
    ),
    "camera_info_missing": (
        right(info=None, infos=0),
        "camera 'right' has images but no camera_info: /right_camera sent none in 5 s",
    ),
    "camera_info_zero": (
        right(info=info(k=[0.0] * 9)),
        "camera 'right' (/right/camera_info) is not calibrated: its K has fx=0, fy=0 px, expected both positive",
    ),
    "camera_info_unusable": (
        right(info=info(distortion_model="thin_prism", d=[0.1] * 8)),
        "has distortion model 'thin_prism', expected one of",
    ),
    "size_mismatch": (
        right(image=ImageFacts((1280, 720), "right_optical")),
        "images of camera 'right' are 1280 x 720 px, its camera_info is for 640 x 480 px",
    ),
    "low_rate": (
        both(stamps_ns=STAMPS_NS[::10], late_s=(0.02,) * 15, infos=15),
        "images arrive at 3.0 Hz, expected at least 5 Hz",
    ),
    "sim_time": (
        node(parameters=parameters(use_sim_time=True)),
        "use_sim_time is true, but no /clock arrived (nothing publishes it)",
    ),
    "stamps_zero": (right(stamps_ns=(0,) * 150), "150 of 150 images have the stamp 0.000 s and are not used"),
    "stamp_offset": (
        right(late_s=(3600.02,) * 150),
        "its images are stamped 3600.0 s old when they come",
    ),
    "stamp_spread": (
        right(stamps_ns=SHIFTED),
        "their stamps are 16 ms apart (median, left later), stamp_tolerance_s is 10 ms",
    ),
    "tf_missing": (
        replace(HEALTHY, edges=(EDGES["left"],)),
        "TF has no transform from 'right_optical' to 'world': TF has left_optical, world",
    ),
    "frames_equal": (
        both(image=ONE_FRAME),
        "images of several cameras have the same header.frame_id ('camera')",
    ),
    "tf_two_parents": (
        right_edge(EDGES["right"], replace(EDGES["left"], parent="map"), Edge("map", "world")),
        "this frame has 2 parents in TF (map, world)",
    ),
    "tf_late": (
        right_edge(replace(MOVING, late_s=(0.35,) * 50)),
        "this transform arrives up to 0.43 s after the images of camera 'right' (at 10.0 Hz), expected within",
    ),
    "tf_inverted": (
        replace(right_edge(INVERTED), nodes=node(max_people=0).nodes),
        "TF seems inverted for right: as published, the image lies on its side or upside down; inverted, it is upright",
    ),
    "zero_baseline": (
        right_edge(replace(EDGES["left"], child="right_optical")),
        "by TF both are at one position (0 mm apart)",
    ),
    "gpu_unused": (
        node(values=values(device="cpu")),
        "its networks run on the CPU, but this machine has NVIDIA A2",
    ),
    "no_person": (
        replace(node(max_people=0, values=values(people="0", joints_rejected__uncertain="60")), expect_person=True),
        "it runs, but published no person in 5 s; rejected joints: 60 uncertain",
    ),
    "node_report": (
        node(level=1, message="running, but 20% of the images on /left/image_raw are lost"),
        "it reports: running, but 20% of the images on /left/image_raw are lost",
    ),
}  # fmt: skip


def with_report(facts: Facts, message: str, level: int = 2, **more: str) -> Facts:
    """The system with its node's diagnostics of the fault."""
    reporting = replace(facts.nodes[0], level=level, message=message, values=values(people="0", **more), max_people=0)
    return replace(facts, nodes=(reporting, *facts.nodes[1:]))


def keypoints_best_effort() -> Facts:
    """Detectors of another package publish best effort, the pose node requests reliable."""
    cameras = tuple(
        CameraFacts(
            name, "", f"/{name}/camera_info", f"/{name}/keypoints_2d", ImageFacts(SIZE_WH, f"{name}_optical"),
            info=info(), infos=150, stamps_ns=STAMPS_NS, late_s=(0.06,) * 150,
        )
        for name in ("left", "right")
    )  # fmt: skip
    facts = node(cameras=cameras, parameters=parameters(input="keypoints"))
    for name in ("left", "right"):
        ends = Topic((Endpoint("/their_detector", KEYPOINTS, qos=BEST_EFFORT),), (Endpoint(NODE, KEYPOINTS),))
        facts = on_topic(f"/{name}/keypoints_2d", ends, facts)
    return with_report(facts, "no poses yet: no keypoints message on /left/keypoints_2d", input="keypoints")


def static_tf_volatile() -> Facts:
    """/tf_static is volatile: the node and the doctor, which started later, never receive it."""
    ends = Topic((Endpoint("/their_tf", TRANSFORMS),), (Endpoint(NODE, TRANSFORMS, qos=LATCHED),))
    facts = replace(on_topic("/tf_static", ends), edges=())
    return with_report(facts, "no poses yet: TF has no transform from 'left_optical' to 'world'", placement="auto")


def two_nodes(prefix: str = "", published: bool = True) -> Facts:
    """Two pose nodes on one /tf whose people have the same names."""
    first = replace(NODE_FACTS, parameters=parameters(publish_tf=True, frame_prefix=prefix))
    second = replace(first, name="/robot2/multiview")
    ends = (Endpoint(NODE, TRANSFORMS), Endpoint(second.name, TRANSFORMS))
    frames = {"human_4": (NODE, second.name)} if published else {}
    facts = on_topic("/tf", Topic(ends, ends), replace(HEALTHY, nodes=(first, second), people_frames=frames))
    return on_topic("/tf_static", Topic((), tuple(replace(one, qos=LATCHED) for one in ends)), facts)


BOOT_NS = tuple(stamp - T0_NS + 3600 * 10**9 for stamp in STAMPS_NS)
BODY = Edge("left_link", "left_optical", np.linalg.inv(OPTICAL_FROM_BODY))
LINKS = tuple(Edge("world", f"{name}_link", edge.parent_from_child @ np.linalg.inv(BODY.parent_from_child))
              for name, edge in EDGES.items())  # fmt: skip


def body_frames(*more: Edge) -> Facts:
    """Images with the frame of the camera's body; TF may have the optical one too."""
    cameras = tuple(camera(name, image=ImageFacts(SIZE_WH, f"{name}_link")) for name in ("left", "right"))
    return with_report(replace(node(cameras=cameras), edges=(*LINKS, *more)), "running, but no person has a pose", 1)


def stereo(tx: float) -> Facts:
    """A rectified stereo head whose second P holds this Tx in px m."""
    P = [600.0, 0, 319.5, tx, 0, 600.0, 239.5, 0, 0, 0, 1, 0]
    frame = ImageFacts(SIZE_WH, "head")
    cameras = (camera("left", image=frame), camera("right", image=frame, info=info(p=P)))
    facts = node(cameras=cameras, values=values(placement="projection", people="0"), max_people=0)
    return replace(facts, edges=())


def late(name: str, seconds: float) -> tuple[float, ...]:
    return (seconds,) * len(STAMPS_NS)


IMAGE_FACTS = {name: ImageFacts(SIZE_WH, f"{name}_optical") for name in ("left", "right")}

# Fault -> (the system with all its consequences, the check that must come first, its words).
CAUSES: dict[str, tuple[Facts, str, str]] = {
    "keypoints published best effort": (
        keypoints_best_effort(), "qos_mismatch",
        "/their_detector -> /multiview: it is published best effort, the subscription asks for reliable",
    ),
    "/tf_static is not latched": (
        static_tf_volatile(), "qos_mismatch", "it is published volatile, the subscription asks for transient local",
    ),
    "two nodes publish human_4": (
        two_nodes(), "people_collide", "human_4: 2 nodes publish this frame (/multiview, /robot2/multiview)",
    ),
    "two nodes will publish the same frames": (
        two_nodes(published=False), "people_collide",
        "/tf: /multiview, /robot2/multiview publish people's frames under equal names",
    ),
    "cameras stamp with the time since boot": (
        with_report(both(stamps_ns=BOOT_NS, late_s=late("boot", 1.7e9)), "running, but stamps are old", 1),
        "stamp_offset", "/left/image_raw, /right/image_raw: ",
    ),
    "stamps an hour old": (
        with_report(both(late_s=late("old", 3600.0)), "running, but stamps are old", 1),
        "stamp_offset", "/left/image_raw, /right/image_raw: its images are stamped 3600.0 s old",
    ),
    "one camera's clock is an hour off": (
        with_report(right(stamps_ns=tuple(stamp - 3600 * 10**9 for stamp in STAMPS_NS), late_s=late("right", 3600.0)),
                    "no poses yet: images come, but no two cameras' stamps agree"),
        "stamp_offset", "/right/image_raw: its images are stamped 3600.0 s old",
    ),
    "clocks of two machines 0.3 s apart": (
        # Nine periods: every stamp has a neighbour all the same.
        with_report(right(stamps_ns=tuple(stamp - 299_999_997 for stamp in STAMPS_NS), late_s=late("right", 0.32)),
                    "running: 29.9 frame sets a second, 1 person", 0),
        "clocks_differ",
        "/left/image_raw and /right/image_raw: by their stamps, images of the first are 20 ms old on arrival",
    ),
    "Tx in mm": (stereo(-72_000.0), "rig_implausible", "120"),
    "K of half the resolution": (
        with_report(both(info=info(k=[300.0, 0, 159.5, 0, 300.0, 119.5, 0, 0, 1])), "no poses yet: camera 'left' ..."),
        "camera_info_unusable", "K is of images of about 319 x 239 px",
    ),
    "camera_info names another frame than the images": (
        right(info=info(header=SimpleNamespace(frame_id="right_rectified"))), "info_frame_differs",
        "'right_rectified'",
    ),
    "images carry the body's frame, TF has the optical one": (
        body_frames(BODY, replace(BODY, parent="right_link", child="right_optical")), "body_frame", "'left_optical'",
    ),
    "images carry the body's frame, TF has no optical one": (body_frames(), "body_frame", "'left_link'"),
    "black images": (
        with_report(node(cameras=tuple(camera(name, image=replace(IMAGE_FACTS[name], dark=WORDS["dark"]))
                                       for name in ("left", "right"))), "running, 0 people", 0),
        "images_dark", "nearly black",
    ),
    "a node too slow for its cameras": (
        node(level=1, message="running, but poses are 1.4 s old when they leave", values=values(rate_hz="0.70")),
        "node_report", "it reports: running, but poses are 1.4 s old when they leave",
    ),
    "wrong domain": (
        Facts(domain="3", machine=Machine(elsewhere=("multiview_node (process 71) with ROS_DOMAIN_ID=5 (here 3)",))),
        "node_not_running", "this machine runs multiview_node (process 71) with ROS_DOMAIN_ID=5 (here 3)",
    ),
    "people in two views and none in 3D": (
        with_report(HEALTHY, "running, but people are in view of left, right, none has a pose: 34 of 34 2D people", 1),
        "node_report", "people are in view of left, right, none has a pose",
    ),
    "the world's y points down": (
        node(level=1, message="running, but people stand with their feet up: y of world points down"), "node_report",
        "y of world points down",
    ),
    "a bag is paused": (
        replace(on_topic("/clock", CLOCK_MESSAGES,
                         with_report(node(parameters=parameters(use_sim_time=True),
                                          cameras=tuple(camera(name, **SILENT) for name in ("left", "right"))),
                                     "no poses for 4 s")), clock_ticks=200),
        "sim_time", "200 messages on /clock have the same time",
    ),
    "a bag plays, the node is on this machine's time": (
        with_report(replace(on_topic("/clock", CLOCK_MESSAGES,
                                     both(late_s=late("bag", 9e7), sim_late_s=late("bag", 0.02))), clock_ticks=200),
                    "running, but stamps are old", 1),
        "sim_time", "this node's use_sim_time is false",
    ),
    "a driver without the Fast DDS profile": (
        with_report(on_topic("/right/image_raw", Topic((WITHOUT_PROFILES,), (LISTENER,)), right(**RIGHT_SILENT)),
                    "no poses yet: no image on /right/image_raw"),
        "large_images_dropped", "its process has no FASTDDS_DEFAULT_PROFILES_FILE",
    ),
    "45 % of the images lost, and clocks half a period apart": (
        with_report(node(cameras=(camera("left", stamps_ns=STAMPS_NS[::2], late_s=late("left", 0.02)[::2]),
                                  camera("right", stamps_ns=SHIFTED[::2], late_s=late("right", 0.02)[::2]))),
                    "no poses yet: 45% of the images are lost"),
        "stamp_spread", "their stamps are 17 ms apart",
    ),
    "a node that failed to configure": (
        node(level=2, message="not configured: rig ~/rig.yaml does not exist", values={"state": "unconfigured"},
             max_people=None),
        "node_report", "rig ~/rig.yaml does not exist",
    ),
}  # fmt: skip

INACTIVE = "inactive: it processes no images until `ros2 lifecycle set /multiview activate`"
SEEDED |= {
    "node_inactive": (
        node(level=1, message=INACTIVE, values={"state": "inactive"}, max_people=None, cameras=()), INACTIVE,
    ),
    "people_collide": (two_nodes(), "2 nodes publish this frame (/multiview, /robot2/multiview): it jumps between"),
    "image_unreadable": (
        right(image=replace(IMAGE_FACTS["right"], size_wh=(0, 0), unreadable="the JPEG ends too soon")),
        "an image of camera 'right' cannot be decoded: the JPEG ends too soon",
    ),
    "clocks_differ": (
        right(late_s=late("right", 0.32)),
        "by their stamps, images of the first are 20 ms old on arrival, of the second 320 ms",
    ),
    "info_frame_differs": (CAUSES["camera_info names another frame than the images"][0], "'right_rectified'"),
    "body_frame": (
        replace(body_frames(BODY), nodes=(replace(body_frames().nodes[0], level=0),)),
        "'left_link', the camera's body, whose optical frame is 'left_optical' on TF",
    ),
    "rig_implausible": (stereo(-72_000.0), "120"),
    "images_dark": (
        right(image=replace(IMAGE_FACTS["right"], dark=WORDS["dark"])), "images of camera 'right' are nearly black",
    ),

}  # fmt: skip
# Checks that only give notes.
NOTES = {"node_inactive"}
