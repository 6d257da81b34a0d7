"""Downloaders run as processes: what they say, how they end, what is shown."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from pose3d_ros import downloads
from pose3d_ros.downloads import run_downloader


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_exit_code_and_words_come_back(tmp_path: Path) -> None:
    script = "import sys; print('first'); print(); sys.stdout.flush(); sys.stderr.write('second'); sys.exit(3)"
    assert run_downloader(python(script), tmp_path, "x", None, progress=False) == (3, ["first", "second"])


def test_the_command_runs_in_the_folder_with_the_environment_given(tmp_path: Path) -> None:
    script = "import os; open('file', 'w').write(os.environ['PLACE'])"
    assert run_downloader(python(script), tmp_path, "x", None, progress=False, environment={"PLACE": "a"}) == (0, [])
    assert (tmp_path / "file").read_text() == "a"


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False)])
def test_the_largest_files_growth_is_shown(
    progress: bool, shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(downloads, "LINE_S", 0.1)
    (tmp_path / "below").mkdir()
    script = "import time; open('below/x.tgz', 'wb').write(bytes(2_000_000)); time.sleep(0.6)"
    run_downloader(python(script), tmp_path, "x@1.0", 4_000_000, progress=progress)
    assert ("x@1.0:  50%" in (said := capsys.readouterr().err)) is shown
    assert ("x@1.0: 100%" in said) is shown


def test_an_interruption_ends_the_downloader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads.time, "sleep", interrupt)
    before = psutil.Process().children()
    with pytest.raises(KeyboardInterrupt):
        run_downloader(python("import time; time.sleep(60)"), tmp_path, "x", None, progress=False)
    assert psutil.Process().children() == before
