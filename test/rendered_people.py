"""Rendered scenes for tests without rendering: a plan, images and truth that are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_people import STANDING, walker

from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.evaluated_scenes import Evaluated
from pose3d_ros.evaluation.rendered import (
    Published,
    true_detections,
)
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.simulation.rendering.bodies import PosedBody, Shape
from pose3d_ros.simulation.rendering.outfits import draw_outfit
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene, Truth
from pose3d_ros.simulation.rendering.renderer import RenderedFrame
from pose3d_ros.simulation.rendering.rooms import draw_room
from pose3d_ros.simulation.rendering.scenes import Plan, SceneRequest, resized
from pose3d_ros.simulation.rendering.sensor import draw_sensor
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.simulation.views import GIVEN, mapped_truth, to_coco
from pose3d_ros.skeletons import COCO_17, DERIVED, H36M_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Pose3D, Rig
from pose3d_ros.training.rendered_people import Detected

NEEDS_RENDER = pytest.mark.skipif(
    find_spec("anny") is None or find_spec("embreex") is None,
    reason="rendering needs Anny's bodies and Embree: pip install 'pose3d_ros[render]'",
)
FPS = 12.0
# Two people of FRAMES moments, where they start on the floor, m.
STARTS, FRAMES = [(-0.8, -0.4), (0.7, 0.5)], 8


def coco_points(xyz: Floats) -> Floats:
    """COCO-17 (..., 17, 3) m of h36m_17 joints, eyes and ears about the nose."""
    coco = to_coco(xyz)
    nose = coco[..., :1, :]
    aside = np.array([[0.03, -0.03, 0.07, -0.07], [0.0] * 4, [0.03, 0.03, 0.0, 0.0]]).T
    coco[..., 1:5, :] = nose + aside
    return coco


def walkers(starts: list[tuple[float, float]], frames: int = 8) -> Floats:
    """Joints (T, P, 17, 3) m of people who walk on, as COCO's points define them."""
    moments = [
        [walker(start, (0.4 * (-1) ** n, 0.2), t / FPS) for n, start in enumerate(starts)] for t in range(frames)
    ]
    return mapped_truth(np.array(moments))


def made_up_scene(rig: Rig, joints: Floats, folder: Path = Path("scene_000")) -> RenderedScene:
    """People of joints (T, P, 17, 3) m whose COCO points are their joints, all visible; there are no images."""
    frames, people = joints.shape[:2]
    shape = (len(rig.cameras), frames, people)
    truth = Truth(
        fps=FPS,
        joints_m=joints,
        coco_m=coco_points(joints),
        visibility=np.full((*shape, COCO_17.size), Visibility.VISIBLE, np.uint8),
        boxes_px=np.zeros((*shape, 4)),
        stature_m=np.full(people, 1.75),
        age_years=np.full(people, 40.0),
        female=np.zeros(people, dtype=bool),
    )
    return RenderedScene(folder, rig, truth)


def write_made_up(scene: RenderedScene) -> None:
    """Write a scene to its folder, with black images."""
    scene.folder.mkdir(parents=True, exist_ok=True)
    save_rig(scene.rig, scene.folder / "rig.yaml")
    np.savez(scene.folder / "truth.npz", **{name: getattr(scene.truth, name) for name in Truth.__dataclass_fields__})
    for camera in scene.rig.cameras:
        (scene.folder / camera.name).mkdir()
        black = np.zeros((*camera.size_wh[::-1], 3), np.uint8)
        for moment in range(len(scene)):
            assert cv2.imwrite(str(scene.folder / camera.name / f"{moment:06d}.jpg"), black)


class NumberedScene(RenderedScene):
    """A scene without a folder: all pixels of its images are the number at the end of its name."""

    @property
    def number(self) -> int:
        """The scene's."""
        return int(self.name.rpartition("_")[2])

    def read(self, start: int = 0) -> Iterator[FrameSet]:
        """Images of one grey level."""
        images = {one.name: np.full((*one.size_wh[::-1], 3), self.number, np.uint8) for one in self.rig.cameras}
        for stamp in self.moments_ns[start:].tolist():
            yield FrameSet(images, dict.fromkeys(images, stamp))


class ChangedDetector:
    """A detector that knows what scenes show, by their images' grey level and stamps, and changes it."""

    name, skeleton = "changed", COCO_17

    def __init__(
        self, scenes: Sequence[RenderedScene], change: Callable[[int, Keypoints2D], Keypoints2D] = lambda view, one: one
    ) -> None:
        """change(view, keypoints) of one image; scenes without a number have black images."""
        self.scenes_seen: list[int] = []  # one entry for every moment
        self._detected: dict[tuple[int, int], Detected] = {}
        for scene in scenes:
            number = scene.number if isinstance(scene, NumberedScene) else 0
            for stamp, found in zip(scene.moments_ns.tolist(), true_detections(scene), strict=True):
                self._detected[number, stamp] = {
                    name: change(view, one) for view, (name, one) in enumerate(found.items())
                }

    def __call__(self, frames: FrameSet) -> Detected:
        """The detections of one moment."""
        number = int(next(iter(frames.images.values()))[0, 0, 0])
        self.scenes_seen.append(number)
        return self._detected[number, frames.stamp_ns]

    def reset(self) -> None:
        """It remembers no images."""


