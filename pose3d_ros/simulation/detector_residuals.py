"""How far a detector's keypoints lie from what all cameras agree on, in px of its crop (NumPy, float64).

No label is needed: the consensus is the robust triangulation of all cameras (or, with leave_one_out, of all OTHER
cameras). What is constant per camera over the clip is not the detector's doing but the calibration's and the
synchronisation's; it is taken out and reported apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.files.archives import npz_arrays
from pose3d_ros.files.door import LABELS, reading
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.noise_models import DETECTED, crop_scale
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Camera, Floats, Rig

# Two cameras always nearly agree: a triangulation shows errors only from three cameras on.
LEAST_VIEWS = 3
# Gauss-Newton passes over the cameras' offsets; those of Pose2Sim's trials move by less than 0.1 px after 6.
PASSES = 10
# Errors beyond this count in proportion only (Huber), px of the image: twice what its keypoints are off by.
HUBER_PX = 15.0
# Moving the whole world looks nearly like offsets too: directions of offsets this much less certain than the surest
# are left at zero. Of eight, two fall below it on Pose2Sim's trials and on Human3.6M's rigs; the next has 0.05.
LEAST_CERTAINTY = 2e-2
STEP_M = 1e-4  # for numeric derivatives of the projection
# A pair counts as exchanged when left and right lie at least this far apart in the consensus and the exchange brings
# both together to less than half: 8 crop px are three standard deviations of a joint.
EXCHANGE_PX = 8.0
BODY = tuple(COCO_17.joint_names[number] for number in DETECTED)  # the B = 13 joints a residual has
BODY_PAIRS = tuple((BODY.index(n), BODY.index("R" + n[1:])) for n in BODY if n.startswith("L"))


@dataclass(frozen=True, eq=False)
class Residuals:
    """Errors of R series, each one person in one camera over T frames; the joints are BODY."""

    error: Floats  # (R, T, B, 2) crop px, from the joint of the same name, or of the other side where exchanged
    score: Floats  # (R, T, B), 0 and NaN error: missed; a person who is not seen at all has NaN scores
    exchanged: NDArray[np.bool_]  # (R, T, B)
    fps: float
    series: tuple[tuple[str, str], ...]  # R times person and camera
    camera_offset_px: dict[str, tuple[float, float]]  # the constant part, px of the image
    px_per_crop_px: float  # median
    views: float  # mean number of cameras behind a consensus

    @property
    def shrinkage(self) -> float:
        """Standard deviation of a residual over that of an error: a consensus of V views takes 3 of 2 V freedoms."""
        return float(np.sqrt(1.0 - 3.0 / (2.0 * self.views)))


def residuals_of(recording: Recording, *, leave_one_out: bool = False) -> Residuals:
    """Return the errors of all people in the recording's first loop that at least three cameras saw.

    Raises InputError if there is no such person.
    """
    xy, score, persons = _gather(recording)
    if not persons:
        raise InputError(
            "no person was seen by three cameras at once: measuring errors without labels needs three views"
        )
    views, frames = xy.shape[1], xy.shape[2]
    rig = recording.rig
    offset = _camera_offsets(rig, xy, score)
    expected = _expected(rig, xy - offset[:, None, None], score, leave_one_out)
    error, exchanged = _unexchanged(xy - offset[:, None, None], expected)
    scale = np.stack([crop_scale(_in_coco(one)) for one in expected])  # (P, V, T)
    seen = np.asarray((score > 0).any(axis=-1) & np.isfinite(expected).any(axis=(-1, -2)))  # (P, V, T)
    kept = [(p, v) for p in range(len(persons)) for v in range(views) if seen[p, v].sum() * 2 > frames]
    if not kept:
        raise InputError("no person was seen by three cameras for half of the recording: record a longer one")
    row, column = np.array(kept).T
    usable = seen[row, column][..., None]
    return Residuals(
        error=np.where(usable[..., None], error[row, column] / scale[row, column][..., None, None], np.nan),
        score=np.where(usable, score[row, column], np.nan),
        exchanged=exchanged[row, column] & usable,
        fps=recording.fps,
        series=tuple((persons[p], rig.names[v]) for p, v in kept),
        camera_offset_px={name: (float(o[0]), float(o[1])) for name, o in zip(rig.names, offset, strict=True)},
        px_per_crop_px=float(np.nanmedian(scale[row, column])),
        views=float(np.isfinite(xy[..., 0]).sum(axis=1)[np.isfinite(expected[:, 0, ..., 0])].mean()),
    )


def residuals_of_labels(path: Path | str) -> Residuals:
    """Errors against a human's labels: for who has them, the way of AbsPoseLifter, Sec. 4.3.

    The .npz holds detected_px and label_px (R, T, 17, 2) px and score (R, T, 17) in COCO-17's order, NaN for what is
    missing, and fps; R clips of T frames. Its detections must come from detectors that were not trained on the
    subject they are run on (leave one subject out), or the errors are too small. Raises InputError otherwise.
    """
    arrays = npz_arrays(path, LABELS)
    try:
        detected, label, score = (np.asarray(arrays[name], float) for name in ("detected_px", "label_px", "score"))
        fps = float(arrays["fps"])
        if not 0 < fps < np.inf or np.isinf(detected).any() or np.isinf(label).any():
            raise ValueError(f"fps {fps:g}, or an infinite place")
        if detected.shape != label.shape or detected.shape[2:] != (COCO_17.size, 2) or score.shape != label.shape[:3]:
            raise ValueError(f"shapes {detected.shape}, {label.shape}, {score.shape}")
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} holds no labelled detections ({error}): expected detected_px and label_px (R, T, 17, 2), "
            "score (R, T, 17) and fps"
        ) from error
    with reading(path, LABELS):
        return against_labels(detected, label, score, fps)


def against_labels(detected: Floats, label: Floats, score: Floats, fps: float) -> Residuals:
    """Errors of detections against labels, both (R, T, 17, 2) px of COCO-17; score (R, T, 17); NaN: no label."""
    scale = crop_scale(label)
    off, exchanged = _unexchanged(detected[:, None, :, DETECTED], label[:, None, :, DETECTED])
    labelled = np.isfinite(label[:, :, DETECTED]).all(axis=-1)
    return Residuals(
        error=off[:, 0] / scale[..., None, None],
        score=np.where(labelled, np.nan_to_num(score[:, :, DETECTED]), np.nan),
        exchanged=exchanged[:, 0],
        fps=fps,
        series=tuple((f"clip {n}", "") for n in range(len(detected))),
        camera_offset_px={},
        px_per_crop_px=float(np.nanmedian(scale)),
        views=np.inf,
    )


def _camera_offsets(rig: Rig, xy: Floats, score: Floats) -> Floats:
    """What is constant per camera, (V, 2) px: least squares over offsets and joints together, joints eliminated.

    Offsets and triangulation in turn would take hundreds of passes, because nearly every offset can be met by moving
    the joints.
    """
    by_view, weight = np.moveaxis(xy, 1, 0), np.moveaxis(score, 1, 0)  # (V, P, T, B, ...)
    views = len(by_view)
    offset = np.zeros((views, 2))
    for _ in range(PASSES):
        xyz = _joints(rig.cameras, by_view - offset[:, None, None, None], weight).reshape(-1, 3)
        error = np.empty((views, len(xyz), 2))
        slope = np.empty((views, len(xyz), 2, 3))  # px/m
        for view, camera in enumerate(rig.cameras):
            here = project(camera, xyz)
            error[view] = by_view[view].reshape(-1, 2) - offset[view] - here
            slope[view] = np.stack([project(camera, xyz + STEP_M * axis) - here for axis in np.eye(3)], -1) / STEP_M
        known = np.isfinite(error).all(axis=-1) & np.isfinite(slope).all(axis=(-1, -2))
        known &= known.sum(axis=0) >= LEAST_VIEWS
        error, slope = np.where(known[..., None], error, 0.0), np.where(known[..., None, None], slope, 0.0)
        w = known * HUBER_PX / np.maximum(np.linalg.norm(error, axis=-1), HUBER_PX)  # (V, N)
        inner = np.einsum("vn,vnxa,vnxb->nab", w, slope, slope)
        inner = np.linalg.inv(np.where(known.any(axis=0)[:, None, None], inner, np.eye(3)))
        pull = np.einsum("vn,vnxa,vnx->na", w, slope, error)
        right = np.einsum("vn,vnx->vx", w, error) - np.einsum("vn,vnxa,nab,nb->vx", w, slope, inner, pull)
        left = -np.einsum("vn,vnxa,nab,un,unyb->vxuy", w, slope, inner, w, slope, optimize=True)
        for view in range(views):
            left[view, :, view] += w[view].sum() * np.eye(2)
        offset = offset + _certain(left.reshape(2 * views, -1), right.ravel()).reshape(views, 2)
    return offset


def _certain(left: Floats, right: Floats) -> Floats:
    """Solve left x = right (symmetric) where that is certain, zero elsewhere."""
    size, axis = np.linalg.eigh(left)
    held = size > LEAST_CERTAINTY * size[-1]
    solution: Floats = axis[:, held] @ ((axis[:, held].T @ right) / size[held])
    return solution


def _gather(recording: Recording) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Keypoints (P, V, T, B, 2) px and scores (P, V, T, B) of all people with an id that three cameras saw at once."""
    columns = [H36M_17.index(name) for name in BODY]
    found: dict[str, tuple[Floats, Floats]] = {}
    shape = (len(recording.rig.cameras), recording.frames_per_loop, len(BODY))
    for view, camera in enumerate(recording.rig.names):
        for stamp, (people, ids) in recording.keypoints.get(camera, {}).items():
            frame = recording.frame_index(stamp)
            if frame >= recording.frames_per_loop:
                continue  # a second loop shows the same errors again
            for number, who in enumerate(ids):
                if who:
                    xy, score = found.setdefault(who, (np.full((*shape, 2), np.nan), np.zeros(shape)))
                    xy[view, frame], score[view, frame] = people.xy[number, columns], people.score[number, columns]
    enough = {
        who: (xy, score)
        for who, (xy, score) in found.items()
        if ((score > 0).any(axis=-1).sum(axis=0) >= LEAST_VIEWS).any()
    }
    if not enough:
        return np.zeros((0, *shape, 2)), np.zeros((0, *shape)), ()
    return (
        np.stack([xy for xy, _ in enough.values()]),
        np.stack([score for _, score in enough.values()]),
        tuple(enough),
    )


