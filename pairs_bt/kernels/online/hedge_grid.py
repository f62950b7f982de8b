"""Every pair's regression filter once for each step variance of a grid, moved in place, and the best of them so far.

The filters are those of `pairs_bt.kernels.online.hedge_matrix` in units of the error's variance: r is 1, and what
the error's variance is comes out of the innovations. The ratio moves with step variance ``steps[g, x]``, the intercept
with ``levels[g]``. Beside its state a filter keeps two numbers of its one-step predictions, the product of their
variances s and the sum of e^2 / s, which are all that their likelihood needs:

    known error variance r    sum log s + sum(e^2 / s) / r
    unknown                   sum log s + m log sum(e^2 / s)

each -2 log likelihood up to a constant that is the same for all filters of a pair; the second is that of the Student t
predictions under the prior 1 / r. The best filter has the least.

A pair is predicted over the bars that it missed when its next one comes. State is grid x field x y x x; lanes share no
arithmetic, so a pair gets the same bits in any lane, alone, in any number of threads and in any cut of the bars.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int32]
Flags = NDArray[np.int8]

LANES = 32
GRID_FIELDS = 8  # beta, alpha, a, c, v as in hedge_matrix, with r = 1; then the likelihood's
PRODUCT, FOLDS, SQUARES = 5, 6, 7  # the product of s is PRODUCT times FOLD to the power of FOLDS
COUNT = 8  # rows of work beyond the state: bars of the pair before this one, and x
UNSCORED = 2  # bars that only find ratio and intercept: their predictions are the prior's
FOLD = 2.0**400
UNFOLD = 2.0**-400
LOG_FOLD = 400.0 * np.log(2.0)
TINY = 1e-300


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(q_ratio: float, q_level: float, a: float, c: float, v: float) -> tuple[float, float, float]:
    total = a + q_ratio
    kept = c * (a / max(total, TINY))
    return total, kept, v + (q_level + q_ratio * (c * kept))


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    y: float, x: float, q_ratio: float, q_level: float, scored: bool,
    beta: float, alpha: float, a: float, c: float, v: float, product: float, folds: float, squares: float,
) -> tuple[float, float, float, float, float, float, float, float]:  # fmt: skip
    a, c, v = _predict(q_ratio, q_level, a, c, v)
    u = x - c
    p0 = a * u
    p1 = v - c * p0
    vr = v + 1.0
    s = p0 * u + vr
    e = y - x * beta - alpha
    inverse = 1.0 / s
    w = e * inverse
    share = v / vr
    product *= s if scored else 1.0
    squares += e * w if scored else 0.0
    full = product > FOLD
    product *= UNFOLD if full else 1.0
    folds += 1.0 if full else 0.0
    return beta + p0 * w, alpha + p1 * w, a * (vr * inverse), c + share * u, share, product, folds, squares


@njit(cache=True, nogil=True, error_model="numpy")
def _lanes(
    bars: Floats, y: int, x0: int, lanes: int, first: int, steps: Floats, levels: Floats,
    seen: Counts, work: Floats, grid: Floats,
) -> None:  # fmt: skip
    for g in range(grid.shape[0]):
        for field in range(GRID_FIELDS):
            for lane in range(lanes):
                work[field * LANES + lane] = grid[g, field, y, x0 + lane]
        for lane in range(lanes):
            work[COUNT * LANES + lane] = seen[y, x0 + lane]
        for t in range(bars.shape[0]):
            moves = 1.0 if first + t > 0 else 0.0
            q_level = levels[g] * moves
            for lane in range(lanes):
                work[(COUNT + 1) * LANES + lane] = bars[t, x0 + lane]
                work[(COUNT + 2) * LANES + lane] = steps[g, x0 + lane] * moves
            y_now = bars[t, y]
            for lane in range(lanes):
                beta, alpha, a, c, v, product, folds, squares = _step(
                    y_now,
                    work[(COUNT + 1) * LANES + lane],
                    work[(COUNT + 2) * LANES + lane],
                    q_level,
                    work[COUNT * LANES + lane] >= UNSCORED,
                    work[lane],
                    work[LANES + lane],
                    work[2 * LANES + lane],
                    work[3 * LANES + lane],
                    work[4 * LANES + lane],
                    work[PRODUCT * LANES + lane],
                    work[FOLDS * LANES + lane],
                    work[SQUARES * LANES + lane],
                )
                work[lane] = beta
                work[LANES + lane] = alpha
                work[2 * LANES + lane] = a
                work[3 * LANES + lane] = c
                work[4 * LANES + lane] = v
                work[PRODUCT * LANES + lane] = product
                work[FOLDS * LANES + lane] = folds
                work[SQUARES * LANES + lane] = squares
                work[COUNT * LANES + lane] += 1.0
        for field in range(GRID_FIELDS):
            for lane in range(lanes):
                grid[g, field, y, x0 + lane] = work[field * LANES + lane]
    for lane in range(lanes):
        seen[y, x0 + lane] += bars.shape[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _bar(
    y_now: float, x_now: float, missed: int, y: int, x: int, steps: Floats, levels: Floats,
    seen: Counts, grid: Floats,
) -> None:  # fmt: skip
    scored = seen[y, x] >= UNSCORED
    for g in range(grid.shape[0]):
        beta, alpha, a, c, v, product, folds, squares = _step(
            y_now,
            x_now,
            steps[g, x] * missed,
            levels[g] * missed,
            scored,
            grid[g, 0, y, x],
            grid[g, 1, y, x],
            grid[g, 2, y, x],
            grid[g, 3, y, x],
            grid[g, 4, y, x],
            grid[g, PRODUCT, y, x],
            grid[g, FOLDS, y, x],
            grid[g, SQUARES, y, x],
        )
        grid[g, 0, y, x] = beta
        grid[g, 1, y, x] = alpha
        grid[g, 2, y, x] = a
        grid[g, 3, y, x] = c
        grid[g, 4, y, x] = v
        grid[g, PRODUCT, y, x] = product
        grid[g, FOLDS, y, x] = folds
        grid[g, SQUARES, y, x] = squares
    seen[y, x] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _best(y: int, x: int, r: float, seen: Counts, grid: Floats) -> tuple[int, float]:
    """The best filter and the error's variance under it; NaN while no prediction was scored. r is 0 where unknown."""
    m = seen[y, x] - UNSCORED
    best = 0
    if m > 0:
        least = np.inf
        for g in range(grid.shape[0]):
            squares = grid[g, SQUARES, y, x]
            score = np.log(grid[g, PRODUCT, y, x]) + LOG_FOLD * grid[g, FOLDS, y, x]
            score += squares / r if r > 0.0 else m * np.log(max(squares, TINY))
            if score < least:
                least, best = score, g
    if r > 0.0:
        return best, r
    return best, grid[best, SQUARES, y, x] / m if m > 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _before(
    y_now: float, x_now: float, missed: int, y: int, x: int, steps: Floats, levels: Floats, r: float,
    seen: Counts, grid: Floats, values: Floats,
) -> None:  # fmt: skip
    best, variance = _best(y, x, r, seen, grid)
    beta, alpha, a = grid[best, 0, y, x], grid[best, 1, y, x], grid[best, 2, y, x]
    values[5, y, x] = beta
    values[6, y, x] = a * variance
    a, c, v = _predict(steps[best, x] * missed, levels[best] * missed, a, grid[best, 3, y, x], grid[best, 4, y, x])
    values[7, y, x] = y_now - x_now * beta - alpha
    values[8, y, x] = ((x_now - c) * (a * (x_now - c)) + v + 1.0) * variance


