"""Detection in one process, triangulation in another, joined by DDS alone; what the latter makes of bad messages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from known_person import PERIOD_NS, SIZE_WH, T0_NS, KnownDetector, grey_of, ring, truth
from noisy_detector import NoisyDetector
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from synthetic_cameras import TIMEOUT_S, Cameras, Graph, environment_of_a_process, error_mm, own_context, spun

from pose3d_ros.errors import OptionError
from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.ros import conversions, environment
from pose3d_ros.ros.detector_node import DetectorNode, main
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import FrameSet, Keypoints2D, Pose3D

RIG = ring("left", "right", "side")
IN_WORLD = np.eye(4)
# What the two forms are compared under. How far cameras disagree is learnt over longer than the past that they share.
ALIKE = {
    "cameras": list(RIG.names), "fixed_frame": "world", "refine": "none", "monocular_fallback": "never",
    "calibration_px": 0.0, "use_sim_time": True, "smoothing": "none",
}  # fmt: skip
# Processes load PyTorch, which takes its time where many do it at once.
START_S = 240.0
SETS = 10


class Listener(Node):
    """Both forms' poses by stamp, and the latest diagnosis of each node."""

    def __init__(self, context: Context) -> None:
        super().__init__("listener", context=context)
        self.poses: dict[str, dict[int, HumanPose3DArray]] = {"one": {}, "several": {}}
        self.diagnoses: dict[str, str] = {}
        self.create_subscription(HumanPose3DArray, "/one/human_pose_3d", lambda msg: self.take("one", msg), 10)
        self.create_subscription(HumanPose3DArray, "/human_pose_3d", lambda msg: self.take("several", msg), 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self.diagnosed, 10)

    def take(self, form: str, msg: HumanPose3DArray) -> None:
        self.poses[form][conversions.stamp_to_ns(msg.header.stamp)] = msg

    def diagnosed(self, msg: DiagnosticArray) -> None:
        self.diagnoses[msg.status[0].name] = msg.status[0].message


