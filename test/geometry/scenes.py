"""The truth of the geometry tests: Human3.6M's published rigs, joints inside them, and what cameras would see."""

import numpy as np
from synthetic_people import h36m_rig

from pose3d_ros.geometry.projection import project
from pose3d_ros.structures import Camera

SIGMA_PX = 4.0  # an axis; Human3.6M's published two-view errors fit 4.15


def h36m_cameras(subject):
    """The four cameras of a subject, world z up, m."""
    return list(h36m_rig(subject).cameras)


def joints_on_stage(count, seed):
    """(count, 3) m: anywhere a body may be in the middle 2 m x 2 m."""
    random = np.random.default_rng(seed)
    return np.column_stack([random.uniform(-1, 1, (count, 2)), random.uniform(0.1, 1.8, count)])


def seen(cameras, xyz):
    return np.stack([project(camera, xyz) for camera in cameras])


def noisy(xy, seed, sigma=SIGMA_PX):
    return xy + np.random.default_rng(seed).normal(0, sigma, xy.shape)


def displaced(xy, share, seed, reach=50.0):
    """A share of the keypoints moved uniformly within +-reach px, each axis."""
    random = np.random.default_rng(seed)
    wild = random.random(xy.shape[:-1]) < share
    return np.where(wild[..., None], xy + random.uniform(-reach, reach, xy.shape), xy)


def looking_along_z(name, centre, f=1000.0):
    transform = np.eye(4)
    transform[:3, 3] = -np.asarray(centre, dtype=float)
    return Camera(name, (1000, 1000), [[f, 0, 500], [0, f, 500], [0, 0, 1]], "plumb_bob", [], transform)
