"""From videos, keypoint files, bags and recordings to the people of each camera on its own clock."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from bag_writing import T0, BagWriter, picture, small_rig
from numbered_videos import GREY, SIZE_WH, write
from people_recordings import RIG, A, B, write_coco
from synthetic_recording import recording
from variable_videos import turned

from pose3d_ros.calibration.people_cameras import CameraRequest
from pose3d_ros.calibration.people_input import InputRequest, open_people
from pose3d_ros.calibration.phone_lenses import PHONE_35MM, focal_px, guessed_camera
from pose3d_ros.detection import factory
from pose3d_ros.detection.detector import Detector
from pose3d_ros.errors import CalibrationError, FootageError, InputError
from pose3d_ros.files.media_tags import FOCAL_35MM, picture_focal_35mm, video_tags
from pose3d_ros.geometry.triangulation import SIGMA_PX
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.skeletons import COCO_17, H36M_17, Skeleton
from pose3d_ros.structures import FrameSet, Keypoints2D, Rig


class CountingDetector:
    """Sees one person in every image, whose joints all lie at the brightness of the image."""

    name = "counting"
    skeleton: Skeleton = COCO_17

    def __init__(self) -> None:
        self.sets: list[tuple[str, ...]] = []

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        self.sets.append(tuple(frames.images))
        found = {}
        for camera, image in frames.images.items():
            xy = np.full((1, 17, 2), min(float(image.mean()) / GREY, 20.0))
            covariance = np.broadcast_to(np.eye(2) * 4.0, (1, 17, 2, 2))
            found[camera] = Keypoints2D(xy, np.full((1, 17), 0.7), COCO_17, frames.stamps_ns[camera], covariance)
        return found

    def reset(self) -> None:
        self.sets = []


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> CountingDetector:
    made = CountingDetector()

    def make(options: object, device: str) -> Detector:
        return made

    monkeypatch.setattr(factory, "make_detector", make)
    monkeypatch.setattr(factory, "fetch_weights", lambda options: None)
    return made


def request(*sources: object, intrinsics: str = "guess", **options: object) -> InputRequest:
    return InputRequest(
        tuple(str(one) for one in sources), CameraRequest(intrinsics), progress=False, **options  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def rig_file(tmp_path: Path) -> str:
    save_rig(RIG, tmp_path / "lenses.yaml")
    return str(tmp_path / "lenses.yaml")


def test_keypoint_files_are_taken_at_fifteen_hertz_with_the_covariance_of_triangulation(
    tmp_path: Path, rig_file: str
) -> None:
    paths = write_coco(tmp_path / "coco", fps=30.0, frames=31)
    found = open_people(request(*(f"{name}={path}" for name, path in paths.items()), intrinsics=rig_file, fps=30.0))
    assert not found.one_clock
    assert not found.guessed
    first = found.views[0]
    assert first.camera.K.tolist() == RIG.camera(A).K.tolist()
    assert [one.stamp_ns for one in first.people] == [round(k * 1e9 / 15) for k in range(16)]
    people = first.people[3]
    assert people.skeleton == H36M_17
    assert people.covariance is not None
    knee = H36M_17.index("LKnee")
    np.testing.assert_allclose(people.covariance[0, knee], np.eye(2) * (SIGMA_PX / 0.8) ** 2)
    every = request(*(f"{n}={p}" for n, p in paths.items()), intrinsics=rig_file, fps=30.0, every=3)
    assert [len(view.people) for view in open_people(every).views] == [11, 11]


def test_videos_of_any_length_and_rate_keep_their_own_times(tmp_path: Path, detector: CountingDetector) -> None:
    left, right = write(tmp_path / "left.mp4", range(12), fps=30.0), write(tmp_path / "right.mp4", range(20), fps=20.0)
    found = open_people(request(left, f"second={right}"))
    assert [view.camera.name for view in found.views] == ["left", "second"]
    assert detector.sets == [("left", "second")] * 6 + [("second",)] * 14
    stamps = [[one.stamp_ns / 1e9 for one in view.people] for view in found.views]
    np.testing.assert_allclose(stamps[0], np.arange(0, 12, 2) / 30, atol=1e-3)
    np.testing.assert_allclose(stamps[1], np.arange(20) / 20, atol=1e-3)
    shown = [round(float(one.xy[0, 1, 0])) for one in found.views[0].people]
    assert shown == [0, 2, 4, 6, 8, 10]
    assert found.views[0].people[1].covariance[0, 1].tolist() == [[4.0, 0.0], [0.0, 4.0]]  # type: ignore[index]
    assert found.guessed
    assert found.views[0].camera.K[0, 0] == pytest.approx(focal_px(SIZE_WH, PHONE_35MM))


def test_detections_are_kept_for_the_same_images_only(tmp_path: Path, detector: CountingDetector) -> None:
    videos = [write(tmp_path / f"{name}.mp4", range(6), fps=15.0) for name in ("left", "right")]
    first = open_people(request(*videos), tmp_path)
    detector.reset()
    again = open_people(request(*videos), tmp_path)
    assert detector.sets == []
    for ours, theirs in zip(first.views, again.views, strict=True):
        assert [one.stamp_ns for one in ours.people] == [one.stamp_ns for one in theirs.people]
        np.testing.assert_array_equal(ours.people[2].xy, theirs.people[2].xy)
    open_people(request(*videos, every=2), tmp_path)
    assert len(detector.sets) == 3
    detector.reset()
    os.utime(videos[0], ns=(0, 0))
    open_people(request(*videos, every=2), tmp_path)
    assert len(detector.sets) == 3
    # The file itself, or its folder, is an input, with the cameras and warnings of before.
    for source in (tmp_path / "keypoints.npz", tmp_path):
        kept = open_people(request(source, intrinsics=""))
        assert [len(view.people) for view in kept.views] == [3, 3]
        assert (kept.one_clock, kept.guessed) == (False, True)
        assert "stabilised" in kept.findings[0].text


def test_a_damaged_file_of_detections_is_made_again(tmp_path: Path, detector: CountingDetector) -> None:
    videos = [write(tmp_path / f"{name}.mp4", range(4), fps=15.0) for name in ("left", "right")]
    (tmp_path / "keypoints.npz").write_bytes(b"PK no archive")
    open_people(request(*videos), tmp_path)
    assert len(detector.sets) == 4
    detector.reset()
    open_people(request(*videos), tmp_path)
    assert detector.sets == []


def test_a_bag_gives_images_by_their_stamps_and_its_own_intrinsics(tmp_path: Path, detector: CountingDetector) -> None:
    rig = small_rig()
    with BagWriter(tmp_path / "take") as bag:
        for camera in rig.cameras:
            bag.info(camera, "", T0)
        for k in range(8):
            bag.image("/cam1/image_raw", picture(k), T0 + k * 33_000_000)
            if k % 2 == 0:
                bag.image("/cam2/image_raw", picture(k), T0 + k * 33_000_000 + 11)
    found = open_people(request(tmp_path / "take", intrinsics=""))
    assert found.one_clock
    assert [[one.stamp_ns - T0 for one in view.people] for view in found.views] == [
        [0, 66_000_000, 132_000_000, 198_000_000], [11, 66_000_011, 132_000_011, 198_000_011],
    ]  # fmt: skip
    assert found.views[1].camera.K.tolist() == rig.camera("cam2").K.tolist()
    with pytest.raises(InputError, match="give a file, or use its camera_info"):
        open_people(request(tmp_path / "take"))


def test_a_recording_is_of_one_clock_and_has_its_cameras(tmp_path: Path) -> None:
    kept = recording()
    kept.save(tmp_path / "recording.npz")
    found = open_people(request(tmp_path / "recording.npz", intrinsics=""))
    assert found.one_clock
    assert [view.camera.name for view in found.views] == list(kept.rig.names)
    assert len(found.views[0].people) == 15  # of 60 at 60 Hz


def mdta(names_values: dict[str, bytes]) -> bytes:
    """A meta atom as Apple writes it: names in keys, values in ilst by number."""

    def atom(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", len(content) + 8, kind) + content

    keys = b"".join(atom(b"mdta", name.encode()) for name in names_values)
    items = b"".join(
        atom(struct.pack(">I", number), atom(b"data", value)) for number, value in enumerate(names_values.values(), 1)
    )
    hdlr = atom(b"hdlr", bytes(8) + b"mdta" + bytes(13))
    return atom(b"meta", hdlr + atom(b"keys", struct.pack(">II", 0, len(names_values)) + keys) + atom(b"ilst", items))


def with_atoms(source: Path, target: Path, atoms: bytes) -> Path:
    """A copy of an MP4 of OpenCV's, whose index lies behind its images, with more in the index."""
    data = source.read_bytes()
    at = data.index(b"moov") - 4
    (size,) = struct.unpack(">I", data[at : at + 4])
    moov = struct.pack(">I", size + len(atoms)) + data[at + 4 : at + size] + atoms
    target.write_bytes(data[:at] + moov + data[at + size :])
    return target


