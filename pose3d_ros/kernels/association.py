"""Which 2D people of several views are one person: geometry/association.py's steps, pair by pair.

N 2D people of all views, T people expected, J joints; definitions of the same names are in
test/definitions/association.py. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel
from pose3d_ros.kernels.constants import (
    HALF_A_BODY,
    LONGEST_BONE_M,
    MIN_SHARED_JOINTS,
    REASSIGNMENTS,
    SHORTEST_BONE_M,
    TRUNCATION,
)
from pose3d_ros.kernels.lenses import CAMERAS
from pose3d_ros.kernels.solving import solve


@inner
def _rays(cameras, view, ideal, score):  # type: ignore[no-untyped-def]
    """Unit directions (N, 3, J) in the world and weights (N, J) of ideal coordinates (N, J, 2)."""
    N, J = score.shape
    direction, weight = np.zeros((N, 3, J)), np.zeros((N, J))
    for n in range(N):
        R = cameras[7][view[n]]
        for j in range(J):
            x, y = ideal[n, j, 0], ideal[n, j, 1]
            if np.isfinite(x) and np.isfinite(y):
                weight[n, j] = score[n, j]
            else:
                x, y = 0.0, 0.0
            length = np.sqrt(x * x + y * y + 1.0)
            x, y, z = x / length, y / length, 1.0 / length
            for k in range(3):
                direction[n, k, j] = R[0, k] * x + R[1, k] * y + R[2, k] * z
    return direction, weight


@inner
def _lower_median(values, count):  # type: ignore[no-untyped-def]
    """Lower median of the first count values, which are sorted in place; NaN of none."""
    for a in range(1, count):
        one, b = values[a], a - 1
        while b >= 0 and values[b] > one:
            values[b + 1] = values[b]
            b -= 1
        values[b + 1] = one
    return values[(count - 1) // 2] if count > 0 else np.nan


@inner
def _bone_angle(direction, weight, bones, space):  # type: ignore[no-untyped-def]
    """Median angle rad between the ends of one person's visible bones; NaN if none is visible."""
    count = 0
    for k in range(len(bones)):
        a, b = bones[k, 0], bones[k, 1]
        if weight[a] > 0 and weight[b] > 0:
            d0 = direction[0, a] - direction[0, b]
            d1 = direction[1, a] - direction[1, b]
            d2 = direction[2, a] - direction[2, b]
            space[count] = np.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
            count += 1
    return _lower_median(space, count)


@inner
def _mismatches(r, s, b0, b1, b2, mismatch, depth, blind):  # type: ignore[no-untyped-def]
    """ray_mismatch of two people's rays (3, J), into the last three (J); no branches, so that it is vectorised."""
    length = np.sqrt(b0 * b0 + b1 * b1 + b2 * b2)
    smallest = 1e-6 * max(length, 1e-6)
    for j in range(len(mismatch)):
        r0, r1, r2, s0, s1, s2 = r[0, j], r[1, j], r[2, j], s[0, j], s[1, j], s[2, j]
        n0, n1, n2 = b1 * r2 - b2 * r1, b2 * r0 - b0 * r2, b0 * r1 - b1 * r0
        m0, m1, m2 = b1 * s2 - b2 * s1, b2 * s0 - b0 * s2, b0 * s1 - b1 * s0
        area_r, area_s = np.sqrt(n0 * n0 + n1 * n1 + n2 * n2), np.sqrt(m0 * m0 + m1 * m1 + m2 * m2)
        volume = abs(n0 * s0 + n1 * s1 + n2 * s2)
        # Sine of the angle between one ray and the other's epipolar plane, the mean of both ways.
        off = 0.5 * (volume / area_r + volume / area_s)
        # Sine of the angle at which the rays converge in the plane; negative if they diverge.
        c0, c1, c2 = r1 * s2 - r2 * s1, r2 * s0 - r0 * s2, r0 * s1 - r1 * s0
        parallax = (n0 * c0 + n1 * c1 + n2 * c2) / area_r
        depth[j] = area_s / parallax if parallax > 0 else np.inf
        # Diverging rays miss by what makes them parallel (a point at infinity); rays on opposite sides of the
        # baseline by what turns one of them into it.
        apart = max(-parallax, 0.0)
        off = np.sqrt(off * off + apart * apart)
        smaller = min(area_r, area_s)
        opposite = n0 * m0 + n1 * m1 + n2 * m2 < 0
        mismatch[j] = smaller / length if opposite else off
        blind[j] = 0.0 if smaller > smallest else 1.0


