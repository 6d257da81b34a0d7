"""The trained refinement networks as parts of the estimator: NumPy float64 in and out, torch float32 inside.

On a CPU the rig-conditioned form of CV-UGCN, which the nodes use, is evaluated without torch: networks/*_numpy.py.

Axes: V views, G people, J joints (h36m_17).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.observation import Grouped2D, present, triangulated
from pose3d_ros.estimation.refinement.training_domain import TRAINED_JOINTS, RigRange
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.projection import distort, undistort
from pose3d_ros.networks import posern
from pose3d_ros.networks.cvugcn import CvUgcn
from pose3d_ros.networks.cvugcn_numpy import Layer, shift_in_numpy
from pose3d_ros.networks.refiner import refine
from pose3d_ros.networks.residual_mlp import MlpRefiner
from pose3d_ros.networks.rig_features import Sight
from pose3d_ros.networks.rig_features_numpy import SightInNumpy, in_world, rig_input_in_numpy
from pose3d_ros.networks.spread import REFINED, check, refined_covariance_in_numpy
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats
from pose3d_ros.weights.trained import Loaded

# How more views than two are served; see CvUgcnRefiner.
MANY_VIEWS = ("all", "pairs", "best_pair")


class PoseRNRefiner:
    """A KeypointRefiner: takes PoseRN's prediction of the detector's bias off every camera's keypoints."""

    def __init__(self, loaded: Loaded, device: str = "cpu") -> None:
        """Raises InputError for the weights of another network."""
        if loaded.recipe.get("network") != "posern":
            raise InputError(_wrong(loaded, "posern"))
        self._net, self._device = loaded.net.to(device), device

    def __call__(self, cameras: Sequence[Camera], xyz: Floats, xy: Floats) -> Floats:
        """Keypoints (V, G, J, 2) px less their bias, NaN as given; xyz (G, J, 3) m is what they triangulate to."""
        flat = [_undistorted_px(camera, one) for camera, one in zip(cameras, xy, strict=True)]
        seen_from = [xyz @ c.cam_from_world[:3, :3].T + c.cam_from_world[:3, 3] for c in cameras]
        size_wh = np.repeat([camera.size_wh for camera in cameras], len(xyz), axis=0)
        with torch.inference_mode():
            pixels = self._tensor(np.concatenate(flat))
            ready = posern.prepare(self._tensor(np.concatenate(seen_from)), pixels, self._tensor(size_wh))
            # The baseline's answer is flat.
            bias = self._net(ready.features).reshape(pixels.shape)
            shift = (posern.refine(pixels, bias, ready.unit, ready.seen) - pixels).cpu().numpy()
        shifts = np.where(TRAINED_JOINTS[:, None], shift, 0.0).reshape(xy.shape)
        moved = [
            distort(camera, (one + by - camera.K[:2, 2]) @ np.linalg.inv(camera.K[:2, :2]).T)
            for camera, one, by in zip(cameras, flat, shifts, strict=True)
        ]
        return np.where(shifts != 0, np.stack(moved), xy)

    def _tensor(self, numbers: Floats) -> Tensor:
        return torch.as_tensor(numbers, dtype=torch.float32, device=self._device)


