"""What this package makes of a sequence's keypoints: triangulation, refined pairs, lifted cameras (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.lifting import lift
from pose3d_ros.estimation.observation import Grouped2D
from pose3d_ros.estimation.observation import triangulated as observed
from pose3d_ros.estimation.refinement.networks import CvUgcnRefiner
from pose3d_ros.estimation.refinement.training_domain import TRAINED_JOINTS
from pose3d_ros.geometry.triangulation import MAX_STD_M, triangulate
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, in_camera, weighted
from pose3d_ros.research.protocols.scored import Scored
from pose3d_ros.simulation.simulated_rigs import PAIRS
from pose3d_ros.skeletons import H36M_17, map_matrix
from pose3d_ros.structures import Camera, Floats, Keypoints2D
from pose3d_ros.weights import trained

TRIANGULATION, PAIRED, REFINED, LIFTED = "triangulation", "pairs", "cvugcn", "lifter"
METHODS = {
    TRIANGULATION: "Huber's triangulation of all cameras",
    PAIRED: "Huber's triangulation of the pairs P1 to P4",
    REFINED: "the same pairs refined by the CV-UGCN that ships",
    LIFTED: "the AbsPoseLifter that ships, camera by camera",
}


def with_detections(sequence: PoseSequence, detections: Mapping[str, Floats]) -> PoseSequence:
    """The sequence with detected joints (T, 17, 2) px of h36m_17, by "SUBJECT/ACTION/CAMERA", in place of its own.

    Raises InputError for a sequence without detections and for another number of frames.
    """
    rig = sequence.rig
    keys = {camera: f"{sequence.key}/{camera}" for camera in (rig.names if rig else ())}
    found = {camera: detections[key] for camera, key in keys.items() if key in detections}
    if not found:
        raise InputError(f"the detections have no {sequence.key}/CAMERA, there are {', '.join(list(detections)[:3])}")
    for camera, xy in found.items():
        if len(xy) != len(sequence.frames):
            raise InputError(f"{keys[camera]}: {len(xy)} detected frames of {len(sequence.frames)}")
    mapped = sequence.in_skeleton()
    return replace(mapped, xy={camera: xy[:, None] for camera, xy in found.items()})


def estimates(method: str, sequence: PoseSequence) -> Iterator[Scored]:
    """What a method of METHODS makes of a sequence's xy, next to the truth in the same frame; raises InputError."""
    if sequence.rig is None or not sequence.xy:
        what = "cameras" if sequence.rig is None else "keypoints"
        raise InputError(f"{sequence.key} has no {what}: see docs/datasets.md, or give --detections or --predictions")
    if method == LIFTED:
        yield from _lifted(sequence)
    elif method == TRIANGULATION:
        cameras = [camera for camera in sequence.rig.cameras if camera.name in sequence.xy]
        yield Scored(
            sequence.without_pixels(), triangulate(cameras, np.stack([sequence.xy[one.name] for one in cameras])).xyz
        )
    else:
        yield from _pairs(sequence, refined=method == REFINED)


def _pairs(sequence: PoseSequence, *, refined: bool) -> Iterator[Scored]:
    """Every pair on its own, as CV-UGCN's Table 4 averages them."""
    assert sequence.rig is not None
    refiner = CvUgcnRefiner(trained.load("cvugcn-rig")) if refined else None
    truth = sequence.in_skeleton()
    for pair in PAIRS.values():
        cameras = [sequence.rig.cameras[number] for number in pair if number < len(sequence.rig.cameras)]
        if len(cameras) < 2 or any(camera.name not in truth.xy for camera in cameras):
            continue
        xy = np.stack([truth.xy[camera.name] for camera in cameras])  # (2, T, P, J, 2)
        group = Grouped2D(flat := xy.reshape(2, -1, *xy.shape[3:]), np.isfinite(flat).all(axis=-1).astype(float), None)
        found = observed(cameras, group, min_views=2, max_std_m=MAX_STD_M)
        xyz = _refined(refiner, cameras, group, found.xyz) if refiner else found.xyz
        yield Scored(truth.without_pixels(), xyz.reshape(truth.xyz.shape))


def _refined(refiner: CvUgcnRefiner, cameras: Sequence[Camera], group: Grouped2D, triangulated: Floats) -> Floats:
    """(G, 17, 3) m; the head's top, on which the network was not trained, stays as triangulated."""
    known = group.without(np.broadcast_to(~TRAINED_JOINTS, group.score.shape[1:]))
    refined = refiner(cameras, known, observed(cameras, known, min_views=2, max_std_m=MAX_STD_M))[0]
    return np.where(TRAINED_JOINTS[:, None], refined, triangulated)


def _lifted(sequence: PoseSequence) -> Iterator[Scored]:
    assert sequence.rig is not None
    loaded = trained.load("lifter")
    mapped = sequence.in_skeleton()
    back = map_matrix(H36M_17, sequence.skeleton)
    for camera in sequence.rig.cameras:
        if camera.name not in mapped.xy:
            continue
        xy = mapped.xy[camera.name]
        flat = xy.reshape(-1, *xy.shape[2:])
        keypoints = Keypoints2D(flat, np.asarray(np.isfinite(flat).all(axis=-1), dtype=np.float64), H36M_17)
        xyz = lift(_alone(camera), keypoints, loaded).xyz.reshape(*xy.shape[:3], 3)
        truth = replace(sequence.without_pixels(), xyz=in_camera(sequence.xyz, camera))
        yield Scored(truth, xyz if sequence.skeleton == H36M_17 else weighted(back, xyz))


def _alone(camera: Camera) -> Camera:
    return replace(camera, cam_from_world=np.eye(4))
