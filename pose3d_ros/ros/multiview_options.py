"""Parameters of the multi-view node alone: its cameras, what they send, where they stand."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, option


@dataclass(frozen=True)
class NodeOptions:
    """Which cameras there are, what comes of them, how they are placed.

    Raises OptionError for fewer than two cameras and for names that repeat.
    """

    cameras: tuple[str, ...] = option(("left", "right"), "names of the cameras, two or more", read_only=True)
    input: str = option(
        "images",
        "images: people are detected here; keypoints: by detector nodes, on this or other machines, of which "
        "<camera>/keypoints_2d is taken in the place of images",
        choices=("images", "keypoints"),
        read_only=True,
    )
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

    def __post_init__(self) -> None:
        check(self)
        if len(self.cameras) == 1:
            raise OptionError(
                f"parameter 'cameras' is {list(self.cameras)}, expected two or more: one camera gives no depth by "
                "triangulation; add a second camera, or run the node for one: ros2 run pose3d_ros monocular_node"
            )
        if len(self.cameras) < 2 or len(set(self.cameras)) != len(self.cameras) or not all(self.cameras):
            raise OptionError(f"parameter 'cameras' is {list(self.cameras)}, expected two or more different names")
