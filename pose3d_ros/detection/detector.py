"""What a detector is: images of one moment in, people's keypoints a camera out.

One whose answer depends on earlier images is Stateful too (pose3d_ros/state.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Skeleton


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
class UsesPredictedBoxes(Protocol):
    """A detector that looks where people are predicted."""

    def set_predicted_boxes(self, boxes: Mapping[str, Floats]) -> None:
        """Boxes (K, 4) px (left, top, right, bottom) of people expected in the next call's images, by camera."""
        ...
