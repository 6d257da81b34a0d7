"""An estimator that goes on from another one's memory does what that one would have done."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
from synthetic_people import h36m_rig, walker

from pose3d_ros.detection.top_down import TopDownDetector
from pose3d_ros.errors import FootageError
from pose3d_ros.estimation import checkpoint
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.kalman import PointStates
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.footage import sample
from pose3d_ros.recordings.video_frames import open_videos
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Keypoints2D, Pose3D, Rig

RIG = Rig(h36m_rig("S9").cameras[:3])


def moment(k: int) -> dict[str, Keypoints2D]:
    """A person who walks, and is hidden now and then; noise of 2 px."""
    random = np.random.default_rng(k)
    xyz = to_coco(walker((-0.5, 0.2), (0.9, 0.3), k / 30))[None]
    found = {}
    for camera in RIG.cameras:
        xy = project(camera, xyz) + random.normal(scale=2.0, size=(1, 17, 2))
        score = np.full((1, 17), 0.8)
        found[camera.name] = Keypoints2D(xy, score, COCO_17, round(k * 1e9 / 30)).select([] if k % 7 == 5 else [0])
    return found


def same(a: Pose3D, b: Pose3D) -> bool:
    names = ("xyz", "velocity", "covariance", "score", "state", "age_s")
    return a.ids == b.ids and all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in names)


@pytest.mark.parametrize("smoothing", ["none", "body", "one_euro", "kalman"])
@pytest.mark.parametrize("stop", [1, 13])
def test_resuming_gives_the_same_poses_as_running_through(smoothing: str, stop: int) -> None:
    options = EstimatorOptions(refine="none", smoothing=smoothing)
    straight, first = PoseEstimator(RIG, options=options), PoseEstimator(RIG, options=options)
    poses = [straight.estimate_from_keypoints(moment(k)).pose for k in range(20)]
    for k in range(stop):
        first.estimate_from_keypoints(moment(k))
    kept = checkpoint.to_bytes(first.state_dict())
    second = PoseEstimator(RIG, options=options)
    second.load_state_dict(checkpoint.from_bytes(kept))
    assert poses[-1].ids == ("1",)
    for k in range(stop, 20):
        assert same(second.estimate_from_keypoints(moment(k)).pose, poses[k]), k
    without = PoseEstimator(RIG, options=options)
    assert not same(without.estimate_from_keypoints(moment(stop)).pose, poses[stop])


@pytest.mark.usefixtures("footage", "weights")
def test_the_detector_goes_on_with_the_boxes_it_followed() -> None:
    footage = sample("single")
    names = ("cam03", "cam04")
    source = open_videos(footage.rig, {name: footage.videos[name] for name in names})
    sets = [frames for frames, _ in zip(source.read(), range(4), strict=False)]
    straight, first, second = TopDownDetector("cpu"), TopDownDetector("cpu"), TopDownDetector("cpu")
    found = [straight(frames) for frames in sets]
    for frames in sets[:2]:
        first(frames)
    second.load_state_dict(checkpoint.from_bytes(checkpoint.to_bytes(first.state_dict())))
    for frames, expected in zip(sets[2:], found[2:], strict=True):
        for name, people in second(frames).items():
            assert len(people) > 0
            assert np.array_equal(people.xy, expected[name].xy, equal_nan=True)


def file_of(tree: object, **arrays: np.ndarray) -> bytes:
    """A state as to_bytes would write it."""
    file = io.BytesIO()
    np.savez(file, tree=np.array(json.dumps(tree)), **arrays)
    return file.getvalue()


def pickled_array() -> bytes:
    file = io.BytesIO()
    np.savez(file, tree=np.array(json.dumps({"dict": {"a": {"array": 0}}})), a0=np.array([print], dtype=object))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no state",
        pickle.dumps({"tracker": None}),
        pickled_array(),
        file_of([1, 2]),
        file_of({"dict": {"a": {"array": 5}}}),
        file_of({"dict": {"a": {"Rig": {}}}}),
        file_of({"dict": {"a": {"PointStates": {"mean": 1.0}}}}),
        file_of({"dict": {"a": {"PointStates": {"mean": 1.0, "covariance": 1.0, "more": 1.0}}}}),
        file_of({"dict": {}, "tuple": []}),
    ],
)
def test_nothing_but_an_estimators_state_is_read(data: bytes) -> None:
    with pytest.raises(FootageError, match=r"the estimator's state cannot be read .*--overwrite"):
        checkpoint.from_bytes(data)


def test_a_state_is_restored_unchanged() -> None:
    states = PointStates(np.array([[np.nan, 0.1]]), np.zeros((0, 6, 6)))
    memories = {
        "none": None, "nan": float("nan"), "pi": np.float64(np.pi), "third": 1 / 3, "stamp": 2**62, "yes": True,
        "pair": (1, [states]), "dict": {"tuple": {"array": 0}}, "bytes": np.zeros((2, 3), np.uint8, order="F"),
    }  # fmt: skip
    back = checkpoint.from_bytes(checkpoint.to_bytes(memories))
    assert list(back) == list(memories)
    assert repr(back) == repr(memories)
    assert back["pair"][1][0].covariance.shape == (0, 6, 6)
    assert (back["bytes"].dtype, back["bytes"].flags.f_contiguous) == (np.uint8, True)


@pytest.mark.parametrize("value", [b"bytes", {1: 2}, {"a": RIG}, np.array([None]), print])
def test_what_no_file_holds_is_refused_when_it_is_written(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        checkpoint.to_bytes({"a": value})
