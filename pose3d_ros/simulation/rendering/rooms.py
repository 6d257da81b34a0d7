"""A room about the cameras and the people: floor, walls, pictures, furniture that occludes, lamps (NumPy)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.simulation.rendering.textures import tile
from pose3d_ros.structures import Camera, Floats

Reals = NDArray[np.float32]

# Between the outermost camera, or person, and the wall behind, m.
BEHIND_M = (0.6, 2.5)
CEILING_M = (2.6, 4.0)
# Furniture keeps away this far from every place where a person's pelvis goes, and from every camera, m.
CLEAR_OF_PEOPLE_M, CLEAR_OF_CAMERAS_M = 0.55, 0.5
PICTURES, LAMPS = (2, 7), (1, 4)
PATTERNS = ("plain", "grain", "planks", "tiles", "blotches")


@dataclass(frozen=True, eq=False)
class Material:
    """Colours and pattern of a flat surface."""

    colour: tuple[float, float, float]  # linear RGB
    second: tuple[float, float, float]
    pattern: str
    size_m: float


@dataclass(frozen=True, eq=False)
class Lamp:
    """A square light under the ceiling or in front of a wall, or the sun far away."""

    centre_m: Floats  # (3,)
    half_m: float
    strength: tuple[float, float, float]  # radiance that a white surface facing it shows at 2 m


@dataclass(frozen=True, eq=False)
class Room:
    """Triangles with a material each, and the light."""

    vertices: Reals  # (N, 3) m
    faces: NDArray[np.int32]  # (M, 3)
    material: NDArray[np.intp]  # (M,)
    materials: tuple[Material, ...]
    lamps: tuple[Lamp, ...]
    ambient: tuple[float, float, float]


def draw_room(cameras: Sequence[Camera], paths: Floats, rng: np.random.Generator, occluders: int) -> Room:
    """A room for cameras and people; paths (N, 2) m are all places that pelvises pass.

    occluders pieces of furniture are put among the people and in front of cameras, as far as there is room.
    """
    eyes = np.array([camera.centre for camera in cameras])
    around = np.concatenate([eyes[:, :2], paths])
    low, high = around.min(axis=0) - rng.uniform(*BEHIND_M, 2), around.max(axis=0) + rng.uniform(*BEHIND_M, 2)
    ceiling = max(rng.uniform(*CEILING_M), eyes[:, 2].max() + 0.4)
    boxes: list[tuple[Floats, Floats, float, Material]] = []  # middle, half sizes, turn about the vertical
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    wall, thick = _material(rng, 0.3, 0.9), 0.05
    floor = _material(rng, 0.05, 0.6)
    boxes.append((np.array([*middle, -thick]), np.array([*half, thick]), 0.0, floor))
    boxes.append(
        (np.array([*middle, ceiling + thick]), np.array([*half, thick]), 0.0, _material(rng, 0.6, 0.95, "plain"))
    )
    for axis in (0, 1):
        for end in (-1.0, 1.0):
            place = np.array([*middle, ceiling / 2.0])
            place[axis] += end * (half[axis] + thick)
            size = np.array([*half, ceiling / 2.0])
            size[axis] = thick
            one = wall if rng.random() < 0.7 else _material(rng, 0.2, 0.9)
            boxes.append((place, size, 0.0, one))
            for _ in range(rng.integers(*PICTURES)):
                boxes.append((*_picture(place, size, axis, -end, ceiling, rng), 0.0, _material(rng, 0.02, 0.95)))
    boxes += _furniture(eyes, paths, low, high, occluders, rng)
    vertices, faces, material = [], [], []
    for number, (place, size, turn, _) in enumerate(boxes):
        faces.append(_BOX_FACES + 8 * number)
        vertices.append(_box(place, size, turn))
        material.append(np.full(len(_BOX_FACES), number))
    lamps = tuple(_lamp(low, high, ceiling, rng) for _ in range(rng.integers(*LAMPS)))
    tint = rng.uniform(0.9, 1.1, 3) * rng.uniform(0.25, 0.6)
    return Room(
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(material).astype(np.intp),
        tuple(box[3] for box in boxes),
        lamps,
        (float(tint[0]), float(tint[1]), float(tint[2])),
    )


def room_albedo(room: Room, face: NDArray[np.intp], place: Reals, normal: Reals) -> Reals:
    """Linear RGB (S, 3) at places (S, 3) m on faces (S,) with normals (S, 3)."""
    flat = np.abs(normal).argmax(axis=1)
    u = np.where(flat == 0, place[:, 1], place[:, 0])
    v = np.where(flat == 2, place[:, 1], place[:, 2])
    out = np.empty((len(face), 3), np.float32)
    owner = room.material[face]
    for number in np.unique(owner):
        rows = np.flatnonzero(owner == number)
        one = room.materials[number]
        out[rows] = _surface(one, u[rows], v[rows])
    return out


def _surface(material: Material, u: Reals, v: Reals) -> Reals:
    size = material.size_m
    grain = _tile(u / size * 60.0, v / size * 60.0)
    if material.pattern == "planks":
        row = np.floor(v / size)
        share = np.mod(row * 0.618, 1.0)
        grain = _tile(u / size * 20.0 + row * 37.0, v / size * 160.0)
        share = 0.5 * share + 0.5 * grain
        seam = np.mod(v / size, 1.0) < 0.04
        share = np.where(seam, 0.0, share)
    elif material.pattern == "tiles":
        share = np.mod(np.floor(u / size) + np.floor(v / size), 2.0) * 0.8 + 0.2 * grain
        seam = (np.mod(u / size, 1.0) < 0.03) | (np.mod(v / size, 1.0) < 0.03)
        share = np.where(seam, 0.5, share)
    elif material.pattern == "blotches":
        share = (_tile(u / size * 90.0, v / size * 90.0) > 0.5).astype(np.float32)
    elif material.pattern == "grain":
        share = grain
    else:
        share = 0.15 * grain
    share = share.astype(np.float32)[:, None]
    first, second = (np.array(colour, np.float32) for colour in (material.colour, material.second))
    out: Reals = first * (np.float32(1.0) - share) + second * share
    return out


def _tile(u: NDArray[np.floating], v: NDArray[np.floating]) -> Reals:
    table = tile()
    size = len(table) - 1
    out: Reals = table[np.floor(u).astype(np.int32) & size, np.floor(v).astype(np.int32) & size]
    return out


def _material(rng: np.random.Generator, dark: float, bright: float, pattern: str = "") -> Material:
    def colour() -> tuple[float, float, float]:
        grey = rng.uniform(dark, bright)
        tint = rng.uniform(-1.0, 1.0, 3) * rng.choice([0.04, 0.25], p=[0.6, 0.4])
        red, green, blue = np.clip(grey * (1.0 + tint), 0.01, 0.95) ** 2.2
        return float(red), float(green), float(blue)

    chosen = pattern or PATTERNS[rng.choice(len(PATTERNS), p=[0.35, 0.2, 0.15, 0.15, 0.15])]
    return Material(colour(), colour(), chosen, float(rng.uniform(0.08, 0.6)))


def _picture(
    wall: Floats, size: Floats, axis: int, inwards: float, ceiling: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Middle and half sizes of a picture, window, door or board on a wall."""
    half = np.array([0.0, 0.0, 0.0])
    along = 1 - axis
    half[along], half[2], half[axis] = rng.uniform(0.15, 0.9), rng.uniform(0.15, 0.6), 0.02
    place = wall.copy()
    place[axis] += inwards * (size[axis] + 0.02)
    place[along] += rng.uniform(-1.0, 1.0) * max(size[along] - half[along], 0.0)
    place[2] = rng.uniform(half[2], max(ceiling - half[2], half[2] + 0.1))
    return place, half


