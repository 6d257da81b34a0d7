"""How late one camera's stamps are beside another's, told by people who walk.

A camera whose stamps are late by o shows a joint where it was o before: what it sees misses what the others see by its
velocity in the image times o. Joints are triangulated from all views; their residuals, less what a shift of the joint
explains (for two views the epipolar residual is left), are regressed on those velocities, with Huber's weights. A wrong
calibration misses too, by as much whether people move or not: every camera has a constant of its own that is affine in
the image, so that only what goes with the velocity counts.

Offsets are relative: to the first camera. Positions and velocities are local lines through the keypoints (KERNEL_S to
either side), taken at the offset estimated so far; a step of Gauss and Newton a call. Standard errors are those of
whole seconds, for a detector's errors last. NumPy, float64. Axes: T times, V views, J joints, N = T J of all people.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry.projection import undistort
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D

# Half the width of the local lines that give positions and velocities: a step takes 0.5 s and more, and at 15 Hz six
# images lie within the narrower one. Of 0.1 to 0.3 s and 0.25 to 0.35 s the best on simulated walkers.
KERNEL_S, SPEED_KERNEL_S = 0.2, 0.35
# Keypoints kept, the times a second at which they are compared, and how often an estimate is made.
WINDOW_S, COMPARED_HZ, EVERY_S = 20.0, 5.0, 1.0
# People who stand give velocities of noise alone; who is faster than one can run indoors leapt, as when ids change.
WALKING_M_S, FASTEST_M_S = 0.4, 3.0
# Seconds of walking in which a step falls to either side several times.
ENOUGH_S = 4.0
# The blocks' standard error is too small by this, measured on simulated walkers (pose3d bench time).
WIDENED = 1.5
# An offset is said where it is known to STD_TOLD_S and, less two of its standard errors, above LATE_TOLD_S: 5 ms is the
# common jitter of cameras without a trigger, and moves a hand of 1 m/s by 5 mm.
STD_TOLD_S, LATE_TOLD_S = 0.005, 0.008
# Larger offsets than this are not looked for: half a period at 10 Hz.
MOST_S = 0.1
# Joints that a detector finds each by itself: the others are means of these, or missing.
DERIVED = ("Pelvis", "Spine", "Thorax", "HeadTop")
MEASURED = tuple(j for j, name in enumerate(H36M_17.joint_names) if name not in DERIVED)
# Prior of the constants: px, and px per unit of ideal coordinates (a turn about the optical axis by 0.6 degrees).
CONSTANT_PX, GRADIENT_PX = 10.0, 10.0
# Samples of a joint 1 / COMPARED_HZ apart say the same anew, for a detector's errors last 0.2 s: this many are one.
ALIKE = 3.0
# A keypoint's error, px an axis, where Huber's weights begin to fall at 2 of them.
SIGMA_PX, DELTA = 4.0, 2.0


@dataclass(frozen=True)
class CameraOffset:
    """How late a camera's stamps are beside the first camera's."""

    late_s: float
    std_s: float


@dataclass(frozen=True)
class ClockEstimate:
    """What is known of the cameras' clocks; offsets is empty while too little walking was seen, and why says so."""

    offsets: Mapping[str, CameraOffset] = field(default_factory=dict)
    walked_s: float = 0.0
    why: str = ""

    @property
    def known_s(self) -> dict[str, float]:
        """How late each camera is, s, where all are known well enough to be used; else nothing."""
        if not self.offsets or max(one.std_s for one in self.offsets.values()) > STD_TOLD_S:
            return {}
        return {name: one.late_s for name, one in self.offsets.items()}

    def words(self) -> list[str]:
        """Says which cameras' clocks are off beside the first one's, with the mend."""
        first = next(iter(self.offsets), "")
        return [
            f"the stamps of camera {name!r} are {1e3 * abs(one.late_s):.0f} ms {'late' if one.late_s > 0 else 'early'} "
            f"(+- {2e3 * one.std_s:.0f} ms) beside those of {first!r}: trigger the cameras together or synchronise "
            "their clocks, or set compensate_offsets"
            for name, one in self.offsets.items()
            if one.std_s <= STD_TOLD_S and abs(one.late_s) - 2.0 * one.std_s > LATE_TOLD_S
        ]

    def facts(self) -> dict[str, str]:
        """Offsets in ms by camera with their standard errors, as key values, and why there are none."""
        known = {
            f"clock_offset_ms/{name}": f"{1e3 * one.late_s:.1f} +- {1e3 * one.std_s:.1f}"
            for name, one in self.offsets.items()
        }
        return {**known, "clock_offset": self.why or f"from {self.walked_s:.0f} s of walking"}


