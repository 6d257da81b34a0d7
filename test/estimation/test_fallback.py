"""One camera left of several: the same people under the same ids, and back to triangulation with the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import STANDING, h36m_rig, seen, walker
from torch import Tensor, nn

from pose3d_ros.errors import WeightsError
from pose3d_ros.estimation.body_smoother import BodySmoother
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.single_view import PersonLifter, matched_by_direction
from pose3d_ros.networks.canonical import Lifted
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, Keypoints2D, PersonState, Rig

RIG = Rig(h36m_rig().cameras[:3], "map")
FPS = 20
T0 = 7_000_000_000_000


def walkers(t_s: float) -> Floats:
    """(2, 17, 3) m: a tall and a small person who pass each other at 0.8 m."""
    return np.stack([walker((-1.2, 0.4), (0.5, 0), t_s, 1.85), walker((1.2, -0.4), (-0.5, 0), t_s, 1.55)])


class RigOracle(nn.Module):
    """A lifting network that knows the truth but for the depth, for every camera of the rig: it knows them by K."""

    def __init__(self) -> None:
        super().__init__()
        self.by_focal: dict[float, Oracle] = {}

    def watch(self, people: Floats, depth_error: float) -> None:
        """people (P, 17, 3) m in the world; depth_error makes all of them too far and too large alike."""
        for camera in RIG.cameras:
            place = camera.cam_from_world
            self.by_focal[round(camera.K[0, 0], 2)] = Oracle(depth_error * (people @ place[:3, :3].T + place[:3, 3]))

    def forward(self, xy: Tensor, K: Tensor) -> Lifted:
        return self.by_focal[round(float(K[0, 0, 0]), 2)](xy, K)


class Watched:
    """Cameras that watch walkers, and an estimator with that network."""

    def __init__(self, depth_error: float = 1.0, calibration: Rig = RIG) -> None:
        self.depth_error = depth_error
        self.oracle = RigOracle()
        self.rng = np.random.default_rng(5)
        lifter = OracleLoaded(self.oracle)
        self.estimator = PoseEstimator(
            calibration,
            options=EstimatorOptions(refine="none"),
            lifter=PersonLifter(lifter=lifter),  # type: ignore[arg-type]
        )

    def see(self, frame: int, cameras: Sequence[int], noise_px: float = 2.0) -> Estimate:
        t_s = frame / FPS
        people, stamp_ns = walkers(t_s), T0 + round(t_s * 1e9)
        self.oracle.watch(people, self.depth_error)
        order = self.rng.permutation(len(people))
        views = {
            camera.name: seen(camera, people, self.rng, noise_px=noise_px, order=order, stamp_ns=stamp_ns)
            for camera in (RIG.cameras[n] for n in cameras)
        }
        return self.estimator.estimate_from_keypoints(views)


def test_a_person_whose_bones_are_known_is_lifted_as_tall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was learnt of how far the network is off for that person."""
    monkeypatch.setattr(PersonLifter, "learn", lambda self, *observed: None)
    off = {}
    for known in (True, False):
        watched = Watched(depth_error=1.3)
        for frame in range(30):
            watched.see(frame, (0, 1, 2))
        if not known:
            monkeypatch.setattr(BodySmoother, "statures_m", lambda self: {})
        estimate, truth = watched.see(30, (0,)), walkers(30 / FPS)
        assert estimate.lifted_from == RIG.cameras[0].name
        centre = RIG.cameras[0].centre
        who = who_is_who(estimate, truth)
        assert sorted(who.values()) == [0, 1]
        away = np.linalg.norm(estimate.pose.xyz[:, 0] - centre, axis=-1)
        true = np.linalg.norm(truth[[who[one] for one in estimate.pose.ids], 0] - centre, axis=-1)
        off[known] = np.abs(away / true - 1.0).max()
    assert off[True] < 0.1 < 0.2 < off[False]


def who_is_who(estimate: Estimate, people: Floats) -> dict[str, int]:
    """The true person nearest in the horizontal angle and place to each pose."""
    apart = np.linalg.norm(estimate.pose.xyz[:, None] - people[None], axis=-1)
    return dict(zip(estimate.pose.ids, np.nanmean(apart, axis=-1).argmin(axis=1).tolist(), strict=True))


def sources(estimate: Estimate) -> set[int]:
    return set(estimate.pose.source.ravel().tolist())


@pytest.mark.parametrize("depth_error", [1.0, 1.25, 0.8])
def test_ids_survive_three_cameras_then_one_then_three(depth_error: float) -> None:
    watched = Watched(depth_error=depth_error)
    first: dict[str, int] = {}
    for frame in range(60):
        cameras = [1] if 20 <= frame < 40 else [0, 1, 2]
        result = watched.see(frame, cameras)
        people = walkers(frame / FPS)
        first = first or who_is_who(result, people)
        assert set(first) == {"1", "2"}
        assert who_is_who(result, people) == first, frame
        assert (result.pose.state == PersonState.VISIBLE).all(), frame
        assert sources(result) == {JointSource.MONOCULAR if len(cameras) == 1 else JointSource.TRIANGULATED}, frame
        assert result.pose.frame_id == "map"
        assert result.lifted_from == (RIG.names[1] if len(cameras) == 1 else "")
        assert {name: sorted(ids) for name, ids in result.ids.items()} == {RIG.names[n]: ["1", "2"] for n in cameras}, (
            frame
        )


def test_one_camera_alone_uses_the_heights_measured_by_several() -> None:
    """A lifter that takes all people for 25 % further and larger: what was learned puts both right."""
    watched = Watched(depth_error=1.25)
    for frame in range(20):
        watched.see(frame, [0, 1, 2])
    result = watched.see(20, [1])
    error = np.linalg.norm(result.pose.xyz[:, None] - walkers(20 / FPS)[None], axis=-1).mean(-1).min(-1)
    assert error.max() < 0.10  # of 1.2 m without it


