"""The picture that the detectors' reference numbers are of (test/data/detection/README.md)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

DATA = Path(__file__).parents[1] / "data" / "detection"


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Two people, (H, W, 3) uint8 BGR."""
    picture = cv2.imread(str(DATA / "front_image.png"))
    assert picture is not None
    return picture
