"""Images of single people, cut out of rendered scenes or a data set's frames, and their training data (NumPy, torch).

A crop is the square of CROP_SCALE times the longer side of the box round the true joints, as the papers cut theirs; it
is resampled once from the original image, lens included. Colours, mirroring and small shifts are drawn on the way to
the network, as in AbsPoseLifter's Sec. 4.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from pose3d_ros.errors import FootageError
from pose3d_ros.geometry.projection import distort, project
from pose3d_ros.networks.canonical import MIRROR
from pose3d_ros.recordings.encoded_images import read_image
from pose3d_ros.research.samples import Crops, Views, normalised
from pose3d_ros.simulation.rendering.rendered_set import load_scenes
from pose3d_ros.structures import Camera, Floats

CROP_SCALE = 1.25
LEAST_DEPTH_M = 0.1
# AbsPoseLifter, Sec. 4.1: +-4 px of 256, colours by up to 40 %.
SHIFT_SHARE, COLOUR = 4 / 256, 0.4
KEPT_BYTES = 4 << 30  # of crops in memory; a larger set is read again in every epoch


@dataclass(frozen=True, eq=False)
class Moment:
    """One person at one moment, before V cameras."""

    images: tuple[Path, ...]  # V
    cameras: tuple[Camera, ...]  # V
    joints_m: Floats  # (17, 3) h36m_17, world
    group: str  # the scene or action that it is of


class Cut(NamedTuple):
    """N moments before V cameras, cut out with a margin round every crop."""

    image: Tensor  # (N, V, S + 2 margin, S + 2 margin, 3) uint8 BGR
    K: Tensor  # (N, V, 3, 3) px, of the image with its margin
    cam_from_world: Tensor  # (N, V, 4, 4) m
    world: Tensor  # (N, 17, 3) m


@dataclass(frozen=True)
class Augmentation:
    """What is drawn for every crop; the default draws nothing."""

    shift: bool = False
    flip: bool = False  # not for networks that learn where cameras stand
    colour: bool = False


def rendered_moments(folder: Path | str) -> list[Moment]:
    """Every person at every moment of the scenes of `pose3d render` in a folder; raises FootageError for videos."""
    moments = []
    for scene in load_scenes([folder]):
        cameras = scene.rig.cameras
        if films := [camera.name for camera in cameras if (scene.folder / f"{camera.name}.mp4").exists()]:
            raise FootageError(f"{scene.folder}/{films[0]}.mp4 is a video, expected JPEGs: render without --video")
        for number, people in enumerate(scene.truth.joints_m):
            images = tuple(scene.folder / camera.name / f"{number:06d}.jpg" for camera in cameras)
            moments += [Moment(images, cameras, joints, scene.name) for joints in people]
    counts = sorted({len(moment.cameras) for moment in moments})
    if len(counts) > 1:
        raise FootageError(f"{folder} holds scenes of {counts} cameras: render all with one kind of rig")
    return moments


class CropSet:
    """The crops of some moments, S px a side; read from disk once if they fit into memory."""

    def __init__(self, moments: Sequence[Moment], side: int, what: str = "crops") -> None:
        if not moments:
            raise FootageError(f"there is no person to cut out for {what}: check the folder")
        self.moments, self.side = moments, side
        self.margin = round(SHIFT_SHARE * side)
        self.views = len(moments[0].cameras)
        self._what = what
        self._kept: Cut | None = None

    def __len__(self) -> int:
        return len(self.moments)

    @property
    def identity(self) -> str:
        """Differs for other people, images or sizes: what a trained network belongs to."""
        digest = hashlib.sha256(f"{self.side} {len(self)}".encode())
        for moment in self.moments:
            digest.update(f"{moment.group} {moment.images[0].name}".encode())
            digest.update(np.ascontiguousarray(moment.joints_m).tobytes())
        return digest.hexdigest()[:16]

    def take(self, rows: NDArray[np.intp] | None = None) -> Cut:
        """These moments, or all; raises InputError for an image that is missing or damaged."""
        whole = self.side + 2 * self.margin
        if len(self) * self.views * 3 * whole**2 > KEPT_BYTES:
            chosen = self.moments if rows is None else [self.moments[row] for row in rows.tolist()]
            return _cut(chosen, self.side, self.margin, self._what)
        if self._kept is None:
            self._kept = _cut(self.moments, self.side, self.margin, self._what)
        return self._kept if rows is None else Cut(*(tensor[torch.from_numpy(rows)] for tensor in self._kept))


def crop_camera(camera: Camera, joints_m: Floats, side: int, margin: int = 0) -> Camera:
    """The pinhole camera of a person's crop with its margin; joints (17, 3) m, world."""
    pinhole = camera.rectified()
    px = project(pinhole, joints_m)
    low, high = np.nanmin(px, axis=0), np.nanmax(px, axis=0)
    scale = side / (CROP_SCALE * max(float((high - low).max()), 1.0))
    K = pinhole.K.copy()
    K[:2] *= scale
    K[:2, 2] += (side - 1) / 2 + margin - scale * (low + high) / 2
    return replace(pinhole, size_wh=(side + 2 * margin,) * 2, K=K, uncropped=())


