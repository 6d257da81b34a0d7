"""The images of a rosbag2 recording as frame sets by their capture stamps, for `pose3d estimate`."""

from __future__ import annotations

import warnings
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.recordings.bag_recording import COMPRESSED, BagRecording, header_stamp_ns
from pose3d_ros.recordings.image_messages import bgr_from_compressed, bgr_from_raw
from pose3d_ros.recordings.playback import run_ahead
from pose3d_ros.recordings.stamps import even_rate_hz
from pose3d_ros.structures import FrameSet, Rig
from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper, PayloadSet
from pose3d_ros.synchronisation.stamp_window import is_outside, off_clock_words

AHEAD = 2  # frame sets decoded ahead
ABSENT = -1
Stamps = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BagFrames:
    """A recording as a FrameSource; an image that cannot be decoded is left out of its set, with a warning.

    Sets are formed by stamps alone, so only the images recorded before the last one of the current set are in memory:
    some frames per camera.
    """

    bag: BagRecording
    rig: Rig
    topics: Mapping[str, str]  # camera -> topic, in the rig's order
    stamps_ns: Stamps  # (N, V), ABSENT for a camera that is missing
    since_ns: Stamps  # (N,): earliest recording time needed from set k on
    tolerance_s: float
    unused: int  # images that are in no set

    @property
    def name(self) -> str:
        """The recording's file name."""
        return self.bag.path.name

    @property
    def fps(self) -> float:
        """Frame sets a second, those that are missing counted."""
        return even_rate_hz(self.stamps_ns.max(axis=1))

    @property
    def t0_ns(self) -> int:
        """Capture stamp of the first set: its newest image's."""
        return int(self.stamps_ns[0].max())

    @property
    def moments_ns(self) -> Stamps:
        """(N,) capture stamp of each set: its newest image's."""
        newest: Stamps = self.stamps_ns.max(axis=1)
        return newest

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def read(self, start: int = 0) -> Iterator[FrameSet]:
        """Frame sets from number start on, decoded ahead; raises FootageError for a recording that is cut short."""
        if start < len(self):
            yield from run_ahead(self._undecoded(start), self._decoded, AHEAD)

    def identity(self) -> dict[str, Any]:
        """Size, topics and first stamps of the recording, and how sets are made of it."""
        return {
            "bag": self.name,
            "topics": dict(self.topics),
            "first stamps": self.stamps_ns[0].tolist(),
            "tolerance_s": self.tolerance_s,
        }

    def check_sizes(self) -> None:
        """Compare the first image of every camera with the rig; raises CalibrationError, or InputError if damaged."""
        names = {topic: camera for camera, topic in self.topics.items()}
        for topic, _, raw in self.bag.messages(self.topics.values()):
            if topic in names:
                image = self._image(names[topic], raw)
                check_image_size(self.rig.camera(names.pop(topic)), image.shape[:2])
            if not names:
                return

    def _undecoded(self, start: int) -> Iterator[tuple[int, dict[str, bytes]]]:
        """Number and serialised images of every set from start on, in order."""
        cameras = {topic: v for v, topic in enumerate(self.topics.values())}
        sets = [np.flatnonzero(column != ABSENT) for column in self.stamps_ns.T]
        stamps = [self.stamps_ns[own, v] for v, own in enumerate(sets)]
        names = list(self.topics)
        waiting: dict[int, dict[str, bytes]] = {}
        k = start
        for topic, _, raw in self.bag.messages(cameras, int(self.since_ns[start])):
            v = cameras[topic]
            at = int(np.searchsorted(stamps[v], stamp_ns := header_stamp_ns(raw)))
            if at == len(stamps[v]) or stamps[v][at] != stamp_ns or sets[v][at] < k:
                continue
            waiting.setdefault(int(sets[v][at]), {})[names[v]] = raw
            while len(waiting.get(k, ())) == np.count_nonzero(self.stamps_ns[k] != ABSENT):
                yield k, waiting.pop(k)
                k += 1
                if k == len(self):
                    return
        raise FootageError(
            f"{self.bag.path} ended after {k} of {len(self)} frame sets: the file has changed since it was opened"
        )

    def _decoded(self, serialised: tuple[int, dict[str, bytes]]) -> FrameSet:
        k, raws = serialised
        images, stamps_ns = {}, {}
        for v, camera in enumerate(self.topics):
            if camera not in raws:
                continue
            try:
                images[camera] = self._image(camera, raws[camera])
                stamps_ns[camera] = int(self.stamps_ns[k, v])
            except (InputError, FootageError) as error:
                warnings.warn(f"{self.name}, {self.topics[camera]} at {self.stamps_ns[k, v]} ns: {error}", stacklevel=2)
        if not images:
            raise FootageError(f"{self.name}: no image of frame set {k} can be decoded: cut the recording before it")
        return FrameSet(images, stamps_ns)

    def _image(self, camera: str, raw: bytes) -> NDArray[np.uint8]:
        topic = self.topics[camera]
        msg = self.bag.decode(topic, raw)
        return bgr_from_compressed(msg) if self.bag.types[topic] == COMPRESSED else bgr_from_raw(msg)


