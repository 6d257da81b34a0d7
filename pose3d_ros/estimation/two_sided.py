"""A finished recording smoothed with what came before and after: body_window.py over whole clips, part by part.

First the lengths of each person's bones are learnt from the whole recording; then every part is solved together with
the ends of its neighbours, so that memory does not grow with the recording. NumPy, float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, pairwise, repeat
from typing import Any

import numpy as np

from pose3d_ros.estimation import body, body_window
from pose3d_ros.estimation.body import JOINTS, NAMES
from pose3d_ros.estimation.body_smoother import ALIKE_BONES_S, ALIKE_S, MEMORY_S
from pose3d_ros.estimation.body_window import BodyFrame, Past, Solution
from pose3d_ros.geometry.orientation import with_orientations
from pose3d_ros.structures import Floats, Pose3D

# What lies farther from a frame changes its joints no more: a few times the spread of a window of motion.
REACH_S = 0.5
# Lengths are constant: what is still unknown of them enters the covariance of joints afterwards.
FIXED_M = 1e-5

Frames = Mapping[str, BodyFrame]  # by person id
Lengths = dict[str, tuple[Floats, Floats]]  # by person id: lengths (L,) m and their covariance (L, L) m^2


@dataclass(frozen=True, eq=False)
class Part:
    """Some moments in order, and each one's keypoints."""

    poses: Sequence[Pose3D]
    frames: Sequence[Frames]


@dataclass(frozen=True, eq=False)
class _Moment:
    """One person at one time."""

    place: tuple[int, int]  # number in the part and row in its pose; negative numbers of neighbouring parts
    frame: BodyFrame
    start: Floats  # (N, 3) m
    covariance: Floats  # (N, 3, 3) m^2 of those that were measured


def two_sided(parts: Callable[[], Iterator[Part]]) -> Iterator[tuple[Pose3D, ...]]:
    """The poses of every part, smoothed; parts gives the recording from its start, and is asked twice."""
    lengths = learnt(parts())
    nothing = Part((), ())
    before = nothing
    for part, after in pairwise(chain(parts(), (nothing,))):
        yield _smoothed(before, part, after, lengths)
        before = part


def learnt(parts: Iterator[Part]) -> Lengths:
    """The bones of every person of a recording."""
    known: Lengths = {}
    for part in parts:
        for name, moments in _people(Part((), ()), part, Part((), ())).items():
            for run in _runs(moments):
                prior = known.get(name) or body.first_lengths(run[0].start, run[0].covariance)
                past = _no_past(*prior)
                found = _solved(run, past, certain=False)
                if np.isfinite(found.cost):
                    sure = body_window.cautious(found, past, ALIKE_S / ALIKE_BONES_S)
                    known[name] = sure.lengths, sure.lengths_covariance
    return known


def packed(frames: Sequence[Frames]) -> dict[str, Any]:
    """The keypoints of several moments in a few arrays, for checkpoint.to_bytes."""
    flat = [(k, name, frame) for k, by_name in enumerate(frames) for name, frame in by_name.items()]
    views = [len(frame.rotation) for _, _, frame in flat]
    whole = {
        one.name: np.concatenate([np.ravel(getattr(frame, one.name)) for _, _, frame in flat] or [np.zeros(0)])
        for one in fields(BodyFrame)
    }
    return {"moments": len(frames), "people": [[k, name] for k, name, _ in flat], "views": views, **whole}


def unpacked(state: Mapping[str, Any]) -> list[dict[str, BodyFrame]]:
    """What packed took."""
    frames: list[dict[str, BodyFrame]] = [{} for _ in range(state["moments"])]
    at = dict.fromkeys((one.name for one in fields(BodyFrame)), 0)
    joints, links = len(NAMES), len(body.PAIRS)
    for (moment, name), V in zip(state["people"], state["views"], strict=True):
        shapes: dict[str, tuple[int, ...]] = {
            "rotation": (V, 3, 3), "translation": (V, 3), "xy": (V, 2, joints), "whiten": (V, 2, 2, joints),
            "calibration_covariance": (len(body.MADE), 3, 3), "longer": (links,), "link_std": (links,),
        }  # fmt: skip
        values: dict[str, Any] = {}
        for field in at:
            shape = shapes.get(field, ())
            size = int(np.prod(shape))
            array = state[field][at[field] : at[field] + size]
            at[field] += size
            values[field] = array.reshape(shape) if shape else float(array[0])
        frames[moment][name] = BodyFrame(**values)
    return frames


