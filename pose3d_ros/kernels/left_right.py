"""Where left and right of tracked people are swapped in a view: the loop of estimation/left_right.py."""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import kernel
from pose3d_ros.kernels.lenses import CAMERAS, project_one


@kernel(f"b1[:, :, ::1]({CAMERAS}, f8[:, :, :, ::1], f8[:, :, ::1], f8[:, :, ::1], i8[::1], i8[:, ::1], i8, f8)")
def swapped(cameras, xy, std_px, expected, other_side, parts, least_seen, clear):  # type: ignore[no-untyped-def]
    """Which joints (V, G, J) of people at xy (V, G, J, 2) px, with errors std_px (V, G, J), have swapped sides.

    expected (T, J, 3) m, NaN where unknown, T >= 1; other_side (J,) joints, parts (P, K) joints that go together.
    """
    V, G, J, _ = xy.shape
    T = len(expected)
    out = np.zeros((V, G, J), dtype=np.bool_)
    px = np.empty((V, T, J, 2))
    for v in range(V):
        for person in range(T):
            for j in range(J):
                X = expected[person, j]
                px[v, person, j, 0], px[v, person, j, 1] = project_one(cameras, v, X[0], X[1], X[2])
    says, known = np.empty(V, dtype=np.bool_), np.empty(V, dtype=np.bool_)
    for g in range(G):
        # Joints in the middle of the body, where sides do not matter, identify the person of the group.
        nearest, who = np.inf, 0
        for person in range(T):
            total, count = 0.0, 0
            for v in range(V):
                for j in range(J):
                    if other_side[j] == j:
                        x, y = xy[v, g, j, 0] - px[v, person, j, 0], xy[v, g, j, 1] - px[v, person, j, 1]
                        apart = np.sqrt(x * x + y * y)
                        if np.isfinite(apart):
                            total, count = total + apart, count + 1
            if count and total / count < nearest:
                nearest, who = total / count, person
        for part in parts:
            n_known, n_says = 0, 0
            for v in range(V):
                seen, gain = 0, 0.0
                for j in part:
                    o = other_side[j]
                    x, y = px[v, who, j, 0], px[v, who, j, 1]
                    as_seen = (xy[v, g, j, 0] - x) ** 2 + (xy[v, g, j, 1] - y) ** 2
                    changed = (xy[v, g, o, 0] - x) ** 2 + (xy[v, g, o, 1] - y) ** 2
                    if np.isfinite(as_seen) and np.isfinite(changed):
                        seen += 1
                        gain += (as_seen - changed) / std_px[v, g, j] ** 2
                known[v] = seen >= least_seen
                says[v] = known[v] and gain > clear
                n_known += known[v]
                n_says += says[v]
            if 2 * n_says <= n_known:
                for v in range(V):
                    if says[v]:
                        for j in part:
                            out[v, g, j] = True
    return out
