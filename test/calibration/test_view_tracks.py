"""People followed in one camera: no track holds two of them, and it is sampled where they were."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_walks import FPS, motion, stiff_poses, walk, who_is_who

from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.calibration.view_tracks import MAX_GAP_S, ViewTrack, follow
from pose3d_ros.estimation.body import JOINTS, NAMES
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Keypoints2D

CAMERA = simulated_rig("room2", 1, held_out=True).rig.cameras[0]
BODY = stiff_poses(1, np.random.default_rng(0))[0]
BODY = BODY - BODY.mean(axis=0) + (0.0, 0.0, 0.95)


def image(number: int, *people: np.ndarray) -> Keypoints2D:
    """What a camera sees of bodies (13, 3) m in one image."""
    xy = np.full((len(people), 17, 2), np.nan)
    for row, body in zip(xy, people, strict=True):
        row[JOINTS] = project(CAMERA, body)
    score = np.isfinite(xy).all(axis=-1).astype(float)
    covariance = np.where((score > 0)[..., None, None], 4.0 * np.eye(2), np.nan)
    return Keypoints2D(xy, score, H36M_17, round(1e9 * number / FPS), covariance)


def across(share: float) -> np.ndarray:
    """The body on its way through the image from one side to the other."""
    right = CAMERA.cam_from_world[0, :3]
    return BODY + (2.0 * share - 1.0) * 1.2 * right


def test_a_walker_is_one_track_from_the_first_image_to_the_last():
    views, truth = walk("room2", 1, 6.0)
    for view, camera in zip(views, truth.rig.cameras, strict=True):
        (track,) = follow(view)
        np.testing.assert_allclose(track.times_s, np.arange(60) / FPS)
        assert track.span_s == (0.0, 5.9)
        moment = np.round(track.times_s * 30.0).astype(int)
        true = truth.xyz[moment, 0][:, JOINTS] @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
        # Lifted people are off by a tenth of their distance, but not by more.
        off = np.linalg.norm(track.lifted - true, axis=-1) / true[..., 2]
        assert np.nanmedian(off) < 0.12
        assert np.isfinite(track.lifted).all(axis=(1, 2)).mean() > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_track_joins_two_people_who_come_in_any_order(seed):
    views, truth = walk("room2", 1, 8.0, seed, people=2)
    followed = 0
    for view, camera in zip(views, truth.rig.cameras, strict=True):
        for track in follow(view):
            who = who_is_who(track, camera, truth)
            assert (who == who[0]).all()
            followed += len(who)
    assert followed > 0.9 * sum(len(one) for view in views for one in view.people)


def test_tracks_end_where_two_people_cannot_be_told_apart():
    ways = [across(share) for share in np.linspace(0.0, 1.0, 41)]
    # They meet in the middle at the same place of the image, both facing the camera.
    images = [image(k, ways[k], ways[-1 - k]) for k in range(41)]
    tracks = follow(PeopleViews(CAMERA, tuple(images)))
    spans = sorted(track.span_s for track in tracks)
    assert len(spans) >= 4
    assert not any(first < 1.7 and last > 2.3 for first, last in spans)
    assert sum(len(track.times_s) for track in tracks) > 60


def test_two_people_who_stay_apart_are_two_tracks():
    ways = [across(0.3 * share) for share in np.linspace(0.0, 1.0, 40)]
    others = [across(1.0 - 0.3 * share) for share in np.linspace(0.0, 1.0, 40)]
    images = [image(k, *((ways[k], others[k]) if k % 2 else (others[k], ways[k]))) for k in range(40)]
    assert [len(track.times_s) for track in follow(PeopleViews(CAMERA, tuple(images)))] == [40, 40]


@pytest.mark.parametrize(("missing", "tracks"), [(4, [36]), (8, [16, 16])])
def test_a_short_gap_continues_a_track_and_a_long_one_ends_it(missing, tracks):
    half = 20 - missing // 2
    seen = [*range(half), *range(half + missing, 40)]
    images = [image(k, BODY) if k in seen else image(k) for k in range(40)]
    assert [len(track.times_s) for track in follow(PeopleViews(CAMERA, tuple(images)))] == tracks


def test_a_jump_through_the_room_starts_a_new_track():
    images = [image(k, BODY if k < 20 else across(1.0)) for k in range(40)]
    spans = sorted(track.span_s for track in follow(PeopleViews(CAMERA, tuple(images))))
    np.testing.assert_allclose(spans, [(0.0, 1.9), (2.0, 3.9)])


def test_who_is_seen_for_an_instant_or_as_a_few_joints_is_not_followed():
    assert follow(PeopleViews(CAMERA, tuple(image(k, BODY) for k in range(4)))) == []
    few = BODY.copy()
    few[5:] = np.nan
    assert follow(PeopleViews(CAMERA, tuple(image(k, few) for k in range(20)))) == []
    assert follow(PeopleViews(CAMERA, ())) == []


def moving(times: np.ndarray, speed: np.ndarray) -> ViewTrack:
    px = 300.0 + times[:, None, None] * speed
    return ViewTrack(times, px, np.full(px.shape[:2], 9.0), np.full((*px.shape[:2], 3), np.nan))


@pytest.mark.parametrize("fps", [5.0, 10.0, 30.0])
def test_an_evenly_moving_point_is_sampled_exactly_at_any_time(fps):
    rng = np.random.default_rng(3)
    speed = rng.normal(scale=200.0, size=(len(NAMES), 2))
    times = np.arange(0.0, 4.0, 1.0 / fps) + rng.uniform(0.0, 0.2 / fps, round(4 * fps))
    at_s = rng.uniform(times[3], times[-4], 50)
    px, found, variance = moving(times, speed).sample(at_s)
    np.testing.assert_allclose(px, 300.0 + at_s[:, None, None] * speed, atol=1e-6)
    np.testing.assert_allclose(found, np.broadcast_to(speed, found.shape), atol=1e-6)
    np.testing.assert_array_equal(variance, 9.0)


def test_nothing_is_sampled_in_a_gap_outside_or_where_a_joint_is_missing():
    times = np.delete(np.arange(0.0, 4.0, 0.1), range(15, 15 + round(MAX_GAP_S / 0.1) + 2))
    track = moving(times, np.full((len(NAMES), 2), 50.0))
    px, _, variance = track.sample(np.array([-0.5, 1.0, 1.7, 3.0, 4.5]))
    np.testing.assert_array_equal(np.isfinite(px).all(axis=(1, 2)), [False, True, False, True, False])
    np.testing.assert_array_equal(np.isfinite(variance).all(axis=1), [False, True, False, True, False])
    hole = track.px.copy()
    hole[5:20, 2] = np.nan
    px, _, _ = replace(track, px=hole).sample(np.array([1.0]))
    assert np.isnan(px[0, 2]).all()
    assert np.isfinite(np.delete(px[0], 2, axis=0)).all()


def test_a_camera_that_is_placed_gives_the_same_tracks():
    views, _ = walk("room2", 1, 2.0)
    placed = replace(views[0], camera=views[0].camera.placed(motion((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))))
    (one,), (other,) = follow(views[0]), follow(placed)
    np.testing.assert_allclose(one.lifted, other.lifted)
