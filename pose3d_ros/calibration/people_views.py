"""What calibration by people starts from: everything that one camera saw of people, on its own clock."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pose3d_ros.errors import InputError
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Keypoints2D


@dataclass(frozen=True, eq=False)
class PeopleViews:
    """The people in the images of one camera, image by image.

    people are h36m_17 with covariance, by stamp_ns of the camera's own clock, which rises; an image without people is
    an empty Keypoints2D. Where the camera is placed does not count. Raises InputError for another skeleton or order.
    """

    camera: Camera
    people: tuple[Keypoints2D, ...]

    def __post_init__(self) -> None:
        name = self.camera.name
        for one in self.people:
            if one.skeleton != H36M_17 or one.covariance is None:
                raise InputError(f"camera {name!r}: people are {one.skeleton.name}, expected h36m_17 with covariance")
        stamps = [one.stamp_ns for one in self.people]
        for before, after in pairwise(stamps):
            if after <= before:
                raise InputError(f"camera {name!r}: an image of {after} ns follows one of {before}: sort them by time")

    @property
    def span_s(self) -> float:
        """Seconds from the first image to the last."""
        return 1e-9 * (self.people[-1].stamp_ns - self.people[0].stamp_ns) if self.people else 0.0
