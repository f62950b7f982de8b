"""Half-life and rolling z-score of many spreads, as bare loops.

Every sum is of deviations from a value of the row itself, and every mean is taken before the squares (two
passes): sums of raw squares lose every digit at a level of 1e5 with a standard deviation of 0.01. Each
bar's sum runs in an order that the length of the array cannot change, so cutting the future changes no bit
of the past.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

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
def _add_values(source: Floats, start: int, window: int, total: Floats) -> None:
    # total[j] = sum over k of source[start + j - k]; four k a sweep keep the order of the additions and
    # save stores
    m = total.shape[0]
    for j in range(m):
        total[j] = 0.0
    k = 0
    while k + 4 <= window:
        v0 = source[start - k : start - k + m]
        v1 = source[start - k - 1 : start - k - 1 + m]
        v2 = source[start - k - 2 : start - k - 2 + m]
        v3 = source[start - k - 3 : start - k - 3 + m]
        for j in range(m):
            total[j] = (((total[j] + v0[j]) + v1[j]) + v2[j]) + v3[j]
        k += 4
    while k < window:
        v0 = source[start - k : start - k + m]
        for j in range(m):
            total[j] += v0[j]
        k += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _add_squares(source: Floats, start: int, window: int, mean: Floats, total: Floats) -> None:
    m = total.shape[0]
    for j in range(m):
        total[j] = 0.0
    k = 0
    while k + 4 <= window:
        v0 = source[start - k : start - k + m]
        v1 = source[start - k - 1 : start - k - 1 + m]
        v2 = source[start - k - 2 : start - k - 2 + m]
        v3 = source[start - k - 3 : start - k - 3 + m]
        for j in range(m):
            d0 = v0[j] - mean[j]
            d1 = v1[j] - mean[j]
            d2 = v2[j] - mean[j]
            d3 = v3[j] - mean[j]
            total[j] = (((total[j] + d0 * d0) + d1 * d1) + d2 * d2) + d3 * d3
        k += 4
    while k < window:
        v0 = source[start - k : start - k + m]
        for j in range(m):
            d0 = v0[j] - mean[j]
            total[j] += d0 * d0
        k += 1


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_zscores(spread: Floats, first: int, window: NDArray[np.int64], out: Floats) -> None:
    """Z-scores of columns first..n-1 of ``spread`` (p, n) into ``out`` (p, n - first), over ``window[i]`` bars each.

    NaN where the window is not full, holds a NaN or has no variance; a row whose window is below 2 is all
    NaN.
    """
    n = spread.shape[1]
    shifted = np.empty(n)
    mean_work = np.empty(n - first)
    square_work = np.empty(n - first)
    for i in range(spread.shape[0]):
        w = window[i]
        if w < 2 or w > n:
            out[i, :] = np.nan
            continue
        start = max(first, w - 1)
        out[i, : start - first] = np.nan
        oldest = start - w + 1
        base = 0.0
        for t in range(oldest, n):
            if spread[i, t] == spread[i, t]:
                base = spread[i, t]
                break
        row = spread[i]
        for t in range(oldest, n):
            shifted[t] = row[t] - base
        mean = mean_work[: n - start]
        square = square_work[: n - start]
        _add_values(shifted, start, w, mean)
        for j in range(n - start):
            mean[j] /= w
        _add_squares(shifted, start, w, mean, square)
        z = out[i, start - first :]
        last = shifted[start:n]
        for j in range(n - start):
            # a constant window leaves the rounding of its mean, no more
            noise = w * EPS * mean[j]
            if square[j] > w * noise * noise:
                z[j] = (last[j] - mean[j]) / np.sqrt(square[j] / (w - 1))
            else:
                z[j] = np.nan
