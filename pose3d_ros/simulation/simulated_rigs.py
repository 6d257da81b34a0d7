"""Virtual cameras for training and tests: Human3.6M's rigs, robots' stereo heads, rooms (NumPy, float64).

The constants below are committed before training and not touched after. Every rig is a function of its family, of
whether it is held out, and of its number: the two kinds draw from different seeds, so that no rig is in both, and
of Human3.6M the rigs of subjects S9 and S11 are held out, as in the papers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.errors import InputError
from pose3d_ros.structures import Camera, Floats, Rig

H36M_TRAIN = ("S1", "S5", "S6", "S7", "S8")
H36M_HELD_OUT = ("S9", "S11")
# CV-UGCN, Sec. 4: pairs of camera numbers, all of them across the room's short side or long side.
PAIRS = {"P1": (0, 1), "P2": (0, 2), "P3": (1, 3), "P4": (2, 3)}
FAMILIES = ("h36m", "head530", "head1060", "room2", "room3", "room4")
MONO = "mono"  # single cameras: nothing to triangulate
MONO_STREAM = 7  # of random numbers; 0 to 5 are the families', 6 the side views'
TRAIN_SEED, HELD_OUT_SEED = 3100, 9100

# Standard deviation of a keypoint, px an axis, that gives the 36.0 mm which CV-UGCN's Table 4 starts from.
H36M_SIGMA_PX = 4.15
# Focal length over distance in Human3.6M's rigs, px/m: the mean over cameras of 1147 px at 4.5 to 5.7 m.
H36M_PX_PER_M = 215.0
# The share of a stereo head's errors that its two eyes do not have in common, px: 204 mm at 3 m by Cramer and Rao's
# bound for either head. An error common to both eyes moves the person sideways and does not affect depth.
HEAD_SIGMA_PX = {530: 1.0, 1060: 2.0}
# Jitter of a rig: every camera's place, aim and lens on its own.
JITTER_M, JITTER_RAD, JITTER_FOCAL = 0.10, np.deg2rad(2.0), 0.03
HEAD_BASELINE_M, HEAD_JITTER_RAD = 0.12, np.deg2rad(0.5)
HEAD_HEIGHT_M, HEAD_DISTANCE_M, HEAD_HALF_ANGLE_RAD = (0.8, 1.5), (2.0, 4.0), np.deg2rad(12.0)
ROOM_NEIGHBOUR_M, ROOM_DISTANCE_M, ROOM_HEIGHT_M = (1.0, 5.0), (2.8, 5.5), (1.0, 2.5)
ROOM_FOCAL_PX, ROOM_SIZE_WH = (700.0, 1000.0), (1280, 960)
SIDE_DISTANCE_M = (2.5, 3.5)
# Single cameras as on robots, each of its own kind: people near in even rigs, also cut off by the image's border, and
# far in odd ones. A camera faces a person's middle, off by an angle up, down and to the side, and is slightly rolled.
MONO_CAMERAS, MONO_HEIGHT_M, MONO_DISTANCE_M = 6, (0.3, 2.2), ((1.5, 4.0), (3.0, 8.0))
MONO_FIELD_RAD, MONO_SIZES_WH = tuple(np.deg2rad((45.0, 95.0))), ((640, 480), (1280, 720), (1280, 960), (1920, 1080))
MONO_PITCH_RAD, MONO_TURN_RAD, MONO_ROLL_RAD = np.deg2rad(15.0), np.deg2rad(10.0), np.deg2rad(3.0)
MONO_HALF_ANGLE_RAD = np.deg2rad(20.0)
# A person's middle, which cameras face, m above the floor.
AIM_HEIGHT_M = 0.95


@dataclass(frozen=True)
class Floor:
    """Where people stand: a sector of a ring on the floor z = 0; a disc has near 0 and half angle pi."""

    centre_m: tuple[float, float]
    near_m: float
    far_m: float
    heading_rad: float = 0.0
    half_angle_rad: float = np.pi

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Points (count, 2) m, uniform over the area."""
        radius = np.sqrt(rng.uniform(self.near_m**2, self.far_m**2, count))
        angle = self.heading_rad + rng.uniform(-self.half_angle_rad, self.half_angle_rad, count)
        offset: Floats = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return offset + self.centre_m


