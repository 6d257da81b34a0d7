"""The detector interface: images of one moment in, keypoints of people by camera out.

A detector whose result depends on earlier images is also Stateful (pose3d_ros/state.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Skeleton


class Detector(Protocol):
    """Detects people in every image of a frame set."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of its keypoints."""
        ...

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """Return keypoints for every camera of the set, each with score, covariance, boxes and its image's stamp."""
        ...

    def reset(self) -> None:
        """Forget earlier images."""
        ...


@runtime_checkable
class UsesPredictedBoxes(Protocol):
    """A detector that uses predicted boxes of people."""

    def set_predicted_boxes(self, boxes: Mapping[str, Floats]) -> None:
        """Set boxes (K, 4) px (left, top, right, bottom) of people expected in the next call's images, by camera."""
        ...