def bag_frames(
    bag: BagRecording,
    rig: Rig,
    topics: Mapping[str, str],
    *,
    tolerance_s: float = 0.010,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    progress: bool = False,
) -> BagFrames:
    """Group a recording's images into frame sets; reads it once for their stamps.

    topics: image topic by camera of the rig. A set has two cameras or more (all, where there is one only), whose
    stamps differ by tolerance_s at most. start_s and end_s, from the first set on, cut them; stride takes every n-th.
    Raises FootageError for a cut recording, InputError where images have no stamps or do not fit together.
    """
    topics = {camera: topics[camera] for camera in rig.names if camera in topics}
    all_stamps = _stamps(bag, topics, progress)
    off_clock = _off_clock(all_stamps, topics)
    stamps_ns, recorded_ns = _grouped(all_stamps, tolerance_s)
    if not len(stamps_ns):
        causes = "; ".join([*off_clock, _apart(all_stamps)])
        raise InputError(f"{bag.path.name}: no two cameras' images are within {tolerance_s:g} s: {causes}")
    for words in off_clock:
        warnings.warn(f"{bag.path.name}: poses keep the images' stamps, but {words}", stacklevel=2)
    unused = sum(map(len, all_stamps.values())) - np.count_nonzero(stamps_ns != ABSENT)
    times_s = (stamps_ns.max(axis=1) - stamps_ns[0].max()) / 1e9
    low, high = -np.inf if start_s is None else start_s, np.inf if end_s is None else end_s
    kept = np.flatnonzero((times_s >= low) & (times_s < high))[::stride]
    if not len(kept):
        raise InputError(f"{bag.path.name} lasts {times_s[-1]:.3f} s: no frame set is between {low:g} and {high:g} s")
    since_ns = np.minimum.accumulate(recorded_ns[kept][::-1])[::-1]
    frames = BagFrames(bag, rig.subset(list(topics)), topics, stamps_ns[kept], since_ns, tolerance_s, unused)
    frames.check_sizes()
    return frames


def _stamps(bag: BagRecording, topics: Mapping[str, str], progress: bool) -> dict[str, Stamps]:
    """Capture stamps and times of recording (N, 2) ns of each camera, by rising stamp, each stamp once."""
    from tqdm import tqdm

    names = {topic: camera for camera, topic in topics.items()}
    pairs = {camera: array("q") for camera in topics}
    total = sum(bag.counts[topic] for topic in names)
    for topic, recorded_ns, raw in tqdm(
        bag.messages(names), total=total, desc="reading stamps", unit="image", disable=not progress
    ):
        pairs[names[topic]].extend((header_stamp_ns(raw), recorded_ns))
    found = {}
    for camera, numbers in pairs.items():
        both = np.frombuffer(numbers, dtype=np.int64).reshape(-1, 2)
        stamps, first = np.unique(both[:, 0], return_index=True)
        if len(both) > 1 and len(stamps) == 1:
            raise InputError(
                f"{bag.path.name}: all {len(both)} images on {topics[camera]} have the stamp {stamps[0]} ns: have the "
                "driver stamp each image with its capture time"
            )
        found[camera] = both[first]
    return found


def _off_clock(stamps: Mapping[str, Stamps], topics: Mapping[str, str]) -> list[str]:
    """Describe cameras whose stamps differ from their recording time, one line per cause."""
    alike: dict[str, tuple[list[str], int, int]] = {}
    for camera, pairs in stamps.items():
        if not len(pairs):
            continue
        stamp_ns, recorded_ns = (int(one) for one in pairs[np.argsort(pairs[:, 1] - pairs[:, 0])[len(pairs) // 2]])
        if is_outside(stamp_ns, recorded_ns):
            _, fix = off_clock_words("", stamp_ns, recorded_ns)
            alike.setdefault(fix, ([], stamp_ns, recorded_ns))[0].append(topics[camera])
    return [
        ": ".join(off_clock_words(f"images on {', '.join(found)}", stamp_ns, recorded_ns, came="when recorded"))
        for found, stamp_ns, recorded_ns in alike.values()
    ]


def _grouped(stamps: Mapping[str, Stamps], tolerance_s: float) -> tuple[Stamps, Stamps]:
    """Stamps (N, V) of every set, ABSENT where a camera is missing, and the first time of recording (N,) of each.

    In order of their stamps and with the stamps as the clock nothing is late: whatever may belong to a set has come
    when the tolerance has passed.
    """
    grouper: FrameSetGrouper[int] = FrameSetGrouper(
        list(stamps), tolerance_s=tolerance_s, wait_s=tolerance_s + 1e-9, min_cameras=min(2, len(stamps))
    )
    stamps_ns, recorded_ns = array("q"), array("q")

    def keep(one: PayloadSet[int] | None) -> None:
        if one is not None:
            stamps_ns.extend(one.stamps_ns.get(camera, ABSENT) for camera in stamps)
            recorded_ns.append(min(one.payloads.values()))

    streams = (zip(pairs[:, 0], repeat(camera), pairs[:, 1], strict=False) for camera, pairs in stamps.items())
    for stamp, camera, at in merge(*streams):
        keep(grouper.add(camera, int(at), int(stamp), now_ns=int(stamp)))
    due_ns = grouper.due_ns()
    if due_ns is not None:
        keep(grouper.poll(due_ns))
    return np.array(stamps_ns, dtype=np.int64).reshape(-1, len(stamps)), np.array(recorded_ns, dtype=np.int64)


def _apart(stamps: Mapping[str, Stamps]) -> str:
    """Describe the median time between each camera's images and the first camera's."""
    first, *others = stamps
    own = stamps[first][:, 0]
    words = []
    for camera in others:
        other = stamps[camera][:, 0]
        near = np.clip(np.searchsorted(other, own) + np.array([[-1], [0]]), 0, len(other) - 1)
        median_s = np.median(np.abs(other[near] - own).min(axis=0)) / 1e9
        words.append(f"those of {camera} are {median_s:.3g} s from those of {first} (median)")
    return "; ".join(words) + ": give --tolerance, or synchronise the cameras"
