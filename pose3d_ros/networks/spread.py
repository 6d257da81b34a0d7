"""Covariances of the joints of a refined or a lifted pose (torch, float64; REFINED in NumPy too).

REFINED (CV-UGCN). A joint has two sources: its own triangulation, with covariance C, and the rest of the body, whose
position has the covariance of all triangulations together, B = (sum of C^-1)^-1, and in which the joint is known to q:

    S = scale (1 + m^2 lack)^2 ((C^-1 / own^2 + (body^2 B + q^2 I)^-1)^-1 + floor^2 I)

So a stereo head's refined joints are as uncertain along the depth as the body's position, and a joint of a wide pair of
cameras has the uncertainty of body and triangulation together. m is the share of the person's missing joints, which
increases the uncertainty of all. A joint that was not triangulated has only the body, n bones away from the nearest
triangulated joint:

    S = guessed_scale (1 + m^2 lack)^2 (body^2 B + (n guess)^2 I)

MONOCULAR (AbsPoseLifter), at a distance r along the unit ray u; missing joints increase the uncertainty of
the whole person's depth, and unseen is 0 for a detected joint:

    S = scale ((along^2 + (depth^2 + (m lack)^2) r^2) u u^T + (across^2 + (sight r)^2) (I - u u^T) + unseen^2 I)

The figures (dimensionless, or m; per joint, or one for all) are fitted by training/spread.py and stored with the
weights. NaN for a joint that the network was not trained on (CV-UGCN's HeadTop).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from pose3d_ros.errors import InputError
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

J = H36M_17.size
REFINED = ("own", "body", "q", "floor", "guess", "lack", "scale", "guessed_scale")
LIFTED = ("along", "depth", "lack", "depth_known", "lack_known", "across", "sight", "unseen", "scale", "scale_known")
SEEN = [joint for joint in range(J) if joint != H36M_17.index("HeadTop")]  # what detectors give, derived ones too
SMALLEST = 1e-12  # m^2, keeps an inverse finite: 1 um


def bones_between() -> Tensor:
    """(J, J) bones on the way from joint to joint of h36m_17."""
    steps = torch.full((J, J), torch.inf, dtype=torch.float64)
    steps.fill_diagonal_(0.0)
    for a, b in H36M_17.bones:
        steps[a, b] = steps[b, a] = 1.0
    for middle in range(J):  # Floyd and Warshall
        steps = torch.minimum(steps, steps[:, middle, None] + steps[None, middle, :])
    return steps


STEPS = bones_between()


def refined_covariance(spread: Mapping[str, Tensor], triangulated: Tensor) -> Tensor:
    """Covariances (..., J, 3, 3) m^2 of a refined pose, in the frame of `triangulated`.

    triangulated (..., J, 3, 3) m^2: of the triangulation that was refined, NaN for a joint without one. A person
    without any triangulated joint gets NaN. Raises InputError for figures of another network.
    """
    figures = _figures(spread, REFINED)
    given = triangulated.to(torch.float64)
    present = torch.isfinite(given).all(dim=-1).all(dim=-1)  # (..., J)
    eye = torch.eye(3, dtype=torch.float64)
    solid = torch.where(present[..., None, None], given, eye)
    information = torch.where(present[..., None, None], torch.linalg.inv(solid + SMALLEST * eye), 0.0)
    any_present = present.any(dim=-1)[..., None, None]
    place = torch.linalg.inv(torch.where(any_present, information.sum(dim=-3), eye))  # B (..., 3, 3)
    by_body = _each(figures["body"] ** 2) * place[..., None, :, :]
    prior = by_body + _isotropic(figures["q"])
    fused = torch.linalg.inv(information / _each(figures["own"] ** 2) + torch.linalg.inv(prior))
    own = _each(figures["scale"]) * (fused + _isotropic(figures["floor"]))
    bones = torch.where(present[..., None, :], STEPS, torch.inf).amin(dim=-1)  # (..., J)
    bones = torch.where(torch.isfinite(bones), bones, 1.0)
    guessed = _each(figures["guessed_scale"]) * (by_body + _isotropic(bones * figures["guess"]))
    found = torch.where(present[..., None, None], own, guessed)
    found = _each((1.0 + _missing(present) ** 2 * figures["lack"]) ** 2) * found
    return torch.where(any_present[..., None], found, torch.nan)


def refined_covariance_in_numpy(spread: Mapping[str, Tensor]) -> Callable[[Floats], Floats]:
    """refined_covariance of one network's figures for arrays: for one person most of torch's time is overhead."""
    own, body, q, floor, guess, lack, scale, guessed_scale = (
        _figures(spread, REFINED)[name].numpy()[..., None, None] for name in REFINED
    )
    eye, steps = np.eye(3), STEPS.numpy()

    def covariance(triangulated: Floats) -> Floats:
        present = np.asarray(np.isfinite(triangulated).all(axis=(-1, -2)))  # (..., J)
        there, any_present = present[..., None, None], np.asarray(present.any(axis=-1))[..., None, None]
        information = np.where(there, np.linalg.inv(np.where(there, triangulated, eye) + SMALLEST * eye), 0.0)
        place = np.linalg.inv(np.where(any_present, information.sum(axis=-3), eye))
        by_body = body**2 * place[..., None, :, :]
        fused = np.linalg.inv(information / own**2 + np.linalg.inv(by_body + q**2 * eye))
        bones = np.where(present[..., None, :], steps, np.inf).min(axis=-1)
        bones = np.where(np.isfinite(bones), bones, 1.0)[..., None, None]
        guessed = guessed_scale * (by_body + (bones * guess) ** 2 * eye)
        missing = 1.0 - np.asarray(present[..., SEEN].mean(axis=-1))[..., None, None, None]
        found = (1.0 + missing**2 * lack) ** 2 * np.where(there, scale * (fused + floor**2 * eye), guessed)
        return np.where(any_present[..., None], found, np.nan)

    return covariance


def lifted_covariance(
    spread: Mapping[str, Tensor], xyz: Tensor, seen: Tensor | None = None, *, height_known: bool = False
) -> Tensor:
    """Covariances (..., J, 3, 3) m^2 of a lifted pose xyz (..., J, 3) m, both in the camera's frame.

    seen (..., J): joints that the detector gave (without it: all). height_known: the pose was scaled to the person's
    own height, so the depth is surer. NaN where xyz is NaN. Raises InputError for figures of another network.
    """
    figures = _figures(spread, LIFTED)
    placed = torch.isfinite(xyz).all(dim=-1)
    points = torch.where(placed[..., None], xyz.to(torch.float64), 1.0)
    reach = points.norm(dim=-1).clamp(min=1e-6)  # (..., J) m
    ray = points / reach[..., None]
    outer = ray[..., :, None] * ray[..., None, :]
    known = "_known" if height_known else ""
    given = torch.ones_like(placed) if seen is None else seen
    depth = figures[f"depth{known}"] ** 2 + (_missing(given) * figures[f"lack{known}"]) ** 2
    along = figures["along"] ** 2 + depth * reach**2
    across = figures["across"] ** 2 + (figures["sight"] * reach) ** 2
    unseen = torch.where(given, 0.0, figures["unseen"])
    eye = torch.eye(3, dtype=torch.float64)
    found = along[..., None, None] * outer + across[..., None, None] * (eye - outer) + _isotropic(unseen)
    return torch.where(placed[..., None, None], _each(figures[f"scale{known}"]) * found, torch.nan)


def check(spread: Mapping[str, Tensor], names: tuple[str, ...]) -> None:
    """Raise InputError if figures are not those of names, REFINED or LIFTED; none at all are valid."""
    if not spread:
        return
    for name, figure in _figures(spread, names).items():
        # HeadTop's may be NaN: it has no labels in training.
        if tuple(figure.shape) not in ((), (1,), (J,)) or not bool(torch.isfinite(figure.expand(J)[SEEN]).all()):
            raise InputError(
                f"the covariance figure {name!r} of the weights is {figure.flatten()[:3].tolist()}... of shape "
                f"{tuple(figure.shape)}, expected {J} finite numbers, or one: train the network again"
            )


def _figures(spread: Mapping[str, Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
    lacking = [name for name in names if name not in spread]
    if lacking:
        raise InputError(
            f"the weights have no covariance figure {lacking[0]!r}: train the network again with this version, or use "
            "a shipped one"
        )
    return {name: spread[name].to(torch.float64) for name in names}


def _missing(present: Tensor) -> Tensor:
    """m: the share (..., 1) of missing joints among a person's joints (..., J) that detectors give."""
    return 1.0 - present[..., SEEN].double().mean(dim=-1, keepdim=True)


def _each(figure: Tensor) -> Tensor:
    return figure[..., None, None]


def _isotropic(std: Tensor) -> Tensor:
    """std (...) m -> (..., 3, 3) m^2."""
    return std[..., None, None] ** 2 * torch.eye(3, dtype=torch.float64)
