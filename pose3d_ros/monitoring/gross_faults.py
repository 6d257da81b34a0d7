"""Identifies a gross calibration fault by testing hypotheses: which one makes the rays of all people meet?

Cameras with an inverted transform, or with swapped images, match no person, so nothing is triangulated. The 2D people
are the evidence: every hypothesis recomputes the rays, and its cost is the angle by which the best-matching people of
each pair of cameras miss each other (association.ray_mismatch). The hypotheses: the transform of one camera or of all
is inverted, as a whole, below the optical frame (REP 103: TF inverts the camera's body) or relative to another camera;
the images of two cameras are swapped, with and without their camera_info.

NumPy, float64. Axes: S frame sets, P people, J joints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from pose3d_ros.geometry.association import ray_mismatch
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.structures import Camera, Floats

# The limit of association, rad: below it two detections are one person; a joint counts twice that at most.
LIMIT_RAD = 25e-3
# A hypothesis holds if people miss by this at most and by half of what they miss without it; others are suspects within
# the factor RIVAL of it. Pose2Sim's footage, whose calibration is rough, misses by 4 to 12 mrad without a fault, and by
# 22 to 50 with one of these faults.
HOLDS_RAD, BETTER, RIVAL = 0.6 * LIMIT_RAD, 2.0, 1.5
# Joints that two views must share to be compared, as in association.
SHARED_JOINTS = 4
# The optical frame in the camera's body frame, REP 103: z forward, x right, y down against x forward, y left, z up.
PARALLEL = 0.02  # rad by which the eyes of a stereo head differ; R of such pairs is within a degree
OPTICAL_FROM_BODY = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])

RawSet = Mapping[str, Floats]  # camera -> (P, J, 2) px of all its people, NaN for a missing joint


@dataclass(frozen=True)
class Suspect:
    """A fault that would explain the observations."""

    kind: str  # inverted, swapped, body frame
    cameras: tuple[str, ...]
    text: str  # the fault and its fix


@dataclass(frozen=True)
class Finding:
    """The suspects that fit about equally well, the best first, and the mean miss without and with the best."""

    suspects: tuple[Suspect, ...]
    as_is_rad: float
    best_rad: float


@dataclass(frozen=True, eq=False)
class _View:
    """A camera under a hypothesis."""

    cam_from_world: Floats  # (4, 4)
    lens: int  # index of the camera whose intrinsics apply
    images: int  # index of the camera whose images arrive


def find_gross_fault(cameras: Sequence[Camera], sets: Sequence[RawSet]) -> Finding:
    """Test every hypothesis on a few frame sets; no suspects if none holds or the calibration fits."""
    ideal = _Ideal(cameras, sets)
    as_is = [_View(camera.cam_from_world, n, n) for n, camera in enumerate(cameras)]
    miss_as_is = {pair: _miss_rad(ideal, as_is, *pair) for pair in combinations(range(len(cameras)), 2)}
    before = _mean(miss_as_is.values())
    if not before > HOLDS_RAD:
        return Finding((), before, before)
    tried: list[tuple[float, Suspect]] = []
    for suspect, views in _hypotheses(cameras, as_is):
        pairs = [
            miss_as_is[a, b] if views[a] is as_is[a] and views[b] is as_is[b] else _miss_rad(ideal, views, a, b)
            for a, b in miss_as_is
        ]
        tried.append((_mean(pairs), suspect))
    # Some hypotheses are equivalent, such as swap and inversion of a pair: the first listed comes first.
    tried = sorted((one for one in tried if np.isfinite(one[0])), key=lambda one: round(one[0], 6))
    if not tried or tried[0][0] > min(HOLDS_RAD, before / BETTER):
        return Finding((), before, tried[0][0] if tried else float("nan"))
    best = tried[0][0]
    # Variants of one fault of the same cameras are one suspect to the user.
    rivals: dict[tuple[str, tuple[str, ...]], Suspect] = {}
    for miss, suspect in tried:
        if miss <= RIVAL * best:
            rivals.setdefault((suspect.kind, suspect.cameras), suspect)
    return Finding(tuple(rivals.values()), before, best)


def _hypotheses(cameras: Sequence[Camera], as_is: Sequence[_View]) -> list[tuple[Suspect, list[_View]]]:
    names = [camera.name for camera in cameras]
    poses = [camera.cam_from_world for camera in cameras]
    hypotheses: list[tuple[Suspect, list[_View]]] = []
    inversions = {
        False: [np.linalg.inv(T) for T in poses],
        True: [OPTICAL_FROM_BODY @ np.linalg.inv(T) @ OPTICAL_FROM_BODY for T in poses],
    }
    for beneath, inverse in inversions.items():
        for n in range(len(cameras)):
            hypotheses.append((_inverted(names, (n,), beneath), _with(as_is, {n: inverse[n]})))
        hypotheses.append((_inverted(names, range(len(names)), beneath), _with(as_is, dict(enumerate(inverse)))))
    body = [OPTICAL_FROM_BODY @ T for T in poses]
    for which in (*((n,) for n in range(len(cameras))), tuple(range(len(cameras)))):
        hypotheses.append((_body([names[n] for n in which]), _with(as_is, {n: body[n] for n in which})))
    for n, reference in permutations(range(len(cameras)), 2):
        relative = poses[n] @ np.linalg.inv(poses[reference])
        inverted = np.linalg.inv(relative) @ poses[reference]
        # Parallel cameras are a stereo pair, whose extrinsics may come from P: then Tx has the wrong sign.
        if np.abs(relative[:3, :3] - np.eye(3)).max() < PARALLEL:
            relative[:3, 3] *= -1
            across = relative @ poses[reference]
            hypotheses.append((_wrong_side(names[n], names[reference]), _with(as_is, {n: across})))
        else:
            hypotheses.append((_inverted(names, (n,), False, names[reference]), _with(as_is, {n: inverted})))
    for a, b in combinations(range(len(cameras)), 2):
        text = (
            f"the images of cameras {names[a]!r} and {names[b]!r} are swapped: swap their topics, or the frames of "
            "their transforms"
        )
        suspect = Suspect("swapped", (names[a], names[b]), text)
        for lens_of_a, lens_of_b in ((a, b), (b, a)):
            views = list(as_is)
            views[a], views[b] = _View(poses[a], lens_of_a, b), _View(poses[b], lens_of_b, a)
            hypotheses.append((suspect, views))
    return hypotheses


def _inverted(names: Sequence[str], which: Sequence[int], beneath: bool, reference: str = "") -> Suspect:
    cameras = tuple(names[n] for n in which)
    listed = ", ".join(repr(name) for name in cameras)
    one = len(cameras) == 1
    relative_to = f" relative to camera {reference!r}" if reference else ""
    frame = "the camera's body" if beneath else "the camera"
    text = (
        f"the transform{'' if one else 's'} of camera{'' if one else 's'} {listed}{relative_to} "
        f"{'is' if one else 'are'} inverted: publish the pose of {frame} in the fixed frame on TF; in a rig file set "
        "cam_from_world, not world_from_cam"
    )
    return Suspect("inverted", cameras, text)


def _body(names: Sequence[str]) -> Suspect:
    listed = ", ".join(map(repr, names))
    text = (
        f"the frame of camera{'' if len(names) == 1 else 's'} {listed} is the body's (x forward, z up), not the "
        "optical one (x right, y down, z forward): set the driver's frame_id to the optical frame"
    )
    return Suspect("body frame", tuple(names), text)


def _wrong_side(name: str, reference: str) -> Suspect:
    text = (
        f"camera {name!r} is on the other side of {reference!r} than calibrated: correct the sign of Tx = P[3] of its "
        "camera_info (expected -fx times the baseline for the right camera), or invert its transform"
    )
    return Suspect("inverted", (name,), text)


def _with(as_is: Sequence[_View], poses: Mapping[int, Floats]) -> list[_View]:
    return [_View(poses[n], view.lens, view.images) if n in poses else view for n, view in enumerate(as_is)]


class _Ideal:
    """Rays of all people by camera of the images and camera of the lens; computed on demand."""

    def __init__(self, cameras: Sequence[Camera], sets: Sequence[RawSet]) -> None:
        self._cameras = cameras
        most = max((len(people) for one in sets for people in one.values()), default=0)
        joints = next((people.shape[1] for one in sets for people in one.values()), 0)
        self._px = np.full((len(cameras), len(sets), most, joints, 2), np.nan)
        for s, one in enumerate(sets):
            for n, camera in enumerate(cameras):
                if camera.name in one:
                    self._px[n, s, : len(one[camera.name])] = one[camera.name]
        self._made: dict[tuple[int, int], Floats] = {}

    def rays(self, view: _View) -> Floats:
        """Unit directions (3, S, P, J) in the camera's frame; NaN for a missing joint."""
        key = view.images, view.lens
        if key not in self._made:
            xy = undistort(self._cameras[view.lens], self._px[view.images])
            ray = np.stack([xy[..., 0], xy[..., 1], np.ones(xy.shape[:-1])])
            self._made[key] = ray / np.sqrt((ray**2).sum(axis=0))
        return self._made[key]