@dataclass(eq=False)
class _Track:
    """One person's keypoints in one camera, newest last: stamps, and (J, 2) px or, of older ones, ideal."""

    stamps_ns: deque[int] = field(default_factory=deque)
    px: list[Floats] = field(default_factory=list)
    ideal: deque[Floats] = field(default_factory=deque)

    def all_ideal(self, camera: Camera) -> Floats:
        """Ideal coordinates (S, J, 2); those that came since the last call are undistorted together."""
        if self.px:
            self.ideal.extend(undistort(camera, np.stack(self.px)))
            self.px = []
        while len(self.ideal) > len(self.stamps_ns):
            self.ideal.popleft()
        return np.stack(self.ideal)


@dataclass(frozen=True, eq=False)
class _Samples:
    """Joints at common times: residual, design and projection, ready for the regression."""

    residual: Floats  # (N, 2V) px
    design: Floats  # (N, 2V, K) px/s, then px: offsets of the views but the first, then constants
    block: NDArray[np.intp]  # (N,) which second of which person
    freedom: Floats  # (N,) 2 V - 3 of the views that saw it
    noise: Floats  # (N, V-1, V-1) (px/s)^2: what noise in the velocities adds to design' design on average


def local_lines(at_s: Floats, stamps_s: Floats, xy: Floats, width_s: float) -> tuple[Floats, Floats]:
    """Position and velocity at times (T,) of samples (S, J, 2) by local lines: (T, J, 2) each, NaN where too few.

    Epanechnikov's kernel; a joint that is NaN in a sample is left out of it.
    """
    away = stamps_s[None] - at_s[:, None]  # (T, S)
    kernel = np.maximum(1.0 - (away / width_s) ** 2, 0.0)
    seen: Floats = np.asarray(np.isfinite(xy).all(-1), dtype=np.float64)  # (S, J)
    values = np.where(seen[..., None] > 0, xy, 0.0).reshape(len(stamps_s), -1)  # (S, 2J)
    sums: list[Floats] = [kernel * away**n @ seen for n in range(3)]
    s0, s1, s2 = sums  # (T, J)
    y0, y1 = ((kernel * away**n @ values).reshape(*s0.shape, 2) for n in range(2))
    spread = s0 * s2 - s1**2
    # Three samples at least, on both sides of the time, or the line has no hold.
    count = (kernel > 0).astype(np.float64) @ seen
    fixed = (count >= 3) & (np.abs(s1) < 0.5 * width_s * s0) & (spread > 1e-12)
    safe: Floats = np.asarray(np.where(fixed, spread, np.nan))[..., None]
    place: Floats = (s2[..., None] * y0 - s1[..., None] * y1) / safe
    speed: Floats = (s0[..., None] * y1 - s1[..., None] * y0) / safe
    return place, speed