def _smoothed(before: Part, part: Part, after: Part, lengths: Lengths) -> tuple[Pose3D, ...]:
    """The poses of a part."""
    poses = [body.copied(pose) for pose in part.poses]
    for name, moments in _people(before, part, after).items():
        if name not in lengths:
            continue
        mean, spread = lengths[name]
        for pose in poses:
            if name in pose.ids:
                row = pose.ids.index(name)
                pose.stature_m[row], pose.stature_std_m[row] = body.stature_m(mean, spread)
        for run in _runs(moments):
            if all(one.place[0] < 0 for one in run):
                continue
            found = _solved(run, _no_past(mean, FIXED_M**2 * np.eye(len(mean))), certain=True)
            if np.isfinite(found.cost):
                _put(poses, run, replace(found, lengths_covariance=spread))
    return tuple(with_orientations(pose) for pose in poses)


def _put(poses: Sequence[Pose3D], run: Sequence[_Moment], found: Solution) -> None:
    """Write the joints of a run into the part's poses."""
    times_s = np.array([one.frame.time_s for one in run])
    speed = np.gradient(found.x, times_s, axis=0) if len(run) > 1 else np.full_like(found.x, np.nan)
    covariances = body_window.covariances(found)
    for k, one in enumerate(run):
        number, row = one.place
        if number >= 0:
            body.place(poses[number], row, found.x[k], speed[k], covariances[k], one.frame.calibration_covariance)


def _solved(run: Sequence[_Moment], past: Past, *, certain: bool) -> Solution:
    """The joints of a run; certain: the links are as long as the past says, however unsure they point."""
    gaps_s = np.diff([one.frame.time_s for one in run])
    share = np.minimum(np.append(gaps_s[:1], gaps_s) / ALIKE_S, 1.0) if len(run) > 1 else np.ones(1)
    frames = [replace(one.frame, share=float(part)) for one, part in zip(run, share, strict=True)]
    found = body_window.solve(frames, [np.stack([one.start for one in run])], body.MODEL, past)
    if not np.isfinite(found.cost):
        return found
    # With the frames to come links point where they do more surely than when the frames came.
    links: Iterable[tuple[Floats, Floats]] = repeat((np.zeros(len(body.FLEX_M)), body.FLEX_M))
    if not certain:
        links = (body.uncertain_links(found.lengths, spread) for spread in body_window.covariances(found))
    frames = [replace(one, longer=longer, link_std=std) for one, (longer, std) in zip(frames, links, strict=False)]
    return body_window.solve(frames, [found.x], body.MODEL, past)


def _no_past(lengths: Floats, covariance: Floats) -> Past:
    """Nothing known of any frame before."""
    information: Floats = np.linalg.inv(covariance).astype(np.float64)
    return Past(np.zeros(0), np.zeros((0, len(NAMES), 3)), lengths, information)


def _people(before: Part, part: Part, after: Part) -> dict[str, list[_Moment]]:
    """Each person's moments in a part and within reach of it, in order."""
    people: dict[str, list[_Moment]] = {}
    if not part.poses:
        return people
    first_ns, last_ns = part.poses[0].stamp_ns, part.poses[-1].stamp_ns
    reach_ns = round(REACH_S * 1e9)
    for one, inside in ((before, False), (part, True), (after, False)):
        for k, (pose, frames) in enumerate(zip(one.poses, one.frames, strict=True)):
            if not inside and not first_ns - reach_ns <= pose.stamp_ns <= last_ns + reach_ns:
                continue
            for row, name in enumerate(pose.ids):
                if name in frames:
                    own = people.setdefault(name, [])
                    xyz = pose.xyz[row, JOINTS]
                    known = np.isfinite(xyz)
                    if not (own or known.any()):
                        continue
                    start = np.where(known, xyz, own[-1].start if own else np.nanmean(xyz, axis=0))
                    place = (k if inside else -1, row)
                    own.append(_Moment(place, frames[name], start, pose.covariance[row, JOINTS]))
    return people


def _runs(moments: Sequence[_Moment]) -> Iterator[list[_Moment]]:
    """Stretches without a gap or a step back in time."""
    run: list[_Moment] = []
    for one in moments:
        if run and not 0 < one.frame.time_s - run[-1].frame.time_s < MEMORY_S:
            yield run
            run = []
        run.append(one)
    if run:
        yield run
