"""Calibration by people against the truth of simulated walkers; fewer moments than usual, so that it takes seconds."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_walks import crouching_films, motion, refocused, walk, with_motion

from pose3d_ros.calibration import people, people_scene
from pose3d_ros.calibration.people import PeopleOptions, calibrate_people, recording_clocks, refine_rig
from pose3d_ros.calibration.people_metric import ADULT_M
from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.evaluation.calibration_errors import calibration_errors, clock_errors_ms, distances, rig_errors
from pose3d_ros.evaluation.walking_people import people_views, simulate_walkers
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Rig

SECONDS, MOMENTS = 16.0, 80
TOGETHER = PeopleOptions(offsets_s={})


@pytest.fixture(scope="module", autouse=True)
def few_moments():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(people_scene, "MOST_MOMENTS", MOMENTS)
        yield


def faults(found) -> list[str]:
    return [finding.text for finding in found.findings if finding.fault]


@pytest.fixture(scope="module")
def three():
    """One walker before three cameras, the second one late, with what was found: the stature given."""
    views, truth = walk("room3", 1, SECONDS, 2)
    return views, truth, calibrate_people(views, PeopleOptions(stature_m=truth.statures_m[0], offsets_s={}))


def test_one_walker_gives_the_rig_the_floor_and_the_scale(three):
    _, truth, found = three
    errors = calibration_errors(found, truth, SECONDS)
    assert faults(found) == []
    assert errors.place.max() < 0.01
    assert errors.rotation_deg.max() < 0.5
    assert errors.tilt_deg < 1.0
    assert abs(errors.scale) < 0.02
    assert abs(errors.height_m) < 0.06
    assert found.rig.frame_id == "floor"
    first = found.rig.cameras[0]
    np.testing.assert_allclose(first.centre[:2], 0.0, atol=1e-9)
    assert first.cam_from_world[2, 0] > 0
    assert first.cam_from_world[2, 1] == pytest.approx(0.0, abs=1e-9)
    assert found.statures_m == pytest.approx(truth.statures_m)
    ankles = found.xyz[:, [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")], 2].min(axis=1)
    assert np.nanmedian(ankles) == pytest.approx(0.09, abs=0.04)


def test_errors_are_those_that_the_covariance_expects(three):
    _, truth, found = three
    squared = [*calibration_errors(found, truth, SECONDS).squared]
    for seed in (5, 6):
        views, other = walk("room3", seed, SECONDS, seed)
        tall = PeopleOptions(stature_m=other.statures_m[0], offsets_s={})
        squared += [*calibration_errors(calibrate_people(views, tall), other, SECONDS).squared]
    # Of six numbers each; wide, as there are few.
    assert 0.3 < np.mean(squared) < 14.0
    assert np.max(squared) < 40.0


def test_scale_is_by_a_distance_or_the_population(three):
    views, truth, by_stature = three
    a, b = truth.rig.names[:2]
    apart = float(np.linalg.norm(truth.rig.cameras[0].centre - truth.rig.cameras[1].centre))
    found = calibrate_people(views, PeopleOptions(distance=(a, b, apart), offsets_s={}, focal=False))
    between = np.linalg.norm(found.rig.cameras[0].centre - found.rig.cameras[1].centre)
    assert between == pytest.approx(apart, rel=1e-6)
    assert found.scale_std == 0.0
    assert abs(calibration_errors(found, truth, SECONDS).scale) < 0.01
    # Against the first camera the distance is exact, so the covariance of the second has no length along it.
    away = found.rig.cameras[1].cam_from_world @ np.linalg.inv(found.rig.cameras[0].cam_from_world)
    along = away[:3, 3] / np.linalg.norm(away[:3, 3])
    spread = found.covariance[b][3:, 3:]
    assert along @ spread @ along < 1e-3 * np.trace(spread)
    assert by_stature.scale_std > 0.0


def test_without_a_measure_people_are_as_tall_as_adults():
    views, truth = walk("room2", 1, SECONDS, 4)
    found = calibrate_people(views, TOGETHER)
    assert found.statures_m == pytest.approx((ADULT_M,), rel=1e-6)
    assert 0.05 < found.scale_std < 0.07
    expected = ADULT_M / truth.statures_m[0] - 1.0
    assert calibration_errors(found, truth, SECONDS).scale == pytest.approx(expected, abs=0.04)


def test_clocks_with_an_offset_and_a_drift_are_found_to_5_ms(monkeypatch):
    """80 ppm are 24 ms in 5 minutes."""
    monkeypatch.setattr(people_scene, "MOST_OF_DRIFT", 160)
    one, seconds, rng = simulated_rig("room2", 1, held_out=True), 300.0, np.random.default_rng(1)
    clocks = {"offsets_s": {"cam2": 0.37}, "drift_ppm": {"cam2": 80.0}}
    views, truth = simulate_walkers(one, seconds, 6.0, GaussianNoise(1.0), rng, **clocks)
    found = recording_clocks(views, truth.rig, PeopleOptions(drift=True, max_offset_s=1.0))
    assert clock_errors_ms(found, truth, seconds).max() < 5.0
    assert abs(found["cam2"].drift_ppm - 80.0) < 3.0 * found["cam2"].drift_std_ppm < 90.0
    assert abs(found["cam2"].offset_s - 0.37) < 3.0 * found["cam2"].offset_std_s < 0.03
    assert found["cam1"].offset_s == found["cam1"].drift_ppm == 0.0


def test_an_offset_is_found_with_and_without_a_rig():
    views, truth = walk("room2", 1, 20.0, 1, offsets_s={"cam2": -0.63})
    for rig in (truth.rig, None):
        found = recording_clocks(views, rig, PeopleOptions(max_offset_s=1.5))
        assert clock_errors_ms(found, truth, 20.0).max() < 5.0
        assert 0.0 < found["cam2"].offset_std_s < 0.01


def test_a_wrong_focal_length_is_a_fault_that_names_the_camera_and_is_found_where_it_is_a_guess():
    views, truth = walk("room3", 1, SECONDS, 3)
    views = [refocused(view, 1.2 if view.camera.name == "cam2" else 1.0) for view in views]
    wrong = calibrate_people(views, TOGETHER)
    named = [finding for finding in wrong.findings if finding.fault and "focal length" in finding.text]
    assert [finding.camera for finding in named] == ["cam2"]
    assert "not" in named[0].text
    assert wrong.focal_std == {}
    free = calibrate_people(views, replace(TOGETHER, focal=True))
    for camera in free.rig.cameras:
        ratio = camera.K[0, 0] / truth.rig.camera(camera.name).K[0, 0]
        assert ratio == pytest.approx(1.0, abs=0.03), camera.name
        assert 0.0 < free.focal_std[camera.name] < 0.05


def test_standing_still_is_refused_with_what_to_do():
    views, _ = walk("room2", 1, SECONDS, 0, manner="standing")
    found = calibrate_people(views, TOGETHER)
    assert any("people hardly move" in text and "walk through the whole space" in text for text in faults(found))
    with pytest.raises(CalibrationError, match=r"move too little|several offsets"):
        recording_clocks(views)


def test_two_people_are_two_statures(monkeypatch):
    monkeypatch.setattr(people_scene, "MOST_MOMENTS", 160)
    views, truth = walk("room2", 1, SECONDS, 0, people=2)
    found = calibrate_people(views, PeopleOptions(stature_m=max(truth.statures_m), offsets_s={}))
    errors = calibration_errors(found, truth, SECONDS)
    assert (errors.place.max(), errors.rotation_deg.max()) < (0.01, 0.5)
    assert sorted(found.statures_m) == pytest.approx(sorted(truth.statures_m), abs=0.04)


def test_without_an_upright_person_the_frame_is_the_first_camera_s_and_a_warning_names_the_fix():
    films, truth = crouching_films("room3", 1, SECONDS)
    views = [people_views(film, np.random.default_rng(0)) for film in films]
    found = calibrate_people(views, TOGETHER)
    assert found.rig.frame_id == "cam1_optical"
    np.testing.assert_allclose(found.rig.cameras[0].cam_from_world, np.eye(4), atol=1e-12)
    assert np.isnan(found.tilt_std_rad)
    assert found.statures_m == ()
    (warning,) = [one for one in found.findings if "floor" in one.text]
    assert not warning.fault
    assert "the frame is cam1_optical" in warning.text
    assert "pose3d calibrate align" in warning.text
    errors = calibration_errors(found, truth, SECONDS)
    assert errors.place.max() < 0.03
    assert errors.rotation_deg.max() < 1.5
    # The stature fixes the scale by the legs' lengths.
    assert found.scale_std == pytest.approx(0.08)
    tall = calibrate_people(views, PeopleOptions(stature_m=2.0, offsets_s={}))
    assert tall.rig.cameras[1].centre == pytest.approx(2.0 / ADULT_M * found.rig.cameras[1].centre)
    true = calibrate_people(views, PeopleOptions(stature_m=truth.statures_m[0], offsets_s={}))
    assert abs(calibration_errors(true, truth, SECONDS).scale) < 0.08


def test_a_turned_camera_of_a_rig_is_turned_back_and_the_frame_stays():
    views, truth = walk("room3", 1, SECONDS, 5, sigma_px=1.0)
    world = motion((0.1, 0.2, 0.9), (3.0, -2.0, 0.5))
    true = Rig(tuple(one.placed(one.cam_from_world @ world) for one in truth.rig.cameras), "base_link")
    rig = with_motion(true, "cam2", motion((0.0, np.deg2rad(1.0), 0.0)))
    found = refine_rig(rig, views)
    assert found.rig.frame_id == "base_link"
    assert faults(found) == []
    before, after = (rig_errors(one, true, distances(truth)) for one in (rig, found.rig))
    assert before[1].max() == pytest.approx(1.0)
    # The gauge: a third of what one of three cameras was turned by stays in the frame.
    assert after[1].max() < 0.35
    errors = calibration_errors(found, truth, SECONDS)
    assert errors.rotation_deg.max() < 0.25
    assert errors.unscaled.max() < 0.02
    assert found.scale_std == 0.0


def test_an_exact_rig_hardly_moves():
    views, truth = walk("room3", 1, SECONDS, 6)
    found = refine_rig(truth.rig, views)
    assert found.rig.frame_id == truth.rig.frame_id
    errors = calibration_errors(found, truth, SECONDS)
    for view, camera in enumerate(found.rig.cameras[1:]):
        std = np.sqrt(np.diag(found.covariance[camera.name]))
        assert errors.rotation_deg[view] < 3.0 * np.rad2deg(np.linalg.norm(std[:3]))
    place, turned = rig_errors(found.rig, truth.rig, distances(truth))
    assert place.max() < 0.01
    assert turned.max() < 0.3


def test_a_rig_is_refined_also_where_people_are_joined_otherwise_by_the_rig_than_by_what_is_found(monkeypatch):
    views, truth = walk("room3", 1, SECONDS, 5, people=2)
    joined = []

    def only_one_person_at_first(cameras, clocks, tracks, start):
        joined.append(start)
        return replace(start, people=start.people[:1]) if len(joined) == 1 else start

    monkeypatch.setattr(people, "regrouped", only_one_person_at_first)
    found = refine_rig(truth.rig, views)
    assert joined
    assert rig_errors(found.rig, truth.rig, distances(truth))[1].max() < 0.4


def test_what_is_not_there_is_refused_by_name():
    views, truth = walk("room2", 1, 2.0)
    with pytest.raises(InputError, match="two cameras or more of different names, got cam1"):
        calibrate_people(views[:1])
    with pytest.raises(InputError, match="got cam1, cam1"):
        calibrate_people([views[0], views[0]])
    with pytest.raises(InputError, match="got none"):
        recording_clocks([])
    for options in (PeopleOptions(distance=("cam1", "cam9", 2.0)), PeopleOptions(offsets_s={"cam9": 1.0})):
        with pytest.raises(InputError, match="of camera 'cam9', but there are only cam1, cam2"):
            calibrate_people(views, options)
    other = replace(views[1], camera=replace(views[1].camera, name="door"))
    for calibrate in (lambda: refine_rig(truth.rig, [views[0], other]), lambda: recording_clocks([other], truth.rig)):
        with pytest.raises(InputError, match="the rig has no camera 'door'"):
            calibrate()
    with pytest.raises(CalibrationError, match="sees no person"):
        calibrate_people([replace(view, people=()) for view in views], TOGETHER)
