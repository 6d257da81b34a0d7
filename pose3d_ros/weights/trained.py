"""The trained networks that ship with pose3d_ros: one literal table, and safetensors files read and written (torch).

A file holds the network ("net."), the figures of its covariance ("spread.", see networks/spread.py) and in its
metadata the recipe that rebuilds the network (networks/build.py), as JSON. Matrices are stored in half precision, which
moves joints by 0.01 mm (a refiner) and 0.06 mm (a lifter) on average; vectors (biases, batch norm's figures) and the
figures of the input stay in single precision: they are 1 % of the size and half precision's range does not bound them.
Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose3d_ros.cache import sha256_of
from pose3d_ros.errors import InputError, WeightsCorruptError, WeightsMissingError
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import NETWORK, RECIPE, checked, reading

if TYPE_CHECKING:  # torch only when a network is wanted: listing the table must not load it
    from torch import Tensor, nn

FOLDER = Path(__file__).parent
SUFFIX = ".safetensors"
NET, SPREAD = "net.", "spread."
HALF_RANGE = 65504.0  # largest number of half precision
REINSTALL = "install pose3d_ros again (`pip install --force-reinstall .`)"


@dataclass(frozen=True)
class TrainedNetwork:
    """A shipped network: what it is for, what it was trained on and what it was measured to do."""

    name: str
    network: str  # posern, cvugcn or lifter
    file: str  # in this folder
    sha256: str
    size: int  # bytes
    detector: str  # whose keypoints it needs; "" for any
    skeleton: str
    rigs: str  # that it was trained on
    licence: str
    data: str  # that it was trained on, with its terms
    measured: str
    # PoseRN on real footage: median px from a camera's keypoints to what the other cameras say, without and with it, a
    # pair each trial. `refine: auto` takes it only where this fell by 5 % in every trial. Empty: not measured.
    left_out_px: tuple[tuple[float, float], ...] = ()


# The motion was recorded by others; its terms ask for this line where figures are published.
_MOTION = (
    "CMU Graphics Lab Motion Capture Database, which may be included in products and not resold. The data used in this "
    "project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."
)
TRAINED: tuple[TrainedNetwork, ...] = (
    TrainedNetwork(
        name="cvugcn-rig",
        network="cvugcn",
        file="cvugcn-rig.safetensors",
        sha256="16a22e83ce0aa9cdc6e0d6f7ea45bc557d703a551162f0230c01246715dc767f",
        size=2_311_868,
        detector="",
        skeleton="h36m_17",
        rigs="two cameras of Human3.6M rigs, of rooms and of 12 cm stereo heads (h36m room2 room3 head530 head1060)",
        licence="Apache-2.0",
        data=_MOTION,
        measured="held-out people and rigs, errors Gaussian / of a detector: Human3.6M pairs -15 / -20 %, rooms of two "
        "cameras -41 / -48 %, of three -6 / -12 %, 12 cm stereo heads -59 / -65 %; four cameras: no gain",
    ),
    TrainedNetwork(
        name="posern-rendered",
        network="posern",
        file="posern-rendered.safetensors",
        sha256="e895f8ac7fc09fa868c81d5f142d86c73847e8f82c83e47d482370db14efecbc",
        size=210648,
        detector="movenet-auto",
        skeleton="h36m_17",
        rigs="Human3.6M rigs and rooms of four cameras",
        licence="Apache-2.0",
        data=f"the default detector's errors on rendered people (Anny, Apache-2.0 and CC0) in motion of {_MOTION}",
        measured="rendered people held out, 4 views: Human3.6M rigs 54.8 -> 49.1 mm, rooms 84.5 -> 79.0 mm; real "
        "footage, a camera left out: -3 and -8 %, but further from a reference whose joints are the detector's",
        left_out_px=((23.98, 23.34), (28.95, 26.59)),
    ),
    TrainedNetwork(
        name="lifter",
        network="lifter",
        file="lifter.safetensors",
        sha256="711838292604452c4dac5e8637806d36603c0e3aff9506551d3bd0c2b8bb756d",
        size=2_248_713,
        detector="",
        skeleton="h36m_17",
        rigs="single cameras of 400 to 2000 px, cameras of the rigs (mono h36m head530 head1060 room2 room3 room4)",
        licence="Apache-2.0",
        data=_MOTION,
        measured="held-out people and cameras, errors of a real detector: root-relative 69 to 97 mm, root "
        "172 to 299 mm off; with the height given 84 to 164 mm; 95 % ellipsoids hold 93 to 95 % on rendered people",
    ),
)


@dataclass(frozen=True, eq=False)
class Loaded:
    """A trained network, ready for use."""

    net: nn.Module  # eval mode, float32, on the CPU
    recipe: Mapping[str, Any]  # of plain values, see `pose3d train`
    spread: Mapping[str, Tensor]  # float64, what networks/spread.py takes; empty where none was fitted
    name: str  # of the table, or the path
    verified: bool  # True for a shipped file whose SHA-256 is the table's; a user's own file is not verified


def names() -> tuple[str, ...]:
    """Names of the shipped networks."""
    return tuple(row.name for row in TRAINED)


def row(name: str) -> TrainedNetwork:
    """A row of the table; raises InputError that lists the names."""
    for one in TRAINED:
        if one.name == name:
            return one
    known = ", ".join(names()) or "none is shipped"
    raise InputError(f"unknown network {name!r}: use one of {known}, or the path of a {SUFFIX} file of `pose3d train`")


def path(name: str) -> Path:
    """A shipped network's file, verified; raises InputError, WeightsMissingError, WeightsCorruptError."""
    wanted = row(name)
    place = FOLDER / wanted.file
    if not place.is_file():
        raise WeightsMissingError(f"the weights of {name!r} are not in the installation (no {place}): {REINSTALL}")
    found = sha256_of(place)
    if found != wanted.sha256:
        raise WeightsCorruptError(
            f"{place} is not the file that was shipped: SHA-256 {found[:16]}..., "
            f"expected {wanted.sha256[:16]}...: {REINSTALL}"
        )
    return place