def views_of(cut: Cut, side: int, augmentation: Augmentation | None = None) -> Views:
    """Cut moments as a network takes them, `side` px; the views of a moment are mirrored together (torch's random)."""
    drawn = augmentation or Augmentation()
    image, K = _shifted(cut, side, drawn.shift)
    points = torch.cat([cut.world, torch.ones_like(cut.world[..., :1])], dim=-1)
    xyz = (points[:, None] @ cut.cam_from_world.transpose(-1, -2))[..., :3]
    cam_from_world = cut.cam_from_world
    if drawn.flip:
        chosen = torch.rand(len(image), device=image.device) < 0.5
        image = torch.where(chosen[:, None, None, None, None], image.flip(-2), image)
        mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], device=image.device))
        mirrored_K = K.clone()
        mirrored_K[..., 0, 2] = side - 1 - K[..., 0, 2]
        K = torch.where(chosen[:, None, None, None], mirrored_K, K)
        mirrored_xyz = xyz[..., MIRROR, :] * mirror.diagonal()[:3]
        xyz = torch.where(chosen[:, None, None, None], mirrored_xyz, xyz)
        cam_from_world = torch.where(chosen[:, None, None, None], mirror @ cam_from_world @ mirror, cam_from_world)
    pixels = normalised(_coloured(image) if drawn.colour else image)
    xy = _projected(xyz, K)
    visible = ((xy > -0.5) & (xy < side - 0.5)).all(dim=-1) & (xyz[..., 2] > LEAST_DEPTH_M)
    return Views(pixels, xy, xyz, visible, K, cam_from_world)


def crops_of(cut: Cut, side: int, augmentation: Augmentation | None = None) -> Crops:
    """The same, view by view; see single_views() for crops that are mirrored each on its own."""
    return views_of(cut, side, augmentation).crops()


def single_views(cut: Cut) -> Cut:
    """N moments before V cameras as N * V moments before one."""
    world = cut.world.repeat_interleave(cut.image.shape[1], dim=0)
    image, K, cam_from_world = (tensor.flatten(0, 1)[:, None] for tensor in cut[:3])
    return Cut(image, K, cam_from_world, world)


def _projected(xyz: Tensor, K: Tensor) -> Tensor:
    """(..., J, 2) px of (..., J, 3) m in the frames of cameras K (..., 3, 3)."""
    image = xyz @ K.transpose(-1, -2)
    return image[..., :2] / image[..., 2:].clamp(min=LEAST_DEPTH_M)


def _shifted(cut: Cut, side: int, shift: bool) -> tuple[Tensor, Tensor]:
    """Images of `side` px out of those with a margin, from its middle or from anywhere; with their K."""
    N, V, whole = cut.image.shape[:3]
    margin = (whole - side) // 2
    device = cut.image.device
    low, high = (0, 2 * margin) if shift else (margin, margin)
    offset = torch.randint(low, high + 1, (N, V, 2), device=device)
    along = torch.arange(side, device=device)
    rows, columns = offset[..., 1, None] + along, offset[..., 0, None] + along  # (N, V, side)
    n, v = torch.arange(N, device=device)[:, None, None, None], torch.arange(V, device=device)[None, :, None, None]
    image = cut.image[n, v, rows[..., :, None], columns[..., None, :]]
    K = cut.K.clone()
    K[..., :2, 2] -= offset
    return image, K


def _coloured(image: Tensor) -> Tensor:
    """uint8 (N, V, S, S, 3) with brightness, contrast and saturation changed by up to COLOUR, a crop each."""
    factor = 1 + COLOUR * (2 * torch.rand(3, *image.shape[:2], 1, 1, 1, device=image.device) - 1)
    pixels = image.float() * factor[0]
    mean = pixels.mean(dim=(-3, -2, -1), keepdim=True)
    pixels = mean + factor[1] * (pixels - mean)
    grey = pixels.mean(dim=-1, keepdim=True)
    return (grey + factor[2] * (pixels - grey)).clamp(0, 255)


def _cut(moments: Sequence[Moment], side: int, margin: int, what: str) -> Cut:
    def images(moment: Moment) -> tuple[list[NDArray[np.uint8]], list[Camera]]:
        crops = [crop_camera(camera, moment.joints_m, side, margin) for camera in moment.cameras]
        return [
            _resampled(read_image(path), camera, crop)
            for path, camera, crop in zip(moment.images, moment.cameras, crops, strict=True)
        ], crops

    with ThreadPoolExecutor() as pool:
        found = list(tqdm(pool.map(images, moments), total=len(moments), desc=what, unit="moment", leave=False))
    pixels, K, poses = [], [], []
    for crops, cameras in found:
        pixels.append(np.stack(crops))
        K.append(np.stack([camera.K for camera in cameras]))
        poses.append(np.stack([camera.cam_from_world for camera in cameras]))
    joints = [moment.joints_m for moment in moments]
    K_all, poses_all, world = (torch.from_numpy(np.stack(values).astype(np.float32)) for values in (K, poses, joints))
    return Cut(torch.from_numpy(np.stack(pixels)), K_all, poses_all, world)


def _resampled(image: NDArray[np.uint8], camera: Camera, crop: Camera) -> NDArray[np.uint8]:
    width, height = crop.size_wh
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    ideal = np.stack([(u - crop.K[0, 2]) / crop.K[0, 0], (v - crop.K[1, 2]) / crop.K[1, 1]], axis=-1)
    # An image much larger than the crop is first blurred to what the crop can show.
    shrinking = camera.K[0, 0] / crop.K[0, 0]
    if shrinking > 2:
        image = cv2.GaussianBlur(image, (0, 0), 0.3 * shrinking).astype(np.uint8, copy=False)
    source = distort(camera, ideal).astype(np.float32)
    resampled = cv2.remap(image, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
    return np.asarray(resampled, dtype=np.uint8)
