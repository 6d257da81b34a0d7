"""A whole recording through an estimator, as fast as it goes, kept part by part so that it may stop at any time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np
from tqdm import tqdm

from pose3d_ros.errors import Pose3DError
from pose3d_ros.estimation import checkpoint
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.two_sided import Frames, Part, packed, two_sided, unpacked
from pose3d_ros.monitoring.exposure import ExposureCounts
from pose3d_ros.recordings.frame_source import FrameSource
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_log import RecordingLog
from pose3d_ros.structures import FrameSet, Pose3D

# Moments that are kept together: some seconds of work, which is what a power cut costs. A part takes some 0.4 MB.
PART = 64


def estimate_recording(
    source: FrameSource,
    estimator: PoseEstimator,
    log: RecordingLog,
    stopped: Callable[[], bool] = lambda: False,
    *,
    progress: bool | None = None,
) -> bool:
    """Estimate every moment that the log lacks, and keep it there; returns whether the end was reached.

    The estimator goes on from the state that the log keeps, so that parts are those of a run that never stopped.
    stopped is asked after each moment. progress as tqdm's "not disable": None shows it on a terminal. Raises what the
    source and the estimator raise, and InputError when the disk is full; what was estimated before is kept.
    """
    if len(log):
        estimator.load_state_dict(checkpoint.from_bytes(log.state))
    part: list[tuple[Estimate, int]] = []
    shown = ExposureCounts()

    def keep() -> None:
        if part:
            frames = checkpoint.to_bytes(packed([one.frames for one, _ in part]))
            log.append(recorded(source, part, shown.counts), checkpoint.to_bytes(estimator.state_dict()), frames)
            part.clear()
            shown.counts = {}

    moments = source.read(len(log))
    hidden = None if progress is None else not progress
    with tqdm(total=len(source), initial=len(log), desc="frame sets", unit=" sets", disable=hidden) as bar:
        while True:
            try:
                moment = next(moments, None)
            except Pose3DError:
                keep()  # the source failed, not the estimator: its state is whole
                raise
            if moment is None:
                break
            one = (
                estimator.estimate(moment)
                if isinstance(moment, FrameSet)
                else estimator.estimate_from_keypoints(moment)
            )
            if isinstance(moment, FrameSet):
                for camera, image in moment.images.items():
                    shown.add(camera, image)
            part.append((one, time.monotonic_ns()))
            bar.update()
            if stopped():
                break
            if len(part) == PART:
                keep()
    keep()
    return len(log) >= len(source)


def smooth_recording(log: RecordingLog, smoothed: RecordingLog, *, progress: bool | None = None) -> None:
    """Write a finished log's parts to another log, their poses smoothed with what came before and after.

    Raises InputError when the disk is full.
    """

    def moments() -> Iterator[tuple[Pose3D, Frames]]:
        for part, frames in zip(log.parts(), log.frames(), strict=True):
            yield from zip(part.poses, unpacked(checkpoint.from_bytes(frames)), strict=True)

    def parts() -> Iterator[Part]:
        # Of one size wherever the run was stopped, so that its result is that of one that was not.
        rest = moments()
        while block := list(islice(rest, PART)):
            yield Part(*zip(*block, strict=True))

    poses = chain.from_iterable(two_sided(parts))
    smoothed.begin({})
    hidden = None if progress is None else not progress
    with tqdm(total=len(log), desc="smoothing", unit=" sets", disable=hidden) as bar:
        for part in log.parts():
            smoothed.append(replace(part, poses=tuple(islice(poses, len(part.poses)))))
            bar.update(len(part.poses))


def recorded(
    source: FrameSource, part: Sequence[tuple[Estimate, int]], exposure: Mapping[str, list[int]] | None = None
) -> Recording:
    """Estimates of moments in order, and when they were done (monotonic ns), as a Recording."""
    stages = {name for one, _ in part for name in one.stage_ms}
    medians = {name: float(np.median([one.stage_ms.get(name, 0.0) for one, _ in part])) for name in stages}
    return Recording(
        rig=source.rig,
        poses=tuple(one.pose for one, _ in part),
        received_ns=np.array([at for _, at in part], dtype=np.int64),
        published_ns={},
        keypoints={
            camera: {
                one.pose.stamp_ns: (one.keypoints[camera], one.ids[camera])
                for one, _ in part
                if camera in one.keypoints
            }
            for camera in source.rig.names
        },
        t0_ns=source.t0_ns,
        fps=source.fps,
        frames_per_loop=len(source),
        frame_sets_sent=len(part),
        stage_ms=medians,
        exposure=exposure or {},
    )


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Within the block the first Ctrl-C or SIGTERM only makes the function it gives true; the next one interrupts."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
