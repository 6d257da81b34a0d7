"""Bodies: who is drawn, and whether a posed body does what the joints that drive it do."""

from __future__ import annotations

import sys
from dataclasses import asdict

import numpy as np
import pytest
from rendered_people import NEEDS_RENDER

from pose3d_ros.errors import DependencyError
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.simulation.rendering import bodies
from pose3d_ros.simulation.rendering.bodies import AGES_YEARS, PosedBody, Shape, draw_shapes, pose_body, template
from pose3d_ros.skeletons import COCO_17, DERIVED, H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Floats

LIMBS = [
    (side + begin, side + end)
    for side in "LR"
    for begin, end in (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist"))
]
FRAMES = 8


@pytest.fixture(scope="session")
def shapes() -> list[Shape]:
    return draw_shapes(80, np.random.default_rng(0))


@pytest.fixture(scope="session")
def takes(shapes) -> dict[str, tuple[Floats, PosedBody, Shape]]:
    """By action: joints (T, 17, 3) m that drive a body, the body, its shape; short and tall, young and old people."""
    motion = generated_motion(4, subjects=2)
    chosen = sorted(shapes, key=lambda one: one.stature_m)[:: len(shapes) // 7]
    found = {}
    for number, clip in enumerate(motion.clips[:7]):
        xyz = motion.xyz[clip.start : clip.start + clip.length : clip.length // FRAMES][:FRAMES]
        found[clip.name] = (xyz, pose_body(chosen[number], xyz, np.random.default_rng(number)), chosen[number])
    return found


pytestmark = NEEDS_RENDER


def joint(xyz: Floats, name: str) -> Floats:
    return xyz[:, H36M_17.index(name)]


def directions(xyz: Floats, begin: str, end: str) -> Floats:
    along = joint(xyz, end) - joint(xyz, begin)
    return along / np.linalg.norm(along, axis=-1, keepdims=True)


def test_people_of_both_sexes_and_all_ages_are_drawn(shapes):
    ages = np.array([one.age_years for one in shapes])
    assert AGES_YEARS == (10.0, 75.0)
    assert ages.min() >= 10.0
    assert ages.max() <= 75.0
    assert ages.min() < 20.0
    assert ages.max() > 65.0
    assert 0.3 < np.mean([one.female for one in shapes]) < 0.7


def test_statures_are_those_of_people(shapes):
    stature = np.array([one.stature_m for one in shapes])
    assert stature.min() > 1.15
    assert stature.max() < 2.1
    adults = [one for one in shapes if one.age_years > 20.0]
    # WHO, adults: women about 1.63 m, men about 1.76 m.
    for female, expected in ((True, 1.63), (False, 1.76)):
        assert abs(np.mean([one.stature_m for one in adults if one.female == female]) - expected) < 0.06


def test_the_same_seed_draws_the_same_people():
    first, again, other = ([asdict(one) for one in draw_shapes(3, np.random.default_rng(seed))] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_drawing_people_leaves_torchs_random_numbers_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    draw_shapes(2, np.random.default_rng(0))
    assert torch.equal(torch.rand(3), expected)


def test_bones_keep_their_lengths(takes):
    for _, body, _ in takes.values():
        for begin, end in LIMBS:
            length = np.linalg.norm(joint(body.joints, end) - joint(body.joints, begin), axis=-1)
            assert np.ptp(length) < 1e-6, (begin, end)


def test_left_and_right_bones_are_alike(takes):
    for _, body, _ in takes.values():
        for begin, end in LIMBS[:4]:
            left, right = (
                np.linalg.norm(joint(body.joints, side + end[1:]) - joint(body.joints, side + begin[1:]), axis=-1)
                for side in "LR"
            )
            assert np.abs(left - right).max() < 5e-3, (begin, end)


def test_limbs_point_as_the_motions_do(takes):
    for begin, end in LIMBS:
        cosines = [
            np.einsum("tc,tc->t", directions(xyz, begin, end), directions(body.joints, begin, end))
            for xyz, body, _ in takes.values()
        ]
        angle = np.rad2deg(np.arccos(np.clip(np.concatenate(cosines), -1.0, 1.0)))
        assert np.median(angle) < 6.0, (begin, end)
        assert angle.max() < 15.0, (begin, end)


def test_people_touch_the_floor_and_never_sink_into_it(takes):
    for _, body, _ in takes.values():
        assert body.vertices[..., 2].min() == pytest.approx(0.0, abs=1e-5)


def test_standing_feet_are_near_the_floor_all_the_time(takes):
    for name in ("walking", "standing with gestures"):
        _, body, _ = takes[name]
        assert body.vertices[..., 2].min(axis=1).max() < 0.06, name


def test_people_are_where_the_motion_is(takes):
    for xyz, body, _ in takes.values():
        assert np.abs(body.joints[:, 0, :2] - xyz[:, 0, :2]).max() < 1e-6


def test_coco_points_lie_near_the_joints_of_their_side(takes):
    """Left is left: each COCO point is nearer to its own joint than to the other side's."""
    for _, body, _ in takes.values():
        for name in LIMB_JOINTS:
            point = body.coco[:, COCO_17.index(name)]
            own = np.linalg.norm(point - joint(body.joints, name), axis=-1)
            other = np.linalg.norm(point - joint(body.joints, {"L": "R", "R": "L"}[name[0]] + name[1:]), axis=-1)
            if "Hip" not in name:  # COCO's hips are on the surface
                assert own.max() < 0.08, name
            assert np.median(own) < np.median(other), name


def test_left_is_left_of_the_way_the_face_looks(takes):
    for name, (_, body, _) in takes.items():
        left = joint(body.joints, "LShoulder") - joint(body.joints, "RShoulder")
        up = joint(body.joints, "Thorax") - joint(body.joints, "Pelvis")
        nose = body.coco[:, COCO_17.index("Nose")]
        ears = body.coco[:, [COCO_17.index("LEar"), COCO_17.index("REar")]].mean(axis=1)
        front = np.cross(left, up)
        assert (np.einsum("tc,tc->t", front, nose - ears) > 0).mean() > 0.9, name


def test_middles_are_those_of_the_skeleton(takes):
    for _, body, _ in takes.values():
        for name, parts in DERIVED.items():
            expected = sum(share * joint(body.joints, part) for part, share in parts.items())
            assert np.abs(joint(body.joints, name) - expected).max() < 1e-6


def test_stature_is_the_height_of_the_upright_body(takes):
    _, body, shape = takes["standing with gestures"]
    # The top of the head above the lowest point, of a moment at which the person stands straight.
    top = joint(body.joints, "HeadTop")[:, 2] - body.vertices[..., 2].min(axis=1)
    assert top.max() == pytest.approx(shape.stature_m, abs=0.02)


def test_the_template_faces_minus_y_with_left_at_plus_x():
    vertices, faces = template()
    assert vertices.shape == (13718, 3)
    assert faces.shape == (27420, 3)
    assert 1.5 < np.ptp(vertices[:, 2]) < 1.9
    heads, weights = bodies.template_bones()
    assert heads["upperarm01.L"][0] > 0.1
    assert heads["foot.L"][1] > heads["toe1-1.L"][1]
    assert np.allclose(sum(weights.values()), 1.0, atol=1e-5)


def test_without_anny_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "anny", None)
    with pytest.raises(DependencyError, match=r"pip install 'pose3d_ros\[render\]'"):
        bodies._model.__wrapped__()
