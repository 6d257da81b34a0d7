"""Ray casting against geometry: silhouettes, what hides a joint, light, shadows, the same bytes for a seed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from pose3d_ros.errors import DependencyError
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.rendering.outfits import Outfit, draw_outfit
from pose3d_ros.simulation.rendering.rooms import Lamp, Material, Room
from pose3d_ros.simulation.rendering.tracing import Actor, Lens, Mesh, Scene, Visibility, render, render_room
from pose3d_ros.simulation.simulated_rigs import look_at
from pose3d_ros.structures import Camera, Floats

pytestmark = pytest.mark.skipif(
    find_spec("embreex") is None, reason="rendering needs Embree: pip install 'pose3d_ros[render]'"
)

K = np.array([[150.0, 0.0, 81.3], [0.0, 148.0, 58.6], [0.0, 0.0, 1.0]])
FISHEYE_K = np.array([[62.0, 0.0, 80.5], [0.0, 62.0, 58.6], [0.0, 0.0, 1.0]])
PLACE = look_at((-3.0, 0.0, 1.0), (0.0, 0.0, 1.0))
PLUMB_BOB = Camera("plumb_bob", (160, 120), K, "plumb_bob", np.array([-0.28, 0.09, 0.002, -0.001, 0.0]), PLACE)
CAMERAS = {
    "plumb_bob": PLUMB_BOB,
    "fisheye": Camera(
        "fisheye", (160, 120), FISHEYE_K, "equidistant", np.array([0.03, -0.01, 0.002, 0.0]),
        look_at((-1.4, 0.0, 1.0), (0.0, 0.4, 1.2)),
    ),
    "cropped": PLUMB_BOB.cropped(30, 11, 100, 80),
}  # fmt: skip
GREY = Material((0.4, 0.4, 0.4), (0.4, 0.4, 0.4), "plain", 1.0)
BOX = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
BOX_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]]
)  # fmt: skip
FAR_OFF = (BOX * 0.1 + (-50.0, 0.0, 0.0), BOX_FACES)  # behind every camera


def room(*boxes: tuple[Floats, Floats], lamps: tuple[Lamp, ...] = (), ambient: float = 0.0) -> Room:
    """Boxes of (8, 3) corners m in the dark, if no light is given."""
    vertices = [corners for corners, _ in (*boxes, FAR_OFF)]
    faces = [triangles + 8 * number for number, (_, triangles) in enumerate((*boxes, FAR_OFF))]
    return Room(
        np.concatenate(vertices).astype(np.float32), np.concatenate(faces).astype(np.int32),
        np.zeros(12 * len(faces), np.intp), (GREY,), lamps, (ambient,) * 3,
    )  # fmt: skip


def box(middle: tuple[float, ...], half: tuple[float, ...]) -> tuple[Floats, Floats]:
    return BOX * half + middle, BOX_FACES


def sphere(rings: int = 24) -> tuple[Floats, Floats]:
    """Vertices (N, 3) of the unit sphere and outwards triangles (F, 3)."""
    polar, around = np.meshgrid(np.linspace(0.0, np.pi, rings + 1), np.arange(2 * rings) * np.pi / rings, indexing="ij")
    vertices = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    row, column = np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij")
    a, b = row * 2 * rings + column, row * 2 * rings + (column + 1) % (2 * rings)
    c, d = a + 2 * rings, b + 2 * rings
    return vertices.reshape(-1, 3), np.concatenate([np.stack([a, c, d], -1), np.stack([a, d, b], -1)]).reshape(-1, 3)


SPHERE, SPHERE_FACES = sphere()
SPHERES = Mesh(SPHERE_FACES.astype(np.int32), np.zeros((len(SPHERE), 11), np.float32))
BOXES = Mesh(BOX_FACES.astype(np.int32), np.zeros((8, 11), np.float32))


def outfit() -> Outfit:
    return draw_outfit(np.random.default_rng(1))


def ball(middle: tuple[float, ...], radius: float) -> Actor:
    """A person who is a sphere."""
    return Actor((SPHERE * radius + middle).astype(np.float32), SPHERE.astype(np.float32), outfit())


def coverage(scene: Scene, camera: Camera, samples: int = 12) -> Floats:
    """(H, W) which share of each pixel's rays hits person 0."""
    width, height = camera.size_wh
    lens, rng, pixels = Lens(camera), np.random.default_rng(0), np.arange(width * height)
    found = np.zeros(width * height)
    for _ in range(samples):
        face, _, _ = scene.hits(*lens.through(pixels, rng))
        found += (face >= 0) & (scene.owner(face) == 0)
    return found.reshape(height, width) / samples


def middle(share: Floats) -> Floats:
    v, u = np.mgrid[0 : share.shape[0], 0 : share.shape[1]]
    return np.array([(share * u).sum(), (share * v).sum()]) / share.sum()