@contextmanager
def detecting_elsewhere(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Two detector nodes in another process."""
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("noisy_detector.py"))], env=env)
    try:
        yield process
    finally:
        process.terminate()
        code = process.wait(timeout=TIMEOUT_S)
    assert code == 0


def test_detection_in_another_process_gives_the_same_poses(tmp_path: Path) -> None:
    """Two nodes that detect and one that triangulates, against one node that does it all; noisy keypoints."""
    environment.prepare()
    env = environment_of_a_process(tmp_path)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = Context()
    rclpy.init(context=context, domain_id=int(env["ROS_DOMAIN_ID"]))
    cameras = Cameras(context, RIG, reliable=True)
    topics = {"image_topic": "/{camera}/image_raw", "camera_info_topic": "/{camera}/camera_info"}
    patient = {"sync_timeout_s": 5.0, "silent_after_s": 60.0}  # sets are complete, however busy the machine is
    own = {"one": {**topics, **patient}, "several": {"input": "keypoints", **patient}}
    nodes = {
        form: PoseNode(
            NoisyDetector(RIG) if form == "one" else None,
            context=context,
            namespace=form if form == "one" else "",
            parameter_overrides=[Parameter(name, value=value) for name, value in {**ALIKE, **parameters}.items()],
        )
        for form, parameters in own.items()
    }
    listener = Listener(context)
    executor = SingleThreadedExecutor(context=context)
    for each in (cameras, *nodes.values(), listener):
        executor.add_node(each)

    def until(done: Callable[[], bool], what: str, give_up_s: float, publish: bool = False) -> None:
        give_up, next_s = time.monotonic() + give_up_s, 0.0
        while not done():
            assert time.monotonic() < give_up, f"{what}: {listener.diagnoses}"
            if publish and time.monotonic() > next_s:
                cameras.publish_set()
                next_s = time.monotonic() + 0.1
            executor.spin_once(timeout_sec=0.01)

    def both_run() -> bool:
        """Both have given a pose of all cameras lately."""
        last = [max(poses.items(), default=(0, None)) for poses in listener.poses.values()]
        return all(pose is not None and pose.people and len(pose.camera_names) == 3 for _, pose in last)

    def answers_to(stamp_ns: int) -> list[HumanPose3DArray | None]:
        """Both forms', None where one gave none."""
        give_up = time.monotonic() + TIMEOUT_S
        until(
            lambda: all(stamp_ns in poses for poses in listener.poses.values()) or time.monotonic() > give_up,
            "answers",
            2 * TIMEOUT_S,
        )
        return [poses.get(stamp_ns) for poses in listener.poses.values()]

    def one_round() -> list[list[HumanPose3DArray]]:
        """Both forms' answers to some frame sets; none where this busy machine kept an image from either."""
        rounds = []
        for _ in range(SETS):
            rounds.append([pose for pose in answers_to(cameras.publish_set()) if pose is not None])
            if [list(pose.camera_names) for pose in rounds[-1]] != [list(RIG.names)] * 2:
                return []
        return rounds

    pairs: list[list[HumanPose3DArray]] = []
    try:
        with detecting_elsewhere(env) as process:
            cameras.publish_transforms()
            until(lambda: both_run() or process.poll() is not None, "both forms run", START_S, publish=True)
            assert process.poll() is None, "the process that detects has ended, see its last lines"
            give_up = time.monotonic() + START_S
            while not pairs and time.monotonic() < give_up:
                # All people are forgotten in this pause, so that both forms have the same past.
                cameras.sent += round(10e9 / PERIOD_NS)
                known_s = time.monotonic() + 0.5
                cameras.begin_set()
                until(lambda: time.monotonic() > known_s, "the time has come everywhere", 10.0)  # noqa: B023
                pairs = one_round()
    finally:
        for node in nodes.values():
            node.close()
        for each in (cameras, *nodes.values(), listener):
            each.destroy_node()
        rclpy.try_shutdown(context=context)

    assert len(pairs) == SETS, f"in no round did both forms get every image: {listener.diagnoses}"
    assert all(len(pose.people) == 1 for pair in pairs for pose in pair)
    poses = [[conversions.pose_from_msg(pose) for pose in pair] for pair in pairs]
    apart = max(difference(one, several) for one, several in poses)
    print(f"one process and two processes differ by at most {apart:g} over {len(poses)} frame sets")
    assert apart <= 1e-6
    assert all(one.calibration_hash == several.calibration_hash for one, several in pairs)
    assert np.ptp([one.xyz[0, 0, 1] for one, _ in poses]) > 0.02  # m: the person walks, and turns back somewhere
    assert max(np.linalg.norm(one.xyz[0, 1:7] - truth(one.stamp_ns)[1:7], axis=-1).max() for one, _ in poses) > 1e-3


def difference(a: Pose3D, b: Pose3D) -> float:
    """The largest of any figure (m, m/s, m^2, px); infinite where one is absent in one of them only."""
    worst = 0.0
    for name in ("xyz", "velocity", "covariance", "score", "reprojection_px", "n_views", "source", "state", "age_s"):
        first, second = (np.asarray(getattr(pose, name), dtype=np.float64) for pose in (a, b))
        if first.shape != second.shape or (np.isnan(first) != np.isnan(second)).any():
            return np.inf
        worst = max(worst, float(np.nan_to_num(np.abs(first - second)).max(initial=0.0)))
    return worst


class KeypointCameras(Cameras):
    """Cameras whose images were looked at elsewhere; `spoil` may spoil a message before it goes out."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, RIG, reliable=True)
        self.keypoints = {
            name: self.create_publisher(Keypoints2DArray, f"{name}/keypoints_2d", 10) for name in RIG.names
        }
        self.detector = KnownDetector(RIG)
        self.spoil: Callable[[Keypoints2DArray], None] = lambda message: None

    def publish_set(self) -> int:
        stamp_ns = self.begin_set()
        for n, camera in enumerate(RIG.cameras):
            image = np.full((SIZE_WH[1], SIZE_WH[0], 3), grey_of(n), np.uint8)
            found = self.detector(FrameSet({camera.name: image}, {camera.name: stamp_ns}))[camera.name]
            frame_id = self.frame_id(camera.name)
            message = conversions.keypoints_to_msg(
                found, [""] * len(found), camera_name=camera.name, frame_id=frame_id, size_wh=SIZE_WH, detector="known",
                latency_s=0.05,
            )  # fmt: skip
            if camera.name == "side":
                self.spoil(message)
            self.infos[camera.name].publish(conversions.camera_info_to_msg(camera, stamp_ns, frame_id))
            self.keypoints[camera.name].publish(message)
        return stamp_ns


@contextmanager
def keypoint_graph(**parameters: object) -> Iterator[Graph]:
    with own_context() as context:
        cameras = KeypointCameras(context)
        given = {**ALIKE, "input": "keypoints", **parameters}
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        with spun(cameras, PoseNode(context=context, parameter_overrides=overrides)) as one:
            cameras.publish_transforms()
            yield one


def people(message: Keypoints2DArray, count: int) -> None:
    message.people = [message.people[0]] * count


def assign(field: str, value: object) -> Callable[[Keypoints2DArray], None]:
    return lambda message: setattr(message, field, value)


def in_person(field: str, change: Callable[[list[float]], list[float]]) -> Callable[[Keypoints2DArray], None]:
    return lambda message: setattr(message.people[0], field, change(list(getattr(message.people[0], field))))


def test_malformed_keypoints_are_left_out_with_their_cause_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without any weights on the machine: the central node needs none."""
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    with keypoint_graph() as one:
        assert error_mm(one.poses_after(2)[-1], IN_WORLD) < 1.0
        one.diagnosis_says("running: ")
        assert one.controller.diagnosis["detector"] == "known"
        assert one.controller.poses[-1].processing_latency > 0.05  # what detection took elsewhere is reported too
        assert not any(key == "stage_ms/detect" for key in one.controller.diagnosis)
        assert isinstance(one.cameras, KeypointCameras)
        for spoil, words in (
            (
                in_person("xy", lambda xy: xy[:-1]),
                "person 0 in 'side' has (33, 17, 68) numbers",
            ),
            (in_person("covariance", lambda c: c[:4]), "has (34, 17, 4) numbers"),
            (assign("skeleton", "octopus_8"), "skeleton 'octopus_8', expected one of"),
            (assign("joint_names", ["a"] * 17), "bring sender and receiver to the same version"),
            (in_person("scores", lambda s: [2.0, *s[1:]]), "score must lie in [0, 1], got 0.8"),
            (in_person("scores", lambda s: [float("nan"), *s[1:]]), "score must lie in [0, 1], got nan"),
            (in_person("xy", lambda xy: [1e30, *xy[1:]]), "2 image sizes outside the image of 160 x 120 px"),
            (in_person("covariance", lambda c: [-1.0, *c[1:]]), "covariance holds [[-1.0, 0.0]"),
            (in_person("covariance", lambda c: [c[0], 9.0, 9.0, *c[3:]]), "9.0], [9.0"),
            (in_person("covariance", lambda c: [float("inf"), *c[1:]]), "covariance is [[inf"),
            (assign("camera_name", "left"), "the message is of camera 'left', expected 'side'"),
            (assign("width", 320), "image is 320 x 120 px, its calibration is for 160 x 120 px"),
            (lambda message: people(message, 101), "101 people in one image, expected at most 100"),
        ):
            one.cameras.spoil = spoil
            one.diagnosis_says(words)
            pose = one.poses_after(1)[-1]
            assert list(pose.camera_names) == ["left", "right"], words
            assert error_mm(pose, IN_WORLD) < 1.0
            one.cameras.spoil = lambda message: None
            one.play_until(lambda: len(one.controller.poses[-1].camera_names) == 3, f"recovery from {words}")


def test_the_keypoints_come_out_again_with_the_ids_of_their_people() -> None:
    with keypoint_graph(publish_keypoints=True) as one:
        heard: list[Keypoints2DArray] = []
        one.cameras.create_subscription(Keypoints2DArray, "/left/keypoints_2d/with_ids", heard.append, 10)
        one.play_until(lambda: any(msg.people and msg.people[0].id for msg in heard), "keypoints with ids")
        assert (heard[-1].people[0].id, heard[-1].skeleton, heard[-1].detector) == ("1", "h36m_17", "known")


@contextmanager
def detector_graph(detector: KnownDetector, *cameras: str) -> Iterator[Graph]:
    with own_context() as context:
        node = DetectorNode(
            detector,
            context=context,
            parameter_overrides=[Parameter("cameras", value=list(cameras)), Parameter("use_sim_time", value=True)],
        )
        with spun(Cameras(context, ring(*cameras)), node) as one:
            yield one


def test_keypoints_carry_their_images_stamp_frame_and_size_and_a_bad_image_is_named() -> None:
    rig = ring("left", "right")
    with detector_graph(KnownDetector(rig), "left", "right") as one:
        heard = one.controller.keypoints
        one.play_until(lambda: {msg.camera_name for msg in heard if msg.people} == set(rig.names), "keypoints of both")
        for msg in heard:
            camera = rig.camera(msg.camera_name)
            assert (msg.header.frame_id, (msg.width, msg.height)) == (f"{camera.name}_optical", SIZE_WH)
            assert (conversions.stamp_to_ns(msg.header.stamp) - T0_NS) % PERIOD_NS == 0
            assert msg.processing_latency > 0.0
            found, _ = conversions.keypoints_from_msg(msg)
            stamp_ns = conversions.stamp_to_ns(msg.header.stamp)
            image = np.full((*SIZE_WH[::-1], 3), grey_of(rig.names.index(camera.name)), np.uint8)
            expected = KnownDetector(rig)(FrameSet({camera.name: image}, {camera.name: stamp_ns}))[camera.name]
            assert found.xy == pytest.approx(expected.xy, abs=1e-4)  # float32
        one.diagnosis_says("running: ")
        assert one.controller.diagnosis["detector"] == "known"
        assert one.controller.level == 0

        def spoil(name, image, info):
            if name == "right":
                image.encoding = "yuv999"

        one.cameras.alter = spoil
        one.diagnosis_says("camera 'right' on /right/image_raw: ")
        heard.clear()
        one.play_until(lambda: bool(heard), "the other camera goes on")
        assert {msg.camera_name for msg in heard} == {"left"}
        one.cameras.stopped = {"left", "right"}
        one.diagnosis_says("no keypoints for")


def test_what_the_network_carries_for_a_person_is_a_thousandth_of_an_image() -> None:
    def size(count: int) -> int:
        keypoints = Keypoints2D(
            np.ones((count, 17, 2)), np.ones((count, 17)), COCO_17, 0, np.tile(np.eye(2), (count, 17, 1, 1))
        )
        message = conversions.keypoints_to_msg(
            keypoints, [""] * count, camera_name="left", frame_id="left_optical", size_wh=(1920, 1080),
            detector="nanodet+movenet-thunder",
        )  # fmt: skip
        return len(serialize_message(message))

    empty, person, image = size(0), size(2) - size(1), 1920 * 1080 * 3
    info = len(serialize_message(conversions.camera_info_to_msg(RIG.cameras[0], 0, "left_optical")))
    print(f"{empty} bytes a message, {person} a person, camera_info {info}; an image of 1920x1080 px {image}")
    assert size(1) * 1000 < image
    assert 17 * 7 * 4 <= person <= 17 * 7 * 4 + 64  # xy, score and covariance in float32, and little more


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"cameras": ["left", "left"]}, "expected one or more different names"),
        ({"cameras": ["front-left"]}, "letters, digits and _"),
        ({"placement": "tf", "device_": "cpu"}, "unknown parameter 'device_': did you mean 'device'"),
        ({"search_every": 0}, "expected 1 to 1000"),
    ],
)
def test_wrong_parameters_are_refused_at_the_start(parameters: dict, words: str) -> None:
    with own_context() as context, pytest.raises(OptionError, match=words):
        DetectorNode(
            KnownDetector(RIG), context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
        )  # fmt: skip


def test_as_a_program_it_names_the_command_that_fetches_its_weights_and_lists_its_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pose3d_ros.ros.detector_node"],
        env=environment_of_a_process(tmp_path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "pose3d models fetch" in done.stderr
    assert main(["detector_node", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} (default" in text for name in ("cameras", "sync_timeout_s", "image_topic", "search_every"))
