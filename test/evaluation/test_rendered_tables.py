"""The tables' figures for made-up scenes, by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rendered_people import (
    FPS,
    FRAMES,
    OPTIONS,
    STARTS,
    assert_true,
    by_row,
    changed,
    evaluated,
    hidden,
    joined,
    made_up_scene,
    moved,
    published,
    walkers,
)
from synthetic_people import h36m_rig
from trained_for_tests import biased

from pose3d_ros.evaluation import chain_tables, detector_tables, evaluated_scenes, rendered_tables
from pose3d_ros.evaluation.rendered import (
    true_detections,
)
from pose3d_ros.evaluation.tables import as_json, printed
from pose3d_ros.simulation.detector_residuals import BODY, Residuals
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import FrameSet, PersonState
from pose3d_ros.training.rendered_people import Detected, size_px, true_points


def test_the_keypoint_table_shows_a_known_offset_in_percent_of_the_size(scene):
    """5 % of the size to the right: 5.00 in the median's and 90th percentile's columns, none is far."""
    size = size_px(true_points(scene))

    def of(moment, view, found):
        return moved(found, np.stack([0.05 * size[view, moment], np.zeros(2)], axis=-1)[:, None])

    table = detector_tables.keypoint_table([evaluated(scene, changed(true_detections(scene), of))])
    rows = by_row(table)
    for name in ("nose", "wrist", "ankle", "all"):
        assert rows[name]["median %"] == pytest.approx(5.0, abs=1e-9)
        assert rows[name]["90th %"] == pytest.approx(5.0, abs=1e-9)
        assert rows[name]["> 10 %, %"] == 0.0
        assert rows[name]["from joint, median %"] == pytest.approx(5.0, abs=1e-9)
        assert rows[name]["score"] == 1.0
    assert rows["nose"]["visible"] == 4 * FRAMES * 2
    assert rows["wrist"]["visible"] == 2 * 4 * FRAMES * 2


def test_the_keypoint_table_keeps_hidden_joints_apart(scene):
    """Wrists behind the body are off by 8 %, ankles behind furniture by 12 %, the others by nothing."""
    size = size_px(true_points(scene))
    wrists, ankles = ([n for n, name in enumerate(COCO_17.joint_names) if part in name] for part in ("Wrist", "Ankle"))

    def of(moment, view, found):
        by = np.zeros((2, 17, 2))
        by[:, wrists, 0], by[:, ankles, 0] = 0.08 * size[view, moment, :, None], 0.12 * size[view, moment, :, None]
        return moved(found, by)

    detected = changed(true_detections(scene), of)
    visibility = scene.truth.visibility.copy()
    visibility[..., wrists], visibility[..., ankles] = Visibility.SELF_OCCLUDED, Visibility.OCCLUDED
    rows = by_row(detector_tables.keypoint_table([evaluated(hidden(scene, visibility), detected)]))
    assert rows["wrist"]["visible"] == rows["ankle"]["visible"] == 0
    assert rows["wrist"]["behind body %"] == pytest.approx(8.0)
    assert rows["ankle"]["behind others %"] == pytest.approx(12.0)
    assert rows["all"]["median %"] == pytest.approx(0.0, abs=1e-9)


def test_ellipses_of_gaussian_errors_hold_their_share():
    scene = made_up_scene(h36m_rig(), walkers([(-0.8, -0.4)], 60))
    rng = np.random.default_rng(0)
    covariance = np.array([[9.0, 4.0], [4.0, 16.0]])

    def of(moment, view, found):
        error = rng.multivariate_normal((0.0, 0.0), covariance, found.xy.shape[:2])
        return replace(moved(found, error), covariance=np.broadcast_to(covariance, (*found.xy.shape, 2)))

    done = [evaluated(scene, changed(true_detections(scene), of))]
    rows = by_row(detector_tables.keypoint_table(done))
    assert rows["all"]["in ellipse %"] == pytest.approx(95.0, abs=2.0)
    scores = by_row(detector_tables.score_table(done))
    assert scores["0.8 to 1.0"]["in ellipse %"] == pytest.approx(95.0, abs=2.0)
    assert scores["0.8 to 1.0"]["keypoints"] == 4 * 60 * 17
    assert scores["0.2 to 0.3"]["keypoints"] == 0


def test_ellipsoids_of_gaussian_errors_hold_their_share():
    scene = made_up_scene(h36m_rig(), walkers([(-0.8, -0.4)], 60))
    xyz = scene.truth.joints_m + np.random.default_rng(0).normal(scale=0.02, size=scene.truth.joints_m.shape)
    done = evaluated(scene, true_detections(scene), published(scene, xyz, [["1"]] * 60, std_m=0.02))
    rows = by_row(chain_tables.stage_table([replace(done, options=replace(OPTIONS, monocular_fallback="auto"))]))
    whole = rows["the whole chain, refine none"]
    assert whole["in ellipsoid %"] == pytest.approx(95.0, abs=2.0)
    assert whole["mean mm"] == pytest.approx(20.0 * np.sqrt(8.0 / np.pi), rel=0.05)  # of Maxwell's distribution
    assert whole["published %"] == 100.0
    assert whole["joints"] == 60 * GIVEN.sum()
    for name in ("COCO points without error", "detected, association known", "detected"):
        assert rows[name]["median mm"] < 1.0
        assert rows[name]["published %"] == 100.0
    assert rows["one camera"]["joints"] > 0


def test_the_people_table_counts_people_by_how_much_is_shown(scene):
    visibility = scene.truth.visibility.copy()
    visibility[:, :, 0, :9] = Visibility.OCCLUDED  # 8 of 17 points are shown: 47 %
    detected = changed(true_detections(scene), lambda t, view, found: found.select([1]) if view < 2 else found)
    rows = by_row(detector_tables.people_table([evaluated(hidden(scene, visibility), detected)]))
    images = 4 * FRAMES
    assert (rows["25 to 50 %"]["people"], rows["25 to 50 %"]["found %"]) == (images, 50.0)
    assert (rows["all points"]["people"], rows["all points"]["found %"]) == (images, 100.0)
    assert rows["0 to 25 %"]["people"] == 0


def test_the_people_table_reports_false_detections(scene):
    def of(moment, view, found):
        return joined(found, moved(found.select([0]), np.array([0.0, 3000.0])))

    table = detector_tables.people_table([evaluated(scene, changed(true_detections(scene), of))])
    assert f"{4 * FRAMES} detections in {4 * FRAMES} images are of no person" in table.note


def residuals(off_px: float, missed: tuple[str, ...] = ()) -> Residuals:
    """One person before one camera for four moments, all joints off by as much; some are missed at the first."""
    error, score = np.zeros((1, 4, len(BODY), 2)), np.full((1, 4, len(BODY)), 0.8)
    error[..., 0] = off_px
    for name in missed:
        error[:, 0, BODY.index(name)], score[:, 0, BODY.index(name)] = np.nan, 0.0
    return Residuals(error, score, score < 0, FPS, (("1", "c1"),), {}, 1.0, 4.0)


def test_reality_shows_errors_and_misses_of_both_by_joint(scene, monkeypatch):
    """Footage: 3 px, a left wrist missed in one of four moments; rendered: 6 px."""
    monkeypatch.setattr(detector_tables, "read", lambda folder: "footage")
    monkeypatch.setattr(
        detector_tables, "residuals_of", lambda one: residuals(3.0, ("LWrist",)) if one == "footage" else residuals(6.0)
    )
    table = detector_tables.reality_table([evaluated(scene, [])], [Path("footage")])
    rows = by_row(table)
    assert (rows["wrist"]["footage, median"], rows["wrist"]["rendered, median"]) == (3.0, 6.0)
    assert rows["wrist"]["median: change %"] == 100.0
    assert (rows["wrist"]["footage, missed %"], rows["wrist"]["rendered, missed %"]) == (12.5, 0.0)
    assert rows["knee"]["footage, missed %"] == 0.0
    panels = table.plots["reality"].series
    assert list(panels) == list(rows)
    px, within = panels["wrist"]["footage"]
    np.testing.assert_allclose(within, np.where(px < 3.0, 0.0, 87.5))
    px, within = panels["wrist"]["rendered"]
    np.testing.assert_allclose(within, np.where(px < 6.0, 0.0, 100.0))


def identities(scene: RenderedScene, ids) -> dict[str, object]:
    done = evaluated(scene, true_detections(scene), published(scene, scene.truth.joints_m, ids))
    return by_row(chain_tables.identity_table([done]))["the whole chain"]


def test_lasting_ids_are_perfect(scene):
    cells = identities(scene, [["1", "2"]] * FRAMES)
    assert (cells["people"], cells["moments"], cells["IDF1"], cells["switches"]) == (2, FRAMES, 1.0, 0)


def test_switched_ids_are_counted(scene):
    """After 6 of 8 moments two people exchange their ids: 12 of 16 are right, one switch each."""
    cells = identities(scene, [["1", "2"]] * 6 + [["2", "1"]] * 2)
    assert cells["switches"] == 2
    assert cells["IDF1"] == pytest.approx(12 / 16)


def test_an_id_that_comes_back_after_a_gap_is_no_switch(scene):
    cells = identities(scene, [["1", "2"]] * 3 + [["", "2"]] * 2 + [["1", "2"]] * 3)
    assert cells["switches"] == 0
    assert cells["IDF1"] == pytest.approx(2 * 14 / (16 + 14))


def test_people_published_though_hardly_shown_do_not_pass_a_perfect_score(scene):
    visibility = scene.truth.visibility.copy()
    visibility[1:, :, 1] = Visibility.OCCLUDED
    cells = identities(hidden(scene, visibility), [["1", "2"]] * FRAMES)
    assert cells["IDF1"] == 1.0


def test_the_age_of_people_published_though_no_camera_shows_them_is_counted(scene):
    """The second person is hidden from moment 2 on and published up to moment 5: 4 moments, the last 4 / 12 s old."""
    visibility = scene.truth.visibility.copy()
    visibility[:, 2:, 1] = Visibility.OCCLUDED
    cells = identities(hidden(scene, visibility), [["1", "2"]] * 6 + [["1", ""]] * 2)
    assert cells["unseen %"] == pytest.approx(100 * 4 / 14)
    assert cells["unseen for s"] == pytest.approx(4 / FPS)
    assert (cells["predicted"], cells["predicted for s"]) == (0, 0.0)


def test_people_who_are_predicted_are_no_published_ones_and_their_age_is_counted(scene):
    poses = published(scene, scene.truth.joints_m, [["1", "2"]] * FRAMES)
    lost = [PersonState.VISIBLE, PersonState.OCCLUDED], [0.0, 0.25]
    poses[-1] = replace(poses[-1], state=np.array(lost[0], np.uint8), age_s=np.array(lost[1]))
    cells = by_row(chain_tables.identity_table([evaluated(scene, true_detections(scene), poses)]))["the whole chain"]
    assert (cells["predicted"], cells["predicted for s"]) == (1, 0.25)
    assert cells["unseen for s"] == 0.0
    assert cells["IDF1"] == pytest.approx(2 * 15 / (16 + 15))


def test_groups_keep_statures_and_distances_apart(scene):
    """The first person is off by 30 mm and short, the second by nothing and tall."""
    xyz = scene.truth.joints_m.copy()
    xyz[:, 0, :, 2] += 0.03
    one = replace(scene, truth=replace(scene.truth, stature_m=np.array([1.4, 1.9])))
    done = evaluated(one, true_detections(one), published(one, xyz, [["1", "2"]] * FRAMES))
    rows = by_row(chain_tables.group_table([done]))
    assert rows["stature 0 to 1.5 m"]["mean mm"] == pytest.approx(30.0)
    assert rows["stature 1.8 to 3 m"]["mean mm"] == pytest.approx(0.0, abs=1e-9)
    assert rows["cameras 4 to 5"]["mean mm"] == pytest.approx(15.0)
    assert rows["cameras 4 to 5"]["published %"] == 100.0
    near = [cells for name, cells in rows.items() if name.startswith("distance")]
    assert sum(cells["joints"] for cells in near) == 2 * FRAMES * GIVEN.sum()


def test_tables_of_scenes_count_all_of_them_together(scene):
    other = made_up_scene(h36m_rig(), walkers([(0.0, 0.0)], 3))
    done = [evaluated(one, true_detections(one)) for one in (scene, other)]
    rows = by_row(detector_tables.people_table(done))
    assert rows["all points"]["people"] == 4 * (2 * FRAMES + 3)


class TrueDetector:
    """A detector that knows the truth of a scene, by the images' stamps."""

    name, skeleton = "true", COCO_17

    def __init__(self, scene: RenderedScene) -> None:
        self._by_stamp = dict(zip(scene.moments_ns.tolist(), true_detections(scene), strict=True))

    def __call__(self, frames: FrameSet) -> Detected:
        return self._by_stamp[frames.stamp_ns]

    def reset(self) -> None:
        pass


