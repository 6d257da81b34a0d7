"""Files that never end, unfold or lie: K9's rows, each refused in a short message, next to a twin that is read."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from synthetic_motion import write
from synthetic_people import h36m_rig

from pose3d_ros.errors import CalibrationError, FootageError, InputError, OptionError, Pose3DError, shown
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.files.documents import json_content, toml_content, yaml_content
from pose3d_ros.files.door import KEYPOINTS, PARAMETER, RIG
from pose3d_ros.mocap.load import load_motion
from pose3d_ros.options import from_mapping
from pose3d_ros.recordings.keypoint_files import open_keypoints
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.training.loop import read_checkpoint


@pytest.mark.parametrize("what", ["pipe", "device"])
def test_fault_a_rig_that_never_ends(what: str, tmp_path: Path) -> None:
    """Fault: a pipe or a device stands where a calibration is named.
    Sees: "calibration ... cannot be read (it is a pipe, expected a regular file)", at once.
    Recovers: a file.
    Kind: K9
    Before: the command waited for ever at a pipe, and took 7.5 GB of /dev/zero.
    """
    save_rig(h36m_rig(), tmp_path / "rig.yaml")
    assert load_rig(tmp_path / "rig.yaml").names == h36m_rig().names
    path = tmp_path / "bad.yaml"
    os.mkfifo(path) if what == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(CalibrationError, match=rf"bad\.yaml cannot be read \(it is a {what}, expected a regular file"):
        load_rig(path)


def test_fault_yaml_aliases_that_unfold() -> None:
    """Fault: 1 kB of YAML whose aliases stand for 10^9 values.
    Sees: "... is not valid YAML (it stands for more than 50000 values)", at once.
    Recovers: a file without such aliases; a few aliases are read.
    Kind: K9
    Before: 1 GB of memory and 30 s.
    """
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(CalibrationError, match="stands for more than 50000 values"):
        yaml_content("\n".join(lines), "bomb.yaml", RIG)
    assert yaml_content("a: &k [1, 2]\nb: *k\n", "rig.yaml", RIG) == {"a": [1, 2], "b": [1, 2]}


def test_fault_nested_documents() -> None:
    """Fault: YAML, TOML or JSON, in a file or in --param, that nests 5000 deep.
    Sees: "... is not valid ... (it nests ...)".
    Recovers: a file of the expected form.
    Kind: K9
    Before: a traceback of RecursionError.
    """
    for read, text, kind in (
        (yaml_content, "[" * 5000, RIG), (yaml_content, "[" * 5000, PARAMETER),
        (json_content, "[" * 200_000, KEYPOINTS), (toml_content, "a = " + "[" * 5000, RIG),
    ):  # fmt: skip
        with pytest.raises(Pose3DError, match="nests"):
            read(text, "deep", kind)
    assert json_content("[" * 20 + "]" * 20, "flat", KEYPOINTS)


def test_fault_numbers_of_thousands_of_digits() -> None:
    """Fault: a number of 5000 digits in YAML, TOML or JSON.
    Sees: "... has a number of 5000 digits (111111111111...), expected 400 at most".
    Recovers: the number that was meant.
    Kind: K9
    Before: a traceback of ValueError.
    """
    for read, text in ((yaml_content, "a: @"), (json_content, "[@]"), (toml_content, "a = @")):
        with pytest.raises(CalibrationError, match="a number of 5000 digits"):
            read(text.replace("@", "1" * 5000), "long", RIG)
        assert read(text.replace("@", "1" * 17), "short", RIG)


def test_fault_keys_that_stand_twice() -> None:
    """Fault: a key stands twice in one mapping of YAML or JSON.
    Sees: "the key 'K' stands twice in one mapping".
    Recovers: one of the two is taken out.
    Kind: K9
    Before: the last one counted, silently.
    """
    with pytest.raises(CalibrationError, match="the key 'K' stands twice"):
        yaml_content("K: 1\nK: 2\n", "rig.yaml", RIG)
    with pytest.raises(CalibrationError, match="the key 'K' stands twice"):
        json_content('{"K": 1, "K": 2}', "rig.json", RIG)
    assert yaml_content("- {K: 1}\n- {K: 2}\n", "rig.yaml", RIG) == [{"K": 1}, {"K": 2}]


def test_fault_people_without_keypoints(tmp_path: Path) -> None:
    """Fault: an OpenPose file has pose_keypoints_2d: null.
    Sees: "keypoints ... has not OpenPose's form (... pose_keypoints_2d is None ...)".
    Recovers: the file is written again.
    Kind: K9
    Before: a traceback of TypeError.
    """
    (tmp_path / "a_0_keypoints.json").write_text('{"people": [{"pose_keypoints_2d": null}]}')
    with pytest.raises(FootageError, match=r"a_0_keypoints\.json has not OpenPose's form.*pose_keypoints_2d is None"):
        open_keypoints(tmp_path)


def test_fault_an_array_that_lies(tmp_path: Path) -> None:
    """Fault: an .npz says that it holds 10^12 numbers, and holds 12.
    Sees: "xyz.npy says shape (1000000000000,) of float64, its data are 96 bytes", before memory is taken.
    Recovers: the file is made again.
    Kind: K9
    Before: 8 TB were asked for; a traceback of MemoryError.
    """
    assert load_motion(write(tmp_path / "walk.npz")).clips
    header = ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + "\n").encode()
    with zipfile.ZipFile(tmp_path / "walk.npz", "w") as archive:
        archive.writestr("xyz.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(96))
    with pytest.raises(InputError, match=r"walk\.npz.*says shape \(1000000000000,\) of float64, its data are 96 bytes"):
        load_motion(tmp_path / "walk.npz")


def test_fault_a_checkpoint_cut_short(tmp_path: Path) -> None:
    """Fault: last.ckpt was cut by a crash or a full disk.
    Sees: "checkpoint ... cannot be read (File is not a zip file: check that it is complete): give ...".
    Recovers: best.ckpt, or training again.
    Kind: K9
    Before: a traceback of torch's own error with --resume.
    """
    import torch

    path = tmp_path / "last.ckpt"
    torch.save({"recipe": {}, "net": {}, "epoch": 1, "loss": [1.0], "score": []}, path)
    assert read_checkpoint(path)["epoch"] == 1
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"last\.ckpt cannot be read .*check that it is complete"):
        read_checkpoint(path)


def test_fault_a_value_of_half_a_megabyte() -> None:
    """Fault: an option, a parameter or a value in a file is 500 kB of text.
    Sees: a message of at most 2 kB that shows the value's beginning and end.
    Recovers: the value that was meant.
    Kind: K9
    Before: the whole value in the message: 300 to 570 kB in a terminal or a log.
    """
    for value in ("x" * 500_000, list(range(100_000)), {"a": "x" * 500_000}, 10**100_000, np.zeros(9).tolist() * 9000):
        assert len(shown(value)) <= 80
        with pytest.raises(OptionError) as caught:
            from_mapping(EstimatorOptions, {"smoothing": value})
        assert len(str(caught.value)) < 2000
        assert "smoothing" in str(caught.value)
    assert len(str(InputError("file.yaml: " + "ab " * 200_000 + ": give one"))) < 2000
    assert str(InputError("file.yaml: " + "ab " * 200_000 + ": give one")).endswith(": give one")
    assert shown([1, 2.5, "left"]) == "[1, 2.5, 'left']"
