"""Motion data: clips of h36m_17 joint positions, split by subject (NumPy, float64). docs/training.md has the form.

A clip is the unit of everything: nothing is differenced, windowed or simulated across a clip's border. Draws are by
subject, then by clip, then by frame, because a few subjects hold most of the frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError, shown
from pose3d_ros.mocap.postures import POSTURES, postures_of
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

SPLITS = ("train", "val", "test")
MOST_FPS = 10_000.0
FARTHEST_M = 1000.0  # a hall of motion capture has tens of metres
# Hip to ankle of a person, m: an infant has 0.2, the tallest man on record 1.3. Other units fall far outside.
LEG_LENGTH_M = (0.2, 1.4)
# A posture in fewer of the frames is not drawn on its own: the few would be overfitted. Of our 47503 training frames 7
# are of lying people; the next posture, sitting, has 2.7 %.
RARE_POSTURE = 0.005


@dataclass(frozen=True)
class Clip:
    """One unbroken take of one subject."""

    start: int  # first frame in Motion.xyz
    length: int  # frames
    fps: float
    subject: str
    name: str
    split: str  # train, val or test
    native: bool  # False: converted from another skeleton; for training only, never for testing


@dataclass(frozen=True, eq=False)
class Motion:
    """Clips of people in motion; a subject is in one split only."""

    xyz: Floats  # (N, 17, 3) m, z up, floor about z = 0
    clips: tuple[Clip, ...]

    def __post_init__(self) -> None:
        if self.xyz.shape[1:] != (H36M_17.size, 3) or not np.isfinite(self.xyz).all():
            raise InputError(f"motion: xyz has shape {self.xyz.shape}, expected (N, 17, 3) finite m")
        home: dict[str, str] = {}
        for clip in self.clips:
            if clip.start < 0 or clip.length < 1 or clip.start + clip.length > len(self.xyz):
                raise InputError(f"motion: clip {clip.name!r} does not lie within the {len(self.xyz)} frames: {clip}")
            if not 0 < clip.fps <= MOST_FPS:
                raise InputError(f"motion: clip {clip.name!r} has {clip.fps:g} frames/s, expected 0 to {MOST_FPS:g}")
            if clip.split not in SPLITS:
                raise InputError(f"motion: clip {clip.name!r} is in split {clip.split!r}, expected one of {SPLITS}")
            if home.setdefault(clip.subject, clip.split) != clip.split:
                raise InputError(
                    f"motion: subject {clip.subject!r} is in split {home[clip.subject]!r} and in {clip.split!r}: "
                    "a subject must be in one split only, or the test is not one"
                )

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, sorted."""
        return tuple(sorted({clip.subject for clip in self.clips}))

    def split(self, name: str) -> Motion:
        """The clips of one split; val and test hold native clips only. Raises InputError when there are none."""
        chosen = tuple(c for c in self.clips if c.split == name and (c.native or name == "train"))
        if not chosen:
            raise InputError(f"the motion data has no clip in split {name!r}: has it enough subjects?")
        return Motion(self.xyz, chosen)

    def draw(self, count: int, length: int, rng: np.random.Generator, even: float = 0.0) -> NDArray[np.intp]:
        """Frame numbers (count, length) of windows within clips: each by subject, then clip, then start.

        even: share of the windows that are drawn by the posture of their start first; rare postures are left out.
        Raises InputError when no clip is that long.
        """
        clips = [clip for clip in self.clips if clip.length >= length]
        if not clips:
            raise InputError(f"no clip of the motion data has {length} frames")
        starts = [np.arange(clip.start, clip.start + clip.length - length + 1) for clip in clips]
        evenly = round(even * count)
        parts = [_drawn(clips, starts, count - evenly, rng)]
        if evenly:
            postures = [self._postures[own] for own in starts]
            share = np.bincount(np.concatenate(postures), minlength=len(POSTURES)) / sum(len(own) for own in starts)
            common = np.flatnonzero(share >= RARE_POSTURE)
            counts = np.bincount(rng.integers(len(common), size=evenly), minlength=len(common))
            for posture, number in zip(common, counts, strict=True):
                chosen = [own[kind == posture] for own, kind in zip(starts, postures, strict=True)]
                parts.append(_drawn(clips, chosen, number, rng))
        windows: NDArray[np.intp] = np.concatenate(parts)[:, None] + np.arange(length)
        return windows

    @cached_property
    def _postures(self) -> NDArray[np.intp]:
        return postures_of(self.xyz)

    def even(self, per_subject: int, length: int = 1) -> NDArray[np.intp]:
        """Frame numbers (W, length) of at most per_subject windows a subject, spread evenly; the same every time.

        For validation and tests: every subject counts alike, and windows do not overlap unless clips are too few.
        """
        rows = []
        for subject in self.subjects:
            starts = np.concatenate(
                [
                    c.start + np.arange(0, c.length - length + 1, length)
                    for c in self.clips
                    if c.subject == subject and c.length >= length
                ]
                or [np.zeros(0, dtype=np.intp)]
            )
            keep = np.linspace(0, len(starts) - 1, min(per_subject, len(starts))).round().astype(np.intp)
            rows.append(starts[keep])
        windows: NDArray[np.intp] = np.concatenate(rows).astype(np.intp)[:, None] + np.arange(length)
        return windows