@inner
def _affinity(total, missed, count, limit):  # type: ignore[no-untyped-def]
    """1 - mean mismatch over limit, times how much of the body was compared."""
    if count < MIN_SHARED_JOINTS:
        return 0.0
    return min(count / HALF_A_BODY, 1.0) * (1.0 - missed / max(total, 1e-12) / limit)


@inner
def _pairs(cameras, view, direction, weight, bones, limit, table):  # type: ignore[no-untyped-def]
    """Affinity in [-1, 1] of all people of different views, into table (N, N); 0 without evidence."""
    N, J = weight.shape
    mismatch, depth, blind, met = np.empty(J), np.empty(J), np.empty(J), np.empty(max(J, len(bones)))
    centre, most = cameras[9], TRUNCATION * limit
    for a in range(N):
        angle = _bone_angle(direction[a], weight[a], bones, met)
        for b in range(a + 1, N):
            if view[a] >= view[b]:
                continue
            one, other = centre[view[a]], centre[view[b]]
            b0, b1, b2 = other[0] - one[0], other[1] - one[1], other[2] - one[2]
            _mismatches(direction[a], direction[b], b0, b1, b2, mismatch, depth, blind)
            total, missed, count = 0.0, 0.0, 0
            for j in range(J):
                w = weight[a, j] * weight[b, j]
                if w > 0.0 and blind[j] == 0.0:
                    w = np.sqrt(w)
                    total += w
                    missed += w * min(mismatch[j], most)
                    met[count] = depth[j]
                    count += 1
            found = _affinity(total, missed, count, limit)
            if found > -1.0:
                size = _lower_median(met, count) * angle
                if size < SHORTEST_BONE_M or size > LONGEST_BONE_M:
                    found = -1.0
            table[a, b] = table[b, a] = found


@inner
def _expected(cameras, view, direction, weight, predicted, limit, table):  # type: ignore[no-untyped-def]
    """Affinity of 2D people and predicted 3D people, from the angle at which each joint is seen, into table."""
    N, J = weight.shape
    most = TRUNCATION * limit
    for n in range(N):
        centre = cameras[9][view[n]]
        for person in range(len(predicted)):
            total, missed, count = 0.0, 0.0, 0
            for j in range(J):
                w = weight[n, j]
                t0 = predicted[person, j, 0] - centre[0]
                t1 = predicted[person, j, 1] - centre[1]
                t2 = predicted[person, j, 2] - centre[2]
                if not (w > 0.0 and np.isfinite(t0 + t1 + t2)):
                    continue
                total += w
                missed += w * min(_angle(direction[n, 0, j], direction[n, 1, j], direction[n, 2, j], t0, t1, t2), most)
                count += 1
            table[n, N + person] = table[N + person, n] = _affinity(total, missed, count, limit)


@inner
def _angle(d0, d1, d2, t0, t1, t2):  # type: ignore[no-untyped-def]
    """Angle rad between two directions."""
    c0, c1, c2 = d1 * t2 - d2 * t1, d2 * t0 - d0 * t2, d0 * t1 - d1 * t0
    return np.arctan2(np.sqrt(c0 * c0 + c1 * c1 + c2 * c2), d0 * t0 + d1 * t1 + d2 * t2)


@inner
def _largest(table, row):  # type: ignore[no-untyped-def]
    """Column of a row's largest entry."""
    best = 0
    for column in range(1, table.shape[1]):
        if table[row, column] > table[row, best]:
            best = column
    return best


@inner
def _contract(affinity, view):  # type: ignore[no-untyped-def]
    """Merge the two groups with the largest positive affinity until there are none; labels (N,)."""
    N = len(view)
    table = affinity.copy()
    label = np.arange(N)
    best = np.zeros(N, dtype=np.int64)  # the column of each row's largest entry
    for a in range(N):
        for b in range(N):
            if view[a] == view[b]:
                table[a, b] = -np.inf
        best[a] = _largest(table, a)
    while True:
        a = 0
        for n in range(1, N):
            if table[n, best[n]] > table[a, best[a]]:
                a = n
        b = best[a]
        if not table[a, b] > 0:
            return label
        # -inf stays -inf in the sum: who shares a view with either shares it with both.
        for n in range(N):
            table[a, n] += table[b, n]
        for n in range(N):
            table[n, a] = table[a, n]
            table[b, n] = table[n, b] = -np.inf
        table[a, a] = -np.inf
        gone = label[b]
        for n in range(N):
            if label[n] == gone:
                label[n] = label[a]
        for n in range(N):
            if best[n] in (a, b) or n in (a, b):
                best[n] = _largest(table, n)
            elif table[n, a] > table[n, best[n]] or (table[n, a] == table[n, best[n]] and a < best[n]):
                best[n] = a


