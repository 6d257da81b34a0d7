"""Every fault of a rig is reported with its fix, and a valid rig has no findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose3d_ros.rigs.camera_checks import field_of_view_deg
from pose3d_ros.rigs.rig_checks import axis_angles_deg, axis_hints, check_rig, up_axis
from pose3d_ros.structures import Camera, Floats, Rig

K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])


def facing(
    name: str, centre: Floats | list[float], target: list[float], up: tuple[float, ...] = (0, 0, 1), **lens: object
) -> Camera:
    """An upright camera at centre that faces a target point."""
    forward = np.subtract(target, centre) / np.linalg.norm(np.subtract(target, centre))
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = [right, np.cross(forward, right), forward]
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ np.asarray(centre, dtype=np.float64)
    return Camera(name, (1280, 720), lens.pop("K", K), cam_from_world=cam_from_world, **lens)


def faults(*cameras: Camera, frame_id: str = "world") -> list[str]:
    return [finding.text for finding in check_rig(Rig(cameras, frame_id)) if finding.fault]


def messages(*cameras: Camera, frame_id: str = "world") -> str:
    return "\n".join(finding.text for check in (check_rig, axis_hints) for finding in check(Rig(cameras, frame_id)))


MIDDLE = [0.0, 0, 1]
A, B = facing("a", [3, 0, 2], MIDDLE), facing("b", [0, 3, 2], MIDDLE)


def test_valid_rig_has_no_findings() -> None:
    assert check_rig(Rig((A, B))) == ()


def test_angles_are_those_of_the_scene() -> None:
    # Both face 1 m down over 3 m: cos = (0 + 0 + 1) / 10.
    assert axis_angles_deg(Rig((A, B)))["a", "b"] == pytest.approx(np.rad2deg(np.arccos(0.1)))
    assert up_axis(Rig((A, B))) == (2, 1)
    assert field_of_view_deg(A)[0] == pytest.approx(2 * np.rad2deg(np.arctan(640 / 900)))


def test_cameras_at_one_position_are_named() -> None:
    assert any("'a' and 'b' have the same position" in text for text in faults(A, facing("b", [3, 0, 2], [0, 0.1, 1])))
    apart = messages(A, B, facing("c", [3, 0, 2], [0, 0.1, 1]))
    assert "'a' and 'c' have the same position" in apart
    assert faults(A, B, facing("c", [3, 0, 2], [0, 0.1, 1])) == []  # b is apart: the rig still works


def test_camera_without_a_common_view_is_named() -> None:
    away = facing("b", [0, 3, 2], [0, 9, 2])
    assert any(text.startswith("a, b: no view in common") for text in faults(A, away))
    assert any(text.startswith("c: no view in common") for text in faults(A, B, facing("c", [0, 3, 2], [0, 9, 2])))


def test_parallel_stereo_head_shares_its_view() -> None:
    assert check_rig(Rig((facing("l", [0, 0.06, 1], [5, 0.06, 1]), facing("r", [0, -0.06, 1], [5, -0.06, 1])))) == ()


@pytest.mark.parametrize("focal", [20.0, 900.0 * 64])
def test_focal_length_in_another_unit_is_rejected_by_the_field_of_view(focal: float) -> None:
    wrong = K.copy()
    wrong[[0, 1], [0, 1]] = focal
    assert any("'a': focal length" in text for text in faults(facing("a", [3, 0, 2], MIDDLE, K=wrong), B))


def test_lens_that_folds_inside_the_image_is_rejected() -> None:
    # r (1 - 0.5 r^2) folds at r = 0.816; the corner of this image is at 0.8159 / its distorted radius 0.544.
    folded = facing("a", [3, 0, 2], MIDDLE, distortion=[-0.5, 0, 0, 0])
    assert any("'a': its distortion [-0.5, 0, 0, 0] folds" in text for text in faults(folded, B))


def test_millimetres_are_rejected_with_the_fix() -> None:
    big = [facing(camera.name, camera.centre * 1000, [0, 0, 1000]) for camera in (A, B)]
    assert any("--unit mm" in text for text in faults(*big))


def test_up_axis_by_the_images_is_only_a_hint() -> None:
    cameras = [facing("a", [3, 2, 0], [0, 1, 0], up=(0, 1, 0)), facing("b", [0, 2, 3], [0, 1, 0], up=(0, 1, 0))]
    hint = messages(*cameras)
    assert "judging by the images, +y of frame 'world' is up, expected +z" in hint
    assert "poses of people decide" in hint
    assert "rig convert" not in hint
    assert faults(*cameras) == []
    upside_down = [replace(cam, cam_from_world=np.diag([-1.0, -1, 1, 1]) @ cam.cam_from_world) for cam in (A, B)]
    assert "judging by the images, -z" in messages(*upside_down)
    assert faults(*upside_down) == []
    down = [facing("a", [0, 0, 0], [0, 0, 5], up=(0, -1, 0)), facing("b", [1, 0, 0], [0, 0, 5], up=(0, -1, 0))]
    assert messages(*down, frame_id="a_optical") == ""


def test_rounded_rotation_and_implausible_values_are_warnings() -> None:
    rounded = A.cam_from_world.copy()
    rounded[:3, :3] = rounded[:3, :3].round(3)
    odd = np.array([[900.0, 0, 20], [0, 600, 360], [0, 0, 1]])
    text = messages(A.placed(rounded), facing("b", [0, 3, -2], MIDDLE, K=odd))
    for part in (
        "'a': its rotation matrix is not orthonormal",
        "'b': fx/fy is 1.5",
        "point (20, 360) px is at 2%",
        "b below z = 0",
    ):
        assert part in text
