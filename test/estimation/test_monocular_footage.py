"""One camera at a time on real people, with the shipped weights (the demo command measures all frames)."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from one_camera import one_camera

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.single_view import load_lifter
from pose3d_ros.recordings.footage import read_video, reference_single, sample
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Camera, Floats, FrameSet, JointSource

IMAGES = 4


def estimates(name: str, camera: Camera) -> list[Estimate]:
    estimator = one_camera(camera, load_lifter())
    video = read_video(sample(name).videos[camera.name], stop=IMAGES)
    stamps = (10**9 + round(k * 1e9 / 60) for k in range(IMAGES))
    return [
        estimator.estimate(FrameSet({camera.name: image}, {camera.name: stamp}))
        for image, stamp in zip(islice(video, IMAGES), stamps, strict=True)
    ]


def limbs_in_camera(camera: Camera, frame: int) -> Floats:
    """(12, 3) m of the reference."""
    names, reference = reference_single()
    xyz = reference[frame][[names.index(joint) for joint in LIMB_JOINTS]]
    return np.asarray(xyz @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3])


@pytest.mark.usefixtures("footage", "weights")
@pytest.mark.parametrize("name", ["cam01", "cam02", "cam03", "cam04"])
def test_the_subject_stands_where_the_reference_says(name: str) -> None:
    camera = sample("single").rig.camera(name)
    limbs = [H36M_17.index(joint) for joint in LIMB_JOINTS]
    hips = [LIMB_JOINTS.index("LHip"), LIMB_JOINTS.index("RHip")]
    for frame, result in list(enumerate(estimates("single", camera)))[1:]:
        truth = limbs_in_camera(camera, frame)
        found = result.pose.xyz[:, limbs]
        who = int(np.linalg.norm(found - truth, axis=-1).mean(axis=-1).argmin())
        root, true_root = found[who, hips].mean(axis=0), truth[hips].mean(axis=0)
        assert abs(root[2] / true_root[2] - 1) < 0.20
        # Across the view one camera sees as well as several.
        assert np.abs(root[:2] / root[2] - true_root[:2] / true_root[2]).max() < 0.02
        assert np.linalg.norm((found[who] - root) - (truth - true_root), axis=-1).mean() < 0.25
        assert (result.pose.source[who] == JointSource.MONOCULAR).all()
        assert np.isfinite(result.pose.covariance[who]).all()


@pytest.mark.usefixtures("footage", "weights")
def test_three_people_before_one_camera_are_three() -> None:
    results = estimates("multi", sample("multi").rig.camera("cam01"))
    assert {result.pose.ids for result in results[1:]} == {("1", "2", "3")}
