"""What a user may set of the estimator."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.calibration_noise import MEASURED
from pose3d_ros.estimation.publish_filter import MAX_PEOPLE_TEXT, MAX_TEXT, MIN_TEXT, check_workspace
from pose3d_ros.estimation.refinement.plan import CHOICES
from pose3d_ros.estimation.single_view import CHOICES as FALLBACK_CHOICES
from pose3d_ros.estimation.smoothing import METHODS
from pose3d_ros.options import check, option

# A baby that sits up; a smaller number is in another unit.
MIN_HEIGHT_M = 0.5


@dataclass(frozen=True)
class EstimatorOptions:
    """How 2D people become 3D people."""

    min_joint_score: float = option(0.1, "2D joints with a lower score are not used", low=0.0, high=1.0)
    min_person_score: float = option(
        0.2, "2D people whose joints have a lower mean score are not used", low=0.0, high=1.0
    )
    min_views: int = option(
        2, "cameras that must see a joint before it is triangulated", low=2, high=64, read_only=True
    )
    association_limit_mrad: float = option(
        25.0,
        "mean angle by which two cameras' views of one person may miss each other; 1 mrad is 1 px at a focal "
        "length of 1000 px; larger tolerates worse calibration, smaller separates people who stand closer",
        unit="mrad",
        low=1.0,
        high=200.0,
    )
    max_std_m: float = option(
        0.5,
        "joints whose position is less certain than this are left out; so are those 10 times less certain than all "
        "cameras whose images have the place could see them, beyond 0.1 m",
        unit="m",
        low=0.001,
        high=10.0,
    )
    calibration_px: float = option(
        MEASURED,
        "standard deviation an axis by which calibration and synchronisation displace what a camera sees, in addition "
        "to the keypoints' own errors: it widens the covariance of every joint and moves none. -1: measured from how "
        "far the cameras disagree; 0: exact cameras",
        unit="px",
        low=MEASURED,
        high=200.0,
    )
    refine: str = option(
        "auto",
        "networks that refine poses. cvugcn: the 3D joints; posern: the 2D joints; both: posern, then cvugcn; auto: "
        "cvugcn on rigs such as it was trained on, posern where it was proven with this detector; none: triangulation "
        "alone. /diagnostics reports the choice and the reason",
        choices=CHOICES,
        read_only=True,
    )
    posern_weights: str = option(
        "", "your own .safetensors file of `pose3d train posern`; empty: the shipped weights", read_only=True
    )
    cvugcn_weights: str = option(
        "",
        "your own .safetensors file of `pose3d train rig` or `pose3d train cvugcn`; empty: the shipped weights",
        read_only=True,
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
        2,
        "frame sets in which a person is seen before getting an id (3 cameras: one is enough); 1: at once, also with a "
        "low score, as for stills",
        low=1,
        high=100,
    )
    lost_after_s: float = option(0.5, "time unseen after which a person is lost", unit="s", low=0.0, high=60.0)
    max_age_s: float = option(1.0, "time unseen after which a person is forgotten", unit="s", low=0.0, high=60.0)
    compensate_offsets: bool = option(
        False,
        "bring the keypoints of all cameras to one time by interpolation, by their stamps and by how late these were "
        "found to be (clock_offset_ms in /diagnostics); poses are then that much older",
    )
    smoothing: str = option(
        "body",
        "smoothing of joints over time. body: by each person's constant bones and their motion; one_euro, kalman: each "
        "joint for itself, also of one camera",
        choices=METHODS,
    )
    lag_sets: int = option(
        0,
        "frame sets that poses wait for those that follow, with smoothing body: steadier, and that much older; the "
        "stamp is the pose's",
        low=0,
        high=5,
    )
    monocular_fallback: str = option(
        "auto",
        "when one camera of several is left. auto: its people are lifted from that view and keep their ids, if the "
        "weights of a lifting network are there; never: there are no poses then",
        choices=FALLBACK_CHOICES,
        read_only=True,
    )
    lifter: str = option(
        "", "network that lifts: a shipped one's name, or a .safetensors file; empty: the one shipped", read_only=True
    )
    body_height_m: float = option(
        0.0,
        "height of all people in view where it is known (0.5 or more), which makes the depth of lifted people surer; "
        "0: unknown",
        unit="m",
        low=0.0,
        high=2.5,
    )
    workspace_min: tuple[float, ...] = option((), MIN_TEXT, unit="m")
    workspace_max: tuple[float, ...] = option((), MAX_TEXT, unit="m")
    max_people: int = option(0, MAX_PEOPLE_TEXT, low=0, high=1000)

    def __post_init__(self) -> None:
        check(self)
        if MEASURED < self.calibration_px < 0:
            raise InputError(f"calibration_px is {self.calibration_px:g}, expected -1 (measured) or 0 px and more")
        if self.lag_sets and self.smoothing != "body":
            raise InputError(
                f"lag_sets is {self.lag_sets}, but only smoothing body uses the sets that follow: expected 0 with "
                f"smoothing {self.smoothing}; set both together"
            )
        check_workspace(self.workspace_min, self.workspace_max)
        if self.max_age_s < self.lost_after_s:
            raise InputError(
                f"max_age_s ({self.max_age_s} s) must not be less than lost_after_s ({self.lost_after_s} s)"
            )
        if 0 < self.body_height_m < MIN_HEIGHT_M:
            raise InputError(
                f"body_height_m is {self.body_height_m:g} m, expected {MIN_HEIGHT_M:g} to 2.5 m, or 0 where it is not "
                "known"
            )
