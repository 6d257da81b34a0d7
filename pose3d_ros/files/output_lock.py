"""One run at a time writes into an output folder: two would spoil each other's results."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import expanded


@contextmanager
def output_lock(output: Path) -> Iterator[None]:
    """Hold a folder, which is made, until the end of the block or of the process, however that comes.

    Raises InputError where another run holds it. A folder that cannot be made or locked is left to the command, which
    says what is wrong with it, or to a file system without locks.
    """
    folder = expanded(output).absolute()
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        # The kernel lets go of it when the process ends, so that a run that was killed blocks none.
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(held)
        raise InputError(
            f"--output {output}: another run is writing there now: wait for it, or choose another folder"
        ) from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(held)
        if not existed:
            with suppress(OSError):  # not empty, as it should be
                folder.rmdir()
