"""Parameters of the monocular node alone: its camera, and the frame of its poses."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, option


@dataclass(frozen=True)
class MonocularNodeOptions:
    """Which camera it is, and which frame the poses are given in; raises OptionError for a camera without a name."""

    camera: str = option("camera", "name of the camera", read_only=True)
    fixed_frame: str = option(
        "",
        "frame of the published poses, reached by TF from the images' frame_id at each image's stamp; empty: that "
        "frame_id itself, the camera's optical frame",
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.camera:
            raise OptionError("parameter 'camera' is empty, expected the camera's name, which is part of its topics")
