"""Parametric bodies: anyone of 10 to 75 years, driven by motion (torch inside, NumPy float64 outside).

Anny (NAVER, Apache-2.0, on MakeHuman's data, CC0): 13,718 vertices, 104 bones, phenotypes calibrated to WHO statures.
Joints of a body are where its bones begin; its COCO points are what Anny's regressor makes of the skin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import DependencyError
from pose3d_ros.simulation.rendering.orientations import (
    HANGING_RAD,
    PRONATION_RAD,
    between,
    bone_frames,
    rotation,
    standing,
)
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Floats

if TYPE_CHECKING:
    import torch

AGES_YEARS = (10.0, 75.0)
# Where a joint of h36m_17 is on the body: the bone that begins there.
BONE_OF_JOINT = {
    "Hip": "upperleg01", "Knee": "lowerleg01", "Ankle": "foot",
    "Shoulder": "upperarm01", "Elbow": "lowerarm01", "Wrist": "wrist",
}  # fmt: skip
# Bones that point as a part of orientations.bone_frames does, without their side; the others follow their parent.
PART_OF_BONE = {
    "upperleg01": "thigh", "upperleg02": "thigh", "lowerleg01": "shin", "lowerleg02": "shin", "foot": "foot",
    "clavicle": "clavicle", "shoulder01": "clavicle", "upperarm01": "arm", "upperarm02": "arm",
}  # fmt: skip
# Bones of the trunk and forearm turn by shares of the way from one part's frame to another's.
SPINE_SHARES = {"spine05": 0.0, "spine04": 0.25, "spine03": 0.5, "spine02": 0.75, "spine01": 1.0}
NECK_SHARES = {"neck01": 0.25, "neck02": 0.5, "neck03": 0.75, "head": 1.0}
FOREARM_SHARES = {"lowerarm01": 0.25, "lowerarm02": 0.7, "wrist": 1.0}
# A relaxed hand's fingers are bent by this at every joint, rad.
FINGER_RAD = np.deg2rad((5.0, 40.0))
TOP_OF_HEAD = "HeadTop"


@dataclass(frozen=True, eq=False)
class Shape:
    """A person's body, without a pose."""

    stature_m: float
    age_years: float
    female: bool
    phenotype: dict[str, float]  # Anny's own parameters


@dataclass(frozen=True, eq=False)
class PosedBody:
    """One person over T frames; world z up, m."""

    vertices: NDArray[np.float32]  # (T, 13718, 3)
    joints: Floats  # (T, 17, 3), h36m_17; Pelvis, Spine and Thorax as skeletons.py derives them
    coco: Floats  # (T, 17, 3), COCO-17


def check_anny() -> None:
    """Raise DependencyError where Anny is not installed."""
    try:
        import anny  # noqa: F401
    except ImportError as error:
        raise DependencyError("rendering needs Anny's bodies: run `pip install 'pose3d_ros[render]'`") from error


def draw_shapes(count: int, rng: np.random.Generator) -> list[Shape]:
    """People of both sexes, uniform in age, with the statures and weights that their age and sex have (WHO)."""
    import torch

    model, distribution = _model(), _distribution()
    # Anny draws from torch's global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        ages, drawn = distribution.sample(count)
    # Bodies halfway between the sexes are no people's median: each is mostly one.
    female = drawn["gender"] > 0.5
    drawn["gender"] = torch.where(female, 0.75 + drawn["gender"] / 4.0, drawn["gender"] / 4.0)
    phenotypes = {name: drawn[name] for name in model.phenotype_labels}
    with torch.no_grad():
        rest = model(phenotype_kwargs=phenotypes)["rest_vertices"]
    statures = (rest[..., 2].amax(dim=1) - rest[..., 2].amin(dim=1)).tolist()
    return [
        Shape(
            stature_m=float(statures[n]),
            age_years=float(ages[n]),
            female=bool(female[n]),
            phenotype={name: float(value[n]) for name, value in phenotypes.items()},
        )
        for n in range(count)
    ]


