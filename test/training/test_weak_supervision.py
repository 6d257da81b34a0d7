from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_motion import simulated_views
from trained_for_tests import Identity

from pose3d_ros.errors import InputError
from pose3d_ros.networks.cvugcn import CvUgcn, CvUgcnOptions
from pose3d_ros.networks.refiner import refine, refined_views
from pose3d_ros.networks.rig_features import (
    PAIR_FEATURES,
    RIG_FEATURES,
    Sight,
    pair_input,
    paper_input,
    rig_frame,
    rig_input,
    transformed,
)
from pose3d_ros.networks.rig_features import inverted as inverse
from pose3d_ros.simulation.simulated_rigs import SimulatedRig, side_views, simulated_rig
from pose3d_ros.simulation.views import GIVEN, SimulatedViews, with_cameras
from pose3d_ros.training.losses import LossWeights, reprojection_loss
from pose3d_ros.training.refinement import (
    GUESSED_WEIGHT,
    SIGHT,
    RefinementData,
    joined,
    refinement_data,
    refinement_loss,
)

FORMS = {"paper": CvUgcnOptions(widths=(8, 16, 32)),
         "pair": CvUgcnOptions(widths=(8, 16, 32), features=PAIR_FEATURES),
         "rig": CvUgcnOptions(widths=(8, 16, 32), stems="shared", features=RIG_FEATURES)}  # fmt: skip


SMALL = 1e-4 * torch.eye(3)  # m^2: joints known to 1 cm


def views(one: SimulatedRig, people: int = 6, sigma_px: float = 4.0) -> SimulatedViews:
    return simulated_views(one, people, sigma_px, annotation_px=0.0)


def pair() -> SimulatedRig:
    return simulated_rig("h36m", 0, held_out=False).pair("P1")


def sight(data: RefinementData) -> Sight:
    return Sight(*(getattr(data, name) for name in SIGHT))


def moved(data: Sight, turn: torch.Tensor, shift: torch.Tensor) -> Sight:
    """Cameras and person together elsewhere in the world."""
    new_from_old = torch.eye(4)
    new_from_old[:3, :3], new_from_old[:3, 3] = turn, shift
    return data._replace(
        coarse=transformed(new_from_old, data.coarse), cam_from_world=data.cam_from_world @ inverse(new_from_old)
    )


@pytest.mark.parametrize("form", FORMS)
def test_training_never_reads_a_true_pose(form):
    """The same batches, loss and gradients when the truth is taken out of the data."""
    whole = views(pair())
    blind = replace(whole, truth=np.full_like(whole.truth, np.nan), true_px=np.full_like(whole.true_px, np.nan))
    losses = []
    for one in (whole, blind):
        torch.manual_seed(0)
        net = CvUgcn(FORMS[form])
        loss = refinement_loss(form, LossWeights())(net, refinement_data(one, 2)._asdict())
        loss.backward()
        losses.append((loss.item(), sum(p.grad.abs().sum().item() for p in net.parameters())))
    assert np.isfinite(losses).all()
    assert losses[0] == losses[1]
    assert "truth" not in " ".join(RefinementData._fields)


def test_without_noise_the_truth_has_no_loss_and_a_moved_pose_has():
    data = refinement_data(views(pair(), sigma_px=0.0), 2)
    loss_of = refinement_loss("pair", LossWeights(symmetry=0.0))  # the made-up body sways: it is not symmetric
    assert loss_of(Identity(), data._asdict()).item() == pytest.approx(
        0.0, abs=1e-6
    )  # 1 mm: a mean of pixels is not the mean's pixel
    shifted = data._replace(coarse=data.coarse + torch.tensor([0.0, 0.0, 0.05]))
    # 5 cm upwards, seen by two level cameras at 4-6 m: about 5 cm at the reference depth of 5 m
    assert loss_of(Identity(), shifted._asdict()).item() == pytest.approx(0.05**2, rel=0.5)


