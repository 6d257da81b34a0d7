"""Matching detections and poses to the truth, and the tables' figures, on made-up scenes without images."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rendered_people import made_up_scene, walkers
from synthetic_people import h36m_rig

from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation import chain_tables, detector_tables, evaluated_scenes, rendered_tables
from pose3d_ros.evaluation.evaluated_scenes import Evaluated
from pose3d_ros.evaluation.rendered import (
    Published,
    estimate,
    match_poses,
    matched_detections,
    true_detections,
)
from pose3d_ros.evaluation.tables import as_json, printed
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17, DERIVED, H36M_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Pose3D
from pose3d_ros.training.rendered_people import Detected, match_detections, size_px, true_joints, true_points

OPTIONS = EstimatorOptions(refine="none", monocular_fallback="never", min_hits=1, calibration_px=0.0)
STARTS = [(-0.8, -0.4), (0.7, 0.5)]
FRAMES = 8


@pytest.fixture(scope="module")
def scene() -> RenderedScene:
    """Two people before four cameras; joints are the COCO points."""
    return made_up_scene(h36m_rig(), walkers(STARTS, FRAMES))


def hidden(scene: RenderedScene, visibility: np.ndarray) -> RenderedScene:
    return replace(scene, truth=replace(scene.truth, visibility=visibility.astype(np.uint8)))


def changed(detected: list[Detected], of) -> list[Detected]:
    """The detections with of(moment, view, keypoints) instead of each image's."""
    return [
        {name: of(moment, view, found) for view, (name, found) in enumerate(by_camera.items())}
        for moment, by_camera in enumerate(detected)
    ]


def moved(found: Keypoints2D, by_px: Floats) -> Keypoints2D:
    return replace(found, xy=found.xy + by_px)


def joined(*parts: Keypoints2D) -> Keypoints2D:
    """All people of several."""
    together = {name: np.concatenate([getattr(one, name) for one in parts]) for name in ("xy", "score", "covariance")}
    return replace(parts[0], **together)


def published(scene: RenderedScene, xyz: Floats, ids, std_m: float = 0.01) -> list[Pose3D]:
    """Poses (T, P, 17, 3) m with ids (T, P), "" for people who are not published."""
    poses = []
    for moment, stamp in enumerate(scene.moments_ns.tolist()):
        rows = [row for row, name in enumerate(ids[moment]) if name]
        shape = (len(rows), H36M_17.size)
        poses.append(
            Pose3D(
                xyz=xyz[moment, rows], velocity=np.zeros((*shape, 3)),
                covariance=np.broadcast_to(std_m**2 * np.eye(3), (*shape, 3, 3)), score=np.ones(shape),
                n_views=np.full(shape, 4, np.uint8), reprojection_px=np.zeros(shape),
                source=np.ones(shape, np.uint8), ids=tuple(ids[moment][row] for row in rows),
                state=np.zeros(len(rows), np.uint8), age_s=np.zeros(len(rows)), skeleton=H36M_17, frame_id="world",
                stamp_ns=stamp,
            )
        )  # fmt: skip
    return poses


def evaluated(scene: RenderedScene, detected: list[Detected], poses: list[Pose3D] = ()) -> Evaluated:  # type: ignore[assignment]
    recording = Recording(
        scene.rig, tuple(poses), np.zeros(len(poses)), {}, {}, scene.t0_ns, scene.fps, len(scene), len(scene)
    )
    return Evaluated(scene, detected, recording, OPTIONS)


def by_row(table) -> dict[str, dict[str, object]]:
    """Cells by the first column and the column's name, of which no two are alike: JSON would hold one of them."""
    assert len(set(table.columns)) == len(table.columns)
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def assert_true(scene: RenderedScene, found: Published, people: object = slice(None)) -> None:
    """Keypoints are exact; of joints that are middles, the images' middle is not quite the image of the middle."""
    miss_mm = 1000.0 * np.linalg.norm(found.xyz - scene.truth.joints_m, axis=-1)[:, people]
    middles = [H36M_17.index(name) for name in DERIVED]
    assert miss_mm[..., middles].max() < 10.0
    assert np.delete(miss_mm[..., GIVEN], np.flatnonzero(np.isin(np.flatnonzero(GIVEN), middles)), -1).max() < 1.0


def test_a_detector_without_errors_gives_the_true_joints(scene):
    found = match_poses(scene, estimate(scene, true_detections(scene), OPTIONS))
    assert np.isfinite(found.xyz[:, :, GIVEN]).all()
    assert_true(scene, found)
    assert (found.false == 0).all()
    assert {tuple(one) for one in found.ids} == {tuple(found.ids[0])}
    assert len(set(found.ids[0])) == 2


def test_two_cameras_of_four_are_enough(scene):
    found = match_poses(scene, estimate(scene, true_detections(scene), OPTIONS, scene.rig.names[:2]))
    assert_true(scene, found)


