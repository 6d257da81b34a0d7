"""Covariances of refined and lifted poses, against what they must be in simple cases."""

import pytest
import torch

from pose3d_ros.errors import InputError
from pose3d_ros.networks.spread import LIFTED, REFINED, bones_between, check, lifted_covariance, refined_covariance
from pose3d_ros.skeletons import H36M_17

J = H36M_17.size
EYE = torch.eye(3, dtype=torch.float64)
HEAD_TOP = H36M_17.index("HeadTop")


def figures(names, **given):
    start = {name: 1.0 if "scale" in name or name in ("own", "body") else 0.0 for name in names}
    return {name: torch.full((J,), given.get(name, value), dtype=torch.float64) for name, value in start.items()} | {
        name: torch.tensor([given.get(name, 1.0)], dtype=torch.float64) for name in ("own", "body") if name in names
    }


def alike(covariance):
    return covariance.expand(J, 3, 3).clone()


def std(covariance):
    return covariance.diagonal(dim1=-2, dim2=-1).sqrt()


def rotation(seed=0):
    torch.manual_seed(seed)
    return torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]


def anything(people=4, seed=1):
    """Positive definite covariances (people, J, 3, 3) m^2 of some cm."""
    torch.manual_seed(seed)
    half = 0.02 * torch.randn(people, J, 3, 3, dtype=torch.float64)
    return half @ half.transpose(-1, -2) + 1e-5 * EYE


def test_bones_between_joints_are_counted_along_the_skeleton():
    steps = bones_between()
    at = H36M_17.index
    assert steps[at("RAnkle"), at("RKnee")] == 1
    assert steps[at("RAnkle"), at("LAnkle")] == 6
    assert steps[at("LWrist"), at("Pelvis")] == 5
    torch.testing.assert_close(steps, steps.T)


def test_without_a_body_prior_covariance_is_that_of_triangulation():
    given = anything()
    torch.testing.assert_close(refined_covariance(figures(REFINED, q=1e3), given), given, rtol=1e-4, atol=1e-9)


def test_known_rigid_body_has_the_covariance_of_all_joints_together():
    found = refined_covariance(figures(REFINED, q=1e-9), alike(0.03**2 * EYE))
    # Its own triangulation is in the body's place already; counted twice it is J + 1 of J.
    torch.testing.assert_close(std(found), torch.full((J, 3), 0.03 / (J + 1) ** 0.5, dtype=torch.float64))


def test_triangulation_and_body_are_fused_by_their_information():
    found = refined_covariance(figures(REFINED, q=0.02, floor=0.005, own=2.0, scale=1.5), alike(0.03**2 * EYE))
    prior = 0.03**2 / J + 0.02**2
    expected = 1.5 * (1 / (1 / (4 * 0.03**2) + 1 / prior) + 0.005**2)
    torch.testing.assert_close(found, alike(expected * EYE))


def test_stereo_heads_depth_gains_and_its_image_plane_stays():
    given = alike(torch.diag(torch.tensor([0.004, 0.004, 0.2], dtype=torch.float64) ** 2))
    x, y, z = std(refined_covariance(figures(REFINED, q=0.03), given)[0])
    assert 0.0035 < x < 0.004
    assert y == pytest.approx(float(x))
    assert 0.2 / J**0.5 < z < 0.06


def test_refining_never_makes_a_joint_less_sure_than_its_triangulation():
    given = anything(50)
    gain = given - refined_covariance(figures(REFINED, q=0.02), given)
    assert torch.linalg.eigvalsh(gain).min() > -1e-12


def test_rotated_rig_gives_rotated_covariances():
    given, turn = anything(), rotation()
    one = figures(REFINED, q=0.02, floor=0.004, guess=0.1)
    given[0, 3] = torch.nan
    expected = turn @ refined_covariance(one, given) @ turn.T
    torch.testing.assert_close(refined_covariance(one, turn @ given @ turn.T), expected)


def test_guessed_joint_is_less_sure_the_more_bones_away_the_body_is():
    given = alike(0.01**2 * EYE)
    arm = [H36M_17.index(name) for name in ("LShoulder", "LElbow", "LWrist")]
    given[arm] = torch.nan
    found = refined_covariance(figures(REFINED, q=0.02, guess=0.1), given)
    place = 0.01**2 / (J - 3)
    for bones, joint in enumerate(arm, start=1):
        torch.testing.assert_close(found[joint], (place + (0.1 * bones) ** 2) * EYE)


