"""Healthy systems that differ from the plain stereo graph.

ROS-free: facts are made by hand, as `pose3d doctor` observes such graphs.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from seeded_systems import (
    BEST_EFFORT,
    CLOCK_MESSAGES,
    DRIVER_ENDPOINT,
    EDGES,
    HEALTHY,
    IMAGE,
    INFO,
    LISTENER,
    MOVING,
    NODE,
    NODE_FACTS,
    STAMPS_NS,
    WITH_BASELINE,
    camera,
    camera_pose,
    info,
    node,
    on_topic,
    parameters,
    values,
)

from pose3d_ros.ros.doctor.facts import (
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

COMPRESSED = "sensor_msgs/msg/CompressedImage"
MARKERS = "visualization_msgs/msg/MarkerArray"


def stereo_driver() -> Facts:
    """One frame for both cameras, P of a stereo calibration, no TF at all."""
    frame = ImageFacts((640, 480), "head_camera")
    cameras = camera("left", image=frame), camera("right", image=frame, info=WITH_BASELINE)
    return replace(node(cameras=cameras, values=values(placement="projection")), edges=())


def other_package() -> Facts:
    """It requests the same best effort images as reliable, and publishes our Keypoints2DArray."""
    theirs = {
        "/their_detector/keypoints_2d": Topic((Endpoint("/their_detector", KEYPOINTS),)),
        "/left/image_raw": Topic((DRIVER_ENDPOINT,), (LISTENER, Endpoint("/their_detector", IMAGE))),
        "/their_detector/depth": Topic((), (Endpoint("/their_detector", IMAGE),)),
        "/fused_poses": Topic((Endpoint("/their_fusion", POSES), Endpoint("/their_backup", POSES))),
    }
    others = (*HEALTHY.other_nodes, "/their_detector", "/their_fusion", "/their_backup")
    return replace(HEALTHY, topics={**HEALTHY.topics, **theirs}, other_nodes=others)


def rig_file() -> Facts:
    """A rig file replaces camera_info and TF: one camera_info is never published, the other is zero."""
    topics = {name: topic for name, topic in HEALTHY.topics.items() if not name.startswith("/tf")}
    waiting = Endpoint(NODE, INFO, qos=BEST_EFFORT)
    cameras = camera("left", info=None, infos=0), camera("right", info=info(k=[0.0] * 9))
    reported = {key: value for key, value in values().items() if key != "placement"}  # before the first frame set
    facts = node(cameras=cameras, parameters=parameters(rig_file="~/rig.yaml"), values=reported)
    return replace(facts, edges=(), topics={**topics, "/left/camera_info": Topic((), (waiting,))})


def two_namespaces() -> Facts:
    """Two robots with one pose node each on one /tf; the frames of people have the namespace as prefix."""
    nodes, found, edges = [], {}, []
    for robot in ("/robot1", "/robot2"):
        name = f"{robot}/multiview"
        cameras = tuple(
            replace(one, image_topic=f"{robot}{one.image_topic}", info_topic=f"{robot}{one.info_topic}")
            for one in NODE_FACTS.cameras
        )
        prefixed = parameters(frame_prefix="auto", publish_tf=True)
        nodes.append(replace(NODE_FACTS, name=name, cameras=cameras, parameters=prefixed))
        for one in cameras:
            found[one.image_topic] = Topic((DRIVER_ENDPOINT,), (replace(LISTENER, node=name),))
        found[f"{robot}/human_pose_3d"] = Topic((Endpoint(name, POSES),))
    ends = [Endpoint(one.name, TRANSFORMS) for one in nodes]
    found |= {"/tf": Topic(tuple(ends), tuple(ends)), "/tf_static": Topic((), tuple(ends))}
    edges = [replace(edge, topic="/tf_static") for edge in EDGES.values()]
    frames = {"robot1/human_4": ("/robot1/multiview",), "robot2/human_4": ("/robot2/multiview",)}
    return replace(HEALTHY, nodes=tuple(nodes), topics=found, edges=tuple(edges), people_frames=frames)


def compressed() -> Facts:
    """JPEG images; raw ones are published too."""
    found: dict[str, Any] = {}
    for name in ("left", "right"):
        driver, ours = Endpoint(f"/{name}_camera", COMPRESSED), Endpoint(NODE, COMPRESSED, qos=BEST_EFFORT)
        found[f"/{name}/image_raw/compressed"] = Topic((driver,), (ours,))
        found[f"/{name}/image_raw"] = Topic((replace(driver, kind=IMAGE),), ())
    cameras = tuple(replace(one, image_topic=f"{one.image_topic}/compressed") for one in NODE_FACTS.cameras)
    facts = node(cameras=cameras, parameters=parameters(image_transport="compressed"))
    return replace(facts, topics={**HEALTHY.topics, **found})


def best_effort() -> Facts:
    """Cameras send best effort and three of ten images are lost; RViz requests reliable and receives none."""
    rng = np.random.default_rng(3)
    cameras = []
    for name in ("left", "right"):
        kept = tuple(stamp for stamp in STAMPS_NS if rng.random() > 0.3)
        cameras.append(camera(name, stamps_ns=kept, late_s=(0.02,) * len(kept)))
    rviz = Endpoint("/rviz2", IMAGE, qos=Qos())
    return on_topic("/left/image_raw", Topic((DRIVER_ENDPOINT,), (LISTENER, rviz)), node(cameras=tuple(cameras)))


def waiting_for_its_manager(state: str, message: str) -> Facts:
    """A managed node that is not active processes no images; its cameras run."""
    reported = {"use_sim_time": "false", "state": state}
    found = {
        name: Topic(topic.publishers, tuple(one for one in topic.subscriptions if one.node != NODE))
        for name, topic in HEALTHY.topics.items()
    }
    return replace(node(level=1, message=message, values=reported, max_people=None), topics=found)


def bag_playing() -> Facts:
    """A bag of another day at a tenth of its speed, with --clock: 3 images a second of this machine's time."""
    stamps, infos = STAMPS_NS[:15], 15
    cameras = tuple(
        camera(name, stamps_ns=stamps, infos=infos, late_s=(9e7,) * 15, sim_late_s=(0.02,) * 15)
        for name in ("left", "right")
    )
    played = node(cameras=cameras, parameters=parameters(use_sim_time=True), values=values(use_sim_time="true"))
    player = {
        name: Topic(tuple(replace(one, node="/rosbag2_player") for one in topic.publishers), topic.subscriptions)
        for name, topic in HEALTHY.topics.items()
        if name != "/human_pose_3d"
    }
    return replace(played, topics={**player, "/clock": CLOCK_MESSAGES}, clock_ticks=200, clock_moved_s=0.5)


