"""Human3.6M: the protocols, which two families of papers number the other way round.

| name | subjects | frames | alignment | who counts so |
|---|---|---|---|---|
| one | S9, S11 | all | roots | Martinez et al. (ICCV 2017), "protocol #1" |
| two | S9, S11 | all | similarity | Martinez et al., "protocol #2"; the text says rigid, their code scales too |
| every64 | S9, S11 | every 64th | roots | Sun et al. (ICCV 2017, ECCV 2018), "protocol 2" |
| s11 | S11 | every 64th | similarity | Sun et al., "protocol 1", after Kostrikov and Gall (BMVC 2014) |
| absolute | S9, S11 | all | none | Iskakov et al. (ICCV 2019) |

Columns are the 15 actions, both trials of one together, and their plain mean. Of Iskakov et al.'s `absolute` three
trials of S9 are left out, whose poses are displaced against the cameras.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pose3d_ros.research.datasets.human36m import action_of
from pose3d_ros.research.datasets.pose_sequence import PoseSequence
from pose3d_ros.research.protocols.scored import Scored, errors_mm, mean_by
from pose3d_ros.skeletons import H36M_17

TRAIN, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting",
    "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
AVERAGE = "average"
# Iskakov et al., their reader: Greeting-2, SittingDown-2 and Waiting-1 of S9; these are the files' names.
DISPLACED = ("S9/Greeting", "S9/SittingDown 1", "S9/Waiting 1")
# 17 with the root, whose error is 0 after alignment of the roots (Martinez et al.'s code counts it); 16 without it;
# 14: without spine, head's top and nose, as where others' skeletons are compared (Bogo et al., ECCV 2016).
SUBSETS = {
    17: H36M_17.joint_names,
    16: H36M_17.joint_names[1:],
    14: tuple(name for name in H36M_17.joint_names if name not in ("Spine", "HeadTop", "Nose")),
}


@dataclass(frozen=True)
class Protocol:
    """Which frames of whom count, and how an estimate is aligned."""

    alignment: str
    subjects: tuple[str, ...] = TEST
    step: int = 1
    displaced: bool = True  # whether the displaced trials count

    def chosen(self, sequence: PoseSequence) -> PoseSequence | None:
        """The frames that count; None where no frame of the sequence does."""
        trial = "/".join(sequence.key.split("/")[:2])
        if sequence.subject not in self.subjects or (trial in DISPLACED and not self.displaced):
            return None
        return sequence if self.step == 1 else sequence.at(slice(None, None, self.step))


PROTOCOLS = {
    "one": Protocol("root"),
    "two": Protocol("similarity"),
    "every64": Protocol("root", step=64),
    "s11": Protocol("similarity", ("S11",), 64),
    "absolute": Protocol("none", displaced=False),
}


def per_action(scored: Iterable[Scored], alignment: str, joints: int = 17) -> Mapping[str, float]:
    """MPJPE mm by action, and the mean over the actions there are under AVERAGE; raises InputError."""
    names = SUBSETS[joints]
    found = mean_by(scored, action_of, lambda one: errors_mm(one, alignment, names))
    ordered = {action: found[action] for action in ACTIONS if action in found}
    return {**ordered, AVERAGE: sum(ordered.values()) / len(ordered) if ordered else float("nan")}
