"""What the command says and with which exit code, whatever its commands raise."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pose3d_ros import __version__, cli
from pose3d_ros.commands import models
from pose3d_ros.errors import DownloadError


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (None, 0, ""),
        (DownloadError("no network: connect"), 1, "pose3d models: no network: connect\n"),
        (PermissionError(13, "Permission denied", "/cache"), 1, "Permission denied: '/cache': check the path"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_a_command_ends_with_its_exit_code_and_one_line(
    raised: BaseException | None,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(args: argparse.Namespace) -> int:
        if raised is not None:
            raise raised
        return 0

    monkeypatch.setattr(models, "run", run)
    assert cli.main(["models", "list"]) == code
    assert said in capsys.readouterr().err


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "run", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["models", "list"])


def test_a_cache_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "file"))
    assert cli.main(["models", "fetch", "--quiet"]) == 1
    assert f"{tmp_path / 'file' / 'weights'}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["mdels"], ["models"]])
def test_wrong_usage_ends_with_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out