def remapped() -> Facts:
    """Node, cameras and TF of a robot in its namespace: /robot1/tf_static; another robot's tree contradicts it."""
    name = "/robot1/multiview"
    cameras = tuple(
        replace(one, image_topic=f"/robot1{one.image_topic}", info_topic=f"/robot1{one.info_topic}")
        for one in NODE_FACTS.cameras
    )
    found = {
        f"/robot1{topic}": Topic(
            tuple(replace(one, node=name) if one.node == NODE else one for one in ends.publishers),
            tuple(replace(one, node=name) if one.node == NODE else one for one in ends.subscriptions),
        )
        for topic, ends in HEALTHY.topics.items()
    }
    edges = [replace(edge, topic="/robot1/tf_static") for edge in EDGES.values()]
    others = [Edge("map", "left_optical"), Edge("left_optical", "right_optical", topic="/robot2/tf")]
    return replace(
        HEALTHY, nodes=(replace(NODE_FACTS, name=name, cameras=cameras),), topics=found, edges=(*edges, *others)
    )


def several_machines() -> Facts:
    """Detector nodes on this machine with a GPU; the pose node takes their keypoints on a machine without one."""
    detectors = tuple(
        NodeFacts(
            name=f"/{name}_detector",
            kind="detector",
            parameters={"cameras": [name], "use_sim_time": False, "device": "auto"},
            level=0,
            message="running: 29.9 frame sets a second, 1 person",
            values={"device": "cuda:0", "rate_hz": "29.90"},
            max_people=1,
            cameras=(camera(name, info=None, infos=0),),
            here=True,
        )
        for name in ("left", "right")
    )
    cameras = tuple(
        CameraFacts(
            name, "", f"/{name}/camera_info", f"/{name}/keypoints_2d", ImageFacts((640, 480), f"{name}_optical"),
            info=info(), infos=150, stamps_ns=STAMPS_NS, late_s=(0.08,) * 150,
        )
        for name in ("left", "right")
    )  # fmt: skip
    poses = replace(
        NODE_FACTS, parameters=parameters(input="keypoints"), values=values(device="cpu", input="keypoints"),
        cameras=cameras, here=False,
    )  # fmt: skip
    found = dict(HEALTHY.topics)
    for name in ("left", "right"):
        detector = f"/{name}_detector"
        found[f"/{name}/image_raw"] = Topic((DRIVER_ENDPOINT,), (replace(LISTENER, node=detector),))
        found[f"/{name}/keypoints_2d"] = Topic((Endpoint(detector, KEYPOINTS),), (Endpoint(NODE, KEYPOINTS),))
    return replace(HEALTHY, nodes=(*detectors, poses), topics=found)


