"""Walks: as long as wanted, continuous, within their area, on bodies that keep their lengths."""

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.stick_figure import drawn_person
from pose3d_ros.mocap.walks import FPS, moments, standing, walk
from pose3d_ros.skeletons import H36M_17

AREA_M = 1.2


def bone_lengths(xyz):
    parents, children = np.array(H36M_17.bones).T
    return np.linalg.norm(xyz[:, children] - xyz[:, parents], axis=-1)


def person_of(seed, stature=(1.52, 1.87)):
    return drawn_person(np.random.default_rng(seed), stature)


def walked(seed, seconds=30.0, **options):
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(seed + 100).uniform(-AREA_M / 2, AREA_M / 2, (500, 2))
    return walk(person_of(seed), moments(0.0, seconds), rng, lambda n: tuple(places[n].tolist()), **options)


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_is_a_body_in_continuous_motion_within_its_area(seed):
    one = walked(seed)
    assert np.ptp(bone_lengths(one.xyz), axis=0).max() < 1e-9
    speeds = np.linalg.norm(np.diff(one.xyz, axis=0), axis=-1) * FPS
    assert speeds.max() < 6
    assert one.xyz[..., 2].min() > 0.03
    assert np.abs(one.xyz[:, 0, :2]).max() < AREA_M / 2 + 0.6  # a seat is behind the feet
    assert np.ptp(one.xyz[:, 0, :2], axis=0).min() > 0.3


def test_people_stop_to_use_their_hands_and_to_sit_down():
    xyz = np.concatenate([walked(seed, 60.0).xyz for seed in range(4)])
    wrists = xyz[:, [H36M_17.index("LWrist"), H36M_17.index("RWrist")], 2]
    assert (wrists > xyz[:, [H36M_17.index("HeadTop")], 2]).any()
    assert wrists.min() < 0.5
    assert xyz[:, 0, 2].min() < 0.6
    without = np.concatenate([walked(seed, 60.0, stops=False).xyz for seed in range(4)])
    assert without[:, 0, 2].min() > 0.7


def test_feet_on_the_floor_do_not_slide():
    one = walked(3)
    feet = one.xyz[:, [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")]]
    down = (feet[1:, :, 2] < 0.0801) & (feet[:-1, :, 2] < 0.0801)
    assert down.mean() > 0.3
    sliding = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1)[down] * FPS
    assert np.percentile(sliding, 90) < 0.01  # m/s
    assert sliding.max() < 0.5  # where a person stops amid a step


def test_between_its_moments_a_walk_is_where_the_formulas_have_it():
    person, places = person_of(1), np.random.default_rng(5).uniform(-0.6, 0.6, (500, 2))
    coarse, fine = (
        walk(person, t, np.random.default_rng(2), lambda n: tuple(places[n].tolist()), stops=False)
        for t in (moments(0.0, 20.0), np.arange(20 * 4 * int(FPS) + 1) / (4 * FPS))
    )
    miss = np.linalg.norm(coarse.at(fine.t_s) - fine.xyz, axis=-1)
    assert np.percentile(miss, 99) < 0.001
    assert miss.max() < 0.01  # a foot that is put down


def test_people_give_way_to_others():
    one = walked(0, 60.0)
    apart, ignoring = [], []
    for seed in range(5):
        for others, least in (([one], apart), ([], ignoring)):
            other = walked(seed + 20, 60.0, others=others)
            least.append(np.linalg.norm(one.xyz[:, 0, :2] - other.xyz[:, 0, :2], axis=-1).min())
    assert np.median(apart) > np.median(ignoring) + 0.2


def test_standing_people_sway_in_one_place_and_are_as_tall_as_they_should_be():
    person = person_of(4, (1.7, 1.7))
    one = standing(person, moments(0.0, 20.0), np.random.default_rng(0), (0.3, -0.2))
    assert one.stature_m == pytest.approx(1.7)
    assert one.xyz[:, H36M_17.index("HeadTop"), 2].max() == pytest.approx(1.7, abs=0.04)
    assert np.linalg.norm(one.xyz[:, 0, :2] - (0.3, -0.2), axis=-1).max() < 0.1
    assert 0.001 < np.ptp(one.xyz[:, H36M_17.index("LWrist")], axis=0).max() < 0.3


def test_the_same_seed_gives_the_same_walk():
    assert walked(2, 5.0).xyz.tobytes() == walked(2, 5.0).xyz.tobytes()
    assert np.abs(walked(2, 5.0).xyz - walked(3, 5.0).xyz).max() > 0.05


def test_times_outside_of_a_walk_are_refused():
    one = walked(0, 2.0)
    assert one.t_s[0] == 0.0
    assert one.t_s[-1] >= 2.0
    with pytest.raises(InputError, match=r"a walk lasts from 0\.000 to 2\.000 s, not -0\.100 to 1\.000"):
        one.at(np.array([-0.1, 1.0]))
