"""Fine-tuning by agreement: what is varied, what is judged, and what decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rig_recording import RIG, walking

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.observations import observations_2d
from pose3d_ros.research.consensus import Consensus, consensus
from pose3d_ros.research.consensus_crops import ConsensusCrops, cut, joined
from pose3d_ros.research.detector_tuning import (
    DEFAULT,
    START,
    TUNED,
    DetectorTuning,
    LeftOut,
    TuningOptions,
    left_out,
    tune_detector,
    tuning_table,
    varied,
)
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.integral import IntegralPose, Joints
from pose3d_ros.research.samples import normalised
from pose3d_ros.skeletons import H36M_17

SIDE = 64
FRAMES = 40


def crops_of(found: Consensus, images: dict[str, np.ndarray]) -> ConsensusCrops:
    moments = [(int(stamp), images) for stamp in np.unique(found.stamps_ns)]
    return cut(found, RIG.names, moments, SIDE)


@pytest.fixture(scope="module")
def footage_of_walker() -> ConsensusCrops:
    """A walker, in images of noise."""
    recording = walking(frames=FRAMES, bias=False)
    random = np.random.default_rng(0)
    images = {one.name: random.integers(0, 256, (*one.size_wh[::-1], 3), dtype=np.uint8) for one in RIG.cameras}
    return crops_of(consensus(RIG, observations_2d(recording)), images)


def test_a_crop_shows_the_person_and_its_labels_in_the_middle() -> None:
    recording = walking(frames=1, bias=False)
    found = consensus(RIG, observations_2d(recording))
    images = {}
    for view, camera in enumerate(RIG.cameras):
        image = np.zeros((*camera.size_wh[::-1], 3), np.uint8)
        x, y = found.label[0, view, H36M_17.index("LAnkle")].round().astype(int)
        image[y - 20 : y + 21, x - 20 : x + 21] = 255
        images[camera.name] = image
    crops = crops_of(found, images)
    assert len(crops) == 4
    for view in range(4):
        ys, xs = np.nonzero(crops.image[view, ..., 0] > 127)
        ankle = crops.label[view, H36M_17.index("LAnkle")]
        np.testing.assert_allclose([xs.mean(), ys.mean()], ankle, atol=0.7)
        joints = crops.detected[view][np.isfinite(crops.detected[view, :, 0])]
        low, high = joints.min(axis=0), joints.max(axis=0)
        assert (high - low).max() == pytest.approx(SIDE / 1.25, rel=1e-6)
        np.testing.assert_allclose((low + high) / 2, SIDE / 2, atol=1e-6)
        # A pixel of the crop is as many px of the image as the same two joints are apart there.
        left, right = H36M_17.index("LAnkle"), H36M_17.index("Nose")
        apart = np.linalg.norm(found.label[0, view, left] - found.label[0, view, right])
        assert crops.image_px[view] * np.linalg.norm(crops.label[view, left] - crops.label[view, right]) == (
            pytest.approx(apart)
        )


@given(st.integers(0, 2**31), st.floats(6.0, 57.0), st.floats(6.0, 57.0))
@settings(max_examples=25, deadline=None)
def test_varied_crops_keep_their_joints_on_what_they_show(seed: int, x: float, y: float) -> None:
    image, column, row = np.zeros((2, SIDE, SIDE, 3), np.uint8), round(x), round(y)
    image[:, row, column] = 255
    label = np.full((2, 17, 2), np.nan)
    label[:, H36M_17.index("LWrist")] = column, row
    nothing = np.full((2, 17, 2), np.nan)
    crops = ConsensusCrops(image, label, nothing, nothing, np.ones(2), np.arange(2)).tensors(np.arange(2))
    found = varied(crops, torch.Generator().manual_seed(seed))
    for person in range(2):
        brightest = int(found.image[person].sum(dim=0).argmax())
        (joint,) = torch.nonzero(found.visible[person]).flatten().tolist()
        assert found.xy[person, joint].tolist() == [brightest % SIDE, brightest // SIDE]
        mirrored = H36M_17.joint_names[joint] == "RWrist"
        assert mirrored or H36M_17.joint_names[joint] == "LWrist"
        expected = SIDE - 1 - column if mirrored else column
        assert abs(brightest % SIDE - expected) <= 1  # 4 of 256 px
        assert abs(brightest // SIDE - row) <= 1


def test_labels_that_are_missing_or_outside_are_not_learned_from() -> None:
    label = np.full((1, 17, 2), np.nan)
    label[0, :3] = [[10, 10], [-3, 5], [SIDE + 2, 5]]
    image = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    crops = ConsensusCrops(image, label, label, label, np.ones(1), np.zeros(1, np.int64)).tensors(np.array([0]))
    assert crops.visible[0].tolist() == [True] + 16 * [False]
    assert not crops.has_depth.any()
    assert torch.equal(crops.image, normalised(torch.from_numpy(image)))


class TwoLayers(IntegralPose):
    """So small that it learns in a second."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        layers = torch.nn.Conv2d(3, 16, 12, 4, 4), torch.nn.ReLU(), torch.nn.Conv2d(16, 17, 3, 1, 1)
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> Joints:
        logits = 10 * self.layers(image)
        return Joints(logits, heads.to_pixels(heads.soft_argmax(logits), logits.shape[-1], image.shape[-1]), None)


