"""Frame sets out of recordings, against what was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bag_writing import T0, BagWriter, picture, small_bag, small_rig
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.recordings.bag_frames import ABSENT, bag_frames
from pose3d_ros.recordings.bag_recording import open_bag
from pose3d_ros.recordings.image_messages import bgr_from_raw
from pose3d_ros.structures import Rig

pytest.importorskip("rosbags")


def frames_of(path: Path, rig: Rig | None = None, **options):
    rig = rig or small_rig()
    bag = open_bag(path)
    return bag_frames(bag, rig, bag.camera_topics("{camera}/image_raw"), **options)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_sets_hold_the_images_that_were_recorded_with_their_stamps(storage: str, tmp_path: Path) -> None:
    frames = frames_of(small_bag(tmp_path / "take", storage=storage, lost=[(2, "cam1")]))
    assert (len(frames), frames.name, frames.t0_ns, frames.unused) == (4, "take", T0 + 1000, 1)
    assert frames.fps == pytest.approx(30.0)
    for k, one in zip((0, 1, 3, 4), frames.read(), strict=True):
        assert one.stamps_ns == {"cam1": T0 + round(k * 1e9 / 30), "cam2": T0 + round(k * 1e9 / 30) + 1000}
        for n, camera in enumerate(("cam1", "cam2")):
            np.testing.assert_array_equal(one.images[camera], picture(10 * k + n))


def test_start_end_and_stride_select_frame_sets(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "take", range(12))
    stamps = [one.stamp_ns for one in frames_of(path).read()]
    assert [one.stamp_ns for one in frames_of(path).read(7)] == stamps[7:]
    assert list(frames_of(path).read(12)) == []
    cut = frames_of(path, start_s=0.1, end_s=0.3, stride=2)
    assert [one.stamp_ns for one in cut.read()] == stamps[3:9:2]
    assert cut.fps == pytest.approx(15.0)
    assert cut.identity() == frames_of(path, start_s=0.1, stride=2).identity()
    with pytest.raises(InputError, match=r"lasts 0\.367 s"):
        frames_of(path, start_s=5.0)


def test_compressed_images_are_decoded_and_a_damaged_one_is_left_out_with_a_warning(tmp_path: Path) -> None:
    rig = small_rig(3)
    with BagWriter(tmp_path / "take") as bag:
        for k in range(3):
            for n, name in enumerate(rig.names):
                topic = f"/{name}/image_raw/compressed"
                bag.compressed(topic, picture(10 * k + n), T0 + k * 10**8, cut=(k, n) == (1, 2))
    frames = frames_of(tmp_path / "take", rig)
    with pytest.warns(UserWarning, match="cam3/image_raw/compressed.*cannot be decoded"):
        sets = list(frames.read())
    assert [sorted(one.images) for one in sets] == [
        ["cam1", "cam2", "cam3"],
        ["cam1", "cam2"],
        ["cam1", "cam2", "cam3"],
    ]
    np.testing.assert_array_equal(sets[2].images["cam3"], picture(22))


def test_camera_that_was_recorded_late_still_finds_its_set(tmp_path: Path) -> None:
    rig = small_rig()
    with BagWriter(tmp_path / "take") as bag:
        late = [("cam2", k, T0 + k * 10**8 + 1_500_000_000) for k in range(20)]  # 1.5 s on its way
        for name, k, at in sorted([("cam1", k, T0 + k * 10**8) for k in range(20)] + late, key=lambda one: one[2]):
            bag.image(f"/{name}/image_raw", picture(k), T0 + k * 10**8, at)
    sets = list(frames_of(tmp_path / "take", rig).read(4))
    assert len(sets) == 16
    for k, one in enumerate(sets, start=4):
        np.testing.assert_array_equal(one.images["cam1"], one.images["cam2"])
        np.testing.assert_array_equal(one.images["cam1"], picture(k))


@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(data=st.data(), cameras=st.integers(2, 4), tolerance_ms=st.sampled_from([0, 4, 10]))
def test_no_image_is_lost_that_another_one_matches(data, cameras, tolerance_ms, tmp_path_factory) -> None:
    rig = small_rig(cameras)
    seen = data.draw(
        st.lists(st.lists(st.booleans(), min_size=cameras, max_size=cameras), min_size=3, max_size=12), label="seen"
    )
    seen[0] = [True] * cameras  # every topic is there
    late = st.integers(0, tolerance_ms * 1_000_000)
    stamps = [[T0 + k * 33_333_333 + data.draw(late) for _ in range(cameras)] for k in range(len(seen))]
    path = tmp_path_factory.mktemp("bag") / "take"
    with BagWriter(path, data.draw(st.sampled_from(["mcap", "sqlite3"]))) as bag:
        for k, row in enumerate(seen):
            for n in data.draw(st.permutations(range(cameras))):
                if row[n]:
                    bag.image(f"/{rig.names[n]}/image_raw", picture(k), stamps[k][n], T0 + k * 33_333_333)
    frames = frames_of(path, rig, tolerance_s=tolerance_ms / 1000)
    wanted = [
        {name: at for name, at, here in zip(rig.names, own, row, strict=True) if here}
        for own, row in zip(stamps, seen, strict=True)
    ]
    if tolerance_ms:
        assert [dict(one.stamps_ns) for one in frames.read()] == [one for one in wanted if len(one) > 1]
    else:
        assert (frames.stamps_ns != ABSENT).sum() + frames.unused == sum(map(sum, seen))


def test_unsynchronised_cameras_are_rejected_with_their_time_difference(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "take") as bag:
        for k in range(5):
            bag.image("/cam1/image_raw", picture(k), T0 + k * 10**8)
            bag.image("/cam2/image_raw", picture(k), T0 + k * 10**8 + 40_000_000)
    with pytest.raises(InputError, match=r"within 0.01 s: those of cam2 are 0.04 s from those of cam1 \(median\)"):
        frames_of(tmp_path / "take")
    assert len(frames_of(tmp_path / "take", tolerance_s=0.045)) == 5


def test_images_without_stamps_and_of_another_size_are_rejected(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "take") as bag:
        for k in range(3):
            for name in ("cam1", "cam2"):
                bag.image(f"/{name}/image_raw", picture(k), 0, T0 + k)
    with pytest.raises(InputError, match="all 3 images on /cam1/image_raw have the stamp 0 ns"):
        frames_of(tmp_path / "take")
    rig = small_rig()
    other = Rig((rig.cameras[0], rig.cameras[1].resized((64, 48))))
    with pytest.raises(CalibrationError, match="'cam2': image is 32 x 24 px"):
        frames_of(small_bag(tmp_path / "good"), other)


def test_raw_images_need_no_ros() -> None:
    import subprocess
    import sys

    code = "import sys, pose3d_ros.recordings.bag_frames, pose3d_ros.recordings.bag_rig; print('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    assert bgr_from_raw.__module__ == "pose3d_ros.recordings.image_messages"


def recorded(path: Path, *late_s: float, rig: Rig | None = None) -> Path:
    """small_bag, of which each camera's images were recorded so long after their stamps."""
    with BagWriter(path) as bag:
        for k in range(5):
            for n, camera in enumerate((rig or small_rig()).cameras):
                stamp_ns = T0 + k * 33_333_333
                at_ns = stamp_ns + round(1e9 * late_s[n])
                bag.image(f"/{camera.name}/image_raw", picture(10 * k + n), stamp_ns, at_ns)
    return path


