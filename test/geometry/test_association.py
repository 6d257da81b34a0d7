"""People are matched across views as they were made, whatever the detector does."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest
from definitions.association import associate as defined
from synthetic_people import h36m_rig, seen, walker
from timing import cpu_s

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.association import associate
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D

RIG = h36m_rig()
STARTS = ((-1.0, -1.0), (0.5, -0.8), (-0.6, 0.9), (1.2, 1.0))
WALKS = ((0.6, 0.3), (-0.7, 0.5), (0.2, -0.9), (-0.5, -0.4))


def crowd(t_s: float, people: int = 4) -> Floats:
    """(people, 17, 3) m, who cross each other's ways, of different stature."""
    bodies = [walker(STARTS[p], WALKS[p], t_s, 1.6 + 0.08 * p) for p in range(people)]
    return np.stack(bodies)


def views_of(
    people: Floats, rng: np.random.Generator, noise_px: float = 4.0, cameras: tuple[Camera, ...] = RIG.cameras
) -> tuple[list[Keypoints2D], list[np.ndarray]]:
    """Shuffled detections of every camera, and who they are."""
    who = [rng.permutation(len(people)) for _ in cameras]
    return [seen(c, people, rng, noise_px=noise_px, order=w) for c, w in zip(cameras, who, strict=True)], who


def truth_of(groups: np.ndarray, who: list[np.ndarray]) -> list[set[int]]:
    """The true people in each group."""
    return [{int(who[v][i]) for v, i in enumerate(row) if i >= 0} for row in groups]


def pair_errors(groups: np.ndarray, who: list[np.ndarray]) -> int:
    """Pairs of detections wrongly joined or wrongly apart."""
    nodes = [(v, i) for v, w in enumerate(who) for i in range(len(w))]
    group = {(v, int(i)): g for g, row in enumerate(groups) for v, i in enumerate(row) if i >= 0}
    return sum(
        (group[a] == group[b]) != (who[a[0]][a[1]] == who[b[0]][b[1]])
        for a, b in itertools.combinations(nodes, 2)
        if a[0] != b[0]
    )


def test_four_crossing_people_are_matched_in_four_shuffled_views() -> None:
    rng = np.random.default_rng(1)
    for t_s in np.arange(0.0, 4.0, 0.1):
        keypoints, who = views_of(crowd(t_s), rng)
        groups = associate(RIG.cameras, keypoints)
        assert groups.shape == (4, 4)
        assert sorted(map(sorted, truth_of(groups, who))) == [[0], [1], [2], [3]], t_s


@pytest.mark.parametrize("pair", list(itertools.combinations(range(4), 2)))
def test_two_views_suffice_for_most_of_the_time(pair: tuple[int, int]) -> None:
    # Two views alone leave real ambiguity: people on one epipolar plane. They must be rare.
    rng = np.random.default_rng(2)
    cameras = tuple(RIG.cameras[i] for i in pair)
    wrong = 0
    for t_s in np.arange(0.0, 4.0, 0.1):
        keypoints, who = views_of(crowd(t_s), rng, cameras=cameras)
        wrong += pair_errors(associate(cameras, keypoints), who)
    assert wrong <= 0.03 * 40 * 16


def test_calibration_error_of_thirty_pixels_does_not_split_a_person() -> None:
    rng = np.random.default_rng(3)
    shifted = []
    for index, camera in enumerate(RIG.cameras):
        K = camera.K.copy()
        K[:2, 2] += 15 * np.array([np.cos(2.1 * index), np.sin(2.1 * index)])
        shifted.append(replace(camera, K=K))
    for t_s in np.arange(0.0, 4.0, 0.2):
        keypoints, _ = views_of(crowd(t_s, 1), rng, noise_px=8.0)
        assert len(associate(shifted, keypoints)) == 1


def test_every_detection_is_in_exactly_one_group_and_no_view_is_twice_in_any() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        counts = rng.integers(0, 6, 4)
        keypoints = [Keypoints2D(rng.uniform(0, 1000, (n, 17, 2)), rng.uniform(0, 1, (n, 17)), H36M_17) for n in counts]
        groups = associate(RIG.cameras, keypoints)
        for view, count in enumerate(counts):
            assert sorted(groups[:, view][groups[:, view] >= 0]) == list(range(count))


def test_false_people_stay_alone_while_true_ones_are_found() -> None:
    rng = np.random.default_rng(5)
    joined = 0
    for t_s in np.arange(0.0, 4.0, 0.2):
        people = crowd(t_s, 2)
        keypoints, who = [], []
        for camera in RIG.cameras:
            true = seen(camera, people, rng)
            # A false person: a true outline somewhere else in the image, with low scores.
            false_xy = true.xy[:1] + rng.uniform(150, 300, 2) * rng.choice([-1, 1], 2)
            both = np.concatenate([true.xy, false_xy]), np.concatenate([true.score, 0.3 * true.score[:1]])
            keypoints.append(Keypoints2D(*both, H36M_17))
            who.append(np.array([0, 1, 2]))
        groups = associate(RIG.cameras, keypoints)
        truth = truth_of(groups, who)
        assert {0} in truth
        assert {1} in truth
        joined += sum(2 in members and len(members) > 1 for members in truth)
    assert joined == 0