@inner
def _assigned(gain):  # type: ignore[no-untyped-def]
    """Columns (n,) of the rows of gain (n, m >= n) whose sum is largest.

    Shortest augmenting paths: Crouse, On implementing 2D rectangular assignment algorithms, IEEE TAES 52(4), 2016.
    """
    n, m = gain.shape
    u, v = np.zeros(n), np.zeros(m)
    row_of, column_of = np.full(m, -1), np.full(n, -1)
    for start in range(n):
        shortest, path = np.full(m, np.inf), np.full(m, -1)
        rows, columns = np.zeros(n, dtype=np.bool_), np.zeros(m, dtype=np.bool_)
        row, sink, least = start, -1, 0.0
        while sink < 0:
            rows[row] = True
            lowest, at = np.inf, -1
            for c in range(m):
                if columns[c]:
                    continue
                reduced = least - gain[row, c] - u[row] - v[c]
                if reduced < shortest[c]:
                    shortest[c], path[c] = reduced, row
                if shortest[c] < lowest or (shortest[c] == lowest and row_of[c] < 0 and at >= 0 and row_of[at] >= 0):
                    lowest, at = shortest[c], c
            least = lowest
            columns[at] = True
            if row_of[at] < 0:
                sink = at
            else:
                row = row_of[at]
        u[start] += least
        for r in range(n):
            if rows[r] and r != start:
                u[r] += least - shortest[column_of[r]]
        for c in range(m):
            if columns[c]:
                v[c] -= least - shortest[c]
        c = sink
        while True:
            r = path[c]
            row_of[c] = r
            c, column_of[r] = column_of[r], c
            if r == start:
                break
    return column_of


@inner
def _reassign(affinity, view, one, label):  # type: ignore[no-untyped-def]
    """The best assignment of one view's people to the groups of the others, or to none; modifies label."""
    N = len(view)
    number = np.full(2 * N + 1, -1)  # place among the groups of the others, by label
    mine, groups, top = 0, 0, -1
    for n in range(N):
        top = max(top, label[n])
        if view[n] == one:
            mine += 1
        else:
            number[label[n]] = 0
    label_of = np.empty(N, dtype=np.int64)
    for k in range(len(number)):
        if number[k] == 0:
            number[k], label_of[groups] = groups, k
            groups += 1
    gain = np.zeros((mine, groups + mine))  # mine more columns of 0: to stay alone
    row = 0
    for n in range(N):
        if view[n] != one:
            continue
        for other in range(N):
            if view[other] != one:
                gain[row, number[label[other]]] += affinity[n, other]
        row += 1
    column = _assigned(gain)
    row = 0
    for n in range(N):
        if view[n] == one:
            c = column[row]
            # Alone: under a number that no group has.
            label[n] = label_of[c] if c < groups and gain[row, c] > 0 else top + 1 + row
            row += 1
    _renumber(label)


@inner
def _renumber(label):  # type: ignore[no-untyped-def]
    """Renumber labels from 0 in the order of their first nodes."""
    N = len(label)
    new = np.full(2 * N + 1, -1)
    count = 0
    for n in range(N):
        if new[label[n]] < 0:
            new[label[n]] = count
            count += 1
        label[n] = new[label[n]]


@inner
def _solved(affinity, view, views):  # type: ignore[no-untyped-def]
    """Group label (N,) of every node: greedy contraction, then reassignment of one view after another."""
    label = _contract(affinity, view)
    _renumber(label)
    for _ in range(REASSIGNMENTS):
        before = label.copy()
        for one in range(views + 1):
            there = False
            for n in range(len(view)):
                there |= view[n] == one
            if there:
                _reassign(affinity, view, one, label)
        same = True
        for n in range(len(label)):
            same &= before[n] == label[n]
        if same:
            break
    return label


