"""People from one view: lifted by a network, and matched to the people who are known.

One view cannot separate a small person from a distant one. But while several cameras see a person, they measure how far
the network is off for that very person, and that is remembered. NumPy, float64; torch only inside the network.
Axes: T people known, G people seen now, J joints.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.errors import InputError, WeightsError, WeightsMissingError
from pose3d_ros.estimation.lifting import MIN_JOINTS, LiftedPeople, Refusal, lift
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.projection import project
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Floats, JointSource, Keypoints2D

if TYPE_CHECKING:
    from pose3d_ros.weights.trained import Loaded

CHOICES = ("auto", "never")
# A joint that no camera saw, only the network's idea of bodies puts there, is half as sure as the person's others.
UNSEEN_SHARE = 0.5
# A person is where the image shows it when the expected joints lie this near to the joints' rays, on average: as near
# as triangulated people are matched.
MATCH_M = 0.6
# While several cameras see people, one camera in turn is lifted too, so often: it takes some milliseconds.
LEARN_NS = 490_000_000
# A mean over so many of them: seconds, in which people turn and move.
MEMORY = 50
# Not of its state: the network is loaded again.
MADE_WITH = ("_choice", "_name", "_lifter", "_why_not")


class PersonLifter:
    """Lifts the people of one view, as far away as was learnt while others saw them too.

    choice auto: where the weights of a lifting network are there; never: people in one view have no pose. name as
    EstimatorOptions.lifter; a network that the user named must be there. lifter replaces it.
    """

    def __init__(self, choice: str = "auto", name: str = "", lifter: Loaded | None = None) -> None:
        self._choice, self._name = choice, name
        self._lifter = lifter if choice == "auto" else None
        self._why_not = "" if choice == "auto" else "monocular_fallback is never"
        self._log_ratio: dict[str, tuple[float, int]] = {}  # by id: mean log of true over lifted distance, of how many
        self._turns, self._learnt_ns = 0, 0

    def load(self) -> bool:
        """Load the network if it was not yet; whether there is one.

        Raises WeightsError or InputError where a network that the user named cannot be had.
        """
        if self._lifter is None and not self._why_not:
            try:
                self._lifter = load_lifter(self._name)
            except WeightsError as error:
                if self._name:
                    raise
                self._why_not = str(error)
        return self._lifter is not None

    def require(self) -> None:
        """Load the network now; raises WeightsError or InputError where it cannot be had."""
        if self._lifter is None:
            self._lifter, self._why_not = load_lifter(self._name), ""

    @property
    def described(self) -> str:
        """What it would do, in words, for /diagnostics."""
        if self._lifter is not None:
            return f"ready with {self._lifter.name}"
        return f"off: {self._why_not or 'no network was loaded yet'}"

    def reset(self) -> None:
        """Forget the size of all people."""
        self._log_ratio = {}

    def state_dict(self) -> dict[str, Any]:
        """What was learnt of people, and whether a network was loaded."""
        return {**state_of(self, MADE_WITH), "loaded": self._lifter is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state; raises as load() does."""
        own = dict(state)
        loaded = own.pop("loaded", False)
        load_state(self, own, MADE_WITH)
        if loaded:
            self.load()

    def learn(
        self,
        cameras: Sequence[Camera],
        people: Sequence[Keypoints2D],
        groups: NDArray[np.intp],
        names: Sequence[str],
        observed: Observed3D,
        stamp_ns: int,
    ) -> None:
        """Take in how far the network is off for people whom several cameras see; nothing where it is not loaded.

        people: h36m_17 by camera; groups (G, V): index of each observed person in each view, or -1; names (G): their
        ids, "" for none.
        """
        if self._lifter is None or 0 <= stamp_ns - self._learnt_ns < LEARN_NS:
            return
        self._learnt_ns = stamp_ns
        self._turns += 1
        view = self._turns % len(cameras)
        rows = [row for row, name in enumerate(names) if name and groups[row, view] >= 0]
        if not rows:
            return
        lifted = lift(cameras[view], people[view].select(groups[rows, view]), self._lifter)
        true = np.linalg.norm(observed.xyz[rows] - cameras[view].centre, axis=-1)
        ratio = true / np.linalg.norm(lifted.xyz, axis=-1)  # (G, J)
        for row, one in zip(rows, ratio, strict=True):
            if np.isfinite(one).sum() >= MIN_JOINTS:
                mean, count = self._log_ratio.get(names[row], (0.0, 0))
                count = min(count + 1, MEMORY)
                self._log_ratio[names[row]] = mean + (float(np.log(np.nanmedian(one))) - mean) / count, count

    def forget_all_but(self, names: Collection[str]) -> None:
        """Forget who is gone; ids do not come again."""
        self._log_ratio = {name: self._log_ratio[name] for name in names if name in self._log_ratio}

    def observe(
        self,
        camera: Camera,
        keypoints: Keypoints2D,
        names: Sequence[str],
        expected: Floats,
        height_m: float = 0.0,
        statures_m: Mapping[str, float] = MappingProxyType({}),
    ) -> tuple[Observed3D, NDArray[np.intp]]:
        """The 2D people (h36m_17) lifted into the rig's frame, and which ones these are, (G,).

        names and expected (T, J, 3) m say who is known, and where their joints are expected. height_m is all people's,
        0 where it is not known: then what was learnt of each counts, or else their stature, where their bones were.
        """
        assert self._lifter is not None, "load() says whether there is a network"
        lifted = lift(camera, keypoints, self._lifter, height_m or math.nan)
        placed = np.flatnonzero(lifted.refusal == Refusal.NONE)
        observed = observed_people(camera, keypoints.select(placed), lifted.select(placed))
        scale = np.ones(len(placed))
        for known, row in [] if height_m else matched_by_direction(camera.centre, expected, observed.xyz):
            name = names[known]
            if name in self._log_ratio:
                scale[row] = np.exp(self._log_ratio[name][0])
            elif name in statures_m:
                scale[row] = statures_m[name] / lifted.height_m[placed[row]]
        return replace(resized(observed, camera.centre, scale), rejected=lifted.refused), placed


