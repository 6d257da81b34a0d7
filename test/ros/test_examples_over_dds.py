"""The ROS examples before a person who is known: what they let a robot do, and that old poses stop it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from aged_messages import NOW_NS, message, without_people
from example_scripts import environment, loaded, script
from geometry_msgs.msg import PoseStamped
from known_person import PERIOD_NS, ring, truth
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Float64
from synthetic_cameras import TIMEOUT_S, error_mm, graph, own_context

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.recordings.footage import reference_single
from pose3d_ros.recordings.playback import T0_NS
from pose3d_ros.ros import conversions
from pose3d_ros.ros.harness.processes import free_domain
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import PersonState, Pose3D

SPEED = loaded(4)
PERSON = np.array([1.0, 1.0, 2.0])  # where a_pose has every joint
STD_M = 0.01


def tool_at(distance_m: float) -> np.ndarray:
    return PERSON - [distance_m, 0.0, 0.0]


def lost(pose: Pose3D) -> Pose3D:
    return replace(pose, state=np.array([PersonState.LOST]))


def uncertain(pose: Pose3D) -> Pose3D:
    return replace(pose, covariance=np.tile(0.3**2 * np.eye(3), (1, 17, 1, 1)))


def without_covariance(pose: Pose3D) -> Pose3D:
    return replace(pose, covariance=np.full((1, 17, 3, 3), np.nan))


def without_joints(pose: Pose3D) -> Pose3D:
    nan = np.full_like(pose.xyz, np.nan)
    return replace(pose, xyz=nan, source=np.zeros((1, 17), np.uint8), score=np.zeros((1, 17)))


@pytest.mark.parametrize(
    ("received", "distance_m", "expected"),
    [
        (message(0.0), 0.3, 0.0),
        (message(0.0), 5.0, 1.0),
        # 1 m less 0.15 m of body, 3 standard deviations and 1.6 m/s for 0.4 s, over 1 m/s for 0.25 s
        (message(0.0), 1.0, (1.0 - 0.15 - 3 * STD_M - 0.64) / 0.25),
        (message(0.05), 1.0, (1.0 - 0.15 - 3 * STD_M - 0.72) / 0.25),
        (message(0.05, without_people), 0.0, 1.0),
        (message(0.05, without_people, cameras=""), 5.0, 0.0),
        (message(0.4), 5.0, 0.0),
        (message(0.4, without_people), 5.0, 0.0),
        (message(-1.0), 5.0, 0.0),
        (message(0.05, lost), 5.0, 0.0),
        (message(0.05, uncertain), 1.7, 0.0),
        (message(0.05), 1.7, 1.0),
        (message(0.05, without_covariance), 5.0, 0.0),
        (message(0.05, without_joints), 5.0, 0.0),
    ],
)
def test_distance_age_state_and_covariance_scale_the_speed(
    received: HumanPose3DArray, distance_m: float, expected: float
) -> None:
    assert SPEED.speed_scale(received, NOW_NS, tool_at(distance_m), 1.0) == pytest.approx(expected, abs=1e-3)


def test_speed_is_zero_without_messages(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where ROS time stands still, so that the last message never gets old."""
    node = SPEED.SpeedAndSeparation(context=context, parameter_overrides=[Parameter("tool", value=[5.0, 1.0, 2.0])])
    steady_s = 0.0
    monkeypatch.setattr(node, "get_clock", lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=NOW_NS)))
    monkeypatch.setattr(SPEED, "time", SimpleNamespace(monotonic=lambda: steady_s))
    try:
        node.on_time()
        assert node.scale == 0.0
        node.on_people(message(0.05))
        steady_s = 0.19
        node.on_time()
        assert node.scale == 1.0
        steady_s = 0.21
        node.on_time()
        assert node.scale == 0.0
    finally:
        node.destroy_node()


def test_a_controller_and_a_wrist_target_follow_the_cameras_and_stop_with_them() -> None:
    """One running graph for both nodes; the person is known at every stamp."""
    with graph(ring("left", "right"), fixed_frame="world") as one:
        sim = Parameter("use_sim_time", value=True)
        # This machine may be busy: silence is tested above, here the age of the stamps.
        patient = [sim, Parameter("silent_after_s", value=1e3), Parameter("tool", value=[0.0, 9.0, 1.0])]
        speed = SPEED.SpeedAndSeparation(context=one.cameras.context, parameter_overrides=patient)
        wrist = loaded(5).WristFollower(context=one.cameras.context, parameter_overrides=[sim])
        scales: list[float] = []
        targets: list[PoseStamped] = []
        one.controller.create_subscription(Float64, "speed_scale", lambda msg: scales.append(msg.data), 10)
        ages_s: list[float] = []

        def on_target(msg: PoseStamped) -> None:
            targets.append(msg)
            now_ns = T0_NS + (one.cameras.sent - 1) * PERIOD_NS
            ages_s.append((now_ns - conversions.stamp_to_ns(msg.header.stamp)) * 1e-9)

        one.controller.create_subscription(PoseStamped, "target_pose", on_target, 10)
        for node in (speed, wrist):
            one.executor.add_node(node)
        try:
            one.cameras.publish_transforms()
            one.play_until(lambda: 1.0 in scales and len(targets) >= 5, "full speed and a target")
            for target in targets:
                stamp_ns = conversions.stamp_to_ns(target.header.stamp)
                place = target.pose.position
                expected = truth(stamp_ns)[H36M_17.index("RWrist")] + (0.0, 0.0, 0.2)
                assert np.linalg.norm(np.array([place.x, place.y, place.z]) - expected) < 0.005
                assert target.header.frame_id == "world"
            one.cameras.stopped = set(one.cameras.rig.names)
            one.play_until(lambda: bool(one.controller.aged), "what time makes of the last pose")
            one.play_until(lambda: not one.controller.aged[-1].people, "no person")
            one.play_until(lambda: scales[-1] == 0.0, "a stop")
            before, sent = len(targets), one.cameras.sent
            one.play_until(lambda: one.cameras.sent >= sent + 10, "time that passes")
            assert len(targets) == before
            assert max(ages_s) < 0.3 + 3 * PERIOD_NS * 1e-9  # a target is a frame set or two on its way
            one.cameras.stopped = set()
            one.play_until(lambda: scales[-1] == 1.0 and len(targets) > before, "people again")
        finally:
            for node in (speed, wrist):
                node.destroy_node()


