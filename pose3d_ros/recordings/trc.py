"""Reading TRC, the tab-separated marker file of Motion Analysis that OpenSim reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose3d_ros.errors import FootageError
from pose3d_ros.files.door import MARKERS, read_text
from pose3d_ros.structures import Floats

_METRES = {"m": 1.0, "mm": 1e-3}


@dataclass(frozen=True, eq=False)
class Markers:
    """Named points over time, in the file's own axes."""

    names: tuple[str, ...]  # N
    times_s: Floats  # (T,)
    xyz: Floats  # (T, N, 3) m, NaN where absent
    rate_hz: float


def read_trc(path: Path | str) -> Markers:
    """The markers of a TRC file; blank cells become NaN. Raises FootageError for another form."""
    lines = read_text(path, MARKERS).splitlines()
    try:
        header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
        names = tuple(name for name in lines[3].split("\t")[2:] if name)
        width = 2 + 3 * len(names)
        rows = [line.split("\t") for line in lines[5:] if line.strip()]
        cells = [[float(cell or "nan") for cell in row[:width]] + [np.nan] * (width - len(row)) for row in rows]
        table = np.array(cells, dtype=np.float64).reshape(-1, width)
        scale, rate_hz = _METRES[header["Units"]], float(header["DataRate"])
        if not 0 < rate_hz < np.inf or np.isinf(table).any() or bool(len(table)) != bool(names):
            raise ValueError(f"{len(table)} rows of {len(names)} markers at {rate_hz:g} Hz, or not all finite")
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise FootageError(f"{path} is not a readable TRC file ({error!r})") from error
    return Markers(names, table[:, 1], table[:, 2:].reshape(len(table), len(names), 3) * scale, rate_hz)