def test_a_focal_length_in_the_metadata_of_a_video_is_used(tmp_path: Path, detector: CountingDetector) -> None:
    plain = write(tmp_path / "plain.mp4", range(4), fps=15.0)
    meta = mdta(
        {"com.apple.quicktime.make": struct.pack(">II", 1, 0) + b"Apple", FOCAL_35MM: struct.pack(">IIH", 22, 0, 52)}
    )
    video = with_atoms(plain, tmp_path / "phone.mp4", meta)
    assert video_tags(video) == {"com.apple.quicktime.make": "Apple", FOCAL_35MM: "52"}
    assert video_tags(plain) == {}
    left, _ = open_people(request(f"left={video}", f"right={plain}")).views
    assert left.camera.K[0, 0] == pytest.approx(focal_px(SIZE_WH, 52.0))
    # A lens calibrated without zoom does not fit a video with it.
    save_rig(Rig((guessed_camera("left", SIZE_WH), guessed_camera("right", SIZE_WH))), tmp_path / "lens.yaml")
    (warning, *_) = open_people(
        request(f"left={video}", f"right={plain}", intrinsics=str(tmp_path / "lens.yaml"))
    ).findings
    assert "left: the video's metadata say 52 mm" in warning.text
    assert "was it zoomed" in warning.text