@njit(cache=True, nogil=True, error_model="numpy")
def _after(y: int, x: int, r: float, seen: Counts, grid: Floats, values: Floats) -> None:
    best, variance = _best(y, x, r, seen, grid)
    values[0, y, x] = grid[best, 0, y, x]
    values[1, y, x] = grid[best, 1, y, x]
    values[2, y, x] = grid[best, 2, y, x] * variance
    values[3, y, x] = grid[best, 3, y, x]
    values[4, y, x] = grid[best, 4, y, x] * variance


@njit(cache=True, nogil=True, error_model="numpy")
def _in_step(gaps: Flags, last: Counts, y: int, x0: int, lanes: int, first: int) -> bool:
    for x in range(x0, x0 + lanes):  # noqa: SIM110 - numba has no all()
        if gaps[x] or last[y, x] != first - 1:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _pair_with_gaps(
    series: Floats, y: int, x: int, first: int, steps: Floats, levels: Floats, r: float,
    grid: Floats, values: Floats, seen: Counts, last: Counts,
) -> None:  # fmt: skip
    end = series.shape[1] - 1
    while end >= 0 and (series[y, end] != series[y, end] or series[x, end] != series[x, end]):
        end -= 1
    for t in range(end + 1):
        y_now, x_now = series[y, t], series[x, t]
        if y_now != y_now or x_now != x_now:
            continue
        missed = first + t - last[y, x] if last[y, x] >= 0 else 0
        if t == end:
            _before(y_now, x_now, missed, y, x, steps, levels, r, seen, grid, values)
        _bar(y_now, x_now, missed, y, x, steps, levels, seen, grid)
        last[y, x] = first + t
    if end >= 0:
        _after(y, x, r, seen, grid, values)


