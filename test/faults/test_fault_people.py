"""What people say of a rig: none vanishes without a reason, and their size and stance must fit the world."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from reports import report_of
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation import missing_poses, tracking, views
from pose3d_ros.estimation.estimate import Estimate, PeopleReport
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.monitoring.person_scale import leg_lengths
from pose3d_ros.ros.diagnostics import Level, Record, Result
from pose3d_ros.structures import Camera, Floats, Rig

RIG = h36m_rig()
PAIR = RIG.subset(RIG.names[:2])
T0_NS = 1_700_000_000 * 10**9
OPTIONS = EstimatorOptions(refine="none", monocular_fallback="never", calibration_px=0.0)
People = Callable[[float], Sequence[Floats]]
Visible = Callable[[int, int, float], bool]  # camera, person, s


def walking(t_s: float) -> Sequence[Floats]:
    """One who walks to and fro over 2 m."""
    return [walker((-1.0 + abs((0.8 * t_s) % 4 - 2), 0.3), (0.0, 0.0), t_s)]


def empty_room(t_s: float) -> Sequence[Floats]:
    """An empty room."""
    return []


def watched(
    people: People,
    given: Rig = PAIR,
    *,
    true: Rig = PAIR,
    seconds: float = 3.0,
    rate_hz: float = 4.0,
    visible: Visible = lambda camera, person, t_s: True,
    options: EstimatorOptions = OPTIONS,
    noise_px: float = 3.0,
) -> list[Estimate]:
    """What an estimator that is given one rig makes of people before another."""
    rng = np.random.default_rng(0)
    estimator = PoseEstimator(given, options=options)
    estimates = []
    for k in range(round(seconds * rate_hz) + 1):
        t_s = k / rate_hz
        views = {}
        for v, camera in enumerate(true.cameras):
            shown = [one for p, one in enumerate(people(t_s)) if visible(v, p, t_s)]
            xyz = np.stack(shown) if shown else np.zeros((0, 17, 3))
            stamp_ns = T0_NS + round(t_s * 1e9)
            views[camera.name] = seen(camera, xyz, rng, noise_px=noise_px, stamp_ns=stamp_ns)
        estimates.append(estimator.estimate_from_keypoints(views))
        # Only what people say; the other lessons have tests of their own.
        lessons = estimator._background
        lessons.people_evidence.update(
            *(getattr(lessons._next, name) for name in ("rig", "keypoints", "pose", "options"))
        )
        lessons._next = None
    return estimates


def faults(estimates: Sequence[Estimate]) -> str:
    return "; ".join(report_of(estimates[-1], PeopleReport).faults())


def scaled(rig: Rig, factor: float) -> Rig:
    return replace(rig, cameras=tuple(moved(one, np.eye(3), factor) for one in rig.cameras))


def moved(camera: Camera, world_from_true: Floats, factor: float = 1.0) -> Camera:
    """The camera as it stands in another world of another unit."""
    cam_from_world = camera.cam_from_world.copy()
    cam_from_world[:3, :3] = cam_from_world[:3, :3] @ world_from_true.T
    cam_from_world[:3, 3] *= factor
    return camera.placed(cam_from_world)


def test_fault_people_in_two_views_and_none_in_space() -> None:
    """Fault: people are seen by two cameras or more, and not one of them gets a pose.
    Sees: after 2 s WARN "people are in view of left, right, none has a pose: 18 of 18 2D people ...", by reason.
    Recovers: by itself with the first pose.
    Kind: K3
    Before: "running: 10.0 frame sets a second, 0 people", level OK.
    """
    other = lambda t_s: [*walking(t_s), walker((1.5, -1.5), (0.0, 0.0), 0.0)]  # noqa: E731
    estimates = watched(other, visible=lambda camera, person, t_s: camera == person)
    assert not report_of(estimates[7], PeopleReport).faults()  # 1.75 s
    assert "none has a pose: 18 of 18 2D people have rays that miss each other's: calibrate" in faults(estimates)
    assert report_of(estimates[-1], PeopleReport).values["people/no_pose/association"] == "18"
    record = Record()
    record.processed(0.0, result(estimates[-1]))
    health = record.health(0.1, [], {})
    assert health.level is Level.WARN
    assert faults(estimates) in health.message
    assert health.values["people/no_pose/association"] == "18"
    back = watched(walking, seconds=4.0, visible=lambda camera, person, t_s: camera == 0 or t_s < 1 or t_s > 3)
    assert not faults(back)


def result(estimate: Estimate) -> Result:
    return Result({}, 30.0, 0.0, len(estimate.pose), PAIR.names, estimate)


def mirrored(rig: Rig) -> Rig:
    """Two cameras whose images are exchanged."""
    first, second = rig.cameras
    return replace(rig, cameras=(replace(second, name=first.name), replace(first, name=second.name)))


def head(baseline_m: float = 0.12, focal_px: float = 700.0) -> Rig:
    """Two eyes side by side that look along the world's x, z up, 1 m high."""
    wide = round(640 * focal_px / 700)
    K = np.array([[focal_px, 0, wide / 2], [0, focal_px, 0.375 * wide], [0, 0, 1]])
    eyes = []
    for name, y in (("left", baseline_m / 2), ("right", -baseline_m / 2)):
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ (0.0, y, 1.0)
        eyes.append(Camera(name, (wide, round(0.75 * wide)), K, cam_from_world=cam_from_world))
    return Rig(tuple(eyes))


