"""What a part remembers from call to call: one way to take it out and to put it back, so that nothing is left out.

A part's state is every attribute that it has, but for those that it was made with; of a part within it, that part's. An
attribute that is added later belongs to the state by itself. reset() makes new objects, since a state that was taken
out must not change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

from pose3d_ros.errors import FootageError


@runtime_checkable
class Stateful(Protocol):
    """A part whose answer depends on earlier calls: a run that stopped goes on exactly where it was."""

    def reset(self) -> None:
        """Forget all people."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The part's own objects, of kinds that estimation/checkpoint.py writes; valid until the next call."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of a part that was made alike."""
        ...


@runtime_checkable
class PerRig(Stateful, Protocol):
    """A part whose state holds for one calibration of the cameras."""

    def begin_again(self) -> None:
        """Forget what was learnt of the cameras: these are others."""
        ...


def parts_of(owner: object) -> dict[str, Stateful]:
    """The attributes of the owner that are Stateful, by name without the underscore."""
    return {name.lstrip("_"): value for name, value in vars(owner).items() if isinstance(value, Stateful)}


def per_rig(owner: object) -> dict[str, PerRig]:
    """Those of them that are PerRig."""
    return {name: part for name, part in parts_of(owner).items() if isinstance(part, PerRig)}


def state_of(part: object, made_with: Collection[str] = ()) -> dict[str, Any]:
    """Every attribute of the part by name, but for those that it was made with."""
    return {
        name: value.state_dict() if isinstance(value, Stateful) else value
        for name, value in vars(part).items()
        if name not in made_with
    }


def load_state(part: object, state: Mapping[str, Any], made_with: Collection[str] = ()) -> None:
    """Set what state_of took; raises FootageError where attributes are missing or unknown."""
    if wrong := state.keys() ^ state_of(part, made_with).keys():
        raise FootageError(
            f"the state of {type(part).__name__} does not fit ({', '.join(sorted(wrong))}): another version saved it"
        )
    for name, value in state.items():
        if isinstance(own := getattr(part, name), Stateful):
            own.load_state_dict(value)
        else:
            setattr(part, name, value)