@pytest.mark.parametrize("form", FORMS)
def test_network_that_does_nothing_gives_back_the_coarse_pose(form):
    data = refinement_data(views(pair()), 2)
    found = refine(Identity(), sight(data), form)
    torch.testing.assert_close(found[:, GIVEN], data.coarse[:, GIVEN], atol=2e-5, rtol=0)
    assert torch.isfinite(found).all()


def test_labels_of_further_cameras_see_depth_that_a_stereo_head_does_not():
    head = simulated_rig("head530", 0, held_out=False)
    seen = views(with_cameras(head, side_views(head, 0, held_out=False)), sigma_px=0.0)
    data = refinement_data(seen, 2)
    assert data.observed.shape[1] == 2
    assert data.labels.shape[1] == 4
    away = data._replace(coarse=data.coarse * torch.tensor([1.05, 1.05, 1.0]))  # the head looks along x
    alone = away._replace(
        **{name: getattr(away, name)[:, :2] for name in ("labels", "label_weight", "label_cam_from_world")}
    )
    loss_of = refinement_loss("rig", LossWeights(symmetry=0.0))
    with_sides, without = (loss_of(Identity(), one._asdict()).item() for one in (away, alone))
    assert with_sides > 10 * without


def test_own_keypoints_can_be_the_labels():
    data = refinement_data(views(pair()), 2, labels="detected")
    torch.testing.assert_close(data.labels, data.observed, equal_nan=True)
    own = transformed(data.cam_from_world, data.coarse[:, None].expand(-1, 2, -1, -1))
    assert reprojection_loss(own, data.labels, data.label_weight).item() < 1e-3


def test_rigs_are_joined_and_a_single_camera_is_rejected():
    seen = views(pair())
    two = joined([refinement_data(seen, 2), refinement_data(seen, 2)])
    assert two.coarse.shape == (12, 17, 3)
    with pytest.raises(InputError, match="two at least"):
        refinement_data(seen, 1)


def test_rig_form_does_not_depend_on_where_the_world_s_origin_lies():
    torch.manual_seed(0)
    angle = torch.tensor(1.1)
    turn = torch.tensor([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0], [0, 0, 1.0]])
    here = sight(refinement_data(views(pair()), 2))
    there = moved(here, turn, torch.tensor([2.0, -1.0, 0.5]))
    torch.testing.assert_close(rig_input(here).features, rig_input(there).features, atol=2e-4, rtol=1e-3)
    assert not torch.allclose(paper_input(here).coarse[:, 0], paper_input(here).coarse[:, 1], atol=0.5)


def test_rig_frame_stands_on_the_person_upright_and_faces_as_the_person_does():
    data = sight(refinement_data(views(pair()), 2))
    frame = rig_frame(data, SMALL.expand(6, 17, 3, 3))
    torch.testing.assert_close(frame[:, :3, :3] @ frame[:, :3, :3].transpose(1, 2), torch.eye(3).expand(6, 3, 3))
    torch.testing.assert_close(torch.linalg.det(frame[:, :3, :3]), torch.ones(6))
    pose = transformed(frame, data.coarse)
    assert (pose[:, 9, 1] < pose[:, 3, 1]).all()  # y points down
    left = pose[:, [4, 11]].sum(dim=1) - pose[:, [1, 14]].sum(dim=1)
    assert (left[:, 0] < 0).all()  # x to the person's right
    torch.testing.assert_close(left[:, 2], torch.zeros(6), atol=1e-5, rtol=0)


def test_rig_frame_faces_away_from_the_cameras_if_the_heading_is_uncertain():
    data = sight(refinement_data(views(pair()), 2))
    frame = rig_frame(data, 1e4 * SMALL.expand(6, 17, 3, 3))
    centres = transformed(frame[:, None], inverse(data.cam_from_world)[..., None, :3, 3])[:, :, 0]
    assert (centres.mean(dim=1)[:, 2] < -1).all()
    assert (centres.mean(dim=1)[:, 0].abs() < 0.3 * centres.mean(dim=1)[:, 2].abs()).all()
    missing = data._replace(coarse=data.coarse.clone())
    missing.coarse[:, 4] = torch.nan  # a hip
    torch.testing.assert_close(
        rig_frame(missing, SMALL.expand(6, 17, 3, 3))[:, :3, :3], frame[:, :3, :3], atol=0.2, rtol=0
    )


