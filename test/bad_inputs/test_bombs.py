"""What would hang or take all memory: pipes, devices, bombs and huge numbers, each in a process with limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from bad_templates import coco_results, openpose_frame, rig, rig_text, write_json
from bag_writing import small_bag
from bomb_runner import LIMIT_S

from pose3d_ros.rigs.rig_yaml import save_rig

FOLDER = Path(__file__).parent
MOST_MB = 1000
MAX_PEOPLE_TEXT = 2000

# How a command is given a file of each kind.
TAKES = {
    "rig": ("rig", "show", "{}"),
    "estimate rig": ("estimate", "--rig", "{}", "left.mp4", "right.mp4"),
    "keypoints": ("estimate", "--rig=rig.yaml", "--keypoints=left={}", "--keypoints=right=right.json", "--fps=30"),
    "video": ("estimate", "--rig=rig.yaml", "left={}", "right={}"),
    "reference": ("estimate", "--rig=rig.yaml", "--keypoints=left=left.json", "--keypoints=right=right.json",
                  "--fps=30", "--reference={}", "--output=o"),
    "picture": ("mono", "--image", "{}", "--output=o"),
    "board video": ("calibrate", "board", "left={}", "--board=chessboard:9x6:0.025", "--quiet", "--output=o"),
    "people video": ("calibrate", "people", "left={}", "right={}", "--intrinsics=rig.yaml", "--output=o"),
    "people keypoints": ("calibrate", "people", "left={}", "right=right.json", "--fps=30", "--intrinsics=rig.yaml",
                         "--output=o"),
    "people recording": ("calibrate", "people", "{}", "--output=o"),
    "points": ("calibrate", "align", "rig.yaml", "o/rig.yaml", "--points", "{}"),
    "motion": ("train", "posern", "--data={}", "--output=o"),
    "evaluated": ("evaluate", "lifter", "--data={}"),
    "recording": ("fit-noise", "{}"),
    "labels": ("fit-noise", "--labels={}"),
    "mcap": ("estimate", "{}"),
}  # fmt: skip
ENDINGS = {
    "motion": ".bvh",
    "evaluated": ".npz",
    "picture": ".png",
    "mcap": ".mcap",
    "video": ".mp4",
    "people keypoints": ".json",
    "people recording": ".npz",
}


class Runner:
    """The process that forks; made once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, FOLDER / "bomb_runner.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, *words: str) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        ended: dict[str, object] = json.loads(self._process.stdout.readline())
        return ended

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    one = Runner()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound files next to which a bad one is given."""
    monkeypatch.chdir(tmp_path)
    save_rig(rig(), "rig.yaml")
    for camera in rig().cameras:
        write_json(Path(f"{camera.name}.json"), coco_results(camera))


def check_ended(ended: dict[str, object], *names: str) -> None:
    """With a short message that names the file, soon and in little memory."""
    text = str(ended["text"])
    assert ended["code"] in (1, 2), ended
    assert "Traceback" not in text, text
    assert len(text.encode()) <= MAX_PEOPLE_TEXT, text[:500]
    assert float(str(ended["mb"])) < MOST_MB, ended
    assert float(str(ended["seconds"])) < LIMIT_S, ended
    assert any(name in text for name in names), text


@pytest.mark.parametrize("kind", TAKES)
@pytest.mark.parametrize("what", ["pipe", "device", "link", "proc", "loop"])
def test_endless_file_is_rejected_before_it_is_opened(kind: str, what: str, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / f"bad{ENDINGS.get(kind, '')}"
    if what == "pipe":
        os.mkfifo(path)
    else:
        target = {"device": "/dev/zero", "link": "/dev/zero", "proc": "/proc/kmsg", "loop": str(path)}[what]
        path.symlink_to(target)
    word = str(path) if what != "device" or ENDINGS.get(kind) else "/dev/zero"
    ended = runner(*(tmp_path.joinpath(one).as_posix() if one in ("rig.yaml",) else one.replace("{}", word)
                     for one in _at(TAKES[kind], tmp_path)))  # fmt: skip
    check_ended(ended, path.name, "/dev/zero")


def _at(words: tuple[str, ...], folder: Path) -> list[str]:
    """The words with the sound files' whole paths: the runner is in another folder."""
    found = []
    for one in words:
        for name in ("rig.yaml", "left.json", "right.json"):
            one = one.replace(name, str(folder / name))
        if one in ("--output=o", "o"):
            one = f"--output={folder / 'o'}"
        found.append(one)
    return found


def alias_bomb(start: str) -> str:
    """Ten aliases of ten aliases of ...: 1 kB that stands for 10**9 values."""
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join([*lines, start.replace("@", "*a8"), ""])


def merge_bomb(start: str) -> str:
    lines = ["a0: &a0 {x0: 0}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], x{n}: 0}}" for n in range(1, 9)]
    return "\n".join([*lines, start.replace("@", "*a8"), ""])


def deep(n: int, opening: str, closing: str) -> str:
    return opening * n + closing * n


