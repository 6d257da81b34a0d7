"""Keypoint files of OpenPose and COCO, written here as those programs write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_people import h36m_rig

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings.frame_source import Cut
from pose3d_ros.recordings.keypoint_files import open_keypoint_frames, open_keypoints
from pose3d_ros.skeletons import BODY_25, BODY_25B, COCO_17, H36M_17, remap
from pose3d_ros.structures import Skeleton

# A standing person: px by joint, y down. Feet, face and neck are where they are on people.
STANDING = {
    "Nose": (100, 40), "LEye": (104, 36), "REye": (96, 36), "LEar": (110, 38), "REar": (90, 38), "HeadTop": (100, 15),
    "Neck": (100, 60), "UpperNeck": (100, 55), "MidHip": (100, 150),
    "LShoulder": (120, 62), "RShoulder": (80, 62), "LElbow": (126, 95), "RElbow": (74, 95),
    "LWrist": (128, 130), "RWrist": (72, 130), "LHip": (112, 150), "RHip": (88, 150),
    "LKnee": (113, 200), "RKnee": (87, 200), "LAnkle": (114, 250), "RAnkle": (86, 250),
    "LBigToe": (118, 260), "RBigToe": (82, 260), "LSmallToe": (122, 258), "RSmallToe": (78, 258),
    "LHeel": (112, 256), "RHeel": (88, 256),
}  # fmt: skip


def flat(skeleton: Skeleton, shift: float = 0.0, absent: tuple[str, ...] = ()) -> list[float]:
    """One person's x, y, score in the order of a skeleton."""
    rows = [
        (0, 0, 0) if name in absent else (STANDING[name][0] + shift, STANDING[name][1], 0.5)
        for name in skeleton.joint_names
    ]
    return [float(number) for row in rows for number in row]


