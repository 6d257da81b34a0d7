"""People who walk with planted feet over a known floor: truth for tests of the floor and of contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D, unknown_body

THIGH_M, SHANK_M, HIP_M = 0.46, 0.46, 0.95
# A stride takes 1.1 s, of which a foot stands 60 % (Winter); swing ankles rise by 12 cm.
STRIDE_S, STANCE, LIFT_M = 1.1, 0.6, 0.12
TORSO = {"Pelvis": (0, 0), "Spine": (0, 0.25), "Thorax": (0, 0.5), "Nose": (0, 0.65), "HeadTop": (0, 0.8),
         "LShoulder": (0.18, 0.48), "LElbow": (0.2, 0.2), "LWrist": (0.2, -0.05),
         "RShoulder": (-0.18, 0.48), "RElbow": (-0.2, 0.2), "RWrist": (-0.2, -0.05)}  # fmt: skip


@dataclass(frozen=True)
class Walk:
    """A straight walk over a floor: the plane z = 0, turned by tilt (rotation vector, rad) and moved by offset_m."""

    start: tuple[float, float] = (-2.0, 0.0)
    heading: float = 0.0
    speed_m_s: float = 1.2
    ankle_m: float = 0.086
    tilt: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def at(self, t_s: float) -> tuple[Floats, tuple[bool, bool]]:
        """Joints (17, 3) m, and whether the left and the right foot stand."""
        joints, stands = {}, []
        stride_m = self.speed_m_s * STRIDE_S
        for side, left, late in (("L", 0.11, 0.0), ("R", -0.11, 0.5)):
            cycle = t_s / STRIDE_S + late
            phase = cycle % 1.0
            swing = max(phase - STANCE, 0.0) / (1.0 - STANCE)
            along = np.floor(cycle) * stride_m + swing**2 * (3 - 2 * swing) * stride_m - late * stride_m
            # In the middle of its stance the foot is under the hip.
            along += 0.5 * STANCE * stride_m
            ankle = np.array([along, left, self.ankle_m + LIFT_M * np.sin(np.pi * swing)])
            hip = np.array([self.speed_m_s * t_s, left, HIP_M])
            joints[f"{side}Ankle"], joints[f"{side}Hip"] = ankle, hip
            joints[f"{side}Knee"] = knee_of(hip, ankle)
            stands.append(swing == 0.0)
        for name, (left, up) in TORSO.items():
            joints[name] = np.array([self.speed_m_s * t_s, left, HIP_M + up])
        body = np.stack([joints[name] for name in H36M_17.joint_names])
        body = Rotation.from_euler("z", self.heading).apply(body) + np.array([*self.start, 0.0])
        return Rotation.from_rotvec(self.tilt).apply(body) + self.offset_m, (stands[0], stands[1])

    @property
    def plane(self) -> Floats:
        """The floor (4,)."""
        normal = Rotation.from_rotvec(self.tilt).apply([0, 0, 1.0])
        return np.array([*normal, -normal @ np.asarray(self.offset_m)])


def knee_of(hip: Floats, ankle: Floats) -> Floats:
    """Where the knee is, in front of the line from hip to ankle."""
    leg = ankle - hip
    length = min(float(np.linalg.norm(leg)), THIGH_M + SHANK_M - 1e-6)
    along = (THIGH_M**2 - SHANK_M**2 + length**2) / (2 * length)
    down = leg / np.linalg.norm(leg)
    forward = np.array([1.0, 0, 0]) - down[0] * down
    return np.asarray(hip + along * down + np.sqrt(max(THIGH_M**2 - along**2, 0.0)) * forward / np.linalg.norm(forward))


def pose_of(bodies: Floats, std_m: float, rng: np.random.Generator, t_s: float, frame_id: str = "world") -> Pose3D:
    """Bodies (P, 17, 3) m with noise of std_m an axis, as an estimator would give them."""
    people = len(bodies)
    return Pose3D(
        xyz=bodies + std_m * rng.normal(size=bodies.shape),
        velocity=np.full(bodies.shape, np.nan),
        covariance=np.broadcast_to(np.eye(3) * std_m**2, (people, 17, 3, 3)),
        score=np.full((people, 17), 0.8),
        n_views=np.full((people, 17), 3),
        reprojection_px=np.full((people, 17), 2.0),
        source=np.full((people, 17), JointSource.TRIANGULATED),
        ids=tuple(str(p + 1) for p in range(people)),
        state=np.full(people, PersonState.VISIBLE),
        age_s=np.zeros(people),
        skeleton=H36M_17,
        frame_id=frame_id,
        stamp_ns=10**18 + round(t_s * 1e9),
        **unknown_body(people, 17),
    )
