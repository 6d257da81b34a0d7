"""Look at a running ROS graph for some seconds: who is there, what comes of cameras, TF and /diagnostics.

It publishes nothing and sets nothing: it subscribes, and asks the nodes for their parameters.
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

from pose3d_ros.ros.doctor.facts import IMAGES, INFO, KEYPOINTS, CameraSeen, Facts, Machine, NodeSeen, Topic
from pose3d_ros.ros.doctor.graph import Asked, Onlooker, senders_on, topics_of
from pose3d_ros.ros.doctor.listening import CameraEars, ClockEars, DiagnosticsEars, InfoEars, TransformEars
from pose3d_ros.ros.doctor.ours import is_ours, may_be_ours

# Discovery, and diagnostics that come once a second; on a busy machine, or with many nodes, until nobody new comes.
DISCOVERY_S = 2.0
STEADY_S, LONGEST_DISCOVERY_S = 1.0, 10.0
# A graph on which there seems to be nothing is watched for longer.
EMPTY_S = 3.0
# How often new topics of diagnostics, TF and time are looked for.
JOIN_S = 0.25
# A node that has not answered by then hangs or is another user's, whose parameters cannot be asked for.
ANSWER_S = 5.0
# Cameras that are listened to where no node says which ones matter: every image costs the system its bytes.
MOST_CAMERAS = 8
# The last part of the topics that drivers and image_proc give to images that people may be found in.
IMAGE_NAMES = {"image_raw", "image", "image_color", "image_rect", "image_rect_color"}

PARAMETERS = ("cameras", "input", "placement", "fixed_frame", "rig_file", "image_topic", "camera_info_topic",
              "image_transport", "rectified", "stamps", "stamp_tolerance_s", "tf_timeout_s", "publish_tf",
              "frame_prefix", "device", "use_sim_time")  # fmt: skip


@contextmanager
def users_graph() -> Iterator[Context]:
    """The graph that this process's ROS settings lead to; Ctrl-C stays Python's."""
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
    """What is seen in so many seconds on the context's graph.

    namespace leaves out the nodes elsewhere (and, where there is no node, cameras). progress is told now and then how
    much time has passed of the discovery and the watching together.
    """
    node = Onlooker(f"_pose3d_doctor_{os.getpid()}", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    started_s = time.monotonic()
    clock = ClockEars(node)
    diagnostics, transforms = DiagnosticsEars(node), TransformEars(node, clock)
    joined_s = -JOIN_S
    parameters: dict[str, Asked] = {}

    def join() -> None:
        nonlocal joined_s
        if time.monotonic() - joined_s >= JOIN_S:
            joined_s = time.monotonic()
            kinds = {topic: kind for topic, (kind, *_) in node.get_topic_names_and_types()}
            for ears in (clock, diagnostics, transforms):
                ears.join(kinds)

    def spin(until_s: float, done: Callable[[], bool] = lambda: False) -> None:
        while (left := until_s - time.monotonic()) > 0 and not done():
            join()
            for one in parameters.values():
                one.done()  # the second question follows the first answer
            executor.spin_once(timeout_sec=min(left, 0.1))
            progress(time.monotonic() - started_s)

    try:
        spin(started_s + DISCOVERY_S)
        spin(started_s + LONGEST_DISCOVERY_S, Settled(node))
        topics = topics_of(node)
        ours = may_be_ours(topics, diagnostics.products(), node.others())
        names = {name: kind for name, kind in ours.items() if _within(name, namespace)}
        parameters = {name: node.ask_parameters(name, PARAMETERS) for name in names}
        spin(time.monotonic() + ANSWER_S, lambda: all(one.done() for one in parameters.values()))
        said = diagnostics.products()
        found = {
            name: _node(name, kind, answer, diagnostics, topics)
            for name, kind in names.items()
            for answer in [parameters[name].answer()]
            if is_ours(name, said, answer)
        }
        listed = [camera for one in found.values() for camera in one.cameras]
        loose = () if found else _cameras_of_nobody(topics, namespace)
        if not found and not loose:  # on a busy machine endpoints are heard of later than their nodes
            spin(time.monotonic() + EMPTY_S, lambda: bool(_cameras_of_nobody(topics_of(node), namespace)))
            topics = topics_of(node)
            loose = _cameras_of_nobody(topics, namespace)
        # Two nodes may share a camera's images, or its camera_info.
        ears = {one.topic: CameraEars(node, one, clock) for one in (*listed, *loose) if one.topic}
        infos = {topic: InfoEars(node, topic, topics) for topic in {one.info_topic for one in (*listed, *loose)}}
        for one in (clock, diagnostics, transforms):
            one.begin()
        watched_from_s = time.monotonic()
        spin(watched_from_s + seconds)
        watched_s = time.monotonic() - watched_from_s
        topics = topics_of(node)  # who came meanwhile is heard of too
        found = {name: replace(one, parameters=parameters[name].answer()) for name, one in found.items()}
        # A busy node that nothing but its diagnostics tell of: it is not configured.
        for name, kind in may_be_ours({}, diagnostics.products(), node.others()).items():
            if name not in names and _within(name, namespace):
                found[name] = replace(_node(name, kind, {}, diagnostics, topics), cameras=())
        by_gid = senders_on(node, {*transforms.topics, *(one.topic for one in (*listed, *loose) if one.topic)})

        def seen(cameras: tuple[CameraSeen, ...]) -> tuple[CameraSeen, ...]:
            heard = (ears[one.topic].seen(one, by_gid) if one.topic else one for one in cameras)
            return tuple(infos[one.info_topic].seen(one) for one in heard)

        return Facts(
            watched_s=watched_s,
            namespace=namespace,
            domain=str(context.get_domain_id()),
            nodes=tuple(diagnostics.told(one, seen(one.cameras)) for one in found.values()),
            other_nodes=tuple(sorted(set(node.others()) - set(found))),
            cameras=seen(loose),
            topics=topics,
            edges=transforms.edges(),
            people_frames=transforms.people_frames(found, by_gid),
            clock_ticks=clock.ticks,
            clock_moved_s=clock.moved_s,
            machine=machine or Machine(),
            expect_person=expect_person,
        )
    finally:
        executor.shutdown()
        node.destroy_node()


class Settled:
    """Tells when nobody has come to the graph for STEADY_S."""

    def __init__(self, node: Onlooker) -> None:
        self._node = node
        self._known: list[object] = []
        self._since_s = 0.0

    def __call__(self) -> bool:
        now_s = time.monotonic()
        topics = self._node.get_topic_names_and_types()
        counts = [(name, self._node.count_publishers(name), self._node.count_subscribers(name)) for name, _ in topics]
        if counts != self._known:
            self._known, self._since_s = list(counts), now_s
        return now_s - self._since_s > STEADY_S


def _within(name: str, namespace: str) -> bool:
    return name.startswith(f"{namespace.rstrip('/')}/")


def _node(
    name: str, kind: str, parameters: dict[str, object], diagnostics: DiagnosticsEars, topics: dict[str, Topic]
) -> NodeSeen:
    """A node with the topics of its cameras, which nothing was heard of yet."""
    cameras = parameters.get("cameras")
    cameras = cameras if isinstance(cameras, list) else []
    what = "detector" if kind == KEYPOINTS else "monocular" if len(cameras) == 1 else "multiview"
    by_camera = diagnostics.camera_topics(name)
    for camera in cameras:
        by_camera.setdefault(camera, _topics_by_parameters(name, camera, parameters))
    ends = [one for topic in topics.values() for one in (*topic.publishers, *topic.subscriptions) if one.node == name]
    return NodeSeen(
        name=name,
        kind=what,
        parameters=parameters,
        cameras=tuple(CameraSeen(camera, *found) for camera, found in by_camera.items()),
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


def _cameras_of_nobody(topics: dict[str, Topic], namespace: str) -> tuple[CameraSeen, ...]:
    """Cameras on the graph: images, raw or else compressed, with a camera_info of the same name before it."""
    found: dict[str, CameraSeen] = {}
    for name, topic in sorted(topics.items()):
        raw = name.removesuffix("/compressed")
        above, _, last = raw.rpartition("/")
        kinds = {one.kind for one in topic.publishers}
        beside = topics.get(f"{above}/camera_info", Topic())
        if last in IMAGE_NAMES and kinds & set(IMAGES) and _within(name, namespace):
            infos = any(one.kind == INFO for one in beside.publishers)
            if infos or last != "image":
                found.setdefault(raw, CameraSeen(above.rpartition("/")[2] or last, name, f"{above}/camera_info"))
    return tuple(found.values())[:MOST_CAMERAS]