def _miss_rad(ideal: _Ideal, views: Sequence[_View], a: int, b: int) -> float:
    """Angle rad by which the people of two cameras miss each other; NaN if they share no frame set."""
    (r, from_r), (s, from_s) = (_in_world(ideal, views[n]) for n in (a, b))
    r, s = r[:, :, :, None], s[:, :, None]  # (3, S, P, 1, J), (3, S, 1, P, J)
    r, s = np.broadcast_arrays(r, s)
    baseline = (from_s - from_r).reshape(3, *[1] * (r.ndim - 1))
    visible = np.isfinite(r[0]) & np.isfinite(s[0])
    mismatch, _, blind = ray_mismatch(np.where(visible, r, 1.0), np.where(visible, s, 1.0), baseline)
    counted = visible & ~blind
    number = counted.sum(axis=-1)  # (S, P, P)
    total = np.where(counted, np.minimum(mismatch, 2.0 * LIMIT_RAD), 0.0).sum(axis=-1)
    mean = np.where(number >= SHARED_JOINTS, total / np.maximum(number, 1), np.inf)
    # Each person of the view with fewer people has a partner in the other.
    rows, columns = mean.min(axis=2), mean.min(axis=1)
    fewer = np.isfinite(rows).sum(axis=1) <= np.isfinite(columns).sum(axis=1)
    each = [row if few else column for row, column, few in zip(rows, columns, fewer, strict=True)]
    counted_people = [float(value) for one in each for value in one if np.isfinite(value)]
    # The median: half of the people may be false detections, or in view of one camera only.
    return float(np.median(counted_people)) if counted_people else float("nan")


def _in_world(ideal: _Ideal, view: _View) -> tuple[Floats, Floats]:
    """Rays (3, S, P, J) in the world, and the camera's centre (3,) m there."""
    rotation, translation = view.cam_from_world[:3, :3], view.cam_from_world[:3, 3]
    return np.tensordot(rotation.T, ideal.rays(view), axes=1), -rotation.T @ translation


def _mean(values: Iterable[float]) -> float:
    numbers = [value for value in values if np.isfinite(value)]
    return float(np.mean(numbers)) if numbers else float("nan")
