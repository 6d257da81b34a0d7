"""Labels from what cameras agree on: of a person whose true joints are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig_recording import BIAS_PX, FPS, RIG, person, walking

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.observations import Observations2D, observations_2d
from pose3d_ros.research.consensus import consensus
from pose3d_ros.simulation.views import to_coco, to_h36m
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

FRAMES = 4
HEAD_TOP = H36M_17.index("HeadTop")
RECORDING = walking(frames=FRAMES, bias=False)
SEEN = observations_2d(RECORDING)


def truth() -> Floats:
    """(P, V, 17, 2) px of what a detector of COCO's joints would see without errors."""
    rows = []
    for stamp, _ in SEEN.keys:
        frame = round(stamp * FPS / 1e9)
        px = [project(camera, to_coco(person(frame / FPS))) for camera in RIG.cameras]
        rows.append(to_h36m(np.stack(px), np.where(np.isfinite(px).all(axis=-1), 0.8, 0.0))[0])
    return np.stack(rows)


TRUE = truth()


def moved(view: int, row: int, joint: int, by_px: tuple[float, float]) -> Observations2D:
    xy = SEEN.xy.copy()
    xy[view, row, joint] += by_px
    return replace(SEEN, xy=xy)


def test_labels_are_where_the_joints_are_in_every_camera() -> None:
    found = consensus(RIG, SEEN)
    labelled = np.isfinite(found.label).all(axis=-1)
    assert labelled[..., :HEAD_TOP].all()
    assert not labelled[..., HEAD_TOP].any()
    # Keypoints are off by a pixel an axis, which four cameras halve.
    for joints in (found.label, found.others):
        apart = np.linalg.norm(joints - TRUE, axis=-1)
        assert np.nanmean(apart) < 1.3
        assert np.nanmax(apart) < 5.0


@given(
    st.integers(0, 3), st.integers(0, FRAMES - 1), st.integers(1, 6), st.floats(0.0, 2 * np.pi), st.floats(60.0, 500.0)
)
@settings(max_examples=25, deadline=None)
def test_a_camera_that_disagrees_is_outvoted(view: int, row: int, joint: int, angle: float, apart_px: float) -> None:
    by = apart_px * np.cos(angle), apart_px * np.sin(angle)
    found = consensus(RIG, moved(view, row, joint, by))
    error = np.linalg.norm(found.label[row, :, joint] - TRUE[row, :, joint], axis=-1)
    assert error.max() < 15.0
    # What the camera itself says plays no part in what the others say of it.
    np.testing.assert_allclose(found.others[row, view, joint], consensus(RIG, SEEN).others[row, view, joint])


def test_a_label_is_in_the_camera_that_missed_the_joint() -> None:
    xy, score = SEEN.xy.copy(), SEEN.score.copy()
    wrist = H36M_17.index("LWrist")
    xy[2, 1, wrist], score[2, 1, wrist] = np.nan, 0.0
    found = consensus(RIG, replace(SEEN, xy=xy, score=score))
    assert np.isnan(found.detected[1, 2, wrist]).all()
    assert np.linalg.norm(found.label[1, 2, wrist] - TRUE[1, 2, wrist]) < 5.0


def test_two_pairs_of_cameras_that_disagree_give_no_label() -> None:
    xy, knee = SEEN.xy.copy(), H36M_17.index("RKnee")
    elsewhere = [project(camera, person(0.0)[knee] + np.array([0.0, 0.6, 0.4])) for camera in RIG.cameras[:2]]
    xy[:2, 0, knee] = elsewhere
    found = consensus(RIG, replace(SEEN, xy=xy))
    assert np.isnan(found.label[0, :, knee]).all()
    assert np.isfinite(found.label[1, :, knee]).all()


def test_the_others_show_a_cameras_constant_error() -> None:
    biased = walking(frames=FRAMES)
    found = consensus(RIG, observations_2d(biased))
    apart = np.nanmedian(found.detected[:, 1] - found.others[:, 1], axis=(0, 1))
    np.testing.assert_allclose(apart, BIAS_PX, atol=1.5)


def test_two_cameras_cannot_label() -> None:
    rig = RIG.subset(RIG.names[:2])
    with pytest.raises(InputError, match="2 cameras, expected 3"):
        consensus(rig, observations_2d(RECORDING, rig))
