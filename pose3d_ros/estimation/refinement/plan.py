"""Which learned refinement runs, and why: the option refine, the weights that are there, the rig and the detector.

No torch is loaded here before weights are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pose3d_ros.errors import InputError, WeightsError, WeightsMissingError
from pose3d_ros.estimation.refinement.training_domain import RigRange
from pose3d_ros.structures import Rig

if TYPE_CHECKING:
    from pose3d_ros.weights.trained import Loaded

# What PoseRN must bring on real footage before `auto` takes it: it costs a second triangulation of every frame set, and
# torch in memory.
LEAST_GAIN = 0.05
_SUCH = "the rig is such as its weights were trained on"
CHOICES = ("auto", "none", "posern", "cvugcn", "both")


@dataclass(frozen=True)
class RefinePlan:
    """What is done to poses, and why."""

    method: str  # none, posern, cvugcn or both
    reason: str
    warning: str = ""  # what speaks against it where it was asked for all the same, or weights that are not used
    tuned: str = ""  # the cameras and calibration that the weights in use were tuned on; "" for none

    def facts(self) -> dict[str, str]:
        """Key values for /diagnostics."""
        facts = {"refine": self.method, "refine/reason": self.reason}
        return {**facts, "refine/tuned": self.tuned} if self.tuned else facts


@dataclass(frozen=True, eq=False)
class Network:
    """One network as `auto` sees it."""

    loaded: Loaded | None = None
    why_not: str = ""  # why it is not loaded
    detector: str = ""  # whose keypoints it needs; "" for any
    # Median px into a camera left out, without and with it, a pair each trial of real footage. Empty: not measured.
    left_out_px: tuple[tuple[float, float], ...] = ()

    @property
    def range(self) -> RigRange:
        """The rigs that it was trained for."""
        return RigRange() if self.loaded is None else RigRange.of(self.loaded.recipe)


def wanted(refine: str, network: str) -> bool:
    """Whether refine names a network."""
    return refine in (network, "both")


def find(network: str, refine: str, weights: str) -> Network:
    """The weights for a network (posern, cvugcn): a user's own .safetensors file, or the shipped ones.

    Under refine auto, weights that do not ship are reported as the reason not to use them; if refine names them, they
    raise WeightsMissingError. Whatever is wrong with a user's own file is raised: WeightsError, InputError.
    """
    if refine != "auto" and not wanted(refine, network):
        return Network(why_not="not asked for")
    from pose3d_ros.weights import trained

    if weights:
        loaded = trained.load(weights)
        if loaded.recipe.get("network") != network:
            raise InputError(
                f"{network}_weights is {weights}, which holds the network {loaded.recipe.get('network')!r}: give the "
                f"file that `pose3d train {network}` wrote"
            )
        return Network(loaded)
    row = next((one for one in trained.TRAINED if one.network == network), None)
    try:
        if row is None:
            raise WeightsMissingError(
                f"no weights: this installation ships none of {network}; train some (`pose3d train {network}`) and "
                f"name the file in {network}_weights"
            )
        return Network(trained.load(row.name), "", row.detector, row.left_out_px)
    except WeightsError as error:
        if refine != "auto":
            raise
        return Network(why_not=str(error) if row else "no weights")


def decide(refine: str, rig: Rig, detector: str, posern: Network, cvugcn: Network) -> RefinePlan:
    """The plan for a rig and a detector's name.

    auto takes CV-UGCN on rigs such as it was trained on, or on the very rig that its weights were tuned on, and PoseRN
    where its weights name the detector and brought keypoints nearer to a camera left out in every trial of real
    footage. If refine names one, it runs, with a warning where auto would not. Weights tuned on another rig are a
    warning in any case: a person chose them.
    """
    against = {
        "posern": _against_posern(posern, detector),
        "cvugcn": cvugcn.why_not or cvugcn.range.why_not(rig.cameras),
    }
    tuned = cvugcn.range.tuned
    words = tuned.words if tuned is not None else ""
    if refine != "auto":
        asked = {"none": (), "both": ("posern", "cvugcn")}.get(refine, (refine,))
        doubts = [f"{name}: {against[name]}" for name in asked if against[name]]
        warning = f"refine is {refine}, though auto would not: {'; '.join(doubts)}" if doubts else ""
        runs = refine in ("cvugcn", "both")
        return RefinePlan(refine, f"refine is {refine}", warning, words if runs and not against["cvugcn"] else "")
    taken = [name for name in ("posern", "cvugcn") if not against[name]]
    said = {
        "posern": "its weights are for this detector, and keypoints came nearer to a camera left out in every trial",
        "cvugcn": f"its weights were tuned on this rig, {words}" if tuned else _SUCH,
    }
    reason = "; ".join(f"{name}: {against[name] or said[name]}" for name in ("cvugcn", "posern"))
    method = "both" if len(taken) == 2 else taken[0] if taken else "none"
    if tuned is not None and "cvugcn" not in taken:
        return RefinePlan(method, reason, f"cvugcn_weights are not used: {against['cvugcn']}")
    return RefinePlan(method, reason, tuned=words)


def _against_posern(posern: Network, detector: str) -> str:
    """Why not to trust PoseRN's weights, in words; empty where there is nothing."""
    if posern.why_not:
        return posern.why_not
    if not posern.left_out_px:
        return "its weights were not measured on real footage"
    trials = posern.left_out_px
    nearer = sum(with_it <= (1.0 - LEAST_GAIN) * without for without, with_it in trials)
    if nearer < len(trials):
        figures = "; ".join(f"{without:g} px without it, {with_it:g} px with it" for without, with_it in trials)
        share = f"{nearer} of {len(trials)} trials of real footage"
        return f"keypoints came {100 * LEAST_GAIN:g} % nearer to a camera left out in {share} ({figures})"
    # A top-down detector is named after both its networks, boxes + keypoints.
    if posern.detector and posern.detector not in (detector, *detector.split("+")):
        return f"its weights are for the detector {posern.detector!r}, {detector or 'an unknown one'} is running"
    return ""