def detector_without_camera_info() -> Facts:
    """No camera_info for a detector node, which does not need it: the pose node has a rig file."""
    facts = several_machines()
    waiting = {
        f"/{name}/camera_info": Topic((), (Endpoint(f"/{name}_detector", INFO, qos=BEST_EFFORT),))
        for name in ("left", "right")
    }
    return replace(facts, nodes=facts.nodes[:2], topics={**facts.topics, **waiting})


def twelve_cameras() -> Facts:
    """Sixty images a second of each of twelve."""
    names = [f"camera_{n}" for n in range(12)]
    stamps = tuple(STAMPS_NS[0] + n * 16_666_667 for n in range(300))
    cameras = tuple(camera(one, stamps_ns=stamps, late_s=(0.03,) * 300) for one in names)
    around = [(4 * np.cos(n * np.pi / 6), 4 * np.sin(n * np.pi / 6), 1.5) for n in range(12)]
    edges = tuple(Edge("world", f"{one}_optical", camera_pose(at)) for one, at in zip(names, around, strict=True))
    return replace(node(cameras=cameras, parameters=parameters(cameras=names)), edges=edges)


def one_camera() -> Facts:
    """The node for one camera, at the rate of a CPU selected by device: cpu."""
    return node(
        kind="monocular",
        parameters={"camera": "left", "fixed_frame": "", "use_sim_time": False, "device": "cpu"},
        values={"placement": "none", "device": "cpu", "rate_hz": "12.0", "people": "1"},
        cameras=(camera("left"),),
    )


def rep155() -> Facts:
    """People's frames under REP-155 names too; RViz subscribes to markers and TF."""
    found = {
        "/human_pose_3d/markers": Topic((Endpoint(NODE, MARKERS),), (Endpoint("/rviz2", MARKERS),)),
        "/tf": Topic((Endpoint(NODE, TRANSFORMS),), (Endpoint(NODE, TRANSFORMS), Endpoint("/rviz2", TRANSFORMS))),
        "/humans/bodies/tracked": Topic((Endpoint(NODE, "hri_msgs/msg/IdsList"),)),
    }
    frames = {name: (NODE,) for name in ("human_4", "body_4", "human_4_LWrist")}
    return replace(HEALTHY, topics={**HEALTHY.topics, **found}, people_frames=frames)


def stamps_by_arrival() -> Facts:
    """Cameras that stamp with the time since boot, and a node with stamps: arrival."""
    boot = tuple(stamp - STAMPS_NS[0] + 10**12 for stamp in STAMPS_NS)
    cameras = (
        camera("left", stamps_ns=boot, late_s=(1.7e9,) * 150),
        camera("right", stamps_ns=tuple(stamp + 17_000_000 for stamp in boot), late_s=(1.7e9,) * 150),
    )
    return node(cameras=cameras, parameters=parameters(stamps="arrival"), values=values(stamps="arrival"))


