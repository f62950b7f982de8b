"""Regression filters of every ordered pair of a table, moved in place, and statistics of their spreads.

The filter is the one of `pairs_bt.kernels.kalman` (its docstring derives the factors a, c, v); its two steps stand
here again because a cached kernel does not notice that a callee in another module has changed. A test holds both
to the same bits.

State is field x y x x, so that for one y the pairs with neighbouring x are neighbours in memory: they move through
time together, in lanes that the compiler can vectorise. Lanes share no arithmetic, so a pair gets the same bits in
any lane, alone, and in any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int32]
Flags = NDArray[np.int8]

LANES = 32
STATE = 5  # fields that the filter needs: beta, alpha, a, c, v
FIELDS = 9  # and those of the last bar: beta and a before it, the innovation and its variance
BETA, ALPHA, BETA_VAR, CENTRE, LINE_VAR, BETA_BEFORE, BETA_VAR_BEFORE, INNOVATION, INNOVATION_VAR = range(FIELDS)
NEVER = -1  # last bar of a pair that has had none
TINY = 1e-300
LN2 = np.log(2.0)
EPS = np.finfo(np.float64).eps


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(q: float, a: float, c: float, v: float) -> tuple[float, float, float]:
    total = a + q
    kept = c * (a / max(total, TINY))
    return total, kept, v + (q + q * (c * kept))


@njit(cache=True, nogil=True, error_model="numpy")
def _correct(
    y: float, x: float, r: float, beta: float, alpha: float, a: float, c: float, v: float
) -> tuple[float, float, float, float, float, float, float]:
    u = x - c
    p0 = a * u
    p1 = v - c * p0
    vr = v + r
    s = p0 * u + vr
    e = y - x * beta - alpha
    inverse = 1.0 / s
    w = e * inverse
    share = v / vr
    return beta + p0 * w, alpha + p1 * w, a * (vr * inverse), c + share * u, r * share, e, s


@njit(cache=True, nogil=True, error_model="numpy")
def _lanes(
    bars: Floats, y: int, x0: int, lanes: int, first: int, q: float, r: float, work: Floats, state: Floats
) -> None:
    # `work` holds the nine fields and x, LANES numbers each, at constant distances: the compiler sees that lanes
    # do not touch each other
    for field in range(STATE):
        for lane in range(lanes):
            work[field * LANES + lane] = state[field, y, x0 + lane]
    n = bars.shape[0]
    for t in range(n):
        if t == n - 1:
            for lane in range(lanes):
                work[BETA_BEFORE * LANES + lane] = work[lane]
                work[BETA_VAR_BEFORE * LANES + lane] = work[BETA_VAR * LANES + lane]
        for lane in range(lanes):
            work[FIELDS * LANES + lane] = bars[t, x0 + lane]
        step = q if first + t > 0 else 0.0  # with a step of 0 the prediction changes no bit
        y_now = bars[t, y]
        for lane in range(lanes):
            a, c, v = _predict(step, work[2 * LANES + lane], work[3 * LANES + lane], work[4 * LANES + lane])
            beta, alpha, a, c, v, e, s = _correct(
                y_now, work[FIELDS * LANES + lane], r, work[lane], work[LANES + lane], a, c, v
            )
            work[lane] = beta
            work[LANES + lane] = alpha
            work[2 * LANES + lane] = a
            work[3 * LANES + lane] = c
            work[4 * LANES + lane] = v
            work[INNOVATION * LANES + lane] = e
            work[INNOVATION_VAR * LANES + lane] = s
    for field in range(FIELDS):
        for lane in range(lanes):
            state[field, y, x0 + lane] = work[field * LANES + lane]


@njit(cache=True, nogil=True, error_model="numpy")
def _pair_with_gaps(
    series: Floats, y: int, x: int, first: int, q: float, r: float, state: Floats, seen: Counts, last: Counts
) -> None:
    beta, alpha = state[BETA, y, x], state[ALPHA, y, x]
    a, c, v = state[BETA_VAR, y, x], state[CENTRE, y, x], state[LINE_VAR, y, x]
    for t in range(series.shape[1]):
        y_now, x_now = series[y, t], series[x, t]
        if y_now != y_now or x_now != x_now:
            continue
        state[BETA_BEFORE, y, x] = beta
        state[BETA_VAR_BEFORE, y, x] = a
        # bars that were missed are predicted when the next one comes, one by one as the filter of one pair does
        for _ in range(first + t - max(last[y, x], 0)):
            a, c, v = _predict(q, a, c, v)
        beta, alpha, a, c, v, e, s = _correct(y_now, x_now, r, beta, alpha, a, c, v)
        state[INNOVATION, y, x] = e
        state[INNOVATION_VAR, y, x] = s
        seen[y, x] += 1
        last[y, x] = first + t
    state[BETA, y, x] = beta
    state[ALPHA, y, x] = alpha
    state[BETA_VAR, y, x] = a
    state[CENTRE, y, x] = c
    state[LINE_VAR, y, x] = v


@njit(cache=True, nogil=True, error_model="numpy")
def _in_step(gaps: Flags, last: Counts, y: int, x0: int, lanes: int, first: int) -> bool:
    for x in range(x0, x0 + lanes):  # noqa: SIM110 - numba has no all()
        if gaps[x] or last[y, x] != first - 1:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def move_pairs(
    bars: Floats,
    series: Floats,
    gaps: Flags,
    y_from: int,
    y_to: int,
    first: int,
    q: float,
    r: float,
    state: Floats,
    seen: Counts,
    last: Counts,
) -> None:
    """Move the pairs of rows ``y_from`` to ``y_to`` through the bars, in place.

    ``bars`` (n, k) and ``series`` (k, n) hold the same numbers, ``gaps`` (k,) which tickers lack one. ``first`` is
    the number of bars before these; ``state`` (9, k, k), ``seen`` and ``last`` (k, k) the corrected bars and the
    number of the last one (-1: none).
    """
    k, n = series.shape
    work = np.empty((FIELDS + 1) * LANES)
    for y in range(y_from, y_to):
        for x0 in range(0, k, LANES):
            lanes = min(LANES, k - x0)
            if not gaps[y] and _in_step(gaps, last, y, x0, lanes, first):
                _lanes(bars, y, x0, lanes, first, q, r, work, state)
                for x in range(x0, x0 + lanes):
                    seen[y, x] += n
                    last[y, x] = first + n - 1
            else:
                for x in range(x0, x0 + lanes):
                    _pair_with_gaps(series, y, x, first, q, r, state, seen, last)


@njit(cache=True, nogil=True, error_model="numpy")
def _spread_sums(recent: Floats, y: int, x0: int, lanes: int, work: Floats) -> None:
    # rows of work: 0 beta, 1 x, 2 bars, 3 sum, 4 last spread, 5 largest |y| + |beta x|, 6 spread of the bar before,
    # 7 changes, 8 sum of the spreads before them, 9 sum of changes
    for i in range(2, 10):
        for lane in range(lanes):
            work[i * LANES + lane] = np.nan if i in (4, 6) else 0.0
    for t in range(recent.shape[0]):
        for lane in range(lanes):
            work[LANES + lane] = recent[t, x0 + lane]
        y_now = recent[t, y]
        for lane in range(lanes):
            part = work[lane] * work[LANES + lane]
            s = y_now - part
            before = work[6 * LANES + lane]
            change = s - before
            here = s == s
            both = change == change
            size = abs(y_now) + abs(part)
            work[2 * LANES + lane] += 1.0 if here else 0.0
            work[3 * LANES + lane] += s if here else 0.0
            work[4 * LANES + lane] = s if here else work[4 * LANES + lane]
            work[5 * LANES + lane] = size if size > work[5 * LANES + lane] else work[5 * LANES + lane]
            work[6 * LANES + lane] = s
            work[7 * LANES + lane] += 1.0 if both else 0.0
            work[8 * LANES + lane] += before if both else 0.0
            work[9 * LANES + lane] += change if both else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _spread_squares(recent: Floats, y: int, x0: int, lanes: int, work: Floats) -> None:
    # 3, 8 and 9 become means; 10 squares, 11 squares of the lag, 12 products of lag and change, all centred
    for lane in range(lanes):
        work[3 * LANES + lane] /= work[2 * LANES + lane]
        work[8 * LANES + lane] /= work[7 * LANES + lane]
        work[9 * LANES + lane] /= work[7 * LANES + lane]
        work[6 * LANES + lane] = np.nan
    for i in range(10, 13):
        for lane in range(lanes):
            work[i * LANES + lane] = 0.0
    for t in range(recent.shape[0]):
        for lane in range(lanes):
            work[LANES + lane] = recent[t, x0 + lane]
        y_now = recent[t, y]
        for lane in range(lanes):
            s = y_now - work[lane] * work[LANES + lane]
            before = work[6 * LANES + lane]
            change = s - before
            both = change == change
            d = s - work[3 * LANES + lane]
            lag = before - work[8 * LANES + lane]
            product = lag * (change - work[9 * LANES + lane])
            work[6 * LANES + lane] = s
            work[10 * LANES + lane] += d * d if s == s else 0.0
            work[11 * LANES + lane] += lag * lag if both else 0.0
            work[12 * LANES + lane] += product if both else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def spread_statistics(
    recent: Floats, beta: Floats, y_from: int, y_to: int, least: int, z: Floats, half_life: Floats
) -> None:
    """z-score and half-life of ``y - beta x`` over the rows of ``recent`` (w, k), beta (k, k) held, into (k, k).

    The rules are those of `pairs_bt.kernels.mean_reversion`: ddof 1, two passes; half-life inf where nothing pulls
    back. NaN where fewer than ``least`` bars have both legs, or where the spread is constant up to rounding.
    """
    k = recent.shape[1]
    work = np.empty(13 * LANES)
    for y in range(y_from, y_to):
        for x0 in range(0, k, LANES):
            lanes = min(LANES, k - x0)
            for lane in range(lanes):
                work[lane] = beta[y, x0 + lane]
            _spread_sums(recent, y, x0, lanes, work)
            _spread_squares(recent, y, x0, lanes, work)
            for lane in range(lanes):
                z[y, x0 + lane] = np.nan
                half_life[y, x0 + lane] = np.nan
                n, m = work[2 * LANES + lane], work[7 * LANES + lane]
                noise = 16.0 * EPS * work[5 * LANES + lane]
                if n >= least and n > 1.0:
                    deviation = np.sqrt(work[10 * LANES + lane] / (n - 1.0))
                    if deviation > noise:
                        z[y, x0 + lane] = (work[4 * LANES + lane] - work[3 * LANES + lane]) / deviation
                if n >= least and m > 2.0 and np.sqrt(work[11 * LANES + lane] / m) > noise:
                    slope = work[12 * LANES + lane] / work[11 * LANES + lane]
                    half_life[y, x0 + lane] = -LN2 / slope if slope < 0.0 else np.inf


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _dot(a: Floats, b: Floats) -> float:
    total = 0.0
    for t in range(a.shape[0]):
        total += a[t] * b[t]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def correlations(changes: Floats, least: int, out: Floats) -> None:
    """Correlation of the rows of ``changes`` (k, n), to sort them by, into (k, k).

    A missing change counts as the row's mean. 0 where a row has fewer than ``least`` changes or no variance.
    """
    k, n = changes.shape
    unit = np.zeros((k, n))
    for i in range(k):
        count = 0
        total = 0.0
        for t in range(n):
            if changes[i, t] == changes[i, t]:
                count += 1
                total += changes[i, t]
        if count >= least:
            mean = total / count
            for t in range(n):
                if changes[i, t] == changes[i, t]:
                    unit[i, t] = changes[i, t] - mean
            norm = np.sqrt(_dot(unit[i], unit[i]))
            if norm > 0.0:
                for t in range(n):
                    unit[i, t] /= norm
    for i in range(k):
        out[i, i] = 1.0
        for j in range(i):
            out[i, j] = min(max(_dot(unit[i], unit[j]), -1.0), 1.0)
            out[j, i] = out[i, j]
