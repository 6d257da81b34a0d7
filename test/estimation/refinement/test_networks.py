"""The networks inside the estimator: what goes in, what comes out, for whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_people import walker
from trained_for_tests import SPREAD, biased, moving
from two_people import CAMERAS, observe
from two_people import TRUTH as TWO

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.observation import Grouped2D, triangulated
from pose3d_ros.estimation.refinement.networks import MANY_VIEWS, CvUgcnRefiner, PoseRNRefiner
from pose3d_ros.estimation.refinement.training_domain import TRAINED_JOINTS
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats

TRUTH = np.stack([*TWO, walker((-0.8, 0.2), (0, 0), 0)])
WRIST, THORAX, HEAD = (H36M_17.index(name) for name in ("LWrist", "Thorax", "HeadTop"))
ALL_PEOPLE = np.tile(np.arange(len(TRUTH))[:, None], (1, len(CAMERAS)))


def scene(
    groups: np.ndarray = ALL_PEOPLE, cameras: tuple[Camera, ...] = CAMERAS, truth: Floats = TRUTH, noise_px: float = 3.0
) -> tuple[Grouped2D, Observed3D]:
    return observe(truth, cameras, groups, noise_px)


# -- PoseRN --------------------------------------------------------------------------------------------------


def test_a_known_bias_is_taken_off_in_the_undistorted_image() -> None:
    found, observed = scene(noise_px=0.0)
    xy = PoseRNRefiner(biased((0.3, -0.15)))(CAMERAS, observed.xyz, found.xy)
    for camera, before, after in zip(CAMERAS, found.xy, xy, strict=True):
        flat = [undistort(camera, one) @ camera.K[:2, :2].T for one in (before, after)]
        unit = np.linalg.norm(flat[0][:, THORAX] - flat[0][:, 0], axis=-1)[:, None, None] / 3  # a third of the spine
        shift = np.broadcast_to(unit * (0.3, -0.15), before.shape)
        np.testing.assert_allclose((flat[0] - flat[1])[:, TRAINED_JOINTS], shift[:, TRAINED_JOINTS], atol=1e-3)
        np.testing.assert_array_equal(after[:, HEAD], before[:, HEAD])


def test_keypoints_that_were_not_seen_stay_so_and_no_bias_leaves_all_as_they_were() -> None:
    found, observed = scene()
    xy = found.xy.copy()
    xy[1, 0, WRIST] = np.nan
    after = PoseRNRefiner(biased((0.3, 0.0)))(CAMERAS, observed.xyz, xy)
    np.testing.assert_array_equal(np.isnan(after), np.isnan(xy))
    np.testing.assert_array_equal(PoseRNRefiner(biased())(CAMERAS, observed.xyz, xy), xy)


# -- CV-UGCN -------------------------------------------------------------------------------------------------


def moved(cameras: tuple[Camera, ...], found: Grouped2D, observed: Observed3D, shift_m: float, **how: str) -> Floats:
    return CvUgcnRefiner(moving((0.0, shift_m, 0.0)), **how)(cameras, found, observed)[0]


def test_a_network_that_moves_nothing_gives_what_was_triangulated() -> None:
    found, observed = scene()
    xyz, _ = CvUgcnRefiner(moving())(CAMERAS, found, observed)
    np.testing.assert_allclose(xyz, observed.xyz, atol=1e-5)


def test_a_known_shift_comes_out_in_the_world_downwards_here() -> None:
    cameras = (CAMERAS[0], CAMERAS[2])  # on one side of the room
    found, observed = scene(ALL_PEOPLE[:, :2], cameras)
    shift = moved(cameras, found, observed, 0.1) - observed.xyz
    assert np.linalg.norm(shift, axis=-1) == pytest.approx(0.1, abs=1e-5)
    assert (shift[..., 2] < -0.09).all()  # the rig's y points down


def test_people_seen_by_other_cameras_are_refined_with_those_as_if_they_were_the_whole_rig() -> None:
    """With a network that has something to say of every feature: an untrained one with a larger last layer."""
    import torch

    torch.manual_seed(0)
    loaded = moving()
    torch.nn.init.normal_(loaded.net.shift.weight, std=0.1)  # type: ignore[union-attr, arg-type]
    refiner = CvUgcnRefiner(loaded)
    some = np.array([[0, -1, 0, -1], [1, 1, 1, 1], [-1, 2, 2, 2]])
    found, observed = scene(some)
    xyz, _ = refiner(CAMERAS, found, observed)
    assert np.linalg.norm(xyz - observed.xyz, axis=-1).mean() > 1e-3
    for row, used in enumerate(some >= 0):
        cameras = tuple(camera for camera, u in zip(CAMERAS, used, strict=True) if u)
        alone = Grouped2D(found.xy[used][:, [row]], found.score[used][:, [row]], None)
        expected, _ = refiner(cameras, alone, observed.select(np.array([row])))
        np.testing.assert_allclose(xyz[row], expected[0], atol=1e-5)


def test_far_from_the_origin_of_the_map_the_answer_is_the_same() -> None:
    found, observed = scene()
    here = moved(CAMERAS, found, observed, 0.1) - observed.xyz
    away = np.array([500_000.0, 5_400_000.0, 300.0])
    far = tuple(camera.placed(_carried(camera, away)) for camera in CAMERAS)
    there = moved(far, found, replace(observed, xyz=observed.xyz + away), 0.1) - away - observed.xyz
    np.testing.assert_allclose(there, here, atol=1e-5)


def _carried(camera: Camera, by: Floats) -> Floats:
    cam_from_world = camera.cam_from_world.copy()
    cam_from_world[:3, 3] -= cam_from_world[:3, :3] @ by
    return cam_from_world


def without(found: Grouped2D, views: int) -> tuple[Grouped2D, Observed3D]:
    xy, score = found.xy.copy(), found.score.copy()
    xy[:views, 0, WRIST], score[:views, 0, WRIST] = np.nan, 0.0
    less = Grouped2D(xy, score, None)
    return less, triangulated(CAMERAS, less, min_views=2, max_std_m=np.inf)


def test_a_joint_that_was_not_triangulated_is_filled_in_with_its_own_covariance() -> None:
    found, observed = without(scene()[0], 3)
    xyz, covariance = CvUgcnRefiner(moving())(CAMERAS, found, observed)
    assert np.isnan(observed.xyz[0, WRIST]).all()
    assert np.linalg.norm(xyz[0, WRIST] - TRUTH[0, 0]) < 1.0
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariance[0, WRIST])), 0.1, rtol=0.05)
    assert np.isfinite(covariance).all()


def test_without_figures_of_covariance_nothing_is_filled_in_and_the_triangulations_stays() -> None:
    found, observed = without(scene()[0], 3)
    xyz, covariance = CvUgcnRefiner(replace(moving(), spread={}))(CAMERAS, found, observed)
    assert np.isnan(xyz[0, WRIST]).all()
    np.testing.assert_array_equal(covariance, observed.covariance)


def test_a_network_for_one_pair_serves_two_cameras_and_no_more() -> None:
    refiner = CvUgcnRefiner(moving(form="pair"))
    assert [refiner.serves(views) for views in (1, 2, 3)] == [False, True, False]
    assert [CvUgcnRefiner(moving()).serves(views) for views in (1, 2, 3, 4)] == [False, True, True, True]
    some = np.array([[0, -1, 0, -1], [1, 1, 1, 1]])
    found, observed = scene(some)
    xyz, _ = refiner(CAMERAS, found, observed)
    assert np.isfinite(xyz[0]).all()
    assert np.isnan(xyz[1]).all()


@pytest.mark.parametrize("many_views", MANY_VIEWS)
def test_four_views_are_served_at_once_or_pair_by_pair(many_views: str) -> None:
    found, observed = scene(noise_px=0.0)
    xyz = moved(CAMERAS, found, observed, 0.0, many_views=many_views)
    np.testing.assert_allclose(xyz[:, TRAINED_JOINTS], TRUTH[:, TRAINED_JOINTS], atol=1e-3)


def test_pairs_that_see_better_weigh_more() -> None:
    found, _ = scene(noise_px=0.0)
    xy, score = found.xy.copy(), found.score.copy()
    xy[3], score[3] = xy[3] + 60.0, 0.05  # a camera that hardly sees, and wrongly
    one = Grouped2D(xy, score, None)
    observed = triangulated(CAMERAS, one, min_views=2, max_std_m=np.inf)
    error = {
        how: np.linalg.norm(
            (moved(CAMERAS, one, observed, 0.0, many_views=how) - TRUTH)[:, TRAINED_JOINTS], axis=-1
        ).mean()
        for how in ("pairs", "best_pair")
    }
    assert error["best_pair"] < 1e-3
    assert error["pairs"] < 0.02


def test_a_network_for_one_view_serves_that_view_alone() -> None:
    assert [CvUgcnRefiner(moving(views=1)).serves(views) for views in (1, 2, 3)] == [True, False, False]


def test_figures_of_covariance_that_do_not_fit_are_refused_at_the_start() -> None:
    for wrong, words in (
        ({"along": SPREAD["own"]}, "no covariance figure 'own'"),
        ({**SPREAD, "q": SPREAD["q"].expand(5)}, "the covariance figure 'q' .* expected 17 finite numbers, or one"),
        ({**SPREAD, "q": SPREAD["q"] * float("nan")}, "the covariance figure 'q' .* expected 17 finite"),
    ):
        with pytest.raises(InputError, match=words):
            CvUgcnRefiner(replace(moving(), spread=wrong))


def test_other_networks_and_rules_are_refused() -> None:
    with pytest.raises(InputError, match=r"biased holds a network 'posern', expected 'cvugcn': .*pose3d train cvugcn"):
        CvUgcnRefiner(biased())
    with pytest.raises(InputError, match="expected 'posern'"):
        PoseRNRefiner(moving())
    with pytest.raises(InputError, match="expected one of all, pairs, best_pair"):
        CvUgcnRefiner(moving(), many_views="some")
