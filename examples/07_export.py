"""People as files: TRC for OpenSim, BVH for Blender, C3D for biomechanics, CSV and JSON for everything else.

    .venv/bin/python examples/07_export.py
    blender --python people/import_into_blender.py                    # where Blender is installed

Afterwards people/ holds people.trc, people.csv, people.json, people.<id>.bvh and, with `pip install ezc3d`,
people.<id>.c3d. Here the poses come from the sample footage; from your own recording `pose3d estimate` writes the same
files with `--formats trc csv json bvh c3d`. Units and axes of each format: docs/export.md.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.recordings.footage import fetch_sample
from pose3d_ros.recordings.playback import play, with_cameras
from pose3d_ros.recordings.writers.people_json import write_json
from pose3d_ros.recordings.writers.person_files import write_person_files
from pose3d_ros.recordings.writers.pose_files import write_csv, write_trc
from pose3d_ros.structures import Pose3D

# BVH files are in cm with y up; Blender is in m with z up, and turns the axes itself.
BLENDER = '''"""Imports each person as an armature: blender --python import_into_blender.py"""

from pathlib import Path

import bpy

for path in sorted(Path(__file__).parent.glob("people.*.bvh")):
    bpy.ops.import_anim.bvh(filepath=str(path), global_scale=0.01, update_scene_fps=True, update_scene_duration=True)
'''


def estimate(cameras: list[str], frames: int) -> list[Pose3D]:
    """The poses of the first frames of the sample footage."""
    footage = with_cameras(fetch_sample("single"), cameras)
    estimator = PoseEstimator(footage.rig)
    return [estimator(frame_set) for frame_set in play(footage, frames)]


def export(poses: list[Pose3D], folder: Path) -> None:
    """Write all formats into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_trc(poses, folder / "people.trc")
    write_csv(poses, folder / "people.csv")
    write_json(poses, folder / "people.json")
    per_person = ["bvh", "c3d"] if find_spec("ezc3d") else ["bvh"]
    for line in write_person_files(poses, folder, per_person):
        print(line)
    (folder / "import_into_blender.py").write_text(BLENDER, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("people"))
    parser.add_argument("--cameras", nargs="+", default=["cam03", "cam04"])
    parser.add_argument("--frames", type=int, default=50, help="0: all")
    args = parser.parse_args()
    export(estimate(args.cameras, args.frames), args.output)
    print("wrote", ", ".join(sorted(path.name for path in args.output.iterdir())), "in", args.output)


if __name__ == "__main__":
    main()
