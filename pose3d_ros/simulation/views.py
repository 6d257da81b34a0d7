"""Motion -> cameras -> COCO-17 as a detector gives it -> the nodes' own map to h36m_17 (NumPy, float64).

The truth passes the same map: Pelvis, Spine and Thorax are means of hips and shoulders, in 3D as in 2D. HeadTop is
what the motion data say and has no keypoint; a network may fill it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.detector_bias import DetectorBias, learnable_bias
from pose3d_ros.simulation.independent_joints import detected, hidden_joints
from pose3d_ros.simulation.noise_models import DETECTED, Noise, crop_scale
from pose3d_ros.simulation.simulated_rigs import SimulatedRig, miscalibrated
from pose3d_ros.skeletons import COCO_17, H36M_17, map_matrix, remap
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Rig

# A human annotator's error, px an axis: the labels of weak supervision carry it too.
ANNOTATION_PX = 2.0
# (17,) which joints of h36m_17 a COCO-17 detector gives, at first hand or derived.
GIVEN: NDArray[np.bool_] = np.asarray(map_matrix(COCO_17, H36M_17).sum(axis=1) > 0)


@dataclass(frozen=True, eq=False)
class SimulatedViews:
    """W windows of T frames of one person before V cameras; joints are h36m_17."""

    cameras: tuple[Camera, ...]  # V, where the calibration believes them to be
    true_cameras: tuple[Camera, ...]  # V, where they are
    truth: Floats  # (W, T, 17, 3) m, world; for tests and for supervised training only
    true_px: Floats  # (V, W, T, 17, 2) px of the original image without any error; NaN behind the camera
    label_px: Floats  # (V, W, T, 17, 2) px, true_px with an annotator's error
    xy_px: Floats  # (V, W, T, 17, 2) px as detected, NaN where it is not
    score: Floats  # (V, W, T, 17) in [0, 1], 0 where it is not
    sigma_px: float  # of independent Gaussian noise of the same size, an axis
    biased_px: Floats  # (V, W, T, 17, 2) px, true_px with the detector's bias and no noise; true_px without a bias
    learnable_px: Floats  # (V, W, T, 17, 2) px, true_px with the learnable part of the bias only


def simulate(
    xyz: Floats,
    one: SimulatedRig,
    noise: Noise,
    rng: np.random.Generator,
    *,
    fps: float = 12.0,
    bias: DetectorBias | None = None,
    calibration_error: bool = False,
    hide: NDArray[np.bool_] | None = None,
    annotation_px: float = ANNOTATION_PX,
    independent: bool = False,
) -> SimulatedViews:
    """What a detector sees of motion (W, T, 17, 3) m that stands on the rig's floor (augmentation.placed).

    noise works on COCO-17 keypoints, which bias has moved before; labels it has not. A joint outside the image, and
    one of hide (V, W, T, 17) COCO-17, is missed. With calibration_error the cameras are where true_cameras say, and
    the estimator's cameras differ. independent: every joint of h36m_17 has a keypoint of its own instead, as in the
    papers. Raises InputError for another shape, and where independent joints are to be biased.
    """
    if xyz.ndim != 4 or xyz.shape[2:] != (H36M_17.size, 3):
        raise InputError(f"simulate: motion has shape {xyz.shape}, expected (W, T, 17, 3): windows, frames, h36m_17")
    true_cameras = one.rig.cameras
    cameras = miscalibrated(true_cameras, rng) if calibration_error else true_cameras
    if independent:
        if bias is not None:
            raise InputError("simulate: independent joints have no bias: leave out one of both")
        return _independent(xyz, one, cameras, noise, 1.0 / fps, annotation_px, hide, rng)
    coco = to_coco(xyz)
    true_coco = np.stack([project(camera, coco) for camera in true_cameras])  # (V, W, T, 17, 2)
    biased = true_coco if bias is None else _biased(coco, xyz, true_cameras, bias, rng)
    seen, score = noise(biased, crop_scale(true_coco), 1.0 / fps, rng)
    missed = outside(true_coco, true_cameras) | (score <= 0)
    if hide is not None:
        missed |= hide
    seen, score = np.where(missed[..., None], np.nan, seen), np.where(missed, 0.0, score)
    always = np.where(np.isfinite(true_coco).all(axis=-1), 1.0, 0.0)
    labelled = true_coco + rng.normal(scale=annotation_px, size=true_coco.shape)
    xy, mapped_score = to_h36m(seen, score)
    true_px = biased_px = learnable_px = to_h36m(true_coco, always)[0]
    if bias is not None:
        biased_px = to_h36m(biased, always)[0]
        learnable_px = to_h36m(_biased(coco, xyz, true_cameras, learnable_bias(), rng), always)[0]
    return SimulatedViews(
        cameras=cameras,
        true_cameras=true_cameras,
        truth=mapped_truth(xyz),
        true_px=true_px,
        label_px=to_h36m(labelled, always)[0],
        xy_px=xy,
        score=mapped_score,
        sigma_px=one.sigma_px,
        biased_px=biased_px,
        learnable_px=learnable_px,
    )


def _independent(
    xyz: Floats,
    one: SimulatedRig,
    cameras: tuple[Camera, ...],
    noise: Noise,
    dt_s: float,
    annotation_px: float,
    hide: NDArray[np.bool_] | None,
    rng: np.random.Generator,
) -> SimulatedViews:
    """simulate with a keypoint for every joint of h36m_17; cameras are those of the estimator."""
    true_cameras = one.rig.cameras
    true_px, coco_px = (np.stack([project(camera, given) for camera in true_cameras]) for given in (xyz, to_coco(xyz)))
    xy, score = detected(true_px, crop_scale(coco_px), noise, dt_s, rng)
    missed = outside(true_px, true_cameras) | (score <= 0)
    if hide is not None:
        missed |= hidden_joints(hide)
    return SimulatedViews(
        cameras=cameras,
        true_cameras=true_cameras,
        truth=xyz,
        true_px=true_px,
        label_px=true_px + rng.normal(scale=annotation_px, size=true_px.shape),
        xy_px=np.where(missed[..., None], np.nan, xy),
        score=np.where(missed, 0.0, score),
        sigma_px=one.sigma_px,
        biased_px=true_px,
        learnable_px=true_px,
    )


def outside(true_px: Floats, cameras: tuple[Camera, ...]) -> NDArray[np.bool_]:
    """Which keypoints (V, W, T, J, 2) px lie outside their camera's image or behind it (NaN)."""
    border = np.array([camera.size_wh for camera in cameras], dtype=np.float64)[:, None, None, None] - 0.5
    return np.asarray(~((true_px >= -0.5) & (true_px <= border)).all(axis=-1))


