"""Motion, marker, noise and recording files, spoilt in seeded ways: refused in one short message, or sound."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_refusals import case, check_message, check_refused, refusal
from bad_templates import BVH, TRC
from bad_values import shorn_trees, spoilt_bytes, spoilt_texts, spoilt_trees
from synthetic_motion import arrays

from pose3d_ros.mocap.load import load_captures, load_motion
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.recordings.trc import read_trc
from pose3d_ros.simulation.detector_noise import DetectorNoise, default_noise
from pose3d_ros.simulation.detector_residuals import residuals_of_labels
from pose3d_ros.simulation.replayed_noise import ResidualBlocks, single_trial


def check_motion(found: Motion) -> None:
    """A motion that is taken is finite, within a hall, and of clips that end."""
    assert np.isfinite(found.xyz).all()
    assert np.abs(found.xyz).max() <= 1000
    assert all(0 < clip.fps <= 10_000 for clip in found.clips)


def check_markers(found: Any) -> None:
    assert not np.isinf(found.xyz).any()
    assert 0 < found.rate_hz < np.inf


def labels() -> dict[str, Any]:
    """Labelled detections of a person in two clips of ten frames."""
    draw = np.random.default_rng(0)
    label = draw.uniform(100, 500, (2, 10, 17, 2))
    return {
        "detected_px": label + draw.normal(0, 2, label.shape),
        "label_px": label,
        "score": np.full((2, 10, 17), 0.8),
        "fps": np.array(25.0),
    }


def check_noise(found: DetectorNoise) -> None:
    assert np.isfinite([found.exchange, found.last_s, *found.miss]).all()


def npz(values: dict[str, Any]) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **values)


READERS: dict[str, tuple[str, Callable[[Path], None], Callable[[Path], Any], Callable[[Any], None]]] = {
    "motion": ("walk.npz", npz(arrays()), load_motion, check_motion),
    "bvh": ("walk.bvh", lambda path: path.write_text(BVH), load_captures, check_motion),
    "trc": ("people.trc", lambda path: path.write_text(TRC), read_trc, check_markers),
    "noise": ("noise.json", default_noise().save, DetectorNoise.load, check_noise),
    "blocks": ("blocks.npz", single_trial().save, ResidualBlocks.load, lambda found: None),
    "labels": ("labels.npz", npz(labels()), residuals_of_labels, lambda found: None),
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_unspoilt_is_read(name: str, tmp_path: Path) -> None:
    file, write, read, check = READERS[name]
    write(tmp_path / file)
    check(read(tmp_path / file))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_rejected_or_sound(name: str, tmp_path: Path) -> None:
    file, write, read, check = READERS[name]
    path, faults = tmp_path / file, []
    write(path)
    whole = path.read_bytes()
    cases = spoilt_bytes(whole, len(name), 25)
    if not file.endswith(".npz"):
        cases += spoilt_texts(whole.decode())
    for what, data in cases:
        path.write_bytes(data)
        with case(faults, what):
            found, message = refusal(lambda: read(path))
            check_message(message, file) if message else check(found)
    assert not faults, "\n".join(faults)


def lying(path: Path, shape: tuple[int, ...], held: int = 100) -> None:
    """An .npz whose array says more than it has: the header is NumPy's own, the data are a few zeros."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(held)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xyz.npy", data)


BAD_ARRAYS: dict[str, dict[str, Any]] = {
    "xyz is text": {"xyz": np.array(["a"])},
    "xyz is nan": {"xyz": np.full((192, 17, 3), np.nan)},
    "xyz reaches a light year": {"xyz": np.full((192, 17, 3), 1e16)},
    "xyz is complex": {"xyz": np.ones((192, 17, 3), complex)},
    "xyz has no frames": {"xyz": np.zeros((0, 17, 3))},
    "names are numbers": {"joint_names": np.arange(17)},
    "a clip starts at nan": {"clip_start": np.full(8, np.nan)},
    "a clip starts at half a frame": {"clip_start": np.full(8, 0.5)},
    "a clip ends beyond": {"clip_len": np.full(8, 10**9)},
    "a clip ends before it starts": {"clip_len": np.full(8, -3)},
    "fps is nan": {"fps": np.full(8, np.nan)},
    "fps is inf": {"fps": np.full(8, np.inf)},
    "fps is negative": {"fps": np.full(8, -12.0)},
    "fps is one number": {"fps": np.array(12.0)},
    "fps is true": {"fps": np.ones(8, bool)},
    "a split of no kind": {"split": np.array(["other"] * 8)},
    "one subject in two splits": {"split": np.array(["train", "test"] * 4)},
}


@pytest.mark.parametrize("what", BAD_ARRAYS)
def test_motion_of_wrong_arrays_is_rejected(what: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "walk.npz", **(arrays() | BAD_ARRAYS[what]))
    found, message = refusal(lambda: load_motion(tmp_path / "walk.npz"))
    assert message, found
    check_message(message, "walk.npz", "clip", "subject")


@pytest.mark.parametrize("shape", [(10**12,), (10**6, 17, 3), (2**62, 2**62), (-1,), (13,), (0,)])
def test_array_that_lies_about_its_shape_is_rejected(shape: tuple[int, ...], tmp_path: Path) -> None:
    lying(tmp_path / "walk.npz", shape)
    _, message = refusal(lambda: load_motion(tmp_path / "walk.npz"))
    check_message(message, "walk.npz")
    assert "says shape" in message


@pytest.mark.parametrize("name", ["objects", "members", "npy", "bz2"])
def test_archives_of_another_kind_are_rejected(name: str, tmp_path: Path) -> None:
    path = tmp_path / "walk.npz"
    if name == "objects":
        np.savez(path, xyz=np.array([{}], dtype=object))
    elif name == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2 if name == "bz2" else zipfile.ZIP_STORED) as archive:
            for n in range(20_000 if name == "members" else 1):
                archive.writestr(f"{n}.npy", b"x")
    _, message = refusal(lambda: load_motion(path))
    check_message(message, "walk.npz")


def test_noise_of_wrong_values_is_rejected(tmp_path: Path) -> None:
    path, faults = tmp_path / "noise.json", []
    default_noise().save(path)
    tree = json.loads(path.read_text())
    for what, spoilt in [*spoilt_trees(tree, 7, 60), *shorn_trees(tree)]:
        path.write_text(json.dumps(spoilt))
        with case(faults, what):
            _, message = refusal(lambda: DetectorNoise.load(path))
            assert message or "fitted_to" in what, "was taken"
            if message:
                check_message(message, "noise.json")
    assert not faults, "\n".join(faults)


def test_commands_refuse_spoilt_motion(tmp_path: Path) -> None:
    lying(tmp_path / "walk.npz", (10**12,))
    for command in (("train", "posern", "--output", tmp_path / "out"), ("evaluate", "lifter")):
        check_refused(*command, "--data", tmp_path / "walk.npz", names=("walk.npz",))
    check_refused("fit-noise", "--labels", tmp_path / "walk.npz", "--output", tmp_path / "n.json", names=("walk.npz",))
    check_refused("fit-noise", tmp_path / "walk.npz", "--output", tmp_path / "n.json", names=("walk.npz",))
