"""The rendered scene of the tests as JPEGs, as `pose3d render` writes them without --video."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pose3d_ros.simulation.rendering.rendered_set import Truth, load_scene

SCENE = Path(__file__).parent / "rendered" / "scene_000"


def write_jpegs(folder: Path, frames: int, start: int = 0) -> Path:
    """Moments of the scene, from number `start` on, as folder/scene_000."""
    scene, target = load_scene(SCENE), folder / "scene_000"
    for number, images in zip(range(frames), scene.read(start), strict=False):
        for name, image in images.images.items():
            path = target / name / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), image)
    (target / "rig.yaml").write_bytes((SCENE / "rig.yaml").read_bytes())
    (target / "scene.json").write_bytes((SCENE / "scene.json").read_bytes())
    chosen = slice(start, start + frames)
    arrays = {name: getattr(scene.truth, name) for name in Truth.__dataclass_fields__}
    for name in ("joints_m", "coco_m"):
        arrays[name] = arrays[name][chosen]
    for name in ("visibility", "boxes_px"):
        arrays[name] = arrays[name][:, chosen]
    np.savez_compressed(target / "truth.npz", **arrays)
    return folder
