"""Where people whom the tracker knows are looked for in the next images."""

import numpy as np
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.predicted_boxes import LEAST_JOINTS, predicted_boxes
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import FrameSet

RIG = h36m_rig()
PERIOD_NS = 40_000_000


def person(stamp_ns=0):
    """(17, 3) m: a walker."""
    return walker((-0.5, 0.2), (0.6, 0.0), stamp_ns * 1e-9, 1.7)


class KnowsTheWalker:
    """Gives the walker's projections, and keeps the predicted boxes that it was given."""

    name, skeleton = "known", H36M_17

    def __init__(self):
        self.given = []

    def set_predicted_boxes(self, boxes):
        self.given.append(boxes)

    def __call__(self, frames):
        rng = np.random.default_rng(0)
        people = person(frames.stamp_ns)[None]
        return {c.name: seen(c, people, rng, noise_px=0.0, stamp_ns=frames.stamp_ns) for c in RIG.cameras}

    def reset(self):
        pass


def test_a_box_holds_the_joints_within_the_image():
    body = person()
    boxes = predicted_boxes(RIG.cameras, body[None])
    for camera in RIG.cameras:
        xy = project(camera, body)
        (box,) = boxes[camera.name]
        np.testing.assert_allclose(box, [*xy.min(axis=0), *xy.max(axis=0)])


def test_joints_outside_or_unknown_do_not_count_and_a_few_are_no_person():
    body = person()
    camera = RIG.cameras[0]
    partly = np.full_like(body, np.nan)
    partly[:LEAST_JOINTS] = body[:LEAST_JOINTS]
    few = partly.copy()
    few[0] = np.nan
    behind = body + 100 * (camera.centre - body.mean(axis=0))
    beyond = body + 100 * camera.cam_from_world[0, :3]
    boxes = predicted_boxes([camera], np.stack([partly, few, behind, beyond]))[camera.name]
    assert len(boxes) == 1
    assert np.isfinite(boxes).all()
    assert predicted_boxes([camera], np.zeros((0, 17, 3)))[camera.name].shape == (0, 4)


def test_the_detector_receives_predicted_boxes_of_tracked_people():
    detector = KnowsTheWalker()
    estimator = PoseEstimator(RIG, detector)
    images = {camera.name: np.zeros((*camera.size_wh[::-1], 3), np.uint8) for camera in RIG.cameras}
    for number in range(8):
        stamp_ns = 10**9 + number * PERIOD_NS
        estimator(FrameSet(images, dict.fromkeys(RIG.names, stamp_ns)))
    assert all(len(boxes) == 0 for boxes in detector.given[0].values())
    for camera in RIG.cameras:
        xy = project(camera, person(stamp_ns))
        (box,) = detector.given[-1][camera.name]
        # A prediction over 40 ms, of a person whose limbs swing: some cm at 4 m.
        np.testing.assert_allclose(box, [*xy.min(axis=0), *xy.max(axis=0)], atol=0.02 * np.ptp(xy[:, 1]))
