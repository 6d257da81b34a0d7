"""Simulated recordings for calibration by people, and keypoints of rendered ones that were kept."""

import numpy as np
import pytest
from rendered_people import STARTS, ChangedDetector, made_up_scene, write_made_up
from rendered_people import walkers as made_up_walkers

from pose3d_ros.detection.uncertainty import covariance
from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.rendered_walks import KEPT, rendered_walk, rendered_walks
from pose3d_ros.evaluation.walking_people import people_views, simulate_walkers, without_overlap
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.rendering.scenes import resized
from pose3d_ros.simulation.replayed_noise import rendered_people
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.simulation.walkers import Clocks, filmed, span, walkers
from pose3d_ros.skeletons import COCO_17, H36M_17

RIG = simulated_rig("room3", 1, held_out=True)
TAKEN = [H36M_17.index(name) for name in H36M_17.joint_names if name != "HeadTop"]


def at(truth, times_s):
    """The true joints (T, P, 17, 3) m at common times that are among the walk's own."""
    number = np.round((times_s - truth.t_s[0]) * 30.0).astype(int)
    np.testing.assert_allclose(truth.t_s[number], times_s, atol=1e-6)
    return truth.xyz[number]


def test_views_without_noise_are_the_projections_of_the_truth():
    offsets = {RIG.rig.names[1]: 0.4}
    views, truth = simulate_walkers(RIG, 4.0, 15.0, GaussianNoise(0.0), np.random.default_rng(0), offsets_s=offsets)
    assert truth.rig is RIG.rig
    assert len(truth.statures_m) == truth.xyz.shape[1] == 1
    for view, camera in zip(views, RIG.rig.cameras, strict=True):
        assert np.array_equal(view.camera.cam_from_world, np.eye(4))
        times = np.array([1e-9 * one.stamp_ns for one in view.people]) + offsets.get(camera.name, 0.0)
        for one, xyz in zip(view.people, at(truth, times), strict=True):
            if len(one):
                seen = one.score[0] > 0
                np.testing.assert_allclose(one.xy[0, seen], project(camera, xyz[0])[seen], atol=6.0)
                # Middles of sides are not quite the images of the middles; the sides are exact.
                sides = [number for number in TAKEN if H36M_17.joint_names[number][0] in "LR" and seen[number]]
                np.testing.assert_allclose(one.xy[0, sides], project(camera, xyz[0])[sides], atol=1e-3)


def test_two_people_come_in_no_order():
    views, truth = simulate_walkers(RIG, 4.0, 15.0, GaussianNoise(0.0), np.random.default_rng(1), people=2)
    camera, first = RIG.rig.cameras[0], []
    for one, xyz in zip(views[0].people, at(truth, np.arange(60) / 15.0), strict=True):
        if len(one) == 2:
            px = project(camera, xyz)[:, H36M_17.index("LHip")]
            first.append(int(np.nanargmin(np.linalg.norm(px - one.xy[0, H36M_17.index("LHip")], axis=-1))))
    assert 0.2 < np.mean(first) < 0.8


def test_keypoints_have_the_covariance_that_the_detector_gives_them():
    people = walkers(RIG.floor, span(RIG, 2.0, Clocks()), np.random.default_rng(2))
    film = filmed(RIG.rig.cameras[0], people, 2.0, 15.0, rendered_people(), np.random.default_rng(3))
    view = people_views(film, np.random.default_rng(4))
    number = int(np.flatnonzero(film.found[:, 0])[0])
    shoulder, hip = (COCO_17.index(name) for name in ("LShoulder", "LHip"))
    spread = covariance(film.score[number], film.px_per_crop_px[number])
    for joint, name in ((shoulder, "LShoulder"), (hip, "LHip")):
        np.testing.assert_allclose(view.people[number].covariance[0, H36M_17.index(name)], spread[0, joint])
    assert view.people[number].skeleton == H36M_17


def test_recordings_without_overlap_share_no_moment():
    views, _ = simulate_walkers(RIG, 6.0, 15.0, GaussianNoise(0.0), np.random.default_rng(0))
    for shared_s in (0.0, 2.0):
        cut = without_overlap(views, shared_s)
        times = [[1e-9 * one.stamp_ns for one in view.people if len(one)] for view in cut]
        assert max(times[0]) - min(times[1]) <= shared_s + 0.1
        assert [len(one.people) for one in cut] == [90] * 3


@pytest.fixture
def scene(tmp_path):
    """Two people of eight moments, on disk, black images."""
    small = resized(simulated_rig("room2", 0, held_out=True), 64)
    made = made_up_scene(small.rig, made_up_walkers(STARTS), tmp_path / "scene_000")
    write_made_up(made)
    return made


def test_rendered_scenes_are_detected_once(scene):
    detectors = []

    def make():
        detectors.append(ChangedDetector([scene]))
        return detectors[-1]

    (first,), (again,) = (rendered_walks([scene.folder], "auto", make) for _ in range(2))
    assert len(detectors) == 1
    assert (scene.folder / KEPT).is_file()
    for one, other, camera in zip(first.views, again.views, scene.rig.cameras, strict=True):
        assert [image.stamp_ns for image in one.people] == scene.moments_ns.tolist()
        for image, same, joints in zip(one.people, other.people, scene.truth.joints_m, strict=True):
            np.testing.assert_array_equal(image.xy, same.xy)
            knee = H36M_17.index("LKnee")
            np.testing.assert_allclose(image.xy[:, knee], project(camera, joints[:, knee]), atol=1e-3)
            assert image.covariance is not None
    assert first.truth.statures_m == (1.75, 1.75)
    np.testing.assert_array_equal(first.truth.xyz, scene.truth.joints_m)
    rendered_walks([scene.folder], "topdown", make)
    assert len(detectors) == 2


def test_kept_people_of_another_scene_are_refused(scene):
    rendered_walks([scene.folder], "auto", lambda: ChangedDetector([scene]))
    longer = made_up_scene(scene.rig, made_up_walkers(STARTS, 9), scene.folder)
    with pytest.raises(InputError, match="has 8 images of 'cam1', the scene 9"):
        rendered_walk(longer)


def test_a_camera_s_clock_can_be_set_wrong(scene):
    (one,) = rendered_walks([scene.folder], "auto", lambda: ChangedDetector([scene]))
    name = scene.rig.names[1]
    shifted = one.shifted(name, 2.0)
    assert shifted.truth.clocks.offset_s == {name: 2.0}
    for before, after in zip(one.views[1].people, shifted.views[1].people, strict=True):
        assert before.stamp_ns == after.stamp_ns + 2_000_000_000
    assert shifted.views[0] is one.views[0]
