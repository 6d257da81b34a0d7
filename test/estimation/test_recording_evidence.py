"""What a recording without a pose says in its last line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.missing_poses import MOST, explain
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.recording_evidence import evidence_of
from pose3d_ros.estimation.track import no_pose
from pose3d_ros.recordings.recording import Recording, Seen2D
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Keypoints2D, Rig

RIG = h36m_rig()
PAIR = RIG.subset(RIG.names[:2])
OPTIONS = EstimatorOptions(refine="none")


def recording(rig: Rig, *, moments: tuple[tuple[int, ...], ...], people: tuple[int, ...]) -> Recording:
    """20 frame sets without a pose; by camera the moments (modulo 2) that it has, and how many people it sees."""
    rng = np.random.default_rng(0)
    keypoints: dict[str, dict[int, Seen2D]] = {}
    for camera, kept, count in zip(rig.cameras, moments, people, strict=True):
        keypoints[camera.name] = {}
        for k in range(20):
            if k % 2 in kept:
                xyz = np.stack([walker((0.0, 0.0), (0.1, 0.0), 0.2 * k)] * count) if count else np.zeros((0, 17, 3))
                shown = seen(camera, xyz, rng, stamp_ns=200_000_000 * k)
                keypoints[camera.name][200_000_000 * k] = (shown, ("",) * count)
    poses = tuple(no_pose(H36M_17, 200_000_000 * k, "world") for k in range(20))
    return Recording(rig, poses, np.arange(20), {}, keypoints, 0, 5.0, 20, 20)


@pytest.mark.parametrize(
    ("rig", "moments", "people", "says"),
    [
        (PAIR, ((0,), (1,)), (1, 1), "no two cameras have an image or keypoints of the same moment"),
        (PAIR, ((0, 1), (0, 1)), (0, 0), "no camera saw a person"),
        (PAIR, ((0, 1), (0, 1)), (1, 0), f"seen by {PAIR.names[0]} in 20 alone: two cameras must see a person"),
        (RIG.subset(RIG.names[:1]), ((0, 1),), (1,), "none well enough to be lifted"),
        (PAIR, ((0, 1), (0, 1)), (1, 1), "2D people jump from set to set"),
    ],
)
def test_the_last_line_says_what_was_not_found(
    rig: Rig, moments: tuple[tuple[int, ...], ...], people: tuple[int, ...], says: str
) -> None:
    report = evidence_of([recording(rig, moments=moments, people=people)], rig, OPTIONS)
    assert not report.found
    assert report.lines[-1].startswith("no person in 3D in 20 frame sets: ")
    assert says in report.lines[-1]


def test_a_crowd_costs_no_more_than_a_few() -> None:
    rng = np.random.default_rng(1)
    crowd = {
        c.name: Keypoints2D(rng.uniform(0, 900, (200, 17, 2)), rng.uniform(0.5, 1, (200, 17)), H36M_17)
        for c in RIG.cameras
    }
    assert sum(explain(RIG.cameras, crowd, OPTIONS).reasons.values()) == len(RIG.cameras) * MOST


def test_cameras_in_one_place_have_no_depth() -> None:
    first, second = PAIR.cameras
    together = [first, replace(second, K=first.K, distortion=first.distortion, cam_from_world=first.cam_from_world)]
    views = {c.name: seen(first, walker((0, 0), (0, 0), 0.0)[None], np.random.default_rng(0)) for c in together}
    assert {reason.value for reason in explain(together, views, OPTIONS).reasons} == {"rank"}