@pytest.mark.parametrize("returned", [[0, 1], [0, 1, 2]])
def test_a_new_person_is_lifted_by_the_network_and_corrected_by_returning_cameras(returned: list[int]) -> None:
    watched = Watched(depth_error=1.25)
    for frame in range(3):
        result = watched.see(frame, [1], noise_px=0.0)
    away = np.linalg.norm(result.pose.xyz - RIG.cameras[1].centre, axis=-1).mean(-1)
    true = np.linalg.norm(walkers(2 / FPS) - RIG.cameras[1].centre, axis=-1).mean(-1)
    assert sorted(away) == pytest.approx(sorted(1.25 * true), rel=0.01)
    # And gets no second id when other cameras say where they really are, from the first set on.
    for frame in range(3, 8):
        result = watched.see(frame, returned)
        assert result.pose.ids == ("1", "2")
        assert sources(result) == {JointSource.TRIANGULATED}
    assert np.abs(result.pose.velocity).max() < 2.5  # coming back is no motion


def test_a_wrong_depth_does_not_keep_apart_what_a_returning_camera_sees() -> None:
    """With a calibration that is 10 mrad off, the lifted person fits the one view better than the other view does."""
    turned = np.eye(4)
    turned[1:3, 1:3] = [[np.cos(0.01), -np.sin(0.01)], [np.sin(0.01), np.cos(0.01)]]
    first, *others = RIG.cameras
    watched = Watched(depth_error=1.25, calibration=Rig((first.placed(turned @ first.cam_from_world), *others), "map"))
    for frame in range(10):
        result = watched.see(frame, [1] if frame < 5 else [0, 1])
        if frame >= 5:
            assert sources(result) == {JointSource.TRIANGULATED}, frame
            assert result.single_view == 0, frame
    assert result.pose.ids == ("1", "2")


def test_another_camera_alone_than_before_knows_the_same_people() -> None:
    watched = Watched()
    for frame in range(40):
        result = watched.see(frame, [0, 1, 2] if frame < 10 else [1] if frame < 25 else [2])
    assert result.pose.ids == ("1", "2")
    assert (result.pose.state == PersonState.VISIBLE).all()


def test_half_a_second_without_any_frame_set_costs_no_id() -> None:
    """As long as the node waits until it takes a camera for the only one left."""
    watched = Watched(depth_error=1.1)
    for frame in range(60):
        if 20 <= frame < 31:
            continue
        result = watched.see(frame, [0, 1, 2] if frame < 20 else [1])
    assert result.pose.ids == ("1", "2")
    assert (result.pose.state == PersonState.VISIBLE).all()


def test_a_bystander_seen_by_one_of_three_cameras_is_not_lifted() -> None:
    watched = Watched()
    people = walkers(0.0)
    all_people = np.concatenate([people, STANDING[None] + (0.0, 2.5, 0.0)])
    watched.oracle.watch(all_people, 1.0)
    for frame in range(5):
        stamp_ns = T0 + round(frame / FPS * 1e9)
        views = {
            camera.name: seen(camera, all_people if n == 1 else people, watched.rng, stamp_ns=stamp_ns)
            for n, camera in enumerate(RIG.cameras)
        }
        result = watched.estimator.estimate_from_keypoints(views)
    assert len(result.pose) == 2
    assert result.single_view == 1
    assert sources(result) == {JointSource.TRIANGULATED}


def test_never_disables_lifting_and_a_required_network_must_exist() -> None:
    fallback = PersonLifter("never", lifter=OracleLoaded(Oracle(walkers(0.0))))  # type: ignore[arg-type]
    estimator = PoseEstimator(RIG, options=EstimatorOptions(refine="none"), lifter=fallback)
    rng = np.random.default_rng(0)
    for frame in range(4):
        cameras = RIG.cameras if frame < 3 else RIG.cameras[:1]
        stamp_ns = T0 + frame * 50_000_000
        views = {c.name: seen(c, walkers(frame / FPS), rng, stamp_ns=stamp_ns) for c in cameras}
        result = estimator.estimate_from_keypoints(views)
    assert set(result.pose.state.tolist()) == {PersonState.OCCLUDED}
    assert sources(result) == {JointSource.PREDICTED}
    assert fallback.described == "off: monocular_fallback is never"
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors"):
        PersonLifter("auto", "/nowhere.safetensors").load()


def test_an_empty_view_of_the_only_camera_is_no_fault() -> None:
    watched = Watched()
    for frame in range(3):
        watched.see(frame, [0, 1, 2])
    no_people = {RIG.names[1]: Keypoints2D.empty(H36M_17, T0 + 200_000_000)}
    result = watched.estimator.estimate_from_keypoints(no_people)
    assert set(result.pose.state.tolist()) == {PersonState.OCCLUDED}


def test_known_people_are_found_by_the_rays_to_their_joints_however_far_they_were_lifted() -> None:
    centre = RIG.cameras[0].centre
    people = walkers(0.0)
    lifted = centre + 1.7 * (people[::-1] - centre)
    assert sorted(matched_by_direction(centre, people, lifted)) == [(0, 1), (1, 0)]
    assert matched_by_direction(centre, people, people[:0]) == []
    assert matched_by_direction(centre, centre - (people - centre), people) == []  # behind the camera
    # 2 m aside is another person.
    assert matched_by_direction(centre, people[:1] + np.array([0.0, 0.0, 2.0]), lifted) == []
