"""Images of people in a room by ray casting: Embree finds what is hit, the shading is ours (NumPy, float32).

Light is that of the lamps, with soft shadows, and a surrounding light that nearby surfaces block; what a lens does is
exact, because rays leave through the camera's own model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pose3d_ros.errors import DependencyError
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.simulation.rendering.outfits import Outfit, albedo, standoff
from pose3d_ros.simulation.rendering.rooms import Lamp, Room, room_albedo
from pose3d_ros.simulation.rendering.textures import noise_at
from pose3d_ros.structures import Camera, Floats

Reals = NDArray[np.float32]

OFF_SURFACE_M = np.float32(1e-3)
# Surfaces nearer than this block the surrounding light, m.
OCCLUSION_M = np.float32(0.9)
WRINKLES, WRINKLE_M = np.float32(0.45), np.float32(0.035)
SAMPLES_AT_ONCE = 1 << 16  # so that the arrays stay in the cache
# How far about a person's box light and shadow are rendered: px, and the person's size.
MARGIN_PX, MARGIN_SHARE = 8.0, 0.2


class Visibility(IntEnum):
    """What a camera sees of a joint."""

    OUTSIDE = 0  # of the image
    OCCLUDED = 1  # by furniture or another person
    SELF_OCCLUDED = 2  # by the person's own body
    VISIBLE = 3


@dataclass(frozen=True, eq=False)
class Mesh:
    """What all bodies have in common."""

    faces: NDArray[np.int32]  # (F, 3)
    fields: Reals  # (N, 11), outfits.body_fields

    @cached_property
    def faces_of_vertices(self) -> Any:
        """Sparse (N, F), 1 where a face has a vertex."""
        rows, columns = self.faces.ravel(), np.repeat(np.arange(len(self.faces)), 3)
        return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(self.fields), len(self.faces)))

    def normals(self, vertices: Reals) -> Reals:
        """Unit normals (N, 3) of vertices (N, 3): of the faces about each, by their area."""
        a, b, c = (vertices[self.faces[:, corner]] for corner in range(3))
        return _unit(np.asarray(self.faces_of_vertices @ np.cross(b - a, c - a), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Actor:
    """One person at one moment."""

    vertices: Reals  # (N, 3) m, with clothes
    normals: Reals  # (N, 3)
    outfit: Outfit


def dressed(skin: Reals, outfit: Outfit, mesh: Mesh) -> Actor:
    """A person with this skin (N, 3) m in their clothes."""
    vertices = skin + mesh.normals(skin) * standoff(outfit, mesh.fields)[:, None]
    return Actor(vertices, mesh.normals(vertices), outfit)


def check_embree() -> None:
    """Raise DependencyError where Embree is not installed."""
    try:
        import embreex  # noqa: F401
    except ImportError as error:
        raise DependencyError("rendering needs Embree: run `pip install 'pose3d_ros[render]'`") from error


class Scene:
    """A room and people at one moment, ready to be hit by rays."""

    def __init__(self, room: Room, actors: Sequence[Actor], mesh: Mesh) -> None:
        check_embree()
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        self.room, self.actors, self.mesh = room, tuple(actors), mesh
        count = len(room.vertices)
        vertices, triangles = [room.vertices], [room.faces]
        for actor in actors:
            vertices.append(actor.vertices)
            triangles.append(mesh.faces + count)
            count += len(actor.vertices)
        self._scene: Any = rtcore_scene.EmbreeScene()
        self._triangles = TriangleMesh(
            self._scene, np.concatenate(vertices).astype(np.float32), np.concatenate(triangles).astype(np.int32)
        )

    def owner(self, face: NDArray[np.intp]) -> NDArray[np.intp]:
        """Whose triangles these are, (S,): -1 the room's, else the person's number."""
        return np.where(face < len(self.room.faces), -1, (face - len(self.room.faces)) // len(self.mesh.faces))

    def hits(self, origins: Reals, directions: Reals) -> tuple[NDArray[np.intp], Reals, Reals]:
        """Triangles (S,) that rays hit first, -1 for none; distances (S,) m; barycentric (S, 2)."""
        found = self._scene.run(origins, directions, output=True)
        return found["primID"].astype(np.intp), found["tfar"], np.stack([found["u"], found["v"]], axis=1)

    def blocked(self, origins: Reals, directions: Reals, reach: Reals) -> NDArray[np.bool_]:
        """Whether anything lies within reach (S,) m along unit directions (S, 3)."""
        return np.asarray(self._scene.run(origins, directions, reach, query="OCCLUDED") >= 0)

    def colours(self, origins: Reals, directions: Reals, rng: np.random.Generator) -> Reals:
        """Linear RGB (S, 3) along rays."""
        face, distance, uv = self.hits(origins, directions)
        out = np.full((len(face), 3), 0.5, np.float32)
        rows = np.flatnonzero(face >= 0)
        face, uv = face[rows], uv[rows]
        place = origins[rows] + directions[rows] * distance[rows, None]
        owner = self.owner(face)
        normal, colour = np.empty((len(face), 3), np.float32), np.empty((len(face), 3), np.float32)
        still = np.flatnonzero(owner < 0)
        corners = self.room.vertices[self.room.faces[face[still]]]
        normal[still] = _unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        colour[still] = room_albedo(self.room, face[still], place[still], normal[still])
        for number, actor in enumerate(self.actors):
            mine = np.flatnonzero(owner == number)
            if not len(mine):
                continue
            at = self.mesh.faces[face[mine] - len(self.room.faces) - number * len(self.mesh.faces)]
            weight = np.stack([1.0 - uv[mine].sum(axis=1), uv[mine, 0], uv[mine, 1]], axis=1)
            colour[mine], cloth = albedo(actor.outfit, np.einsum("sk,skf->sf", weight, self.mesh.fields[at]))
            bent = np.einsum("sk,skc->sc", weight, actor.normals[at])
            bent += (WRINKLES * cloth)[:, None].astype(np.float32) * _wrinkles(place[mine], actor.outfit.seed)
            normal[mine] = _unit(bent)
        # Towards the camera: skinned triangles may be turned away from it at the rim.
        against = np.einsum("sc,sc->s", normal, directions[rows]) > 0
        normal[against & (owner < 0)] *= -1.0
        out[rows] = colour * self._light(place, normal, rng)
        return out

    def _light(self, place: Reals, normal: Reals, rng: np.random.Generator) -> Reals:
        """Light (S, 3) that reaches places with normals."""
        start = place + normal * OFF_SURFACE_M
        # Cosine-weighted: a point on the unit sphere about the normal's end.
        around = _unit(normal + _unit(rng.standard_normal(place.shape, dtype=np.float32)) * np.float32(0.999))
        open_ = ~self.blocked(start, around, np.full(len(place), OCCLUSION_M))
        # From above comes more than from the floor.
        share = (0.35 + 0.65 * open_) * (0.75 + 0.25 * normal[:, 2])
        light = share.astype(np.float32)[:, None] * np.array(self.room.ambient, np.float32)
        for lamp in self.room.lamps:
            light += self._lamplight(lamp, start, normal, rng)
        return light

    def _lamplight(self, lamp: Lamp, start: Reals, normal: Reals, rng: np.random.Generator) -> Reals:
        spot = np.float32(lamp.centre_m) + np.float32(2 * lamp.half_m) * (
            rng.random(start.shape, dtype=np.float32) - np.float32(0.5)
        )
        towards = spot - start
        distance = np.sqrt(np.einsum("sc,sc->s", towards, towards))
        towards /= distance[:, None]
        facing = np.maximum(np.einsum("sc,sc->s", towards, normal), 0.0)
        lit = np.zeros(len(start), np.float32)
        rows = np.flatnonzero(facing > 0)
        free = ~self.blocked(start[rows], towards[rows], distance[rows] - OFF_SURFACE_M)
        # As of a lamp with a shade: falls off with the distance, less than with its square.
        lit[rows] = free * facing[rows] * np.minimum(2.0 / distance[rows], 3.0)
        return lit[:, None] * np.array(lamp.strength, np.float32)

    def visibility(self, camera: Camera, points: Floats, depth_m: float) -> NDArray[np.uint8]:
        """What the camera sees of every person's joints, (P, J) Visibility.

        points (P, J, 3) m; a joint lies up to depth_m under the skin.
        """
        people, joints = points.shape[:2]
        origin = np.broadcast_to(camera.centre, points.shape).reshape(-1, 3).astype(np.float32)
        direction = points.reshape(-1, 3) - camera.centre
        far = np.linalg.norm(direction, axis=1)
        face, distance, _ = self.hits(origin, (direction / far[:, None]).astype(np.float32))
        owner = np.where(face >= 0, self.owner(face), -1)
        mine = owner == np.repeat(np.arange(people), joints)
        seen = (face < 0) | (distance > far - depth_m)
        out = np.where(seen, Visibility.VISIBLE, np.where(mine, Visibility.SELF_OCCLUDED, Visibility.OCCLUDED))
        return out.reshape(people, joints).astype(np.uint8)


class Lens:
    """The rays of a camera's pixels, computed once; between pixels they are interpolated."""

    def __init__(self, camera: Camera) -> None:
        width, height = camera.size_wh
        u, v = np.meshgrid(np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5)
        ideal = undistort(camera, np.stack([u, v], axis=-1))
        self.camera = camera
        self._ideal = ideal.astype(np.float32)
        self._turn = camera.cam_from_world[:3, :3].astype(np.float32)

    def through(self, pixels: NDArray[np.intp], rng: np.random.Generator) -> tuple[Reals, Reals]:
        """Origins and unit directions (S, 3), world, of one random point in each of these pixels (S,), row by row."""
        v, u = np.divmod(pixels, self.camera.size_wh[0])
        a, b = rng.random((2, len(pixels), 1), dtype=np.float32)
        above = self._ideal[v, u] * (1 - a) + self._ideal[v, u + 1] * a
        below = self._ideal[v + 1, u] * (1 - a) + self._ideal[v + 1, u + 1] * a
        ideal = np.empty((len(pixels), 3), np.float32)
        ideal[:, :2], ideal[:, 2] = above * (1 - b) + below * b, 1.0
        direction = _unit(ideal @ self._turn)
        return np.ascontiguousarray(np.broadcast_to(self.camera.centre.astype(np.float32), direction.shape)), direction


