"""tf_transformations' functions over transforms3d; quaternions are x, y, z, w here and w, x, y, z there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from transforms3d.quaternions import mat2quat, quat2mat

Floats = NDArray[np.float64]


def quaternion_matrix(quaternion: ArrayLike) -> Floats:
    """The homogeneous (4, 4) rotation of a quaternion x, y, z, w."""
    x, y, z, w = np.asarray(quaternion, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = quat2mat([w, x, y, z])
    return matrix


def quaternion_from_matrix(matrix: ArrayLike) -> Floats:
    """The quaternion x, y, z, w of a homogeneous (4, 4) matrix's rotation."""
    w, x, y, z = mat2quat(np.asarray(matrix, dtype=np.float64)[:3, :3])
    return np.array([x, y, z, w])


def translation_matrix(direction: ArrayLike) -> Floats:
    """The homogeneous (4, 4) matrix that moves by direction (3,)."""
    matrix = np.eye(4)
    matrix[:3, 3] = np.asarray(direction, dtype=np.float64)[:3]
    return matrix
