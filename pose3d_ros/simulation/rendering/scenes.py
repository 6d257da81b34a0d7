"""People in motion before the cameras of a rig: the plan of a scene, and its images and truth frame by frame.

Every number is drawn from the seed and the scene's number: the same request gives the same bytes on the same machine,
however many processes render it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError, OutOfMemoryError
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.rendering.bodies import PosedBody, Shape, check_anny, draw_shapes, pose_body, template
from pose3d_ros.simulation.rendering.outfits import Outfit, body_fields, draw_outfit
from pose3d_ros.simulation.rendering.rooms import Room, draw_room
from pose3d_ros.simulation.rendering.sensor import Sensor, develop, draw_sensor
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
from pose3d_ros.simulation.simulated_rigs import Floor, SimulatedRig
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Camera, Floats, Rig

# Pelvises of two people stay this far apart, and all joints this far from a camera, m.
APART_M, FROM_CAMERA_M = 0.65, 0.8
TRIES = 300
# The floor's radius grows by this for every further person.
ROOM_FOR_MORE = 0.35
# Where people of a single camera, or of cameras with parallel axes, stand, m before it. Parallel: the sum of squared
# sines of the axes' angles with their middle, here 4 degrees of two cameras each.
AHEAD_M, PARALLEL = 3.5, 0.01
# Exposures of robots' cameras indoors, s.
EXPOSURE_S = (0.002, 0.015)
# A hip's COCO point lies up to this part of the stature under the clothes.
DEPTH_PER_STATURE = 0.09
AHEAD = 16  # moments in work
# Random numbers' streams.
PLAN, FRAME, ROOM = 0, 1, 2


@dataclass(frozen=True)
class SceneRequest:
    """What to render."""

    one: SimulatedRig
    people: int
    frames: int
    fps: float  # frames a second of the images
    seed: int
    number: int = 0  # of the scene
    occluders: int = 3  # pieces of furniture
    samples: int = 4  # rays a pixel
    in_place: bool = False  # people stay where their motion has them

    def settings(self) -> dict[str, float]:
        """What decides a scene apart from its rig and motion, ready for JSON."""
        return {name: value for name, value in vars(self).items() if name != "one"} | {
            "size_px": max(max(camera.size_wh) for camera in self.one.rig.cameras)
        }

    def rng(self, *stream: int) -> np.random.Generator:
        """Random numbers of one part of the scene."""
        return np.random.default_rng([self.seed, self.number, *stream])


@dataclass(frozen=True, eq=False)
class Plan:
    """All of a scene but its images; P people, T frames, V cameras."""

    request: SceneRequest
    shapes: tuple[Shape, ...]
    outfits: tuple[Outfit, ...]
    bodies: tuple[PosedBody, ...]
    actions: tuple[str, ...]  # the clips that move them
    room: Room
    sensors: tuple[Sensor, ...]
    exposure_s: float

    @property
    def rig(self) -> Rig:
        """The cameras."""
        return self.request.one.rig


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """The images of one moment, and what can be seen in them."""

    images: dict[str, NDArray[np.uint8]]  # by camera (H, W, 3) BGR
    visibility: NDArray[np.uint8]  # (V, P, 17) Visibility of COCO-17
    boxes_px: Floats  # (V, P, 4) left, top, right, bottom of the whole person, px; NaN outside of the image


def resized(one: SimulatedRig, longest_px: int) -> SimulatedRig:
    """The rig with images of at most longest_px on their longer side; those made smaller have even sides, for video."""
    cameras = []
    for camera in one.rig.cameras:
        scale = min(1.0, longest_px / max(camera.size_wh))
        width, height = (max(2 * round(side * scale / 2.0), 2) for side in camera.size_wh)
        cameras.append(camera.resized((width, height)) if scale < 1.0 else camera)
    return replace(one, rig=Rig(tuple(cameras), one.rig.frame_id))


def on_floor(path: Path | str) -> SimulatedRig:
    """A rig from a file; people stand where the cameras look, on the floor z = 0.

    Raises InputError where that is no place on the floor.
    """
    rig = load_rig(path)
    centres = np.array([camera.centre for camera in rig.cameras])
    axes = np.array([camera.cam_from_world[2, :3] for camera in rig.cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    if np.linalg.eigvalsh(across.sum(axis=0))[0] < PARALLEL:
        middle = centres.mean(axis=0) + AHEAD_M * axes.mean(axis=0)
    else:
        # The point nearest to all optical axes.
        middle = np.linalg.solve(across.sum(axis=0), np.einsum("vab,vb->a", across, centres))
    distance = float(np.linalg.norm(centres[:, :2] - middle[:2], axis=1).min())
    if not 1.0 <= distance <= 30.0 or not -1.0 <= middle[2] <= 3.0:
        raise InputError(
            f"{path}: the cameras look at {np.round(middle, 2).tolist()} m, {distance:.1f} m away: expected "
            "a place over the floor z = 0, 1 to 30 m away: put the rig's world on the floor, z up"
        )
    floor = Floor((float(middle[0]), float(middle[1])), 0.0, min(0.15 * distance, 1.0))
    return SimulatedRig(Path(path).name, rig, floor, 0.0)


def plan_scene(request: SceneRequest, motion: Motion) -> Plan:
    """Draw people, their motion and places, the room and the cameras' sensors.

    Raises InputError where no clip is long enough, or the people find no room.
    """
    rng = request.rng(PLAN)
    shapes = draw_shapes(request.people, rng)
    outfits = [draw_outfit(rng) for _ in shapes]
    bodies, actions = _cast(request, motion, shapes, rng)
    paths = np.concatenate([body.joints[:, 0, :2] for body in bodies])
    cameras = request.one.rig.cameras
    return Plan(
        request, tuple(shapes), tuple(outfits), tuple(bodies), tuple(actions),
        room=draw_room(cameras, paths, rng, request.occluders),
        sensors=tuple(draw_sensor(rng) for _ in cameras),
        exposure_s=float(rng.uniform(*EXPOSURE_S)),
    )  # fmt: skip


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


def _cast(
    request: SceneRequest, motion: Motion, shapes: list[Shape], rng: np.random.Generator
) -> tuple[list[PosedBody], list[str]]:
    """All people in motion on the rig's floor."""
    floor = request.one.floor
    if floor.half_angle_rad == np.pi:
        floor = replace(floor, far_m=floor.far_m * (1.0 + ROOM_FOR_MORE * (request.people - 1)))
    eyes = np.array([camera.centre for camera in request.one.rig.cameras])
    bodies: list[PosedBody] = []
    actions: list[str] = []
    for _ in range(TRIES):
        if len(bodies) == request.people:
            return bodies, actions
        xyz, action = _take(motion, request, rng)
        if not request.in_place:
            xyz = placed(xyz[None], floor, rng)[0]
        body = pose_body(shapes[len(bodies)], xyz, rng)
        near = [np.linalg.norm(body.joints[:, 0, :2] - other.joints[:, 0, :2], axis=-1).min() for other in bodies]
        distance = np.linalg.norm(body.joints[:, :, None] - eyes, axis=-1).min()
        if min(near, default=np.inf) >= APART_M and distance >= FROM_CAMERA_M:
            bodies.append(body)
            actions.append(action)
    raise InputError(
        f"rig {request.one.name!r}: {request.people} people in motion found no room for {request.frames} frames in "
        f"{TRIES} tries: ask for fewer people or frames"
    )


def _take(motion: Motion, request: SceneRequest, rng: np.random.Generator) -> tuple[Floats, str]:
    """Joints (T, 17, 3) m of one draw at the request's rate, and the clip's name."""
    from scipy.interpolate import CubicSpline

    rates = {clip.fps for clip in motion.clips}
    duration_s = (request.frames - 1) / request.fps
    needed = max(int(np.ceil(duration_s * max(rates))) + 1, 2)
    if needed > max(clip.length for clip in motion.clips):
        longest_s = max((clip.length - 1) / clip.fps for clip in motion.clips)
        raise InputError(
            f"{request.frames} frames at {request.fps:g} a second take {duration_s:.1f} s, the longest motion "
            f"{longest_s:.1f} s: ask for fewer frames, more a second, or give longer motion"
        )
    frames = motion.draw(1, needed, rng)[0]
    clip = next(one for one in motion.clips if one.start <= frames[0] < one.start + one.length)
    at = np.arange(request.frames) / request.fps * clip.fps
    spline = CubicSpline(np.arange(needed), motion.xyz[frames])
    xyz: Floats = spline(at)
    return xyz, clip.name


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