class ClockOffsets:
    """Estimates the cameras' offsets from people who walk, over a sliding window.

    Feed it every frame set; ask estimate for what is known. Where cameras move against each other, or others come, it
    begins afresh.
    """

    def __init__(self, enough_s: float = ENOUGH_S) -> None:
        """enough_s: seconds of walking, of all people together, before anything is said."""
        self._enough_s = enough_s
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._cameras: tuple[Camera, ...] = ()
        self._tracks: dict[str, dict[str, _Track]] = {}  # person -> camera
        self._late_s: dict[str, float] = {}
        self._stamp_ns: int | None = None
        self._estimated_ns: int | None = None
        self.estimate = ClockEstimate(why="nobody has walked yet")

    def update(
        self,
        cameras: Sequence[Camera],
        keypoints: Mapping[str, Keypoints2D],
        ids: Mapping[str, Sequence[str]],
    ) -> ClockEstimate:
        """Take in one frame set: 2D people by camera, each with its id ("" for none); returns what is known now."""
        stamp_ns = max((k.stamp_ns for k in keypoints.values()), default=0)
        if (self._stamp_ns is not None and stamp_ns < self._stamp_ns) or not _same_rig(self._cameras, cameras):
            self.reset()
        if not self._cameras:
            self._cameras = tuple(cameras)
        self._stamp_ns = stamp_ns
        for camera in cameras:
            if camera.name in keypoints:
                self._keep(camera, keypoints[camera.name], ids.get(camera.name, ()))
        self._forget(stamp_ns - round(WINDOW_S * 1e9))
        if self._estimated_ns is None:
            self._estimated_ns = stamp_ns
        if stamp_ns - self._estimated_ns >= EVERY_S * 1e9:
            self._estimated_ns = stamp_ns
            if not self._late_s:  # the first step starts far from the answer
                self._estimate(stamp_ns)
            self.estimate = self._estimate(stamp_ns)
        return self.estimate

    def _keep(self, camera: Camera, people: Keypoints2D, ids: Sequence[str]) -> None:
        for person, joints in zip(ids, people.xy, strict=False):
            if person:
                track = self._tracks.setdefault(person, {}).setdefault(camera.name, _Track())
                if not track.stamps_ns or people.stamp_ns > track.stamps_ns[-1]:
                    track.stamps_ns.append(people.stamp_ns)
                    track.px.append(joints[list(MEASURED)])

    def _forget(self, before_ns: int) -> None:
        for person in list(self._tracks):
            for name, track in list(self._tracks[person].items()):
                while track.stamps_ns and track.stamps_ns[0] < before_ns:
                    track.stamps_ns.popleft()
                if not track.stamps_ns:
                    del self._tracks[person][name]
            if not self._tracks[person]:
                del self._tracks[person]

    def _estimate(self, now_ns: int) -> ClockEstimate:
        samples = [
            one
            for n, tracks in enumerate(self._tracks.values())
            if (one := self._samples(tracks, now_ns, n)) is not None
        ]
        walked_s = sum(len(np.unique(one.block)) for one in samples) * 1.0
        if walked_s < self._enough_s:
            why = f"people walked for {walked_s:.0f} s of the last {WINDOW_S:.0f}, {self._enough_s:.0f} are needed"
            return replace(self.estimate, walked_s=walked_s, why=why)
        step, std = _regressed(_joined(samples), len(self._cameras))
        names = [camera.name for camera in self._cameras]
        for name, moved_s in zip(names[1:], step, strict=True):
            self._late_s[name] = float(np.clip(self._late_s.get(name, 0.0) + moved_s, -MOST_S, MOST_S))
        offsets = {
            name: CameraOffset(self._late_s[name], WIDENED * float(s)) for name, s in zip(names[1:], std, strict=True)
        }
        return ClockEstimate({names[0]: CameraOffset(0.0, 0.0), **offsets}, walked_s)

    def _samples(self, tracks: Mapping[str, _Track], now_ns: int, number: int) -> _Samples | None:
        """One person's joints at common times while walking, at the offsets known so far."""
        if len(tracks) < 2:
            return None
        start_ns = min(track.stamps_ns[0] for track in tracks.values())
        at_s = np.arange(np.ceil((start_ns - now_ns) * 1e-9 * COMPARED_HZ), 1) / COMPARED_HZ
        places, speeds = [], []
        for camera in self._cameras:
            if camera.name in tracks:
                track = tracks[camera.name]
                stamps_s = 1e-9 * (np.array(track.stamps_ns, dtype=np.int64) - now_ns).astype(np.float64)
                shifted_s, xy = at_s + self._late_s.get(camera.name, 0.0), track.all_ideal(camera)
                place = local_lines(shifted_s, stamps_s, xy, KERNEL_S)[0]
                speed = local_lines(shifted_s, stamps_s, xy, SPEED_KERNEL_S)[1]
            else:
                place = speed = np.full((len(at_s), len(MEASURED), 2), np.nan)
            places.append(place)
            speeds.append(speed)
        place, speed = np.stack(places, axis=2), np.stack(speeds, axis=2)  # (T, J, V, 2)
        seen = np.isfinite(place).all(-1) & np.isfinite(speed).all(-1)
        both = seen.sum(-1) >= 2
        seconds = np.broadcast_to(np.floor(at_s)[:, None], both.shape)
        return _compared(self._cameras, place, speed, seen & both[..., None], seconds, number)