def test_a_recording_is_replayed_as_it_was(tmp_path: Path) -> None:
    module = loaded(6)
    with graph(ring("left", "right"), fixed_frame="world") as one:
        node = Node("recorder", context=one.cameras.context)
        count: list[int] = []
        thread = threading.Thread(target=lambda: count.append(module.record(node, tmp_path / "bag", 3.0, ["left"])))
        one.cameras.publish_transforms()
        one.poses_after(1)
        thread.start()
        one.play_until(lambda: not thread.is_alive(), "the end of the recording")
        thread.join()
        node.destroy_node()
        live = {conversions.stamp_to_ns(msg.header.stamp): msg for msg in one.controller.poses}
    with redirect_stdout(StringIO()) as output:
        messages = module.show(tmp_path / "bag")
    printed = output.getvalue()
    assert len(messages) >= 2
    for msg in messages:
        if msg.camera_names:  # as text: what is not known is NaN, which equals nothing
            there = live[conversions.stamp_to_ns(msg.header.stamp)]
            assert repr(msg) == repr(there)
    assert all(error_mm(msg, np.eye(4)) < 5 for msg in messages if msg.people)
    for topic in ("/human_pose_3d/markers", "/tf", "/tf_static", "/clock", "/left/image_raw", "/left/camera_info"):
        assert re.search(rf"^ +[1-9]\d* {topic} ", printed, re.MULTILINE), printed
    with own_context() as context:
        listener, player = (Node(name, context=context) for name in ("listener", "player"))
        replayed: list[HumanPose3DArray] = []
        listener.create_subscription(HumanPose3DArray, "human_pose_3d", replayed.append, 100)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(listener)
        thread = threading.Thread(target=lambda: count.append(module.replay(player, tmp_path / "bag")))
        thread.start()
        give_up = time.monotonic() + TIMEOUT_S
        while len(replayed) < len(messages) and time.monotonic() < give_up:
            executor.spin_once(timeout_sec=0.1)
        thread.join()
        for node in (listener, player):
            node.destroy_node()
    assert [*map(repr, replayed)] == [*map(repr, messages)]
    assert count[0] == count[1]


def run(number: int, *arguments: str, domain: int) -> subprocess.CompletedProcess[str]:
    """The script as a program, on the sample footage."""
    command = [sys.executable, str(script(number)), *arguments]
    env = {**environment(), "ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=4 * TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the nodes that it started
        output, errors = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def test_the_played_footage_is_answered_on_human_pose_3d(footage: None, weights: None) -> None:
    domain, context = free_domain(), Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node("listener", context=context)
    poses: list[HumanPose3DArray] = []
    node.create_subscription(HumanPose3DArray, "human_pose_3d", poses.append, 100)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ended: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: ended.append(run(2, "--loops", "1", "--frames", "4", domain=domain)))
    thread.start()
    give_up = time.monotonic() + 4 * TIMEOUT_S
    while thread.is_alive() and time.monotonic() < give_up:
        executor.spin_once(timeout_sec=0.1)
    thread.join()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    assert ended[0].returncode == 0, ended[0].stderr
    visible = [msg for msg in poses if msg.people and msg.camera_names]
    assert len(visible) >= 2, ended[0].stderr
    assert {conversions.stamp_to_ns(msg.header.stamp) - T0_NS for msg in visible} <= {
        round(k * 1e9 / 60) for k in range(4)
    }
    pelvis = conversions.pose_from_msg(visible[-1]).xyz[:, H36M_17.index("Pelvis")]
    assert np.linalg.norm(pelvis - hips_of_the_reference(), axis=-1).min() < 0.2


def hips_of_the_reference() -> np.ndarray:
    """(3,) m: the middle of the sample's hips in the first frames."""
    names, xyz = reference_single()
    return np.asarray(xyz[:4, [names.index("RHip"), names.index("LHip")]].mean(axis=(0, 1)))


def test_several_processes_join_their_keypoints(footage: None, weights: None) -> None:
    done = run(11, "--loops", "1", "--frames", "5", domain=free_domain())
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(\d+) poses/s from ([\d.]+) kB/s of keypoints, people \[(.*)\]$", done.stdout, re.MULTILINE)
    assert sum(int(poses) for poses, _, _ in lines) >= 3, done.stdout + done.stderr
    assert "'1'" in lines[-1][2]
    kilobytes = sum(float(size) for _, size, _ in lines)
    assert 0.3 * 2 * 4 < kilobytes < 2.0 * 2 * 5  # of 2 cameras, 5 images each; an image has 6,000 kB
