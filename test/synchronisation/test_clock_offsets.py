"""Clock offsets of cameras against truth: made-up walkers, real cameras, a real detector's errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from synthetic_people import h36m_rig, walker

from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.detector_noise import training_noise
from pose3d_ros.simulation.noise_models import GaussianNoise, Noise, crop_scale
from pose3d_ros.simulation.simulated_rigs import miscalibrated, simulated_rig
from pose3d_ros.simulation.views import to_coco, to_h36m
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate, ClockOffsets
from pose3d_ros.synchronisation.clock_regression import local_lines

T0 = 1_700_000_000 * 10**9


def to_and_fro(speed_m_s: float, at_s: Floats, reach_m: float = 1.5) -> Floats:
    """Joints (T, 17, 3) m of a person who walks to and fro along a line through the middle of the room."""
    out = []
    for t in at_s:
        gone = speed_m_s * t
        lap, along = divmod(gone, 2.0 * reach_m)
        sign = 1.0 if int(lap) % 2 == 0 else -1.0
        heading = np.array((0.8, 0.6)) * sign
        body = walker((0.0, 0.0), tuple(speed_m_s * heading), t)
        body[:, :2] += heading * (along - reach_m - gone)
        out.append(body)
    return np.stack(out)


def walked(
    cameras: Sequence[Camera],
    late_ms: Sequence[float],
    noise: Noise,
    *,
    speed_m_s: float = 1.0,
    fps: float = 30.0,
    seconds: float = 10.5,  # the estimate of 10 s takes some frame sets
    believed: Sequence[Camera] | None = None,
    seed: int = 0,
    offsets: ClockOffsets | None = None,
) -> ClockEstimate:
    """What is known after so many seconds, where each camera's stamps are late by so much."""
    at_s = np.arange(int(seconds * fps)) / fps
    true = [
        project(camera, to_coco(to_and_fro(speed_m_s, at_s - 1e-3 * late)))
        for camera, late in zip(cameras, late_ms, strict=True)
    ]
    px = np.stack(true)[:, None]
    xy, score = to_h36m(*noise(px, crop_scale(px), 1.0 / fps, np.random.default_rng(seed)))
    offsets = offsets or ClockOffsets()
    for n, t in enumerate(at_s):
        stamp_ns = T0 + round(t * 1e9)
        seen = {c.name: Keypoints2D(xy[v, :, n], score[v, :, n], H36M_17, stamp_ns) for v, c in enumerate(cameras)}
        estimate = offsets.update(tuple(believed or cameras), seen, {c.name: ("1",) for c in cameras})
    return estimate


def errors_ms(estimate: ClockEstimate, cameras: Sequence[Camera], late_ms: Sequence[float]) -> Floats:
    return np.array(
        [1e3 * estimate.offsets[c.name].late_s - (late - late_ms[0]) for c, late in zip(cameras, late_ms, strict=True)]
    )


@pytest.mark.parametrize(
    ("cameras", "fps", "late_ms"), [(4, 30.0, (7, -50, 20, 50)), (2, 30.0, (0, -50)), (3, 15.0, (0, 50, -20))]
)
def test_offsets_of_keypoints_without_outliers_are_found(cameras: int, fps: float, late_ms: tuple[float, ...]) -> None:
    rig = h36m_rig().cameras[:cameras]
    estimate = walked(rig, late_ms, GaussianNoise(1.0), fps=fps)
    assert np.abs(errors_ms(estimate, rig, late_ms)).max() < 2.0


