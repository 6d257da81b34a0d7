"""Watch a running ROS graph for some seconds: nodes, topics, cameras, TF and /diagnostics.

It publishes nothing and sets nothing: it subscribes, and gets the nodes' parameters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from pose3d_ros.ros.doctor.facts import IMAGES, INFO, KEYPOINTS, CameraFacts, Facts, Machine, NodeFacts, Topic
from pose3d_ros.ros.doctor.graph import ParameterRequest, PassiveNode, senders_on, topics_of
from pose3d_ros.ros.doctor.listening import (
    CameraListener,
    ClockListener,
    DiagnosticsListener,
    InfoListener,
    TransformListener,
)
from pose3d_ros.ros.doctor.package_nodes import candidate_nodes, is_package_node

# Discovery, and diagnostics at 1 Hz; on a busy machine or with many nodes, until no new endpoint appears.
DISCOVERY_S = 2.0
STEADY_S, LONGEST_DISCOVERY_S = 1.0, 10.0
# Discovery waits so much longer where the graph seems empty.
EMPTY_S = 3.0
# Period of the search for new topics of diagnostics, TF and time.
JOIN_S = 0.25
# A node that has not answered by then hangs, or SROS2 denies the request.
ANSWER_S = 5.0
# Limit of cameras where no node selects them: every image costs bandwidth.
MAX_CAMERAS = 8
# Last part of the image topics of drivers and image_proc.
IMAGE_NAMES = {"image_raw", "image", "image_color", "image_rect", "image_rect_color"}

PARAMETERS = ("cameras", "input", "placement", "fixed_frame", "rig_file", "image_topic", "camera_info_topic",
              "image_transport", "rectified", "stamps", "stamp_tolerance_s", "tf_timeout_s", "publish_tf",
              "frame_prefix", "device", "use_sim_time")  # fmt: skip


@contextmanager
def users_graph() -> Iterator[Context]:
    """A context on the graph of this process's ROS settings; Ctrl-C stays Python's."""
    context = Context()
    rclpy.init(args=[], context=context)
    try:
        yield context
    finally:
        rclpy.try_shutdown(context=context)


def observe(
    context: Context,
    *,
    seconds: float = 5.0,
    namespace: str = "",
    machine: Machine | None = None,
    expect_person: bool = False,
    progress: Callable[[float], None] = lambda done_s: None,
) -> Facts:
    """Observe the context's graph for so many seconds.

    namespace limits the nodes, and without a node the cameras, to those below it. progress receives the time passed
    since the start of the discovery.
    """
    node = PassiveNode(f"_pose3d_doctor_{os.getpid()}", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    started_s = time.monotonic()
    clock = ClockListener(node)
    diagnostics, transforms = DiagnosticsListener(node), TransformListener(node, clock)
    joined_s = -JOIN_S
    parameters: dict[str, ParameterRequest] = {}

    def join() -> None:
        nonlocal joined_s
        if time.monotonic() - joined_s >= JOIN_S:
            joined_s = time.monotonic()
            kinds = {topic: kind for topic, (kind, *_) in node.get_topic_names_and_types()}
            for listener in (clock, diagnostics, transforms):
                listener.join(kinds)

    def spin(until_s: float, done: Callable[[], bool] = lambda: False) -> None:
        while (left := until_s - time.monotonic()) > 0 and not done():
            join()
            for one in parameters.values():
                one.done()  # sends the second request once the first is answered
            executor.spin_once(timeout_sec=min(left, 0.1))
            progress(time.monotonic() - started_s)

    try:
        spin(started_s + DISCOVERY_S)
        spin(started_s + LONGEST_DISCOVERY_S, Settled(node))
        topics = topics_of(node)
        candidates = candidate_nodes(topics, diagnostics.products(), node.others())
        names = {name: kind for name, kind in candidates.items() if _within(name, namespace)}
        parameters = {name: node.request_parameters(name, PARAMETERS) for name in names}
        spin(time.monotonic() + ANSWER_S, lambda: all(one.done() for one in parameters.values()))
        reported = diagnostics.products()
        nodes = {
            name: _node(name, kind, answer, diagnostics, topics)
            for name, kind in names.items()
            for answer in [parameters[name].answer()]
            if is_package_node(name, reported, answer)
        }
        listed = [camera for one in nodes.values() for camera in one.cameras]
        unclaimed = () if nodes else _unclaimed_cameras(topics, namespace)
        if not nodes and not unclaimed:  # on a busy machine endpoints are discovered later than their nodes
            spin(time.monotonic() + EMPTY_S, lambda: bool(_unclaimed_cameras(topics_of(node), namespace)))
            topics = topics_of(node)
            unclaimed = _unclaimed_cameras(topics, namespace)
        # Two nodes may share a camera's images, or its camera_info.
        every = (*listed, *unclaimed)
        images = {camera.topic: CameraListener(node, camera, clock) for camera in every if camera.topic}
        infos = {topic: InfoListener(node, topic, topics) for topic in {camera.info_topic for camera in every}}
        for one in (clock, diagnostics, transforms):
            one.begin()
        watched_from_s = time.monotonic()
        spin(watched_from_s + seconds)
        watched_s = time.monotonic() - watched_from_s
        topics = topics_of(node)  # with endpoints that joined meanwhile
        nodes = {name: replace(one, parameters=parameters[name].answer()) for name, one in nodes.items()}
        # A node that only its diagnostics show: it is not configured.
        for name, kind in candidate_nodes({}, diagnostics.products(), node.others()).items():
            if name not in names and _within(name, namespace):
                nodes[name] = replace(_node(name, kind, {}, diagnostics, topics), cameras=())
        by_gid = senders_on(node, {*transforms.topics, *(camera.topic for camera in every if camera.topic)})

        def observed(cameras: tuple[CameraFacts, ...]) -> tuple[CameraFacts, ...]:
            with_images = (images[one.topic].with_images(one, by_gid) if one.topic else one for one in cameras)
            return tuple(infos[one.info_topic].with_info(one) for one in with_images)

        return Facts(
            watched_s=watched_s,
            namespace=namespace,
            domain=str(context.get_domain_id()),
            nodes=tuple(diagnostics.with_diagnostics(one, observed(one.cameras)) for one in nodes.values()),
            other_nodes=tuple(sorted(set(node.others()) - set(nodes))),
            cameras=observed(unclaimed),
            topics=topics,
            edges=transforms.edges(),
            people_frames=transforms.people_frames(nodes, by_gid),
            clock_ticks=clock.ticks,
            clock_moved_s=clock.moved_s,
            machine=machine or Machine(),
            expect_person=expect_person,
        )
    finally:
        executor.shutdown()
        node.destroy_node()


class Settled:
    """Whether the graph has not changed for STEADY_S."""

    def __init__(self, node: PassiveNode) -> None:
        self._node = node
        self._counts: list[object] = []
        self._since_s = 0.0

    def __call__(self) -> bool:
        now_s = time.monotonic()
        topics = self._node.get_topic_names_and_types()
        counts = [(name, self._node.count_publishers(name), self._node.count_subscribers(name)) for name, _ in topics]
        if counts != self._counts:
            self._counts, self._since_s = list(counts), now_s
        return now_s - self._since_s > STEADY_S


def _within(name: str, namespace: str) -> bool:
    return name.startswith(f"{namespace.rstrip('/')}/")


def _node(
    name: str, kind: str, parameters: dict[str, object], diagnostics: DiagnosticsListener, topics: dict[str, Topic]
) -> NodeFacts:
    """A node with the topics of its cameras, before their messages."""
    cameras = parameters.get("cameras")
    cameras = cameras if isinstance(cameras, list) else []
    what = "detector" if kind == KEYPOINTS else "monocular" if len(cameras) == 1 else "multiview"
    by_camera = diagnostics.camera_topics(name)
    for camera in cameras:
        by_camera.setdefault(camera, _topics_by_parameters(name, camera, parameters))
    ends = [one for topic in topics.values() for one in (*topic.publishers, *topic.subscriptions) if one.node == name]
    return NodeFacts(
        name=name,
        kind=what,
        parameters=parameters,
        cameras=tuple(CameraFacts(camera, *names) for camera, names in by_camera.items()),
        here=ends[0].here if ends else None,
    )


def _topics_by_parameters(node: str, camera: str, parameters: dict[str, object]) -> tuple[str, str, str]:
    """Image, camera_info and keypoints topic of a camera before remapping; one of the first and the last is empty."""
    space = node.rpartition("/")[0]

    def full(parameter: str, default: str) -> str:
        topic = str(parameters.get(parameter) or default).replace("{camera}", camera)
        return topic if topic.startswith("/") else f"{space}/{topic}"

    info = full("camera_info_topic", "{camera}/camera_info")
    if parameters.get("input") == "keypoints":
        return "", info, f"{space}/{camera}/keypoints_2d"
    suffix = "/compressed" if parameters.get("image_transport") == "compressed" else ""
    return full("image_topic", "{camera}/image_raw") + suffix, info, ""


def _unclaimed_cameras(topics: dict[str, Topic], namespace: str) -> tuple[CameraFacts, ...]:
    """Cameras on the graph: raw, else compressed, images with a camera_info in the same namespace."""
    cameras: dict[str, CameraFacts] = {}
    for name, topic in sorted(topics.items()):
        raw = name.removesuffix("/compressed")
        above, _, last = raw.rpartition("/")
        kinds = {one.kind for one in topic.publishers}
        info = topics.get(f"{above}/camera_info", Topic())
        if last in IMAGE_NAMES and kinds & set(IMAGES) and _within(name, namespace):
            calibrated = any(one.kind == INFO for one in info.publishers)
            if calibrated or last != "image":
                cameras.setdefault(raw, CameraFacts(above.rpartition("/")[2] or last, name, f"{above}/camera_info"))
    return tuple(cameras.values())[:MAX_CAMERAS]