@pytest.fixture
def filmed(tmp_path) -> RenderedScene:
    """A short scene with black images."""
    one = made_up_scene(h36m_rig(), walkers(STARTS, 3), tmp_path)
    for camera in one.rig.cameras:
        (tmp_path / camera.name).mkdir()
        for moment in range(3):
            black = np.zeros((*camera.size_wh[::-1], 3), np.uint8)
            assert cv2.imwrite(str(tmp_path / camera.name / f"{moment:06d}.jpg"), black)
    return one


def test_images_go_through_detector_and_estimator(filmed):
    (done,) = evaluated_scenes.evaluated([filmed], TrueDetector(filmed), OPTIONS)
    assert done.detections.found.all()
    assert_true(filmed, done.published)
    assert done.size.shape == done.shown.shape == (4, 3, 2)
    assert done.shown.min() == 1.0


def test_all_tables_are_printed_and_written(filmed):
    done = evaluated_scenes.evaluated([filmed], TrueDetector(filmed), replace(OPTIONS, monocular_fallback="auto"))
    made = list(rendered_tables.tables(done, posern=biased()))
    assert [one.name for one in made] == ["people", "keypoints", "scores", "stages", "bias", "groups", "identities"]
    for table in made:
        assert by_row(table)
        assert table.title in printed(table)
        json.dumps(as_json(table), allow_nan=False)
