"""Which rigs and people refinement networks know, against the very rigs that training draws."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from synthetic_people import h36m_rig

from pose3d_ros.estimation.refinement.training_domain import FAMILIES, TRAINED_JOINTS, RigRange
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats

CAMERA = h36m_rig().cameras[0]


def pair(apart_m: float, count: int = 2) -> tuple[Camera, ...]:
    """Cameras in a row along x, the outermost apart_m apart, all looking along z."""
    cameras = []
    for place in np.linspace(0.0, apart_m, count):
        cam_from_world = np.eye(4)
        cam_from_world[0, 3] = -place
        cameras.append(replace(CAMERA.placed(cam_from_world), name=f"at {place:.2f}"))
    return tuple(cameras)


def range_of(*families: str) -> RigRange:
    return RigRange.of({"form": "rig", "views": 2, "rigs": list(families)})


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rigs_and_people_of_training_lie_inside(family: str) -> None:
    rng, known, inside, total = np.random.default_rng(0), range_of(family), 0, 0
    for number in range(60):
        one = simulated_rig(family, number, held_out=False)
        people = np.concatenate([one.floor.draw(10, rng), np.full((10, 1), 0.95)], axis=1)
        for cameras in combinations(one.rig.cameras, 2):
            assert known.why_not(cameras) == ""
            centres = np.stack([camera.centre for camera in cameras])
            inside += sum(known.knows(centres, person) for person in people)
            total += len(people)
    assert inside / total > 0.98


@pytest.mark.parametrize(
    ("families", "apart_m", "count", "words"),
    [
        (("head530",), 0.3, 2, "stand 0.30 m apart, the weights were trained for 0.12 m"),
        (("head530", "room2"), 0.3, 2, "0.12 m, 1 to 5 m"),
        (("room2",), 8.0, 2, "8.00 m apart"),
        (("h36m", "room4"), 5.0, 4, "has 4 cameras, the weights were trained for 2"),
        (("h36m",), 5.0, 1, "has 1 cameras"),
        ((), 1.0, 2, "unknown rigs"),
    ],
)
def test_a_rig_outside_the_training_range_is_reported_with_the_reason(
    families: tuple[str, ...], apart_m: float, count: int, words: str
) -> None:
    assert words in range_of(*families).why_not(pair(apart_m, count))


@pytest.mark.parametrize("form", ["paper", "pair"])
def test_forms_for_one_pair_of_cameras_know_no_other_pair_however_alike(form: str) -> None:
    known = RigRange.of({"form": form, "views": 2, "rigs": ["h36m"]})
    assert "know the cameras that they were trained for only" in known.why_not(pair(5.0, 2))


@pytest.mark.parametrize("rigs", [None, "h36m", [["h36m"]], [3], {"h36m": 1}, ["moon"]])
def test_a_recipe_that_names_no_family_as_we_do_knows_no_rig(rigs: object) -> None:
    assert RigRange.of({"form": "rig", "views": 2, "rigs": rigs}).families == ()


@pytest.mark.parametrize(("place", "known"), [((0.06, 0, 3.0), True), ((0.06, 0, 1.5), False), ((0.06, 0, 5.0), False)])
def test_people_nearer_or_further_than_in_training_are_not_known(place: Floats, known: bool) -> None:
    centres = np.array([[0.0, 0, 0], [0.12, 0, 0]])
    assert range_of("head530", "h36m").knows(centres, np.array(place)) is known


def test_the_mean_distance_to_the_cameras_decides_whether_a_person_is_in_range() -> None:
    centres = np.array([[0.0, 0, 0], [4.0, 0, 0]])
    assert range_of("room2").knows(centres, np.array([0.0, 0.0, 1.0]))
    assert not range_of("room2").knows(centres, np.array([0.0, 0.0, 9.0]))


def test_a_higher_resolution_is_compared_at_the_training_resolution() -> None:
    fine = tuple(replace(one, K=one.K * [[4], [4], [1]], size_wh=(4000, 4000)) for one in pair(2.0))
    person = np.array([1.0, 0.0, 4.0])
    reported = range_of("room2").told_focal_px(fine, person)
    np.testing.assert_allclose(reported / np.hypot(1.0, 4.0), 350.0)
    for known, cameras in ((range_of("room2"), pair(2.0)), (RigRange(), fine)):  # coarse enough, and an unknown rig
        np.testing.assert_allclose(
            known.told_focal_px(cameras, person), np.sqrt(cameras[0].K[0, 0] * cameras[0].K[1, 1])
        )


def test_all_joints_but_the_top_of_the_head_are_taught() -> None:
    assert [name for name, taught in zip(H36M_17.joint_names, TRAINED_JOINTS, strict=True) if not taught] == ["HeadTop"]
