"""The plan of a rendered scene: who is in it, how they move, before which cameras, in which room.

Every number is drawn from the seed and the scene's number, so that a run of more scenes begins with those of a shorter
one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.mocap.walks import moments
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.rendering.bodies import PosedBody, Shape, draw_shapes, pose_body
from pose3d_ros.simulation.rendering.outfits import Outfit, draw_outfit
from pose3d_ros.simulation.rendering.rooms import Room, draw_room
from pose3d_ros.simulation.rendering.sensor import Sensor, draw_sensor
from pose3d_ros.simulation.simulated_rigs import Floor, SimulatedRig
from pose3d_ros.simulation.walkers import walkers
from pose3d_ros.structures import Floats, Rig

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
WALKING_ABOUT = "walking about"  # the motion of people without a clip
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


def plan_scene(request: SceneRequest, motion: Motion | None) -> Plan:
    """Draw people, their motion and places, the room and the cameras' sensors; without motion people walk about.

    Raises InputError where no clip is long enough, or the people find no room.
    """
    rng = request.rng(PLAN)
    shapes = draw_shapes(request.people, rng)
    outfits = [draw_outfit(rng) for _ in shapes]
    bodies, actions = _walkers(request, shapes, rng) if motion is None else _cast(request, motion, shapes, rng)
    paths = np.concatenate([body.joints[:, 0, :2] for body in bodies])
    cameras = request.one.rig.cameras
    return Plan(
        request, tuple(shapes), tuple(outfits), tuple(bodies), tuple(actions),
        room=draw_room(cameras, paths, rng, request.occluders),
        sensors=tuple(draw_sensor(rng) for _ in cameras),
        exposure_s=float(rng.uniform(*EXPOSURE_S)),
    )  # fmt: skip


def _walkers(request: SceneRequest, shapes: list[Shape], rng: np.random.Generator) -> tuple[list[PosedBody], list[str]]:
    """All people on one long walk each through the rig's space."""
    times = np.arange(request.frames) / request.fps
    walks = walkers(request.one.floor, moments(0.0, float(times[-1])), rng, people=request.people)
    bodies = [pose_body(shape, walk.at(times), rng) for shape, walk in zip(shapes, walks, strict=True)]
    eyes = np.array([camera.centre for camera in request.one.rig.cameras])
    near = min(np.linalg.norm(body.joints[:, :, None] - eyes, axis=-1).min() for body in bodies)
    if near < FROM_CAMERA_M:
        raise InputError(
            f"rig {request.one.name!r}: a person walks to {near:.2f} m from a camera, expected {FROM_CAMERA_M:g} m or "
            "more: give another --seed, or cameras farther from where they look"
        )
    return bodies, [WALKING_ABOUT] * len(bodies)


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
