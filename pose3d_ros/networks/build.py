"""Builds the untrained network of a recipe of plain values (torch).

Recipes come from checkpoints and weight files too, so nothing in them is trusted: every fault is an InputError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from pose3d_ros.errors import InputError
from pose3d_ros.networks.cvugcn import CvUgcn, CvUgcnOptions
from pose3d_ros.networks.lifter import DROPOUT as LIFTER_DROPOUT
from pose3d_ros.networks.lifter import AbsPoseLifter, LifterOptions
from pose3d_ros.networks.posern import DROPOUT, PoseRN
from pose3d_ros.networks.refiner import FEATURES
from pose3d_ros.networks.residual_mlp import LifterMlp, MlpRefiner, ResidualMlp
from pose3d_ros.skeletons import H36M_17

J = H36M_17.size
NETWORKS = ("posern", "cvugcn", "lifter")
# Four times CV-UGCN's published width, twice the lifter's, many cameras: larger files are not ours.
MAX_WIDTH = {"posern": 8192, "cvugcn": 512, "lifter": 8192}
MAX_VIEWS = 16
# The lifter as published, and as the nodes use it: joints missing, any focal length, an optional height.
LIFTER_FORMS = ("paper", "any")


def build(recipe: Mapping[str, Any]) -> nn.Module:
    """The untrained network of a recipe; raises InputError for an unknown or broken one.

    Keys: network (posern, cvugcn, lifter), width, baseline; of cvugcn also form, views and without (spatial, view,
    stems), of lifter also without (location, scale), form (paper, any) and dropout. Other keys are the training's and
    are not read.
    """
    kind, baseline = recipe.get("network"), bool(recipe.get("baseline"))
    if kind not in NETWORKS:
        raise InputError(f"there is no network {kind!r}: use {', '.join(NETWORKS[:-1])} or {NETWORKS[-1]}")
    width = _number(recipe, "width", 0 if kind == "cvugcn" and baseline else 1, MAX_WIDTH[kind])
    if kind == "posern":
        dropout = _dropout(recipe, DROPOUT)
        return ResidualMlp(6 * J, 2 * J, width, dropout=dropout) if baseline else PoseRN(width, dropout)
    without = _without(recipe)
    if kind == "lifter":
        chosen = _lifter(recipe, width, without)
        return LifterMlp(chosen) if baseline else AbsPoseLifter(chosen)
    form, views = recipe.get("form"), _number(recipe, "views", 1, MAX_VIEWS)
    if not isinstance(form, str) or form not in FEATURES:
        raise InputError(f"recipe: form is {form!r}, expected one of {', '.join(FEATURES)}")
    if baseline:
        return MlpRefiner(views, FEATURES[form])
    stems = "none" if "stems" in without else "shared" if form == "rig" else "separate"
    return CvUgcn(
        CvUgcnOptions(
            views=views, features=FEATURES[form], widths=(width, 2 * width, 4 * width),
            stems=stems, spatial="spatial" not in without, cross_view="view" not in without,
        )
    )  # fmt: skip


def _lifter(recipe: Mapping[str, Any], width: int, without: list[str]) -> LifterOptions:
    form = recipe.get("form")
    if form not in LIFTER_FORMS:
        raise InputError(f"recipe: form is {form!r}, expected one of {', '.join(LIFTER_FORMS)}")
    ours = form == "any"
    return LifterOptions(
        width, "location" not in without, "scale" not in without, mask=ours, height=ours, any_focal=ours,
        dropout=_dropout(recipe, LIFTER_DROPOUT),
    )  # fmt: skip


def _dropout(recipe: Mapping[str, Any], default: float) -> float:
    value = recipe.get("dropout", default)
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise InputError(f"recipe: dropout is {value!r}, expected a share from 0 to below 1")
    return float(value)


def _number(recipe: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = recipe.get(key)
    if not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"recipe: {key} is {value!r}, expected a whole number from {least} to {most}")
    return value


def _without(recipe: Mapping[str, Any]) -> list[str]:
    value = recipe.get("without")
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(f"recipe: without is {value!r}, expected a list of names, or an empty one")
    return value
