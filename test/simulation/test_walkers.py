"""Films of walking people: what a camera sees is the truth at the moments that its clock means."""

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.simulation.noise_models import DETECTED, GaussianNoise
from pose3d_ros.simulation.replayed_noise import rendered_people
from pose3d_ros.simulation.simulated_rigs import Floor, simulated_rig
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.simulation.walkers import APART_M, Clocks, filmed, span, walkers

RIG = simulated_rig("room3", 0, held_out=True)
FIRST, SECOND, THIRD = RIG.rig.cameras


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("offset_s", "drift_ppm"), [(0.0, 0.0), (0.37, 0.0), (-7.25, 50.0)])
def test_a_film_without_noise_is_the_projection_at_common_time(offset_s, drift_ppm):
    clocks = Clocks({SECOND.name: offset_s}, {SECOND.name: drift_ppm})
    t_s = span(RIG, 6.0, clocks)
    people = walkers(RIG.floor, t_s, rng(), people=2)
    film = filmed(SECOND, people, 6.0, 15.0, GaussianNoise(0.0), rng(1), clocks)
    assert len(film.stamps_ns) == 90
    own = 1e-9 * film.stamps_ns
    common = offset_s + (1.0 + 1e-6 * drift_ppm) * own
    for number, person in enumerate(people):
        px = project(SECOND, to_coco(person.at(common)))
        seen = film.score[:, number] > 0
        assert seen[:, DETECTED].mean() > 0.8
        np.testing.assert_allclose(film.xy[:, number][seen], px[seen], atol=1e-9)
        width, height = SECOND.size_wh
        assert (film.xy[:, number][seen] <= (width - 0.5, height - 0.5)).all()


def test_a_drift_of_50_ppm_is_45_ms_in_a_quarter_of_an_hour():
    clocks = Clocks({}, {SECOND.name: 50.0})
    assert clocks.common_s(SECOND.name, np.array([900.0]))[0] == pytest.approx(900.045)
    assert clocks.common_s(FIRST.name, np.array([900.0]))[0] == 900.0


def test_a_walk_lasts_while_any_camera_films():
    t_s = span(RIG, 10.0, Clocks({SECOND.name: -7.25, THIRD.name: 2.0}))
    assert t_s[0] == -7.25
    assert t_s[-1] == pytest.approx(12.0, abs=0.04)


def test_people_stay_apart():
    one, other = walkers(RIG.floor, np.arange(900) / 30.0, rng(3), people=2)
    assert np.linalg.norm(one.xyz[:, 0, :2] - other.xyz[:, 0, :2], axis=-1).min() >= APART_M


def test_people_walk_on_a_line_or_stand_when_they_should():
    t_s = np.arange(900) / 30.0
    (line,), (still,) = (walkers(RIG.floor, t_s, rng(4), manner=manner) for manner in ("line", "standing"))
    for one, widths in ((line, (0.2, 0.8)), (still, (0.0, 0.0))):
        spread = np.linalg.svd(one.xyz[:, 0, :2] - one.xyz[:, 0, :2].mean(axis=0), compute_uv=False) / np.sqrt(900)
        assert spread[1] < 0.1
        assert widths[0] <= spread[0] <= widths[1] + 0.05


def test_people_are_as_tall_as_the_population():
    short = np.arange(3) / 30.0
    statures = np.array([walkers(RIG.floor, short, rng(seed), manner="standing")[0].stature_m for seed in range(400)])
    assert statures.mean() == pytest.approx(1.69, abs=0.02)
    assert statures.std() == pytest.approx(0.09, abs=0.015)


def test_motion_data_move_people_too():
    motion = generated_motion(1, subjects=2)
    (one,) = walkers(RIG.floor, np.arange(600) / 30.0, rng(5), motion=motion)
    assert len(one.xyz) == 600


def test_noise_is_drawn_again_every_two_seconds():
    people = walkers(RIG.floor, np.arange(1801) / 30.0, rng(6))
    film = filmed(FIRST, people, 60.0, 12.0, rendered_people(), rng(7))
    error = (film.xy - film.true_px)[:, 0, DETECTED] / film.px_per_crop_px[:, :, None]
    first, later = error[:24], error[24:48]
    assert np.nanmedian(np.abs(first - later)) > 0.5
    assert 1.0 < np.nanmedian(np.linalg.norm(error, axis=-1)) < 6.0
    assert film.found.mean() > 0.9


def test_an_unknown_manner_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="cannot be 'flying': use one of walking, line, standing"):
        walkers(RIG.floor, np.arange(3) / 30.0, rng(), manner="flying")


def test_too_many_people_are_refused():
    with pytest.raises(InputError, match="3 people found no room"):
        walkers(Floor((0.0, 0.0), 0.0, 0.05), np.arange(3) / 30.0, rng(), people=3, manner="standing")
