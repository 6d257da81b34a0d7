"""Poses as files that other programs read: TRC (OpenSim) and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D, Skeleton

CSV_COLUMNS = (
    "stamp_ns", "frame", "id", "state", "joint", "x_m", "y_m", "z_m", "vx_m_s", "vy_m_s", "vz_m_s",
    "cov_xx_m2", "cov_xy_m2", "cov_xz_m2", "cov_yy_m2", "cov_yz_m2", "cov_zz_m2",
    "confidence", "n_views", "reprojection_px", "source",
)  # fmt: skip
_UPPER = np.triu_indices(3)  # xx xy xz yy yz zz


def write_trc(poses: Sequence[Pose3D], path: Path | str) -> None:
    """Write all people's joints as one TRC file for OpenSim and Mokka; one pose is in memory at a time.

    Markers are named <id>_<joint>, positions are in m. Axes are OpenSim's, y up: TRC (X, Y, Z) is world
    (y, z, x), so a world with z up stands upright there. A joint that is absent, and every person who is not
    VISIBLE, leaves its three cells blank, which OpenSim reads as NaN. Rows are in order of capture; Frame#
    counts from 1, Time is in s after the first pose. Raises InputError for poses of several skeletons.
    """
    order = _order(poses)
    ids: dict[str, int] = {}
    skeletons: dict[Skeleton, None] = {}
    stamps = []
    for pose in (poses[k] for k in order):
        stamps.append(pose.stamp_ns)
        skeletons[pose.skeleton] = None
        for one in pose.ids:
            ids.setdefault(one, len(ids))
    if len(skeletons) > 1:
        raise InputError("a TRC file holds one skeleton: the poses have several")
    skeleton = next(iter(skeletons), H36M_17)
    markers = [f"{one}_{joint}" for one in ids for joint in skeleton.joint_names]
    rate = f"{_rate_hz(stamps):.10g}"
    head = [rate, rate, len(order), len(markers), "m", rate, 1, len(order)]
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        "\t".join(map(str, head)),
        "Frame#\tTime\t" + "\t\t\t".join(markers) + "\t\t",
        "\t\t" + "\t".join(f"X{k}\tY{k}\tZ{k}" for k in range(1, len(markers) + 1)),
        "",
    ]
    with Path(path).open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        for number, k in enumerate(order, start=1):
            pose = poses[k]
            time_s = (pose.stamp_ns - stamps[0]) / 1e9
            xyz = np.full((len(ids), skeleton.size, 3), np.nan)
            for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
                xyz[ids[pose.ids[row]]] = pose.xyz[row]
            cells = [f"{value:.6f}" if np.isfinite(value) else "" for value in xyz[..., [1, 2, 0]].ravel()]
            file.write("\t".join([str(number), f"{time_s:.6f}", *cells]) + "\n")


def write_csv(poses: Sequence[Pose3D], path: Path | str) -> None:
    """Write one line for each joint of each person of each pose, with CSV_COLUMNS; absent numbers are blank.

    Positions are in the fixed frame (z up for the sample footage). frame counts the poses from 0 in order of
    capture; state and source are the names of msg/HumanPose3D and msg/Joint3D; confidence is the joint's score.
    """
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for number, pose in enumerate(poses[k] for k in _order(poses)):
            for person, one in enumerate(pose.ids):
                state = PersonState(int(pose.state[person])).name
                for joint, name in enumerate(pose.skeleton.joint_names):
                    numbers = _cells(_numbers(pose, person, joint))
                    score = _cells([pose.score[person, joint]])
                    source = JointSource(int(pose.source[person, joint])).name
                    tail = [*score, int(pose.n_views[person, joint]), numbers[-1], source]
                    writer.writerow([pose.stamp_ns, number, one, state, name, *numbers[:-1], *tail])


def _numbers(pose: Pose3D, person: int, joint: int) -> Floats:
    """Position, velocity, upper triangle of the covariance, reprojection error: (13,)."""
    return np.concatenate(
        [
            pose.xyz[person, joint],
            pose.velocity[person, joint],
            pose.covariance[person, joint][_UPPER],
            [pose.reprojection_px[person, joint]],
        ]
    )


def _cells(values: Iterable[float]) -> list[str]:
    """Six significant digits, which is 10 micrometres at 10 m; blank for NaN."""
    return [f"{value:.6g}" if np.isfinite(value) else "" for value in values]


def _order(poses: Sequence[Pose3D]) -> list[int]:
    """Indices in order of capture, the last of each stamp."""
    latest = {pose.stamp_ns: k for k, pose in enumerate(poses)}
    return [latest[stamp] for stamp in sorted(latest)]


def _rate_hz(stamps_ns: Sequence[int]) -> float:
    """Poses a second of capture time, to 0.01; 1 for fewer than two poses."""
    if len(stamps_ns) < 2:
        return 1.0
    return round(1e9 / float(np.median(np.diff(stamps_ns))), 2)