def bounds(share: Floats) -> Floats:
    """Left, top, right, bottom px of where the share is more than half, at the pixels' outer edges."""
    v, u = np.nonzero(share > 0.5)
    return np.array([u.min() - 0.5, v.min() - 0.5, u.max() + 0.5, v.max() + 0.5])


@pytest.mark.parametrize("name", CAMERAS)
def test_a_sphere_appears_where_the_camera_model_puts_it(name):
    camera = CAMERAS[name]
    actor = ball((0.1, 0.25, 1.2), 0.5)
    share = coverage(Scene(room(), [actor], SPHERES), camera)
    hull = cv2.convexHull(project(camera, actor.vertices.astype(np.float64)).astype(np.float32))
    moments = cv2.moments(hull)
    assert np.abs(middle(share) - np.array([moments["m10"], moments["m01"]]) / moments["m00"]).max() < 0.7
    assert np.abs(bounds(share) - [*hull.min(axis=(0, 1)), *hull.max(axis=(0, 1))]).max() < 0.7
    assert share.sum() == pytest.approx(moments["m00"], rel=0.02)


@pytest.mark.parametrize("name", CAMERAS)
def test_a_box_appears_where_the_camera_model_puts_it(name):
    camera = CAMERAS[name]
    corners = BOX * (0.2, 0.3, 0.45) + (0.2, 0.1, 1.1)
    actor = Actor(corners.astype(np.float32), (BOX / np.sqrt(3.0)).astype(np.float32), outfit())
    share = coverage(Scene(room(), [actor], BOXES), camera)
    along = np.linspace(0.0, 1.0, 50)[:, None]
    edges = np.concatenate([
        corners[a] * (1.0 - along) + corners[b] * along
        for a in range(8) for b in range(a) if (BOX[a] != BOX[b]).sum() == 1
    ])  # fmt: skip
    px = project(camera, edges)
    assert np.abs(bounds(share) - [*px.min(axis=0), *px.max(axis=0)]).max() < 0.7


@pytest.mark.parametrize("name", CAMERAS)
def test_what_a_ray_hits_projects_into_its_pixel(name):
    camera = CAMERAS[name]
    scene = Scene(room(), [ball((0.1, 0.1, 1.1), 0.7)], SPHERES)
    pixels = np.arange(camera.size_wh[0] * camera.size_wh[1])
    origins, directions = Lens(camera).through(pixels, np.random.default_rng(3))
    face, distance, _ = scene.hits(origins, directions)
    hit = np.flatnonzero(face >= 0)
    assert len(hit) > 1000
    px = project(camera, (origins[hit] + directions[hit] * distance[hit, None]).astype(np.float64))
    v, u = np.divmod(hit, camera.size_wh[0])
    assert np.abs(px - np.stack([u, v], axis=1)).max() < 0.53  # half a pixel, and what interpolation costs


def test_pixels_without_a_ray_are_black():
    """A fisheye's corners look beyond 90 degrees, where the pinhole's plane ends."""
    camera = Camera("wide", (160, 120), np.array([[45.0, 0, 79.5], [0, 45.0, 59.5], [0, 0, 1.0]]), "equidistant",
                    np.zeros(4), PLACE)  # fmt: skip
    image = render_room(room(ambient=0.5), Lens(camera), SPHERES, 1, np.random.default_rng(0))
    assert not image[0, 0].any()
    assert image[60, 80].all()


def sights(scene: Scene, *points: tuple[float, float, float], depth_m: float = 0.35) -> list[int]:
    """What the camera sees of points that all belong to person 0."""
    people = np.broadcast_to(np.array(points), (len(scene.actors), len(points), 3))
    return scene.visibility(PLUMB_BOB, people, depth_m)[0].tolist()


def test_a_free_joint_is_visible_and_one_behind_the_own_body_is_self_occluded():
    scene = Scene(room(), [ball((0.0, 0.0, 1.0), 0.3)], SPHERES)
    assert sights(scene, (0.0, 0.0, 1.0), (0.4, 0.0, 1.0), (0.4, 0.8, 1.0)) == [
        Visibility.VISIBLE,  # 0.3 m under the skin
        Visibility.SELF_OCCLUDED,
        Visibility.VISIBLE,  # next to the body
    ]


def test_a_wall_in_between_occludes():
    wall = box((-1.5, 0.0, 1.0), (0.02, 0.5, 0.5))
    scene = Scene(room(wall), [ball((0.0, 0.0, 1.0), 0.3)], SPHERES)
    assert sights(scene, (0.0, 0.0, 1.0), (0.4, 0.0, 1.0)) == [Visibility.OCCLUDED] * 2


def test_a_wall_behind_does_not_occlude():
    wall = box((1.5, 0.0, 1.0), (0.02, 2.0, 2.0))
    scene = Scene(room(wall), [ball((0.0, 0.0, 1.0), 0.3)], SPHERES)
    assert sights(scene, (0.0, 0.0, 1.0)) == [Visibility.VISIBLE]


