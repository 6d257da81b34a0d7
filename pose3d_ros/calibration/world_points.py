"""A rig's world onto a robot's base by named points (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pose3d_ros.calibration.world_move import WorldMove
from pose3d_ros.errors import CalibrationError, InputError, shown
from pose3d_ros.files import values
from pose3d_ros.files.door import POINTS, reading
from pose3d_ros.geometry.alignment import rigid, similarity
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.structures import Floats, Rig

# A pixel that a person points at.
CLICK_PX = 2.0
# Points must span a plane: the second widest spread, against the widest one.
FLAT = 0.05
# Residuals that points may have: 5 cm, and 5 % of their spread, but for what a tape and a finger are good to.
MOST_RESIDUAL_M, MOST_OF_SPREAD, LEAST_RESIDUAL_M = 0.05, 0.05, 0.01
# A scale that leaves less than this share of the residuals is their reason.
EXPLAINED = 0.3


def points_of(content: Any, where: str, rig: Rig) -> tuple[str, dict[str, Floats], dict[str, Floats]]:
    """Frame name, and points by name in the base and in the rig's frame, m, of a points file.

    Keys: frame, points: name -> {base: [x, y, z], and rig: [x, y, z] or px: {CAMERA: [u, v], CAMERA: [u, v]}}.
    Raises InputError.
    """
    with reading(where, POINTS):
        frame_id = values.name(content.get("frame", "base_link"))
        entries = dict(content["points"])
        base, inside = {}, {}
        for key, entry in entries.items():
            name = values.name(key)
            base[name] = values.numbers(entry["base"], 3)
            if "px" in entry:
                seen = {values.name(one): values.numbers(px, 2) for one, px in dict(entry["px"]).items()}
                inside[name] = _triangulated(rig, name, seen)
            else:
                inside[name] = values.numbers(entry["rig"], 3)
            if not (np.isfinite(base[name]).all() and np.isfinite(inside[name]).all()):
                raise InputError(f"{where}: point {shown(name)} is not finite: give numbers in m and px")
    return frame_id, base, inside


def by_points(base: Mapping[str, Floats], inside: Mapping[str, Floats], frame_id: str) -> WorldMove:
    """The rigid transform that takes points of the rig's frame to the base's; raises CalibrationError."""
    names = list(base)
    if len(names) < 3:
        raise CalibrationError(f"{len(names)} points ({', '.join(names)}), expected 3 or more that are not on one line")
    target, source = (np.array([points[name] for name in names]) for points in (base, inside))
    centred = target - target.mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False)
    if spread[1] < FLAT * spread[0]:
        raise CalibrationError(f"points {', '.join(names)} lie on one line: measure another one to the side of it")
    found, larger = rigid(source, target), similarity(source, target)
    residuals, others = (np.linalg.norm(one.apply(source) - target, axis=1) for one in (found, larger))
    rms, scale = float(np.sqrt((residuals**2).mean())), float(larger.scale)
    extent = float(np.linalg.norm(centred, axis=1).max())
    lines = [f"{name}: residual {1000 * one:.0f} mm" for name, one in zip(names, residuals, strict=True)]
    if rms > min(MOST_RESIDUAL_M, max(MOST_OF_SPREAD * extent, LEAST_RESIDUAL_M)):
        if np.sqrt((others**2).mean()) < EXPLAINED * rms:
            raise CalibrationError(
                f"lengths between points are {scale:.4g} times as long in the base's frame as in the rig's, expected "
                "1: are units right? Else calibrate the rig's scale (--stature, --distance)"
            )
        raise CalibrationError(
            f"points fit to {1000 * rms:.0f} mm (RMS) only ({'; '.join(lines)}): check the coordinates and name of the "
            "worst one"
        )
    # By the residuals, with as many degrees of freedom as there are; a millimetre at least.
    sigma = max(rms * np.sqrt(3 * len(names) / max(3 * len(names) - 6, 1)), 1e-3)
    moment = float(spread[1] ** 2)  # about the axis along the widest spread
    at = ", ".join(f"{part:.2f}" for part in target.mean(axis=0))
    lines.append(
        f"points fit to {1000 * rms:.1f} mm (RMS), scale {scale:.4f}; the position is that of their middle ({at})"
    )
    return WorldMove(found.matrix, frame_id, sigma / np.sqrt(moment), sigma / np.sqrt(len(names)), tuple(lines))


def _triangulated(rig: Rig, name: str, seen: Mapping[str, Floats]) -> Floats:
    if len(seen) < 2:
        raise InputError(
            f"point {shown(name)} is seen by {', '.join(seen) or 'no camera'}, expected two cameras or more"
        )
    cameras = [rig.camera(one) for one in seen]
    for camera, px in zip(cameras, seen.values(), strict=True):
        if (px < -0.5).any() or (px > np.array(camera.size_wh) - 0.5).any():
            raise InputError(
                f"point {shown(name)}: {px.tolist()} px is outside of {camera.name}'s image of {camera.size_wh[0]} x "
                f"{camera.size_wh[1]} px"
            )
    found = triangulate(cameras, np.array(list(seen.values())), sigma_px=CLICK_PX)
    if not np.isfinite(found.xyz).all():
        raise CalibrationError(
            f"point {shown(name)}: the rays of {', '.join(seen)} do not meet: are the pixels of one point?"
        )
    if found.reprojection_px > 5 * CLICK_PX:
        raise CalibrationError(
            f"point {shown(name)}: the rays of {', '.join(seen)} miss each other by {float(found.reprojection_px):.1f} "
            f"px, expected {5 * CLICK_PX:g} at most: are the pixels of one point?"
        )
    xyz: Floats = found.xyz
    return xyz