def test_a_detector_without_errors_gives_what_the_image_shows(scene):
    visibility = scene.truth.visibility.copy()
    visibility[0, :, 0] = Visibility.OCCLUDED  # one camera does not see the first person
    visibility[1, :, 1, 5:] = Visibility.SELF_OCCLUDED
    visibility[2, :, 1, :3] = Visibility.OUTSIDE
    given = true_detections(hidden(scene, visibility))[0]
    first, second, third, fourth = (given[name] for name in scene.rig.names)
    assert [len(one) for one in (first, second, third, fourth)] == [1, 2, 2, 2]
    assert np.isfinite(second.xy).all()
    assert np.isnan(third.xy[1, :3]).all()
    assert (third.score[1] == ([0.0] * 3 + [1.0] * 14)).all()


def test_the_order_of_people_in_an_image_does_not_matter(scene):
    detected = true_detections(scene)
    mixed = changed(detected, lambda t, view, found: found.select([1, 0]) if (t + view) % 2 else found)
    one, other = match_detections(scene, detected), match_detections(scene, mixed)
    assert np.array_equal(one.xy, other.xy)
    assert np.allclose(one.xy, true_points(scene))
    assert one.found.all()
    assert (one.false == 0).all()


def test_a_detection_of_no_person_is_counted_where_it_is(scene):
    def of(moment, view, found):
        return joined(found, moved(found.select([0]), np.array([0.0, 3000.0]))) if (moment, view) == (2, 1) else found

    found = match_detections(scene, changed(true_detections(scene), of))
    assert found.false.sum() == found.false[1, 2] == 1
    assert found.found.all()


def test_a_second_detection_of_a_person_is_false(scene):
    def of(moment, view, found):
        return joined(found, moved(found.select([1]), np.array([9.0, 0.0])))

    found = match_detections(scene, changed(true_detections(scene), of))
    assert (found.false == 1).all()
    assert np.allclose(found.xy, true_points(scene))  # the nearer one is the person's


def test_a_missed_person_is_not_found(scene):
    found = match_detections(scene, changed(true_detections(scene), lambda t, view, found: found.select([1])))
    assert (found.found == [False, True]).all()
    assert np.isnan(found.xy[:, :, 0]).all()
    assert (found.score[:, :, 0] == 0).all()


def test_an_image_without_people_is_no_error(scene):
    nothing = changed(true_detections(scene), lambda t, view, found: Keypoints2D.empty(COCO_17, found.stamp_ns))
    found = match_detections(scene, nothing)
    assert not found.found.any()
    assert (found.false == 0).all()
    assert all(len(pose.ids) == 0 for pose in estimate(scene, nothing, OPTIONS))


def test_a_person_behind_a_camera_is_no_error(scene):
    joints = scene.truth.joints_m.copy()
    joints[:, 1] += 20.0 * (scene.rig.cameras[0].centre * (1, 1, 0)) / np.linalg.norm(scene.rig.cameras[0].centre[:2])
    behind = made_up_scene(scene.rig, joints)
    visibility = behind.truth.visibility.copy()
    visibility[~np.isfinite(true_points(behind)).all(axis=-1)] = Visibility.OUTSIDE
    behind = hidden(behind, visibility)
    found = match_detections(behind, true_detections(behind))
    assert found.found[:, :, 0].all()
    assert not found.found[0, :, 1].any()
    assert (found.false == 0).all()


def test_known_association_gives_one_person_each(scene):
    detections = match_detections(scene, true_detections(scene))
    for person in range(2):
        alone = matched_detections(scene, detections, person)
        assert all(len(found) == 1 for by_camera in alone for found in by_camera.values())
        found = match_poses(scene, estimate(scene, alone, OPTIONS))
        assert_true(scene, found, person)
        assert (found.ids[:, 1 - person] == "").all()


def test_people_published_where_none_stands_are_false(scene):
    xyz = scene.truth.joints_m.copy()
    xyz[3:, 1] += 5.0
    found = match_poses(scene, published(scene, xyz, [["1", "2"]] * FRAMES))
    assert found.false.tolist() == [0] * 3 + [1] * 5
    assert (found.ids[3:, 1] == "").all()
    assert np.isnan(found.xyz[3:, 1]).all()


def test_people_who_are_only_predicted_are_not_published(scene):
    poses = published(scene, scene.truth.joints_m, [["1", "2"]] * FRAMES)
    poses[4] = replace(poses[4], state=np.array([1, 2], np.uint8))
    found = match_poses(scene, poses)
    assert (found.ids[4] == "").all()
    assert found.false[4] == 0


def test_joints_of_the_body_are_projected_for_its_keypoints(scene):
    joints = true_joints(scene)
    known = np.isfinite(joints).all(axis=-1)
    assert (known == [name in H36M_17.joint_names for name in COCO_17.joint_names]).all()
    assert np.allclose(joints[known], true_points(scene)[known])


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
    made = list(rendered_tables.tables(done))
    assert [one.name for one in made] == ["people", "keypoints", "scores", "stages", "groups", "identities"]
    for table in made:
        assert by_row(table)
        assert table.title in printed(table)
        json.dumps(as_json(table), allow_nan=False)
