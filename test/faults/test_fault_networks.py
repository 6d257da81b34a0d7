"""Networks that fail in the middle of the work: no numbers, no memory, weights that are missing, no time."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from one_camera import one_camera
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.options import DetectorOptions, weights_of
from pose3d_ros.detection.out_of_memory import OFTEN, MemoryShortage
from pose3d_ros.detection.top_down import TopDownDetector
from pose3d_ros.errors import InputError, OutOfMemoryError, WeightsCorruptError, WeightsMissingError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.observation import gathered, triangulated
from pose3d_ros.estimation.refinement.stage import debiased, refined
from pose3d_ros.estimation.track import no_pose
from pose3d_ros.geometry.projection import project
from pose3d_ros.ros.diagnostics import Level, Record, Result
from pose3d_ros.ros.mailbox import Mailbox, start_worker
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D
from pose3d_ros.weights import store

CAMERAS = h36m_rig().cameras
IMAGES = FrameSet({"cam": np.zeros((96, 128, 3), np.uint8)}, {"cam": 1})


def estimate_with(**values: Any) -> Estimate:
    """An estimate of no person."""
    return Estimate(no_pose(H36M_17, 0, "map"), {}, {}, {}, 0, **{"rejected": {}, **values})


RESULT = Result({"detect": 80.0}, latency_ms=100.0, spread_ms=0.0, people=1, cameras=("left", "right"))


def reported(result: Result) -> tuple[Level, str]:
    record = Record()
    record.processed(0.0, result)
    health = record.health(0.1, [], {})
    return health.level, health.message


def test_fault_network_output_nan_in_the_detector(weights: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a network of the detector gives NaN, as after an overflow in half precision.
    Sees: the frame set is dropped, the network named, never an empty message that says no person is there.
    Recovers: by itself with the next frame set that gives numbers; else precision:=full.
    """
    detector = TopDownDetector("cpu", DetectorOptions(precision="full"))
    whole = detector._heads
    monkeypatch.setattr(detector, "_heads", lambda images: [one * torch.nan for one in whole(images)])
    with pytest.raises(InputError, match=r"NanoDet output .* values that are not finite"):
        detector(IMAGES)
    monkeypatch.setattr(detector, "_heads", whole)
    assert len(detector(IMAGES)["cam"]) == 0  # black images
    joints = detector._joints
    box, all_people = np.array([[10.0, 10, 60, 90]]), np.array([True])
    assert np.isfinite(joints([IMAGES.images["cam"]], box, all_people).xy).all()
    heads = joints._heads  # type: ignore[attr-defined]
    monkeypatch.setattr(joints, "_heads", lambda images: [one * torch.nan for one in heads(images)])
    with pytest.raises(InputError, match=r"movenet-thunder output .* set precision:=full"):
        joints([IMAGES.images["cam"]], box, all_people)


def test_fault_network_output_nan_in_a_refiner() -> None:
    """Fault: a network that refines poses gives NaN.
    Sees: every joint stays as it was triangulated; WARN "a network that refines returned NaN".
    Recovers: by itself; or refine:=none.
    """
    people = np.stack([walker((0, 0), (0, 0), 0), walker((0.8, 0.5), (0, 0), 0)])
    rng = np.random.default_rng(0)
    triangulate = partial(triangulated, min_views=2, max_std_m=np.inf)
    found = gathered([seen(one, people, rng, noise_px=3.0) for one in CAMERAS], np.array([[0] * 4, [1] * 4]))
    observed = triangulate(CAMERAS, found)

    class NoNumbers:
        def serves(self, views: int) -> bool:
            return True

        def __call__(self, cameras, seen, observed):  # type: ignore[no-untyped-def]
            return np.full_like(observed.xyz, np.nan), np.full_like(observed.covariance, np.nan)

    after, refusal = refined(NoNumbers(), CAMERAS, found, observed, None)
    np.testing.assert_array_equal(after.xyz, observed.xyz)
    np.testing.assert_array_equal(after.covariance, observed.covariance)
    assert (refusal > 0).sum() == 2 * 16  # all joints that the network was taught
    seen_, after, _ = debiased(lambda cameras, xyz, xy: xy * np.nan, triangulate, CAMERAS, found, observed)
    np.testing.assert_array_equal(seen_.xy, found.xy)
    np.testing.assert_array_equal(after.xyz, observed.xyz)

    level, words = reported(replace(RESULT, estimate=estimate_with(not_refined={"not_finite": 32})))
    assert (level, "refines returned NaN for 32 joints" in words) == (Level.WARN, True)