@pytest.mark.parametrize("fps", [15.0, 30.0])
def test_three_ms_are_reached_within_ten_seconds_of_slow_walking(fps: float) -> None:
    rig, wrong = h36m_rig().cameras, []
    noise, slow = (
        GaussianNoise(4.0),
        {"speed_m_s": 0.5, "fps": fps, "seconds": 11.0},
    )  # a second for the estimate to come
    for seed in range(8):
        late_ms = tuple(np.random.default_rng(seed).uniform(-50, 50, 4))
        believed = miscalibrated(rig, np.random.default_rng(seed))
        estimate = walked(rig, late_ms, noise, believed=believed, seed=seed, **slow)
        wrong.append(errors_ms(estimate, rig, late_ms)[1:])
    assert np.sqrt(np.mean(np.square(wrong))) < 3.0


@pytest.mark.parametrize("seed", range(3))
def test_offsets_come_with_an_honest_standard_error_under_a_detectors_errors(seed: int) -> None:
    rig, late_ms = (
        simulated_rig("h36m", seed, held_out=True).rig.cameras,
        np.random.default_rng(seed).uniform(-25, 25, 4),
    )
    believed = miscalibrated(rig, np.random.default_rng(seed))  # by 0.1 to 0.3 degrees and 2 to 5 mm
    estimate = walked(rig, late_ms, training_noise("h36m"), believed=believed, seed=seed)
    std_ms = np.array([1e3 * estimate.offsets[c.name].std_s for c in rig[1:]])
    error_ms = errors_ms(estimate, rig, late_ms)[1:]
    assert (np.abs(error_ms) < 3.0 * std_ms).all()
    assert np.sqrt(np.mean(error_ms**2)) < 6.0


def test_fault_offset_20_and_50_ms() -> None:
    """Fault: the stamps of one camera are 50 ms late, those of another 20 ms early.
    Sees: WARN "the stamps of camera 'right' are 50 ms late (+- ... ms) compared with ...", after 10 s of walking.
    Recovers: by itself when the clocks agree; with compensate_offsets poses are right meanwhile.
    """
    rig = h36m_rig().cameras
    estimate = walked(rig, (0, 50, -20, 0), GaussianNoise(3.0), believed=miscalibrated(rig, np.random.default_rng(0)))
    late, early = estimate.faults()
    assert late.startswith(f"the stamps of camera {rig[1].name!r} are ")
    assert float(late.split(" are ")[1].split(" ms late")[0]) == pytest.approx(50, abs=3)
    assert early.startswith(f"the stamps of camera {rig[2].name!r} are ")
    assert float(early.split(" are ")[1].split(" ms early")[0]) == pytest.approx(20, abs=3)
    assert set(estimate.facts()) == {*(f"clock_offset_ms/{c.name}" for c in rig), "clock_offset"}


@pytest.mark.parametrize("late_ms", [(0.0, 5.0, -5.0, 0.0), (0.0, 0.0, 0.0, 0.0)])
def test_no_alarm_at_5_ms_nor_for_a_wrong_calibration(late_ms: tuple[float, ...]) -> None:
    rig = h36m_rig().cameras
    believed = miscalibrated(rig, np.random.default_rng(1), rotation_deg=(0.3, 0.3), translation_m=(0.01, 0.01))
    estimate = walked(rig, late_ms, training_noise("h36m"), believed=believed, seed=4)
    assert estimate.offsets
    assert estimate.faults() == []


def test_standing_people_give_no_estimate_and_the_reason() -> None:
    rig = h36m_rig().cameras
    estimate = walked(rig, (0, 50, 0, 0), training_noise("h36m"), speed_m_s=0.0)
    assert not estimate.offsets
    assert not estimate.usable_s
    assert not estimate.faults()
    assert estimate.facts()["clock_offset"].startswith("people walked for 0 s of the last 20")


def test_standard_error_is_large_for_cameras_that_observe_little_motion() -> None:
    """Two cameras on opposite sides are blind along the line between them, where this person walks."""
    pair = h36m_rig().cameras[1:3]
    estimate = walked(pair, (0, 40), training_noise("h36m"), speed_m_s=0.5, seed=1)
    assert abs(errors_ms(estimate, pair, (0, 40))[1]) < 3.0 * 1e3 * estimate.offsets[pair[1].name].std_s
    if 1e3 * estimate.offsets[pair[1].name].std_s > 10.0:
        assert not estimate.usable_s
        assert not estimate.faults()