@njit(cache=True, nogil=True, error_model="numpy")
def move_grid(
    bars: Floats,
    series: Floats,
    gaps: Flags,
    y_from: int,
    y_to: int,
    first: int,
    steps: Floats,
    levels: Floats,
    r: float,
    grid: Floats,
    values: Floats,
    seen: Counts,
    last: Counts,
) -> None:
    """Move the filters of rows ``y_from`` to ``y_to`` through the bars, and write the best of each pair, in place.

    ``bars``, ``series``, ``gaps``, ``first``, ``seen`` and ``last`` as for `hedge_matrix.move_pairs`.
    ``steps`` (g, k) and ``levels`` (g,) are the step variances of ratio and intercept in units of the error's
    variance ``r``; 0 where that is unknown. ``grid`` (g, 8, k, k) are the filters, ``values`` (9, k, k) the best: the
    fields before the last bar are of the filter that was the best then.
    """
    k, n = series.shape
    work = np.empty((COUNT + 3) * LANES)
    for y in range(y_from, y_to):
        for x0 in range(0, k, LANES):
            lanes = min(LANES, k - x0)
            if not gaps[y] and _in_step(gaps, last, y, x0, lanes, first):
                _lanes(bars[: n - 1], y, x0, lanes, first, steps, levels, seen, work, grid)
                missed = 1 if first + n > 1 else 0
                for x in range(x0, x0 + lanes):
                    _before(series[y, n - 1], series[x, n - 1], missed, y, x, steps, levels, r, seen, grid, values)
                _lanes(bars[n - 1 :], y, x0, lanes, first + n - 1, steps, levels, seen, work, grid)
                for x in range(x0, x0 + lanes):
                    _after(y, x, r, seen, grid, values)
                    last[y, x] = first + n - 1
            else:
                for x in range(x0, x0 + lanes):
                    _pair_with_gaps(series, y, x, first, steps, levels, r, grid, values, seen, last)


@njit(cache=True, nogil=True, error_model="numpy")
def best_filters(r: float, grid: Floats, seen: Counts, best: Counts, variance: Floats) -> None:
    """Which filter of the grid is each pair's best, and the error's variance under it, into (k, k)."""
    k = seen.shape[0]
    for y in range(k):
        for x in range(k):
            best[y, x], variance[y, x] = _best(y, x, r, seen, grid)
