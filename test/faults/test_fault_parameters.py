"""Options that change while people are followed: who they are stays, and nothing changes by halves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from one_camera import one_camera
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.errors import OptionError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Keypoints2D

RIG = h36m_rig()
OPTIONS = EstimatorOptions(refine="none", monocular_fallback="never")
CAMERA = Camera("front", (1280, 720), np.array([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]]))
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera x right, y down, z forward, in the world


def step(estimator: PoseEstimator, t_s: float) -> Estimate:
    """What comes of two walkers 2.4 m apart, seen with 4 px of noise."""
    rng = np.random.default_rng(round(1000 * t_s))
    people = np.stack([walker((-1.2, 0.4), (0.3, 0.0), t_s), walker((1.2, -0.4), (-0.3, 0.0), t_s)])
    stamp_ns = 7_000_000_000_000 + round(1e9 * t_s)
    views = {one.name: seen(one, people, rng, noise_px=4.0, stamp_ns=stamp_ns) for one in RIG.cameras}
    return estimator.estimate_from_keypoints(views)


def test_fault_parameters_changed_while_people_are_followed() -> None:
    """Fault: limits, smoothing and the workspace are changed while people are in view.
    Sees: the new values hold from the next frame set on; all people keep their ids, also who is out of the workspace.
    Recovers: nothing to recover; the values may be set back the same way.
    """
    estimator = PoseEstimator(RIG, options=OPTIONS)
    for n in range(4):
        before = step(estimator, 0.1 * n).pose
    assert sorted(before.ids) == ["1", "2"]
    right = before.ids[int(np.argmax(before.xyz[:, 0, 0]))]

    estimator.set_options(
        replace(OPTIONS, workspace_min=(0.0, -5.0, -1.0), workspace_max=(5.0, 5.0, 3.0), smoothing="kalman")
    )
    alone = step(estimator, 0.4)
    assert alone.pose.ids == (right,)
    assert alone.left_out == 1
    estimator.set_options(replace(OPTIONS, max_std_m=0.001))
    strict = [step(estimator, 0.5 + 0.1 * n) for n in range(2)][-1]
    assert strict.rejected["uncertain"] == 2 * 17  # 4 px at 5 m are a centimetre
    estimator.set_options(OPTIONS)
    assert sorted(step(estimator, 0.7).pose.ids) == ["1", "2"]
    # Gone after 0.2 s now: who comes back later is a new person.
    estimator.set_options(replace(OPTIONS, lost_after_s=0.1, max_age_s=0.2))
    assert sorted(step(estimator, 1.2).pose.ids) == ["3", "4"]


def test_fault_parameter_of_one_camera_changed_while_people_are_followed() -> None:
    """Fault: options of the node for one camera are changed while a person is in view.
    Sees: the new values hold from the next image on, under the same id.
    Recovers: nothing to recover; the values may be set back the same way.
    """
    person = (walker((4.0, 0.0), (0.0, 0.0), 0.0)[None] - (0.0, 0.0, 1.2)) @ AXES.T
    net = Oracle(person)
    estimator = one_camera(CAMERA, OracleLoaded(net))

    def image(n: int) -> Estimate:
        return estimator.estimate_from_keypoints(
            {
                CAMERA.name: Keypoints2D(
                    project(CAMERA, person), np.full((1, 17), 0.8), H36M_17, 5_000_000_000 + n * 33_000_000
                )
            }
        )

    for n in range(3):
        image(n)
    estimator.set_options(EstimatorOptions(min_person_score=0.9))
    assert image(3).single_view == 0
    estimator.set_options(EstimatorOptions(min_person_score=0.5))
    again = image(4)
    assert (again.single_view, again.pose.ids) == (1, ("1",))


@pytest.mark.parametrize("change", [{"refine": "auto"}, {"lifter": "mine.safetensors"}, {"min_views": 3}])
def test_fault_parameter_that_needs_another_estimator(change: dict[str, object]) -> None:
    """Fault: an option that networks were loaded by is changed while people are followed.
    Sees: the change is refused, with the way to make it; everything else stays as it was.
    Recovers: cleanup, the new value, configure and activate; or a restart.
    """
    estimator = PoseEstimator(RIG, options=OPTIONS)
    for n in range(3):
        step(estimator, 0.1 * n)
    with pytest.raises(OptionError, match=f"'{next(iter(change))}' is fixed at start"):
        estimator.set_options(replace(OPTIONS, max_std_m=0.001, **change))  # type: ignore[arg-type]
    assert sorted(step(estimator, 0.3).pose.ids) == ["1", "2"]
