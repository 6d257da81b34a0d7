"""One camera against all, with a lifter that errs by a known amount."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import h36m_rig, walker

from pose3d_ros.evaluation.mono_depth import COLUMNS, mono_depth_table
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Rig

RIG = Rig(h36m_rig().cameras[:3])
SETS = 6


def people(stamp_ns: int) -> Floats:
    """(2, 17, 3) m in the world."""
    t = stamp_ns / 1e9
    return np.stack([walker((-0.8, 0.3), (0.8, 0.0), t), walker((1.0, -0.6), (-0.5, 0.3), t, 1.6)])


class _Detector:
    name, skeleton = "true", H36M_17

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        found = {}
        for name, stamp in frames.stamps_ns.items():
            xy = project(RIG.camera(name), people(stamp))
            found[name] = Keypoints2D(xy, np.full(xy.shape[:2], 0.9), H36M_17, stamp)
        return found

    def reset(self) -> None:
        """Remembers nothing."""


class _Everywhere(Oracle):
    """Knows all people in view of every camera at every time."""

    def __init__(self, depth_error: float) -> None:
        before = []
        for k in range(SETS):
            for camera in RIG.cameras:
                placed = camera.cam_from_world
                before.append(people(k * 20_000_000) @ placed[:3, :3].T + placed[:3, 3])
        super().__init__(np.concatenate(before), depth_error)


def sets() -> Iterator[FrameSet]:
    for k in range(SETS):
        images = {c.name: np.zeros((c.size_wh[1], c.size_wh[0], 3), dtype=np.uint8) for c in RIG.cameras}
        yield FrameSet(images, dict.fromkeys(images, k * 20_000_000))


@pytest.mark.parametrize("factor", [1.0, 1.10, 0.95])
def test_depth_error_is_measured_exactly(factor: float) -> None:
    lifter = OracleLoaded(_Everywhere(factor))
    table = mono_depth_table("made up", RIG, sets(), _Detector(), lifter)  # type: ignore[arg-type]
    assert [row[:2] for row in table.rows] == [(c.name, person) for c in RIG.cameras for person in ("1", "2")]
    for row in table.rows:
        found = dict(zip(COLUMNS, row, strict=True))
        # One camera names people at the second image.
        assert found["images"] == SETS - 1
        assert found["bias %"] == pytest.approx(100 * (factor - 1), abs=0.3)
        assert found["depth error, median %"] == pytest.approx(100 * abs(factor - 1), abs=0.3)
        assert found["spread %"] == pytest.approx(0.0, abs=0.3)
        assert found["root-relative mm"] == pytest.approx(0.0, abs=10.0)
    assert "oracle" in table.title


def test_no_person_gives_an_empty_table() -> None:
    class Blind(_Detector):
        def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
            return {name: Keypoints2D.empty(H36M_17, stamp) for name, stamp in frames.stamps_ns.items()}

    table = mono_depth_table("empty", RIG, sets(), Blind(), OracleLoaded(_Everywhere(1.0)))  # type: ignore[arg-type]
    assert list(table.rows) == []
