"""Recipes give the published networks, and refuse what is not one."""

import pytest
import torch

from pose3d_ros.errors import InputError
from pose3d_ros.networks.build import build
from pose3d_ros.networks.cvugcn import CvUgcn
from pose3d_ros.networks.lifter import AbsPoseLifter
from pose3d_ros.networks.posern import PoseRN
from pose3d_ros.networks.residual_mlp import LifterMlp, MlpRefiner, ResidualMlp

CVUGCN = {"network": "cvugcn", "width": 128, "form": "paper", "views": 2, "without": []}
LIFTER = {"network": "lifter", "form": "paper", "dropout": 0.5, "width": 1024, "without": []}
POSERN = {"network": "posern", "width": 1024}


def millions(recipe, device="meta"):  # shapes without memory
    with torch.device(device):
        return sum(parameter.numel() for parameter in build(recipe).parameters()) / 1e6


def test_cvugcn_has_the_published_size_in_the_papers_form():
    assert 4 * millions(CVUGCN, "cpu") == pytest.approx(18.3, abs=0.1)  # MB; the paper's is 20


@pytest.mark.parametrize(("width", "size"), [(1024, 4.3), (4096, 67.5)])
def test_lifter_has_its_size_at_both_widths(width, size):
    assert millions(LIFTER | {"width": width}) == pytest.approx(size, abs=0.1)


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (CVUGCN, CvUgcn), (CVUGCN | {"baseline": True}, MlpRefiner), (LIFTER, AbsPoseLifter),
        (LIFTER | {"baseline": True}, LifterMlp), (POSERN, PoseRN), (POSERN | {"baseline": True}, ResidualMlp),
    ],
)  # fmt: skip
def test_recipe_gives_its_kind_of_network(recipe, kind):
    assert type(build(recipe | {"width": 16})) is kind


def test_ablations_rebuild_from_the_recipe():
    options = build(CVUGCN | {"width": 8, "without": ["spatial"]}).options
    assert (options.spatial, options.cross_view, options.stems) == (False, True, "separate")
    assert not build(CVUGCN | {"width": 8, "without": ["view"]}).options.cross_view
    assert build(CVUGCN | {"width": 8, "without": ["stems"], "views": 3}).options.stems == "none"
    assert build(CVUGCN | {"width": 8, "form": "rig"}).options.stems == "shared"
    lifter = build(LIFTER | {"width": 8, "without": ["location"]}).options
    assert (lifter.location, lifter.scale) == (False, True)
    assert not build(LIFTER | {"width": 8, "without": ["scale"]}).options.scale


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "use posern, cvugcn or lifter"),
        ({"network": ["cvugcn"]}, "use posern, cvugcn or lifter"),
        (CVUGCN | {"form": "other"}, "expected one of paper, pair, rig"),
        (CVUGCN | {"form": ["rig"]}, "expected one of paper, pair, rig"),
        (CVUGCN | {"views": 10**9}, "whole number from 1 to 16"),
        (LIFTER | {"width": 10**9}, "whole number from 1 to 8192"),
        (LIFTER | {"width": "wide"}, "whole number"),
        (LIFTER | {"without": None}, "list of names"),
    ],
)
def test_invalid_recipe_is_rejected(recipe, message):
    with pytest.raises(InputError, match=message):
        build(recipe)