def observed_people(camera: Camera, keypoints: Keypoints2D, lifted: LiftedPeople) -> Observed3D:
    """Lifted people in the rig's frame; keypoints (h36m_17) are theirs, and all were lifted.

    A joint's score is its 2D score; one that was not seen gets UNSEEN_SHARE of the person's mean and n_views 0.
    """
    shown = np.where(lifted.seen, keypoints.score, np.nan)
    mean = np.nanmean(shown, axis=-1, keepdims=True) if len(shown) else np.zeros((0, 1))
    world_from_cam = np.linalg.inv(camera.cam_from_world)
    R, t = world_from_cam[:3, :3], world_from_cam[:3, 3]
    xyz = np.asarray(lifted.xyz @ R.T + t)
    reprojected = project(camera, xyz)
    return Observed3D(
        xyz=xyz,
        covariance=np.asarray(R @ lifted.covariance @ R.T),
        score=np.where(lifted.seen, keypoints.score, UNSEEN_SHARE * mean),
        n_views=lifted.seen.astype(np.uint8),
        reprojection_px=np.asarray(np.linalg.norm(reprojected - keypoints.xy, axis=-1), dtype=np.float64),
        source=np.full(lifted.seen.shape, JointSource.MONOCULAR, dtype=np.uint8),
    )


def load_lifter(name: str = "") -> Loaded:
    """The lifting network of a shipped name or a file; "" means the one that is shipped.

    Raises WeightsMissingError, WeightsCorruptError, or InputError for a network that lifts nothing or whose figures of
    covariance are not a lifter's.
    """
    from pose3d_ros.weights.trained import TRAINED, load

    shipped = [one.name for one in TRAINED if one.network == "lifter"]
    if not name and not shipped:
        raise WeightsMissingError("this installation ships no network that lifts: name your own .safetensors file")
    loaded = load(name or shipped[0])
    # Imported late: it brings torch.
    from pose3d_ros.networks.spread import LIFTED, check

    kind = loaded.recipe.get("network")
    if kind != "lifter":
        known = " or ".join((*shipped, "a .safetensors file of `pose3d train lifter`"))
        raise InputError(f"{name!r} holds the network {kind!r}, which lifts nothing: use {known}")
    check(loaded.spread, LIFTED)
    return loaded


def matched_by_direction(centre: Floats, expected: Floats, xyz: Floats) -> list[tuple[int, int]]:
    """Pairs of a known person (T) and one seen now (G) by the distance of expected joints from the rays to those seen.

    centre (3,) m of the camera; expected (T, J, 3), xyz (G, J, 3) m. How far away a person was lifted to plays no part.
    """
    if not len(expected) or not len(xyz):
        return []
    ray = xyz - centre
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    towards = (expected - centre)[:, None]  # (T, 1, J, 3)
    along = (towards * ray).sum(-1, keepdims=True)
    across = np.linalg.norm(towards - along * ray, axis=-1)  # (T, G, J)
    shared = np.isfinite(across) & (along[..., 0] > 0)  # who is expected behind the camera is not the one it sees
    distance = np.where(shared, across, 0.0).sum(-1) / np.maximum(shared.sum(-1), 1)
    near = (distance < MATCH_M) & shared.any(-1)
    pairs = zip(*linear_sum_assignment(np.where(near, distance, 1e3)), strict=True)
    return [(int(known), int(row)) for known, row in pairs if near[known, row]]


def resized(observed: Observed3D, centre: Floats, scale: Floats) -> Observed3D:
    """People (G) larger or smaller by scale (G,), and further or nearer: the camera at centre sees the same picture."""
    factor = scale[:, None, None]
    return replace(
        observed,
        xyz=np.asarray(centre + factor * (observed.xyz - centre)),
        covariance=np.asarray(observed.covariance * factor[..., None] ** 2),
    )
