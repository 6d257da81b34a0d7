"""The node "multiview": /human_pose_3d from two cameras or more (pose_node.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pose3d_ros.ros.pose_node import OPTIONS, PoseNode
from pose3d_ros.ros.running import run_node


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 after a clean end, 1 with the reason when it cannot start."""
    return run_node(PoseNode, OPTIONS, argv)


if __name__ == "__main__":
    sys.exit(main())
