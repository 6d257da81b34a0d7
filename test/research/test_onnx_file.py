"""Networks of the research folder as files for the nodes' detector: the same joints, from image to pose."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from synthetic_people import STANDING, h36m_rig
from torch import Tensor
from torch.nn.functional import avg_pool2d

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'pose3d_ros[onnx]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pose3d_ros[train]'")

from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.onnx_detector import crop_from_image
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.errors import DependencyError, InputError
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.research import onnx_file
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.hourglass import StackedHourglass
from pose3d_ros.research.networks.integral import IntegralPose, Joints
from pose3d_ros.research.onnx_file import write_onnx
from pose3d_ros.research.samples import IMAGENET_MEAN, IMAGENET_STD, normalised
from pose3d_ros.structures import FrameSet

SIDE = 256
JOINTS = 17
# Joint j is where an image is of its colour, (17, 3) RGB.
COLOURS = np.array([[255, 15 * joint, 255 * (joint % 2)] for joint in range(JOINTS)])


def dots(image: Tensor) -> Tensor:
    """Heatmaps (B, 17, S / 4, S / 4) of height 1 round the dots of each colour in normalised images."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    rgb = (image * std + mean)[:, None]
    colours = torch.from_numpy(COLOURS).float()[None, :, :, None, None] / 255
    shown = torch.exp(-((rgb - colours) ** 2).sum(dim=2) / 1e-4)
    for _ in range(3):  # nearly a Gaussian of two bins, as is learned
        shown = avg_pool2d(shown, 17, 1, 8)
    maps = avg_pool2d(shown, 4)
    return maps / (maps.amax(dim=(2, 3), keepdim=True) + 1e-5)


class DotIntegral(IntegralPose):
    def __init__(self) -> None:
        super().__init__(18, width=2, deconvolution=2)

    def forward(self, image: Tensor) -> Joints:
        logits = (dots(image) + 1e-7).log()  # the softmax of which is that
        return Joints(logits, heads.to_pixels(heads.soft_argmax(logits), logits.shape[-1], image.shape[-1]), None)


class DotHourglass(StackedHourglass):
    def __init__(self) -> None:
        super().__init__(1, width=8)

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([torch.zeros(1), torch.ones(1)])[None, :, :, None, None] * dots(image)[:, None]


def picture(joints: np.ndarray, size_wh: tuple[int, int], radius: float) -> np.ndarray:
    """BGR image (H, W, 3) with dots at px (17, 2), to a sixteenth of a pixel."""
    image = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    for (x, y), colour in zip(joints, COLOURS, strict=True):
        centre, bgr = (round(16 * float(x)), round(16 * float(y))), [int(value) for value in colour[::-1]]
        cv2.circle(image, centre, round(16 * radius), bgr, -1, shift=4)
    return image


