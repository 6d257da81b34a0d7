"""The folder where fetched weights and footage lie, and the check that they are what was published."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from platformdirs import user_cache_dir

from pose3d_ros.files.door import expanded


def cache_dir() -> Path:
    """POSE3D_CACHE if it is set, else pose3d_ros in the user's cache, absolute; made when first written to."""
    chosen = os.environ.get("POSE3D_CACHE")
    # Downloaders run in folders of their own, where a relative path would mean another place.
    return expanded(chosen or user_cache_dir("pose3d_ros")).absolute()


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
