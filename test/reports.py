"""What a part reported with an estimate."""

from __future__ import annotations

from typing import TypeVar

from pose3d_ros.estimation.estimate import Estimate

Kind = TypeVar("Kind")


def report_of(estimate: Estimate, kind: type[Kind]) -> Kind:
    """The report of this kind; fails where there is none."""
    (found,) = (one for one in estimate.reports if isinstance(one, kind))
    return found