def _compared(
    cameras: Sequence[Camera], place: Floats, speed: Floats, seen: NDArray[np.bool_], seconds: Floats, number: int
) -> _Samples | None:
    """Residuals and design of joints (T, J, V, 2) that are seen (T, J, V) by two views or more."""
    shape = place.shape[:2]
    views = len(cameras)
    R = np.stack([camera.cam_from_world[:3, :3] for camera in cameras])
    t = np.stack([camera.cam_from_world[:3, 3] for camera in cameras])
    focal = np.array([0.5 * (camera.K[0, 0] + camera.K[1, 1]) for camera in cameras])
    rows = np.flatnonzero(seen.any(-1).ravel())
    x = place.reshape(-1, views, 2)[rows]
    v = speed.reshape(-1, views, 2)[rows]
    weight = np.where(seen.reshape(-1, views)[rows], focal, 0.0)[..., None]  # (N, V, 1) ideal -> px
    x, v = np.where(weight > 0, x, 0.0), np.where(weight > 0, v, 0.0)
    # (R_12 - x R_3) X = x t_3 - t_12, of least squares in ideal coordinates times depth; then one step in px.
    left = (R[None, :, :2] - x[..., None] * R[None, :, 2:]) * (weight[..., None] > 0)  # (N, V, 2, 3)
    right = (x * t[None, :, 2:] - t[None, :, :2]) * (weight > 0)
    depth = np.ones((len(rows), views))
    for _ in range(3):
        A = (left * (weight / depth[..., None])[..., None]).reshape(len(rows), 2 * views, 3)
        b = (right * weight / depth[..., None]).reshape(len(rows), 2 * views)
        H = np.einsum("nri,nrj->nij", A, A)
        H[:, [0, 1, 2], [0, 1, 2]] += 1e-9 * np.trace(H, axis1=1, axis2=2)[:, None] + 1e-12
        inverse = np.linalg.inv(H)
        X = np.einsum("nij,nrj,nr->ni", inverse, A, b)
        depth = np.einsum("vj,nj->nv", R[:, 2], X) + t[:, 2]
        good = (depth > 0.1).all(-1)
        depth = np.where(depth > 0.1, depth, 1.0)
    residual = b - np.einsum("nri,ni->nr", A, X)  # (N, 2V) px
    v_px = (v * weight).reshape(len(rows), 2 * views)
    velocity = np.einsum("nij,nrj,nr->ni", inverse, A, v_px)  # (N, 3) m/s
    image_velocity = np.einsum("nri,ni->nr", A, velocity).reshape(len(rows), views, 2)
    # How fast the body is: the mean of its joints, or a swinging arm would pass for a walk.
    body = np.full((*shape, 3), np.nan).reshape(-1, 3)
    body[rows] = np.where(good[:, None], velocity, np.nan)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(body).all(-1).reshape(shape)
        mean = np.where(known[..., None], body.reshape(*shape, 3), 0.0).sum(1) / np.maximum(known.sum(1), 1)[:, None]
    body_m_s = np.linalg.norm(mean, axis=-1)
    reach = round(2.0 * SPEED_KERNEL_S * COMPARED_HZ)  # samples that share images with a leap
    leapt = np.convolve(body_m_s > FASTEST_M_S, np.ones(2 * reach + 1), "full")[reach : reach + len(body_m_s)] > 0
    walks = (body_m_s >= WALKING_M_S) & (known.sum(1) >= 4) & ~leapt
    chosen = good & np.broadcast_to(walks[:, None], shape).ravel()[rows]
    if not chosen.any():
        return None
    N = int(chosen.sum())
    design = np.zeros((N, views, 2, views - 1 + 6 * views))
    for view in range(views):
        if view:
            design[:, view, :, view - 1] = -image_velocity[chosen, view]
        affine = np.concatenate([np.ones((N, 1)), x[chosen, view]], axis=-1) * (weight[chosen, view] > 0)
        start = views - 1 + 6 * view
        design[:, view, 0, start : start + 3] = affine
        design[:, view, 1, start + 3 : start + 6] = affine
    # What a shift of the joint cannot explain: P = 1 - A (A'A)^-1 A'.
    A, inverse = A[chosen], inverse[chosen]
    flat = design.reshape(N, 2 * views, -1)
    flat = flat - A @ (inverse @ (A.swapaxes(1, 2) @ flat))
    block = seconds.ravel()[rows][chosen].astype(np.intp) + number * 100_000
    freedom = 2.0 * (weight[chosen, :, 0] > 0).sum(-1) - 3.0
    # Noise of the velocities, by how far the views' own ones miss the common one, and what it does to design' design.
    missed = ((v_px[chosen] - np.einsum("nri,ni->nr", A, velocity[chosen])) ** 2).sum(-1) / freedom
    variance = 2.1 * float(np.median(missed))  # the median of chi-squared of one degree is 0.46
    share = np.einsum("nvri,nvrj->nvij", A.reshape(N, views, 2, 3), A.reshape(N, views, 2, 3)) @ inverse[:, None]
    noise = -np.einsum("nvij,nwji->nvw", share, share)
    noise[:, range(views), range(views)] += np.trace(share, axis1=2, axis2=3)
    return _Samples(residual[chosen], flat, block, freedom, variance * noise[:, 1:, 1:])