def _biased(
    coco: Floats, xyz: Floats, cameras: tuple[Camera, ...], bias: DetectorBias, rng: np.random.Generator
) -> Floats:
    """Where each camera's detector sees the joints, (V, W, T, 17, 2) px of COCO-17."""
    moved = np.repeat(coco[None], len(cameras), axis=0)
    moved[..., DETECTED, :] += bias.shifts(xyz, cameras, rng)
    return np.stack([project(camera, one) for camera, one in zip(cameras, moved, strict=True)])


def to_coco(xyz: Floats) -> Floats:
    """COCO-17 joints (..., 17, 3) m of h36m_17 joints; NaN for eyes and ears, which motion data do not have."""
    coco = np.full((*xyz.shape[:-2], COCO_17.size, 3), np.nan)
    for number in DETECTED:
        coco[..., number, :] = xyz[..., H36M_17.index(COCO_17.joint_names[number]), :]
    return coco


def mapped_truth(xyz: Floats) -> Floats:
    """h36m_17 joints (..., 17, 3) m as the map defines them, HeadTop as the motion data have it."""
    mapped: Floats = np.einsum("kj,...jc->...kc", map_matrix(COCO_17, H36M_17), np.nan_to_num(to_coco(xyz)))
    mapped[..., ~GIVEN, :] = xyz[..., ~GIVEN, :]
    return mapped


def to_h36m(xy: Floats, score: Floats) -> tuple[Floats, Floats]:
    """COCO-17 keypoints (..., 17, 2) px and scores (..., 17) through skeletons.remap, as the nodes do it."""
    people = Keypoints2D(xy=xy.reshape(-1, COCO_17.size, 2), score=score.reshape(-1, COCO_17.size), skeleton=COCO_17)
    mapped = remap(people, H36M_17)
    return mapped.xy.reshape(xy.shape), mapped.score.reshape(score.shape)


def with_cameras(one: SimulatedRig, more: tuple[Camera, ...]) -> SimulatedRig:
    """The rig with further cameras behind its own, for labels that only training sees."""
    return replace(one, rig=Rig((*one.rig.cameras, *more), one.rig.frame_id))
