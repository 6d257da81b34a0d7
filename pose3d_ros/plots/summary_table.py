"""A run's summary as a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def summary_table(summary: dict[str, Any], results: Sequence[str]) -> str:
    """Format the main figures of summarise or summarise_mono, and the paths of the results."""
    stages = "  ".join(f"{name} {_number(value)}" for name, value in summary["stage_ms"].items())
    people = ", ".join(f"{person}: {frames}" for person, frames in summary["people"].items())
    rows = [
        ("poses / frame sets", f"{summary['poses_published']} / {summary['frame_sets_sent']}"),
        ("rate", f"{_number(summary['rate_hz'])} frame sets/s"),
        *([("latency", f"{_spread(summary['latency_ms'])} ms")] if "latency_ms" in summary else []),
        ("stages", f"{stages} ms"),
        ("reprojection", f"{_spread(summary['reprojection_px'])} px"),
    ]
    if "left_out_camera_px" in summary:
        rows.append(("left-out camera", f"median {_number(summary['left_out_camera_px']['median'])} px"))
    rows.append(("bone length cv", _number(summary["bone_length_cv"], 3)))
    rows.append(("people (id: frames)", people or "none"))
    rows += _agreement(summary.get("agreement_mm")) + _one_camera_agreement(summary.get("agreement"))
    rows += [("" if number else "results", line) for number, line in enumerate(results)]
    return "\n".join(f"{name:>20}  {value}" for name, value in rows)


def _agreement(figures: dict[str, Any] | None) -> list[tuple[str, str]]:
    if not figures or figures.get("mean") is None:
        return []
    return [("agreement", f"mean {figures['mean']:.1f}, median {figures['median']:.1f} mm")]


def _one_camera_agreement(figures: dict[str, Any] | None) -> list[tuple[str, str]]:
    if not figures or figures["absolute_mm"] is None:
        return []
    joints = f"absolute {_number(figures['absolute_mm'], 0)}, root-relative {_number(figures['root_relative_mm'], 0)}"
    depth = f"depth off by {_number(figures['depth_percent'])} % (median)"
    return [
        ("agreement", f"{joints}, Procrustes {_number(figures['procrustes_mm'], 0)} mm"),
        ("root", f"{_number(figures['root_mm'], 0)} mm; {depth}"),
    ]


def _spread(figures: dict[str, float | None]) -> str:
    return f"median {_number(figures['median'])}, p95 {_number(figures['p95'])}"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