class CvUgcnRefiner:
    """A PoseRefiner: CV-UGCN (or its baseline) on people seen by two cameras or more.

    many_views says how people seen by more cameras than the weights were trained on are served by the rig-conditioned
    form: "all": at once, by the same weights on a larger graph (CvUgcn.with_views); "pairs": every pair on its own,
    triangulated on its own, then their mean weighted by how sure each pair's triangulation is; "best_pair": joint by
    joint the surest of them alone.
    """

    def __init__(self, loaded: Loaded, device: str = "cpu", *, many_views: str = "all") -> None:
        """Raises InputError for the weights or covariance figures of another network and an unknown many_views."""
        if loaded.recipe.get("network") != "cvugcn" or not isinstance(loaded.net, CvUgcn | MlpRefiner):
            raise InputError(_wrong(loaded, "cvugcn"))
        if many_views not in MANY_VIEWS:
            raise InputError(f"many_views is {many_views!r}, expected one of {', '.join(MANY_VIEWS)}")
        check(loaded.spread, REFINED)
        self._form = str(loaded.recipe["form"])
        self._covariance = refined_covariance_in_numpy(loaded.spread) if loaded.spread else None
        self._many, self._range = many_views, RigRange.of(loaded.recipe)
        self._device = device
        self._trained_views = int(loaded.recipe["views"])
        self._nets: dict[int, nn.Module] = {self._trained_views: loaded.net.to(device)}
        self._in_numpy = torch.device(device).type == "cpu" and self._form == "rig" and isinstance(loaded.net, CvUgcn)
        self._shifts: dict[int, Layer] = {}

    def serves(self, views: int) -> bool:
        """Whether the weights can refine people seen by so many cameras."""
        any_number = isinstance(net := self._nets[self._trained_views], CvUgcn) and net.options.stems != "separate"
        return views == self._trained_views or (any_number and min(views, self._trained_views) >= 2)

    def __call__(self, cameras: Sequence[Camera], seen: Grouped2D, observed: Observed3D) -> tuple[Floats, Floats]:
        """Refined xyz (G, J, 3) m and covariance (G, J, 3, 3) m^2 of people observed as triangulated.

        Joints that were not triangulated are filled in by the rig-conditioned form, where the weights come with
        figures of their covariance. NaN for people whom serves() excludes. Without such figures the covariance is
        that of the triangulation.
        """
        given, covariance = observed.xyz, observed.covariance
        sees = np.asarray(seen.seen.any(axis=-1))  # (V, G)
        xyz = np.full_like(given, np.nan)
        for views in np.unique(sees.sum(axis=0)):
            rows = np.flatnonzero(sees.sum(axis=0) == views)
            if not self.serves(int(views)):
                continue
            if views > self._trained_views and self._many != "all":
                xyz[rows] = self._by_pairs(cameras, seen.select(rows), len(rows))
            else:
                used = np.stack([np.flatnonzero(sees[:, row]) for row in rows])  # (B, views)
                xyz[rows] = self._refined(cameras, seen.select(rows), given[rows], used)
        if self._form != "rig" or self._covariance is None:
            xyz = np.where(np.isfinite(given), xyz, np.nan)  # the other forms cannot mark a missing joint
        if self._covariance is None:
            return xyz, covariance
        return xyz, self._covariance(covariance)

    def _refined(self, cameras: Sequence[Camera], seen: Grouped2D, xyz: Floats, used: NDArray[np.intp]) -> Floats:
        """B people xyz (B, J, 3) m, each by the cameras used (B, N)."""
        views = used.shape[1]
        sight, middle = sight_of(cameras, seen, xyz, used, self._range)
        if self._in_numpy:
            given = rig_input_in_numpy(sight)
            pose: Floats = in_world(given, given.pose + self._shift(views)(given.features).mean(axis=1)) + middle
            return pose
        with torch.inference_mode():
            tensors = Sight(*(self._tensor(one) for one in sight))
            refined = refine(self._net(views), tensors, self._form).cpu().numpy()
        world: Floats = np.asarray(refined, dtype=np.float64) + middle
        return world

    def _by_pairs(self, cameras: Sequence[Camera], seen: Grouped2D, people: int) -> Floats:
        """The same from every pair of cameras (B, J, 3) m."""
        total = np.zeros((people, H36M_17.size, 3))
        weight = np.zeros((people, H36M_17.size, 1))
        for pair in combinations(range(len(cameras)), 2):
            eyes = [cameras[number] for number in pair]
            part = Grouped2D(*(None if a is None else a[list(pair)] for a in (seen.xy, seen.score, seen.covariance)))  # type: ignore[arg-type]
            found = triangulated(eyes, part, min_views=2, max_std_m=np.inf)
            rows = np.flatnonzero(np.isfinite(found.xyz[:, TRAINED_JOINTS]).all(-1).any(-1))
            if not len(rows):
                continue
            given = np.where(TRAINED_JOINTS[:, None], found.xyz[rows], np.nan)
            refined = self._refined(eyes, part.select(rows), given, np.tile([0, 1], (len(rows), 1)))
            # A joint that a pair did not see is a guess, worth little compared with one that was seen.
            spread = np.nan_to_num(np.trace(found.covariance[rows], axis1=-2, axis2=-1), nan=1.0)[..., None]
            sure = 1.0 / (spread + 1e-6)
            if self._many == "best_pair":
                better = sure > weight[rows]
                total[rows] = np.where(better, sure * refined, total[rows])
                weight[rows] = np.where(better, sure, weight[rows])
            else:
                total[rows] += sure * refined
                weight[rows] += sure
        return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)

    def _net(self, views: int) -> nn.Module:
        if views not in self._nets:
            trained = self._nets[self._trained_views]
            assert isinstance(trained, CvUgcn)
            self._nets[views] = trained.with_views(views).requires_grad_(False)
        return self._nets[views]

    def _shift(self, views: int) -> Layer:
        if views not in self._shifts:
            net = self._net(views)
            assert isinstance(net, CvUgcn)
            self._shifts[views] = shift_in_numpy(net)
        return self._shifts[views]

    def _tensor(self, numbers: Floats) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(numbers), dtype=torch.float32, device=self._device)


def sight_of(
    cameras: Sequence[Camera], seen: Grouped2D, xyz: Floats, used: NDArray[np.intp], known: RigRange
) -> tuple[SightInNumpy, Floats]:
    """What a network is given of B people xyz (B, J, 3) m, each seen by the cameras used (B, N), and its origin (3,) m.

    known: the rigs that its weights were trained for.
    """
    place = np.stack([camera.cam_from_world for camera in cameras])
    # Float32 keeps 0.1 um of a metre but 6 cm of a map's thousand kilometres: the middle of the cameras is the
    # network's origin.
    middle = np.mean([camera.centre for camera in cameras], axis=0)
    place[:, :3, 3] += place[:, :3, :3] @ middle
    rays = np.stack([undistort(camera, one) for camera, one in zip(cameras, seen.xy, strict=True)])
    people = np.arange(len(xyz))[:, None]
    focal_px = [known.told_focal_px([cameras[c] for c in who], _middle(p)) for who, p in zip(used, xyz, strict=True)]
    sight = SightInNumpy(
        coarse=xyz - middle,
        observed=rays[used, people],
        score=np.where(seen.seen, seen.score, 0.0)[used, people],
        focal_px=np.stack(focal_px),
        cam_from_world=place[used],
    )
    return sight, middle


def _middle(xyz: Floats) -> Floats:
    """Mean of the joints (J, 3) that are there, (3,) m."""
    there = present(xyz)
    mean: Floats = xyz[there].mean(axis=0)
    return mean


def _undistorted_px(camera: Camera, px: Floats) -> Floats:
    """Pixels (..., 2) of the original image in the undistorted image of the same K."""
    flat: Floats = undistort(camera, px) @ camera.K[:2, :2].T + camera.K[:2, 2]
    return flat


def _wrong(loaded: Loaded, wanted: str) -> str:
    return (
        f"{loaded.name} holds a network {loaded.recipe.get('network')!r}, expected {wanted!r}: "
        f"give the file that `pose3d train {wanted}` wrote"
    )