def displaced(found: Keypoints2D, by_px: Floats) -> Keypoints2D:
    """Keypoints moved in the image."""
    return replace(found, xy=found.xy + by_px)


def made_up_plan(frames: int = 3, people: int = 2) -> Plan:
    """A plan of standing people who have no skin to be rendered."""
    rng = np.random.default_rng(0)
    one = resized(simulated_rig("room2", 0, held_out=True), 64)
    joints = STANDING + rng.normal(scale=0.01, size=(people, frames, 17, 3))
    return Plan(
        SceneRequest(one, people, frames, FPS, 7, 2),
        shapes=tuple(Shape(1.6 + 0.1 * n, 20.0 + n, bool(n % 2), {"age": 0.5}) for n in range(people)),
        outfits=tuple(draw_outfit(rng) for _ in range(people)),
        bodies=tuple(PosedBody(np.zeros((frames, 1, 3), np.float32), xyz, coco_points(xyz)) for xyz in joints),
        actions=("walking",) * people,
        room=draw_room(one.rig.cameras, np.zeros((1, 2)), rng, 1),
        sensors=tuple(draw_sensor(rng) for _ in one.rig.cameras),
        exposure_s=0.01,
    )


def made_up_frames(plan: Plan) -> list[RenderedFrame]:
    """One grey level per image, which tells camera and frame."""
    shape = (len(plan.rig.cameras), len(plan.bodies))
    return [
        RenderedFrame(
            {
                camera.name: np.full((*camera.size_wh[::-1], 3), grey(view, number), np.uint8)
                for view, camera in enumerate(plan.rig.cameras)
            },
            np.full((*shape, COCO_17.size), number % 4, np.uint8),
            np.full((*shape, 4), float(number)),
        )
        for number in range(plan.request.frames)
    ]


def grey(view: int, number: int) -> int:
    """Of the image of a camera and a frame."""
    return 40 + 60 * view + 20 * number


def request_of(people: int = 1, frames: int = 2, px: int = 96, number: int = 0, seed: int = 0) -> SceneRequest:
    one = resized(simulated_rig("room2", 0, held_out=True), px)
    return SceneRequest(one, people, frames, 12.0, seed, number, occluders=1, samples=1)


OPTIONS = EstimatorOptions(refine="none", monocular_fallback="never", min_hits=1, calibration_px=0.0, smoothing="none")


def hidden(scene: RenderedScene, visibility: np.ndarray) -> RenderedScene:
    return replace(scene, truth=replace(scene.truth, visibility=visibility.astype(np.uint8)))


def changed(detected: list[Detected], of) -> list[Detected]:
    """The detections with of(moment, view, keypoints) instead of each image's."""
    return [
        {name: of(moment, view, found) for view, (name, found) in enumerate(by_camera.items())}
        for moment, by_camera in enumerate(detected)
    ]


def moved(found: Keypoints2D, by_px: Floats) -> Keypoints2D:
    return replace(found, xy=found.xy + by_px)


def joined(*parts: Keypoints2D) -> Keypoints2D:
    """All people of several."""
    together = {name: np.concatenate([getattr(one, name) for one in parts]) for name in ("xy", "score", "covariance")}
    return replace(parts[0], **together)


def published(scene: RenderedScene, xyz: Floats, ids, std_m: float = 0.01) -> list[Pose3D]:
    """Poses (T, P, 17, 3) m with ids (T, P), "" for people who are not published."""
    poses = []
    for moment, stamp in enumerate(scene.moments_ns.tolist()):
        rows = [row for row, name in enumerate(ids[moment]) if name]
        shape = (len(rows), H36M_17.size)
        poses.append(
            Pose3D(
                xyz=xyz[moment, rows], velocity=np.zeros((*shape, 3)),
                covariance=np.broadcast_to(std_m**2 * np.eye(3), (*shape, 3, 3)), score=np.ones(shape),
                n_views=np.full(shape, 4, np.uint8), reprojection_px=np.zeros(shape),
                source=np.ones(shape, np.uint8), ids=tuple(ids[moment][row] for row in rows),
                state=np.zeros(len(rows), np.uint8), age_s=np.zeros(len(rows)), skeleton=H36M_17, frame_id="world",
                stamp_ns=stamp,
            )
        )  # fmt: skip
    return poses


def evaluated(scene: RenderedScene, detected: list[Detected], poses: list[Pose3D] = ()) -> Evaluated:  # type: ignore[assignment]
    recording = Recording(
        scene.rig, tuple(poses), np.zeros(len(poses)), {}, {}, scene.t0_ns, scene.fps, len(scene), len(scene)
    )
    return Evaluated(scene, detected, recording, OPTIONS)


def by_row(table) -> dict[str, dict[str, object]]:
    """Cells by the first column and the column's name, of which no two are alike: JSON would hold one of them."""
    assert len(set(table.columns)) == len(table.columns)
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def assert_true(scene: RenderedScene, found: Published, people: object = slice(None)) -> None:
    """Keypoints are exact; of joints that are middles, the images' middle is not quite the image of the middle."""
    miss_mm = 1000.0 * np.linalg.norm(found.xyz - scene.truth.joints_m, axis=-1)[:, people]
    middles = [H36M_17.index(name) for name in DERIVED]
    assert miss_mm[..., middles].max() < 10.0
    assert np.delete(miss_mm[..., GIVEN], np.flatnonzero(np.isin(np.flatnonzero(GIVEN), middles)), -1).max() < 1.0
