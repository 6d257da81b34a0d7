"""A user's ONNX file as a detector: small networks of the same forms, with outputs known by construction."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'pose3d_ros[onnx]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pose3d_ros[test]'")

import tiny_networks as tiny  # noqa: E402

from pose3d_ros.detection import onnx_model  # noqa: E402
from pose3d_ros.detection.factory import make_detector  # noqa: E402
from pose3d_ros.detection.onnx_detector import OnnxJoints, crop_from_image, skeleton_of  # noqa: E402
from pose3d_ros.detection.onnx_model import OnnxModel, pixels  # noqa: E402
from pose3d_ros.detection.options import DetectorOptions, weights_of  # noqa: E402
from pose3d_ros.errors import DependencyError, InputError, OptionError  # noqa: E402
from pose3d_ros.skeletons import COCO_17, H36M_17, HALPE_26, remap  # noqa: E402
from pose3d_ros.structures import FrameSet  # noqa: E402

SIZE_WH = (640, 480)


def _joints(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """(17, 2) whole px, spread over a box in rows, so that dots do not touch."""
    columns, rows = np.arange(17) % 3, np.arange(17) // 3
    x, y = left + (right - left) * (columns + 0.5) / 3, top + (bottom - top) * (rows + 0.5) / 6
    return np.stack((x, y), axis=1).round()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    top_down = {
        "simcc": tiny.simcc_file(folder / "rtmpose_like.onnx"),
        "heatmap": tiny.heatmap_file(folder / "hrnet_like.onnx"),
    }
    return top_down | {form: tiny.one_stage_file(folder / f"{form}.onnx", form) for form in tiny.FORMS}


@pytest.mark.parametrize("kind", ["simcc", "heatmap"])
@pytest.mark.parametrize(
    "box", [(200, 60, 380, 440), (30, 100, 330, 260), (520, 20, 636, 300)], ids=["tall", "wide", "edge"]
)
def test_joints_in_a_box_are_detected_within_a_crop_pixel(files, kind, box):
    options = DetectorOptions(detector="onnx", detector_model=str(files[kind]))
    truth = _joints(*box)
    scale = crop_from_image(np.array(box, float), (192, 256))[0, 0]
    image = tiny.picture(truth, SIZE_WH, radius=max(3, round(2.5 / scale)))
    find = OnnxJoints(OnnxModel(str(files[kind]), "cpu"), kind, COCO_17, options)
    other = tiny.picture(truth + 7, SIZE_WH, radius=max(3, round(2.5 / scale)))
    detected = find([image, other], np.array([box, box], float), np.ones(2, dtype=bool))
    np.testing.assert_allclose(detected.xy[0], truth, atol=1.0 / scale)
    np.testing.assert_allclose(detected.xy[1], truth + 7, atol=1.0 / scale)
    # Half a pixel in any direction would be a wrong convention.
    assert np.abs((detected.xy[0] - truth).mean(axis=0)).max() * scale < 0.25
    assert detected.score.min() > 0.9
    assert detected.crop_scale == pytest.approx(max(box[2] - box[0], box[3] - box[1]) * 1.1 / 256)


@pytest.mark.parametrize("kind", ["simcc", "heatmap"])
def test_top_down_file_works_as_a_detector(weights, files, kind, monkeypatch):
    detector = make_detector(DetectorOptions(detector="onnx", detector_model=str(files[kind])), "cpu")
    truth = _joints(200, 60, 380, 440)
    monkeypatch.setattr(detector, "_search", lambda images: {"cam": np.array([[200.0, 60.0, 380.0, 440.0, 0.9]])})
    detected = detector(FrameSet({"cam": tiny.picture(truth, SIZE_WH, 6)}, {"cam": 9}))["cam"]
    assert len(detected) == 1
    assert detected.stamp_ns == 9
    np.testing.assert_allclose(detected.xy[0], truth, atol=2.0)
    assert detector.name == f"nanodet+{files[kind].stem}"
    assert "cpu" in detector.device
    sigma = np.sqrt(detected.covariance[0, :, 0, 0])
    assert (sigma > 1.0).all()
    assert (sigma < 20.0).all()


@pytest.mark.parametrize("form", tiny.FORMS)
@pytest.mark.parametrize("size_wh", [(640, 480), (200, 250)], ids=["landscape", "portrait"])
def test_one_stage_file_detects_one_person_once(files, form, size_wh):
    detector = make_detector(DetectorOptions(detector="onnx", detector_model=str(files[form])), "cpu")
    shrink = max(size_wh) / 256
    truth = _joints(0.2 * size_wh[0], 0.1 * size_wh[1], 0.8 * size_wh[0], 0.9 * size_wh[1])
    detected = detector(FrameSet({"cam": tiny.picture(truth, size_wh, round(2.5 * shrink))}, {"cam": 9}))["cam"]
    assert len(detected) == 1
    np.testing.assert_allclose(detected.xy[0], truth, atol=max(shrink, 1.0))
    assert detected.covariance.shape == (1, 17, 2, 2)
    assert detected.skeleton is COCO_17


def test_black_image_gives_no_people(files):
    for form in ("rtmo", "yolo"):
        detector = make_detector(DetectorOptions(detector="onnx", detector_model=str(files[form])), "cpu")
        assert len(detector(FrameSet({"cam": np.zeros((480, 640, 3), np.uint8)}, {"cam": 0}))["cam"]) == 0


@given(
    st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(5, 900), st.floats(5, 900)),
    st.sampled_from([(192, 256), (288, 384), (256, 256)]),
)
@settings(max_examples=50, deadline=None)
def test_crop_contains_the_padded_box_at_its_centre_undistorted(box, size_wh):
    left, top, width, height = box
    affine = crop_from_image(np.array([left, top, left + width, top + height]), size_wh)
    assert affine[0, 0] == affine[1, 1]
    corners = np.array([[left, top], [left + width, top + height]]) @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(corners.mean(axis=0), np.array(size_wh) / 2, atol=1e-6)
    fill = (corners[1] - corners[0]) / np.array(size_wh)
    assert fill.max() == pytest.approx(1 / 1.25)


def test_normalised_pixels_equal_those_of_torchvision_and_the_papers():
    image = np.array([[[[10, 20, 30]]]], np.uint8)  # blue, green, red
    np.testing.assert_allclose(pixels(image, "raw").ravel(), [10, 20, 30])
    np.testing.assert_allclose(pixels(image, "unit").ravel(), np.array([30, 20, 10]) / 255, rtol=1e-6)
    expected = (np.array([30, 20, 10]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(pixels(image, "imagenet").ravel(), expected, rtol=1e-5)


def _options(file, **others):
    return DetectorOptions(detector="onnx", detector_model=str(file), **others)


def _wrong(tmp_path, outputs, input_shape=(1, 3, 64, 48), kind=onnx.TensorProto.FLOAT):
    """A file that outputs zeros of the given shapes."""
    graph = tiny.Graph()
    first = graph("ReduceMin", graph("Cast", "input", to=onnx.TensorProto.FLOAT), keepdims=0)
    for name, shape in outputs.items():
        graph("Mul", first, graph.constant(np.zeros(shape, np.float32)), output=name)
    return graph.save(tmp_path / "wrong.onnx", list(input_shape), {n: list(s) for n, s in outputs.items()}, kind)


@pytest.mark.parametrize(
    ("outputs", "others", "message"),
    [
        ({"logits": (1, 1000)}, {}, r"outputs are logits \(1, 1000\).*48 x 64 px.*RTMPose.*docs/detectors.md"),
        ({"h": (1, 17, 16, 13)}, {}, "outputs are h"),
        ({"x": (1, 17, 96), "y": (1, 17, 130)}, {}, "outputs are x"),
        ({"h": (1, 26, 16, 12)}, {}, "is 26 joints, but detector_skeleton 'coco_17' has 17"),
        ({"x": (1, 17, 96), "y": (1, 17, 128)}, {"detector_skeleton": "halpe_26"}, "is 17 joints.*'halpe_26' has 26"),
        ({"h": (1, 17, 16, 12)}, {"detector_kind": "simcc"}, r"expected SimCC's"),
        ({"h": (1, 17, 16, 12)}, {"detector_kind": "one-stage"}, r"expected RTMO's"),
        ({"x": (1, 17, 96), "y": (1, 17, 128)}, {"detector_kind": "heatmap"}, r"expected heatmaps"),
        ({"d": (1, 20, 4), "k": (1, 20, 17, 3)}, {}, "outputs are d"),
    ],
)
def test_outputs_of_another_form_are_rejected_with_the_expected_one(tmp_path, outputs, others, message):
    with pytest.raises(InputError, match=message):
        make_detector(_options(_wrong(tmp_path, outputs), **others), "cpu")


@pytest.mark.parametrize("shape", [(1, 3, 64), (1, 64, 48, 3), (1, 1, 64, 48), (1, 3, "height", "width")], ids=str)
def test_input_that_is_not_an_image_of_fixed_size_is_rejected(tmp_path, shape):
    with pytest.raises(InputError, match="expected one image input"):
        make_detector(_options(_wrong(tmp_path, {"h": (1, 17, 16, 12)}, shape)), "cpu")


def test_half_precision_is_accepted_and_other_types_are_rejected(weights, tmp_path):
    outputs = {"h": (1, 17, 16, 12)}
    half = make_detector(_options(_wrong(tmp_path, outputs, kind=onnx.TensorProto.FLOAT16)), "cpu")
    assert len(half(FrameSet({"cam": np.zeros((64, 48, 3), np.uint8)}, {"cam": 0}))["cam"]) == 0
    with pytest.raises(InputError, match="float32 or float16"):
        make_detector(_options(_wrong(tmp_path, outputs, kind=onnx.TensorProto.UINT8)), "cpu")


def test_joints_of_nan_are_missing(files, monkeypatch):
    detector = make_detector(_options(files["rtmo"]), "cpu")
    boxes, points = np.array([[[10.0, 10.0, 10.0, 10.0, 0.9]]]), np.full((1, 1, 17, 3), 0.9)
    points[..., :2] = 20.0
    points[0, 0, 0] = np.nan
    monkeypatch.setattr(OnnxModel, "__call__", lambda model, images, normalisation: [boxes, points])
    detected = detector(FrameSet({"cam": np.zeros((256, 256, 3), np.uint8)}, {"cam": 0}))["cam"]
    assert detected.score[0].tolist() == [0.0] + [0.9] * 16
    assert (np.linalg.eigvalsh(detected.covariance[0, 1:]) > 0).all()  # though the box is empty


def test_invalid_files_are_rejected(tmp_path):
    text = tmp_path / "text.onnx"
    text.write_text("not a network")
    for file, message in ((tmp_path / "no.onnx", "no such file"), (tmp_path, "a folder"), (text, "cannot open it")):
        with pytest.raises(InputError, match=message):
            make_detector(_options(file), "cpu")


def test_detector_model_and_detector_onnx_require_each_other():
    with pytest.raises(OptionError, match="detector_model"):
        DetectorOptions(detector="onnx")
    with pytest.raises(OptionError, match="set it to onnx"):
        DetectorOptions(detector_model="x.onnx")


def test_missing_onnx_runtime_is_reported_with_the_install_command(monkeypatch, files):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"pip install 'pose3d_ros\[onnx\]'"):
        make_detector(_options(files["yolo"]), "cpu")


@pytest.mark.parametrize("device", ["quantum", "cpu:1", "cuda:x"])
def test_unknown_device_is_rejected_with_the_supported_ones(files, device):
    with pytest.raises(InputError, match="use auto, cpu, cuda"):
        make_detector(_options(files["yolo"]), device)


def test_missing_provider_falls_back_with_a_warning():
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    with pytest.warns(UserWarning, match="no TensorrtExecutionProvider, CUDAExecutionProvider is used"):
        providers = onnx_model._providers("tensorrt:1", available)
    assert [name for name, _ in providers] == available
    assert providers[0][1] == {"device_id": 1}
    with pytest.warns(UserWarning, match="CPUExecutionProvider is used"):
        assert onnx_model._providers("cuda", ["CPUExecutionProvider"]) == [("CPUExecutionProvider", {})]
    assert [name for name, _ in onnx_model._providers("auto", available)] == available


def test_skeleton_is_a_name_or_joint_names():
    assert skeleton_of("halpe_26") is HALPE_26
    some = skeleton_of("Nose, LShoulder,RShoulder")
    assert some.joint_names == ("Nose", "LShoulder", "RShoulder")
    for wrong in ("coco", "Nose,Nose", "a,b"):
        with pytest.raises(InputError, match="detector_skeleton"):
            skeleton_of(wrong)


def test_one_stage_file_needs_no_weights_and_others_need_the_box_network(files):
    assert weights_of(_options(files["yolo"], detector_kind="one-stage")) == ()
    assert weights_of(_options(files["simcc"])) == ("nanodet",)


def test_halpe_provides_the_head_top_that_coco_lacks():
    from pose3d_ros.structures import Keypoints2D

    xy = np.arange(52.0).reshape(1, 26, 2)
    pose = remap(Keypoints2D(xy, np.ones((1, 26)), HALPE_26), H36M_17)
    np.testing.assert_allclose(pose.xy[0, H36M_17.index("HeadTop")], xy[0, 17])
    assert (pose.score > 0).all()