@dataclass(frozen=True)
class SimulatedRig:
    """Cameras, where people stand before them, and how well a detector sees them."""

    name: str
    rig: Rig  # world z up, floor z = 0
    floor: Floor
    sigma_px: float  # of one keypoint, an axis

    def pair(self, name: str) -> SimulatedRig:
        """Two cameras of a Human3.6M rig: P1, P2, P3 or P4."""
        if name not in PAIRS or len(self.rig.cameras) != 4:
            raise InputError(f"rig {self.name!r} has no pair {name!r}: pairs {', '.join(PAIRS)} are of four cameras")
        names = [self.rig.names[number] for number in PAIRS[name]]
        return replace(self, name=f"{self.name}/{name}", rig=self.rig.subset(names))


def simulated_rig(family: str, number: int, *, held_out: bool) -> SimulatedRig:
    """Rig number of a family; the same one every time. Raises InputError for an unknown family.

    Human3.6M's own rigs come first (five to train, two held out), then jittered ones.
    """
    if family not in (*FAMILIES, MONO):
        raise InputError(f"there is no family of rigs {family!r}: use one of {', '.join((*FAMILIES, MONO))}")
    seed = HELD_OUT_SEED if held_out else TRAIN_SEED
    rng = np.random.default_rng([seed, MONO_STREAM if family == MONO else FAMILIES.index(family), number])
    if family == "h36m":
        subjects = H36M_HELD_OUT if held_out else H36M_TRAIN
        plain = h36m_rig(subjects[number % len(subjects)])
        return plain if number < len(subjects) else replace(jittered(plain, rng), name=f"{plain.name}~{number}")
    name = f"{family}{'-held-out' if held_out else ''}#{number}"
    if family == MONO:
        return _single_cameras(name, MONO_DISTANCE_M[number % 2], rng)
    if family.startswith("head"):
        return _stereo_head(name, int(family[4:]), rng)
    return _room(name, int(family[4:]), rng)


def h36m_rig(subject: str) -> SimulatedRig:
    """The published calibration of one of Human3.6M's subjects; cameras c1 to c4 in the papers' order."""
    published = json.loads(files("pose3d_ros.simulation").joinpath("h36m_rigs.json").read_text())
    if subject not in published["extrinsics"]:
        raise InputError(f"Human3.6M has no rig {subject!r}: it has {', '.join(published['extrinsics'])}")
    cameras = []
    for number, (lens, place) in enumerate(
        zip(published["intrinsics"], published["extrinsics"][subject], strict=True), 1
    ):
        (fx, fy), (cx, cy) = lens["focal_px"], lens["principal_point_px"]
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = _rotation(place["quaternion_wxyz"]).T  # published as world_from_camera
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ (np.asarray(place["centre_mm"]) / 1000.0)
        cameras.append(
            Camera(
                name=f"c{number}",
                size_wh=tuple(lens["size_px"]),
                K=np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
                distortion=lens["distortion"],
                cam_from_world=cam_from_world,
            )
        )
    return SimulatedRig(f"h36m-{subject}", Rig(tuple(cameras)), Floor((0.0, 0.0), 0.0, 1.0), H36M_SIGMA_PX)


def jittered(one: SimulatedRig, rng: np.random.Generator) -> SimulatedRig:
    """The rig with every camera moved, turned and refocused a little, independently."""
    cameras = []
    for camera in one.rig.cameras:
        K = camera.K.copy()
        K[[0, 1], [0, 1]] *= 1.0 + rng.uniform(-JITTER_FOCAL, JITTER_FOCAL)
        centre = camera.centre + rng.normal(scale=JITTER_M, size=3)
        turn = rotation_vector(rng.normal(scale=JITTER_RAD, size=3))
        cameras.append(replace(camera.placed(_place(turn @ camera.cam_from_world[:3, :3], centre)), K=K))
    return replace(one, rig=Rig(tuple(cameras), one.rig.frame_id))