XML_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><calibration>&i;</calibration>"
)
BOMBS: dict[str, Callable[[], str]] = {
    "aliases": lambda: alias_bomb("cameras: @"),
    "aliases of a size": lambda: alias_bomb("cameras: [{name: a, width: @, height: 4, K: @, cam_from_world: @}]"),
    "merged mappings": lambda: merge_bomb("cameras: [@]"),
    "aliases for ROS": lambda: alias_bomb("camera_matrix: {data: @}\ndistortion_model: @"),
    "aliases for Kalibr": lambda: alias_bomb("cam0: {intrinsics: @, resolution: @}"),
    "aliases for OpenCV": lambda: "%YAML:1.0\n---\n" + alias_bomb("M1: !!opencv-matrix\n  data: @"),
    "an alias of itself": lambda: "cameras: &a [*a]\n",
    "nested YAML": lambda: "cameras: " + deep(1_000_000, "[", "]"),
    "nested YAML blocks": lambda: "cameras:\n" + "".join(" " * n + "-\n" for n in range(2_500)),
    "nested TOML": lambda: "matrix = " + deep(1_000_000, "[", "]"),
    "nested TOML keys": lambda: "matrix = 1\n" + "a." * 500_000 + "b = 1",
    "nested OpenCV": lambda: "%YAML:1.0\n---\n# !!opencv-matrix\nM1: " + deep(1_000_000, "[", "]"),
    "nested OpenCV JSON": lambda: '{"a": "!!opencv-matrix", "b": ' + deep(1_000_000, "[", "]") + "}",
    "nested OpenCV XML": lambda: "<?xml version='1.0'?><opencv_storage>" + deep(200_000, "<a>", "</a>"),
    "a large matrix": lambda: rig_text("opencv").replace("rows: 3", "rows: 50000").replace("cols: 3", "cols: 50000"),
    "nested XML": lambda: "<calibration>" + deep(200_000, "<a>", "</a>") + "</calibration>",
    "XML entities": lambda: XML_BOMB,
    "5 MB": lambda: "cameras:\n" + "# \n" * 1_700_000,
    "a long line": lambda: "cameras: [" + "1, " * 1_200_000 + "1]",
    "a number of a million digits": lambda: "cameras: [" + "1" * 1_000_000 + "]",
    "many keys": lambda: "cameras: []\n" + "".join(f"k{n}: 0\n" for n in range(200_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_calibrations_that_unfold_are_rejected(name: str, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    text = BOMBS[name]()
    path.write_text(text)
    # What has cameras is our own format, which has a second reader.
    command = ("estimate", "left.mp4", "--rig") if text.startswith("cameras") else ("rig", "show")
    check_ended(runner(*command, str(path)), "bomb.yaml")


@pytest.mark.parametrize("value", [alias_bomb("b: @").replace("\n", "\n "), "[" * 100_000, "&a [*a]", "9" * 100_000])
def test_parameters_that_unfold_are_rejected(value: str, runner: Runner) -> None:
    check_ended(runner("estimate", f"--param=smoothing:={value}"), "--param", "option")


def test_motion_that_unpacks_to_more_than_memory_is_rejected(runner: Runner, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "walk.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xyz.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(60):
            member.write(bytes(10_000_000))
    check_ended(runner("train", "posern", f"--data={tmp_path / 'walk.npz'}"), "walk.npz")
    check_ended(runner("fit-noise", f"--labels={tmp_path / 'walk.npz'}"), "walk.npz")


@pytest.mark.parametrize("content", ["[]," * 15_000_000, "[" * 2_000_000, '{"a":' * 1_000_000, "[1" + "0" * 3_000_000])
def test_keypoints_that_unfold_are_rejected(content: str, runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "bomb.json").write_text(content)
    words = [one.replace("{}", str(tmp_path / "bomb.json")) for one in _at(TAKES["keypoints"], tmp_path)]
    check_ended(runner(*words), "bomb.json")


def test_frame_numbers_beyond_any_recording_are_rejected(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    for number in (0, 10**11):
        write_json(tmp_path / "people" / f"a_{number}_keypoints.json", openpose_frame(0))
    words = [one.replace("{}", str(tmp_path / "people")) for one in _at(TAKES["keypoints"], tmp_path)]
    check_ended(runner(*words), "people", "100000000000")


@pytest.mark.parametrize("name", ["metadata.yaml", "data"])
def test_recording_with_a_pipe_or_a_bomb_inside_is_rejected(name: str, runner: Runner, tmp_path: Path) -> None:
    folder = small_bag(tmp_path / "take", range(2))
    target = folder / name if name == "metadata.yaml" else next(folder.glob("*.mcap"))
    whole = target.read_text() if name == "metadata.yaml" else ""
    target.unlink()
    os.mkfifo(target)
    check_ended(runner("estimate", str(folder)), "take")
    if whole:
        target.unlink()
        target.write_text(alias_bomb("rosbag2_bagfile_information: @"))
        check_ended(runner("estimate", str(folder)), "metadata.yaml")


def test_limits_are_not_what_refuses(runner: Runner, tmp_path: Path) -> None:
    np.testing.assert_equal(runner("rig", "show", str(tmp_path / "rig.yaml"))["code"], 0)
