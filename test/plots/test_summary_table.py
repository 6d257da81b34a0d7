"""The lines that a demo ends with."""

from __future__ import annotations

from typing import Any

from pose3d_ros.plots.summary_table import summary_table

SUMMARY: dict[str, Any] = {
    "poses_published": 99, "frame_sets_sent": 100, "rate_hz": 9.5, "latency_ms": {"median": 101.24, "p95": 150.0},
    "stage_ms": {"decode": 0.0, "detect": 77.0}, "reprojection_px": {"median": 11.8, "p95": None},
    "bone_length_cv": 0.0284, "people": {"1": 99, "2": 40},
}  # fmt: skip


def test_several_cameras_tell_left_out_camera_and_agreement() -> None:
    several = {"left_out_camera_px": {"median": 20.7}, "agreement_mm": {"mean": 40.0, "median": 35.1}}
    lines = summary_table({**SUMMARY, **several}, ("/out", "a.json")).splitlines()
    assert "  poses / frame sets  99 / 100" in lines
    assert "        reprojection  median 11.8, p95 - px" in lines
    assert "     left-out camera  median 20.7 px" in lines
    assert "           agreement  mean 40.0, median 35.1 mm" in lines
    assert " people (id: frames)  1: 99, 2: 40" in lines
    assert lines[-2:] == ["             results  /out", "                      a.json"]


def test_one_camera_separates_root_and_pose() -> None:
    one = {
        "absolute_mm": 300.4,
        "root_relative_mm": 150.0,
        "procrustes_mm": 80.0,
        "root_mm": 240.0,
        "depth_percent": 5.0,
    }
    lines = summary_table({**SUMMARY, "agreement": one}, ()).splitlines()
    assert "           agreement  absolute 300, root-relative 150, Procrustes 80 mm" in lines
    assert "                root  240 mm; depth off by 5.0 % (median)" in lines


def test_without_a_reference_there_is_no_agreement() -> None:
    for unknown in ({}, {"agreement": None}, {"agreement": {"absolute_mm": None}}, {"agreement_mm": {"mean": None}}):
        assert "agreement" not in summary_table({**SUMMARY, **unknown, "people": {}}, ())
    assert "none" in summary_table({**SUMMARY, "people": {}}, ())
