"""What a detector is: images of one moment in, people's keypoints a camera out."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from pose3d_ros.structures import FrameSet, Keypoints2D, Skeleton


class Detector(Protocol):
    """Finds people in every image of a frame set."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton that it speaks."""
        ...

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """Keypoints of every camera of the set, each with score, covariance, boxes and its image's stamp."""
        ...

    def reset(self) -> None:
        """Forget what was seen before."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A Detector whose answer depends on earlier images: a run that stopped must be able to go on exactly."""

    def memory(self) -> Any:
        """What it remembers: arrays and plain values only, as estimation/memory.py writes them."""
        ...

    def remember(self, memory: Any) -> None:
        """Go on from another one's memory; the other was made with the same options."""
        ...