def test_rig_form_turns_with_the_person():
    """A person turned about the vertical with cameras all around looks the same in the pose channels."""
    data = sight(refinement_data(views(pair()), 2))
    middle = data.coarse.nanmean(dim=1, keepdim=True)
    angle = torch.tensor(0.8)
    turn = torch.tensor([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0], [0, 0, 1.0]])
    level = data._replace(cam_from_world=level_cameras(data.cam_from_world))
    turned = level._replace(coarse=(level.coarse - middle) @ turn.T + middle)
    one, other = (rig_input(given).features[..., :3] for given in (level, turned))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def level_cameras(cam_from_world: torch.Tensor) -> torch.Tensor:
    """The same places, image-down along the world's -z, so that turning about z is turning about y."""
    centres = inverse(cam_from_world)[..., :3, 3]
    level = torch.zeros_like(cam_from_world)
    level[..., :3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    level[..., :3, 3] = -torch.einsum("ab,...b->...a", level[0, 0, :3, :3], centres)
    level[..., 3, 3] = 1.0
    return level


def test_joint_out_of_a_body_s_reach_counts_as_missing():
    data = sight(refinement_data(views(pair()), 2))
    far = data._replace(coarse=data.coarse.clone())
    far.coarse[:, 13] += 30.0
    gone = data._replace(coarse=data.coarse.clone())
    gone.coarse[:, 13] = torch.nan
    torch.testing.assert_close(rig_input(far).features, rig_input(gone).features)


def test_rig_features_show_the_weak_direction_of_a_stereo_head():
    head = simulated_rig("head530", 0, held_out=False)
    features = rig_input(sight(refinement_data(views(head, sigma_px=0.5), 2))).features
    first = 3 + 3 + 3 + 1 + 1 + 1  # behind pose, ray, residual, score, pixel and presence: log10 of standard deviations
    spread, ray = features[:, 0, 2, first : first + 3], features[:, 0, 2, 3:6].abs()
    weak, strong = (10**spread).amax(dim=-1), (10 ** spread[:, 1])  # some horizontal one, and up
    assert (weak > 3 * strong).all()
    assert (spread[:, [0, 2]].argmax(dim=-1) == ray[:, [0, 2]].argmax(dim=-1)).all()


def test_missing_joints_are_finite_everywhere():
    data = sight(refinement_data(views(pair()), 2))
    coarse, observed = data.coarse.clone(), data.observed.clone()
    coarse[:, [3, 6]] = float("nan")
    observed[:, :, [3, 6]] = float("nan")
    coarse[0] = float("nan")
    for form, options in FORMS.items():
        net = CvUgcn(options).eval()
        assert torch.isfinite(refined_views(net, data._replace(coarse=coarse, observed=observed), form)).all()


def test_labels_of_joints_that_must_be_guessed_weigh_less():
    seen = views(pair())
    hidden = seen.xy_px.copy()
    hidden[0, 0, 0, 3] = np.nan  # one ankle in one of two views
    weight = refinement_data(replace(seen, xy_px=hidden), 2).label_weight
    assert weight[0, 0, 3].item() == pytest.approx(GUESSED_WEIGHT * weight[0, 0, 2].item())
    assert weight[1, 0, 3] == weight[1, 0, 2]


def test_pair_features_are_place_and_shape_apart():
    data = sight(refinement_data(views(pair()), 2))
    features = pair_input(data).features
    torch.testing.assert_close(features[..., :3] + features[..., 3:], paper_input(data).coarse)
    assert features[..., :3].mean(dim=2).abs().max() < 1e-5
    assert (features[:, :, :1, 3:] == features[..., 3:]).all()