def _furniture(
    eyes: Floats, paths: Floats, low: Floats, high: Floats, occluders: int, rng: np.random.Generator
) -> list[tuple[Floats, Floats, float, Material]]:
    """Tables, chairs, boxes, cabinets, posts, as boxes; half of what is asked for near people, the rest anywhere."""
    out = []
    for number in range(occluders):
        for _ in range(30):
            if number % 2 == 0:
                person = paths[rng.integers(len(paths))]
                eye = eyes[rng.integers(len(eyes)), :2]
                towards = (eye - person) / max(float(np.linalg.norm(eye - person)), 1e-6)
                aside = np.array([-towards[1], towards[0]])
                at = person + towards * rng.uniform(0.7, 1.6) + aside * rng.normal(scale=0.35)
            else:
                at = rng.uniform(low + 0.3, high - 0.3)
            pieces = _piece(rng)
            reach = max(float(np.hypot(*(np.abs(place[:2]) + size[:2]))) for place, size in pieces)
            clear = np.linalg.norm(paths - at, axis=1).min() > reach + CLEAR_OF_PEOPLE_M
            if clear and np.linalg.norm(eyes[:, :2] - at, axis=1).min() > reach + CLEAR_OF_CAMERAS_M:
                turn, material = rng.uniform(-np.pi, np.pi), _material(rng, 0.03, 0.9)
                c, s = np.cos(turn), np.sin(turn)
                for place, size in pieces:
                    moved = np.array(
                        [c * place[0] - s * place[1] + at[0], s * place[0] + c * place[1] + at[1], place[2]]
                    )
                    out.append((moved, size, turn, material))
                break
    return out


