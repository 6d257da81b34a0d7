"""The rig that weights were tuned on (`pose3d train rig`), as their recipe says, and whether another rig is the same.

Only how the cameras stand to each other counts, to 1 mm and 0.03 degrees, and their lenses: a network sees no world
frame, so a rig whose world was moved onto the floor or that a robot carries is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose3d_ros.errors import CalibrationError, InputError, shown
from pose3d_ros.geometry.calibration import same_calibration
from pose3d_ros.rigs.rig_yaml import rig_from_mapping, rig_to_mapping
from pose3d_ros.structures import Camera, Rig

KEY = "tuned"  # in a recipe


@dataclass(frozen=True, eq=False)
class TunedRig:
    """The cameras whose keypoints a network was tuned on, and how far they are from people there."""

    rig: Rig
    distance_m: tuple[float, float]  # least and most, on average over the cameras

    @staticmethod
    def of(recipe: Mapping[str, Any]) -> TunedRig | None:
        """What a recipe says; None for weights that were not tuned on a rig. Raises InputError for a broken entry."""
        entry = recipe.get(KEY)
        if entry is None:
            return None
        try:
            near, far = (float(one) for one in entry["distance_m"])
            if not 0 < near <= far < np.inf:
                raise ValueError(f"distance_m is {near:g} to {far:g}")
            return TunedRig(rig_from_mapping(entry["rig"], "of the weights"), (near, far))
        except (CalibrationError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"the weights name no rig that they were tuned on ({shown(str(error))}): tune them again with "
                "`pose3d train rig`"
            ) from error

    def entry(self) -> dict[str, Any]:
        """The recipe's entry, of plain values."""
        return {"rig": rig_to_mapping(self.rig), "distance_m": list(self.distance_m)}

    @property
    def words(self) -> str:
        """Cameras and calibration."""
        return f"{' '.join(self.rig.names)} (calibration {self.rig.calibration_hash})"

    def why_not(self, cameras: Sequence[Camera]) -> str:
        """Why other cameras are not these; empty where they are, in any order."""
        if same_calibration(_sorted(self.rig.cameras), _sorted(cameras)):
            return ""
        names = " ".join(camera.name for camera in cameras)
        problem = "other cameras" if set(names.split()) != set(self.rig.names) else "another calibration of them"
        return (
            f"its weights were tuned on {self.words}, this rig has {problem} ({names}, calibration "
            f"{Rig(tuple(cameras), self.rig.frame_id).calibration_hash}): tune them again with `pose3d train rig`, or "
            "leave cvugcn_weights empty"
        )


def _sorted(cameras: Sequence[Camera]) -> list[Camera]:
    return sorted(cameras, key=lambda camera: camera.name)
