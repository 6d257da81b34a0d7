"""Parameters of the detector node alone."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, option


@dataclass(frozen=True)
class DetectorNodeOptions:
    """Whose images it takes; raises OptionError for no camera and for names that repeat."""

    cameras: tuple[str, ...] = option(
        ("left", "right"),
        "names of the cameras whose images this node takes, one or more: those that are connected to its machine",
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.cameras or len(set(self.cameras)) != len(self.cameras) or not all(self.cameras):
            raise OptionError(f"parameter 'cameras' is {list(self.cameras)}, expected one or more different names")
