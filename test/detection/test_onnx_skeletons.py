"""Networks of 25, 26 and 133 joints as ONNX files: from images to every joint in space."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'pose3d_ros[onnx]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pose3d_ros[test]'")

import tiny_networks as tiny

from pose3d_ros.detection.box_tracks import better_half
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.onnx_detector import OnnxJoints, crop_from_image, skeleton_of
from pose3d_ros.detection.onnx_model import OnnxModel
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.estimation.estimator import EstimatorOptions, PoseEstimator
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import BODY_25, H36M_17, HALPE_26, LIMB_JOINTS, WHOLEBODY_133
from pose3d_ros.structures import Camera, Floats, FrameSet, JointSource, Rig, Skeleton

SIZE_WH = (640, 640)
DISTANCE_M, F_PX = 3.0, 1200.0
SPACING_M = 0.1  # 40 px: 16 of the network's 256, so that dots and their smoothed maps stay apart


def rig() -> Rig:
    """Three parallel cameras that look along world y, 0.3 m apart, with principal points that keep people in view."""
    cameras = []
    for name, (x, z) in {"left": (-0.3, 1.0), "right": (0.3, 1.0), "top": (0.0, 1.3)}.items():
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ (x, -DISTANCE_M, z)
        K = [[F_PX, 0, 320 + F_PX * x / DISTANCE_M], [0, F_PX, 320 - F_PX * (z - 1.0) / DISTANCE_M], [0, 0, 1]]
        cameras.append(Camera(name, SIZE_WH, np.array(K), cam_from_world=cam_from_world))
    return Rig(tuple(cameras))


def scattered(skeleton: Skeleton) -> Floats:
    """(J, 3) m: joints apart in every view, the first ones in the middle, so that bones are as short as a person's."""
    cells = np.array([(x, z) for x in range(-6, 6) for z in range(-6, 6)]) + 0.5
    nearest = cells[np.argsort(np.abs(cells).max(axis=1) + 0.01 * np.abs(cells).sum(axis=1), kind="stable")]
    x, z = SPACING_M * nearest[: skeleton.size].T
    return np.stack([x, 0.05 * np.sin(9.0 * x), 1.0 + z], axis=-1)


@pytest.mark.parametrize("skeleton", [BODY_25, HALPE_26, WHOLEBODY_133], ids=lambda one: one.name)
@pytest.mark.parametrize("form", ["rtmo", "yolo"])
def test_every_joint_of_the_network_is_in_space_where_its_dots_are(
    tmp_path: Path, skeleton: Skeleton, form: str
) -> None:
    file = tiny.one_stage_file(tmp_path / "network.onnx", form, joints=skeleton.size)
    options = DetectorOptions(detector="onnx", detector_model=str(file), detector_skeleton=skeleton.name)
    cameras, truth = rig(), scattered(skeleton)
    images = {one.name: tiny.picture(project(one, truth).round(), SIZE_WH, radius=6) for one in cameras.cameras}
    estimator = PoseEstimator(
        cameras,
        make_detector(options, "cpu"),
        EstimatorOptions(refine="none", monocular_fallback="never", smoothing="none"),
    )
    for n in range(2):
        estimate = estimator.estimate(FrameSet(images, dict.fromkeys(images, n * 33_000_000)))
    own = estimate.keypoints_3d
    assert own is not None
    assert own.skeleton is skeleton
    assert own.ids == estimate.pose.ids == ("1",)
    assert (own.n_views == 3).all()
    # A pixel of the network is 2.5 px of the image, 6 mm across and some 60 mm in depth.
    assert np.abs(own.xyz[0] - truth)[:, [0, 2]].max() < 0.01
    squared = np.einsum("ja,jab,jb->j", own.xyz[0] - truth, np.linalg.inv(own.covariance[0]), own.xyz[0] - truth)
    assert np.mean(squared < 7.815) > 0.95
    for name in (*LIMB_JOINTS, "Nose"):
        pose = estimate.pose.xyz[0, H36M_17.index(name)]
        assert np.linalg.norm(pose - own.xyz[0, skeleton.index(name)]) < 0.01, name
        assert estimate.pose.source[0, H36M_17.index(name)] == JointSource.TRIANGULATED


def test_whole_body_joints_in_a_box_are_detected_within_a_crop_pixel(tmp_path: Path) -> None:
    file = tiny.simcc_file(tmp_path / "rtmw_like.onnx", (288, 384), joints=WHOLEBODY_133.size)
    options = DetectorOptions(detector="onnx", detector_model=str(file), detector_skeleton="wholebody_133")
    box = np.array([[100.0, 20.0, 460.0, 620.0]])
    row, column = np.divmod(np.arange(WHOLEBODY_133.size), 10)
    truth = np.stack([box[0, 0] + 36 * (column + 0.5), box[0, 1] + 42 * (row + 0.5)], axis=1).round()
    scale = crop_from_image(box[0], (288, 384))[0, 0]
    image = tiny.picture(truth, SIZE_WH, radius=round(2.5 / scale))
    find = OnnxJoints(OnnxModel(str(file), "cpu"), "simcc", WHOLEBODY_133, options)
    detected = find([image], box, np.ones(1, dtype=bool))
    np.testing.assert_allclose(detected.xy[0], truth, atol=1.0 / scale)
    assert detected.score.min() > 0.9


def test_a_person_without_a_face_is_as_sure_as_the_body() -> None:
    score = np.full((1, WHOLEBODY_133.size), 0.05)
    score[:, :23] = 0.8
    assert better_half(score) == pytest.approx(0.8)
    assert better_half(np.full((1, 17), 0.3)) == pytest.approx(0.3)


def test_joints_named_one_by_one_have_two_sides() -> None:
    some = skeleton_of("Nose,LShoulder,RShoulder,LTail")
    assert some.left_right == ((1, 2),)
