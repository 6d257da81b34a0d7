"""The images of a planned scene, and what can be seen in them, moment by moment, by several processes.

Each image has random numbers of its own: the same bytes come out however many processes render.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import OutOfMemoryError
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.rendering.bodies import check_anny, template
from pose3d_ros.simulation.rendering.outfits import body_fields
from pose3d_ros.simulation.rendering.scenes import FRAME, ROOM, Plan
from pose3d_ros.simulation.rendering.sensor import develop
from pose3d_ros.simulation.rendering.tracing import (
    Lens,
    Mesh,
    Scene,
    Visibility,
    check_embree,
    dressed,
    render,
    render_room,
)
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Camera, Floats

# A hip's COCO point lies up to this part of the stature under the clothes.
DEPTH_PER_STATURE = 0.09
AHEAD = 16  # moments in work


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """The images of one moment, and what can be seen in them."""

    images: dict[str, NDArray[np.uint8]]  # by camera (H, W, 3) BGR
    visibility: NDArray[np.uint8]  # (V, P, 17) Visibility of COCO-17
    boxes_px: Floats  # (V, P, 4) left, top, right, bottom of the whole person, px; NaN outside of the image


def check_installed() -> None:
    """Raise DependencyError where a part of the extra `render` is missing."""
    check_embree()
    check_anny()


class Renderer:
    """Renders scenes by several processes; workers are given the skin, and need neither torch nor the body model."""

    def __init__(self, processes: int) -> None:
        check_installed()
        self._plans = count()
        self._mesh = Mesh(template()[1], body_fields())
        context = get_context("spawn")
        self._pool = (
            ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(self._mesh,))
            if processes > 1
            else None
        )

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def frames(self, plan: Plan) -> Iterator[RenderedFrame]:
        """The plan's frames in order; raises OutOfMemoryError where a process was ended from outside."""
        small, ticket = replace(plan, bodies=()), next(self._plans)
        moments = (_moment(plan, number) for number in range(plan.request.frames))
        views = range(len(plan.rig.cameras))
        if self._pool is None:
            painter = _Painter(small, self._mesh)
            rooms = [painter.room(view) for view in views]
            yield from (painter.frame(rooms, moment) for moment in moments)
            return
        # A few ahead of what is written: a moment of four people takes 1.3 MB.
        waiting: deque[Future[RenderedFrame]] = deque()
        try:
            rooms = [one.result() for one in [self._pool.submit(_paint_room, ticket, small, view) for view in views]]
            for moment in moments:
                waiting.append(self._pool.submit(_paint, ticket, small, rooms, moment))
                if len(waiting) >= AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise OutOfMemoryError(
                "a process that renders was ended, probably for want of memory: give fewer --jobs or a smaller --size"
            ) from error


@dataclass(frozen=True, eq=False)
class _Moment:
    """All people at one frame."""

    number: int
    skin: NDArray[np.float32]  # (P, N, 3) m
    velocity: NDArray[np.float32]  # (P, N, 3) m/s
    coco: Floats  # (P, 17, 3) m


def _moment(plan: Plan, number: int) -> _Moment:
    last = plan.request.frames - 1
    before, after = max(number - 1, 0), min(number + 1, last)
    seconds = np.float32(max(after - before, 1) / plan.request.fps)
    return _Moment(
        number,
        skin=np.stack([body.vertices[number] for body in plan.bodies]),
        velocity=np.stack([(body.vertices[after] - body.vertices[before]) / seconds for body in plan.bodies]),
        coco=np.stack([body.coco[number] for body in plan.bodies]),
    )


class _Painter:
    """Renders frames of one plan."""

    def __init__(self, plan: Plan, mesh: Mesh) -> None:
        self._plan, self._mesh = plan, mesh
        self._lenses = [Lens(camera) for camera in plan.rig.cameras]

    def frame(self, rooms: Sequence[NDArray[np.float16]], moment: _Moment) -> RenderedFrame:
        plan = self._plan
        # The pose of a frame is that of the middle of its exposure; two scenes stand for its two halves.
        shifts = np.float32(plan.exposure_s) * np.array([-0.25, 0.25], np.float32)
        scenes = [self._scene(moment.skin + shift * moment.velocity) for shift in shifts]
        still = self._scene(moment.skin)
        depth = DEPTH_PER_STATURE * float(np.mean([shape.stature_m for shape in plan.shapes]))
        images, visibility, boxes = {}, [], []
        for view, (lens, sensor) in enumerate(zip(self._lenses, plan.sensors, strict=True)):
            rng = plan.request.rng(FRAME, moment.number, view)
            boxes.append([_box(lens.camera, actor.vertices) for actor in still.actors])
            light = render(scenes, lens, rooms[view], np.array(boxes[-1]), plan.request.samples, rng)
            images[lens.camera.name] = develop(light, sensor, rng)
            seen = still.visibility(lens.camera, moment.coco, depth)
            seen[_outside(lens.camera, moment.coco)] = Visibility.OUTSIDE
            visibility.append(seen)
        return RenderedFrame(images, np.stack(visibility), np.array(boxes))

    def room(self, view: int) -> NDArray[np.float16]:
        """The light of the room without people in a camera; half precision, for it goes from process to process."""
        rng, samples = self._plan.request.rng(ROOM, view), -(-self._plan.request.samples // 2)
        return render_room(self._plan.room, self._lenses[view], self._mesh, samples, rng).astype(np.float16)

    def _scene(self, skin: NDArray[np.float32]) -> Scene:
        actors = [dressed(one, outfit, self._mesh) for one, outfit in zip(skin, self._plan.outfits, strict=True)]
        return Scene(self._plan.room, actors, self._mesh)


# Of a worker process: what all scenes have in common, and the scene at hand with its number among the renderer's.
_mesh: Mesh | None = None
_painter: tuple[int, _Painter] | None = None


def _begin(mesh: Mesh) -> None:
    global _mesh
    _mesh = mesh


def _paint(ticket: int, plan: Plan, rooms: Sequence[NDArray[np.float16]], moment: _Moment) -> RenderedFrame:
    return _painter_of(ticket, plan).frame(rooms, moment)


def _paint_room(ticket: int, plan: Plan, view: int) -> NDArray[np.float16]:
    return _painter_of(ticket, plan).room(view)


def _painter_of(ticket: int, plan: Plan) -> _Painter:
    global _painter
    assert _mesh is not None
    if _painter is None or _painter[0] != ticket:
        _painter = ticket, _Painter(plan, _mesh)
    return _painter[1]


def _outside(camera: Camera, coco: Floats) -> NDArray[np.bool_]:
    """Which points (P, 17, 3) m lie outside the camera's image, (P, 17)."""
    assert coco.shape[1:] == (COCO_17.size, 3)
    xy = project(camera, coco)
    return np.asarray(~((xy >= -0.5) & (xy <= np.array(camera.size_wh) - 0.5)).all(axis=-1))


def _box(camera: Camera, vertices: NDArray[np.float32]) -> Floats:
    """Left, top, right, bottom (4,) px of a person (N, 3) m, cut off at the image's border; NaN outside of it."""
    xy = project(camera, vertices.astype(np.float64))
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        return np.full(4, np.nan)
    border = np.array(camera.size_wh) - 0.5
    low, high = np.clip(xy.min(axis=0), -0.5, border), np.clip(xy.max(axis=0), -0.5, border)
    return np.full(4, np.nan) if (high - low <= 0).any() else np.concatenate([low, high])
