"""What a user may set of the multi-view estimator."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.calibration_noise import MEASURED
from pose3d_ros.estimation.fallback import CHOICES as FALLBACK_CHOICES
from pose3d_ros.estimation.publish_filter import MAX_PEOPLE_TEXT, MAX_TEXT, MIN_TEXT, check_workspace
from pose3d_ros.estimation.refinement.plan import CHOICES
from pose3d_ros.estimation.smoothing import METHODS
from pose3d_ros.options import check, option


@dataclass(frozen=True)
class EstimatorOptions:
    """How 2D people become 3D people."""

    min_joint_score: float = option(0.1, "2D joints with a lower score are not used", low=0.0, high=1.0)
    min_person_score: float = option(
        0.2, "2D people whose joints have a lower mean score are not used", low=0.0, high=1.0
    )
    min_person_joints: int = option(5, "2D people with fewer usable joints are not used", low=1, high=17)
    min_views: int = option(2, "cameras that must see a joint before it is placed", low=2, high=64, read_only=True)
    association_limit_mrad: float = option(
        25.0,
        "mean angle by which two cameras' views of one person may miss each other; 1 mrad is 1 px at a focal "
        "length of 1000 px; larger bears worse calibration, smaller tells apart people who stand closer",
        unit="mrad",
        low=1.0,
        high=200.0,
    )
    huber_delta: float = option(
        2.0,
        "residual, in standard deviations, beyond which a 2D joint counts as an outlier",
        low=0.5,
        high=100.0,
        read_only=True,
    )
    max_std_m: float = option(
        0.5, "joints whose position is less certain than this are left out", unit="m", low=0.001, high=10.0
    )
    calibration_px: float = option(
        MEASURED,
        "standard deviation an axis by which calibration and synchronisation displace what a camera sees, besides the "
        "keypoints' own errors: it widens the covariance of every joint and moves none. -1: measured from how far the "
        "cameras disagree; 0: exact cameras",
        unit="px",
        low=MEASURED,
        high=200.0,
    )
    refine: str = option(
        "auto",
        "networks that refine poses. cvugcn: the 3D joints; posern: the 2D joints; both: posern, then cvugcn; auto: "
        "cvugcn on rigs such as it was trained on, posern where it was proven with this detector; none: triangulation "
        "alone. /diagnostics tells what was taken and why",
        choices=CHOICES,
        read_only=True,
    )
    posern_weights: str = option(
        "", "your own .safetensors file of `pose3d train posern`; empty: the shipped weights", read_only=True
    )
    cvugcn_weights: str = option(
        "", "your own .safetensors file of `pose3d train cvugcn`; empty: the shipped weights", read_only=True
    )
    match_distance_m: float = option(
        0.6, "mean joint distance within which a person is the one predicted", unit="m", low=0.05, high=5.0
    )
    duplicate_distance_m: float = option(
        0.25, "people whose joints are nearer to each other on average are one person", unit="m", low=0.0, high=1.0
    )
    jump_distance_m: float = option(
        0.0,
        "a new person this near to one who was missed a moment ago gets that person's id: for footage that is cut or "
        "looped, where people leap; 0: never, for life",
        unit="m",
        low=0.0,
        high=10.0,
    )
    min_hits: int = option(
        2, "frame sets in which a person is seen before getting an id (3 cameras: one is enough)", low=1, high=100
    )
    init_joints: int = option(8, "3D joints a new person must have", low=1, high=17)
    init_score: float = option(0.4, "mean 3D joint score a new person must have", low=0.0, high=1.0)
    lost_after_s: float = option(0.5, "time unseen after which a person is lost", unit="s", low=0.0, high=60.0)
    max_age_s: float = option(1.0, "time unseen after which a person is forgotten", unit="s", low=0.0, high=60.0)
    compensate_offsets: bool = option(
        False,
        "bring the keypoints of all cameras to one time by interpolation, by their stamps and by how late these were "
        "found to be (clock_offset_ms in /diagnostics); poses are then that much older",
    )
    smoothing: str = option("none", "smoothing of joints over time", choices=METHODS)
    monocular_fallback: str = option(
        "auto",
        "when one camera only is left. auto: its people are lifted from that one view, under the ids that they have, "
        "where the weights of a lifting network are there; never: nobody has a pose then",
        choices=FALLBACK_CHOICES,
        read_only=True,
    )
    lifter: str = option(
        "", "network that lifts: a shipped one's name, or a .safetensors file; empty: the one shipped", read_only=True
    )
    workspace_min: tuple[float, ...] = option((), MIN_TEXT, unit="m")
    workspace_max: tuple[float, ...] = option((), MAX_TEXT, unit="m")
    max_people: int = option(0, MAX_PEOPLE_TEXT, low=0, high=1000)

    def __post_init__(self) -> None:
        check(self)
        if MEASURED < self.calibration_px < 0:
            raise InputError(f"calibration_px is {self.calibration_px:g}, expected -1 (measured) or 0 px and more")
        check_workspace(self.workspace_min, self.workspace_max)
        if self.max_age_s < self.lost_after_s:
            raise InputError(
                f"max_age_s ({self.max_age_s} s) must not be less than lost_after_s ({self.lost_after_s} s)"
            )