@inner
def _torn(cameras, view, direction, weight, label, limit, affinity):  # type: ignore[no-untyped-def]
    """Part, in affinity, the worst member of every group whose rays miss their common points; whether there is one."""
    N, J = weight.shape
    any_torn = False
    excess, members = np.empty(N), np.empty(N, dtype=np.int64)
    missed, total = np.empty(N), np.empty(N)
    for number in range(N):
        size = 0
        for n in range(N):
            if label[n] == number:
                members[size] = n
                missed[size], total[size] = 0.0, 0.0
                size += 1
        if size < 2:
            continue
        for j in range(J):
            # Closest point to weighted rays: sum w (I - d d') X = sum w (I - d d') c.
            a00 = a11 = a22 = 1e-9
            a01 = a02 = a12 = r0 = r1 = r2 = 0.0
            shared = 0
            for k in range(size):
                n = members[k]
                w = weight[n, j]
                if not w > 0:
                    continue
                shared += 1
                d0, d1, d2, c = direction[n, 0, j], direction[n, 1, j], direction[n, 2, j], cameras[9][view[n]]
                along = d0 * c[0] + d1 * c[1] + d2 * c[2]
                a00, a11, a22 = a00 + w * (1 - d0 * d0), a11 + w * (1 - d1 * d1), a22 + w * (1 - d2 * d2)
                a01, a02, a12 = a01 - w * d0 * d1, a02 - w * d0 * d2, a12 - w * d1 * d2
                r0, r1, r2 = r0 + w * (c[0] - along * d0), r1 + w * (c[1] - along * d1), r2 + w * (c[2] - along * d2)
            if shared < 2:
                continue
            x, y, z = solve(a00, a01, a02, a11, a12, a22, r0, r1, r2)
            for k in range(size):
                n = members[k]
                w = weight[n, j]
                if w > 0:
                    c = cameras[9][view[n]]
                    d0, d1, d2 = direction[n, 0, j], direction[n, 1, j], direction[n, 2, j]
                    total[k] += w
                    missed[k] += w * min(_angle(d0, d1, d2, x - c[0], y - c[1], z - c[2]), TRUNCATION * limit)
        # Two views share their one-dimensional mismatch, so that each shows half of it.
        allowed = (0.5 if size == 2 else 1.0) * limit
        worst = 0
        for k in range(size):
            excess[k] = missed[k] / max(total[k], 1e-12) - allowed
            if excess[k] > excess[worst]:
                worst = k
        if excess[worst] > 0:
            any_torn = True
            for k in range(size):
                if k != worst:
                    a, b = members[worst], members[k]
                    affinity[a, b] = affinity[b, a] = -float(len(affinity))
    return any_torn


@kernel(f"i8[:, ::1]({CAMERAS}, i8[::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], i8[:, ::1], f8)")
def grouped(cameras, view, ideal, score, predicted, bones, limit):  # type: ignore[no-untyped-def]
    """Rows (G, V) of the 2D people, or -1, larger groups first.

    People of the cameras view (N,), ascending, at ideal coordinates (N, J, 2) with score (N, J); predicted (T, J, 3) m
    as in geometry/association.py, bones (B, 2), limit rad.
    """
    N, T, V = len(view), len(predicted), len(cameras[0])
    direction, weight = _rays(cameras, view, ideal, score)
    affinity = np.zeros((N + T, N + T))
    _pairs(cameras, view, direction, weight, bones, limit, affinity)
    _expected(cameras, view, direction, weight, predicted, limit, affinity)
    # A track is one more view that sees in 3D: at most one track a group, like any view.
    nodes = np.full(N + T, V)
    nodes[:N] = view
    label = _solved(affinity, nodes, V)
    for _ in range(V):
        if not _torn(cameras, view, direction, weight, label, limit, affinity):
            break
        label = _solved(affinity, nodes, V)
    # Labels count from the first node on, so groups are in that order already.
    size = np.zeros(N, dtype=np.int64)
    groups = 0
    for n in range(N):
        size[label[n]] += 1
        groups = max(groups, label[n] + 1)
    table, row = np.empty((groups, V), dtype=np.int64), 0
    for large in range(V, 0, -1):
        for group in range(groups):
            if size[group] == large:
                for v in range(V):
                    table[row, v] = -1
                for n in range(N):
                    if label[n] == group:
                        table[row, view[n]] = n
                row += 1
    return table