def miscalibrated(
    cameras: tuple[Camera, ...],
    rng: np.random.Generator,
    rotation_deg: tuple[float, float] = (0.1, 0.3),
    translation_m: tuple[float, float] = (0.002, 0.005),
) -> tuple[Camera, ...]:
    """Where a calibration believes the cameras to be: each turned and moved by an amount in the ranges, anyhow."""
    believed = []
    for camera in cameras:
        turn = rotation_vector(np.deg2rad(rng.uniform(*rotation_deg)) * _direction(rng))
        centre = camera.centre + rng.uniform(*translation_m) * _direction(rng)
        believed.append(camera.placed(_place(turn @ camera.cam_from_world[:3, :3], centre)))
    return tuple(believed)


def side_views(one: SimulatedRig, number: int, *, held_out: bool) -> tuple[Camera, ...]:
    """Two cameras to the left and right of where people stand: what training may see and the robot will not."""
    rng = np.random.default_rng([HELD_OUT_SEED if held_out else TRAIN_SEED, len(FAMILIES), number])
    along = np.array([np.cos(one.floor.heading_rad), np.sin(one.floor.heading_rad)])
    reach = (one.floor.near_m + one.floor.far_m) / 2.0 if one.floor.near_m else 0.0
    middle = np.array([*(np.asarray(one.floor.centre_m) + reach * along), AIM_HEIGHT_M])
    across = np.array([-along[1], along[0], 0.0])
    cameras = []
    for name, side in (("side_left", 1.0), ("side_right", -1.0)):
        centre = middle + side * rng.uniform(*SIDE_DISTANCE_M) * across
        centre[2] = rng.uniform(*ROOM_HEIGHT_M)
        cameras.append(replace(one.rig.cameras[0], name=name, cam_from_world=look_at(centre, middle)))
    return tuple(cameras)


