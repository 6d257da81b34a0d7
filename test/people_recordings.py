"""Keypoint files of a walker as each Human3.6M camera sees him on its own clock, and a calibration to put in place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from synthetic_people import h36m_rig, walker

from pose3d_ros.calibration.people import Clock, PeopleCalibration
from pose3d_ros.geometry.projection import project
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.simulation.views import to_coco
from pose3d_ros.structures import Rig

RIG = Rig(h36m_rig("S9").cameras[:2])
A, B = RIG.names


def body_at(t_s: float) -> np.ndarray:
    """Joints (17, 3) m of the walker, who turns round every 2 s."""
    there = abs((t_s % 4.0) - 2.0)
    return walker((-1.0, 0.3), (0.9, 0.2), there)


def write_coco(folder: Path, fps: float, frames: int, offsets_s: Mapping[str, float] | None = None) -> dict[str, Path]:
    """A file of COCO results by camera; frame k of a camera was taken at its offset + k / fps."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for camera in RIG.cameras:
        entries = []
        for frame in range(frames):
            px = project(camera, to_coco(body_at(frame / fps + (offsets_s or {}).get(camera.name, 0.0))))
            score = np.where(np.isfinite(px).all(axis=-1), 0.8, 0.0)
            points = np.column_stack([np.nan_to_num(px), score]).ravel().round(3).tolist()
            entries.append({"image_id": frame, "category_id": 1, "keypoints": points, "score": 0.8})
        paths[camera.name] = folder / f"{camera.name}.json"
        paths[camera.name].write_text(json.dumps(entries))
    return paths


def calibration(
    rig: Rig = RIG, findings: tuple[Finding, ...] = (), clocks: Mapping[str, Clock] | None = None
) -> PeopleCalibration:
    """What a solver may find."""
    spread = np.diag([1e-3, 1e-3, 1e-3, 0.01, 0.01, 0.02]) ** 2
    first, *others = rig.names
    bodies = np.stack([body_at(t_s) for t_s in np.arange(0, 4, 0.25)])
    return PeopleCalibration(
        rig=Rig(rig.cameras, "floor"),
        covariance={name: spread for name in others},
        clocks=clocks or {first: Clock(), **{name: Clock(0.37, 0.002) for name in others}},
        scale_std=0.04,
        tilt_std_rad=0.01,
        reprojection_px=dict.fromkeys(rig.names, 3.2),
        statures_m=(1.75,),
        xyz=bodies,
        findings=findings,
    )
