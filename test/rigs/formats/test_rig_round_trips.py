"""Every calibration format reads back what was written, or rejects what it cannot represent."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.rigs.formats.rig_file import FORMATS, read_rig, write_rig
from pose3d_ros.rigs.rig_frames import relative_to
from pose3d_ros.structures import Camera, Floats, Rig

ABSOLUTE = ("rig", "qualisys", "pose2sim", "anipose")  # formats with extrinsics in a world frame
MOST = {"ros": 2, "opencv": 2}
FISHEYE = ("rig", "ros", "kalibr", "opencv", "anipose")
RATIONAL = ("rig", "ros", "opencv")
K3 = (*RATIONAL, "qualisys", "pose2sim", "anipose")

numbers = st.floats(-1, 1)
names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_\-]{0,12}", fullmatch=True)


@st.composite
def lenses(draw: st.DrawFn, format: str) -> tuple[str, list[float]]:
    kinds = [("plumb_bob", 4)]
    kinds += [("plumb_bob", 5), ("plumb_bob", 0)] if format in K3 else []
    kinds += [("rational_polynomial", n) for n in (8, 12, 14)] if format in RATIONAL else []
    kinds += [("equidistant", 4)] if format in FISHEYE else []
    model, count = draw(st.sampled_from(kinds))
    return model, [n / 10000 for n in draw(st.lists(st.integers(-1000, 1000), min_size=count, max_size=count))]


@st.composite
def rigs(draw: st.DrawFn, format: str) -> Rig:
    count = draw(st.integers(1, MOST.get(format, 4)))
    cameras = []
    for name in draw(st.lists(names, min_size=count, max_size=count, unique_by=str.lower)):
        size = draw(st.tuples(st.integers(16, 8000), st.integers(16, 8000)))
        model, lens = draw(lenses(format))
        if format == "opencv" and cameras:  # both share fisheye_model
            first = cameras[0]
            model, lens = (first.distortion_model, first.distortion.tolist())
        f = draw(st.floats(50, 20000))
        K = np.array(
            [[f, 0, size[0] * draw(st.floats(0, 1))], [0, f * draw(st.floats(0.5, 2)), size[1] / 2], [0, 0, 1]]
        )
        cam_from_world = transform(
            [draw(st.floats(-3.1, 3.1)) for _ in "xyz"], [draw(st.floats(-50, 50)) for _ in "xyz"]
        )
        if not cameras and format not in ABSOLUTE:
            cam_from_world = np.eye(4)
        elif cameras and np.abs(cam_from_world[:3, 3]).max() < 1e-3:
            cam_from_world[0, 3] += 1.0  # ros recognises pairs by their baseline
        cameras.append(Camera(name, size, K, model, np.array(lens), cam_from_world))
    return Rig(tuple(cameras), frame_id="world")


def transform(rotation_vector: list[float], translation: list[float]) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.array(rotation_vector, dtype=np.float64))[0]
    matrix[:3, 3] = translation
    return matrix


def pinhole(name: str, cam_from_world: Floats | None = None, **others: object) -> Camera:
    K = np.array([[900.0, 0, 640], [0, 905, 360], [0, 0, 1]])
    return Camera(
        name,
        (1280, 720),
        others.pop("K", K),
        cam_from_world=np.eye(4) if cam_from_world is None else cam_from_world,
        **others,
    )


@pytest.mark.parametrize("format", ABSOLUTE)
def test_rotation_too_small_for_opencv_is_kept(tmp_path: Path, format: str) -> None:
    pair = (pinhole("a"), pinhole("b", transform([0.0, 6e-8, 0.0], [-40.0, 0.0, 0.0])))
    target = tmp_path / ("rig" + FORMATS[format].suffix)
    write_rig(Rig(pair, "world"), target, format)
    back = read_rig(target)
    away = np.linalg.inv(back.camera("b").cam_from_world) - np.linalg.inv(back.camera("a").cam_from_world)
    np.testing.assert_allclose(away[:3, 3], [40.0, 0.0, 2.4e-6], atol=5e-7)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_every_format_reads_back_the_cameras_that_were_written(format: str, data: st.DataObject) -> None:
    rig = data.draw(rigs(format))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / (
            "pair" if format == "ros" and len(rig.cameras) == 2 else "rig" + FORMATS[format].suffix
        )
        write_rig(rig, target, format)
        back = read_rig(target)
    assert set(back.names) == set(rig.names)
    # Matrices need not be equal, but the pixels of points in front of each camera.
    for ours in rig.cameras:
        theirs = back.camera(ours.name)
        assert theirs.size_wh == ours.size_wh
        np.testing.assert_allclose(theirs.centre, ours.centre, atol=1e-6)
        ahead = np.array([[0.0, 0, 2], [0.1, -0.05, 1.5], [-0.05, 0.1, 4]])
        world = np.linalg.inv(ours.cam_from_world) @ np.hstack([ahead, np.ones((3, 1))]).T
        pixels = [project(camera, world[:3].T) for camera in (ours, theirs)]
        np.testing.assert_allclose(pixels[1], pixels[0], atol=1e-3 * ours.K[0, 0] / 1000 + 1e-6)


RATIONAL_LENS = {"distortion_model": "rational_polynomial", "distortion": [0.1] * 8}
FISHEYE_LENS = {"distortion_model": "equidistant", "distortion": [0.1] * 4}
SKEWED = {"K": np.array([[900.0, 2, 640], [0, 900, 360], [0, 0, 1]])}
REJECTED = [
    ("kalibr", {"distortion": [0.1, 0, 0, 0, 0.2]}, "its k3 does not fit", "write rig, ros or opencv"),
    ("kalibr", RATIONAL_LENS, "rational_polynomial", "write rig"),
    ("anipose", RATIONAL_LENS, "rational_polynomial", "write rig"),
    ("pose2sim", RATIONAL_LENS, "rational_polynomial", "write rig"),
    ("qualisys", RATIONAL_LENS, "rational_polynomial", "write rig"),
    ("pose2sim", FISHEYE_LENS, "equidistant", "anipose supports fisheye"),
    ("qualisys", FISHEYE_LENS, "equidistant", "write rig"),
    ("qualisys", SKEWED, "skew of 2 px", "write rig"),
    ("kalibr", SKEWED, "skew of 2 px", "write rig"),
]


@pytest.mark.parametrize(("format", "lens", "reason", "fix"), REJECTED)
def test_camera_that_a_format_cannot_represent_is_rejected_with_the_fix(
    tmp_path: Path, format: str, lens: dict[str, object], reason: str, fix: str
) -> None:
    rig = Rig((pinhole("front", **lens),))
    with pytest.raises(CalibrationError, match=rf"{format} cannot represent camera 'front'.*{reason}.*{fix}"):
        write_rig(rig, tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["ros", "kalibr", "opencv"])
def test_formats_without_a_world_reject_one_with_the_option_that_fixes_it(tmp_path: Path, format: str) -> None:
    pair = (pinhole("a", transform([0, 0.3, 0], [1, 0, 0])), pinhole("b", transform([0, -0.3, 0], [-1, 0, 0])))
    rig = Rig(pair, "map")
    with pytest.raises(CalibrationError, match=rf"{format} cannot represent camera 'a'.*frame 'map'.*--origin a"):
        write_rig(rig, tmp_path / "out", format)
    write_rig(relative_to(rig, "a"), tmp_path / "out", format)
    back = read_rig(tmp_path / "out")
    assert back.frame_id == "a_optical"
    relative = pair[1].cam_from_world @ np.linalg.inv(pair[0].cam_from_world)
    np.testing.assert_allclose(back.camera("b").cam_from_world, relative, atol=1e-9)


@pytest.mark.parametrize("format", ["ros", "opencv"])
def test_pair_formats_reject_three_cameras(tmp_path: Path, format: str) -> None:
    rig = Rig(tuple(pinhole(name, transform([0, 0, 0], [n, 0, 0])) for n, name in enumerate("abc")))
    with pytest.raises(
        CalibrationError, match=rf"{format} supports one camera or a stereo pair, got 3 .*--cameras A,B"
    ):
        write_rig(rig, tmp_path / "out", format)


def test_opencv_rejects_a_fisheye_paired_with_a_plain_lens(tmp_path: Path) -> None:
    fisheye = pinhole("b", transform([0, 0, 0], [-1, 0, 0]), distortion_model="equidistant", distortion=[0.1] * 4)
    with pytest.raises(CalibrationError, match="fisheye_model applies to both cameras"):
        write_rig(Rig((pinhole("a"), fisheye)), tmp_path / "out", "opencv")


@pytest.mark.parametrize("format", ["kalibr", "anipose", "pose2sim", "qualisys", "opencv"])
def test_names_are_kept_or_rejected(tmp_path: Path, format: str) -> None:
    rig = Rig((pinhole(' "lå\\ft" \x7f<&>'),))
    message = ""
    try:
        write_rig(rig, tmp_path / "out", format)
    except CalibrationError as error:
        message = str(error)
    if (tmp_path / "out").exists():
        assert read_rig(tmp_path / "out").names == rig.names
    else:
        assert "cannot represent" in message


def test_unknown_format_is_rejected_with_the_supported_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown format 'tsai': use one of .*kalibr"):
        write_rig(Rig((pinhole("a"),)), tmp_path / "out", "tsai")


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_file_of_any_format_raises_only_calibration_errors(tmp_path: Path, format: str) -> None:
    write_rig(Rig((pinhole("a", distortion=[0.1, 0.2, 0.01, 0.02]),)), tmp_path / "intact", format)
    text = (tmp_path / "intact").read_text()
    broken = tmp_path / "broken"
    random = np.random.default_rng(0)
    cuts = [text[:n] for n in random.integers(1, len(text), 25)]
    digits = [match.span() for match in re.finditer(r"-?\d+\.\d+", text)]
    cuts += [text[:a] + word + text[b:] for a, b in digits[::3] for word in (".nan", "[]", "x", '""')]
    messages = []
    for cut in cuts:
        broken.write_text(cut)
        try:
            read_rig(broken)
        except CalibrationError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert all("broken" in message for message in messages)
