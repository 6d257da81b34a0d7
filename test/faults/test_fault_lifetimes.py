"""What is remembered, for how long, and what a failure in the background costs (FAULTS K8)."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from reports import report_of
from scipy.spatial.transform import Rotation
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation import checkpoint
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.monitoring import health
from pose3d_ros.monitoring.health import CalibrationReport
from pose3d_ros.structures import Keypoints2D, Rig
from pose3d_ros.synchronisation.clock_offsets import ClockOffsets

RIG = Rig(h36m_rig("S9").cameras[:3])
WITHOUT_ONE = RIG.subset(RIG.names[:2])
RATE_HZ = 5  # what calibration health uses
OPTIONS = EstimatorOptions(refine="none", monocular_fallback="never")


def moment(k: int, rig: Rig) -> dict[str, Keypoints2D]:
    """Two people who walk, as the cameras of a rig see them."""
    random, t_s = np.random.default_rng(k), k / RATE_HZ
    people = np.stack([walker((-2.0, -0.6), (0.3, 0.05), t_s), walker((0.9, -2.0), (-0.05, 0.3), t_s)])
    return {c.name: seen(c, people, random, noise_px=1.0, stamp_ns=10**18 + round(t_s * 1e9)) for c in rig.cameras}


def knocked(rig: Rig) -> Rig:
    """The rig as it stands after its last camera was hit, by 3 degrees."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("y", 3, degrees=True).as_matrix()
    camera = rig.cameras[-1]
    return Rig((*rig.cameras[:-1], camera.placed(turn @ camera.cam_from_world)), rig.frame_id)


def test_fault_camera_away_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a camera leaves the rig for a moment and comes back where it was, as far as is known; it was knocked.
    Sees: calibration health compares with the baseline of before and names the camera within 8 s.
    Recovers: the camera is put back or calibrated.
    Kind: K8
    Before: another rig without any baseline: the knocked camera was "as at the start".
    """
    monkeypatch.setattr(health, "BASELINE", 4)
    estimator = PoseEstimator(RIG, options=OPTIONS)
    for k in range(30):
        estimator.estimate_from_keypoints(moment(k, RIG))
    estimator.update_background()
    before = {name: estimator.parts[name].state_dict() for name in ("calibration_noise", "background")}
    baseline = estimator.calibration_health.baseline
    assert baseline is not None
    estimator.set_rig(WITHOUT_ONE)
    assert estimator.calibration_health.baseline is None  # two cameras have another one
    for k in range(30, 33):
        estimator.estimate_from_keypoints(moment(k, WITHOUT_ONE))
    estimator.set_rig(RIG)
    assert estimator.calibration_health.baseline is baseline
    assert {name: estimator.parts[name].state_dict() for name in before} == before
    for k in range(33, 33 + 8 * RATE_HZ):
        report = estimator.estimate_from_keypoints(moment(k, knocked(RIG)))
        report = report_of(report, CalibrationReport)
    assert (report.state, report.cameras) == ("moved", RIG.names[-1:])


def test_a_camera_that_comes_back_elsewhere_makes_another_rig() -> None:
    estimator = PoseEstimator(RIG, options=OPTIONS)
    for k in range(3):
        estimator.estimate_from_keypoints(moment(k, RIG))
    assert estimator.parts["calibration_noise"].state_dict()["_freedom"] > 0
    estimator.set_rig(WITHOUT_ONE)
    estimator.set_rig(knocked(RIG))
    assert estimator.parts["calibration_noise"].state_dict()["_freedom"] == 0


def test_rigs_that_come_and_go_are_not_kept_for_ever() -> None:
    estimator = PoseEstimator(RIG, options=OPTIONS)
    for k in range(40):
        turned = np.eye(4)
        turned[0, 3] = 0.01 * k
        camera = RIG.cameras[0]
        estimator.set_rig(Rig((camera.placed(turned @ camera.cam_from_world), *RIG.cameras[1:]), RIG.frame_id))
    assert len(estimator.parts["earlier_rigs"].state_dict()["_kept"]) == 8


def test_fault_learning_fails_outside_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: what is learnt in the background raises, in `pose3d estimate` or in one's own program.
    Sees: every pose as without the failure; one warning "learning from a frame set failed (...)", and a count.
    Recovers: by itself with the next set that can be learnt.
    Kind: K8
    Before: the pose of the next set was lost, and `pose3d estimate` ended.
    """
    sound, failing = (PoseEstimator(RIG, options=OPTIONS) for _ in range(2))
    expected = [sound.estimate_from_keypoints(moment(k, RIG)).pose for k in range(5)]

    def fail(*given: object) -> None:
        raise MemoryError("no memory for clocks")

    monkeypatch.setattr(ClockOffsets, "update", fail)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for k, pose in enumerate(expected):
            np.testing.assert_array_equal(failing.estimate_from_keypoints(moment(k, RIG)).pose.xyz, pose.xyz)
        failing.set_rig(WITHOUT_ONE)
        assert failing.state_dict()
    assert failing._background.failures == 5
    (one,) = warned
    assert "learning from a frame set failed (MemoryError: no memory for clocks)" in str(one.message)


def test_fault_thousands_of_people_come_and_go() -> None:
    """Fault: people come and go for months; each stays for some seconds.
    Sees: memory as with the people of the last minute, with smoothing, clock offsets and every other memory on.
    Recovers: nothing is needed.
    Kind: K8
    Before: not measured; TF kept 1.3 MB a person.
    """
    options = replace(OPTIONS, smoothing="body", compensate_offsets=True, min_hits=1)
    estimator = PoseEstimator(WITHOUT_ONE, options=options)
    body, stamp_ns, held = walker((0.0, 0.0), (0.0, 0.0), 0.0)[None], 10**18, []
    for person in range(190):
        stamp_ns += 20 * 10**9  # the windows of all memories are passed
        random = np.random.default_rng(person)
        estimator.estimate_from_keypoints(
            {c.name: seen(c, body, random, noise_px=1.0, stamp_ns=stamp_ns) for c in WITHOUT_ONE.cameras}
        )
        if person in (129, 189):  # the state is everything that is remembered: test_resume.py
            held.append(len(checkpoint.to_bytes(estimator.state_dict())))
    assert int(estimator.parts["tracker"].state_dict()["_last_number"]) == 190
    assert (held[-1] - held[0]) / 60 < 1000  # bytes a person