def load(name_or_path: str | Path) -> Loaded:
    """A shipped network by its name, verified; or a user's own by the path of its .safetensors file, not verified.

    Raises InputError for an unknown name and a file of another kind, WeightsMissingError for a file that is not there,
    WeightsCorruptError for a file that is damaged.
    """
    name = str(name_or_path)
    own = name.endswith(SUFFIX)
    if not own:
        return _read(path(name), name, verified=True)
    if not Path(name).exists():
        raise WeightsMissingError(f"there is no file {name}: give the {SUFFIX} file that `pose3d train` wrote")
    return _read(checked(name, NETWORK), name, verified=False)


def save(
    path: Path | str, net: nn.Module, recipe: Mapping[str, Any], spread: Mapping[str, Tensor] | None = None
) -> str:
    """Write a network for load and give the file's SHA-256; the same network gives the same bytes.

    Raises InputError for another ending than .safetensors and for weights that half precision cannot hold.
    """
    import safetensors.torch
    import torch

    place = Path(path)
    if place.suffix != SUFFIX:
        raise InputError(f"{place} must end in {SUFFIX}")
    matrices = {name for name, parameter in net.named_parameters() if parameter.ndim > 1}
    tensors = {}
    for name, tensor in net.state_dict().items():
        value = tensor.detach().cpu().contiguous()
        if value.is_floating_point():
            if not bool(torch.isfinite(value).all()) or (name in matrices and float(value.abs().max()) > HALF_RANGE):
                raise InputError(f"{name} holds numbers that cannot be stored: train again, with a lower learning rate")
            value = value.to(torch.float16 if name in matrices else torch.float32)
        tensors[NET + name] = value
    tensors |= {SPREAD + name: tensor.detach().cpu().double().contiguous() for name, tensor in (spread or {}).items()}
    # One key only: their order in the file would be chance.
    content = safetensors.torch.save(tensors, metadata={"recipe": json.dumps(dict(recipe), sort_keys=True)})
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.part")
    part.write_bytes(content)
    os.replace(part, place)
    return hashlib.sha256(content).hexdigest()


def _read(place: Path, name: str, *, verified: bool) -> Loaded:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(place, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsCorruptError(
            f"{place} is no {SUFFIX} file, or a damaged one ({error}): copy it again from where it was trained"
        ) from error
    recipe = _recipe(metadata, place)
    with reading(place, NETWORK):
        return _built(tensors, recipe, place, name, verified=verified)


def _built(tensors: Mapping[str, Tensor], recipe: dict[str, Any], place: Path, name: str, *, verified: bool) -> Loaded:
    """The network of a recipe with a file's numbers; raises InputError, WeightsCorruptError."""
    import torch

    from pose3d_ros.networks.build import build

    net = build(recipe)
    state = {key[len(NET) :]: value for key, value in tensors.items() if key.startswith(NET)}
    try:
        net.load_state_dict(
            {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        )
    except RuntimeError as error:
        raise InputError(
            f"{place} does not hold the network of its recipe ({str(error).splitlines()[0]}): train it again with "
            "this version of pose3d_ros"
        ) from error
    if not all(bool(torch.isfinite(value).all()) for value in net.state_dict().values()):
        raise WeightsCorruptError(f"{place} holds numbers that are not finite: train the network again")
    spread = {key[len(SPREAD) :]: value.double() for key, value in tensors.items() if key.startswith(SPREAD)}
    return Loaded(net.eval().requires_grad_(False), recipe, spread, name, verified)


def _recipe(metadata: Mapping[str, str], place: Path) -> dict[str, Any]:
    if "recipe" not in metadata:
        raise InputError(f"{place} names no recipe: give a {SUFFIX} file that `pose3d train` wrote")
    recipe = json_content(metadata["recipe"], str(place), RECIPE)
    if not isinstance(recipe, dict):
        raise InputError(f"{place}: its recipe is {type(recipe).__name__}, expected a mapping: train the network again")
    return recipe