def test_other_cameras_or_a_time_jump_reset_the_estimate() -> None:
    offsets, rig = ClockOffsets(), h36m_rig().cameras[:2]
    assert walked(rig, (0, 30), GaussianNoise(1.0), seconds=8.0, offsets=offsets).offsets
    assert not walked(
        rig, (0, 30), GaussianNoise(1.0), seconds=2.0, offsets=offsets
    ).offsets  # the stamps started again
    moved = rig[1].placed(np.diag([1.0, 1.0, 1.0, 1.0]) @ rig[1].cam_from_world + 0.05 * np.eye(4, k=3))
    assert walked(rig, (0, 30), GaussianNoise(1.0), seconds=8.0, offsets=offsets).offsets
    seen = {c.name: Keypoints2D.empty(H36M_17, T0 + 9 * 10**9) for c in rig}
    assert not offsets.update((rig[0], moved), seen, {}).offsets


def test_nothing_older_than_the_window_is_kept_while_one_camera_is_left() -> None:
    rig, offsets = h36m_rig().cameras, ClockOffsets()
    walked(rig, (0, 30, 0, 0), GaussianNoise(1.0), seconds=5.0, offsets=offsets)
    alone = Keypoints2D(np.full((1, 17, 2), 100.0), np.ones((1, 17)), H36M_17)
    for number in range(40 * 30):
        seen = replace(alone, stamp_ns=T0 + round((5.0 + number / 30) * 1e9))
        offsets.update(rig, {rig[0].name: seen}, {rig[0].name: ("1",)})
    (track,) = offsets._tracks["1"].values()
    assert len(track.px) + len(track.ideal) == len(track.stamps_ns) == len(track.weight) <= 20 * 30 + 1


def test_gap_during_an_estimate_drops_its_keypoints() -> None:
    rig, offsets = h36m_rig().cameras, ClockOffsets()
    for number in range(31):  # the last set begins an estimate
        stamp_ns = T0 + round(number * 1e9 / 30)
        body = np.full((2, 17, 2), 100.0 + number)
        seen = {c.name: Keypoints2D(body, np.ones((2, 17)), H36M_17, stamp_ns) for c in rig}
        offsets.update(rig, seen, {c.name: ("1", "2") for c in rig})
    assert offsets._under_way is not None
    for number in range(40):
        stamp_ns = T0 + round((60.0 + number / 30) * 1e9)
        seen = {c.name: Keypoints2D(body, np.ones((2, 17)), H36M_17, stamp_ns) for c in rig}
        offsets.update(rig, seen, {c.name: ("1", "3") for c in rig})
    assert not offsets.estimate.offsets


def test_local_lines_are_those_of_a_weighted_fit() -> None:
    rng = np.random.default_rng(0)
    stamps_s, xy = np.sort(rng.uniform(0, 2, 40)), rng.normal(size=(40, 3, 2))
    xy[rng.random((40, 3)) < 0.2] = np.nan
    at_s = np.array([0.7, 1.0, 1.31])
    counts = rng.uniform(0.1, 1.0, (40, 3))
    place, speed = local_lines(at_s, stamps_s, xy, counts, 0.35)
    for n, t in enumerate(at_s):
        kernel = np.maximum(1 - ((stamps_s - t) / 0.35) ** 2, 0.0)
        for joint in range(3):
            weight = np.sqrt(kernel * counts[:, joint])
            seen = np.isfinite(xy[:, joint, 0]) & (weight > 0)
            for axis in range(2):
                slope, value = np.polyfit(stamps_s[seen] - t, xy[seen, joint, axis], 1, w=weight[seen])
                assert (place[n, joint, axis], speed[n, joint, axis]) == pytest.approx((value, slope), abs=1e-9)
