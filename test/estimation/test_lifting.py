"""An oracle's canonical depth and pose become true metres, whatever camera took the image."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import STANDING, walker
from torch import Tensor

from pose3d_ros.estimation.lifting import Refusal, lift
from pose3d_ros.geometry.projection import project
from pose3d_ros.networks.canonical import Lifted
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D

LENS = (-0.25, 0.08, 0.001, -0.0005, 0.0)
PLAIN = Camera("cam", (1280, 720), np.array([[900.0, 0, 650], [0, 900, 350], [0, 0, 1]]), "plumb_bob", LENS)
UNEQUAL = replace(PLAIN, K=np.array([[1100.0, 0, 600], [0, 800, 380], [0, 0, 1]]))
# A camera's place must not matter: poses are in its own frame.
TURNED = np.array([[0.0, 1, 0, 3], [0, 0, 1, -1], [1, 0, 0, 2], [0, 0, 0, 1]])
CAMERAS = {
    "fx = fy": PLAIN,
    "fx != fy": UNEQUAL,
    "resized, not in proportion": PLAIN.resized((960, 720)),
    "cropped": PLAIN.cropped(200, 60, 900, 600),
    "cropped and resized": UNEQUAL.cropped(100, 20, 1100, 680).resized((550, 340)),
    "skewed": replace(PLAIN, K=np.array([[900.0, 12, 650], [0, 900, 350], [0, 0, 1]])),
    "fisheye": replace(PLAIN, distortion_model="equidistant", distortion=np.array([-0.01, 0.003, 0.0, 0.0])),
    "placed": PLAIN.placed(TURNED),
    "of a long focal length": PLAIN.resized((5120, 2880)),
    "of a short focal length": PLAIN.resized((256, 144)),
}


def people_in_camera() -> Floats:
    """(2, 17, 3) m before a camera that looks along the floor: one at 3.5 m, one at 6 m to the right."""
    world = np.stack([walker((3.5, 0.3), (0.0, 1.0), 0.2), walker((6.0, -1.2), (1.0, 0.5), 0.4, 1.6)])
    axes = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera x right, y down, z forward
    return np.asarray((world - (0.0, 0.0, 1.2)) @ axes.T)


def seen_by(camera: Camera, people: Floats) -> Keypoints2D:
    xy = project(camera.placed(np.eye(4)), people)
    return Keypoints2D(xy, np.full(xy.shape[:2], 0.8), H36M_17, 5)


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_a_true_canonical_depth_and_pose_give_true_metres(camera: Camera) -> None:
    people = people_in_camera()
    lifted = lift(camera, seen_by(camera, people), OracleLoaded(Oracle(people)))
    assert (lifted.refusal == Refusal.NONE).all()
    np.testing.assert_allclose(lifted.xyz, people, atol=1e-4)


def test_the_canonical_depth_is_the_depth_at_a_focal_length_of_1000_px() -> None:
    people = people_in_camera()
    lifted = lift(UNEQUAL, seen_by(UNEQUAL, people), OracleLoaded(Oracle(people)))
    np.testing.assert_allclose(lifted.canonical_depth_m, people[:, 0, 2] * 1000 / np.sqrt(1100 * 800), rtol=1e-5)


def test_the_network_sees_the_undistorted_image_in_this_images_k() -> None:
    people = people_in_camera()
    camera = UNEQUAL.cropped(100, 20, 1100, 680)
    net = Oracle(people)
    lift(camera, seen_by(camera, people), OracleLoaded(net))
    assert net.called_with is not None
    ideal = project(camera.rectified().placed(np.eye(4)), people)
    np.testing.assert_allclose(net.called_with[0].numpy(), ideal, atol=0.01)
    np.testing.assert_allclose(net.called_with[1][0].numpy(), camera.K, rtol=1e-6)


@pytest.mark.parametrize(("size", "focal"), [((5120, 2880), 1150.0), ((256, 144), 530.0), ((1280, 720), 900.0)])
def test_an_image_of_a_focal_length_never_trained_at_is_scaled(size: tuple[int, int], focal: float) -> None:
    people = people_in_camera()
    camera = PLAIN.resized(size)
    net = Oracle(people)
    lifted = lift(camera, seen_by(camera, people), OracleLoaded(net))
    assert net.called_with is not None
    assert net.called_with[1][0, 0, 0] == pytest.approx(focal, rel=1e-5)
    np.testing.assert_allclose(lifted.canonical_depth_m, people[:, 0, 2] * 1000 / camera.K[0, 0], rtol=1e-5)


def test_a_detector_of_coco_joints_is_understood_and_its_pelvis_is_the_middle_of_the_hips() -> None:
    people = people_in_camera()
    xy = project(PLAIN, to_coco(people))
    lifted = lift(PLAIN, Keypoints2D(xy, np.full(xy.shape[:2], 0.8), COCO_17), OracleLoaded(Oracle(people)))
    assert not lifted.seen[:, H36M_17.index("HeadTop")].any()
    np.testing.assert_allclose(lifted.xyz[:, 0], people[:, 0], atol=0.02)


def test_without_hips_the_other_joints_place_the_root() -> None:
    people = people_in_camera()
    keypoints = seen_by(UNEQUAL, people)
    xy = keypoints.xy.copy()
    xy[:, [H36M_17.index(name) for name in ("Pelvis", "LHip", "RHip", "Spine")]] = np.nan
    lifted = lift(UNEQUAL, replace(keypoints, xy=xy), OracleLoaded(Oracle(people)))
    np.testing.assert_allclose(lifted.xyz, people, atol=1e-3)


def test_the_mirrored_image_of_a_mirrored_camera_gives_the_mirrored_pose() -> None:
    people = people_in_camera()
    mirrored = people * (-1, 1, 1)
    K = UNEQUAL.K.copy()
    K[0, 2] = UNEQUAL.size_wh[0] - 1 - K[0, 2]
    camera = replace(UNEQUAL, K=K, distortion=np.array([-0.25, 0.08, 0.001, 0.0005, 0.0]))
    one = seen_by(UNEQUAL, people)
    other = replace(one, xy=one.xy * (-1, 1) + (UNEQUAL.size_wh[0] - 1, 0))
    lifted = lift(camera, other, OracleLoaded(Oracle(mirrored)))
    np.testing.assert_allclose(lifted.xyz, mirrored, atol=1e-4)


def test_a_known_height_puts_right_a_depth_and_size_that_are_wrong_together() -> None:
    people = people_in_camera()[:1]
    keypoints = seen_by(PLAIN, people)
    small = Oracle(people * 0.9)  # the same picture of a person a tenth smaller and nearer
    wrong = lift(PLAIN, keypoints, OracleLoaded(small))
    np.testing.assert_allclose(wrong.xyz, 0.9 * people, atol=1e-3)
    true_height = lift(PLAIN, keypoints, OracleLoaded(Oracle(people))).height_m[0]
    right = lift(PLAIN, keypoints, OracleLoaded(small), true_height)
    # The height of the sole does not scale with the bones in stature(): half a percent.
    np.testing.assert_allclose(right.xyz, people, atol=0.02)
    assert right.height_m[0] == pytest.approx(true_height, abs=0.01)
    unknown = lift(PLAIN, keypoints, OracleLoaded(small), 0.0)
    np.testing.assert_allclose(unknown.xyz, wrong.xyz)


@pytest.mark.parametrize(
    ("kept", "refusal"),
    [
        (("Nose", "LShoulder", "RShoulder", "Thorax", "LElbow", "LWrist"), Refusal.FEW_JOINTS),
        (("Nose", "LShoulder", "RShoulder", "Thorax", "LElbow", "LWrist", "RElbow"), Refusal.NONE),
        (("LHip", "RHip", "Pelvis", "LKnee", "RKnee", "LAnkle", "RAnkle"), Refusal.NONE),
        (("Nose", "LShoulder", "LElbow", "LWrist", "LHip", "LKnee", "LAnkle"), Refusal.NO_TRUNK),
    ],
)
def test_too_few_joints_are_refused_by_reason(kept: tuple[str, ...], refusal: Refusal) -> None:
    people = people_in_camera()[:1]
    keypoints = seen_by(PLAIN, people)
    hidden = [joint for joint, name in enumerate(H36M_17.joint_names) if name not in kept]
    xy = keypoints.xy.copy()
    xy[:, hidden] = np.nan
    lifted = lift(PLAIN, replace(keypoints, xy=xy), OracleLoaded(Oracle(people)))
    assert lifted.refusal.tolist() == [refusal]
    assert np.isfinite(lifted.xyz).all() == (refusal == Refusal.NONE)
    assert lifted.refused == ({} if refusal == Refusal.NONE else {refusal.name.lower(): 1})


@pytest.mark.parametrize("factor", [0.08, 9.0, -1.0])
def test_an_implausible_depth_is_rejected_and_other_people_are_kept(factor: float) -> None:
    people = people_in_camera()
    people[1] += (0.0, 0.0, 24.0)  # at 30 m, where 1.0 is still believed
    lifted = lift(PLAIN, seen_by(PLAIN, people), OracleLoaded(Oracle(people, factor)))
    assert lifted.refusal.tolist().count(Refusal.DEPTH) == (1 if factor in (0.08,) else 2)
    refused = lifted.refusal == Refusal.DEPTH
    assert np.isnan(lifted.xyz[refused]).all()
    assert np.isnan(lifted.covariance[refused]).all()
    assert np.isnan(lifted.canonical_depth_m[refused]).all()


def test_a_network_that_returns_nan_lifts_no_person_and_is_reported() -> None:
    lifted = lift(PLAIN, seen_by(PLAIN, people_in_camera()), OracleLoaded(Oracle(people_in_camera(), np.nan)))
    assert set(lifted.refusal.tolist()) == {Refusal.NOT_FINITE}
    assert np.isnan(lifted.xyz).all()


def test_an_empty_image_is_no_fault() -> None:
    lifted = lift(PLAIN, Keypoints2D.empty(H36M_17, 3), OracleLoaded(Oracle(STANDING[None])))
    assert lifted.xyz.shape == (0, 17, 3)
    assert lifted.refused == {}


class _AnyFocal(Oracle):
    """As the shipped network: made for any focal length, and given the height where it is known."""

    options = SimpleNamespace(any_focal=True, height=True)
    reported: Tensor | None = None

    def forward(self, xy: Tensor, K: Tensor, height: Tensor | None = None) -> Lifted:
        self.reported = height
        return super().forward(xy, K)


def test_a_network_for_any_focal_length_gets_the_image_as_it_is_and_the_heights_that_are_known() -> None:
    people = people_in_camera()
    camera = PLAIN.resized((5120, 2880))
    net = _AnyFocal(people)
    lifted = lift(camera, seen_by(camera, people), OracleLoaded(net), np.array([np.nan, 1.6]))
    np.testing.assert_allclose(lifted.xyz, people, atol=1e-3)
    assert net.called_with is not None
    assert net.reported is not None
    assert net.called_with[1][0, 0, 0] == pytest.approx(3600.0)
    np.testing.assert_allclose(net.reported.numpy(), [np.nan, 1.6], rtol=1e-6)


def test_depth_is_the_least_known_and_lies_along_the_ray() -> None:
    people = people_in_camera()
    lifted = lift(PLAIN, seen_by(PLAIN, people), OracleLoaded(Oracle(people)))
    sizes, axes = np.linalg.eigh(lifted.covariance[:, 0])
    rays = people[:, 0] / np.linalg.norm(people[:, 0], axis=-1, keepdims=True)
    np.testing.assert_allclose(np.abs((axes[..., 2] * rays).sum(axis=-1)), 1.0, atol=1e-3)
    assert (sizes[:, 2] > 4 * sizes[:, 1]).all()
