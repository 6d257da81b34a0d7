"""Simulated recordings of people who walk about, as calibration by people takes them, and what is true of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.detection.uncertainty import covariance
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.simulation.noise_models import Noise
from pose3d_ros.simulation.simulated_rigs import SimulatedRig
from pose3d_ros.simulation.views import mapped_truth
from pose3d_ros.simulation.walkers import Clocks, Film, filmed, span, walkers
from pose3d_ros.skeletons import COCO_17, H36M_17, remap
from pose3d_ros.structures import Floats, Keypoints2D, Rig


@dataclass(frozen=True, eq=False)
class WalkTruth:
    """What is true of a recording of P people."""

    rig: Rig  # world z up, floor z = 0
    clocks: Clocks
    t_s: Floats  # (T,) common time
    xyz: Floats  # (T, P, 17, 3) m of h36m_17; Pelvis, Spine and Thorax as detectors' keypoints have them
    statures_m: tuple[float, ...]  # P


def simulate_walkers(
    one: SimulatedRig,
    seconds: float,
    fps: float,
    noise: Noise,
    rng: np.random.Generator,
    *,
    people: int = 1,
    offsets_s: Mapping[str, float] | None = None,
    drift_ppm: Mapping[str, float] | None = None,
    motion: Motion | None = None,
    manner: str = "walking",
) -> tuple[list[PeopleViews], WalkTruth]:
    """People before a rig for so many seconds of every camera's clock, fps images a second each.

    offsets_s and drift_ppm by camera, as in walkers.Clocks; motion and manner as in walkers.walkers. Cameras of the
    views are where they were made: not placed.
    """
    clocks = Clocks(offsets_s or {}, drift_ppm or {})
    t_s = span(one, seconds, clocks)
    walks = walkers(one.floor, t_s, rng, people=people, manner=manner, motion=motion)
    views = [people_views(filmed(camera, walks, seconds, fps, noise, rng, clocks), rng) for camera in one.rig.cameras]
    xyz = mapped_truth(np.stack([walk.xyz for walk in walks], axis=1))
    return views, WalkTruth(one.rig, clocks, t_s, xyz, tuple(walk.stature_m for walk in walks))


def people_views(film: Film, rng: np.random.Generator) -> PeopleViews:
    """A film's people, in another order in every image, with the covariance that the detector gives its keypoints."""
    images = []
    for number, stamp in enumerate(film.stamps_ns.tolist()):
        who = rng.permutation(np.flatnonzero(film.found[number]))
        xy, score = film.xy[number, who], film.score[number, who]
        spread = covariance(score, film.px_per_crop_px[number, who], COCO_17)
        spread = np.where((score > 0)[..., None, None], spread, np.nan)
        images.append(remap(Keypoints2D(xy, score, COCO_17, stamp, spread), H36M_17))
    return PeopleViews(film.camera.placed(np.eye(4)), tuple(images))


def without_overlap(views: Sequence[PeopleViews], shared_s: float = 0.0) -> list[PeopleViews]:
    """The first camera's people up to the middle of the recording, the others' from then on, shared_s in common."""
    middle = views[0].span_s / 2.0
    out = []
    for number, one in enumerate(views):
        begin, end = (-np.inf, middle + shared_s / 2.0) if number == 0 else (middle - shared_s / 2.0, np.inf)
        out.append(
            replace(
                one,
                people=tuple(
                    image if begin <= 1e-9 * image.stamp_ns <= end else image.select(np.zeros(0, dtype=np.intp))
                    for image in one.people
                ),
            )
        )
    return out
