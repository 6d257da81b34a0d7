"""Errors without labels: what was put into a recording is found again, in two parts."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_recording import FRAMES, OFFSETS_PX, SIGMA_CROP_PX, recording

from pose3d_ros.errors import InputError
from pose3d_ros.simulation import detector_residuals
from pose3d_ros.simulation.detector_residuals import BODY, residuals_of, residuals_of_labels
from pose3d_ros.skeletons import COCO_17


def test_size_of_the_errors_is_found_once_the_consensus_share_is_given_back():
    found = residuals_of(recording())
    assert found.error.shape == (4, FRAMES, len(BODY), 2)
    assert found.error.std() / found.shrinkage == pytest.approx(SIGMA_CROP_PX, rel=0.05)
    assert found.shrinkage == pytest.approx(np.sqrt(5 / 8))


def test_without_other_errors_the_offsets_are_found_exactly(monkeypatch):
    monkeypatch.setattr(detector_residuals, "LEAST_CERTAINTY", 1e-4)  # nothing else could be taken for them
    found = residuals_of(recording(offsets=True, sigma=0.0))
    np.testing.assert_allclose(list(found.camera_offset_px.values()), OFFSETS_PX, atol=1e-3)
    np.testing.assert_allclose(found.error, 0, atol=0.02)


def test_what_is_constant_per_camera_is_taken_out_and_changes_little_else():
    plain, shifted = residuals_of(recording()), residuals_of(recording(offsets=True))
    assert np.abs(shifted.error - plain.error).mean() < 0.1 * SIGMA_CROP_PX
    # What a move of the whole world could have made is not called an offset.
    reported = np.array(list(shifted.camera_offset_px.values()))
    assert 0.5 * np.linalg.norm(OFFSETS_PX) < np.linalg.norm(reported) < np.linalg.norm(OFFSETS_PX)
    assert np.linalg.norm(list(plain.camera_offset_px.values())) < 1.0


def test_swap_of_the_legs_is_distinguished_from_a_large_error():
    legs = [COCO_17.index(side + part) for part in ("Hip", "Knee", "Ankle") for side in "LR"]
    other = [COCO_17.index(side + part) for part in ("Hip", "Knee", "Ankle") for side in "RL"]

    def change(view, frame, px):
        if view == 1 and 10 <= frame < 20:
            px[legs] = px[other]
        return px

    found = residuals_of(recording(change=change))
    apart = found.exchanged[1, 10:20]
    assert apart[:, [BODY.index("LKnee"), BODY.index("RKnee")]].mean() > 0.5  # legs that cover each other do not count
    assert not found.exchanged[[0, 2, 3]].any()
    assert not found.exchanged[1, 20:].any()
    assert np.nanmax(np.linalg.norm(found.error[1, 10:20], axis=-1)) < 20.0


def test_outlier_stands_out_in_its_own_camera():
    def change(view, frame, px):
        if view == 2:
            px[COCO_17.index("LWrist")] += (80.0, 0.0)
        return px

    size = np.nanmedian(np.linalg.norm(residuals_of(recording(change=change)).error, axis=-1), axis=1)
    wrist = BODY.index("LWrist")
    assert size[2, wrist] > 2.5 * size[[0, 1, 3], wrist].max()


def test_miss_is_no_error_and_has_score_zero():
    def change(view, frame, px):
        if view == 0 and frame % 3 == 0:
            px[COCO_17.index("RAnkle")] = np.nan
        return px

    found = residuals_of(recording(change=change))
    ankle = BODY.index("RAnkle")
    assert np.isnan(found.error[0, ::3, ankle]).all()
    assert (found.score[0, ::3, ankle] == 0).all()
    assert np.isfinite(found.error[0, 1::3, ankle]).all()


def test_left_out_of_its_own_consensus_a_camera_shows_larger_errors():
    one = recording()
    assert residuals_of(one, leave_one_out=True).error.std() > 1.3 * residuals_of(one).error.std()


def test_second_loop_does_not_count_twice():
    one = recording()
    again = {
        camera: by_stamp
        | {stamp + round(1e9): (replace(people, xy=people.xy + 500), ids) for stamp, (people, ids) in by_stamp.items()}
        for camera, by_stamp in one.keypoints.items()
    }
    np.testing.assert_allclose(residuals_of(replace(one, keypoints=again)).error, residuals_of(one).error)


def test_two_cameras_are_rejected_as_too_few():
    with pytest.raises(InputError, match="three views"):
        residuals_of(recording(cameras=2))


def test_labels_need_no_consensus(tmp_path):
    random = np.random.default_rng(0)
    label = random.uniform(100, 400, (3, 50, 17, 2))
    error = random.normal(scale=4.0, size=label.shape)
    path = tmp_path / "labels.npz"
    np.savez(path, detected_px=label + error, label_px=label, score=np.full((3, 50, 17), 0.9), fps=30.0)
    found = residuals_of_labels(path)
    assert found.shrinkage == 1.0
    assert found.error.std() * found.px_per_crop_px == pytest.approx(4.0, rel=0.05)
    np.savez(path, detected_px=label)
    with pytest.raises(InputError, match="label_px"):
        residuals_of_labels(path)