def pose_body(shape: Shape, xyz: Floats, rng: np.random.Generator) -> PosedBody:
    """The body in the poses of joints (T, 17, 3) m, world z up, on the floor z = 0.

    The motion gives directions of bones; their lengths are the body's. The pelvis' height is scaled by the legs'
    length, and the whole clip is lifted or lowered so that its lowest point touches the floor. rng turns wrists and
    bends fingers.
    """
    import torch

    model = _model()
    with torch.no_grad():
        rest = model(phenotype_kwargs={name: torch.tensor([value]) for name, value in shape.phenotype.items()})
        orientation = _orientations(rest["rest_bone_poses"][0].numpy(), xyz, rng)
        pose = torch.eye(4, dtype=model.dtype).repeat(*orientation.shape[:2], 1, 1)
        pose[:, :, :3, :3] = torch.as_tensor(orientation, dtype=model.dtype)
        transforms, bones = model.get_bone_transforms(pose, rest["rest_bone_poses"], "world-orient")
        vertices = model.get_skinned_vertices(rest["rest_vertices"].expand(len(xyz), -1, -1), transforms)
        coco = _coco_regressor()({"vertices": vertices}).numpy()
    vertices, heads = vertices.numpy(), bones[..., :3, 3].numpy()
    joints = _joints(heads, vertices, coco)
    # A person's legs are as long as the motion's, times this.
    scale = _leg_m(joints) / _leg_m(xyz)
    moved = xyz[:, 0] * (1.0, 1.0, scale) - joints[:, 0]
    lowest = vertices[..., 2].min(axis=1) + moved[:, 2]
    moved[:, 2] -= lowest.min()
    return PosedBody(
        vertices=(vertices + moved[:, None]).astype(np.float32),
        joints=joints + moved[:, None],
        coco=coco + moved[:, None],
    )


def template() -> tuple[Floats, NDArray[np.int32]]:
    """Vertices (13718, 3) m of the mean adult in the A pose, z up, facing -y, and triangles (27420, 3)."""
    import torch

    model = _model()
    with torch.no_grad():
        adult = {name: torch.tensor([0.66 if name == "age" else 0.5]) for name in model.phenotype_labels}
        vertices = model(phenotype_kwargs=adult)["rest_vertices"][0].numpy()
    return vertices, model.faces.numpy().astype(np.int32)


def template_bones() -> tuple[dict[str, Floats], dict[str, Floats]]:
    """By bone: where it begins in the template (3,) m, and its skin weights (13718,) in [0, 1]."""
    import torch

    model = _model()
    with torch.no_grad():
        adult = {name: torch.tensor([0.66 if name == "age" else 0.5]) for name in model.phenotype_labels}
        heads = model(phenotype_kwargs=adult)["rest_bone_poses"][0, :, :3, 3].numpy()
    weights = model.dense_vertex_bone_weights.numpy()
    assert weights.shape == (len(model.template_vertices), len(model.bone_labels))
    return dict(zip(model.bone_labels, heads, strict=True)), dict(zip(model.bone_labels, weights.T, strict=True))


def _orientations(rest: Floats, xyz: Floats, rng: np.random.Generator) -> Floats:
    """World orientations (T, B, 3, 3) of all bones; rest (B, 4, 4) are the body's bones in its A pose."""
    labels, parents = _model().bone_labels, _model().bone_parents
    frames = bone_frames(xyz, rng.uniform(-PRONATION_RAD, PRONATION_RAD, 2))
    fingers = rng.uniform(FINGER_RAD[0], FINGER_RAD[1], 2)
    out = np.empty((len(xyz), len(labels), 3, 3))
    turned = np.empty_like(out)  # from the A pose to the pose
    for number, label in enumerate(labels):
        name, _, side = label.partition(".")
        at_rest = rest[number, :3, :3]
        if label == "root":
            # The root's own frame is the world's in the A pose: x left, y back, z up.
            out[:, number] = _upright(frames["pelvis"])
        elif name in SPINE_SHARES:
            # Relative to the A pose, so that the spine keeps its own curve.
            out[:, number] = between(turned[:, 0], _upright(frames["chest"]), SPINE_SHARES[name]) @ at_rest
        elif name in NECK_SHARES:
            chest = turned[:, labels.index("spine01")]
            out[:, number] = between(chest, _upright(frames["head"]), NECK_SHARES[name]) @ at_rest
        elif name == "foot":
            out[:, number] = _foot(frames, side, xyz, at_rest, turned[:, parents[number]])
        elif name in PART_OF_BONE:
            part = frames[f"{PART_OF_BONE[name]}.{side}"]
            if PART_OF_BONE[name] == "clavicle":
                out[:, number] = _upright(part) @ at_rest
            else:
                out[:, number] = part
        elif name in FOREARM_SHARES:
            arm, forearm = frames[f"arm.{side}"], frames[f"forearm.{side}"]
            straight = _least(arm, forearm)
            out[:, number] = between(straight, forearm, FOREARM_SHARES[name])
        else:
            follow = turned[:, parents[number]] @ at_rest
            if name.startswith("finger") and not name.startswith("finger1"):
                bend = fingers["LR".index(side)]
                follow = follow @ rotation(np.array([0.0, 0.0, bend if side == "L" else -bend]))
            out[:, number] = follow
        turned[:, number] = out[:, number] @ at_rest.T
    return out