def test_missing_joints_make_the_others_less_sure():
    given = alike(0.02**2 * EYE)
    given[[4, 5, 6, 11]] = torch.nan
    plain, lacking = (refined_covariance(figures(REFINED, q=0.02, lack=lack), given) for lack in (0.0, 0.8))
    torch.testing.assert_close(lacking[0], plain[0] * (1 + 0.8 * (4 / 16) ** 2) ** 2)


def test_person_without_triangulation_and_joint_without_figures_are_nan():
    one = figures(REFINED, q=0.02, guess=0.1)
    one["scale"][HEAD_TOP] = one["guessed_scale"][HEAD_TOP] = torch.nan
    given = torch.stack((alike(1e-4 * EYE), torch.full((J, 3, 3), torch.nan, dtype=torch.float64)))
    found = refined_covariance(one, given)
    assert torch.isnan(found[1]).all()
    assert torch.isnan(found[0, HEAD_TOP]).all()
    assert torch.isfinite(found[0, :HEAD_TOP]).all()


def test_joint_without_any_error_stays_finite():
    found = refined_covariance(figures(REFINED, q=0.02, floor=0.001), torch.zeros(J, 3, 3))
    assert torch.isfinite(found).all()
    assert torch.linalg.eigvalsh(found).min() > 0.9e-6


def test_lifted_joint_is_unsure_along_its_ray_in_proportion_to_the_distance():
    xyz = torch.zeros(2, J, 3, dtype=torch.float64)
    xyz[..., 0], xyz[..., 2] = 1.0, 3.0
    xyz[1] *= 2.0
    found = lifted_covariance(figures(LIFTED, depth=0.05, along=0.1, across=0.02), xyz)
    ray = xyz[0, 0] / xyz[0, 0].norm()
    for row, distance in enumerate((10**0.5, 2 * 10**0.5)):
        values, vectors = torch.linalg.eigh(found[row, 5])
        expected = torch.tensor([0.02**2, 0.02**2, 0.1**2 + (0.05 * distance) ** 2], dtype=torch.float64)
        torch.testing.assert_close(values, expected)
        assert abs(float(vectors[:, 2] @ ray)) == pytest.approx(1.0)


def test_known_height_makes_depth_surer_and_unseen_joints_make_it_less_sure():
    xyz = torch.tensor([0.0, 0.0, 4.0]).expand(1, J, 3)
    one = figures(LIFTED, depth=0.08, depth_known=0.01, lack=0.2, unseen=0.3, across=0.01)
    seen = torch.ones(1, J, dtype=torch.bool)
    seen[0, HEAD_TOP] = False  # no detector gives it: it carries no information
    plain = std(lifted_covariance(one, xyz, seen))[0, 0, 2]
    assert float(plain) == pytest.approx(0.32)
    assert float(std(lifted_covariance(one, xyz, seen, height_known=True))[0, 0, 2]) == pytest.approx(0.04)
    seen[0, H36M_17.index("LWrist")] = False
    some = std(lifted_covariance(one, xyz, seen))
    assert float(some[0, 0, 2]) == pytest.approx((0.32**2 + (4 * 0.2 / 16) ** 2) ** 0.5)
    assert float(some[0, H36M_17.index("LWrist"), 0]) == pytest.approx((0.3**2 + 0.01**2) ** 0.5)


def test_person_who_was_not_lifted_has_no_covariance():
    xyz = torch.full((2, J, 3), torch.nan)
    xyz[0] = 2.0
    found = lifted_covariance(figures(LIFTED, across=0.1, along=0.1), xyz)
    assert torch.isfinite(found[0]).all()
    assert torch.isnan(found[1]).all()


@pytest.mark.parametrize("spread", [{}, figures(LIFTED)])
def test_figures_of_another_network_are_rejected(spread):
    with pytest.raises(InputError, match="'own'"):
        refined_covariance(spread, anything())


def test_figures_may_be_unknown_for_the_top_of_the_head_alone():
    known = figures(REFINED, q=0.02)
    check(known, REFINED)
    check({}, REFINED)
    for joint, wrong in ((HEAD_TOP, False), (H36M_17.index("LWrist"), True)):
        scale = known["scale"].clone()
        scale[joint] = torch.nan
        if wrong:
            with pytest.raises(InputError, match=r"covariance figure 'scale' .* expected 17 finite numbers"):
                check({**known, "scale": scale}, REFINED)
        else:
            check({**known, "scale": scale}, REFINED)
