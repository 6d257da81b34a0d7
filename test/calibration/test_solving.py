"""Lenses and extrinsics are recovered from exact corners, for every lens and every chain of cameras."""

from __future__ import annotations

import numpy as np
import pytest
from transforms import transform

from pose3d_ros.calibration.board_views import BoardViews, pick_diverse
from pose3d_ros.calibration.boards import Board
from pose3d_ros.calibration.extrinsics import solve_extrinsics
from pose3d_ros.calibration.lenses import fit_lens
from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.projection import project
from pose3d_ros.structures import Camera, Floats, Rig

BOARD = Board(9, 6, 0.03)
K = np.array([[700.0, 0, 325], [0, 705, 238], [0, 0, 1]])
LENSES = {
    "plumb_bob": [-0.2, 0.05, 0.001, -0.002, 0],
    "rational_polynomial": [0.1, -0.05, 0.001, -0.001, 0.01, 0.12, 0.02, 0.01],
    "equidistant": [0.02, -0.01, 0.003, -0.001],
}


def rig(model: str = "plumb_bob") -> Rig:
    """Three cameras in a row, 30 cm apart, turned inwards."""
    lens = np.array(LENSES[model])
    places = [np.eye(4), transform([0, 0.3, 0], [-0.3, 0.01, 0.02]), transform([0.02, 0.5, 0.01], [-0.55, 0.0, 0.1])]
    return Rig(
        tuple(Camera(name, (640, 480), K, model, lens, place) for name, place in zip("abc", places, strict=True)),
        "a_optical",
    )


def board_views(cameras: Rig, count: int = 14) -> list[BoardViews]:
    """Corners of a board held in front of the cameras; completely in the image or not at all."""
    random = np.random.default_rng(2)
    corners: list[dict[int, tuple[Floats, Floats]]] = [{} for _ in cameras.cameras]
    for frame in range(count):
        turn = transform(random.uniform(-0.5, 0.5, 3).tolist(), [0, 0, 0])
        middle = np.array([0.15, 0, 0.7]) + random.uniform([-0.1, -0.1, -0.15], [0.1, 0.1, 0.15])
        xyz = (BOARD.points - BOARD.points.mean(axis=0)) @ turn[:3, :3].T + middle
        for views, camera in zip(corners, cameras.cameras, strict=True):
            px = project(camera, xyz)
            if ((px > 0) & (px < camera.size_wh)).all():
                views[frame] = (np.arange(len(px)), px)
    return [BoardViews(c.name, c.size_wh, count, views) for c, views in zip(cameras.cameras, corners, strict=True)]


@pytest.mark.parametrize("model", LENSES)
def test_three_cameras_are_recovered_from_exact_corners(model: str) -> None:
    truth = rig(model)
    views = board_views(truth)
    fits = [fit_lens(BOARD, view, model) for view in views]
    solved = solve_extrinsics(BOARD, views, fits)
    assert max(solved.rms_px.values()) < 0.02
    for ours, theirs in zip(solved.rig.cameras, truth.cameras, strict=True):
        np.testing.assert_allclose(ours.centre, theirs.centre, atol=1e-3)
        np.testing.assert_allclose(ours.K, theirs.K, atol=1.0)
        points = np.random.default_rng(0).uniform([0, -0.1, 0.6], [0.3, 0.1, 0.9], (30, 3))
        np.testing.assert_allclose(project(ours, points), project(theirs, points), atol=0.15)


def test_cameras_that_never_see_the_board_together_are_chained_over_a_third() -> None:
    truth = rig()
    views = board_views(truth, 24)
    first = sorted(set(views[0].corners) & set(views[1].corners))[::2]
    views[0] = views[0].chosen(first)
    views[2] = views[2].chosen([frame for frame in views[2].corners if frame not in first])
    fits = [fit_lens(BOARD, view, "plumb_bob") for view in views]
    solved = solve_extrinsics(BOARD, views, fits)
    for ours, theirs in zip(solved.rig.cameras, truth.cameras, strict=True):
        np.testing.assert_allclose(ours.centre, theirs.centre, atol=2e-3)


def test_camera_without_shared_boards_is_named_with_their_count() -> None:
    views = board_views(rig(), 24)
    alone = BoardViews("c", (640, 480), 24, {frame + 1000: corners for frame, corners in views[2].corners.items()})
    fits = [fit_lens(BOARD, view, "plumb_bob") for view in (*views[:2], alone)]
    with pytest.raises(CalibrationError, match=r"c: at most 0 boards in common .*expected at least 3"):
        solve_extrinsics(BOARD, [*views[:2], alone], fits)


def test_outlying_board_is_left_out() -> None:
    views = board_views(rig())[0]
    frame = sorted(views.corners)[3]
    numbers, px = views.corners[frame]
    # Noise, so that there is a nonzero median to compare with.
    noisy = {k: (n, p + np.random.default_rng(k).normal(0, 0.1, p.shape)) for k, (n, p) in views.corners.items()}
    noisy[frame] = (numbers, px + np.random.default_rng(9).normal(0, 5, px.shape))
    fit = fit_lens(BOARD, BoardViews("a", (640, 480), 14, noisy), "plumb_bob")
    assert fit.left_out == (frame,)
    assert fit.rms_px < 0.2


def test_too_few_boards_are_rejected_with_both_counts() -> None:
    views = board_views(rig())[0]
    with pytest.raises(CalibrationError, match=r"'a': the board was found in 3 of 14 images, at least 5 are needed"):
        fit_lens(BOARD, views.chosen(sorted(views.corners)[:3]), "plumb_bob")


def test_diverse_pick_prefers_different_views_to_repetitions() -> None:
    still = {k: (np.arange(54), BOARD.points[:, :2] * 1000 + 200 + k * 0.01) for k in range(40)}
    moved = {100 + k: (np.arange(54), BOARD.points[:, :2] * (500 + 300 * k) + 60 * k) for k in range(4)}
    views = BoardViews("a", (640, 480), 44, {**still, **moved})
    assert set(pick_diverse(views, list(views.corners), 6)) >= {100, 101, 102, 103} - {102}
    assert pick_diverse(views, [3, 1, 2], 5) == [1, 2, 3]