def _expected(rig: Rig, xy: Floats, score: Floats, leave_one_out: bool) -> Floats:
    """Where the consensus is seen, (P, V, T, B, 2) px; NaN where fewer than three cameras saw the joint."""
    by_view = np.moveaxis(xy, 1, 0)  # (V, P, T, B, 2)
    weight = np.moveaxis(score, 1, 0)
    enough = np.isfinite(by_view[..., 0]).sum(axis=0) >= LEAST_VIEWS
    out = np.empty_like(by_view)
    together = None if leave_one_out else _joints(rig.cameras, by_view, weight)
    for view, camera in enumerate(rig.cameras):
        others = [n for n in range(len(rig.cameras)) if n != view]
        xyz = (
            _joints([rig.cameras[n] for n in others], by_view[others], weight[others]) if together is None else together
        )
        out[view] = np.where(enough[..., None], project(camera, xyz), np.nan)
    return np.moveaxis(out, 0, 1)


def _joints(cameras: tuple[Camera, ...] | list[Camera], xy: Floats, weight: Floats) -> Floats:
    return triangulate(cameras, xy, weight).xyz


def _unexchanged(xy: Floats, expected: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Errors in px, measured from the other side's joint where a pair was exchanged, and where that is."""
    error = xy - expected
    exchanged = np.zeros(xy.shape[:-1], dtype=bool)
    scale = np.stack([crop_scale(_in_coco(one)) for one in expected])
    for left, right in BODY_PAIRS:
        crossed = xy[..., [left, right], :] - expected[..., [right, left], :]
        straight = error[..., [left, right], :]
        apart = np.linalg.norm(expected[..., left, :] - expected[..., right, :], axis=-1)
        better = np.linalg.norm(crossed, axis=-1).sum(axis=-1) < 0.5 * np.linalg.norm(straight, axis=-1).sum(axis=-1)
        swap = better & (apart > EXCHANGE_PX * scale)
        error[..., [left, right], :] = np.where(swap[..., None, None], crossed, straight)
        exchanged[..., left] = exchanged[..., right] = swap
    return error, exchanged


def _in_coco(body: Floats) -> Floats:
    """Joints (..., B, 2) at their places in COCO-17 (..., 17, 2)."""
    coco = np.full((*body.shape[:-2], COCO_17.size, 2), np.nan)
    coco[..., DETECTED, :] = body
    return coco
