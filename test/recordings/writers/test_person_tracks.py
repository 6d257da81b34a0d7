"""People on an even grid of time."""

from __future__ import annotations

import numpy as np
import pytest
from people_poses import pose_of

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.writers.person_tracks import person_tracks
from pose3d_ros.structures import PersonState


def test_track_reaches_from_first_to_last_sight_with_nan_between() -> None:
    poses = [pose_of(n, ["1", "7"] if n in (3, 5) else ["1"]) for n in range(8) if n != 4]
    one, seven = person_tracks(iter(poses))
    assert (one.person, one.first, one.xyz.shape) == ("1", 0, (8, 17, 3))
    assert np.isnan(one.xyz[4]).all()
    np.testing.assert_array_equal(one.xyz[3], poses[3].xyz[0])
    assert (seven.person, seven.first, seven.start_s) == ("7", 3, pytest.approx(0.1))
    np.testing.assert_array_equal(seven.xyz[2], poses[4].xyz[1])
    assert np.isnan(seven.xyz[1]).all()


def test_invisible_person_is_not_written() -> None:
    poses = [pose_of(n, ["1", "2"], states=[PersonState.VISIBLE, PersonState.LOST]) for n in range(3)]
    assert [track.person for track in person_tracks(poses)] == ["1"]


def test_no_people_give_no_track() -> None:
    assert list(person_tracks([])) == []
    assert list(person_tracks([pose_of(0, [])])) == []


def test_stamps_that_do_not_rise_are_rejected() -> None:
    with pytest.raises(InputError, match="they must rise"):
        list(person_tracks([pose_of(1, ["1"]), pose_of(0, ["1"])]))