def _upright(frame: Floats) -> Floats:
    """Turns (T, 3, 3) from the A pose, which is upright and faces -y, to a frame of x left, y up, z front."""
    out: Floats = np.stack([frame[..., 0], -frame[..., 2], frame[..., 1]], axis=-1)
    return out


def _least(arm: Floats, forearm: Floats) -> Floats:
    """Frames (T, 3, 3) along the forearm that have the upper arm's hinge axis."""
    y = forearm[..., 1]
    x = arm[..., 0] - (arm[..., 0] * y).sum(axis=-1, keepdims=True) * y
    x /= np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    out: Floats = np.stack([x, y, np.cross(x, y)], axis=-1)
    return out


def _foot(frames: dict[str, Floats], side: str, xyz: Floats, at_rest: Floats, shin: Floats) -> Floats:
    """Orientations (T, 3, 3) of a foot bone: the sole on the floor where the ankle is low, else hanging on the shin."""
    level = frames[f"foot.{side}"]
    # In the A pose soles are flat and toes point to -y.
    flat = np.stack([level[..., 0], -level[..., 1], -level[..., 2]], axis=-1) @ at_rest
    hanging = shin @ at_rest @ rotation(np.array([HANGING_RAD, 0.0, 0.0]))
    ankle = xyz[:, H36M_17.index(f"{side}Ankle"), 2]
    # Only a foot under an upright shin stands; a kneeling or lying person's does not.
    upright = np.clip(-2.0 * frames[f"shin.{side}"][:, 2, 1] - 0.4, 0.0, 1.0)
    return between(hanging, flat, standing(ankle) * upright)


def _joints(heads: Floats, vertices: Floats, coco: Floats) -> Floats:
    """h36m_17 (T, 17, 3) of bones' heads (T, B, 3), vertices (T, N, 3) and COCO points (T, 17, 3)."""
    labels = _model().bone_labels
    out = np.empty((len(heads), H36M_17.size, 3))
    for name, bone in BONE_OF_JOINT.items():
        for side in "LR":
            out[:, H36M_17.index(side + name)] = heads[:, labels.index(f"{bone}.{side}")]
    hips = out[:, [H36M_17.index("LHip"), H36M_17.index("RHip")]].mean(axis=1)
    shoulders = out[:, [H36M_17.index("LShoulder"), H36M_17.index("RShoulder")]].mean(axis=1)
    out[:, H36M_17.index("Pelvis")], out[:, H36M_17.index("Thorax")] = hips, shoulders
    out[:, H36M_17.index("Spine")] = (hips + shoulders) / 2.0
    out[:, H36M_17.index("Nose")] = coco[:, COCO_17.index("Nose")]
    out[:, H36M_17.index(TOP_OF_HEAD)] = vertices[:, _top_of_head()]
    return out


def _leg_m(joints: Floats) -> float:
    """Mean length of a leg, hip to knee to ankle, m."""
    lengths = [
        np.linalg.norm(joints[:, H36M_17.index(side + a)] - joints[:, H36M_17.index(side + b)], axis=-1)
        for side in "LR"
        for a, b in (("Hip", "Knee"), ("Knee", "Ankle"))
    ]
    return float(np.sum(np.mean(lengths, axis=1)) / 2.0)


@cache
def _top_of_head() -> int:
    return int(template()[0][:, 2].argmax())


@cache
def _model() -> Any:
    check_anny()
    import anny

    return anny.Anny(skinning_method="lbs")


@cache
def _distribution() -> Any:
    import torch
    from anny.shape_distribution import SimpleShapeDistribution

    low, high = (torch.tensor(age, dtype=torch.float64) for age in AGES_YEARS)
    ages = torch.distributions.Uniform(low, high)
    return SimpleShapeDistribution(_model(), morphological_age_distribution=ages)


@cache
def _coco_regressor() -> torch.nn.Module:
    from anny.keypoints import KeypointsRegressor

    names = [
        {"L": "left_", "R": "right_"}.get(name[0], "") + name[1:].lower() if name != "Nose" else "nose"
        for name in COCO_17.joint_names
    ]
    regressor: torch.nn.Module = KeypointsRegressor.coco(_model(), labels=names)
    return regressor
