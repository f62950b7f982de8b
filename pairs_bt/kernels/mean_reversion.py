"""Half-life and rolling z-score of many spreads, as bare loops.

Every sum is of deviations from a value of the row itself, and squares are only ever taken about a mean: sums of
raw squares lose every digit at a level of 1e5 with a standard deviation of 0.01. Each bar's sum runs in an order
that the length of the array cannot change, so cutting the future changes no bit of the past.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LN2 = np.log(2.0)
EPS = np.finfo(np.float64).eps


@njit(cache=True, nogil=True, error_model="numpy")
def reversion(lag: Floats, lead: Floats) -> tuple[float, float]:
    """Slope of lead - lag on (1, lag), and the half-life -ln 2 / slope in bars.

    Half-life is inf where slope >= 0, and both are NaN where lag is constant or anything is NaN.
    """
    n = lag.shape[0]
    base = lag[0]
    # four sums in a fixed order: as exact as one, and the additions need not wait for each other
    a0 = a1 = a2 = a3 = 0.0
    whole = n - n % 4
    for t in range(0, whole, 4):
        a0 += lag[t] - base
        a1 += lag[t + 1] - base
        a2 += lag[t + 2] - base
        a3 += lag[t + 3] - base
    for t in range(whole, n):
        a0 += lag[t] - base
    mean_lag = ((a0 + a1) + (a2 + a3)) / n
    # sum of differences is not lead[-1] - lag[0] when bars were left out, so it is formed
    b0 = b1 = b2 = b3 = 0.0
    for t in range(0, whole, 4):
        b0 += lead[t] - lag[t]
        b1 += lead[t + 1] - lag[t + 1]
        b2 += lead[t + 2] - lag[t + 2]
        b3 += lead[t + 3] - lag[t + 3]
    for t in range(whole, n):
        b0 += lead[t] - lag[t]
    mean_diff = ((b0 + b1) + (b2 + b3)) / n

    a0 = a1 = a2 = a3 = 0.0
    b0 = b1 = b2 = b3 = 0.0
    for t in range(0, whole, 4):
        c0 = (lag[t] - base) - mean_lag
        c1 = (lag[t + 1] - base) - mean_lag
        c2 = (lag[t + 2] - base) - mean_lag
        c3 = (lag[t + 3] - base) - mean_lag
        a0 += c0 * c0
        a1 += c1 * c1
        a2 += c2 * c2
        a3 += c3 * c3
        b0 += c0 * ((lead[t] - lag[t]) - mean_diff)
        b1 += c1 * ((lead[t + 1] - lag[t + 1]) - mean_diff)
        b2 += c2 * ((lead[t + 2] - lag[t + 2]) - mean_diff)
        b3 += c3 * ((lead[t + 3] - lag[t + 3]) - mean_diff)
    for t in range(whole, n):
        c0 = (lag[t] - base) - mean_lag
        a0 += c0 * c0
        b0 += c0 * ((lead[t] - lag[t]) - mean_diff)
    sxx = (a0 + a1) + (a2 + a3)
    sxd = (b0 + b1) + (b2 + b3)
    # a constant leaves the rounding of its mean, no more
    if not sxx > n * (n * EPS * mean_lag) ** 2:
        return np.nan, np.nan
    slope = sxd / sxx
    if slope >= 0.0:
        return slope, np.inf
    return slope, -LN2 / slope


@njit(cache=True, nogil=True, error_model="numpy")
def half_lives(spread: Floats, n_train: int, out: Floats) -> None:
    """Half-life of each row of ``spread`` (p, n) over its first ``n_train`` columns, into ``out`` (p,)."""
    for i in range(spread.shape[0]):
        _, out[i] = reversion(spread[i, : n_train - 1], spread[i, 1:n_train])


@njit(cache=True, nogil=True, error_model="numpy")
def _window_moments(
    source: Floats, oldest: int, start: int, window: int, total: Floats, square: Floats, work: Floats
) -> None:
    """Sum, and sum of squares about the mean, of the `window` bars up to each bar from `start` on.

    Blocks of 1, 2, 4, .. bars are joined to the window's length: 2 log2(window) passes in place of 2 window. Joining
    two sets a and b adds (n_a n_b / (n_a + n_b)) (mean_b - mean_a)**2 to their squares (Chan, Golub and LeVeque 1983,
    eq. 2.1): nothing is subtracted, and no bar outside a window enters it. ``work`` is (4, n).
    """
    n = source.shape[0]
    m = n - start
    sums, squares = work[0], work[1]
    next_sums, next_squares = work[2], work[3]
    for t in range(oldest, n):
        sums[t] = source[t]
        squares[t] = 0.0
    width = 1
    covered = 0
    while True:
        if window & width:
            s = sums[start - covered : n - covered]
            q = squares[start - covered : n - covered]
            if covered == 0:
                for j in range(m):
                    total[j] = s[j]
                    square[j] = q[j]
            else:
                per_a = 1.0 / covered
                per_b = 1.0 / width
                weight = covered * width / (covered + width)
                for j in range(m):
                    gap = s[j] * per_b - total[j] * per_a
                    square[j] = (square[j] + q[j]) + weight * (gap * gap)
                    total[j] += s[j]
            covered += width
            if covered == window:
                return
        first = oldest + 2 * width - 1
        s_new, s_old = sums[first:n], sums[first - width : n - width]
        q_new, q_old = squares[first:n], squares[first - width : n - width]
        s_both, q_both = next_sums[first:n], next_squares[first:n]
        weight = 0.5 / width
        for j in range(n - first):
            gap = s_new[j] - s_old[j]
            s_both[j] = s_new[j] + s_old[j]
            q_both[j] = (q_new[j] + q_old[j]) + weight * (gap * gap)
        sums, next_sums = next_sums, sums
        squares, next_squares = next_squares, squares
        width *= 2


@njit(cache=True, nogil=True, error_model="numpy")
def _long_window_moments(
    source: Floats, oldest: int, start: int, window: int, inverse: Floats, total: Floats, square: Floats, work: Floats
) -> None:
    """What :func:`_window_moments` does, in a number of steps that does not grow with the window.

    The bars are cut into blocks as long as the window, the first from `oldest` on. A window is the tail of one block
    and the head of the next (van Herk 1992, Gil and Werman 1993), joined as there; heads and tails grow by one bar
    at a time, with (k / (k + 1)) (value - mean of k)**2 more squares. ``inverse[k]`` is 1 / k; ``work`` is (7, n).
    """
    n = source.shape[0]
    head, head_square, head_mean, weight = work[0], work[1], work[2], work[3]
    tail, tail_square, tail_mean = work[4], work[5], work[6]
    per = inverse[window]
    for first in range(oldest, n, window):
        after = min(first + window, n)
        s = q = mean = 0.0
        for k in range(after - first):
            t = first + k
            gap = source[t] - mean
            q += (k * inverse[k + 1]) * (gap * gap)
            s += source[t]
            mean = s * inverse[k + 1]
            head[t], head_square[t], head_mean[t] = s, q, mean
            # n_a n_b / (n_a + n_b)
            weight[t] = ((window - k - 1) * per) * (k + 1)
        if after == n:
            break
        s = q = mean = 0.0
        for k in range(window):
            t = after - 1 - k
            gap = source[t] - mean
            q += (k * inverse[k + 1]) * (gap * gap)
            s += source[t]
            mean = s * inverse[k + 1]
            tail[t], tail_square[t], tail_mean[t] = s, q, mean
    m = n - start
    oldest_of = start - window + 1
    # three loops in place of one: few enough arrays each for the compiler to take four bars at a time
    a, b = tail[oldest_of : oldest_of + m], head[start:n]
    for j in range(m):
        total[j] = a[j] + b[j]
    a, b = tail_mean[oldest_of : oldest_of + m], head_mean[start:n]
    for j in range(m):
        square[j] = b[j] - a[j]
    a, b, c = tail_square[oldest_of : oldest_of + m], head_square[start:n], weight[start:n]
    for j in range(m):
        square[j] = (a[j] + b[j]) + c[j] * (square[j] * square[j])
    # a window that is a whole block has no tail
    for t in range(oldest + window - 1, n, window):
        total[t - start] = head[t]
        square[t - start] = head_square[t]


# Windows from here on are cut into heads and tails: below, doubling blocks take fewer steps.
LONG_WINDOW = 8
SCRATCH = 9  # rows of a z-score's working memory


@njit(cache=True, nogil=True, error_model="numpy")
def _zscore_row(
    row: Floats, first: int, w: int, inverse: Floats, out: Floats, mean_out: Floats, shifted: Floats, work: Floats
) -> None:
    """Z-scores of bars first..n-1 of one spread into ``out``, their means into ``mean_out``, over ``w`` bars each."""
    n = row.shape[0]
    if w < 2 or w > n:
        out[:] = np.nan
        mean_out[:] = np.nan
        return
    start = max(first, w - 1)
    out[: start - first] = np.nan
    mean_out[: start - first] = np.nan
    oldest = start - w + 1
    base = 0.0
    for t in range(oldest, n):
        if row[t] == row[t]:
            base = row[t]
            break
    for t in range(oldest, n):
        shifted[t] = row[t] - base
    total = work[7, : n - start]
    square = work[8, : n - start]
    if w < LONG_WINDOW:
        _window_moments(shifted, oldest, start, w, total, square, work)
    else:
        _long_window_moments(shifted, oldest, start, w, inverse, total, square, work)
    z = out[start - first :]
    level = mean_out[start - first :]
    last = shifted[start:n]
    per = inverse[w]
    freedom = inverse[w - 1]
    # a constant window leaves the rounding of its mean, no more
    noise = w * (w * EPS) ** 2
    for j in range(n - start):
        mean = total[j] * per
        level[j] = base + mean
        score = (last[j] - mean) / np.sqrt(square[j] * freedom)
        z[j] = score if square[j] > noise * (mean * mean) else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _inverses(n: int) -> Floats:
    """1 / k at k = 1, .., n; 0 at 0."""
    out = np.zeros(n + 1)
    for k in range(1, n + 1):
        out[k] = 1.0 / k
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_zscores(spread: Floats, first: int, window: NDArray[np.int64], out: Floats) -> None:
    """Z-scores of columns first..n-1 of ``spread`` (p, n) into ``out`` (p, n - first), over ``window[i]`` bars each.

    NaN where the window is not full, holds a NaN or has no variance; a row whose window is below 2 is all
    NaN.
    """
    rolling_zscores_and_means(spread, first, window, out, np.empty(out.shape))


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_zscores_and_means(spread: Floats, first: int, window: NDArray[np.int64], out: Floats, mean: Floats) -> None:
    """The z-scores of :func:`rolling_zscores`, and into ``mean`` (p, n - first) the means that they are taken about."""
    n = spread.shape[1]
    shifted = np.empty(n)
    work = np.empty((SCRATCH, n))
    inverse = _inverses(n)
    for i in range(spread.shape[0]):
        _zscore_row(spread[i], first, window[i], inverse, out[i], mean[i], shifted, work)


# Why a pair is not traded; the order in which the reasons are looked for.
TRADED, NO_REVERSION, SHORT_WINDOW, NEGATIVE_RATIO, LEG_SHARE = range(5)


class SpreadRules(NamedTuple):
    """How spreads become z-scores, and which pairs are refused."""

    n_train: int
    entry: float
    book: bool  # max(round(half-life), 1), no pair refused for its half-life
    reject_negative: bool
    max_leg_share: float
    log_space: bool
    half_lives: float  # bars of the z-score, in half-lives


@njit(cache=True, nogil=True, error_model="numpy")
def _z_window(life: float, rules: SpreadRules) -> tuple[int, int]:
    """Bars of the rolling z-score (0: none), and why a pair has no use for it."""
    if not np.isfinite(life):
        return 0, NO_REVERSION
    w = int(min(np.rint(rules.half_lives * life), float(rules.n_train)))
    # |z| <= (w - 1) / sqrt(w) for any w values
    if not rules.book and (w - 1) / np.sqrt(max(w, 1)) < rules.entry:
        return w, SHORT_WINDOW
    return w, TRADED


@njit(cache=True, nogil=True, error_model="numpy")
def _refused_ratio(ratio: float, y: float, x: float, rules: SpreadRules) -> int:
    """Why the share ratio of the train end is refused: negative, or one leg with too much of the capital."""
    if rules.reject_negative and not ratio > 0.0:
        return NEGATIVE_RATIO
    if max(y, abs(ratio) * x) > rules.max_leg_share * (y + abs(ratio) * x):
        return LEG_SHARE
    return TRADED


@njit(cache=True, nogil=True, error_model="numpy")
def spread_signals(
    levels: Floats,
    raw: Floats,
    unit: Floats,
    iy: Integers,
    ix: Integers,
    ratio: Floats,
    rules: SpreadRules,
    hedge: Floats,
    share: Floats,
    spread: Floats,
    z: Floats,
    mean: Floats,
    life: Floats,
    window: Integers,
    refusal: NDArray[np.int8],
) -> None:
    """Spread, half-life and z-score of many pairs, one pair at a time, so that nothing leaves the cache between.

    ``levels``, ``raw`` (k, n): where the spread is formed, and prices; ``unit`` (k,): a ratio of the filter times
    ``unit[iy] / unit[ix]`` is one of ``levels``; ``ratio`` (p, n), or (p, 1) where it is held. The trade bars go to
    ``hedge``, ``share`` (left alone unless ``log_space``: the two are one), ``spread``, ``z`` and its rolling ``mean``
    (p, n - n_train), the rest to ``life``, ``window``, ``refusal`` (p,).
    """
    n = levels.shape[1]
    n_train = rules.n_train
    held = ratio.shape[1] == 1
    row = np.empty(n)
    shifted = np.empty(n)
    work = np.empty((SCRATCH, n))
    inverse = _inverses(n)
    for p in range(iy.shape[0]):
        y = levels[iy[p]]
        x = levels[ix[p]]
        price_y = raw[iy[p]]
        price_x = raw[ix[p]]
        factor = unit[iy[p]] / unit[ix[p]]
        beta = ratio[p]
        # s_t = y_t - beta_t x_t
        if held:
            b = beta[0] * factor
            for t in range(n):
                row[t] = y[t] - b * x[t]
            hedge[p, :] = b
            last = b
        else:
            for t in range(n):
                row[t] = y[t] - (beta[t] * factor) * x[t]
            for t in range(n_train, n):
                hedge[p, t - n_train] = beta[t] * factor
            last = beta[n_train - 1] * factor
        if rules.log_space:
            last *= price_y[n_train - 1] / price_x[n_train - 1]
            for t in range(n_train, n):
                share[p, t - n_train] = hedge[p, t - n_train] * (price_y[t] / price_x[t])
        # bar by bar: a slice set to an array makes numba compile the text of an error about their shapes
        for t in range(n_train, n):
            spread[p, t - n_train] = row[t]
        _, bars = reversion(row[: n_train - 1], row[1:n_train])
        if rules.book:
            # max(round(.), 1) turns no reversion into the fastest pair
            bars = max(np.rint(bars), 1.0) if np.isfinite(bars) else 1.0
        life[p] = bars
        window[p], reason = _z_window(bars, rules)
        if reason == TRADED:
            reason = _refused_ratio(last, price_y[n_train - 1], price_x[n_train - 1], rules)
        refusal[p] = reason
        _zscore_row(row, n_train, window[p] if reason == TRADED else 0, inverse, z[p], mean[p], shifted, work)