def test_person_seen_by_one_camera_stays_single() -> None:
    rng = np.random.default_rng(6)
    people = crowd(1.0, 3)
    keypoints, _ = views_of(people, rng)
    keypoints = [seen(RIG.cameras[0], people, rng)] + [seen(c, people[:2], rng) for c in RIG.cameras[1:]]
    groups = associate(RIG.cameras, keypoints)
    assert groups.tolist() == [[0, 0, 0, 0], [1, 1, 1, 1], [2, -1, -1, -1]]


def test_missing_view_is_no_obstacle() -> None:
    rng = np.random.default_rng(7)
    keypoints, who = views_of(crowd(0.5), rng)
    keypoints[2], who[2] = Keypoints2D.empty(H36M_17), np.zeros(0, dtype=int)
    groups = associate(RIG.cameras, keypoints)
    assert pair_errors(groups, who) == 0
    assert (groups[:, 2] == -1).all()


def test_half_a_body_with_wrong_joints_is_still_matched() -> None:
    rng = np.random.default_rng(8)
    keypoints, who = views_of(crowd(2.0), rng)
    xy, score = keypoints[1].xy.copy(), keypoints[1].score.copy()
    xy[:, [3, 6]] += 250.0  # hallucinated ankles
    xy[:, [9, 10]] = np.nan
    keypoints[1] = Keypoints2D(xy, score, H36M_17)
    assert pair_errors(associate(RIG.cameras, keypoints), who) == 0


def test_prediction_resolves_an_ambiguity_of_two_views() -> None:
    cameras = RIG.cameras[:2]
    plain = primed = 0
    for t_s in np.arange(0.0, 4.0, 0.1):
        people = crowd(t_s)
        keypoints, who = views_of(people, np.random.default_rng(9), noise_px=10.0, cameras=cameras)
        plain += pair_errors(associate(cameras, keypoints), who)
        primed += pair_errors(associate(cameras, keypoints, people + 0.03), who)
    assert primed == 0
    assert plain >= primed


def test_wrong_prediction_joins_no_people() -> None:
    rng = np.random.default_rng(10)
    people = crowd(0.0, 2)
    # Camera 0 sees the first, camera 1 the second: whatever is expected, they are not one person.
    keypoints = [seen(RIG.cameras[0], people[:1], rng), seen(RIG.cameras[1], people[1:], rng)]
    for expected in (people, people.mean(axis=0, keepdims=True)):
        assert len(associate(RIG.cameras[:2], keypoints, expected)) == 2


def test_predictions_with_unknown_joints_and_empty_views() -> None:
    predicted = np.full((1, 17, 3), np.nan)
    empty = [Keypoints2D.empty(H36M_17) for _ in RIG.cameras]
    assert associate(RIG.cameras, empty, predicted).shape == (0, 4)
    keypoints, who = views_of(crowd(1.0, 2), np.random.default_rng(11))
    assert pair_errors(associate(RIG.cameras, keypoints, predicted), who) == 0


def test_coincident_cameras_join_no_people() -> None:
    rng = np.random.default_rng(12)
    cameras = (RIG.cameras[0], replace(RIG.cameras[0], name="twin"))
    keypoints = [seen(camera, crowd(1.0, 1), rng) for camera in cameras]
    assert len(associate(cameras, keypoints)) == 2


def test_different_lengths_and_skeletons_are_rejected() -> None:
    empty = Keypoints2D.empty(H36M_17)
    with pytest.raises(InputError, match="one set of keypoints a camera: 4 and 1"):
        associate(RIG.cameras, [empty])
    one = Keypoints2D(np.zeros((1, 17, 2)), np.ones((1, 17)), H36M_17)
    other = Keypoints2D(np.zeros((1, 17, 2)), np.ones((1, 17)), COCO_17)
    with pytest.raises(InputError, match="remap"):
        associate(RIG.cameras[:2], [one, other])


def test_keypoints_that_came_from_another_process_are_the_same_skeleton() -> None:
    keypoints, _ = views_of(crowd(1.0), np.random.default_rng(14))
    sent = [pickle.loads(pickle.dumps(one)) for one in keypoints]
    np.testing.assert_array_equal(associate(RIG.cameras, [keypoints[0], *sent[1:]]), associate(RIG.cameras, keypoints))


def test_four_people_in_four_views_take_less_time_than_the_definition_in_numpy() -> None:
    keypoints, _ = views_of(crowd(1.0), np.random.default_rng(13))
    # Measured: a twentieth.
    assert cpu_s(associate, RIG.cameras, keypoints, repeats=10) < 0.5 * cpu_s(defined, RIG.cameras, keypoints)
