"""The tables of `pose3d evaluate footage`: 95 % regions of joints into a camera that was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.calibration_noise import MEASURED
from pose3d_ros.evaluation.left_out import Predictions, fitted_px, predictions
from pose3d_ros.evaluation.posern_footage import read
from pose3d_ros.evaluation.summary import Reference
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import RUN_STATE, read_text
from pose3d_ros.recordings.footage import reference_single
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17

STAGES = {"none": "triangulated", "auto": "as refine: auto"}
GROUPS = {
    "trunk": ("Pelvis", "Spine", "Thorax"), "nose": ("Nose",), "shoulders": ("LShoulder", "RShoulder"),
    "elbows": ("LElbow", "RElbow"), "wrists": ("LWrist", "RWrist"), "hips": ("LHip", "RHip"),
    "knees": ("LKnee", "RKnee"), "ankles": ("LAnkle", "RAnkle"),
}  # fmt: skip
NOTE = (
    "Share of the keypoints of cameras left out, in %, inside the 95 % region that all choices of two or more other "
    "cameras predict. Columns: calibration_px; 0: the covariance of keypoints alone; -1: as those cameras measure it "
    "themselves, up to that moment; otherwise a constant, as given, or fitted to the other recordings."
)


@dataclass(frozen=True, eq=False)
class Trial:
    """One recording, and a calibration_px fitted to the others."""

    name: str
    cameras: tuple[str, ...]
    found: dict[str, Predictions]  # by refine
    px: float | None  # None: there is none

    def parts(self) -> Iterator[tuple[str, dict[str, Predictions]]]:
        """(name, predictions by refine) of everything, and of cameras, numbers of views and joints."""
        yield "everything", self.found
        for count in np.unique(self.found["none"].views).tolist():
            yield f"{count} cameras", self._those("views", [count])
        for number, name in enumerate(self.cameras):
            yield f"{name} left out", self._those("left_out", [number])
        for name, joints in GROUPS.items():
            yield name, self._those("joint", [H36M_17.index(joint) for joint in joints])

    def _those(self, field: str, values: Sequence[int]) -> dict[str, Predictions]:
        return {refine: one.select(np.isin(getattr(one, field), values)) for refine, one in self.found.items()}


def trials(folders: Sequence[Path], calibration_px: float | None = None) -> list[Trial]:
    """The recordings, each with calibration_px, or else with the value fitted to the other recordings.

    Raises InputError for a folder without a recording of three cameras, and for two folders of one name.
    """
    named = {folder.resolve().name: read(folder) for folder in folders}
    if len(named) < len(folders):
        raise InputError(f"two of the folders {', '.join(map(str, folders))} have one name: rename one")
    found = {name: {refine: predictions(one, refine) for refine in STAGES} for name, one in named.items()}
    made = []
    for name, one in found.items():
        others = [other["auto"] for key, other in found.items() if key != name]
        px = fitted_px(others) if others and calibration_px is None else calibration_px
        made.append(Trial(name, named[name].rig.names, one, px))
    return made


def with_reference(folder: Path) -> tuple[Recording, Reference | None]:
    """The recording in a folder of `pose3d demo`, and the published poses where it is of the single person."""
    return read(folder), reference_of(folder)


def reference_of(folder: Path) -> Reference | None:
    """The published poses where a folder of `pose3d demo` is of the single person."""
    summary = folder / "summary.json"
    settings = (
        json_content(read_text(summary, RUN_STATE), str(summary), RUN_STATE)["settings"] if summary.is_file() else {}
    )
    return reference_single() if settings.get("people") == "single" else None


def tables(made: Sequence[Trial]) -> Iterator[Table]:
    """One table per recording, and the calibration_px fitted to all."""
    for trial in made:
        values = (0.0, MEASURED, *(() if trial.px is None else (trial.px,)))
        columns = ("what", "keypoints", *(f"{text}, {px:.3g} px" for text in STAGES.values() for px in values))
        rows: list[tuple[Cell, ...]] = []
        for name, part in trial.parts():
            shares = [100.0 * part[refine].coverage(px) for refine in STAGES for px in values]
            rows.append((name, len(part["auto"]), *shares))
        title = f"{trial.name}: 95 % regions into a camera left out, by calibration_px"
        yield Table("left-out", title, columns, rows, NOTE)
    fits: list[tuple[Cell, ...]] = [
        (trial.name, *(fitted_px([trial.found[refine]]) for refine in STAGES)) for trial in made
    ]
    if len(made) > 1:
        fits.append(("all together", *(fitted_px([trial.found[refine] for trial in made]) for refine in STAGES)))
    note = "What to give as calibration_px, so that 95 % of the keypoints lie in their region; a property of a rig."
    yield Table("calibration_px", "fitted to each recording, px", ("recording", *STAGES.values()), fits, note)


def curves(trial: Trial, levels: Sequence[float]) -> tuple[list[float], list[float]]:
    """Shares inside the regions of these levels, calibration_px 0 and -1; poses as refine: auto gives them."""
    without, with_it = ([trial.found["auto"].coverage(px, level) for level in levels] for px in (0.0, MEASURED))
    return without, with_it


def shares(trial: Trial) -> dict[str, tuple[float, float]]:
    """Part -> share inside the 95 % regions, calibration_px 0 and -1, likewise."""
    return {name: (one["auto"].coverage(0.0), one["auto"].coverage(MEASURED)) for name, one in trial.parts()}
