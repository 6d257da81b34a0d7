"""Tables of calibration by people, with a calibration that knows the truth or refuses."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from rendered_people import STARTS, ChangedDetector, made_up_scene, walkers, write_made_up

from pose3d_ros.calibration.people import Clock, PeopleCalibration
from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.evaluation import calibration_clocks, calibration_trials, calibration_unknowns, trials
from pose3d_ros.evaluation.calibration_bench import COLUMNS, CalibrationRequest, described, percent, reasons, summary
from pose3d_ros.evaluation.calibration_tables import TABLES, tables
from pose3d_ros.evaluation.rendered_walks import rendered_walks
from pose3d_ros.evaluation.tables import printed
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.simulation.rendering.scenes import resized
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.skeletons import H36M_17

RIGS = [simulated_rig(family, number, held_out=True).rig for family in calibration_trials.FAMILIES for number in (0, 1)]


def true_rig(views):
    """The rig of which the views are, by its intrinsics; focal lengths as they are."""
    for rig in RIGS:
        if rig.names == tuple(one.camera.name for one in views):
            pairs = list(zip(rig.cameras, views, strict=True))
            if all(np.allclose(camera.K[:2, 2], view.camera.K[:2, 2]) for camera, view in pairs) and all(
                0.79 < view.camera.K[0, 0] / camera.K[0, 0] < 1.21 for camera, view in pairs
            ):
                return rig
    raise AssertionError("no such rig")


def found(rig, clocks=None, findings=()):
    return PeopleCalibration(
        rig, {name: np.eye(6) for name in rig.names}, clocks or {name: Clock() for name in rig.names}, 0.0, 0.0, {},
        findings=findings,
    )  # fmt: skip


def knows_all(views, options):
    """The true rig, where there are enough moments of a person who moves."""
    thorax = np.array([one.xy[0, H36M_17.index("Thorax")] for one in views[0].people if len(one)])
    if len(thorax) < 300 or np.ptp(np.nanpercentile(thorax, (10, 90), axis=0), axis=0).max() < 40.0:
        raise CalibrationError("people move too little: walk through the whole space")
    return found(true_rig(views))


@pytest.fixture
def request_():
    return CalibrationRequest(draws=2)


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setattr(trials, "MATCHING_PEOPLE", 8)
    monkeypatch.setattr(calibration_trials, "calibrate_people", knows_all)
    monkeypatch.setattr(calibration_unknowns, "refine_rig", lambda rig, views, options: knows_all(views, options))
    monkeypatch.setattr(calibration_clocks, "OFFSET_MINUTE_S", 3.0)
    monkeypatch.setattr(calibration_clocks, "DRIFT_S", 6.0)
    monkeypatch.setattr(calibration_clocks, "CLOCK_FAMILIES", ("room2",))
    monkeypatch.setattr(calibration_unknowns, "FOCAL_FAMILIES", ("room3",))
    monkeypatch.setattr(
        calibration_clocks,
        "recording_clocks",
        lambda views, rig, options: {one.camera.name: Clock(offset_std_s=0.1) for one in views},
    )


def rows(request, name):
    (table,) = tables(replace(request, only=(name,)))
    assert f"### {name}: " in printed(table)
    assert len(set(table.columns)) == len(table.columns)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_a_calibration_that_knows_the_truth_has_no_errors():
    made = rows(CalibrationRequest(draws=2, rigs=("room2",)), "rigs")
    assert [(row["rig"], row["noise"], row["scale"]) for row in made] == [
        ("room2", noise, scale) for noise in "abc" for scale in ("stature", "population")
    ]
    for row in made:
        assert (row["n"], row["solved %"], row["wrong %"], row["in 95 % region, %"]) == (2, 100.0, 0.0, 100.0)
        for name in ("place %", "rotation p90", "tilt deg", "height mm", "scale p90"):
            assert row[name] == pytest.approx(0.0, abs=1e-5)


def test_people_are_two_in_their_table():
    assert [row["rig"] for row in rows(CalibrationRequest(draws=1, rigs=("room2",)), "people")] == ["room2"]


def test_refusals_are_counted_with_their_reasons():
    by_kind = {(row["recording"], row["rig"]): row for row in rows(CalibrationRequest(draws=1), "refused")}
    assert by_kind["standing still", "h36m"]["solved %"] == 0.0
    assert by_kind["standing still", "h36m"]["reasons"] == "1 x people move too little"
    assert by_kind["standing still", "h36m"]["refused though right %"] == 0.0
    assert np.isnan(by_kind["standing still", "h36m"]["place %"])
    assert by_kind["no moment in common", "room2"]["solved %"] == 0.0
    assert by_kind["3 s in all", "room2"]["solved %"] == 0.0
    assert by_kind["one straight line", "h36m"]["solved %"] == 100.0


def test_a_fault_is_a_refusal(monkeypatch):
    rig = RIGS[0]
    monkeypatch.setattr(
        calibration_trials, "calibrate_people", lambda views, options: found(rig, findings=(Finding(True, "mirror"),))
    )
    recording = CalibrationRequest().trials.recording("h36m", "a", 0, seconds=1.0)
    outcome = calibration_trials.attempt(recording, calibration_trials.known_stature(recording))
    assert outcome.found is None
    assert outcome.reason == "mirror"
    assert described(outcome).startswith(
        "h36m-S9, noise (a): refused after 0 s, off by 0.00 %, 0.00 deg, tilt 0.00 deg"
    )
    assert described(outcome).endswith("; mirror")
    cells = dict(zip(COLUMNS, summary([outcome]), strict=True))
    assert cells["refused though right %"] == 100.0


def test_wrong_focal_lengths_are_given_and_counted(request_):
    made = {(row["rig"], row["focal given"], row["and"]): row for row in rows(request_, "focal")}
    assert made["room3", "x 0.8", "free"]["focal error %"] == pytest.approx(0.0, abs=1e-9)
    assert made["room3", "x 0.8", "free"]["to 3 % or refused, %"] == 100.0
    recording = CalibrationRequest().trials.recording("h36m", "a", 0, seconds=1.0)
    wrong = recording.with_cameras(calibration_trials.refocused(0.8))
    assert wrong.views[0].camera.K[0, 0] == pytest.approx(0.8 * recording.views[0].camera.K[0, 0])


def test_clocks_that_are_not_found_are_off_by_their_offset(request_):
    made = rows(request_, "clocks")
    assert {row["extrinsics"] for row in made} == {"known", "unknown"}
    for row in made:
        assert row["error ms"] == pytest.approx(1000.0 * abs(float(row["offset s"])))
        assert row["within 5 ms, %"] == 0.0
        assert row["inside 2 std, %"] == 0.0
    for row in rows(request_, "drift"):
        assert row["largest"] == pytest.approx(1000.0 * (0.37 + 50e-6 * 6.0), abs=0.1)


def test_refined_rigs_are_next_to_what_they_were():
    before, after = rows(CalibrationRequest(draws=2, rigs=("room2",)), "refined")
    assert 0.5 <= before["rotation deg"] <= 1.5
    assert (after["cameras"], after["n"]) == ("refined", 2)
    assert after["rotation p90"] == pytest.approx(0.0, abs=1e-5)


def test_rendered_scenes_have_their_table_and_are_synchronised_too(tmp_path):
    small = resized(simulated_rig("room2", 0, held_out=True), 64)
    scene = made_up_scene(small.rig, walkers(STARTS), tmp_path / "scene_000")
    write_made_up(scene)
    request = CalibrationRequest(draws=1, rendered=rendered_walks([tmp_path], "auto", lambda: ChangedDetector([scene])))
    stature, population = rows(request, "rendered")
    assert (stature["scale"], population["scale"]) == ("stature", "population")
    assert stature["reasons"] == "1 x people move too little"
    assert len([row for row in rows(request, "clocks") if row["rig"].endswith("scene_000")]) == 6


def test_a_recording_is_the_same_every_time_and_another_with_another_seed():
    one, again, other = (
        CalibrationRequest(seed=seed).trials.recording("room2", "c", 1, seconds=1.0) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.views[0].people[3].xy, again.views[0].people[3].xy)
    assert not np.array_equal(one.views[0].people[3].xy, other.views[0].people[3].xy, equal_nan=True)
    assert one.truth.rig.calibration_hash == RIGS[3].calibration_hash


def test_unknown_and_impossible_tables_are_refused():
    with pytest.raises(InputError, match="there is no table lines: use rigs, people, refused, focal, clocks, drift"):
        next(tables(CalibrationRequest(only=("lines",))))
    with pytest.raises(InputError, match="give --rendered DIR"):
        next(tables(CalibrationRequest(only=("rendered",))))
    with pytest.raises(InputError, match="there is no rig room9: use h36m, room2, room3, room4"):
        CalibrationRequest(rigs=("room9",))
    with pytest.raises(InputError, match="there is no noise d: use a, b, c"):
        CalibrationRequest(noises=("d",))
    assert list(TABLES)[-1] == "rendered"
    assert np.isnan(percent([]))


def test_reasons_are_counted_without_cameras_and_numbers():
    recording = CalibrationRequest().trials.recording("room2", "a", 0, seconds=1.0)
    texts = ["camera 'cam1': 3 of 9 moments", "camera 'cam2': 12 of 30 moments: walk", "people stand still: walk"]
    outcomes = [calibration_trials.Outcome(recording, None, None, text, 0.0) for text in texts]
    assert reasons(outcomes) == "2 x # of # moments; 1 x people stand still"


def test_several_processes_give_what_one_gives(capsys):
    """Tasks are sent to them, so all that they need can be."""
    calls = [(number, -number) for number in range(5)]
    one, many = (CalibrationRequest(jobs=jobs, each=True).done("max", max, calls, str) for jobs in (1, 2))
    assert one == many == [0, 1, 2, 3, 4]
    assert "max: 4" in capsys.readouterr().err
    recording = CalibrationRequest().trials.recording("room2", "a", 0, seconds=1.0)
    assert pickle.loads(pickle.dumps(recording)).truth.statures_m == recording.truth.statures_m