def test_stabilisation_and_rotation_are_reported(tmp_path: Path, detector: CountingDetector) -> None:
    plain = write(tmp_path / "plain.mp4", range(4), fps=15.0)
    flags = b"EISEc\x01\x00\x01Y\x00\x00\x00" + b"DZOMc\x01\x00\x01Y\x00\x00\x00"
    gpmf = struct.pack(">I4s", len(flags) + 8, b"GPMF") + flags
    udta = struct.pack(">I4s", len(gpmf) + 8, b"udta") + gpmf
    gopro = with_atoms(plain, tmp_path / "gopro.mp4", udta)
    texts = [one.text for one in open_people(request(gopro, turned(plain, tmp_path / "turned.mp4"))).findings]
    assert any(text.startswith("gopro: the images were stabilised") for text in texts)
    assert any(text.startswith("gopro: filmed with digital zoom") for text in texts)
    assert any("turned: players turn this video by 90 degrees" in text or "by 270 degrees" in text for text in texts)
    assert any(text.startswith("turned: no metadata say") for text in texts)


def test_a_picture_gives_the_focal_length(tmp_path: Path, detector: CountingDetector) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 24
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.jpg", exif=exif)
    Image.new("RGB", (40, 30)).save(tmp_path / "bare.jpg")
    assert picture_focal_35mm(tmp_path / "photo.jpg") == 24.0
    videos = [f"{name}={write(tmp_path / f'{name}.mp4', range(3))}" for name in ("a", "b")]
    photos = CameraRequest("guess", (f"b={tmp_path / 'photo.jpg'}",))
    found = open_people(InputRequest(tuple(videos), photos, progress=False))
    assert [round(view.camera.K[0, 0] / focal_px(SIZE_WH, 1.0), 6) for view in found.views] == [PHONE_35MM, 24.0]
    for photo, says in (("bare.jpg", "hold no FocalLengthIn35mmFilm"), ("none.jpg", "picture")):
        with pytest.raises(InputError, match=says):
            open_people(InputRequest(tuple(videos), CameraRequest("guess", (f"b={tmp_path / photo}",))))


