"""People's joints over time with constant bones, set by set, with a delay of some sets or none.

What body_window.py solves, over the sets of the delay; all sets before them are kept as one Gaussian (an iterated
Kalman filter where the delay is 0). NumPy, float64. Axes: N joints of a body (body.py), V views.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pose3d_ros.estimation import body, body_window, joint_choice, kalman
from pose3d_ros.estimation.body import JOINTS, NAMES
from pose3d_ros.estimation.body_window import BodyFrame, Past, Solution
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, Pose3D

# After a gap of this length, or time running backwards, a window starts afresh; bones are kept.
MEMORY_S = 0.5
# A person who appears may be anywhere within this of the first triangulation, and moves at most about this fast.
START_STD_M, START_SPEED = 10.0, 0.7
# Errors of a detector are alike for as long: frames closer than this share one frame's weight.
ALIKE_S = 0.15
ALIKE_BONES_S = 0.5
# Share of a link's length by which its unknown direction shortens it, from which on joints may be metres off along
# their rays, and a second start is tried: where they were expected.
UNSURE = 0.1
# A stature is used where it is surer than this: people of one age and sex differ by about as much.
SURE_STATURE_M = 0.06
# Not of its state: a run that may stop and go on has no lag.
MADE_WITH = ("_lag", "_poses")
MIN_JOINTS = 4  # triangulated in a set, for it to count
GROWS = 5.0  # variance of where a joint is a step later, over that of the joint: both ends of the step err
FIRST_STEP_S = 1 / 30  # between the two sets that are made up before the first
FORGET_NS = round(60e9)  # the bones of a person who was not seen for so long are dropped


@dataclass(eq=False)
class BodyTrack:
    """One person's window: the sets before it, its frames and their joints, and the bones."""

    seen_ns: int
    past: Past
    frames: list[BodyFrame] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)  # of the frames
    solution: Solution | None = None
    spread: Floats = field(default_factory=lambda: np.zeros(0))  # (3N, 3N) m^2 of the last frame's joints

    def expected(self, time_s: float) -> Floats | None:
        """Joints (N, 3) m at a later time; None before the first frame."""
        if self.solution is None:
            return None
        x, before = self.solution.x[-1], self.frames[-1].time_s
        ahead: Floats = x + self.speed(len(self.frames) - 1) * (time_s - before)
        return ahead

    def expected_covariance(self, time_s: float) -> Floats:
        """(N, 3, 3) m^2 of the joints expected."""
        assert self.solution is not None
        before, last = self._last_times
        ahead = (time_s - last) / (last - before)
        joints = len(NAMES)
        whole = self.solution.covariance(len(self.solution.x) - 1, ahead).reshape(joints, 3, joints, 3)
        own = np.moveaxis(np.diagonal(whole, axis1=0, axis2=2), -1, 0)
        spread: Floats = own + self.turned_m2(time_s)[:, None, None] * np.eye(3)
        return spread

    def turned_m2(self, time_s: float) -> Floats:
        """Variances (N,) m^2 an axis by which acceleration moves the joints until then."""
        before, last = self._last_times
        variances: Floats = 0.5 * (time_s - last) ** 2 * (time_s - before) * body.DENSITY
        return variances

    @property
    def _last_times(self) -> tuple[float, float]:
        before, last = [*self.past.times_s[-1:], *(frame.time_s for frame in self.frames)][-2:]
        return before, last

    def speed(self, k: int) -> Floats:
        """Velocity (N, 3) m/s of the joints at a frame."""
        assert self.solution is not None
        times = [*self.past.times_s[-1:], *(frame.time_s for frame in self.frames)]
        x = self.solution.x[1:]
        after = min(k + 2, len(times) - 1)
        speed: Floats = (x[after] - x[k]) / (times[after] - times[k])
        return speed