def test_another_person_in_between_occludes():
    scene = Scene(room(), [ball((0.0, 0.0, 1.0), 0.3), ball((-1.2, 0.0, 1.0), 0.3)], SPHERES)
    seen = scene.visibility(PLUMB_BOB, np.array([[[0.0, 0.0, 1.0]], [[-1.2, 0.0, 1.0]]]), 0.35)
    assert seen.tolist() == [[Visibility.OCCLUDED], [Visibility.VISIBLE]]


def test_a_side_turned_to_the_lamp_is_brighter_than_the_other():
    lamp = Lamp(np.array([0.0, -4.0, 1.0]), 0.1, (1.0, 1.0, 1.0))
    scene = Scene(room(lamps=(lamp,), ambient=0.1), [ball((0.0, 0.0, 1.0), 0.5)], SPHERES)
    count = 200
    level = np.tile(np.array([0.0, 1.0, 0.0], np.float32), (count, 1))
    start = np.tile(np.array([0.0, -2.0, 1.0], np.float32), (count, 1))
    bright = scene.colours(start, level, np.random.default_rng(0)).mean(axis=0)
    dark = scene.colours(start * np.float32([1.0, -1.0, 1.0]), -level, np.random.default_rng(0)).mean(axis=0)
    assert (bright > 3.0 * dark).all()
    assert (dark > 0.0).all()


def test_a_lamp_twice_as_strong_gives_twice_the_light():
    images = []
    for strength in (0.5, 1.0):
        lamp = Lamp(np.array([-2.0, -2.0, 2.0]), 0.1, (strength,) * 3)
        scene = Scene(room(box((0.0, 0.0, -0.1), (3.0, 3.0, 0.1)), lamps=(lamp,)), [ball((0, 0, 1), 0.5)], SPHERES)
        pixels = np.arange(160 * 120)
        rays = Lens(PLUMB_BOB).through(pixels, np.random.default_rng(0))
        image = scene.colours(*rays, np.random.default_rng(0))
        images.append(image[scene.hits(*rays)[0] >= 0])
    assert images[0].max() > 0.05
    assert np.allclose(2.0 * images[0], images[1], rtol=1e-5)


def test_a_shadow_falls_where_geometry_says():
    source, body, radius = np.array([1.0, 0.0, 3.0]), np.array([0.0, 0.0, 1.0]), 0.2
    lamp = Lamp(source, 1e-4, (1.0, 1.0, 1.0))
    scene = Scene(room(box((0.0, 0.0, -0.1), (2.0, 2.0, 0.1)), lamps=(lamp,)), [ball(tuple(body), radius)], SPHERES)
    x, y = np.meshgrid(np.linspace(-1.5, 0.5, 120), np.linspace(-1.0, 1.0, 120))
    start = np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.6)], axis=1).astype(np.float32)  # below the body
    down = np.tile(np.array([0.0, 0.0, -1.0], np.float32), (x.size, 1))
    dark = scene.colours(start, down, np.random.default_rng(0)).max(axis=1) == 0
    # How far the ray from the floor to the lamp passes from the body's middle.
    floor = start * (1.0, 1.0, 0.0)
    towards = (source - floor) / np.linalg.norm(source - floor, axis=1, keepdims=True)
    off = np.linalg.norm(np.cross(body - floor, towards), axis=1)
    sure = np.abs(off - radius) > 0.005
    assert 100 < dark.sum() < len(dark) / 2
    assert (dark == (off < radius))[sure].all()
    assert np.allclose(floor[dark].mean(axis=0)[:2], (-0.5, 0.0), atol=0.03)


def painted(seed: int) -> Floats:
    lamp = Lamp(np.array([-2.0, -2.0, 2.5]), 0.3, (1.0, 0.9, 0.8))
    built = room(box((0.0, 0.0, -0.1), (3.0, 3.0, 0.1)), lamps=(lamp,), ambient=0.3)
    lens = Lens(PLUMB_BOB)
    empty = render_room(built, lens, SPHERES, 1, np.random.default_rng(5))
    boxes = np.array([[50.0, 30.0, 100.0, 90.0], [np.nan] * 4])
    scenes = [Scene(built, [ball((0.0, shift, 1.0), 0.3)], SPHERES) for shift in (-0.01, 0.01)]
    image = render(scenes, lens, empty, boxes, 2, np.random.default_rng(seed))
    # Far from people the image is that of the empty room.
    assert (image[:, :15] == empty[:, :15]).all()
    assert (image != empty).any()
    return image


def test_the_same_seed_gives_the_same_bytes():
    first = painted(1)
    assert first.tobytes() == painted(1).tobytes()
    assert first.tobytes() != painted(2).tobytes()


def test_normals_of_a_sphere_point_outwards():
    normals = SPHERES.normals((SPHERE * 0.5).astype(np.float32))
    inside = np.abs(SPHERE[:, 2]) < 0.999  # at the poles, vertices coincide
    assert np.abs(normals - SPHERE)[inside].max() < 0.05


def test_without_embree_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(DependencyError, match=r"pip install 'pose3d_ros\[render\]'"):
        Scene(room(), [], SPHERES)
