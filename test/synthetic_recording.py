"""A recording of a walking person through a Human3.6M room, with errors that are known."""

import numpy as np
from synthetic_people import h36m_rig, walker

from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.noise_models import crop_scale
from pose3d_ros.simulation.views import to_coco, to_h36m
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Keypoints2D, Rig

FRAMES, SIGMA_CROP_PX = 60, 2.0
OFFSETS_PX = np.array([(9.0, -4.0), (-6.0, 3.0), (2.0, 8.0), (-5.0, -7.0)])


def recording(cameras=4, offsets=False, change=None, sigma=SIGMA_CROP_PX, seed=0):
    """A person who walks through a Human3.6M room; change(view, frame, coco px) may spoil keypoints."""
    rig = Rig(h36m_rig("S9").cameras[:cameras])
    random = np.random.default_rng(seed)
    keypoints = {}
    for view, camera in enumerate(rig.cameras):
        keypoints[camera.name] = {}
        for frame in range(FRAMES):
            xyz = to_coco(walker((-0.5, 0.2), (0.9, 0.3), frame / 60))
            px = project(camera, xyz)
            px = px + random.normal(scale=sigma * crop_scale(px), size=px.shape) + offsets * OFFSETS_PX[view]
            if change is not None:
                px = change(view, frame, px)
            xy, score = to_h36m(px[None], np.where(np.isfinite(px).all(axis=-1), 0.8, 0.0)[None])
            stamp = round(frame * 1e9 / 60)
            keypoints[camera.name][stamp] = (Keypoints2D(xy, score, H36M_17, stamp), ("1",))
    return Recording(rig, (), np.zeros(0), {}, keypoints, 0, 60.0, FRAMES, FRAMES)