def _drawn(
    clips: Sequence[Clip], starts: Sequence[NDArray[np.intp]], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Starts (count,): each by subject, then clip, then start, of those that have any."""
    by_subject: dict[str, list[NDArray[np.intp]]] = {}
    for clip, own in zip(clips, starts, strict=True):
        if len(own):
            by_subject.setdefault(clip.subject, []).append(own)
    choices = [by_subject[name] for name in sorted(by_subject)]
    drawn = np.empty(count, dtype=np.intp)
    for n, who in enumerate(rng.integers(len(choices), size=count)):
        own = choices[who][rng.integers(len(choices[who]))]
        drawn[n] = own[rng.integers(len(own))]
    return drawn


def motion_from_arrays(arrays: Mapping[str, NDArray[Any]], where: str = "motion data") -> Motion:
    """Motion from the arrays of an .npz: xyz, joint_names, clip_start, clip_len, fps, subject; optional motion,
    native (1) and split (by the hash of the subject's name: about 3/5 train, 1/5 val, 1/5 test)."""
    needed = ("xyz", "joint_names", "clip_start", "clip_len", "fps", "subject")
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}: docs/training.md describes the form")
    names = [str(name) for name in arrays["joint_names"]]
    absent = [name for name in H36M_17.joint_names if name not in names]
    if absent:
        raise InputError(f"{where} has no joint {', '.join(absent)}: expected {', '.join(H36M_17.joint_names)}")
    order = [names.index(name) for name in H36M_17.joint_names]
    if arrays["xyz"].dtype.kind not in "iuf":
        raise InputError(f"{where}: xyz holds {arrays['xyz'].dtype}, expected real numbers")
    xyz = np.asarray(arrays["xyz"], dtype=np.float64)
    if xyz.ndim != 3 or xyz.shape[1:] != (len(names), 3) or not len(xyz) or not np.isfinite(xyz).all():
        raise InputError(f"{where}: xyz has shape {xyz.shape}, expected (N, {len(names)}, 3) finite numbers, N >= 1")
    xyz = xyz[:, order]
    _check_units(xyz, where)
    if np.abs(xyz).max() > FARTHEST_M:
        raise InputError(
            f"{where}: xyz reaches {np.abs(xyz).max():g} m from the origin, expected {FARTHEST_M:g} at most"
        )
    _check_clips(arrays, where)
    clips = []
    for n, subject in enumerate(str(name) for name in arrays["subject"]):
        clips.append(
            Clip(
                start=int(arrays["clip_start"][n]),
                length=int(arrays["clip_len"][n]),
                fps=float(arrays["fps"][n]),
                subject=subject,
                name=str(arrays["motion"][n]) if "motion" in arrays else f"clip {n}",
                split=str(arrays["split"][n]) if "split" in arrays else split_of(subject),
                native=bool(arrays["native"][n]) if "native" in arrays else True,
            )
        )
    return Motion(xyz, tuple(clips))


def _check_clips(arrays: Mapping[str, NDArray[Any]], where: str) -> None:
    """Raise InputError unless every array about clips has one entry a clip, and the numbers are numbers."""
    clips = np.shape(arrays["subject"])
    for name in ("subject", "clip_start", "clip_len", "fps", "motion", "split", "native"):
        if name in arrays and (np.shape(arrays[name]) != clips or len(clips) != 1):
            raise InputError(
                f"{where}: {name} has shape {np.shape(arrays[name])}, expected one entry a clip, as subject"
            )
    for name in ("clip_start", "clip_len", "fps"):
        numbers = np.asarray(arrays[name])
        if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
            raise InputError(f"{where}: {name} holds {numbers.dtype}, expected numbers, all finite")
        if name != "fps" and (numbers != np.round(numbers)).any():
            raise InputError(f"{where}: {name} holds {shown(numbers.tolist())}, expected whole numbers")


def split_of(subject: str) -> str:
    """The split of a subject for whom the data name none; it depends on the name only."""
    return ("test", "val", "train", "train", "train")[hashlib.sha256(subject.encode()).digest()[0] % 5]


def _check_units(xyz: Floats, where: str) -> None:
    hip, ankle, head = (H36M_17.index(name) for name in ("RHip", "RAnkle", "HeadTop"))
    leg = float(np.median(np.linalg.norm(xyz[:, hip] - xyz[:, H36M_17.index("RKnee")], axis=-1))) + float(
        np.median(np.linalg.norm(xyz[:, ankle] - xyz[:, H36M_17.index("RKnee")], axis=-1))
    )
    if not LEG_LENGTH_M[0] <= leg <= LEG_LENGTH_M[1]:
        raise InputError(f"{where}: legs are {leg:.3g} long, expected {LEG_LENGTH_M} m: is xyz in metres?")
    if np.median(xyz[:, head, 2] - xyz[:, ankle, 2]) < leg / 2:
        raise InputError(f"{where}: most heads are not above the ankles: is z up?")
