"""The node "monocular": /human_pose_3d from one camera (pose_node.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from pose3d_ros.ros.options import MonocularNodeOptions, PoseNodeOptions
from pose3d_ros.ros.pose_node import OPTIONS, PoseNode
from pose3d_ros.ros.running import run_node


def monocular_node(*given: Any, **node_arguments: Any) -> PoseNode:
    """The pose node under the name "monocular", with one camera by default; arguments as PoseNode's."""
    return PoseNode(*given, name="monocular", kind=MonocularNodeOptions, **node_arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 after a clean end, 1 with the reason when it cannot start."""
    options = tuple(MonocularNodeOptions if kind is PoseNodeOptions else kind for kind in OPTIONS)
    return run_node(monocular_node, options, argv)


if __name__ == "__main__":
    sys.exit(main())