def test_fault_network_output_nan_in_the_lifter() -> None:
    """Fault: the network that lifts people from one view gives NaN.
    Sees: it gives no pose; WARN "the network that lifts returned NaN".
    Recovers: by itself with the next image that gives numbers, under the same id.
    """
    camera = Camera("front", (1280, 720), np.array([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]]))
    axes = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    person = (walker((4.0, 0.0), (0.0, 0.0), 0.0)[None] - (0.0, 0.0, 1.2)) @ axes.T
    net = Oracle(person)
    estimator = one_camera(camera, OracleLoaded(net))
    poses = []
    for n in range(6):
        net.depth_error = np.nan if n in (3, 4) else 1.0
        keypoints = Keypoints2D(project(camera, person), np.full((1, 17), 0.8), H36M_17, 5_000_000_000 + n * 33_000_000)
        poses.append(estimator.estimate_from_keypoints({"front": keypoints}))
    assert poses[3].rejected == {"not_finite": 1}
    assert all(np.isfinite(one.pose.xyz).all() for one in poses[2:])  # predicted meanwhile
    assert [int(one.pose.state[0]) for one in poses[2:]] == [0, 1, 1, 0]
    assert {one.pose.ids for one in poses[2:]} == {("1",)}
    level, words = reported(replace(RESULT, people=0, estimate=poses[3]))
    assert (level, "lifts returned NaN for 1 people" in words) == (Level.WARN, True)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        InputError("detector_model x.onnx: ONNX Runtime failed: Failed to allocate memory for requested buffer"),
    ],
    ids=["python", "torch on the CPU", "torch on a GPU", "ONNX Runtime"],
)
def test_fault_out_of_memory_in_the_detector(error: Exception) -> None:
    """Fault: memory runs out in the detector, on the GPU or the CPU.
    Sees: the frame set is dropped; ERROR or WARN "out of memory (...)", which after three in a row names the options
    that need less.
    Recovers: by itself with the next frame set that fits; what the failed one held is given back.
    """
    shortage = MemoryShortage()
    gc.freeze()  # whatever other tests have loaded need not be searched for what is free

    def fail() -> None:
        held = np.zeros(1000)
        held[0] = 1.0
        raise error

    words, held_still = [], []
    for _ in range(OFTEN):
        try:
            fail()
        except Exception as caught:
            explained = shortage.explained(caught)
            assert isinstance(explained, OutOfMemoryError)
            held_still.append(caught.__traceback__)
            words.append(str(explained))
    assert held_still == [None] * OFTEN  # the frames of fail, and what they hold, are let go
    assert all(one.startswith("out of memory (") and "dropped" in one for one in words)
    assert "precision:=half" not in words[-2]
    assert "3 times in a row: set precision:=half (GPU), a smaller max_detections" in words[-1]
    shortage.over()
    assert "in a row" not in str(shortage.explained(MemoryError()))
    other = ValueError("something else")
    assert shortage.explained(other) is other
    gc.unfreeze()


def test_fault_weights_missing_or_tampered_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the detector's weights are not there when the node is configured, or not the published ones.
    Sees: the node does not start (exit code 1), or stays unconfigured where it is managed, with ERROR and the fix.
    Recovers: `pose3d models fetch`, then configure, or by the launch file's respawn.
    """
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="run `pose3d models fetch`"):
        make_detector(DetectorOptions(), "cpu")
    for name in weights_of(DetectorOptions()):
        folder = tmp_path / "weights" / name
        folder.mkdir(parents=True)
        for one in store.model(name).files:
            (folder / one.name).write_bytes(b"{}")
    with pytest.raises(WeightsCorruptError, match="run `pose3d models fetch`"):
        make_detector(DetectorOptions(), "cpu")


def test_fault_inference_slower_than_the_cameras() -> None:
    """Fault: images come faster than the networks work.
    Sees: the newest frame set is always the next one, so that poses are at most two turns old; /diagnostics has one
    message: how old poses are when they leave, which stage takes how many ms, what to change; WARN where that age
    exceeds occluded_after_s.
    Recovers: by itself when the machine keeps up again.
    """
    mailbox: Mailbox[int] = Mailbox()
    busy, free_again, done = threading.Event(), threading.Event(), []

    def work(number: int) -> None:
        busy.set()
        free_again.wait(10)
        done.append(number)

    thread = start_worker(mailbox, work, lambda error: None, "slow")
    mailbox.put(1)
    assert busy.wait(10)
    replaced = sum(mailbox.put(number) for number in range(2, 30))
    assert replaced == 27
    free_again.set()
    give_up = time.monotonic() + 10
    while len(done) < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    mailbox.close()
    thread.join(10)
    assert done == [1, 29]

    def running(latency_ms: float, skipped: int) -> tuple[Level, str]:
        record = Record()
        for n in range(20):
            for _ in range(skipped):
                record.count("replaced")
            stages = {"decode": 3.0, "detect": latency_ms - 10.0, "publish": 2.0}
            late = replace(RESULT, latency_ms=latency_ms, age_ms=latency_ms + 20.0, visible_ms=200.0, stage_ms=stages)
            record.processed(0.1 * n, late)
        health = record.health(2.0, [], {})
        return health.level, health.message

    words = "this machine is slower than the cameras: it takes the newest 19 of 57 frame sets, and poses are"
    fix = "use a faster detector, a GPU, or fewer or smaller images"
    assert running(100.0, 2)[0] is Level.OK
    assert f"{words} 120 ms old when they leave: detect takes 90 ms: {fix}" in running(100.0, 2)[1]
    assert running(300.0, 2) == (
        Level.WARN,
        f"running, but {words} 320 ms old when they leave, expected below 200: detect takes 290 ms: {fix}",
    )
    assert "slower" not in running(100.0, 0)[1]