class BodySmoother:
    """Smooths the people of a rig by their bones and motion, lag_sets sets late; remembers them by id."""

    def __init__(self, lag_sets: int = 0) -> None:
        self._lag = lag_sets
        self._people: dict[str, BodyTrack] = {}
        self._poses: list[Pose3D] = []  # of the last lag_sets + 1 sets

    def reset(self) -> None:
        """Forget all people."""
        self._people, self._poses = {}, []

    def state_dict(self) -> dict[str, Any]:
        """Every person's window and bones, without the poses that wait."""
        return state_of(self, MADE_WITH)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state, MADE_WITH)

    def statures_m(self) -> dict[str, float]:
        """Of the people whose bones are known to SURE_STATURE_M, by id."""
        known = {
            name: body.stature_m(found.lengths, found.lengths_covariance)
            for name, track in self._people.items()
            if (found := track.solution) is not None
        }
        return {name: stature for name, (stature, std) in known.items() if std < SURE_STATURE_M}

    def frames(self, pose: Pose3D) -> dict[str, BodyFrame]:
        """The keypoints of each person at that pose's stamp, as the window took them, by id."""
        last = ((name, self._people[name]) for name in pose.ids if name in self._people)
        return {name: one.frames[-1] for name, one in last if one.stamps_ns[-1:] == [pose.stamp_ns]}

    def __call__(self, pose: Pose3D, seen: Mapping[str, BodyFrame]) -> Pose3D:
        """The pose lag_sets sets ago, of people whose keypoints came with `seen`; lag 0: this one.

        Joints that the tracker has are moved; none is added. Velocity and covariance are the window's.
        """
        self._poses = [*self._poses, pose][-self._lag - 1 :]
        due = self._poses[0]
        known = {*pose.ids, *due.ids}
        self._people = {
            name: track
            for name, track in self._people.items()
            if name in known or 0 <= pose.stamp_ns - track.seen_ns < FORGET_NS
        }
        for row, name in enumerate(pose.ids):
            if (frame := seen.get(name)) is not None:
                self._observe(self._people.get(name), name, frame, pose, row, due.stamp_ns)
        return moved(due, {name: self._people[name] for name in due.ids if name in self._people})

    def _observe(
        self, track: BodyTrack | None, name: str, frame: BodyFrame, pose: Pose3D, row: int, due_ns: int
    ) -> None:
        """Take in one person's keypoints."""
        seen = (pose.n_views[row, JOINTS] >= 2) & np.isfinite(pose.xyz[row, JOINTS]).all(axis=-1)
        if seen.sum() < MIN_JOINTS:
            return
        xyz = np.where(seen[:, None], pose.xyz[row, JOINTS], np.nan)
        covariance = pose.covariance[row, JOINTS] - frame.calibration_covariance[JOINTS]
        if track is None:
            prior = body.first_lengths(xyz, covariance)
            track = self._people[name] = BodyTrack(pose.stamp_ns, started(frame, xyz, *prior))
        dt_s = (pose.stamp_ns - track.seen_ns) * 1e-9
        expected = track.expected(frame.time_s) if 0 < dt_s < MEMORY_S else None
        if expected is None or kalman.jumped(expected, xyz, dt_s, covariance):
            if (before := track.solution) is not None:
                track.past = started(frame, xyz, before.lengths, before.lengths_covariance)
            track.frames, track.stamps_ns = [], []
            blocks = np.where(seen[:, None, None], covariance, np.eye(3))
            spread = np.einsum("nab,nm->namb", blocks, np.eye(len(NAMES))).reshape(3 * len(NAMES), -1)
            expected, x, share, part = track.past.x[-1], np.zeros((0, len(NAMES), 3)), 1.0, 1.0
        else:
            assert track.solution is not None  # or nothing would be expected
            x, share = track.solution.x[2:], min(dt_s / ALIKE_S, 1.0)
            part = min(dt_s / ALIKE_BONES_S, 1.0) / share
            spread = track.spread
        frame, xyz = _believed(track, frame, xyz, covariance, expected if x.size else None)
        while track.frames and track.stamps_ns[0] < due_ns:
            assert track.solution is not None
            track.past = body_window.marginalised(track.frames[0], track.solution, body.MODEL, track.past)
            x, track.frames, track.stamps_ns = x[1:], track.frames[1:], track.stamps_ns[1:]
        longer, link_std = body.uncertain_links(track.past.lengths, spread)
        track.frames = [*track.frames, replace(frame, share=share, longer=longer, link_std=link_std)]
        track.stamps_ns = [*track.stamps_ns, pose.stamp_ns]
        track.seen_ns = pose.stamp_ns
        ends = [np.where(seen[:, None], xyz, expected)]
        if (longer > UNSURE * track.past.lengths).any():
            ends.append(expected)
        starts = [np.concatenate([x, last[None]]) for last in ends]
        found = body_window.solve(track.frames, starts, body.MODEL, track.past)
        if np.isfinite(found.cost):
            sure = body_window.cautious(found, track.past, part)
            # What one view tells moves far along its ray with a length, even behind the camera.
            x = sure.x if body_window.in_front(track.frames, sure.x) else found.x
            track.solution = replace(sure, x=x)
            track.spread = track.solution.covariance(len(found.x) - 1)
        else:  # behind a camera wherever it starts
            del self._people[name]


