"""Parameters of the multi-view node alone: its cameras, where they stand, what makes a frame set."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, option


@dataclass(frozen=True)
class NodeOptions:
    """Which cameras there are, how they are placed, how their images are grouped.

    Raises OptionError for fewer than two cameras and for names that repeat.
    """

    cameras: tuple[str, ...] = option(("left", "right"), "names of the cameras, two or more", read_only=True)
    placement: str = option(
        "auto",
        "where the cameras stand. tf: transform of each image's frame_id to fixed_frame at its stamp; projection: Tx "
        "in P of a stereo driver's CameraInfo; file: rig_file; auto: file if rig_file is given, else tf if TF knows "
        "every camera and their frames differ, else projection",
        choices=("auto", "tf", "projection", "file"),
        read_only=True,
    )
    fixed_frame: str = option(
        "",
        "frame of the published poses; empty: the first camera's optical frame, or with a rig file its frame_id. With "
        "projection or file another frame than theirs is reached by TF",
        read_only=True,
    )
    rig_file: str = option(
        "", "rig YAML with calibration and placement of every camera, for placement file or auto", read_only=True
    )
    # Half the period of a 50 Hz camera: an image can then fit one set only.
    stamp_tolerance: float = option(
        0.010, "capture stamps of one frame set differ by at most this", unit="s", low=0.0, high=1.0, read_only=True
    )
    set_wait: float = option(
        0.050, "wait this long (ROS time) for a camera that is late", unit="s", low=0.0, high=5.0, read_only=True
    )

    def __post_init__(self) -> None:
        check(self)
        if len(self.cameras) == 1:
            raise OptionError(
                f"parameter 'cameras' is {list(self.cameras)}, expected two or more: one camera gives no depth by "
                "triangulation; add a second camera, or run the node for one: ros2 run pose3d_ros monocular_node"
            )
        if len(self.cameras) < 2 or len(set(self.cameras)) != len(self.cameras) or not all(self.cameras):
            raise OptionError(f"parameter 'cameras' is {list(self.cameras)}, expected two or more different names")
