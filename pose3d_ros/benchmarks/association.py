"""Which 2D people of several views are one person: how long it takes, and how that grows with cameras and people.

Synthetic people before cameras in a ring, with the noise of a keypoint detector; one core. The target is 2 ms for
four people in five views, and growth no worse than with the square of the cameras.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the plot goes."""
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the growth there (PNG)")


def measure(args: argparse.Namespace) -> list[Table]:
    """Times over cameras and people, and the exponents fitted to them."""
    return []