def write_openpose(folder: Path, frames: dict[int, list[list[float]]]) -> Path:
    folder.mkdir(exist_ok=True)
    for frame, people in frames.items():
        content = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": one} for one in people]}
        (folder / f"cam02_{frame:012d}_keypoints.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("skeleton", [BODY_25, BODY_25B], ids=lambda one: one.name)
def test_order_of_25_points_follows_from_the_bones(skeleton: Skeleton, tmp_path: Path) -> None:
    folder = write_openpose(tmp_path / "a", {7: [], 8: [flat(skeleton), flat(skeleton, 40.0)]})
    read = open_keypoints(folder)
    assert (read.skeleton, read.numbers) == (skeleton, (7, 8))
    assert read.people(7).shape == (0, 25, 3)
    assert read.people(8)[1, skeleton.index("LKnee")].tolist() == [153.0, 200.0, 0.5]


def test_order_that_the_user_names_is_taken(tmp_path: Path) -> None:
    folder = write_openpose(tmp_path / "a", {0: [flat(BODY_25)]})
    assert open_keypoints(folder, "body_25b").skeleton == BODY_25B
    with pytest.raises(InputError, match=r"25 points, expected 25.*or 17.*coco_17"):
        open_keypoints(folder, "coco_17")


@pytest.mark.parametrize("skeleton", [BODY_25, BODY_25B], ids=lambda one: one.name)
def test_midpoints_are_computed_from_both_sides(skeleton: Skeleton, tmp_path: Path) -> None:
    """OpenPose's MidHip and Neck are left aside; its top of the head is taken where it has one."""
    people = flat(skeleton)
    for name in {"MidHip", "Neck", "UpperNeck"} & set(skeleton.joint_names):
        people[3 * skeleton.index(name)] = 999.0
    folder = write_openpose(tmp_path / "a", {0: [people]})
    rig = h36m_rig("S9")
    names = rig.names[:2]
    source = open_keypoint_frames(rig, dict.fromkeys(names, folder), 50.0, order=skeleton.name)
    mapped = remap(next(source.read())[names[0]], H36M_17)
    expected = {"Pelvis": (100, 150), "Thorax": (100, 62), "Spine": (100, 106), "RWrist": (72, 130)}
    if skeleton is BODY_25B:
        expected["HeadTop"] = (100, 15)
    for name, place in expected.items():
        assert tuple(mapped.xy[0, H36M_17.index(name)]) == place, name
    assert (mapped.score[0, H36M_17.index("HeadTop")] > 0) == (skeleton is BODY_25B)


def test_point_without_score_is_absent_and_not_at_the_origin(tmp_path: Path) -> None:
    folder = write_openpose(tmp_path / "a", {0: [flat(BODY_25, absent=("LHip",))]})
    rig = h36m_rig("S9")
    source = open_keypoint_frames(rig, dict.fromkeys(rig.names[:2], folder), 50.0)
    people = next(source.read())[rig.names[0]]
    assert np.isnan(people.xy[0, BODY_25.index("LHip")]).all()
    assert np.isnan(remap(people, H36M_17).xy[0, H36M_17.index("Pelvis")]).all()


def test_missing_frame_is_named(tmp_path: Path) -> None:
    folder = write_openpose(tmp_path / "a", {frame: [flat(BODY_25)] for frame in (3, 4, 6, 9)})
    with pytest.raises(FootageError, match=r"frame 5 is missing \(3 in all, expected one file for each of 3 to 9\)"):
        open_keypoints(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [("[1, 2", "not valid JSON"), ("[]", "has not OpenPose's form"), ('{"people": [{}]}', "pose_keypoints_2d")],
)
def test_file_of_another_form_is_rejected(text: str, says: str, tmp_path: Path) -> None:
    folder = write_openpose(tmp_path / "a", {})
    (folder / "x_0.json").write_text(text)
    with pytest.raises(FootageError, match=says) as caught:
        open_keypoints(folder)
    assert "x_0.json" in str(caught.value)


def test_files_without_people_and_wrong_sizes_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no person in any file"):
        open_keypoints(write_openpose(tmp_path / "a", {0: []}))
    with pytest.raises(InputError, match="people have 18 points, expected 25"):
        open_keypoints(write_openpose(tmp_path / "b", {0: [[1.0] * 54]}))
    with pytest.raises(FootageError, match="no such file or folder"):
        open_keypoints(tmp_path / "c")


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), min_size=1, max_size=12, unique_by=lambda one: one[0])
)
@settings(max_examples=25, deadline=None)
def test_coco_results_come_back_frame_by_frame(
    tmp_path_factory: pytest.TempPathFactory, images: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("coco") / "results.json"
    frames = [frame for frame, people in images for _ in range(people)]
    entries = [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": flat(COCO_17, 99.0 * k), "score": 0.9}
        for k, frame in enumerate(frames)
    ]
    path.write_text(json.dumps(entries))
    read = open_keypoints(path)
    assert read.numbers == tuple(sorted({*frames}))
    for frame in {*frames}:
        own = [k for k, one in enumerate(frames) if one == frame]
        assert read.people(frame)[:, 0, 0].tolist() == [100.0 + 99.0 * k for k in own]


def test_results_files_may_end_at_different_frames(tmp_path: Path) -> None:
    """They say nothing of frames without people; a heatmap's maximum may be above 1."""
    rig = h36m_rig("S9")
    paths = {}
    for name, last in zip(rig.names[:2], (3, 40), strict=True):
        paths[name] = tmp_path / f"{name}.json"
        person = flat(COCO_17)
        person[2] = 1.03
        paths[name].write_text(json.dumps([{"image_id": k, "keypoints": person} for k in range(last)]))
    source = open_keypoint_frames(rig, paths, 25.0, Cut(start_s=1.0))
    moments = list(source.read())
    assert len(moments) == len(source) == 15
    assert [len(moments[0][name]) for name in paths] == [0, 1]
    assert moments[0][rig.names[1]].score[0, 0] == 1.0
    assert moments[1][rig.names[1]].stamp_ns == round(26 * 1e9 / 25)


def test_a_clock_that_drifts_gives_other_frames_and_stamps(tmp_path: Path) -> None:
    left, right = h36m_rig("S9").names[:2]
    rig = h36m_rig("S9")
    paths = {
        name: write_openpose(tmp_path / name, {k: [flat(BODY_25, float(k))] for k in range(200)})
        for name in (left, right)
    }
    # A slow clock: after 100 own seconds 101 have passed, so its frame k is of moment 1.01 k.
    source = open_keypoint_frames(rig, paths, 50.0, Cut({right: 0.0}, drifts_ppm={right: 10_000.0}))
    moments = list(source.read())
    for number in (0, 49, 51, 149, 151):
        people = moments[number][right]
        assert round(float(people.xy[0, 0, 0])) - 100 == round(number / 1.01)
        assert people.stamp_ns == pytest.approx(1.01 * round(number / 1.01) * 2e7, abs=2)
    assert "10000 ppm slow" in str(source.identity())
