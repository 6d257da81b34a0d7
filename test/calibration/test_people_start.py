"""Where calibration by people begins: cameras put roughly, clocks found, people matched, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_walks import FPS, motion, walk, who_is_who
from people_recordings import RIG as TWO
from people_recordings import body_at

from pose3d_ros.calibration.common_motion import common_motion, paths
from pose3d_ros.calibration.people_start import AMBIGUOUS, find_start
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.calibration.view_tracks import follow
from pose3d_ros.errors import CalibrationError
from pose3d_ros.estimation.body import NAMES
from pose3d_ros.evaluation.calibration_errors import from_first, rotation_log
from pose3d_ros.evaluation.walking_people import without_overlap
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Keypoints2D


def started(views, truth, offsets=None, max_offset_s=2.0, known=None):
    return find_start(truth.rig.names, [follow(one) for one in views], offsets, max_offset_s, known)


def assert_roughly(start, truth, deg=15.0, share=0.25):
    true = from_first(truth.rig)
    for found, meant in zip(start.cam_from_first, true, strict=True):
        assert np.rad2deg(np.linalg.norm(rotation_log(found[:3, :3] @ meant[:3, :3].T))) < deg
        assert np.linalg.norm(found[:3, 3] - meant[:3, 3]) <= share * max(np.linalg.norm(meant[:3, 3]), 1e-6)


def test_cameras_begin_roughly_where_they_stand():
    views, truth = walk("room3", 1, 6.0)
    start = started(views, truth, [0.0, 0.0, 0.0])
    assert_roughly(start, truth)
    assert start.people == ({0: (0,), 1: (0,), 2: (0,)},)


@pytest.mark.parametrize("late_s", [1.3, -0.8])
def test_the_difference_of_the_clocks_is_found_to_two_steps(late_s):
    views, truth = walk("room2", 1, 20.0, 1, offsets_s={"cam2": late_s})
    start = started(views, truth)
    assert start.offset_s[1] == pytest.approx(late_s, abs=0.21)
    assert start.common[0, 1].rival < AMBIGUOUS
    assert_roughly(start, truth)


def test_the_difference_of_the_clocks_is_found_for_cameras_whose_places_are_known():
    views, truth = walk("room2", 1, 8.0, 2, offsets_s={"cam2": 0.7})
    known = [camera.cam_from_world for camera in truth.rig.cameras]
    start = started(views, truth, known=known)
    assert start.offset_s[1] == pytest.approx(0.7, abs=0.11)
    for found, given in zip(start.cam_from_first, known, strict=True):
        np.testing.assert_array_equal(found, given)


def mirrored(view: PeopleViews) -> PeopleViews:
    """What a detector finds in mirrored images: left is right."""
    width = view.camera.size_wh[0]
    swap = [
        H36M_17.index(name.translate(str.maketrans("LR", "RL"))) if name[0] in "LR" else number
        for number, name in enumerate(H36M_17.joint_names)
    ]
    people = tuple(
        replace(
            one, xy=(one.xy * (-1.0, 1.0) + (width - 1.0, 0.0))[:, swap], score=one.score[:, swap],
            covariance=one.covariance[:, swap],
        )
        for one in view.people
    )  # fmt: skip
    return replace(view, people=people)


@pytest.mark.parametrize("number", [0, 2])
def test_a_camera_that_mirrors_its_images_is_named(number):
    views, truth = walk("room3", 1, 8.0)
    views[number] = mirrored(views[number])
    name = truth.rig.names[number]
    with pytest.raises(
        CalibrationError, match=f"camera '{name}'.* only if its images are mirrored.*turn mirroring off"
    ):
        started(views, truth, [0.0, 0.0, 0.0])


def test_of_two_cameras_either_may_mirror():
    views, truth = walk("room2", 2, 8.0)
    with pytest.raises(CalibrationError, match=r"camera 'cam1' or 'cam2': .*mirrored"):
        started([views[0], mirrored(views[1])], truth, [0.0, 0.0])


def test_cameras_that_never_see_a_person_at_once_are_refused_with_the_reason():
    views, truth = walk("room2", 1, 8.0)
    apart = without_overlap(views)
    with pytest.raises(CalibrationError, match=r"'cam2': no person is seen there and by the other cameras at once"):
        started(apart, truth, [0.0, 0.0])


def test_a_camera_that_sees_no_person_is_named():
    views, truth = walk("room2", 1, 4.0)
    empty = replace(views[1], people=tuple(one.select(np.zeros(0, dtype=np.intp)) for one in views[1].people))
    with pytest.raises(CalibrationError, match="'cam2' sees no person for long enough"):
        started([views[0], empty], truth, [0.0, 0.0])


def to_and_fro(seconds: float) -> list[PeopleViews]:
    """A walker whose way repeats itself every 4 s."""
    views = []
    for camera in TWO.cameras:
        people = []
        for frame in range(round(seconds * FPS)):
            xy = project(camera, body_at(frame / FPS))[None]
            score = np.isfinite(xy).all(axis=-1).astype(float)
            spread = np.where((score > 0)[..., None, None], 4.0 * np.eye(2), np.nan)
            people.append(Keypoints2D(xy, score, H36M_17, round(1e9 * frame / FPS), spread))
        views.append(PeopleViews(camera.placed(np.eye(4)), tuple(people)))
    return views


def test_a_motion_that_repeats_itself_has_no_certain_clocks():
    tracks = [follow(one) for one in to_and_fro(16.0)]
    with pytest.raises(CalibrationError, match=r"several offsets of their clocks fit people alike .*--offset"):
        find_start(TWO.names, tracks, None, 6.0)
    assert find_start(TWO.names, tracks, [0.0, 0.0], 6.0).offset_s == (0.0, 0.0)


@pytest.mark.parametrize("seed", [0, 3])
def test_two_people_who_come_in_any_order_are_matched(seed):
    views, truth = walk("room3", 1, 8.0, seed, people=2)
    tracks = [follow(one) for one in views]
    start = find_start(truth.rig.names, tracks, [0.0, 0.0, 0.0], 2.0)
    assert_roughly(start, truth)
    true = []
    for person in start.people:
        who = [
            who_is_who(tracks[view][number], truth.rig.cameras[view], truth)
            for view, numbers in person.items()
            for number in numbers
        ]
        assert len(np.unique(np.concatenate(who))) == 1
        true.append(int(who[0][0]))
    assert set(true) == {0, 1}


def test_mirrored_paths_are_those_of_the_mirror_image():
    views, _ = walk("room2", 1, 3.0)
    (plain,), (back,) = paths(follow(views[0])), paths(follow(views[0]), mirrored=True)
    left, right = NAMES.index("LWrist"), NAMES.index("RWrist")
    np.testing.assert_array_equal(back.xyz[:, left], plain.xyz[:, right] * (-1.0, 1.0, 1.0))
    np.testing.assert_array_equal(
        back.xyz[:, NAMES.index("Nose")], plain.xyz[:, NAMES.index("Nose")] * (-1.0, 1.0, 1.0)
    )


def test_a_camera_agrees_with_a_copy_of_itself_that_was_moved_and_started_later():
    (track,) = follow(walk("room2", 1, 8.0)[0][0])
    step = motion((0.2, -0.5, 0.1), (1.0, 0.5, -2.0))
    other = replace(track, times_s=track.times_s - 1.2, lifted=track.lifted @ step[:3, :3].T + step[:3, 3])
    found = common_motion(paths([track]), paths([other]), np.arange(-20, 21))
    np.testing.assert_allclose(found.a_from_b, np.linalg.inv(step), atol=1e-6)
    assert found.late_s == pytest.approx(1.2)
    assert found.pairs == ((0, 0),)
    assert found.agreeing_s == pytest.approx(8.0, abs=0.2)
    assert (
        common_motion(paths([track]), paths([replace(track, times_s=track.times_s + 20.0)]), np.arange(-2, 3)) is None
    )