def squares(count: int) -> ConsensusCrops:
    """Black crops with a white square, in whose middle all joints are."""
    random = np.random.default_rng(0)
    image, middle = np.zeros((count, SIDE, SIDE, 3), np.uint8), random.integers(12, SIDE - 12, (count, 2))
    for one, (x, y) in zip(image, middle, strict=True):
        one[y - 5 : y + 6, x - 5 : x + 6] = 255
    label = np.repeat(middle[:, None].astype(float), 17, axis=1)
    moments = 50_000_000 * np.arange(count)
    return ConsensusCrops(image, label, label, label + np.array([3.0, 0.0]), np.full(count, 2.0), moments)


def test_a_network_learns_where_the_cameras_agree_and_is_judged_on_other_moments() -> None:
    crops = squares(128)
    torch.manual_seed(0)
    start = TwoLayers().eval()
    before = {name: value.clone() for name, value in start.state_dict().items()}
    tuning = tune_detector(start, crops, TuningOptions(epochs=12, batch_size=8, rate=1e-2))
    assert not tuning.why_not
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    held_out = tuning.held_out
    assert held_out[TUNED].median_px < 0.5 * held_out[START].median_px
    assert held_out[DEFAULT] == LeftOut(6.0, 6.0, held_out[START].joints)  # 3 px of the crop
    assert tuning.crops + held_out[START].joints / 17 < len(crops)  # gaps between the stretches
    assert [row[0] for row in tuning_table(tuning).rows] == [START, TUNED, DEFAULT]


def test_distances_are_in_pixels_of_the_image() -> None:
    others = np.zeros((2, 17, 2))
    joints = np.zeros((2, 17, 2))
    joints[0, 0], joints[1, 0] = (3.0, 4.0), (6.0, 8.0)
    counts = np.zeros((2, 17), dtype=bool)
    counts[:, 0] = True
    crops = ConsensusCrops(
        np.zeros((2, 8, 8, 3), np.uint8), others, others, others, np.array([2.0, 0.5]), np.arange(2)
    )  # fmt: skip
    assert left_out(crops, joints, counts) == LeftOut(median_px=7.5, mean_px=7.5, joints=2)
    with pytest.raises(InputError, match="no joint in the held-out stretches"):
        left_out(crops, joints, np.zeros((2, 17), dtype=bool))


@pytest.mark.parametrize(
    ("tuned", "better"), [((9.0, 11.0), True), ((9.0, 12.0), False), ((10.0, 11.0), False), ((12.0, 14.0), False)]
)
def test_both_figures_must_fall(tuned: tuple[float, float], better: bool) -> None:
    figures = {START: LeftOut(10.0, 12.0, 9), TUNED: LeftOut(*tuned, 9), DEFAULT: LeftOut(1.0, 1.0, 9)}
    why_not = DetectorTuning(IntegralPose(18, width=2, deconvolution=2), 1, figures).why_not
    assert (why_not == "") == better
    if not better:
        assert "expected both to fall" in why_not


def test_recordings_are_joined_one_after_the_other(footage_of_walker: ConsensusCrops) -> None:
    both = joined([footage_of_walker, footage_of_walker])
    assert len(both) == 2 * len(footage_of_walker)
    first, second = np.split(both.stamps_ns, 2)
    assert second.min() > first.max()
    np.testing.assert_array_equal(second - second.min(), first - first.min())


def test_short_recordings_are_rejected(footage_of_walker: ConsensusCrops) -> None:
    with pytest.raises(InputError, match="images of people to learn from"):
        tune_detector(IntegralPose(18, width=2, deconvolution=2), footage_of_walker.select(np.arange(24)))


def test_people_whom_no_three_cameras_see_are_rejected() -> None:
    recording = walking(frames=2, bias=False)
    found = consensus(RIG, observations_2d(recording))
    nothing = np.full_like(found.label, np.nan)
    unlabelled = Consensus(found.stamps_ns, found.ids, found.detected, nothing, nothing, found.boxes)
    with pytest.raises(InputError, match="three cameras agree on"):
        cut(unlabelled, RIG.names, [], SIDE)
    with pytest.raises(InputError, match="no moment in common"):
        cut(found, RIG.names, [], SIDE)
