"""The player over real DDS: every frame arrives in order, at the pace of its subscriber."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from graph_for_tests import CAMERAS, FPS, FRAMES, FakeMultiview, grey_of, own_context, spinning, write_footage
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

import pose3d_ros
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings.playback import T0_NS, Playback
from pose3d_ros.ros import conversions
from pose3d_ros.ros.harness.player import Player, main
from pose3d_ros.ros.harness.processes import free_domain
from pose3d_ros.ros.harness.recorder import main as record_main


def play(folder, silent_at=(), **parameters):
    """Playback, the fake node after it, clock stamps and static transforms that were published."""
    clocks, transforms = [], []
    with own_context() as context:
        fake = FakeMultiview(context, silent_at)
        fake.create_subscription(Clock, "/clock", clocks.append, 100)
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        fake.create_subscription(TFMessage, "/tf_static", lambda msg: transforms.extend(msg.transforms), latched)
        parameters = [Parameter(name, value=value) for name, value in {"footage": str(folder), **parameters}.items()]
        with spinning(context, fake):
            player = Player(context=context, parameter_overrides=parameters)
            playback = player.play()
            # The last answer may come before the fake node has taken every camera_info.
            give_up = time.monotonic() + 60.0
            while len(fake.infos) < len(CAMERAS) * playback.frame_sets_sent and time.monotonic() < give_up:
                time.sleep(0.01)
            player.destroy_node()
        return playback, fake, clocks, transforms


@pytest.fixture
def folder(tmp_path):
    write_footage(tmp_path)
    return tmp_path


def test_paced_every_frame_of_every_loop_arrives_in_order_with_increasing_stamps(folder):
    playback, fake, clocks, _ = play(folder, loop=2)
    stamps = [T0_NS + round(k * 1e9 / FPS) for k in range(2 * FRAMES)]
    assert [stamp for stamp, _ in fake.seen] == stamps
    for k, (_, greys) in enumerate(fake.seen):
        assert greys == pytest.approx(dict.fromkeys(CAMERAS, grey_of(k % FRAMES)), abs=4)
    times_ns = [conversions.stamp_to_ns(clock.clock) for clock in clocks]
    assert times_ns == sorted(times_ns)
    assert set(stamps) <= set(times_ns)
    # Where a set is answered late the clock creeps meanwhile, by far less than the period of 33 ms.
    assert max(min(abs(each - stamp) for stamp in stamps) for each in times_ns) < 1_000_000
    assert playback == Playback(T0_NS, FPS, FRAMES, 2 * FRAMES, playback.published_ns, unanswered_ns=())
    published = list(playback.published_ns.values())
    assert list(playback.published_ns) == stamps
    assert published == sorted(published)


def test_calibration_and_placement_come_with_the_images(folder):
    rig = write_footage(folder)
    _, fake, _, transforms = play(folder, frames=2)
    name, info = fake.infos[-1]
    assert len(fake.infos) == 4
    placed = {one.child_frame_id: conversions.matrix_from_transform(one) for one in transforms}
    assert sorted(placed) == ["left_optical", "right_optical"]
    assert {one.header.frame_id for one in transforms} == {"world"}
    camera = conversions.camera_from_msgs(name, info, np.linalg.inv(placed[info.header.frame_id]), False)
    np.testing.assert_allclose(camera.K, rig.camera(name).K)
    assert camera.size_wh == (64, 48)
    assert placed["right_optical"][:3, 3] == pytest.approx(rig.camera("right").centre)


def test_set_without_an_answer_is_dropped_and_counted(folder):
    playback, fake, _, _ = play(folder, silent_at=[1, 5], timeout_s=0.3, in_flight=1)
    assert len(fake.seen) == FRAMES
    assert playback.frame_sets_sent == FRAMES
    assert playback.unanswered_ns == (fake.seen[1][0], fake.seen[5][0])


def test_at_a_rate_sets_come_at_that_rate_whether_answered_or_not(folder):
    playback, _, _, _ = play(folder, silent_at=range(FRAMES), rate=20.0)
    published = np.array(list(playback.published_ns.values()))
    assert len(published) == FRAMES
    # Sleeping may be late on busy cores, never early.
    assert (published[-1] - published[0]) / 1e9 >= (FRAMES - 1) / 20.0 - 0.005


def test_only_the_named_cameras_and_frames_are_played(folder):
    with own_context() as context:
        parameters = [Parameter("footage", value=str(folder)), Parameter("cameras", value=["right"])]
        player = Player(context=context, parameter_overrides=parameters)
        assert player.footage.rig.names == ("right",)
        player.destroy_node()


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("cameras", ["left", "top"], InputError, "no camera 'top': it has left, right"),
        ("rate", -1.0, InputError, "rate"),
        ("footage", "nothing", FootageError, "neither a sample"),
        ("speed", 2.0, InputError, "unknown parameter 'speed'"),
    ],
)
def test_wrong_parameter_is_rejected_with_the_fix(folder, name, value, error, message):
    with own_context() as context:
        values = {"footage": str(folder), name: value}
        parameters = [Parameter(one, value=given) for one, given in values.items()]
        with pytest.raises(error, match=message):
            Player(context=context, parameter_overrides=parameters)


def test_command_prints_one_line_if_it_cannot_play(tmp_path, capsys):
    assert main(["--ros-args", "-p", f"footage:={tmp_path}"]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("player: footage")


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_signals_end_it_cleanly_while_its_thread_decodes(folder, tmp_path, numbers):
    """A second SIGINT comes while the first is being handled: from the terminal's group and from launch."""
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(free_domain()),
        "ROS_LOG_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(Path(pose3d_ros.__file__).parents[1])]),
    }
    code = (
        "import sys, time; from pose3d_ros.ros.harness import player\n"
        "prepare = player.Player._prepare\n"
        "def slowly(self, frames):\n"
        "    print('ready', flush=True); time.sleep(0.5); return prepare(self, frames)\n"
        "player.Player._prepare = slowly\n"
        "player.Player._wait_for_subscribers = lambda self: None\n"
        "sys.exit(player.main(sys.argv))"
    )
    arguments = ["--ros-args", "-p", f"footage:={folder}", "-p", "rate:=2.0", "-p", "loop:=100"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        for _ in range(3):  # by the second one it plays
            assert "ready" in process.stdout.readline()
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.15)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "terminate" not in said


@pytest.mark.parametrize(("name", "parameter"), [("player", "in_flight"), ("recorder", "settle_s")])
def test_programs_print_help_and_reject_arguments_that_ros_ignores(name, parameter, capsys):
    main_of = {"player": main, "recorder": record_main}[name]
    assert main_of([name, "--help"]) == 0
    assert f"\n  {parameter} (default" in capsys.readouterr().out
    assert main_of([name, "cameras:=[left]", "--ros-args", "-p", "rate:=1.0"]) == 2
    assert "'cameras:=[left]': parameters are set with --ros-args -p" in capsys.readouterr().err