def _believed(
    track: BodyTrack, frame: BodyFrame, xyz: Floats, covariance: Floats, expected: Floats | None
) -> tuple[BodyFrame, Floats]:
    """The frame without keypoints that are outliers, and joints (N, 3) m where the others put them.

    xyz (N, 3) m of covariance (N, 3, 3) m^2 as triangulated, NaN where not; expected (N, 3) m by the motion.
    """
    found = track.solution
    variances = None
    if expected is not None:
        variances = GROWS * track.spread.diagonal().reshape(-1, 3).sum(axis=-1)
        variances += 3 * track.turned_m2(frame.time_s)
    lengths = track.past.lengths if found is None else found.lengths
    doubt = joint_choice.doubted(frame, xyz, covariance, expected, variances, lengths)
    if not doubt.any():
        return frame, xyz
    spread = body.PRIOR_COVARIANCE if found is None else found.lengths_covariance
    prediction = None
    if expected is not None:
        prediction = expected, track.expected_covariance(frame.time_s)
    return joint_choice.chosen(frame, doubt, xyz, covariance, prediction, lengths, spread)


def started(frame: BodyFrame, xyz: Floats, lengths: Floats, covariance: Floats) -> Past:
    """Two made-up sets before a person's first, about where the person is.

    xyz (N, 3) m are the joints as triangulated, NaN where not; lengths (L,) m of covariance (L, L) m^2 are what is
    known of the links. Joints begin at one depth, the person's: single ones may be metres off along their rays.
    """
    depth = np.nanmedian(xyz @ frame.rotation[:, 2].T + frame.translation[:, 2], axis=0)  # (V,)
    rays = np.concatenate([frame.xy, np.ones_like(frame.xy[:, :1])], axis=1) * depth[:, None, None]
    points = np.moveaxis(frame.rotation, 1, 2) @ (rays - frame.translation[..., None])  # (V, 3, N)
    there = (frame.whiten != 0).any(axis=(1, 2)) & (depth > 0)[:, None]  # (V, N)
    total, count = np.where(there[:, None], points, 0.0).sum(axis=0).T, there.sum(axis=0)[:, None]
    flat = np.ascontiguousarray(np.where(count > 0, total / np.maximum(count, 1), np.nanmean(xyz, axis=0)))
    size = flat.size
    slow = 1.0 / (START_SPEED * FIRST_STEP_S) ** 2
    information = np.zeros((2 * size + len(lengths), 2 * size + len(lengths)))
    information[: 2 * size, : 2 * size] = slow * np.kron(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.eye(size))
    information[size : 2 * size, size : 2 * size] += np.eye(size) / START_STD_M**2
    information[2 * size :, 2 * size :] = np.linalg.inv(covariance)
    times_s = frame.time_s - FIRST_STEP_S * np.array([2.0, 1.0])
    return Past(times_s, np.stack([flat, flat]), lengths, information)


def moved(pose: Pose3D, tracks: Mapping[str, BodyTrack]) -> Pose3D:
    """The pose with all people's statures, and the joints of those who have a frame at its stamp."""
    pose = body.copied(pose)
    for row, name in enumerate(pose.ids):
        track = tracks.get(name)
        if track is None or (found := track.solution) is None:
            continue
        stature = body.stature_m(found.lengths, found.lengths_covariance)
        pose.stature_m[row], pose.stature_std_m[row] = stature
        if pose.stamp_ns not in track.stamps_ns:
            continue
        k = track.stamps_ns.index(pose.stamp_ns)
        spread = track.spread if 3 + k == len(found.x) else found.covariance(2 + k)
        body.place(pose, row, found.x[2 + k], track.speed(k), spread, track.frames[k].calibration_covariance)
        joint_choice.withdraw(pose, row, track.frames[k], spread)
    return pose
