"""The README's Python example does what it says, on the footage."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.recordings.footage import reference_single, sample
from pose3d_ros.recordings.playback import write_stills
from pose3d_ros.rigs.rig_yaml import load_rig

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_readmes_python_example_finds_the_person_in_still_images(footage, weights, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    write_stills(sample("single"), tmp_path)  # as `pose3d demo` leaves them
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names, reference = reference_single()
    knees = np.array([reference[0, names.index(name)] for name in ("RKnee", "LKnee")])
    people = [ast.literal_eval(line.partition(" ")[2].replace("nan", "None")) for line in done.stdout.splitlines()]
    nearest = min(
        np.linalg.norm(np.array([person["RKnee"], person["LKnee"]], dtype=float) - knees, axis=1).max()
        for person in people
    )
    assert nearest < 0.15, done.stdout


@pytest.mark.parametrize("name", ["single", "multi"])
def test_the_samples_stills_are_of_their_rigs_size(name, footage, tmp_path):
    write_stills(sample(name), tmp_path)
    for camera in load_rig(tmp_path / "rig.yaml").cameras:
        image = cv2.imread(str(tmp_path / f"{camera.name}.png"))
        assert image.shape[1::-1] == camera.size_wh, camera.name
