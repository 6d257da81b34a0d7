"""Where the poses of one camera are: in its own frame, or in the one that it is placed in."""

from __future__ import annotations

import numpy as np
import pytest
from one_camera import one_camera
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import STANDING, h36m_rig

from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Rig

CAMERA = h36m_rig().cameras[0]
OFFSET = np.array([0.5, 1.0, 0.0])
PEOPLE = np.stack([STANDING, STANDING + OFFSET])


def lifter_of(camera: Camera) -> OracleLoaded:
    return OracleLoaded(Oracle(PEOPLE @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]))


def sight(camera: Camera, stamp_ns: int) -> Keypoints2D:
    return Keypoints2D(project(camera, PEOPLE), np.full((2, 17), 0.9), H36M_17, stamp_ns)


def along_the_ray(covariance: Floats, ray: Floats) -> Floats:
    """Standard deviation in m along the ray, and the largest of all directions."""
    unit = ray / np.linalg.norm(ray)
    return np.sqrt([unit @ covariance @ unit, np.linalg.eigvalsh(covariance).max()])


@pytest.mark.parametrize("frame_id", ["", "world"])
def test_poses_are_in_the_cameras_frame_or_in_the_one_that_it_is_placed_in(frame_id: str) -> None:
    estimator = one_camera(CAMERA, lifter_of(CAMERA), frame_id=frame_id)
    estimator.estimate_from_keypoints({CAMERA.name: sight(CAMERA, 0)})
    pose = estimator.estimate_from_keypoints({CAMERA.name: sight(CAMERA, 33_000_000)}).pose
    to_frame = np.eye(4) if frame_id else CAMERA.cam_from_world
    centre = CAMERA.centre if frame_id else np.zeros(3)
    assert pose.frame_id == (frame_id or f"{CAMERA.name}_optical")
    assert pose.xyz == pytest.approx(PEOPLE @ to_frame[:3, :3].T + to_frame[:3, 3], abs=2e-3)
    assert np.nanmax(pose.reprojection_px) < 0.5
    along, most = along_the_ray(pose.covariance[0, 0], pose.xyz[0, 0] - centre)
    assert along == pytest.approx(most, rel=1e-2)  # depth is what one camera knows least


def test_a_camera_that_moves_sees_people_stand_still() -> None:
    """The tracker works in the fixed frame: the camera's own motion, 1.5 m/s here, is no person's velocity."""
    lifter = lifter_of(CAMERA)
    estimator = one_camera(CAMERA, lifter, frame_id="odom")
    for k in range(10):
        moved = np.eye(4)
        moved[0, 3] = 0.05 * k
        camera = CAMERA.placed(CAMERA.cam_from_world @ np.linalg.inv(moved))
        lifter.net.people = lifter_of(camera).net.people
        estimator.set_rig(Rig((camera,), "odom"))
        pose = estimator.estimate_from_keypoints({camera.name: sight(camera, k * 33_000_000)}).pose
    assert pose.xyz == pytest.approx(PEOPLE, abs=2e-3)
    assert np.abs(pose.velocity).max() < 0.02