def _piece(rng: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """Boxes (middle, half sizes) of one piece of furniture about the origin."""
    kind = rng.choice(["table", "chair", "crate", "cabinet", "post"])
    if kind in ("table", "chair"):
        height = rng.uniform(0.7, 0.78) if kind == "table" else rng.uniform(0.42, 0.48)
        x, y = rng.uniform(0.3, 0.6, 2) if kind == "table" else (0.22, 0.22)
        pieces = [(np.array([0.0, 0.0, height - 0.02]), np.array([x, y, 0.02]))]
        pieces += [
            (
                np.array([a * (x - 0.03), b * (y - 0.03), height / 2.0 - 0.02]),
                np.array([0.02, 0.02, height / 2.0 - 0.02]),
            )
            for a in (-1, 1)
            for b in (-1, 1)
        ]
        if kind == "chair":
            pieces.append((np.array([0.0, y - 0.02, height + 0.22]), np.array([x, 0.02, 0.22])))
        return pieces
    if kind == "post":
        return [(np.array([0.0, 0.0, 1.0]), np.array([0.04, 0.04, 1.0]))]
    low, high = ((0.15, 0.15, 0.15), (0.35, 0.35, 0.45)) if kind == "crate" else ((0.2, 0.2, 0.4), (0.5, 0.3, 0.95))
    size = rng.uniform(low, high)
    return [(np.array([0.0, 0.0, size[2]]), size)]


def _lamp(low: Floats, high: Floats, ceiling: float, rng: np.random.Generator) -> Lamp:
    place = np.array([*rng.uniform(low, high), rng.uniform(0.75, 0.98) * ceiling])
    warm = rng.uniform(-0.12, 0.12)
    strength = rng.uniform(0.3, 1.2) * np.array([1.0 + warm, 1.0, 1.0 - warm])
    return Lamp(place, float(rng.uniform(0.05, 0.6)), (float(strength[0]), float(strength[1]), float(strength[2])))


_CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
_BOX_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


def _box(middle: Floats, half: Floats, turn: float) -> Floats:
    c, s = np.cos(turn), np.sin(turn)
    out: Floats = (_CORNERS * half) @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) + middle
    return out
