"""HeadTop for detectors that have none: through the whole estimator, on walkers whom the Human3.6M cameras see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from own_joints import own_joints, seen_by
from synthetic_people import h36m_rig, walker

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import EstimatorOptions, PoseEstimator
from pose3d_ros.estimation.prediction import predicted
from pose3d_ros.estimation.refinement.plan import RefinePlan
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.head import HEAD_POINTS, MODEL
from pose3d_ros.skeletons import COCO_17, H36M_17, HALPE_26
from pose3d_ros.structures import Floats, JointSource, Keypoints2D, PersonState, Skeleton
from pose3d_ros.weights import trained

RIG = h36m_rig()
HEAD_TOP, NOSE, THORAX = (H36M_17.index(name) for name in ("HeadTop", "Nose", "Thorax"))
CHI2_95 = 7.815  # of three dimensions
EYES_AND_EARS = [COCO_17.index(name) for name in ("LEye", "REye", "LEar", "REar")]


@pytest.fixture(autouse=True)
def without_shipped_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triangulation alone, whatever this version ships."""
    monkeypatch.setattr(trained, "TRAINED", ())


def people(t_s: float, skeleton: Skeleton) -> tuple[Floats, Floats]:
    """Joints (2, J, 3) m of walkers with heads, and the tops of these (2, 3); one nods by 20 degrees, one turns."""
    bodies = np.stack([walker((-1.2, 0.4), (0.8, 0.0), t_s), walker((1.2, -0.6), (-0.8, 0.0), t_s)])
    nod, turn = np.deg2rad((20.0, 35.0))
    down = [[np.cos(nod), 0, np.sin(nod)], [0, 1, 0], [-np.sin(nod), 0, np.cos(nod)]]
    aside = [
        [np.cos(np.pi + turn), -np.sin(np.pi + turn), 0],
        [np.sin(np.pi + turn), np.cos(np.pi + turn), 0],
        [0, 0, 1],
    ]
    heads = np.einsum("gab,jb->gja", [down, aside], MODEL) + bodies[:, [THORAX]]
    heads -= np.einsum("gab,b->ga", [down, aside], MODEL[HEAD_POINTS.index("Thorax")])[:, None]
    bodies[:, NOSE], bodies[:, HEAD_TOP] = heads[:, 0], heads[:, -1]
    joints = own_joints(skeleton, bodies)
    for number, name in enumerate(HEAD_POINTS[:-1]):
        joints[:, skeleton.index(name)] = heads[:, number]
    return joints, heads[:, -1]


def views(t_s: float, rng: np.random.Generator, skeleton: Skeleton = COCO_17) -> dict[str, Keypoints2D]:
    joints, stamp_ns = people(t_s, skeleton)[0], round(1e9 * (5.0 + t_s))
    return {camera.name: seen_by(camera, joints, skeleton, rng, 4.0, stamp_ns) for camera in RIG.cameras}


def run(sets: Sequence[Mapping[str, Keypoints2D]], refinement: Any = None, **options: Any) -> list[Estimate]:
    estimator = PoseEstimator(RIG, options=EstimatorOptions(**options), refinement=refinement)
    return [estimator.estimate_from_keypoints(one) for one in sets]


def test_top_of_the_head_lies_where_its_covariance_says() -> None:
    rng, inside, errors = np.random.default_rng(0), [], []
    times = np.arange(0, 2.0, 0.05)
    for estimate, t_s in zip(run([views(t, rng) for t in times], calibration_px=0.0), times, strict=True):
        pose, tops = estimate.pose, people(t_s, COCO_17)[1]
        who = np.linalg.norm(pose.xyz[:, None, THORAX] - tops[None], axis=-1).argmin(axis=1)
        miss = pose.xyz[:, HEAD_TOP] - tops[who]
        assert (pose.source[:, HEAD_TOP] == JointSource.REFINED).all()
        assert (pose.n_views[:, HEAD_TOP] == 0).all()
        assert np.isnan(pose.reprojection_px[:, HEAD_TOP]).all()
        assert (pose.score[:, HEAD_TOP] > 0).all()
        np.testing.assert_array_equal(pose.velocity[:, HEAD_TOP], pose.velocity[:, NOSE])
        squared = np.einsum("pa,pab,pb->p", miss, np.linalg.inv(pose.covariance[:, HEAD_TOP]), miss)
        inside.append(squared < CHI2_95)
        errors.append(np.linalg.norm(miss, axis=-1))
    assert np.mean(errors) < 0.035
    assert np.mean(inside) > 0.93


