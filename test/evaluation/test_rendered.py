"""Matching detections and poses to the truth, on made-up scenes without images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rendered_people import (
    FRAMES,
    OPTIONS,
    assert_true,
    changed,
    hidden,
    joined,
    made_up_scene,
    moved,
    published,
)

from pose3d_ros.evaluation.rendered import (
    estimate,
    match_poses,
    matched_detections,
    true_detections,
)
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Keypoints2D
from pose3d_ros.training.rendered_people import match_detections, true_joints, true_points


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
