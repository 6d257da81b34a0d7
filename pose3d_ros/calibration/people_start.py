"""The start of a calibration by people: where cameras stand roughly, and which tracks are the same person (NumPy).

Cameras are chained from the first one over the pairs whose people agree for longest (a maximum spanning tree).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pose3d_ros.calibration.common_motion import GRID_S, CommonMotion, common_motion, paths
from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.errors import CalibrationError
from pose3d_ros.structures import Floats

# One of two cameras mirrors its images if people agree so many times as long once one is mirrored back: simulated
# walkers do for 0.3 to 0.7 times as long where no camera mirrors, and for 1.5 to 3 times as long where one does.
# Shorter agreement is chance.
MIRRORED, MIRRORED_S = 1.2, 2.0
# Differences of the clocks are ambiguous where another one is as good as this share: walkers of 20 s and more have 0.45
# to 0.8, a motion that repeats itself 1.
AMBIGUOUS = 0.9
ADVICE = "have a person walk through the whole space that the cameras share for 20 s, turning and raising the arms"


@dataclass(frozen=True, eq=False)
class Start:
    """Where cameras stand roughly."""

    cam_from_first: tuple[Floats, ...]  # (4, 4), m
    offset_s: tuple[float, ...]  # common time = offset + a camera's time
    people: tuple[Mapping[int, tuple[int, ...]], ...]  # of each person, the numbers of its tracks by camera
    common: Mapping[tuple[int, int], CommonMotion]


def find_start(
    names: Sequence[str],
    tracks: Sequence[Sequence[ViewTrack]],
    offset_s: Sequence[float] | None,
    max_offset_s: float,
    known: Sequence[Floats] | None = None,
) -> Start:
    """Start from nothing but tracks, by camera; offset_s: the clocks if they are known, else sought in +-max_offset_s.

    known: cam_from_world of every camera, where only clocks and people are sought. Raises CalibrationError for a camera
    that shares no people with the others, for mirrored images, and where several differences of the clocks fit.
    """
    for name, one in zip(names, tracks, strict=True):
        if not one:
            raise CalibrationError(f"camera {name!r} sees no person for long enough to follow: {ADVICE}")
    grids, mirrors = [paths(one) for one in tracks], [paths(one, mirrored=True) for one in tracks]
    common, mirrored = {}, []
    for a, b in combinations(range(len(names)), 2):
        if offset_s is None:
            reach = round(max_offset_s / GRID_S)
            lags = np.arange(-reach, reach + 1)
        else:
            lags = np.array([round((offset_s[b] - offset_s[a]) / GRID_S)])
        placed = None if known is None else known[a] @ np.linalg.inv(known[b])
        found = common_motion(grids[a], grids[b], lags, placed)
        if found is not None:
            common[a, b] = found
        if known is None:
            other = common_motion(grids[a], mirrors[b], lags[::2])  # a step away people agree nearly as well
            plain_s = 0.0 if found is None else found.agreeing_s
            if other is not None and other.agreeing_s > max(MIRRORED * plain_s, MIRRORED_S):
                mirrored.append((a, b))
    _refuse_mirrored(names, mirrored)
    joined = {0: np.eye(4)}
    offsets = {0: 0.0 if offset_s is None else offset_s[0]}
    while len(joined) < len(names):
        reachable = [pair for pair in common if (pair[0] in joined) != (pair[1] in joined)]
        if not reachable:
            missing = [n for n in range(len(names)) if n not in joined]
            _refuse(names, missing, offset_s is not None)
        certain = [pair for pair in reachable if offset_s is not None or common[pair].rival <= AMBIGUOUS]
        if not certain:
            a, b = max(reachable, key=lambda pair: common[pair].agreeing_s)
            raise CalibrationError(
                f"{names[a]!r} and {names[b]!r}: several offsets of their clocks fit people alike "
                f"({common[a, b].late_s:.1f} s, and another by {common[a, b].rival:.0%} of that), because they "
                f"repeat their motion or stay in place: {ADVICE}, or give --offset"
            )
        a, b = max(certain, key=lambda pair: common[pair].agreeing_s)
        link = common[a, b]
        if a in joined:
            joined[b] = np.linalg.inv(link.a_from_b) @ joined[a]
            offsets[b] = offsets[a] + link.late_s
        else:
            joined[a] = link.a_from_b @ joined[b]
            offsets[a] = offsets[b] - link.late_s
    if offset_s is not None:
        offsets = dict(enumerate(offset_s))
    order = range(len(names))
    return Start(
        tuple(joined[n] for n in order) if known is None else tuple(known),
        tuple(offsets[n] for n in order),
        people_of(tracks, _pairs(common), [offsets[n] for n in order]),
        common,
    )


def _refuse_mirrored(names: Sequence[str], mirrored: Sequence[tuple[int, int]]) -> None:
    """Raise CalibrationError that names the camera which mirrors its images, by pairs of which one does."""
    if not mirrored:
        return
    count = Counter(n for pair in mirrored for n in pair)
    most = max(count.values())
    named = " or ".join(repr(names[n]) for n in sorted(count) if count[n] == most)
    raise CalibrationError(
        f"camera {named}: its people fit those of other cameras only if its images are mirrored: turn mirroring off "
        "(selfie cameras do it), or flip the recording"
    )


def _refuse(names: Sequence[str], missing: Sequence[int], timed: bool) -> None:
    """Raise CalibrationError that says why cameras cannot be joined with the others."""
    listed = ", ".join(repr(names[n]) for n in missing)
    clocks = "the recordings overlap in time (--offset, or none to have it found)" if timed else "they overlap in time"
    raise CalibrationError(
        f"{listed}: no person is seen there and by the other cameras at once for long enough: check that {clocks}, and "
        f"{ADVICE}"
    )


def _pairs(common: Mapping[tuple[int, int], CommonMotion]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of tracks that two cameras found to be one person, of the surest pair of cameras first."""
    ordered = sorted(common.items(), key=lambda item: -item[1].agreeing_s)
    return [((a, i), (b, j)) for (a, b), found in ordered for i, j in found.pairs]


def people_of(
    tracks: Sequence[Sequence[ViewTrack]],
    pairs: Sequence[tuple[tuple[int, int], tuple[int, int]]],
    offsets: Sequence[float],
) -> tuple[Mapping[int, tuple[int, ...]], ...]:
    """People of two views or more from pairs of tracks (camera, number), the surest first.

    One person is in one place at a time: tracks of one camera that overlap are never joined.
    """
    person = {(view, n): (view, n) for view, own in enumerate(tracks) for n in range(len(own))}
    members: dict[tuple[int, int], list[tuple[int, int]]] = {key: [key] for key in person}

    def span(key: tuple[int, int]) -> tuple[float, float]:
        first, last = tracks[key[0]][key[1]].span_s
        return first + offsets[key[0]], last + offsets[key[0]]

    def clash(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> bool:
        return any(
            p[0] == q[0] and min(span(p)[1], span(q)[1]) > max(span(p)[0], span(q)[0]) for p in one for q in other
        )

    for p, q in pairs:
        one, other = person[p], person[q]
        if one != other and not clash(members[one], members[other]):
            for key in members[other]:
                person[key] = one
            members[one] += members.pop(other)
    result = []
    for group in members.values():
        views = sorted({view for view, _ in group})
        if len(views) >= 2:
            result.append({view: tuple(sorted(n for v, n in group if v == view)) for view in views})
    return tuple(result)