def other_camera_infos() -> Facts:
    """An uncalibrated depth camera, and a second node that publishes an equal camera_info."""
    depth = Endpoint("/depth_camera", INFO)
    two = Topic(
        (DRIVER_ENDPOINT, replace(DRIVER_ENDPOINT, node="/info_relay", kind=INFO)), (replace(LISTENER, kind=INFO),)
    )
    two = replace(two, publishers=tuple(replace(one, kind=INFO) for one in two.publishers))
    return on_topic("/depth/camera_info", Topic((depth,)), on_topic("/right/camera_info", two))


def standby_driver() -> Facts:
    """A standby driver sends nothing until the first one fails."""
    two = Topic((DRIVER_ENDPOINT, replace(DRIVER_ENDPOINT, node="/spare_camera")), (LISTENER,))
    cameras = camera("left"), camera("right", senders=("/right_camera",))
    return on_topic("/right/image_raw", two, node(cameras=cameras))


def half_the_rate() -> Facts:
    """Cameras in step, one at 30 and one at 15 images a second."""
    return node(cameras=(camera("left"), camera("right", stamps_ns=STAMPS_NS[::2], late_s=(0.02,) * 75)))


def moving_camera() -> Facts:
    """A camera on an arm, with its transform at 30 Hz."""
    return replace(HEALTHY, edges=(EDGES["left"], replace(MOVING, late_s=(0.02,) * 150)))


def simulation_next_door() -> Facts:
    """A simulation publishes /clock; cameras and node follow this machine's clock."""
    cameras = tuple(camera(name, sim_late_s=(-1.7e9,) * 150) for name in ("left", "right"))
    return replace(on_topic("/clock", CLOCK_MESSAGES, node(cameras=cameras)), clock_ticks=100, clock_moved_s=5.0)


def another_robots_static_tf() -> Facts:
    """A volatile /tf_static that the node neither receives nor needs."""
    volatile = Endpoint("/other_robot", TRANSFORMS)
    topic = HEALTHY.topics["/tf_static"]
    return on_topic("/tf_static", replace(topic, publishers=(*topic.publishers, volatile)))


# Name -> a system of which no fault may be reported.
SYSTEMS: dict[str, Facts] = {
    "plain stereo graph, cameras placed by TF": HEALTHY,
    "stereo driver, placed by P": stereo_driver(),
    "another package's Keypoints2DArray publisher and fusion": other_package(),
    "rig_file is set, camera_info is missing or zero": rig_file(),
    "two pose nodes in two namespaces on one /tf": two_namespaces(),
    "compressed images": compressed(),
    "best effort cameras, 30 % lost, RViz requests reliable": best_effort(),
    "managed node, inactive": waiting_for_its_manager("inactive", "inactive: activate it"),
    "managed node, not configured yet": waiting_for_its_manager("unconfigured", "not configured: configure it"),
    "a bag plays slowly with --clock": bag_playing(),
    "remapped /robot1/tf, topics in a namespace": remapped(),
    "detectors here, pose node elsewhere (input: keypoints)": several_machines(),
    "detectors alone, no camera_info anywhere": detector_without_camera_info(),
    "twelve cameras at 60 Hz": twelve_cameras(),
    "one camera, device: cpu": one_camera(),
    "rep155, RViz subscribes": rep155(),
    "stamps: arrival, cameras on the time since boot": stamps_by_arrival(),
    "other cameras' and a second, equal camera_info": other_camera_infos(),
    "a spare driver that sends nothing": standby_driver(),
    "cameras in step at 30 and 15 Hz": half_the_rate(),
    "a camera on an arm": moving_camera(),
    "a simulation's /clock next to real cameras": simulation_next_door(),
    "another robot's volatile /tf_static": another_robots_static_tf(),
    "images without a frame_id, camera_info has it": node(
        cameras=tuple(
            camera(
                name,
                image=ImageFacts((640, 480), ""),
                info=info(header=SimpleNamespace(frame_id=f"{name}_optical")),
            )
            for name in ("left", "right")
        )
    ),
    "an empty room": node(max_people=0, values=values(people="0")),
    "a recording's poses are played, no node": Facts(
        other_nodes=("/rosbag2_player",), topics={"/human_pose_3d": Topic((Endpoint("/rosbag2_player", POSES),))},
        machine=Machine(),
    ),
}  # fmt: skip