def test_wrong_input_is_rejected_before_anything_is_detected(tmp_path: Path, rig_file: str) -> None:
    video = write(tmp_path / "v.mp4", range(3))
    paths = write_coco(tmp_path / "coco", 30.0, 6)
    files = [f"{name}={path}" for name, path in paths.items()]
    save_rig(Rig((RIG.cameras[0],)), tmp_path / "one.yaml")
    save_rig(Rig(tuple(guessed_camera(name, SIZE_WH[::-1]) for name in "ab")), tmp_path / "swapped.yaml")
    two = (f"a={video}", f"b={video}")
    cases = [
        (request("a=x.mp4", f"b={video}"), FootageError, "x.mp4"),
        (request(f"a={video}"), InputError, "two cameras or more are required, got a"),
        (request(f"a={video}", f"a={video}"), InputError, "'a' is given twice"),
        (request("=x", f"b={video}"), InputError, "expected CAMERA=VIDEO"),
        (request(*files), InputError, "--fps is missing"),
        (request(*two, fps=30.0), InputError, "--fps 30: videos are timed by their own"),
        (request(*files, fps=30.0), InputError, "give --size WIDTHxHEIGHT"),
        (request(*files, fps=0.0), InputError, "--fps 0"),
        (request(*two, every=0), InputError, "--every 0"),
        (request(*two, intrinsics=""), InputError, "--intrinsics is missing"),
        (request(*files, fps=30.0, intrinsics=str(tmp_path / "one.yaml")), CalibrationError, f"no camera {B!r}"),
        (request(*two, intrinsics=str(tmp_path / "swapped.yaml")), CalibrationError, "as they are stored"),
    ]  # fmt: skip
    for given, kind, says in cases:
        with pytest.raises(kind, match=says):
            open_people(given)


def test_people_outside_of_the_image_name_the_size(tmp_path: Path) -> None:
    paths = write_coco(tmp_path / "coco", 30.0, 6)
    small = Rig(tuple(camera.resized((320, 240)) for camera in RIG.cameras))
    save_rig(small, tmp_path / "small.yaml")
    given = request(*(f"{n}={p}" for n, p in paths.items()), fps=30.0, intrinsics=str(tmp_path / "small.yaml"))
    with pytest.raises(CalibrationError, match="joints are outside of its image of 320 x 240"):
        open_people(given)
    path = tmp_path / "coco" / f"{A}.json"
    path.write_text(json.dumps([{**one, "keypoints": [0.0] * 51} for one in json.loads(path.read_text())]))
    with pytest.raises(InputError, match=f"camera '{A}': no person in"):
        open_people(given)


def test_damaged_metadata_are_no_metadata(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.mp4", range(3))
    meta = mdta({FOCAL_35MM: struct.pack(">IIH", 22, 0, 52)})
    whole = with_atoms(plain, tmp_path / "phone.mp4", meta).read_bytes()
    rng = np.random.default_rng(0)
    begin = whole.index(b"moov") - 4
    for k in range(400):
        data = bytearray(whole[: int(rng.integers(8, len(whole)))] if k % 4 == 0 else whole)
        for at in rng.integers(0 if k % 2 else min(begin, len(data) - 1), len(data), 6):
            data[at] = int(rng.integers(0, 256))
        (tmp_path / "bad.mp4").write_bytes(data)
        assert len(video_tags(tmp_path / "bad.mp4")) <= 1
    huge = struct.pack(">I4sQ", 1, b"free", 2**63 + 5)
    (tmp_path / "bad.mp4").write_bytes(huge + whole)
    assert video_tags(tmp_path / "bad.mp4") == {}
