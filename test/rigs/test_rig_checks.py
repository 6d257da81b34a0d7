"""Every fault of a rig is told, with its mend, and a sound rig is not accused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose3d_ros.rigs.camera_checks import field_of_view_deg
from pose3d_ros.rigs.rig_checks import axis_angles_deg, axis_hints, check_rig, up_axis
from pose3d_ros.structures import Camera, Floats, Rig

K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])


def looking(
    name: str, centre: Floats | list[float], at: list[float], up: tuple[float, ...] = (0, 0, 1), **lens: object
) -> Camera:
    """An upright camera at centre that looks at a point."""
    ahead = np.subtract(at, centre) / np.linalg.norm(np.subtract(at, centre))
    right = np.cross(ahead, up)
    right /= np.linalg.norm(right)
    placed = np.eye(4)
    placed[:3, :3] = [right, np.cross(ahead, right), ahead]
    placed[:3, 3] = -placed[:3, :3] @ np.asarray(centre, dtype=np.float64)
    return Camera(name, (1280, 720), lens.pop("K", K), cam_from_world=placed, **lens)


def faults(*cameras: Camera, frame_id: str = "world") -> list[str]:
    return [finding.text for finding in check_rig(Rig(cameras, frame_id)) if finding.fault]


def told(*cameras: Camera, frame_id: str = "world") -> str:
    return "\n".join(finding.text for find in (check_rig, axis_hints) for finding in find(Rig(cameras, frame_id)))


MIDDLE = [0.0, 0, 1]
A, B = looking("a", [3, 0, 2], MIDDLE), looking("b", [0, 3, 2], MIDDLE)


def test_sound_rig_has_no_findings() -> None:
    assert check_rig(Rig((A, B))) == ()


def test_angles_are_those_of_the_scene() -> None:
    # Both look 1 m down over 3 m: cos = (0 + 0 + 1) / 10.
    assert axis_angles_deg(Rig((A, B)))["a", "b"] == pytest.approx(np.rad2deg(np.arccos(0.1)))
    assert up_axis(Rig((A, B))) == (2, 1)
    assert field_of_view_deg(A)[0] == pytest.approx(2 * np.rad2deg(np.arctan(640 / 900)))


def test_cameras_that_share_a_place_are_named() -> None:
    assert any(
        "'a' and 'b' stand at the same place" in text for text in faults(A, looking("b", [3, 0, 2], [0, 0.1, 1]))
    )
    apart = told(A, B, looking("c", [3, 0, 2], [0, 0.1, 1]))
    assert "'a' and 'c' stand at the same place" in apart
    assert faults(A, B, looking("c", [3, 0, 2], [0, 0.1, 1])) == []  # b stands apart: the rig still works


def test_camera_that_looks_away_is_named() -> None:
    away = looking("b", [0, 3, 2], [0, 9, 2])
    assert any(text.startswith("a, b: cameras look away") for text in faults(A, away))
    assert any(text.startswith("c: camera looks away") for text in faults(A, B, looking("c", [0, 3, 2], [0, 9, 2])))


def test_parallel_stereo_head_shares_its_view() -> None:
    assert check_rig(Rig((looking("l", [0, 0.06, 1], [5, 0.06, 1]), looking("r", [0, -0.06, 1], [5, -0.06, 1])))) == ()


@pytest.mark.parametrize("focal", [20.0, 900.0 * 64])
def test_focal_length_in_another_unit_is_told_as_a_field_of_view(focal: float) -> None:
    wrong = K.copy()
    wrong[[0, 1], [0, 1]] = focal
    assert any("'a': focal length" in text for text in faults(looking("a", [3, 0, 2], MIDDLE, K=wrong), B))


def test_lens_that_folds_inside_the_image_is_told() -> None:
    # r (1 - 0.5 r^2) turns back at r = 0.816; the corner of this image lies at 0.8159 / its distorted radius 0.544.
    folded = looking("a", [3, 0, 2], MIDDLE, distortion=[-0.5, 0, 0, 0])
    assert any("'a': its distortion [-0.5, 0, 0, 0] folds" in text for text in faults(folded, B))


def test_millimetres_are_told() -> None:
    big = [looking(camera.name, camera.centre * 1000, [0, 0, 1000]) for camera in (A, B)]
    assert any("--unit mm" in text for text in faults(*big))


def test_what_the_images_say_of_the_vertical_is_a_hint_and_no_advice() -> None:
    cameras = [looking("a", [3, 2, 0], [0, 1, 0], up=(0, 1, 0)), looking("b", [0, 2, 3], [0, 1, 0], up=(0, 1, 0))]
    hint = told(*cameras)
    assert "by the images +y of frame 'world' is up, robots expect +z" in hint
    assert "people tell it for certain" in hint
    assert "rig convert" not in hint
    assert faults(*cameras) == []
    headlong = [replace(one, cam_from_world=np.diag([-1.0, -1, 1, 1]) @ one.cam_from_world) for one in (A, B)]
    assert "by the images -z" in told(*headlong)
    assert faults(*headlong) == []
    down = [looking("a", [0, 0, 0], [0, 0, 5], up=(0, -1, 0)), looking("b", [1, 0, 0], [0, 0, 5], up=(0, -1, 0))]
    assert told(*down, frame_id="a_optical") == ""


def test_rounded_rotation_and_other_oddities_are_warnings() -> None:
    rounded = A.cam_from_world.copy()
    rounded[:3, :3] = rounded[:3, :3].round(3)
    odd = np.array([[900.0, 0, 20], [0, 600, 360], [0, 0, 1]])
    text = told(A.placed(rounded), looking("b", [0, 3, -2], MIDDLE, K=odd))
    for part in (
        "'a': its rotation is off",
        "'b': fx/fy is 1.5",
        "point (20, 360) px lies at 2%",
        "b below z = 0",
    ):
        assert part in text