def look_at(centre: ArrayLike, target: ArrayLike) -> Floats:
    """cam_from_world (4, 4) of an upright optical frame at centre (3,) m that faces target (3,) m, world z up."""
    place = np.asarray(centre, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    return _place(np.stack([right, np.cross(forward, right), forward]), place)


def rotation_vector(vector: ArrayLike) -> Floats:
    """Rotation (3, 3) about an axis by the vector's length in rad (Rodrigues)."""
    axis = np.asarray(vector, dtype=np.float64)
    angle = float(np.linalg.norm(axis))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = axis / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: Floats = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    return rotation


def _stereo_head(name: str, focal_px: int, rng: np.random.Generator) -> SimulatedRig:
    """Two eyes side by side at the origin that look along world x, as on a robot; VGA at f 530, 1280x960 at 1060."""
    scale = focal_px / 530.0
    size = (round(640 * scale), round(480 * scale))
    K = np.array([[focal_px, 0.0, (size[0] - 1) / 2], [0.0, focal_px, (size[1] - 1) / 2], [0.0, 0.0, 1.0]])
    height = rng.uniform(*HEAD_HEIGHT_M)
    middle = float(np.mean(HEAD_DISTANCE_M))
    cameras = []
    for eye, side in (("left", 0.5), ("right", -0.5)):
        centre = np.array([0.0, side * HEAD_BASELINE_M, height])
        straight = look_at(centre, centre + np.array([middle, 0.0, AIM_HEIGHT_M - height]))[:3, :3]
        turn = rotation_vector(rng.normal(scale=HEAD_JITTER_RAD, size=3))
        cameras.append(Camera(eye, size, K, cam_from_world=_place(turn @ straight, centre)))
    floor = Floor((0.0, 0.0), *HEAD_DISTANCE_M, half_angle_rad=HEAD_HALF_ANGLE_RAD)
    return SimulatedRig(name, Rig(tuple(cameras)), floor, HEAD_SIGMA_PX[focal_px])


def _room(name: str, count: int, rng: np.random.Generator) -> SimulatedRig:
    """count cameras around the middle of a room, neighbours 1 to 5 m apart, all looking at its middle."""
    angle = rng.uniform(-np.pi, np.pi)
    cameras: list[Camera] = []
    scales: list[float] = []
    width, height = ROOM_SIZE_WH
    previous: Floats | None = None
    while len(cameras) < count:
        distance = rng.uniform(*ROOM_DISTANCE_M)
        turned = angle if previous is None else angle + rng.uniform(0.0, 2.0 * np.pi / count)
        centre = np.array([distance * np.cos(turned), distance * np.sin(turned), rng.uniform(*ROOM_HEIGHT_M)])
        apart = None if previous is None else np.linalg.norm(centre - previous)
        if apart is not None and not ROOM_NEIGHBOUR_M[0] <= apart <= ROOM_NEIGHBOUR_M[1]:
            continue  # drawn again
        # Nearer cameras take a wider lens, so that a person fits into the image.
        focal = rng.uniform(*ROOM_FOCAL_PX) * min(1.0, distance / 4.0)
        K = np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
        aim = (*rng.normal(scale=0.2, size=2), AIM_HEIGHT_M)
        cameras.append(Camera(f"cam{len(cameras) + 1}", ROOM_SIZE_WH, K, cam_from_world=look_at(centre, aim)))
        scales.append(focal / distance)
        angle, previous = turned, centre
    sigma = H36M_SIGMA_PX * float(np.mean(scales)) / H36M_PX_PER_M
    return SimulatedRig(name, Rig(tuple(cameras)), Floor((0.0, 0.0), 0.0, 0.8), sigma)


def _single_cameras(name: str, distance_m: tuple[float, float], rng: np.random.Generator) -> SimulatedRig:
    """Cameras that have nothing to do with each other, above the origin, looking along world x."""
    cameras: list[Camera] = []
    middle = float(np.mean(distance_m))
    for number in range(MONO_CAMERAS):
        width, height = MONO_SIZES_WH[rng.integers(len(MONO_SIZES_WH))]
        focal = width / 2.0 / np.tan(rng.uniform(*MONO_FIELD_RAD) / 2.0)
        K = np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
        centre = np.array([0.0, 0.0, rng.uniform(*MONO_HEIGHT_M)])
        straight = look_at(centre, (middle, 0.0, AIM_HEIGHT_M))[:3, :3]
        pitch, turn = rng.uniform(-1.0, 1.0, 2) * (MONO_PITCH_RAD, MONO_TURN_RAD)
        askew = rotation_vector((0.0, 0.0, rng.normal(scale=MONO_ROLL_RAD)))
        rotation = askew @ rotation_vector((pitch, 0.0, 0.0)) @ rotation_vector((0.0, turn, 0.0)) @ straight
        cameras.append(Camera(f"cam{number + 1}", (width, height), K, cam_from_world=_place(rotation, centre)))
    scale = float(np.mean([camera.K[0, 0] for camera in cameras])) / middle
    floor = Floor((0.0, 0.0), *distance_m, half_angle_rad=float(MONO_HALF_ANGLE_RAD))
    return SimulatedRig(name, Rig(tuple(cameras)), floor, H36M_SIGMA_PX * scale / H36M_PX_PER_M)


def _place(rotation: Floats, centre: Floats) -> Floats:
    """cam_from_world (4, 4) of a camera with this rotation whose centre is there."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = -rotation @ centre
    return transform


def _direction(rng: np.random.Generator) -> Floats:
    vector = rng.normal(size=3)
    unit: Floats = vector / np.linalg.norm(vector)
    return unit


def _rotation(wxyz: ArrayLike) -> Floats:
    """Rotation (3, 3) of a quaternion."""
    w, x, y, z = np.asarray(wxyz, dtype=np.float64) / np.linalg.norm(wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