def test_everything_else_is_as_without_eyes_and_ears() -> None:
    """Who is who, where joints are and how they move."""
    rng = np.random.default_rng(1)
    sets = [views(0.05 * n, rng) for n in range(8)]
    blind = []
    for one in sets:
        hidden = {}
        for name, k in one.items():
            xy, score = k.xy.copy(), k.score.copy()
            xy[:, EYES_AND_EARS], score[:, EYES_AND_EARS] = np.nan, 0.0
            hidden[name] = replace(k, xy=xy, score=score)
        blind.append(hidden)
    others = np.arange(H36M_17.size) != HEAD_TOP
    for with_head, without in zip(run(sets), run(blind), strict=True):
        assert with_head.pose.ids == without.pose.ids
        assert np.isnan(without.pose.xyz[:, HEAD_TOP]).all()
        for name in ("xyz", "velocity", "covariance", "score", "source"):
            np.testing.assert_array_equal(
                getattr(with_head.pose, name)[:, others], getattr(without.pose, name)[:, others], err_msg=name
            )


def test_a_detector_with_a_top_of_the_head_keeps_its_own() -> None:
    rng = np.random.default_rng(2)
    pose = run([views(t, rng, HALPE_26) for t in (0.0, 0.1)])[-1].pose
    assert (pose.source[:, HEAD_TOP] == JointSource.TRIANGULATED).all()
    assert (pose.n_views[:, HEAD_TOP] == 4).all()


def test_people_who_are_hidden_or_predicted_have_no_top_of_the_head() -> None:
    rng = np.random.default_rng(3)
    sets = [views(0.05 * n, rng) for n in range(5)]
    seen = run(sets)[-1]
    assert seen.motion is not None
    assert np.isnan(predicted(seen.pose, seen.motion, 0.1).xyz[:, HEAD_TOP]).all()
    gone = {name: k.select([]) for name, k in views(0.25, rng).items()}
    pose = run([*sets, gone])[-1].pose
    assert (pose.state == PersonState.OCCLUDED).all()
    assert (pose.source[:, HEAD_TOP] == JointSource.ABSENT).all()


def test_errors_of_the_cameras_widen_it_as_the_other_joints() -> None:
    sets = [views(t, np.random.default_rng(4)) for t in (0.0, 0.1)]
    exact, rough = (run(sets, calibration_px=px)[-1].pose for px in (0.0, 10.0))
    wider = rough.covariance - exact.covariance
    assert np.allclose(wider[:, HEAD_TOP], np.delete(wider, HEAD_TOP, axis=1).mean(axis=1))
    assert (np.sqrt(np.trace(wider[:, HEAD_TOP], axis1=-2, axis2=-1)) > 0.03).all()


def test_networks_that_refine_do_not_see_it() -> None:
    given: list[Observed3D] = []

    class Watching:
        """Refines nothing."""

        def plan(self, rig: object, detector: str) -> RefinePlan:
            return RefinePlan("cvugcn", "a test")

        def __call__(self, plan: object, cameras: object, keypoints: object, observed: Observed3D) -> Any:
            given.append(observed)
            return SimpleNamespace(observed=observed, refused={})

    rng = np.random.default_rng(5)
    pose = run([views(t, rng) for t in (0.0, 0.1)], Watching())[-1].pose
    assert len(given) == 2
    assert all(np.isnan(observed.xyz[:, HEAD_TOP]).all() for observed in given)
    assert np.isfinite(pose.xyz[:, HEAD_TOP]).all()