@pytest.mark.parametrize(
    ("late_s", "words"),
    [
        (3600.0, "images on /cam1/image_raw, /cam2/image_raw are stamped 3600.0 s old when recorded: play bags with"),
        (-3600.0, "images on /cam1/image_raw, /cam2/image_raw are stamped 3600.0 s in the future: play bags with"),
    ],
)
def test_fault_bag_whose_stamps_are_of_another_time(tmp_path: Path, late_s: float, words: str) -> None:
    """Fault: a bag's images are stamped an hour before or after they were recorded.
    Sees: a warning "images on /cam1/image_raw, ... are stamped 3600.0 s old when recorded: ..."; poses keep the stamps.
    Recovers: nothing to recover: the poses are right to each other.
    Kind: K1
    Before: nothing was said.
    """
    with pytest.warns(UserWarning, match=words):
        frames = frames_of(recorded(tmp_path / "take", late_s, late_s))
    assert len(frames) == 5


def test_fault_bag_of_cameras_that_stamp_with_time_since_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the cameras of a bag stamp with the time since their machines started; or one of two does.
    Sees: a warning "cameras stamp with time since boot (or simulation time): ..."; where one does, a refusal with it.
    Recovers: with stamps of one clock.
    Kind: K1
    Before: nothing was said, or "those of cam2 are 1.7e+09 s from those of cam1".
    """
    monkeypatch.setitem(globals(), "T0", 5231 * 10**9)
    boot_s = 1.7e9
    with pytest.warns(UserWarning, match=r"time since boot .*/cam1/image_raw, /cam2/image_raw are stamped 5231\.\d s"):
        assert len(frames_of(recorded(tmp_path / "both", boot_s, boot_s))) == 5
    with BagWriter(tmp_path / "one") as bag:
        for k in range(5):
            for n, stamp_ns in enumerate((T0 + k * 33_333_333, round(boot_s * 1e9) + k * 33_333_333)):
                bag.image(f"/cam{n + 1}/image_raw", picture(10 * k + n), stamp_ns, round(boot_s * 1e9) + k * 33_333_333)
    with pytest.raises(InputError, match=r"time since boot .*/cam1/image_raw are stamped"):
        frames_of(tmp_path / "one")


@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.9])
def test_stamps_of_the_recorders_own_clock_need_no_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, late_s: float
) -> None:
    assert len(frames_of(recorded(tmp_path / "take", late_s, late_s))) == 5
    assert not [one for one in recwarn if "stamp" in str(one.message)]
