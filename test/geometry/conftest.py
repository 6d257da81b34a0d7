"""Human3.6M's published rigs and joints where people stand in them: the truth of the geometry tests."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose3d_ros.structures import Camera

RIGS = json.loads((Path(__file__).parents[1] / "data" / "h36m_rigs.json").read_text())


def h36m_cameras(subject):
    """The four cameras of a subject, world z up, m."""
    cameras = []
    for lens, place in zip(RIGS["intrinsics"], RIGS["extrinsics"][subject], strict=True):
        w, x, y, z = place["quaternion_wxyz"]
        rotation = Rotation.from_quat([x, y, z, w]).as_matrix().T
        transform = np.eye(4)
        transform[:3, :3] = rotation
        transform[:3, 3] = -rotation @ np.array(place["centre_mm"]) / 1000
        (fx, fy), (cx, cy) = lens["focal_px"], lens["principal_point_px"]
        K = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
        cameras.append(Camera(lens["name"], tuple(lens["size_px"]), K, "plumb_bob", lens["distortion"], transform))
    return cameras


def joints_on_stage(count, seed):
    """(count, 3) m: anywhere a body may be in the middle 2 m x 2 m."""
    random = np.random.default_rng(seed)
    return np.column_stack([random.uniform(-1, 1, (count, 2)), random.uniform(0.1, 1.8, count)])


@pytest.fixture(scope="session")
def rig():
    return h36m_cameras


@pytest.fixture(scope="session")
def stage():
    return joints_on_stage