def far_off(t_s: float) -> Sequence[Floats]:
    """One who stands 3.5 m before a stereo head."""
    return [walker((3.5, 0.0), (0.0, 0.0), t_s)]


WHY = {
    "weak_2d": (walking, PAIR, PAIR, replace(OPTIONS, min_person_score=0.95)),
    "few_views": (walking, PAIR, RIG.subset(RIG.names[:3]), replace(OPTIONS, min_views=3)),
    "behind": (far_off, head(), mirrored(head()), OPTIONS),
    "size": (walking, PAIR, scaled(PAIR, 4.5), OPTIONS),
    "uncertain": (walking, PAIR, PAIR, replace(OPTIONS, max_std_m=0.001)),
    "score": (walking, PAIR, PAIR, OPTIONS),
    "few_joints": (walking, PAIR, PAIR, replace(OPTIONS, min_joint_score=0.75)),
    "unsteady": (walking, PAIR, PAIR, replace(OPTIONS, min_hits=100)),
}  # fmt: skip


@pytest.mark.parametrize("reason", WHY)
def test_each_reason_is_counted_and_named_with_its_fix(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason == "score":  # of people whom no joint makes sure enough
        monkeypatch.setattr(tracking, "INIT_SCORE", 1.0)
        monkeypatch.setattr(missing_poses, "INIT_SCORE", 1.0)
    elif reason == "few_joints":  # whom two views share
        monkeypatch.setattr(views, "MIN_PERSON_JOINTS", 1)
    people, true, given, options = WHY[reason]
    last = watched(people, given, true=true, options=options, noise_px=1.0)[-1]
    counted = {
        k.rsplit("/", 1)[1]: int(n)
        for k, n in report_of(last, PeopleReport).values.items()
        if k.startswith("people/no_pose/")
    }
    assert max(counted, key=lambda one: counted[one]) == reason
    assert sum(counted.values()) == 18  # every 2D person of the last 2 s has one reason
    assert any(f"{counted[reason]} of 18 2D people" in fault for fault in report_of(last, PeopleReport).faults())


@pytest.mark.parametrize(
    ("people", "visible"),
    [
        (empty_room, lambda camera, person, t_s: True),
        (walking, lambda camera, person, t_s: camera == 1),
        (walking, lambda camera, person, t_s: camera == int(t_s) % 2),
        (walking, lambda camera, person, t_s: t_s < 1 + 0.8 * camera),
    ],
    ids=["empty room", "one view only", "one camera in turn", "people who leave"],
)
def test_where_no_two_views_have_people_nothing_is_wrong(people: People, visible: Visible) -> None:
    assert not any(report_of(one, PeopleReport).faults() for one in watched(people, visible=visible, seconds=5.0))


def test_people_outside_the_workspace_are_no_fault() -> None:
    outside = replace(OPTIONS, workspace_min=(50.0, 50.0, -1.0), workspace_max=(60.0, 60.0, 3.0))
    last = watched(walking, options=outside)[-1]
    assert (len(last.pose), last.left_out, report_of(last, PeopleReport).faults()) == (0, 1, ())


def test_weak_false_detections_in_an_empty_room_are_no_people() -> None:
    rng = np.random.default_rng(1)
    estimator = PoseEstimator(PAIR, options=OPTIONS)
    for k in range(16):
        stamp_ns = T0_NS + k * 200_000_000
        clutter = {
            c.name: replace(one, score=0.1 * one.score)
            for c in PAIR.cameras
            for one in [seen(c, np.stack(walking(rng.uniform(0, 9))), rng, stamp_ns=stamp_ns)]
        }
        last = estimator.estimate_from_keypoints(clutter)
    assert not report_of(last, PeopleReport).faults()


def near(t_s: float) -> Sequence[Floats]:
    """One who stands 2 m before a stereo head, a little to and fro."""
    return [walker((2.0 + 0.1 * np.sin(t_s), 0.0), (0.0, 0.0), t_s)]


# What the check of the rig alone lets pass: cameras within 50 m of each other.
@pytest.mark.parametrize(
    ("factor", "rig", "cause"),
    [
        (1000.0, head(0.045, 2800.0), "translations (or Tx) from mm to m"),
        (100.0, head(0.4, 1400.0), "translations (or Tx) from cm to m"),
        (1 / 0.0165, head(0.4, 1400.0), r"squares of the board \(about 1[3-9] mm\)"),
        (1 / 0.036, head(0.4, 1400.0), r"squares of the board \(about 3[0-9] mm\)"),
        (10.0, head(0.4, 1400.0), "from squares of the board"),
        (2.0, PAIR, "that K fits the image size"),
        (0.1, PAIR, "convert its translations (or Tx) to m"),
    ],
)
def test_fault_scale_of_the_rig_by_peoples_legs(factor: float, rig: Rig, cause: str) -> None:
    """Fault: a rig whose lengths are in mm, cm or board squares, or whose baseline is wrong.
    Sees: ERROR "people's legs measure 905 m (median of 80), expected 0.45 to 1.1: the rig is about 1060 times too large".
    Recovers: at once with the right rig.
    Kind: K2
    Before: "running, 0 people", level OK; below a factor of 3 people of twice their size, level OK.
    """  # noqa: E501
    people = walking if rig is PAIR else near
    last = watched(people, scaled(rig, factor), true=rig, seconds=8.0, noise_px=1.0)[-1]
    fault = report_of(last, PeopleReport).faults()[0]
    assert "people's legs measure" in fault
    assert (f"times too {'large' if factor > 1 else 'small'}") in fault
    assert re.search(cause.replace("(or Tx)", r"\(or Tx\)"), fault), fault
    assert abs(float(report_of(last, PeopleReport).values["people/leg"].split()[0]) / factor - 0.87) < 0.1
    record = Record()
    record.processed(0.0, result(last))
    assert record.health(0.1, [], {}).level is Level.ERROR
    assert len(fault) < 200


def seated(t_s: float) -> Sequence[Floats]:
    """One who sits: thighs ahead."""
    body = walker((0.0, 0.0), (0.0, 0.0), t_s)
    for hip, knee, ankle in ((1, 2, 3), (4, 5, 6)):
        body[knee], body[ankle] = body[hip] + (0.45, 0, 0), body[hip] + (0.45, 0, -0.42)
    return [body]


def partly(t_s: float) -> Sequence[Floats]:
    """A person whose legs are hidden below the knee."""
    body = walking(t_s)[0].copy()
    body[[3, 6]] = np.nan
    return [body]


@pytest.mark.parametrize(
    "people",
    [
        lambda t_s: [walker((0.5, 0.3), (0, 0), t_s, stature_m=1.75 * 0.6 / 0.87)],
        lambda t_s: [walker((0.5, 0.3), (0, 0), t_s, stature_m=1.75 * 1.05 / 0.87)],
        seated,
        partly,
    ],
    ids=["child of ten", "man of 2.1 m", "seated", "legs hidden"],
)
def test_people_of_all_sizes_leave_a_right_rig_alone(people: People) -> None:
    assert not any(report_of(one, PeopleReport).faults() for one in watched(people, seconds=8.0))


@pytest.mark.parametrize(("depth_m", "noise_px"), [(1.5, 4.0), (3.0, 2.0), (4.0, 2.0), (8.0, 4.0)])
def test_a_noisy_stereo_head_raises_no_alarm_about_scale(depth_m: float, noise_px: float) -> None:
    rig = head()
    estimates = watched(
        lambda t_s: [walker((depth_m, 0.2), (0, 0), t_s)], rig, true=rig, seconds=10.0, noise_px=noise_px,
        options=replace(OPTIONS, max_std_m=10.0),
    )  # fmt: skip
    assert not any("legs" in fault for one in estimates for fault in report_of(one, PeopleReport).faults())


# Rotations from the true world, z up, to one in which the axis is up.
UP = {
    "+x": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    "-x": [[0, 0, -1], [-1, 0, 0], [0, 1, 0]],
    "+y": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "-y": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "+z": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "-z": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
}


def turned(rig: Rig, axis: str) -> Rig:
    """The rig in a world where this axis is up."""
    return replace(rig, cameras=tuple(moved(one, np.array(UP[axis], dtype=np.float64)) for one in rig.cameras))


def rolled(rig: Rig) -> Rig:
    """The same cameras, held on their side: the image is turned by 90 degrees."""
    cameras = []
    for one in rig.cameras:
        side = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        K = one.K.copy()
        K[0, 2], K[1, 2] = one.size_wh[1] - 1 - one.K[1, 2], one.K[0, 2]
        cameras.append(Camera(one.name, one.size_wh[::-1], K, cam_from_world=side @ one.cam_from_world))
    return Rig(tuple(cameras))


@pytest.mark.parametrize("roll", [False, True], ids=["upright cameras", "cameras on their side"])
@pytest.mark.parametrize("axis", UP)
def test_fault_people_stand_along_another_axis_than_z(axis: str, roll: bool) -> None:
    """Fault: a world whose y (or x, or -z) is up instead of z.
    Sees: WARN "people stand along -y of frame 'world', expected +z (REP-103)", whatever way the cameras are held.
    Recovers: within a minute of people with a right rig.
    Kind: K4
    Before: nothing for y down; cameras on their side made a right world look like y up, and the advice turned it.
    """
    true = rolled(PAIR) if roll else PAIR
    last = watched(walking, turned(true, axis), true=true, seconds=8.5)[-1]
    assert report_of(last, PeopleReport).values["people/up"] == axis
    if axis == "+z":
        assert not report_of(last, PeopleReport).faults()
        return
    world = f"{axis[1]}-{'up' if axis[0] == '+' else 'down'}"
    assert report_of(last, PeopleReport).faults() == (
        f"people stand along {axis} of frame 'world', expected +z (REP-103): rotate the cameras' poses "
        f"(`pose3d rig convert --world {world}`, or their transforms)",
    )


def laid(body: Floats) -> Floats:
    """The same body on its back, head towards +x, on the floor."""
    hip = body[0]
    return np.asarray((body - hip)[:, [2, 1, 0]] * (1, 1, -1) + (hip[0], hip[1], 0.2))


def standing_on_hands(body: Floats) -> Floats:
    return np.asarray(body * (1, 1, -1) + (0, 0, 1.8))


@pytest.mark.parametrize(
    "people",
    [
        lambda t_s: [laid(walker((0, 0), (0, 0), t_s))],
        lambda t_s: [walking(t_s)[0] if t_s > 6 else laid(walking(0.0)[0])],
        lambda t_s: [standing_on_hands(walker((0, 0), (0, 0), t_s))],
        lambda t_s: [[walking(t_s)[0], laid(walking(t_s)[0]), standing_on_hands(walking(t_s)[0])][int(t_s) % 3]],
    ],
    ids=["lying all the time", "lying, then walking", "on the hands", "acrobat"],
)
def test_a_person_lying_or_in_a_handstand_does_not_suggest_another_up_axis(people: People) -> None:
    assert not any(report_of(one, PeopleReport).faults() for one in watched(people, seconds=12.0))


def test_a_standing_person_is_evidence_only_where_the_images_agree() -> None:
    still = lambda t_s: [walker((0.0, 0.0), (0.0, 0.0), t_s)]  # noqa: E731
    assert "along -y" in faults(watched(still, turned(PAIR, "-y"), seconds=11.0))
    side = rolled(PAIR)
    assert not faults(watched(still, turned(side, "-y"), true=side, seconds=11.0))


def test_a_cameras_own_frame_has_y_down_and_that_is_right() -> None:
    optical = replace(turned(PAIR, "-y"), frame_id="left_optical")
    last = watched(walking, optical, seconds=8.5)[-1]
    assert report_of(last, PeopleReport).values["people/up"] == "-y"
    assert not report_of(last, PeopleReport).faults()


def test_another_calibration_begins_afresh() -> None:
    estimator = PoseEstimator(scaled(PAIR, 2.0), options=OPTIONS)
    evidence = estimator._background.people_evidence
    evidence._scale.add(0.0, [1.8] * 60)
    evidence._scale.add(5.0, [1.8] * 60)
    estimator.set_rig(PAIR)
    assert evidence._scale.scale.legs == 0


def test_legs_count_only_where_their_joints_are_sure() -> None:
    body = walker((0.0, 0.0), (0.0, 0.0), 0.0)[None]
    for std_m, legs in ((0.05, 2), (0.2, 0)):
        covariance = np.broadcast_to(std_m**2 * np.eye(3), (1, 17, 3, 3))
        np.testing.assert_allclose(leg_lengths(body, covariance), np.full(legs, 0.87), atol=0.01)
