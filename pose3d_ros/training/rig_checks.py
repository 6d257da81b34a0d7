"""Whether a recording can teach a network anything of a rig: long enough, people who move, cameras that fit (NumPy)."""

from __future__ import annotations

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.observation import triangulated
from pose3d_ros.estimation.refinement.training_domain import TRAINED_JOINTS
from pose3d_ros.geometry.projection import project
from pose3d_ros.structures import Floats
from pose3d_ros.training.rig_people import RigPeople

# People times moments: two stretches to train on and two to test, each with more than a batch.
LEAST_PEOPLE = 60
# Poses of a person that differ by this, mean over the joints, after averaging over AVERAGED_S. A person who stands
# sways by 1 to 3 cm, and keypoints' errors move triangulated joints by some 5 cm.
APART_M, AVERAGED_S = 0.15, 0.25
LEAST_CHANGES = 4  # of pose, of all people
# Median angle between a camera's keypoints and the joints that all cameras together triangulate, of the worst camera.
# The sample footage, whose rig is off by more than its detector, has 8 mrad; a camera turned by 2 degrees about 20.
MOST_MRAD = 15.0


def check_people(people: RigPeople) -> None:
    """Raise InputError with the reason where a recording cannot be trained on."""
    names = " ".join(camera.name for camera in people.rig_cameras)
    if len(people) < LEAST_PEOPLE:
        raise InputError(
            f"the recording is too short: {names} together see people {len(people)} times, expected {LEAST_PEOPLE} at "
            "least: record people in view of these cameras for 20 s, and check that the rig is that of the recording"
        )
    xyz = triangulated(people.cameras, people.seen, min_views=2, max_std_m=np.inf).xyz
    apart = misfit_mrad(people, xyz)
    worst = max(apart, key=lambda name: apart[name])
    if apart[worst] > MOST_MRAD:
        figures = ", ".join(f"{name} {value:.0f}" for name, value in apart.items())
        raise InputError(
            f"the rig does not fit the recording: the keypoints of {worst} are {apart[worst]:.0f} mrad (median) from "
            f"where the cameras together see the joints, expected {MOST_MRAD:g} at most ({figures}): calibrate the "
            "cameras again, or give the rig of this recording"
        )
    changes = pose_changes(people, xyz)
    if changes < LEAST_CHANGES:
        raise InputError(
            f"people hardly move in the recording: they change their pose by {100 * APART_M:g} cm {changes} times, "
            f"expected {LEAST_CHANGES} at least: record people who walk through the whole space and raise their arms"
        )


def misfit_mrad(people: RigPeople, xyz: Floats) -> dict[str, float]:
    """Median angle by camera between keypoints and joints xyz (P, J, 3) m; infinite for a camera without any."""
    found = {}
    for number, camera in enumerate(people.cameras):
        apart = np.linalg.norm(project(camera, xyz) - people.seen.xy[number], axis=-1)
        apart = apart[np.isfinite(apart)] / np.sqrt(camera.K[0, 0] * camera.K[1, 1])
        found[camera.name] = 1000.0 * float(np.median(apart)) if len(apart) else float("inf")
    return found


def pose_changes(people: RigPeople, xyz: Floats) -> int:
    """How many poses lie APART_M from every other one that was counted of that person, each one's first left out."""
    count = 0
    for one in np.unique(people.ids):
        rows = np.flatnonzero(people.ids == one)
        moment = (people.stamps_ns[rows] - people.stamps_ns[rows].min()) // round(AVERAGED_S * 1e9)
        kept: list[Floats] = []
        for now in np.unique(moment):
            some = xyz[rows[moment == now]][:, TRAINED_JOINTS]
            known = np.isfinite(some).all(axis=-1)
            pose = np.where(known[..., None], some, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)[:, None]
            pose[~known.any(axis=0)] = np.nan
            far = [np.linalg.norm(pose - other, axis=-1) for other in kept]
            if all(np.isfinite(each).any() and np.nanmean(each) > APART_M for each in far):
                kept.append(pose)
        count += max(len(kept) - 1, 0)
    return count