def render_room(room: Room, lens: Lens, mesh: Mesh, samples: int, rng: np.random.Generator) -> Reals:
    """The image (H, W, 3) of the room without people, linear RGB."""
    width, height = lens.camera.size_wh
    scene, everywhere = Scene(room, (), mesh), np.arange(height * width)
    total = sum(_colours(scene, lens, everywhere, rng) for _ in range(samples)) / np.float32(samples)
    image: Reals = np.asarray(total, dtype=np.float32).reshape(height, width, 3)
    return image


def render(
    scenes: Sequence[Scene],
    lens: Lens,
    room: NDArray[np.float16],
    boxes_px: Floats,
    samples: int,
    rng: np.random.Generator,
) -> Reals:
    """The image (H, W, 3) of a camera, linear RGB: samples rays a pixel, dealt over the scenes of one exposure.

    Only in and about the boxes (P, 4) px of people; elsewhere nothing moves, and the image is that of the empty room
    (H, W, 3). Black where the lens' model has no ray.
    """
    width, height = lens.camera.size_wh
    v, u = np.mgrid[0.0:height, 0.0:width].astype(np.float32)
    near = np.zeros((height, width), np.float32)
    for left, top, right, bottom in boxes_px[np.isfinite(boxes_px).all(axis=1)]:
        margin = MARGIN_PX + MARGIN_SHARE * max(right - left, bottom - top)
        outside = np.maximum(np.maximum(left - u, u - right), np.maximum(top - v, v - bottom))
        # Faded out, so that no shadow ends at a straight line.
        near = np.maximum(near, np.clip(2.0 - 2.0 * outside / margin, 0.0, 1.0))
    pixels = np.flatnonzero(near)
    total = np.zeros((len(pixels), 3), np.float32)
    for number in range(samples):
        total += _colours(scenes[number * len(scenes) // samples], lens, pixels, rng)
    image: Reals = room.reshape(-1, 3).astype(np.float32)
    share = near.ravel()[pixels, None]
    image[pixels] = (1.0 - share) * image[pixels] + share * total / np.float32(samples)
    return image.reshape(height, width, 3)


def _colours(scene: Scene, lens: Lens, pixels: NDArray[np.intp], rng: np.random.Generator) -> Reals:
    """Linear RGB (S, 3) of one ray through each pixel (S,)."""
    out = np.zeros((len(pixels), 3), np.float32)
    for begin in range(0, len(pixels), SAMPLES_AT_ONCE):
        part = pixels[begin : begin + SAMPLES_AT_ONCE]
        origins, directions = lens.through(part, rng)
        inside = np.isfinite(directions).all(axis=1)
        if inside.all():
            out[begin : begin + len(part)] = scene.colours(origins, directions, rng)
        else:
            out[begin + np.flatnonzero(inside)] = scene.colours(origins[inside], directions[inside], rng)
    return out


def _wrinkles(place: Reals, seed: int) -> Reals:
    """Slopes (S, 3) of creased cloth."""
    at = place / WRINKLE_M + np.float32(seed % 31)
    return np.stack([noise_at(at + np.float32(shift)) - np.float32(0.5) for shift in (0.0, 5.3, 10.7)], axis=1)


def _unit(vector: Reals) -> Reals:
    length = np.sqrt(np.einsum("sc,sc->s", vector, vector))
    out: Reals = vector / np.maximum(length, np.float32(1e-9))[:, None]
    return out