def grid(box: tuple[float, float, float, float]) -> np.ndarray:
    """Px (17, 2) spread over a box."""
    number = np.arange(JOINTS)
    left, top, right, bottom = box
    return np.stack(
        [left + (right - left) * (number % 3 + 0.6) / 3, top + (bottom - top) * (number // 3 + 0.3) / 6], axis=1
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    for name, network in (("integral", DotIntegral()), ("hourglass", DotHourglass())):
        write_onnx(network, folder / f"{name}.onnx", SIDE)
    return {name: folder / f"{name}.onnx" for name in ("integral", "hourglass")}


def options(file: Path) -> DetectorOptions:
    return DetectorOptions(detector="onnx", detector_model=str(file), detector_skeleton="h36m_17")


@pytest.mark.parametrize("name", ["integral", "hourglass"])
@pytest.mark.parametrize("box", [(200.0, 40.0, 380.0, 440.0), (40.0, 100.0, 400.0, 290.0)], ids=["tall", "wide"])
def test_detector_finds_what_is_in_the_image_within_a_crop_pixel(
    weights: None, files: dict[str, Path], name: str, box: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = make_detector(options(files[name]), "cpu")
    truth = grid(box)
    monkeypatch.setattr(detector, "_search", lambda images: {"cam": np.array([[*box, 0.9]])})
    image = picture(truth, (640, 480), 7.0)
    found = detector(FrameSet({"cam": image}, {"cam": 9}))["cam"]
    scale = crop_from_image(np.array(box), (308, 308))[0, 0]
    assert found.skeleton.name == "h36m_17"
    assert len(found) == 1
    error = (found.xy[0] - truth) * scale
    assert np.abs(error).max() < 0.75
    assert np.abs(error.mean(axis=0)).max() < 0.25  # half a pixel would be another convention
    assert found.score.min() > 0.5


def test_detector_gives_the_networks_own_joints(
    weights: None, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, network = (200.0, 40.0, 380.0, 440.0), DotIntegral()
    detector = make_detector(options(files["integral"]), "cpu")
    monkeypatch.setattr(detector, "_search", lambda images: {"cam": np.array([[*box, 0.9]])})
    image = picture(grid(box), (640, 480), 7.0)
    found = detector(FrameSet({"cam": image}, {"cam": 9}))["cam"]
    # The training crop by its definition: 1.25 times the box of the joints, of which the detector's box is 1.2 times.
    affine = crop_from_image(np.array(box), (308, 308))
    affine[:, 2] -= 26
    crop = cv2.warpAffine(image, affine, (SIDE, SIDE))
    assert SIDE / affine[0, 0] == pytest.approx(400 / 1.2 * 1.25, rel=0.003)
    own = network(normalised(torch.from_numpy(crop))[None]).xy_px[0].numpy()
    assert np.abs(found.xy[0] * affine[0, 0] + affine[:, 2] - own).max() < 0.2


def test_score_is_the_height_of_the_heatmap(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = IntegralPose(18, width=4, deconvolution=4).eval()
    with torch.no_grad():  # peaks of all heights
        network.final.weight *= 10 ** torch.linspace(4.0, 8.0, JOINTS)[:, None, None, None]
    write_onnx(network, tmp_path / "n.onnx", 64)
    form = onnx_file.SimccForm(network, 64)
    image = torch.randn(2, 3, form.side, form.side)
    model = __import__("onnxruntime").InferenceSession(str(tmp_path / "n.onnx"))
    x, y = model.run(None, {"image": image.numpy()})
    with torch.no_grad():
        found = network(form.middle(image))
        # A Gaussian of half a bin, as heatmaps of 16 bins are learned, is this share of its sum at its highest.
        height = found.logits.flatten(2).softmax(dim=-1).amax(dim=-1) * 2 * np.pi * 0.5**2
    assert height.min() < 0.1
    assert height.max() > 1.0
    for vector, axis in ((x, 0), (y, 1)):
        np.testing.assert_allclose(vector.max(-1), height.clamp(1e-3, 1.0).numpy(), rtol=0.003)
        place = vector.argmax(-1) * form.side / vector.shape[-1] - form.margin
        assert np.abs(place - found.xy_px[..., axis].numpy()).max() <= 0.5 / onnx_file.BINS + 1e-3


def test_estimator_publishes_every_joint_of_the_file(
    weights: None, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, person = h36m_rig(), STANDING + np.array([0.0, 0.3, 0.0])
    seen = {camera.name: project(camera, person) for camera in rig.cameras}
    boxes = {name: np.array([[*xy.min(axis=0), *xy.max(axis=0), 0.9]]) for name, xy in seen.items()}
    detector = make_detector(options(files["integral"]), "cpu")
    monkeypatch.setattr(detector, "_search", lambda images: {name: boxes[name] for name in images})
    estimator = PoseEstimator(rig, detector, EstimatorOptions(refine="none"))
    for number in range(4):  # a person is published after some sets
        images = {camera.name: picture(seen[camera.name], camera.size_wh, 5.0) for camera in rig.cameras}
        pose = estimator.estimate(FrameSet(images, dict.fromkeys(images, number * 50_000_000))).pose
    assert pose.skeleton.name == "h36m_17"
    # Dots hide parts of each other, by 3 cm; every bone is longer than 10 cm.
    assert np.linalg.norm(pose.xyz[0] - person, axis=-1).max() < 0.05


def test_a_3d_network_and_a_missing_package_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="16 bins of depth"):
        write_onnx(IntegralPose(18, 16, 4, 4), tmp_path / "n.onnx")
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install"):
        write_onnx(DotIntegral(), tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())
