"""Footage as a stream of frame sets with capture stamps, and the player's report."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import REPORT, read_text
from pose3d_ros.recordings.footage import SAMPLES, Sample, read_video, sample, video_rate
from pose3d_ros.recordings.video_times import SAME_RATE, video_times
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.structures import FrameSet

# 2023-11-14 22:13:20 UTC. A fixed capture time of the first frame: runs compare byte for byte, and it is not
# zero, which ROS reads as "no time".
T0_NS = 1_700_000_000 * 10**9
Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


def open_footage(name: str, cameras: Sequence[str] = ()) -> Sample:
    """The named sample, or a folder with rig.yaml and <camera>.mp4, cut to some of its cameras.

    Raises InputError for an unknown camera, FootageError for footage that is not there.
    """
    if name in SAMPLES:
        whole = sample(name)
    else:
        folder = Path(name)
        if not (folder / "rig.yaml").is_file():
            raise FootageError(
                f"footage {name!r} is neither a sample ({', '.join(SAMPLES)}) nor a folder with rig.yaml "
                "and one <camera>.mp4 per camera"
            )
        rig = load_rig(folder / "rig.yaml")
        videos = {camera: folder / f"{camera}.mp4" for camera in rig.names}
        for camera, path in videos.items():
            if not video_times(path).even:
                raise FootageError(
                    f"footage {path}: frames of {camera} are not evenly spaced, but the player uses their numbers: use "
                    "`pose3d estimate`, which uses their time stamps"
                )
        rates = {camera: video_rate(path) for camera, path in videos.items()}
        if max(rates.values()) - min(rates.values()) > SAME_RATE:
            listed = ", ".join(f"{camera} {rate:g}" for camera, rate in rates.items())
            raise FootageError(f"footage {folder}: different frame rates ({listed}): convert the videos to one rate")
        whole = Sample(name=name, rig=rig, videos=videos, fps=rates[rig.names[0]])
    return with_cameras(whole, cameras) if cameras else whole


def with_cameras(footage: Sample, cameras: Sequence[str]) -> Sample:
    """The footage of the named cameras only; raises InputError that lists the names it has."""
    for name in cameras:
        if name not in footage.videos:
            raise InputError(f"footage {footage.name!r} has no camera {name!r}: it has {', '.join(footage.videos)}")
    if len(set(cameras)) != len(cameras):
        raise InputError(f"cameras {', '.join(cameras)}: name each camera once")
    return replace(footage, rig=footage.rig.subset(cameras), videos={name: footage.videos[name] for name in cameras})


def write_stills(footage: Sample, folder: Path) -> None:
    """The first image of every camera as <camera>.png, and rig.yaml: the rig of the videos as they are.

    The published calibration is of 1088 px; two of the videos are 1080 px wide, and their cameras here too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_rig(footage.rig, folder / "rig.yaml")
    for camera, image in next(play(footage, 1)).images.items():
        if not cv2.imwrite(str(folder / f"{camera}.png"), image):
            raise FootageError(f"{folder / camera}.png cannot be written: check the disk space")


def play(footage: Sample, frames: int = 0, loops: int = 1, t0_ns: int = T0_NS) -> Iterator[FrameSet]:
    """Every frame set of the footage in order; images in their cameras' order.

    frames cuts each loop (0: up to the shortest video's end). Stamps are t0 + k / fps and go on increasing over the
    loops. Raises FootageError for a video without a frame.
    """
    k = 0
    for _ in range(loops):
        readers = [read_video(path, stop=frames or None) for path in footage.videos.values()]
        begun = k
        for images in zip(*readers, strict=False):
            stamp_ns = t0_ns + round(k * 1e9 / footage.fps)
            names = footage.videos.keys()
            yield FrameSet(dict(zip(names, images, strict=True)), dict.fromkeys(names, stamp_ns))
            k += 1
        if k == begun:
            raise FootageError(
                f"footage {footage.name!r} has no frame in {', '.join(map(str, footage.videos.values()))}"
            )


def run_ahead(
    items: Iterator[Item], prepare: Callable[[Item], Prepared], depth: int = 2
) -> Generator[Prepared, None, None]:
    """prepare(item) of every item, done by a thread that is at most `depth` items ahead of the caller.

    An error in the thread is raised in the caller, in order. Close the iterator to stop the thread early.
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=depth)
    closed = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not closed.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put("item", prepare(item))
                if closed.is_set():
                    return
            put("end", None)
        except Exception as error:
            put("error", error)

    thread = threading.Thread(target=work, name="run_ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        closed.set()
        thread.join(timeout=5.0)


@dataclass(frozen=True)
class Playback:
    """The player's report: when it published each stamp (monotonic clock), and the stamps without a pose."""

    t0_ns: int
    fps: float
    frames_per_loop: int
    frame_sets_sent: int
    published_ns: dict[int, int]  # capture stamp -> monotonic time just before the set's first message was published
    unanswered_ns: tuple[int, ...]  # capture stamps

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> Playback:
        """Read what save() wrote; raises FootageError where there is none."""
        try:
            content = json_content(read_text(path, REPORT), str(path), REPORT)
            content["published_ns"] = {int(stamp): int(at) for stamp, at in content["published_ns"].items()}
            content["unanswered_ns"] = tuple(content["unanswered_ns"])
            return Playback(**content)
        except (FootageError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FootageError(f"the player left no report {path} ({error!r}): check its log") from error
