"""One camera, one rig: every field of CameraInfo by every placement on every path gives the same cameras or refusal.

Paths: the node's LiveRig with real messages, a recording, a rig file, and cameras made in Python. The truth is worked
out here from the fields, by sensor_msgs/CameraInfo's own comments.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bag_writing import T0, BagWriter
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo

from pose3d_ros.errors import Pose3DError
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.recordings.bag_recording import open_bag
from pose3d_ros.recordings.bag_rig import rig_of_bag
from pose3d_ros.rigs.live_rig import CameraUpdate, LiveRig
from pose3d_ros.rigs.placement import missing_transform
from pose3d_ros.rigs.rig_checks import check_rig, validate_rig
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.structures import Camera, Floats, Rig

K = np.array([[500.0, 0, 318.0], [0, 502.0, 242.0], [0, 0, 1]])
P = np.array([[480.0, 0, 322.0, 0], [0, 480.0, 239.0, 0], [0, 0, 1, 0]])
R = {name: Rotation.from_euler("xyz", angles).as_matrix() for name, angles in
     {"left": (0.01, -0.02, 0.005), "right": (-0.01, 0.015, -0.004)}.items()}  # fmt: skip
BASELINE_M = 0.12
Infos = dict[str, dict[str, Any]]


def sound() -> Infos:
    """Fields of a stereo pair whose images are not turned by any chance: K, D, R and P all differ."""
    infos: Infos = {}
    for name in ("left", "right"):
        infos[name] = {
            "width": 640, "height": 480, "distortion_model": "plumb_bob", "d": [-0.1, 0.02, 1e-3, -1e-3, 0.0],
            "k": K.copy(), "r": R[name].copy(), "p": P.copy(), "binning_x": 0, "binning_y": 0,
            "roi": {"x_offset": 0, "y_offset": 0, "width": 0, "height": 0, "do_rectify": False},
            "frame": f"{name}_optical", "image_frame": f"{name}_optical",
        }  # fmt: skip
    infos["right"]["p"][0, 3] = -480.0 * BASELINE_M
    return infos


@dataclass(frozen=True)
class Case:
    """A change of the fields; refused: by the part of the message that is used, what the refusal says."""

    change: Callable[[Infos], object]
    refused: dict[str, str] = field(default_factory=dict)


def both(**fields: Any) -> Callable[[Infos], object]:
    return lambda infos: [one.update(deepcopy(fields)) for one in infos.values()]


def right(**fields: Any) -> Callable[[Infos], object]:
    return lambda infos: infos["right"].update(deepcopy(fields))


def scaled(kind: str, factor: float) -> Callable[[Infos], None]:
    def change(infos: Infos) -> None:
        for one in infos.values():
            for key in kind:
                one[key][:2] *= factor

    return change


def baseline(metres: float, axis: int = 0, of: str = "right") -> Callable[[Infos], None]:
    def change(infos: Infos) -> None:
        for one in infos.values():
            one["p"][:2, 3] = 0
        infos[of]["p"][axis, 3] = -480.0 * metres

    return change


def every(*changes: Callable[[Infos], object]) -> Callable[[Infos], object]:
    return lambda infos: [change(infos) for change in changes]


def with_entry(key: str, index: tuple[int, int], value: float) -> Callable[[Infos], None]:
    def change(infos: Infos) -> None:
        infos["right"][key][index] = value

    return change


ROI = {"x_offset": 100, "y_offset": 60, "width": 400, "height": 300, "do_rectify": False}
CORNER = {"x_offset": 400, "y_offset": 300, "width": 240, "height": 180, "do_rectify": False}
HALF = "K is of images of about 320 x 240 px"
# Parts: K, D (raw images), P (rectified ones), Tx, R (where they are used), size, frame, roi.
CASES = {
    "sound": Case(lambda infos: None),
    "K and P of half the resolution": Case(scaled("kp", 0.5), {"K": HALF, "P": HALF}),
    "K and P of double the resolution": Case(
        scaled("kp", 2.0), {"K": "K is of images of about 1281 x 961 px", "P": "K is of images of about 1281 x 961 px"}
    ),
    "K of zeros": Case(right(k=np.zeros((3, 3))), {"K": r"is not calibrated|K needs 9 numbers by rows, got \[nan"}),
    "K of NaN": Case(with_entry("k", (0, 0), np.nan), {"K": r"is not calibrated|K needs 9 numbers by rows, got \[nan"}),
    "K in mm": Case(with_entry("k", (0, 0), 3.6), {"K": "field of view", "PK": "P of its camera_info has fx"}),
    "K transposed": Case(right(k=K.T.copy()), {"K": "is it transposed"}),
    "skew of 1e6": Case(with_entry("k", (0, 1), 1e6), {"K": "skew of 1e\\+06 px"}),
    "fx/fy of 4.5": Case(with_entry("k", (1, 1), 110.0), {"K": "fx/fy is 4.55"}),
    "principal point far outside": Case(with_entry("k", (0, 2), 1e5), {"K": "expected inside the image"}),
    "P of another lens than K": Case(
        lambda infos: infos["right"].update(k=np.diag([5.0, 5.0, 1.0]) @ (K - [[0, 0, 254], [0, 0, 193], [0, 0, 0]])),
        {"PK": "P of its camera_info has fx"},
    ),
    "k1 of 50": Case(right(d=[50.0, 0, 0, 0, 0]), {"D": "moves a point of the image"}),
    "a lens that folds": Case(right(d=[-0.9, 0, 0, 0, 0]), {"D": "folds inside the image"}),
    "D of NaN": Case(right(d=[np.nan] * 5), {"D": r"must be finite|needs a list of numbers, got \[nan"}),
    "three coefficients": Case(right(d=[0.1] * 3), {"D": "3 coefficients for plumb_bob"}),
    "an unknown lens": Case(right(distortion_model="division"), {"D": "distortion model 'division', expected one of"}),
    "width of 0": Case(right(width=0), {"size": "0 x 480 px"}),
    "R that is none": Case(right(r=2 * np.eye(3)), {"R": "expected a rotation"}),
    "R mirrored": Case(right(r=np.diag([1.0, 1, -1])), {"R": "expected a rotation"}),
    "Tx in mm": Case(baseline(120.0), {"Tx": "a baseline of 120 m, expected 10 m at most"}),
    "Tx of zero": Case(baseline(0.0), {"Tx": "baseline"}),
    "Tx the same in both": Case(
        lambda infos: infos["left"]["p"].__setitem__((0, 3), -480.0 * BASELINE_M), {"Tx": "and so has that of 'left'"}
    ),
    "Tx of NaN": Case(with_entry("p", (0, 3), np.nan), {"Tx": "Tx = P\\[3\\] = nan"}),
    "region beyond the sensor": Case(right(roi={**ROI, "width": 600}), {"roi": "region of interest"}),
    "binning that leaves nothing": Case(right(binning_x=1000), {"roi": "binning"}),
    "no frame": Case(both(frame="", image_frame=""), {"frame": "header.frame_id"}),
    "frame with a NUL": Case(
        lambda infos: [one.update(frame="a\0b", image_frame=f"a\0{name}") for name, one in infos.items()],
        {"frame": "header.frame_id"},
    ),
    # Valid twins.
    "frame in the images only": Case(both(frame="")),
    "frame in camera_info only": Case(both(image_frame="")),
    "camera_info of another frame": Case(both(frame="elsewhere")),
    "leading slash": Case(lambda infos: [one.update(image_frame=f"/{n}_optical") for n, one in infos.items()]),
    "one above the other": Case(baseline(0.2, axis=1)),
    "right first": Case(baseline(-BASELINE_M, of="left")),
    "8 m apart": Case(baseline(8.0)),
    "fisheye": Case(both(distortion_model="equidistant", d=[0.01, -0.005, 0.0, 0.0])),
    "fisheye by its old name": Case(both(distortion_model="fisheye", d=[0.01, -0.005, 0.0, 0.0])),
    "portrait": Case(
        lambda infos: [
            one.update(
                width=480,
                height=640,
                k=one["k"] + [[0, 0, -80], [0, 0, 80], [0, 0, 0]],
                p=one["p"] + [[0, 0, -80, 0], [0, 0, 80, 0], [0, 0, 0, 0]],
            )
            for one in infos.values()
        ]
    ),
    "cropped by roi": Case(both(roi=ROI)),
    "cropped to a corner": Case(both(roi=CORNER)),
    "binned": Case(both(binning_x=2, binning_y=2)),
    "cropped, binned and odd frames": Case(every(both(roi=ROI, binning_x=2, binning_y=2), both(frame="elsewhere"))),
    "no R": Case(both(r=np.zeros((3, 3)))),
    "no D": Case(both(d=[], distortion_model="")),
}
MAP_FROM = {name: np.eye(4) for name in ("left", "right")}
MAP_FROM["left"][:3, :3] = Rotation.from_euler("x", -np.pi / 2).as_matrix()
MAP_FROM["right"][:3, :3] = Rotation.from_euler("xz", [-np.pi / 2, 0.1]).as_matrix()
MAP_FROM["left"][:3, 3], MAP_FROM["right"][:3, 3] = (1.0, 0, 1.5), (2.0, 0, 1.5)


def used(placement: str, rectified: bool) -> list[str]:
    """The parts of the messages that count, in the order in which they are looked at."""
    if placement in ("file", "python"):
        return ["size", "K", "D"]
    parts = ["size", *(["P", "PK", "R"] if rectified else ["K", "D"]), "roi", "frame"]
    return parts if placement == "tf" else [*parts, "Tx", "PK", "R"]


def turned(rotation: Any) -> Floats:
    transform = np.eye(4)
    transform[:3, :3] = rotation if np.any(rotation) else np.eye(3)
    return transform


def truth(infos: Infos, placement: str, rectified: bool) -> list[tuple[Floats, tuple[int, int], Floats]]:
    """K, size and cam_from_fixed of both cameras, worked out by the comments of sensor_msgs/CameraInfo."""
    found = []
    offset = np.eye(4)
    offset[:2, 3] = [infos["right"]["p"][i, 3] / 480.0 - infos["left"]["p"][i, 3] / 480.0 for i in (0, 1)]
    for name, one in infos.items():
        matrix, width, height = (one["p"][:, :3] if rectified else one["k"]).copy(), one["width"], one["height"]
        if placement in ("file", "python"):
            found.append((one["k"], (width, height), np.linalg.inv(MAP_FROM[name])))
            continue
        if one["roi"]["width"]:
            matrix[:2, 2] -= one["roi"]["x_offset"], one["roi"]["y_offset"]
            width, height = one["roi"]["width"], one["roi"]["height"]
        if one["binning_x"] == 2:
            matrix[:2] /= 2
            matrix[:2, 2] -= 0.25  # the centre of the first two pixels is at 0.5
            width, height = width // 2, height // 2
        if placement == "tf":
            place = np.linalg.inv(MAP_FROM[name])
        else:
            place = np.eye(4) if name == "left" else turned(one["r"]).T @ offset @ turned(infos["left"]["r"])
        found.append((matrix, (width, height), (turned(one["r"]) if rectified else np.eye(4)) @ place))
    return found


def look_up(placement: str) -> Callable[[str, str, int], Floats]:
    def answer(target: str, source: str, stamp_ns: int) -> Floats:
        name = source.removesuffix("_optical")
        if placement == "projection" or target != "map" or name not in MAP_FROM:
            raise missing_transform(target, source, "unknown")
        return MAP_FROM[name]

    return answer


def message(one: dict[str, Any]) -> CameraInfo:
    msg = CameraInfo(width=one["width"], height=one["height"], distortion_model=one["distortion_model"])
    msg.header.frame_id = one["frame"]
    msg.d, msg.k, msg.r, msg.p = list(map(float, one["d"])), one["k"].ravel(), one["r"].ravel(), one["p"].ravel()
    msg.binning_x, msg.binning_y = one["binning_x"], one["binning_y"]
    for key, value in one["roi"].items():
        setattr(msg.roi, key, value)
    return msg


def live(infos: Infos, placement: str, rectified: bool, auto: bool, file: Path) -> Rig:
    rig = LiveRig(
        ("left", "right"), look_up(placement), placement="auto" if auto else placement, rectified=rectified,
        fixed_frame="map" if placement == "tf" else "", rig_file=str(file) if placement == "file" else "",
    )  # fmt: skip
    return rig.update({name: CameraUpdate(message(one), one["image_frame"], 5) for name, one in infos.items()})


def recorded(infos: Infos, placement: str, rectified: bool, folder: Path) -> Rig:
    with BagWriter(folder / "bag") as bag:
        for name, one in infos.items():
            bag.image(f"/{name}/image_raw", np.zeros((4, 4, 3), np.uint8), T0, frame_id=one["image_frame"])
            kind, roi = "sensor_msgs/msg/CameraInfo", bag.make("sensor_msgs/msg/RegionOfInterest", **one["roi"])
            fields = {key: one[key] for key in ("width", "height", "distortion_model", "binning_x", "binning_y")}
            arrays = {key: np.asarray(one[key], dtype=np.float64).ravel() for key in "dkrp"}
            msg = bag.make(kind, header=bag.header(T0, one["frame"]), roi=roi, **fields, **arrays)
            bag.add(f"/{name}/camera_info", kind, msg, T0)
        if placement == "tf":
            bag.static({("map", f"{name}_optical"): MAP_FROM[name] for name in infos}, T0)
    topics = {name: f"/{name}/image_raw" for name in infos}
    fixed = "map" if placement == "tf" else ""
    return rig_of_bag(
        open_bag(folder / "bag"), topics, "{camera}/camera_info", rectified=str(rectified).lower(), fixed_frame=fixed
    )


def from_file(infos: Infos, file: Path) -> Rig:
    cameras = [
        {"name": name, "width": one["width"], "height": one["height"], "K": one["k"].ravel().tolist(),
         "distortion_model": one["distortion_model"] or "plumb_bob", "distortion": list(one["d"]),
         "cam_from_world": np.linalg.inv(MAP_FROM[name]).ravel().tolist()} for name, one in infos.items()
    ]  # fmt: skip
    file.write_text(yaml.safe_dump({"frame_id": "map", "cameras": cameras}), encoding="utf-8")
    rig = load_rig(file)
    validate_rig(rig)
    return rig


def in_python(infos: Infos) -> Rig:
    cameras = tuple(
        Camera(name, (one["width"], one["height"]), one["k"], one["distortion_model"] or "plumb_bob", one["d"],
               np.linalg.inv(MAP_FROM[name])) for name, one in infos.items()
    )  # fmt: skip
    options = EstimatorOptions(refine="none", monocular_fallback="never")
    return PoseEstimator(Rig(cameras, "map"), options=options).rig


def outcomes(infos: Infos, placement: str, rectified: bool, folder: Path) -> Iterator[tuple[str, Callable[[], Rig]]]:
    if placement == "python":
        yield "Python", lambda: in_python(infos)
        yield "rig file", lambda: from_file(infos, folder / "rig.yaml")
        return
    file = folder / "sound.yaml"
    if placement == "file":
        from_file(sound(), file)
    yield "node", lambda: live(infos, placement, rectified, False, file)
    yield "node, auto", lambda: live(infos, placement, rectified, True, file)
    if placement != "file":
        yield "recording", lambda: recorded(infos, placement, rectified, folder)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("placement", ["tf", "projection", "python"])
@pytest.mark.parametrize("name", CASES)
def test_every_path_gives_the_same_cameras_or_the_same_refusal(
    name: str, placement: str, rectified: bool, tmp_path: Path
) -> None:
    if placement == "python" and (rectified or "fisheye by" in name):
        pytest.skip("a rig file knows neither rectified images nor the name fisheye")
    case, infos = CASES[name], sound()
    case.change(infos)
    says = [case.refused[part] for part in used(placement, rectified) if part in case.refused]
    for path, made in outcomes(infos, placement, rectified, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if says:
                with pytest.raises(Pose3DError, match=says[0]) as refusal:
                    made()
                assert len(str(refusal.value)) < 1500
                continue
            rig = made()
        for camera, (matrix, size_wh, place) in zip(rig.cameras, truth(infos, placement, rectified), strict=True):
            where = f"{path}, {camera.name}"
            assert camera.size_wh == size_wh, where
            np.testing.assert_allclose(camera.K, matrix, atol=1e-9, err_msg=where)
            np.testing.assert_allclose(camera.cam_from_world, place, atol=1e-9, err_msg=where)


@pytest.mark.parametrize("name", CASES)
def test_a_rig_file_counts_whatever_camera_info_says_but_for_the_size(name: str, tmp_path: Path) -> None:
    infos, expected = sound(), from_file(sound(), tmp_path / "sound.yaml")
    CASES[name].change(infos)
    if name in ("width of 0", "portrait"):
        with pytest.raises(Pose3DError, match="the rig file has 640 x 480 px, its camera_info"):
            live(infos, "file", False, True, tmp_path / "sound.yaml")
        return
    rig = live(infos, "file", False, True, tmp_path / "sound.yaml")
    assert rig.calibration_hash == expected.calibration_hash


def refusal_of(change: Callable[[Infos], object], placement: str, rectified: bool = False) -> str:
    """What the node says of a pair with this change."""
    infos = sound()
    change(infos)
    with pytest.raises(Pose3DError) as refusal:
        live(infos, placement, rectified, True, Path())
    return str(refusal.value)


def test_fault_calibration_of_half_the_resolution() -> None:
    """Fault: K and P are of half the resolution, width and height are those of the images.
    Sees: "camera 'left': its principal point (159, 121) px is at 25% ... K is of images of about 320 x 240 px".
    Recovers: by itself with a camera_info of the images' size.
    Kind: K2
    Before: "running, 1 person", level OK; joints 2.4 m off.
    """
    for rectified in (False, True):
        assert HALF in refusal_of(scaled("kp", 0.5), "tf", rectified)


def test_fault_lens_that_cannot_be() -> None:
    """Fault: k1 is 50, or K has a skew of 1e6 px.
    Sees: "camera 'right': its distortion [50, ...] moves a point of the image to ... times its distance", or the skew.
    Recovers: by itself with a sound camera_info.
    Kind: K2
    Before: accepted.
    """
    assert "moves a point of the image" in refusal_of(right(d=[50.0, 0, 0, 0, 0]), "tf")
    assert "skew of 1e+06 px" in refusal_of(with_entry("k", (0, 1), 1e6), "tf")


def test_fault_stereo_baseline_in_millimetres() -> None:
    """Fault: Tx of P is in mm.
    Sees: "camera 'right': its camera_info has Tx = P[3] = -57600 ..., a baseline of 120 m, expected 10 m at most".
    Recovers: by itself with a camera_info in m; a pair 8 m apart is used.
    Kind: K2
    Before: "running, 0 people", level OK; `rig show`: "60.0000 m apart, no fault found".
    """
    assert "a baseline of 120 m, expected 10 m at most: Tx is -fx times" in refusal_of(baseline(120.0), "projection")


def test_fault_frame_id_empty_with_projection() -> None:
    """Fault: a stereo driver leaves header.frame_id empty.
    Sees: "camera 'left': its images have an empty header.frame_id, so ... poses have no frame".
    Recovers: when the driver names its optical frame.
    Kind: K2
    Before: poses and TF went out in the frame ''.
    """
    assert "empty header.frame_id" in refusal_of(both(frame="", image_frame=""), "projection")


def test_fault_camera_info_of_another_frame_than_the_images() -> None:
    """Fault: camera_info names another frame than the images.
    Sees: WARN "header.frame_id of its images is 'left_optical', of its camera_info 'elsewhere': the images' is used".
    Recovers: when the driver gives both the same; node and recordings use the images' one.
    Kind: K2
    Before: the node used one, recordings the other.
    """
    infos = sound()
    both(frame="elsewhere")(infos)
    rig = LiveRig(("left", "right"), look_up("tf"), placement="tf", rectified=False, fixed_frame="map")
    rig.update({name: CameraUpdate(message(one), one["image_frame"], 5) for name, one in infos.items()})
    assert any("of its camera_info 'elsewhere': the images' is used" in text for text in rig.warnings)


def test_fault_frame_id_of_the_cameras_body() -> None:
    """Fault: images carry the frame of the camera's body (x ahead), not its optical frame.
    Sees: "header.frame_id of its images is 'left', the camera's body, whose optical frame is 'left_optical' on TF".
    Recovers: when the driver names the optical frame.
    Kind: K2
    Before: "inverted": wrong cause, wrong fix.
    """
    infos = sound()
    for name, one in infos.items():
        one["frame"] = one["image_frame"] = name
    body_from_optical = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

    def frames(target: str, source: str, stamp_ns: int) -> Floats:
        if target in MAP_FROM and source == f"{target}_optical":
            return body_from_optical
        if target == "map" and source in MAP_FROM:
            return MAP_FROM[source] @ np.linalg.inv(body_from_optical)
        raise missing_transform(target, source, "unknown")

    rig = LiveRig(("left", "right"), frames, placement="tf", rectified=False, fixed_frame="map")
    with pytest.raises(Pose3DError, match="is 'left', the camera's body, whose optical frame is 'left_optical'"):
        rig.update({name: CameraUpdate(message(one), one["image_frame"], 5) for name, one in infos.items()})


@pytest.mark.parametrize(("apart_m", "fault"), [(3.3, None), (20.0, None), (27.8, False), (60.7, True)])
def test_fault_lengths_in_another_unit(apart_m: float, fault: bool | None) -> None:
    """Fault: a calibration is in millimetres or in squares of the board.
    Sees: from 25 m to the next camera a warning, from 50 m a fault: "is 60.7 m from the nearest camera ... in mm?".
    Recovers: with `pose3d rig convert --unit mm`, or squares in m; nearer ones are found by people's own size.
    Kind: K2
    Before: "no fault found".
    """
    places = np.array([-apart_m / 2, 0, 0]), np.array([apart_m / 2, 0, 0])
    cameras = []
    for name, place, yaw in zip(("a", "b"), places, (-0.8, 0.8), strict=True):
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = Rotation.from_euler("y", yaw).as_matrix()
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ place
        cameras.append(Camera(name, (640, 480), K, cam_from_world=cam_from_world))
    findings = check_rig(Rig(tuple(cameras)))
    assert {one.fault for one in findings} == (set() if fault is None else {fault})
    assert all(f"{apart_m:g} m from the nearest camera" in one.text for one in findings)
    # Somewhere on a map, hundreds of metres from its origin, is no fault.
    old_from_map = np.eye(4)
    old_from_map[:3, 3] = -500.0, 300.0, 0.0
    moved = Rig(tuple(one.placed(one.cam_from_world @ old_from_map) for one in cameras))
    assert {one.fault for one in check_rig(moved)} == {one.fault for one in findings}


def recording(folder: Path, tf_topic: str = "/tf_static", calibrated_at: int = 0) -> Path:
    """A recording of the pair, whose first camera_infos are not calibrated yet."""
    infos = sound()
    with BagWriter(folder / "bag") as bag:
        for name, one in infos.items():
            bag.image(f"/{name}/image_raw", np.zeros((4, 4, 3), np.uint8), T0, frame_id=one["image_frame"])
            camera = Camera(name, (640, 480), K, "plumb_bob", one["d"])
            for number in range(3):
                bag.info(
                    camera, one["frame"], T0 + number, **({} if number >= calibrated_at else {"K": np.zeros((3, 3))})
                )
        bag.static({("map", f"{name}_optical"): MAP_FROM[name] for name in infos}, T0, topic=tf_topic)
    return folder / "bag"


def test_fault_first_camera_info_of_a_recording_not_calibrated(tmp_path: Path) -> None:
    """Fault: the first camera_info of a recording is not calibrated yet, later ones are.
    Sees: nothing: the first one that can be used counts, as in the node; without any, "is not calibrated".
    Recovers: by itself.
    Kind: K2
    Before: the recording was refused.
    """
    topics = {name: f"/{name}/image_raw" for name in MAP_FROM}
    late = open_bag(recording(tmp_path, calibrated_at=2))
    rig = rig_of_bag(late, topics, "{camera}/camera_info", rectified="false", fixed_frame="map")
    np.testing.assert_allclose(rig.camera("right").K, K)
    (tmp_path / "never").mkdir()
    never = open_bag(recording(tmp_path / "never", calibrated_at=3))
    with pytest.raises(Pose3DError, match=r"'left'.*is not calibrated"):
        rig_of_bag(never, topics, "{camera}/camera_info", rectified="false", fixed_frame="map")


def test_fault_tf_static_in_a_namespace(tmp_path: Path) -> None:
    """Fault: a robot's transforms are recorded on /robot1/tf_static.
    Sees: nothing: they place its cameras.
    Recovers: there is nothing to recover from.
    Kind: K2
    Before: "does not say where its cameras stand".
    """
    bag = open_bag(recording(tmp_path, tf_topic="/robot1/tf_static"))
    topics = {name: f"/{name}/image_raw" for name in MAP_FROM}
    rig = rig_of_bag(bag, topics, "{camera}/camera_info", rectified="false", fixed_frame="map")
    np.testing.assert_allclose(rig.camera("right").cam_from_world, np.linalg.inv(MAP_FROM["right"]), atol=1e-9)
