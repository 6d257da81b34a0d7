"""Rigid transforms for tests."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pose3d_ros.structures import Floats


def transform(rotation_vector: Sequence[float], translation: Sequence[float]) -> Floats:
    """(4, 4): turned by the vector's length in rad about it, then moved by the translation in m."""
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.array(rotation_vector, dtype=np.float64))[0]
    matrix[:3, 3] = translation
    return matrix
