"""The multi-view node over real DDS: cameras that know the truth on one side, a controller on the other."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from known_person import PERIOD_NS, PERSON, T0_NS, KnownDetector, ring, stereo_head, truth
from rclpy.parameter import Parameter
from rclpy.time import Time
from synthetic_cameras import environment_of_a_process, error_mm, graph, own_context

from pose3d_ros.errors import CalibrationError, OptionError
from pose3d_ros.msg import HumanPose3DArray, Joint3D
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import TransformBroadcaster, sources
from pose3d_ros.ros.multiview_node import PoseNode, main
from pose3d_ros.ros.options import InputOptions
from pose3d_ros.structures import FrameSet
from pose3d_ros.synchronisation.clock_offsets import ClockOffsets

IN_WORLD = np.eye(4)


def test_a_pose_that_waits_for_later_sets_has_the_stamps_of_its_own() -> None:
    with graph(ring("left", "right", "side"), fixed_frame="world", smoothing="body", lag_sets=2) as one:
        one.cameras.publish_transforms()
        poses = one.poses_after(5)
        for pose in poses:
            assert {conversions.stamp_to_ns(stamp) for stamp in pose.camera_stamps} == {
                conversions.stamp_to_ns(pose.header.stamp)
            }
            assert pose.people[0].age > 1.99 * PERIOD_NS / 1e9
            assert 1.3 < pose.people[0].stature < 2.0
            assert 0.0 < pose.people[0].stature_std < 0.15
        stamps = [conversions.stamp_to_ns(pose.header.stamp) for pose in one.controller.poses if pose.camera_names]
        assert stamps == sorted(stamps)


def test_three_cameras_by_tf_give_the_true_pose_on_every_topic() -> None:
    rig = ring("left", "right", "side")
    with graph(rig, fixed_frame="world", publish_keypoints=True) as one:
        one.cameras.publish_transforms()
        poses = one.poses_after(5)
        one.diagnosis_says("1 person")
        controller = one.controller

        last = poses[-1]
        assert max(error_mm(pose, IN_WORLD) for pose in poses) < 1.0
        stamp_ns = conversions.stamp_to_ns(last.header.stamp)
        assert (stamp_ns - T0_NS) % PERIOD_NS == 0
        assert last.header.frame_id == "world"
        assert last.skeleton == "h36m_17"
        assert list(last.camera_names) == ["left", "right", "side"]
        assert {conversions.stamp_to_ns(stamp) for stamp in last.camera_stamps} == {stamp_ns}
        assert last.stamp_spread == 0.0
        assert last.processing_latency > 0.0
        assert last.calibration_hash == rig.calibration_hash
        assert {pose.people[0].id for pose in poses} == {"1"}

        wrist = controller.buffer.lookup_transform("world", "human_1_LWrist", Time(nanoseconds=0))
        at_ns = conversions.stamp_to_ns(wrist.header.stamp)
        assert conversions.matrix_from_transform(wrist)[:3, 3] == pytest.approx(truth(at_ns)[13], abs=1e-3)
        body = controller.buffer.lookup_transform("world", "human_1", Time(nanoseconds=0))
        assert conversions.matrix_from_transform(body)[:3, 0] == pytest.approx([1, 0, 0], abs=0.1)

        # The person faces along x, and glides: no foot stands, so no floor is known.
        spine, nose = (last.people[0].joints[list(last.joint_names).index(name)] for name in ("Spine", "Nose"))
        assert [spine.orientation.x, spine.orientation.y, spine.orientation.z] == pytest.approx([0, 0, 0], abs=0.05)
        assert np.isfinite(spine.orientation_std).all()
        assert np.isnan([nose.orientation.w, *nose.orientation_std]).all()
        turned = controller.buffer.lookup_transform("world", "human_1_LKnee", Time(nanoseconds=0))
        shank = PERSON[5] - PERSON[6]  # from the ankle to the knee
        up = conversions.matrix_from_transform(turned)[:3, 2]
        assert up == pytest.approx(shank / np.linalg.norm(shank), abs=0.01)
        assert np.isnan([*last.floor_plane, *last.floor_covariance, *last.people[0].foot_contact]).all()

        assert {marker.ns for marker in controller.markers[-1].markers} >= {"joints", "bones", "ids"}
        assert {one.camera_name for one in controller.keypoints} == {"left", "right", "side"}
        assert controller.keypoints[-1].people[0].id == "1"

        diagnosis = controller.diagnosis
        assert controller.level == 0
        assert diagnosis["placement"] == "tf"
        assert diagnosis["calibration_hash"] == rig.calibration_hash
        for stage in ("decode", "detect", "associate", "triangulate", "publish"):
            assert float(diagnosis[f"stage_ms/{stage}"]) >= 0.0
        assert {key.removeprefix("source/") for key in diagnosis if key.startswith("source/")} == set(sources)
        assert int(diagnosis["frame_sets/processed"]) > 0


def test_nothing_is_made_that_is_not_subscribed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, int] = {}

    def counted(name: str) -> None:
        make = getattr(conversions, name)

        def count(*given: object, **named: object) -> object:
            made[name] = made.get(name, 0) + 1
            return make(*given, **named)

        monkeypatch.setattr(conversions, name, count)

    for name in ("markers_to_msg", "transforms_to_msgs", "keypoints_to_msg"):
        counted(name)
    options = {"fixed_frame": "world", "publish_keypoints": True, "prediction_horizon_s": 0.2}
    with graph(ring("left", "right"), **options) as one:
        one.cameras.publish_transforms()
        one.poses_after(3)
        assert min(made.values()) > 0
        assert len(made) == 3
        controller = one.controller
        for each in list(controller.subscriptions):
            if each.topic_name != "/human_pose_3d":
                controller.destroy_subscription(each)
        one.poses_after(3)  # until it is known that they are gone
        before = dict(made)
        assert error_mm(one.poses_after(3)[-1], IN_WORLD) < 1.0
        assert made == before


def test_a_failing_background_update_costs_no_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ClockOffsets, *given: object) -> None:
        raise ZeroDivisionError("no clock")

    with graph(ring("left", "right"), fixed_frame="world") as one:
        one.cameras.publish_transforms()
        one.poses_after(2)
        one.diagnosis_says("running: ")
        before = one.controller.diagnosis["frame_sets/dropped"]  # perhaps one, before the cameras were placed
        monkeypatch.setattr(ClockOffsets, "update", broken)
        one.diagnosis_says(
            "what their frame set teaches of clocks and calibration is lost: ZeroDivisionError: no clock"
        )
        assert error_mm(one.poses_after(3)[-1], IN_WORLD) < 1.0
        assert one.controller.diagnosis["frame_sets/dropped"] == before
        monkeypatch.undo()
        one.diagnosis_says("running: ")


def test_a_camera_that_stops_is_named_and_the_others_go_on_until_it_returns() -> None:
    with graph(ring("left", "right", "side"), fixed_frame="world") as one:
        one.cameras.publish_transforms()
        assert len(one.poses_after(2)[-1].camera_names) == 3
        one.cameras.stopped = {"side"}
        one.diagnosis_says("running, but no image on /side/image_raw for")
        pose = one.poses_after(2)[-1]
        assert list(pose.camera_names) == ["left", "right"]
        assert error_mm(pose, IN_WORLD) < 1.0
        one.cameras.stopped = {"right", "side"}
        one.diagnosis_says("no poses for")
        one.cameras.stopped = set()
        one.play_until(lambda: len(one.controller.poses[-1].camera_names) == 3, "three cameras again")
        one.diagnosis_says("running: ")


def test_the_only_camera_left_goes_on_under_the_same_id_and_triangulation_returns_with_the_others() -> None:
    with graph(ring("left", "right"), fixed_frame="world", lifts=True, publish_keypoints=True) as one:
        one.cameras.publish_transforms()
        assert joint_sources(one.poses_after(3)) == {Joint3D.SOURCE_TRIANGULATED}
        one.diagnosis_says("running: ")
        assert one.controller.diagnosis["lifter"] == "ready with known body"
        assert one.controller.diagnosis["lifted_from"] == "none"

        one.cameras.stopped = {"right"}
        before = len(one.controller.poses)
        one.play_until(
            lambda: list(one.controller.poses[-1].camera_names) == ["left"], "poses of the left camera alone"
        )
        alone = one.poses_after(10)
        one.diagnosis_says("people are lifted from camera 'left' alone")
        assert one.controller.level == 1
        assert one.controller.diagnosis["lifted_from"] == "left"
        assert joint_sources(alone) == {Joint3D.SOURCE_MONOCULAR}
        assert {pose.header.frame_id for pose in alone} == {"world"}
        assert max(error_mm(pose, IN_WORLD) for pose in alone) < 5.0
        assert {one.id for pose in alone for one in pose.people} == {"1"}

        one.cameras.stopped = set()
        one.play_until(lambda: len(one.controller.poses[-1].camera_names) == 2, "both cameras again")
        again = one.poses_after(5)
        assert joint_sources(again) == {Joint3D.SOURCE_TRIANGULATED}
        assert max(error_mm(pose, IN_WORLD) for pose in again) < 1.0
        since = one.controller.poses[before:]
        assert {person.id for pose in since for person in pose.people} == {"1"}
        one.diagnosis_says("running: ")


def test_without_a_lifting_network_the_only_camera_left_gives_no_poses() -> None:
    with graph(ring("left", "right"), fixed_frame="world") as one:
        one.cameras.publish_transforms()
        one.poses_after(2)
        one.cameras.stopped = {"right"}
        one.diagnosis_says("no poses for")
        assert one.controller.diagnosis["lifter"] == "off: monocular_fallback is never"


def joint_sources(poses: list[HumanPose3DArray]) -> set[int]:
    return {joint.source for pose in poses for person in pose.people for joint in person.joints}


def test_stereo_driver_is_placed_by_its_projection_matrix() -> None:
    """Rectified images, one frame_id for both, the baseline in P; reliable publishers."""
    rig = stereo_head()
    with graph(rig, reliable=True, rectified=True) as one:
        one.cameras.frame_id = lambda name: "left_optical"

        def stereo(name, image, info):
            info.p[3] = -info.p[0] * 0.5 if name == "right" else 0.0

        one.cameras.alter = stereo
        pose = one.poses_after(3)[-1]
        assert pose.header.frame_id == "left_optical"
        assert error_mm(pose, rig.camera("left").cam_from_world) < 1.0
        one.play_until(lambda: one.controller.diagnosis.get("placement") == "projection", "diagnosis of the placement")


@pytest.mark.parametrize(
    ("topics", "rectified"),
    [
        (["/left/image_rect", "/right/image_rect_color"], True),
        (["/left/image_rect/compressed"], True),
        (["/zed/rgb/color/rect/image"], True),
        (["/left/image_rect", "/right/image_raw"], False),
        (["/direct_left/image_raw", "/correct_right/image_raw"], False),
    ],
)
def test_rectified_images_are_recognised_by_their_topic(topics: list[str], rectified: bool) -> None:
    assert InputOptions().images_rectified(topics) is rectified
    assert InputOptions(rectified="true").images_rectified(["/left/image_raw"])


def test_two_swapped_cameras_are_fixed_by_remapping_and_the_resolved_topics_are_reported() -> None:
    with own_context() as context:
        rules = [("left/image_raw", "right/image_raw"), ("right/image_raw", "left/image_raw")]
        arguments = [word for rule in rules for word in ("-r", ":=".join(rule))]
        node = PoseNode(KnownDetector(ring("left", "right")), context=context, cli_args=["--ros-args", *arguments])
        assert {name: one.topic for name, one in node._session._sets.inputs.items()} == {
            "left": "/right/image_raw", "right": "/left/image_raw"
        }  # fmt: skip
        subscribed = [one.topic_name for one in node.subscriptions if one.topic_name.endswith("image_raw")]
        assert subscribed == ["/right/image_raw", "/left/image_raw"]
        node.close()
        node.destroy_node()


def test_fault_cameras_move(capfd: pytest.CaptureFixture[str]) -> None:
    """Fault: TF moves the cameras while people are followed, as on a robot that drives.
    Sees: nothing: the poses stay true, calibration_hash changes with each; the log says once what runs.
    Recovers: nothing to recover.
    """
    rig = ring("left", "right")
    with graph(rig, fixed_frame="map") as one:
        one.cameras.publish_transforms()
        broadcaster = TransformBroadcaster(one.cameras)

        def carry(name, image, info):
            stamp_ns = conversions.stamp_to_ns(image.header.stamp)
            broadcaster.sendTransform(conversions.transform_to_msg(map_from_world(stamp_ns), "map", "world", stamp_ns))

        def map_from_world(stamp_ns):
            moved = np.eye(4)
            moved[0, 3] = 0.3 * (stamp_ns - T0_NS) * 1e-9
            return moved

        one.cameras.alter = carry
        poses = one.poses_after(8)
        for pose in poses:
            assert error_mm(pose, map_from_world(conversions.stamp_to_ns(pose.header.stamp))) < 1.0
        assert len({pose.calibration_hash for pose in poses}) == len(poses)
    assert capfd.readouterr().err.count("running: left, right by tf in frame map") == 1


def test_a_driver_without_stamps_is_named() -> None:
    with graph(ring("left", "right"), fixed_frame="world") as one:
        one.cameras.publish_transforms()

        def unstamped(name, image, info):
            for message in (image, info):
                message.header.stamp.sec = message.header.stamp.nanosec = 0

        one.cameras.alter = unstamped
        one.diagnosis_says("on /left/image_raw have the stamp 0.000 s")
        one.cameras.alter = lambda name, image, info: None
        one.diagnosis_says("running: ")


def test_compressed_images_and_a_rig_file_and_a_corrupt_jpeg(tmp_path: Path) -> None:
    rig = ring("left", "right")
    save_rig(rig, tmp_path / "rig.yaml")
    with graph(rig, compressed=True, rig_file=str(tmp_path / "rig.yaml")) as one:
        one.cameras.alter = lambda name, image, info: setattr(info, "k", np.zeros(9))  # the file's calibration holds
        assert error_mm(one.poses_after(3)[-1], IN_WORLD) < 1.0

        def corrupt(name, image, info):
            if name == "right":
                image.data = image.data[:50]

        one.cameras.alter = corrupt
        one.diagnosis_says("camera 'right' on /right/image_raw/compressed: ")
        one.cameras.alter = lambda name, image, info: None
        one.diagnosis_says("running: ")
        assert one.controller.diagnosis["placement"] == "file"


def test_fault_transform_missing_at_the_start() -> None:
    """Fault: TF does not hold the place of one of two cameras.
    Sees: ERROR "TF has no transform from 'right_optical' to 'world'", with the command that publishes one; no poses.
    Recovers: by itself when TF holds it.
    """
    with graph(ring("left", "right"), placement="tf", fixed_frame="world") as one:
        one.cameras.publish_transforms("left")
        one.diagnosis_says("TF has no transform from 'right_optical' to 'world'")
        assert "static_transform_publisher" in one.controller.message
        assert "--frame-id world --child-frame-id right_optical" in one.controller.message
        assert one.controller.level == 2
        assert not one.controller.poses
        one.cameras.publish_transforms()
        assert error_mm(one.poses_after(1)[-1], IN_WORLD) < 1.0


@pytest.mark.parametrize(
    ("placement", "words"),
    [("auto", "P has no baseline"), ("projection", "the baseline is zero"), ("tf", "same position")],
)
def test_a_zero_baseline_is_never_silent(placement: str, words: str) -> None:
    with graph(ring("left", "right"), placement=placement) as one:
        one.cameras.frame_id = lambda name: "head_optical"
        one.diagnosis_says(words)
        assert not one.controller.poses


def test_camera_info_with_stamps_of_its_own_is_paired_with_the_newest_image() -> None:
    def late(name, image, info):
        info.header.stamp.nanosec = (info.header.stamp.nanosec + 1_000_000) % 1_000_000_000

    with graph(ring("left", "right"), fixed_frame="world") as one:
        one.cameras.publish_transforms()
        one.cameras.alter = late
        assert error_mm(one.poses_after(2)[-1], IN_WORLD) < 1.0
        one.play_until(
            lambda: "newest camera_info" in one.controller.diagnosis.get("camera_info/left", ""), "pairing is reported"
        )


def test_fault_camera_info_missing() -> None:
    """Fault: a driver sends images without camera_info.
    Sees: ERROR "no camera_info on /right/camera_info (cameras publishes it; it must come with every image ...)".
    Recovers: by itself with camera_info.
    """
    with graph(ring("left", "right"), fixed_frame="world") as one:
        one.cameras.without_info = {"right"}
        one.diagnosis_says("no camera_info on /right/camera_info (cameras publishes it; it must come with every image")
        one.cameras.publish_transforms()
        one.cameras.without_info = set()
        assert error_mm(one.poses_after(1)[-1], IN_WORLD) < 1.0


def test_an_incomplete_set_is_released_though_the_simulated_clock_stands_still() -> None:
    with graph(ring("left", "right", "side"), fixed_frame="world", use_sim_time=True) as one:
        one.cameras.publish_transforms()
        one.cameras.stopped = {"side"}

        def answered() -> bool:
            one.cameras.sent = 0  # time stands still: the same stamp again
            return bool(one.controller.poses)

        one.play_until(answered, "a pose of the two cameras that are there")
        assert list(one.controller.poses[0].camera_names) == ["left", "right"]


def test_an_exception_in_the_worker_does_not_end_the_node() -> None:
    broken = {"now": True}

    def error(frames: FrameSet) -> None:
        if broken["now"]:
            raise RuntimeError("a network that fails")

    with graph(ring("left", "right"), error=error, fixed_frame="world") as one:
        one.cameras.publish_transforms()
        one.diagnosis_says("RuntimeError: a network that fails")
        broken["now"] = False
        assert error_mm(one.poses_after(1)[-1], IN_WORLD) < 1.0


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"camera": ["left", "right"]}, OptionError, "unknown parameter 'camera': did you mean 'cameras'"),
        ({"cameras": ["left", "front-left"]}, OptionError, "camera 'front-left' .* letters, digits and _"),
        ({"cameras": ["left", "2"]}, OptionError, "no digit first"),
        ({"image_topic": "{camera}/image raw"}, OptionError, "'left/image raw', which ROS does not allow"),
        ({"image_topic": "image_raw"}, OptionError, r"expected \{camera\} in it"),
        ({"stamp_tolerance_s": -1.0}, OptionError, "expected 0 to 1 s"),
        ({"placement": "file"}, CalibrationError, "rig_file is empty"),
        ({"rig_file": "/nowhere/rig.yaml"}, CalibrationError, "cannot be read"),
    ],
)
def test_wrong_parameters_are_refused_at_the_start(parameters: dict, error: type, words: str) -> None:
    given = {"cameras": ["left", "right"], **parameters}
    with own_context() as context, pytest.raises(error, match=words):
        PoseNode(
            KnownDetector(ring("left", "right")),
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
        )


def test_people_outside_the_workspace_are_omitted_from_every_topic_and_counted() -> None:
    """The person walks along y between -0.5 and 0.5 m, at x = 0."""
    box = {"workspace_min": [-1, -2, 0], "workspace_max": [1.0, 0.0, float("inf")]}
    with graph(ring("left", "right"), fixed_frame="world", publish_keypoints=True, **box) as one:
        one.cameras.publish_transforms()
        one.poses_after(2)
        one.play_until(lambda: one.controller.diagnosis.get("people_left_out") == "1", "a person is left out")
        one.poses_after(2)
        known = [pose for pose in one.controller.poses if pose.people]
        assert {person.id for pose in known for person in pose.people} == {"1"}
        for pose in known:
            assert pose.people[0].joints[0].position.y <= 0.0
        seen_outside = [
            msg
            for msg in one.controller.keypoints
            if msg.people and truth(conversions.stamp_to_ns(msg.header.stamp))[0, 1] > 0.05
        ]
        assert seen_outside
        assert {msg.people[0].id for msg in seen_outside} == {""}


def test_parameters_that_may_change_do_and_the_others_do_not() -> None:
    with graph(ring("left", "right"), publish_markers=False) as one:
        changed = one.node.set_parameters([Parameter("publish_markers", value=True)])[0]
        assert changed.successful
        assert one.node.live.outputs.publish_markers is True
        for name, value in (("cameras", ["a", "b"]), ("refine", "auto"), ("frame_prefix", "/robot1")):
            assert not one.node.set_parameters([Parameter(name, value=value)])[0].successful


def test_as_a_program_it_names_the_command_that_fetches_its_weights(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pose3d_ros.ros.multiview_node"],
        env=environment_of_a_process(tmp_path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "pose3d models fetch" in done.stderr
    assert "Traceback" not in done.stderr


def test_fault_sigint_once_twice_and_sigterm(tmp_path: Path) -> None:
    """Fault: SIGINT comes once; or twice, from the terminal's group and from launch, while the first is obeyed; or
    SIGTERM.
    Sees: the node finishes what is under way, shuts down and ends with exit code 0, without a traceback.
    Recovers: start it again, which the launch files do where they were not stopped.
    """
    code = (
        "import sys; from known_person import KnownDetector, ring; from pose3d_ros.ros.running import run_node\n"
        "from pose3d_ros.ros.pose_node import PoseNode\n"
        "def make():\n"
        "    node = PoseNode(KnownDetector(ring('left', 'right')))\n"
        "    print('ready', flush=True)\n"
        "    return node\n"
        "sys.exit(run_node(make, (), ['node']))"
    )
    processes = {
        signals: subprocess.Popen(
            [sys.executable, "-c", code], env=environment_of_a_process(tmp_path), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for signals in ((signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,))
    }  # fmt: skip
    try:
        for signals, process in processes.items():
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
            for number in signals:
                process.send_signal(number)
            _, stderr = process.communicate(timeout=60)
            assert process.returncode == 0, stderr
            assert "Traceback" not in stderr
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_help_lists_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["multiview_node", "--help"]) == 0
    text = capsys.readouterr().out
    for name in ("cameras", "placement", "publish_keypoints", "smoothing", "search_every", "sync_timeout_s"):
        assert f"\n  {name} (default" in text
    assert main(["multiview_node", "cameras:=[a,b]"]) == 2
    assert "'cameras:=[a,b]': parameters are set with --ros-args -p" in capsys.readouterr().err
