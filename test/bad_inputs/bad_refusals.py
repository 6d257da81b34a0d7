"""What a refusal must be: one of our errors, in a short message that names the file or the value; no traceback."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pose3d_ros import cli
from pose3d_ros.errors import Pose3DError

MOST_BYTES = 2000
PARSER = cli.build_parser()  # one for all: a tenth of a second each


def refusal(read: Callable[[], Any]) -> tuple[Any, str]:
    """(what was read, "") or (None, the message of our error); anything else that is raised is a fault of ours."""
    try:
        return read(), ""
    except Pose3DError as error:
        message = str(error)
    return None, message


def check_message(message: str, *names: str) -> None:
    """A refusal is short, without a traceback, and names one of what is given."""
    assert message.strip()
    assert len(message.encode("utf-8", "backslashreplace")) <= MOST_BYTES, message[:300]
    assert "Traceback" not in message, message
    assert any(name in message for name in names), (message, names)


@contextlib.contextmanager
def case(faults: list[str], name: str) -> Iterator[None]:
    """One bad input of many: what is wrong with how it was met is added to the faults."""
    try:
        yield
    except Exception as error:  # whatever left a reader is what the corpus looks for
        last = traceback.extract_tb(error.__traceback__)[-1]
        faults.append(f"{name}: {type(error).__name__}: {str(error)[:200]} ({Path(last.filename).name}:{last.lineno})")


def run(*argv: str | Path) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of `pose3d ...` in this process; an exception that leaves main is a traceback."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        patch.object(cli, "build_parser", lambda: PARSER),
    ):
        try:
            code = cli.main([str(one) for one in argv])
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def check_refused(*argv: str | Path, names: tuple[str, ...]) -> None:
    """The command ends with 1 or 2 and a message that names one of what is given."""
    code, out, err = run(*argv)
    assert code in (1, 2), (code, out[-500:], err[-500:])
    check_message(err, *names)