def _joined(samples: Sequence[_Samples]) -> _Samples:
    return _Samples(*(np.concatenate([getattr(one, part.name) for one in samples]) for part in fields(_Samples)))


def _regressed(samples: _Samples, views: int) -> tuple[Floats, Floats]:
    """Offsets (V - 1,) s to add and their standard errors, by Huber's weights a joint and blocks of seconds."""
    residual, design, block = samples.residual, samples.design, samples.block
    N, rows, K = design.shape
    constants = np.tile([CONSTANT_PX, GRADIENT_PX, GRADIENT_PX], 2 * views)
    prior = np.r_[np.zeros(views - 1), ALIKE * (SIGMA_PX / constants) ** 2]
    flat, y = design.reshape(-1, K), residual.reshape(-1)
    weight = np.ones(N)
    for _ in range(5):
        w = np.repeat(weight, rows)[:, None]
        H = (flat * w).T @ flat + np.diag(prior)
        H[: views - 1, : views - 1] -= np.einsum("n,nvw->vw", weight, samples.noise)
        solution = np.linalg.lstsq(H, (flat * w).T @ y, rcond=None)[0]
        left = residual - design @ solution
        size = np.sqrt((left**2).sum(-1) / samples.freedom)
        scale = max(1.4826 * float(np.median(size)), 1e-6)
        weight = np.minimum(1.0, DELTA * scale / np.maximum(size, 1e-9))
    inverse = np.linalg.pinv(H)
    score = np.einsum("nrk,nr,n->nk", design, left, weight)
    _, index = np.unique(block, return_inverse=True)
    blocks = np.zeros((index.max() + 1, K))
    np.add.at(blocks, index, score)
    count = len(blocks)
    covariance = inverse @ (blocks.T @ blocks) @ inverse * count / max(count - 1, 1)
    return solution[: views - 1], np.sqrt(np.diag(covariance)[: views - 1])


def _same_rig(before: Sequence[Camera], now: Sequence[Camera]) -> bool:
    """Whether these are the same cameras, placed alike against each other."""
    if len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True)):
        return True
    if [c.name for c in before] != [c.name for c in now]:
        return False
    first, other = (np.linalg.inv(cameras[0].cam_from_world) for cameras in (before, now))
    return all(
        np.allclose(a.cam_from_world @ first, b.cam_from_world @ other, atol=2e-3) and np.array_equal(a.K, b.K)
        for a, b in zip(before, now, strict=True)
    )
